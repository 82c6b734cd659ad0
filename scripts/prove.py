#!/usr/bin/env python3
"""Runs the proof under fault on some servers of tests/servers.tsv, and puts their summaries together.

Arguments: the program (`cargo test --test prove` builds it), and what to pass on to it. The environment says the rest:
SERVERS, the names of the servers; SECONDS, how long it may take in all; LOCK_TEST_MODULE, the module.
"""

import os
import subprocess
import sys
from pathlib import Path

import servers


def main():
    program, *arguments = sys.argv[1:]
    names = os.environ["SERVERS"].split()
    seconds = float(os.environ["SECONDS"]) / len(names)
    folder = servers.ROOT / os.environ.get("TARGET", "target") / "prove"
    folder.mkdir(parents=True, exist_ok=True)
    rows = servers.listed(names)
    parts, failed = [], []
    for name in names:
        part = folder / f"{name}.md"
        part.unlink(missing_ok=True)
        try:
            binary = servers.find(rows[name])
            servers.version_of(binary, name)
        except servers.Unavailable as reason:
            parts.append(f"## {name}\n\nSkipped: {reason}\n")
            failed.append(name)
            continue
        command = [program, "--seconds", str(seconds), "--report", str(part), *arguments]
        done = subprocess.run(command, env={**os.environ, "LOCK_TEST_SERVER": str(binary)})
        parts.append(part.read_text() if part.exists() else f"## {name}\n\nEnded with {done.returncode}\n")
        if done.returncode:
            failed.append(name)
    report = folder / "report.md"
    verdict = f"Failed: {', '.join(failed)}." if failed else "No promise was broken."
    report.write_text("\n".join(["# Proof under fault\n", verdict + "\n", *parts]))
    print(f"{verdict} The summary is {report.relative_to(servers.ROOT)}.")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
