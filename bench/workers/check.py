#!/usr/bin/env python3
"""Drives a benchmark worker through every work of the protocol, briefly, and checks the shape of its answers.

    check.py --system redis-py --url redis://127.0.0.1:6390 -- bench/workers/python/run.sh OUT

Prints a line for each work, and ends with 1 if any answer was not as the protocol wants it.
"""

import argparse
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

FIELDS = {"operations", "seconds", "latency", "waits", "handoff", "per_client", "errors"}


class Wrong(Exception):
    """What the worker did against the protocol."""


def want(condition, text):
    if not condition:
        raise Wrong(text)


class Worker:
    """The process, from its job to its end."""

    def __init__(self, options, work, clients, **fields):
        job = {
            "system": options.system, "urls": options.url, "work": work, "lock": options.lock(), "clients": clients,
            "hold_us": 0, "lease_ms": 30000, "depth": 10, "pipeline": 1, "pace": 0, **fields,
        }  # fmt: skip
        self.job, self.unread = job, b""
        self.process = subprocess.Popen(options.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.say(job)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def say(self, message):
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Wrong(f"it ended with {self.process.wait()} before it was told to") from None

    def hear(self, seconds):
        """The next line; None if there is none within the time."""
        until = time.monotonic() + seconds
        while b"\n" not in self.unread:
            if not select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            want(data, f"it ended without an answer, after {self.unread[:200]!r}")
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        try:
            return json.loads(line)
        except ValueError:
            raise Wrong(f"a line on its output is no JSON: {line[:200]!r}") from None

    def ready(self, seconds=90):
        """The version; None if the system has no such work."""
        answer = self.hear(seconds)
        want(answer is not None, f"not ready after {seconds} s")
        if "unsupported" in answer:
            self.why = answer["unsupported"]
            fine = isinstance(self.why, str) and 5 < len(self.why) < 160 and not re.search(r"\n|\.$", self.why)
            want(fine, f"unsupported must be one clause: {self.why!r}")
            self.ends()
            return None
        want("error" not in answer, f"it answers the error {answer.get('error')!r}")
        want(set(answer) == {"ready", "version"} and answer["ready"] is True, f"the answer to the job is {answer}")
        want(re.match(r"\S.* v?\d+\.", answer["version"]), f"no name and number is {answer['version']!r}")
        return answer["version"]

    def go(self, seconds, limit=60):
        self.say({"go": seconds})
        return self.result(seconds, limit)

    def result(self, seconds, limit):
        answer = self.hear(seconds + limit)
        want(answer is not None, f"no result {limit} s after the time was over")
        want(set(answer) == FIELDS, f"a result has {sorted(FIELDS)}, not {sorted(answer)}")
        return answer

    def ends(self, seconds=10):
        """By itself, or by the end of its input, with nothing more to say."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Wrong(f"it still runs {seconds} s after the end of its input") from None
        rest = self.unread + self.process.stdout.read()
        want(not rest, f"it says more than it was asked: {rest[:200]!r}")
        want(code == 0, f"it ended with {code}")


def count(name, pairs):
    """How many samples there are in pairs [microseconds, times]."""
    for pair in pairs:
        fine = len(pair) == 2 and all(type(number) is int for number in pair) and pair[0] >= 0 < pair[1]
        want(fine, f"{name} has the pair {pair}")
    times = [pair[0] for pair in pairs]
    want(times == sorted(set(times)), f"the pairs of {name} must ascend, each time once")
    return sum(times for _, times in pairs)


def quantile(pairs, part):
    left = part * sum(times for _, times in pairs)
    for micros, times in pairs:
        left -= times
        if left <= 0:
            return micros
    return 0


def check(result, job, seconds):
    """Checks a result, and returns it as a person reads it."""
    operations, per_client = result["operations"], result["per_client"]
    want(type(operations) is int and operations > 0, f"operations is {operations}, errors is {result['errors']}")
    want(len(per_client) == job["clients"], f"per_client has {len(per_client)} of {job['clients']} clients")
    want(sum(per_client) == operations, f"per_client sums to {sum(per_client)}, operations is {operations}")
    samples = {name: count(name, result[name]) for name in ("latency", "waits", "handoff")}
    want(samples["latency"] == operations, f"latency has {samples['latency']} samples of {operations}")
    if job["work"] in ("contend", "next"):
        want(samples["waits"] >= operations, f"waits has {samples['waits']} samples, fewer than {operations}")
        want(samples["handoff"] < operations, "the first owner was handed nothing")
    else:
        want(not result["waits"] and not result["handoff"], "only contend has waits and handoffs")
    want(result["errors"] == 0, f"errors is {result['errors']}")
    if job["work"] != "next":
        want(seconds * 0.98 <= result["seconds"], f"it worked for {result['seconds']} of {seconds} s")
    text = f"{operations / result['seconds']:9.0f}/s in {result['seconds']:.2f} s"
    for name in ("latency", "handoff"):
        if result[name]:
            text += f"  {name} p50 {quantile(result[name], 0.5)} p99 {quantile(result[name], 0.99)} us"
    if job["work"] == "contend":
        squares = sum(grants * grants for grants in per_client)
        text += f"  Jain {operations * operations / (len(per_client) * squares):.2f}"
    return text


def loop(options, work, clients, **fields):
    """The works that operate again and again."""
    with Worker(options, work, clients, **fields) as worker:
        if worker.ready() is None:
            return f"unsupported: {worker.why}"
        for seconds in (options.seconds / 2, options.seconds):
            text = check(worker.go(seconds), worker.job, seconds)
        worker.ends()
        return text


def still(options, clients):
    with Worker(options, "still", clients) as worker:
        if worker.ready() is None:
            return f"unsupported: {worker.why}"
        with Worker(options, "next", 1, lock=worker.job["lock"]) as other:
            other.ready()
            other.say({"go": 0})
            want(other.hear(0.5) is None, "the lock of those who wait was free")
        worker.go(options.seconds)
        worker.ends()
        return "they wait, and end with their input"


def crash(options, clients):
    """Somebody holds the lock and is killed; another one is waiting for it."""
    lease = options.lease_ms / 1000
    with Worker(options, "hold", 1, lease_ms=options.lease_ms) as holder:
        if holder.ready() is None:
            return f"unsupported: {holder.why}"
        with Worker(options, "next", 1, lock=holder.job["lock"], lease_ms=options.lease_ms) as other:
            other.ready()
            other.say({"go": 0})
            began = time.monotonic()
            want(other.hear(0.3) is None, "the lock that is held was free")
            result = other.hear(lease * 1.5)
            text = "nobody renews it"
            if result is None:
                text = f"held beyond its lease of {lease:.0f} s"
                holder.process.send_signal(signal.SIGKILL)
                began = time.monotonic()
                result = other.result(0, lease * 2 + 10)
            text += f", the next one has it after {time.monotonic() - began:.3f} s"
            check(result, other.job, 0)
            other.ends()
        if holder.process.poll() is None:
            holder.ends()
    return text


def dead(options, _):
    """No server is there."""
    urls = [re.sub(r":\d+(?=/|$)", ":1", url) for url in options.url]
    with Worker(options, "pair", 1, urls=urls) as worker:
        answer = worker.hear(60)
        want(answer is not None and set(answer) == {"error"}, f"without a server it answers {answer}")
        worker.ends()
        return f"error: {answer['error'][:100]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", required=True)
    parser.add_argument("--url", action="append", required=True, help="given again for several servers")
    parser.add_argument("--works", default="pair,reenter,renew,contend,still,paced,hold,dead", help="hold has next")
    parser.add_argument("--clients", help="default: 1,10; contend 2,50; still 20")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--lease-ms", type=int, default=4000, help="of hold and next; 30000 elsewhere")
    parser.add_argument("command", nargs="+", help="the worker")
    options = parser.parse_args()
    numbers = itertools.count(1)
    options.lock = lambda: f"check:{os.getpid()}:{next(numbers)}"
    special = {"still": still, "hold": crash, "dead": dead}
    failed = 0
    for work in options.works.split(","):
        default = {"contend": "2,50", "still": "20", "hold": "1", "dead": "1"}.get(work, "1,10")
        # hold and dead are always of one client.
        clients = default if work in ("hold", "dead") else options.clients or default
        fields = {"contend": [{}, {"hold_us": 1000}], "paced": [{"pace": 100}]}.get(work, [{}])
        for number, more in itertools.product(map(int, clients.split(",")), fields):
            try:
                text = special[work](options, number) if work in special else loop(options, work, number, **more)
            except Wrong as wrong:
                failed += 1
                text = f"WRONG: {wrong}"
            print(options.system, work, {"clients": number, **more}, text, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
