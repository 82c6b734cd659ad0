#!/usr/bin/env python3
"""Runs the tests of every client against Redis 7.0, Redis 8.2 and Valkey 9.1, and prints a line for each.

Arguments: the clients to test (rust, lockctl, python, java); none means all. ONLY in the environment names one server
of tests/servers.tsv instead of the three. Tests of Python and Java that were skipped are told one by one; those of Rust
are counted. The module is that of LOCK_TEST_MODULE, or what `cargo build` left.
"""

import os
import sys
from pathlib import Path

import servers

ROOT = servers.ROOT
TARGET = ROOT / os.environ.get("TARGET", "target")
SERVERS = ["redis-7.0", "redis-8.2", "valkey-9.1"]
# A suite that takes longer hangs.
LIMIT_SECONDS = 600


def main():
    commands = {
        "rust": [str(ROOT / "scripts" / "test.sh"), "--package", "redis-reentrant-lock-client"],
        "lockctl": [str(ROOT / "scripts" / "test.sh"), "--package", "lockctl"],
        "python": ["sh", str(ROOT / "clients/python/check.sh"), str(TARGET / "clients" / "python")],
        "java": ["bash", str(ROOT / "clients/java/check.sh"), str(TARGET / "clients" / "java")],
    }
    clients = sys.argv[1:] or list(commands)
    for client in clients:
        if client not in commands:
            sys.exit(f"there is no client {client}: there are {', '.join(commands)}")
    only = os.environ.get("ONLY")
    wanted = [only] if only else SERVERS
    rows = servers.listed(wanted)
    logs = TARGET / "clients" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # The first run of each sets up what the others use.
    lines, failed = [], 0
    for name in wanted:
        try:
            binary = servers.find(rows[name])
        except servers.Unavailable as reason:
            lines.append(f"{name:<12} failed: {reason}")
            failed += 1
            continue
        for client in clients:
            line, ok = run(client, commands[client], name, binary, logs / f"{client}-{name}.log")
            print(line, flush=True)
            lines.append(line)
            failed += not ok
    print("", *lines, "", sep="\n")
    print(f"{len(lines) - failed} suites passed, {failed} failed")
    sys.exit(1 if failed else 0)


def run(client, command, name, binary, log):
    """Runs one client's tests against one server: the line that says how it went, and whether it went well."""
    module = os.environ.get("LOCK_TEST_MODULE") or str(TARGET / "debug" / "libredis_reentrant_lock.so")
    # Where a test says that it does not apply, and why.
    skips = log.with_suffix(".skips")
    skips.write_text("")
    variables = {"LOCK_TEST_MODULE": module, "LOCK_TEST_SERVER": str(binary), "LOCK_TEST_SKIPS": str(skips.absolute())}
    text, status, seconds, over = servers.follow(command, variables, log, LIMIT_SECONDS)
    if over or status:
        print(text[-6000:])
        return f"{client:<8} {name:<12} failed: {over or f'status {status}'}, see {log}", False
    for line in skips.read_text().splitlines():
        print(f"{client:<8} {name:<12} skipped: {line}", flush=True)
    said = [line for line in text.splitlines() if "passed" in line or "Tests run" in line]
    return f"{client:<8} {name:<12} {said[-1].strip(' =') if said else 'passed'}, {seconds} s", True


if __name__ == "__main__":
    main()
