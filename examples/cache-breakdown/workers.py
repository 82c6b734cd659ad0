"""Workers that need a report, which a cache holds for some time, and two ways to make a new one after that."""

import threading
import time
from dataclasses import dataclass, field

from redis_reentrant_lock import ReentrantLock

KEY = "cache:report"


@dataclass
class Outcome:
    """What was seen: times in seconds, counted from the start."""

    responses: list = field(default_factory=list)  # when a request was due, and how long its response took
    queries: list = field(default_factory=list)  # when a query began, and when it ended
    database_queries: int = 0
    database_cpu: float = 0.0


def without_lock(cache, load):
    """The usual way. Whoever finds the report gone makes a new one, and so does everyone else meanwhile."""
    return cache.get(KEY) or load()


def with_lock(cache, load):
    """One makes a new report. The others wait for it, in the server's queue, and find it."""
    report = cache.get(KEY)
    if report is None:
        with cache.lock("lock:report", lock_class=ReentrantLock, blocking_timeout=60):
            report = cache.get(KEY) or load()
    return report


def run(way, cache, database, workers, rate, seconds, ttl):
    """Lets so many workers make so many requests a second, together and evenly, for so long.

    A request is due at its time, also where the worker is late because the one before took long: what users wait
    is counted from then on.
    """
    outcome = Outcome()
    failures = []
    pids = []
    started = []
    together = threading.Barrier(workers, action=lambda: started.append(time.monotonic()))
    cache.delete(KEY)
    queries, cpu = database.queries(), database.cpu()

    def work(number):
        with database.connect() as db:
            pids.append(db.info.backend_pid)
            together.wait()
            start = started[0]

            def load():
                began = time.monotonic()
                report = db.execute("SELECT report()").fetchone()[0]
                outcome.queries.append((began - start, time.monotonic() - start))
                cache.set(KEY, report, px=round(ttl * 1000))
                return report

            due = number / rate
            while due < seconds:
                time.sleep(max(0.0, start + due - time.monotonic()))
                way(cache, load)
                outcome.responses.append((due, time.monotonic() - start - due))
                due += workers / rate

    def guarded(number):
        try:
            work(number)
        except Exception as failure:
            failures.append(failure)
            together.abort()

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        # Whoever only found the others gone is not the reason.
        raise min(failures, key=lambda failure: isinstance(failure, threading.BrokenBarrierError))
    outcome.database_cpu = database.cpu(ended=pids) - cpu
    outcome.database_queries = database.queries() - queries
    return outcome
