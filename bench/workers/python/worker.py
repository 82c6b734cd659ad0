"""The Python clients of the benchmark: speaks the protocol of the workers on standard input and output."""

import json
import os
import sys
import threading
import time
from collections import Counter

from client import Client, Round, complain
from systems import SYSTEMS


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def pairs(samples):
    """Nanoseconds as pairs of whole microseconds and how often they occurred."""
    return sorted(Counter(nanos // 1000 for nanos in samples).items())


def report(work, round, clients):
    latency = pairs(nanos for client in clients for nanos in client.latency)
    waits = pairs(nanos for client in clients for nanos in client.latency + client.late)
    ended = round.until if work == "contend" else max(client.ended for client in clients)
    say(
        operations=sum(len(client.latency) for client in clients),
        seconds=(ended - round.began) / 1e9,
        latency=latency,
        waits=waits if work in ("contend", "next") else [],
        handoff=pairs(nanos for client in clients for nanos in client.handoff),
        per_client=[len(client.latency) for client in clients],
        errors=sum(client.errors for client in clients),
    )


def play(job, system):
    round = Round(job["clients"])
    clients = [Client(job, round, system, number) for number in range(job["clients"])]
    for client in clients:
        client.prepared.wait()
        if client.failure is not None:
            raise client.failure
    still = job["work"] == "still"
    if still:
        round.starts.wait()
        # No system tells that its clients wait. They have all asked by now, and get the time to connect and to queue.
        time.sleep(1 + 0.002 * job["clients"])
    say(ready=True, version=system.version)
    for line in sys.stdin:
        round.seconds = json.loads(line)["go"]
        if still:
            time.sleep(round.seconds)
            say(operations=0, seconds=round.seconds, latency=[], waits=[], handoff=[], per_client=[0] * job["clients"],
                errors=sum(client.errors for client in clients))  # fmt: skip
        else:
            round.starts.wait()
            round.ends.wait()
            report(job["work"], round, clients)
    if not still:
        round.over = True
        round.starts.wait()
        round.ends.wait()
        system.close()


def main():
    job = json.loads(sys.stdin.readline())
    kind = SYSTEMS.get(job["system"])
    if kind is None:
        return say(error=f"the Python worker has no system {job['system']}; it has {', '.join(SYSTEMS)}")
    if job["work"] in kind.unsupported:
        return say(unsupported=kind.unsupported[job["work"]])
    if not callable(getattr(Client, job["work"], None)) or job["work"].startswith("_"):
        return say(unsupported=f"the Python worker has no work {job['work']}")
    threading.stack_size(512 * 1024)  # a thousand threads, none of which calls deeply
    try:
        system = kind(job)
        play(job, system)
    except Exception as error:
        complain(error)
        say(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # whatever still waits for a lock
