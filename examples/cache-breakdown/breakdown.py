"""Shows what happens to a database when one hot key of the cache in front of it expires, without a lock and with one.

REDIS_URL names the cache, a Redis or Valkey server with the module. PostgreSQL is started here, and ends with the
program.
"""

import argparse
import os
import sys

import redis

import plot
import workers
from database import Database
from measures import most_at_once, quantile


def main():
    options = arguments()
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    cache = redis.Redis.from_url(url, decode_responses=True)
    try:
        cache.execute_command("LOCK.INFO", "lock:report")
    except redis.ResponseError as error:
        if "unknown command" not in str(error):
            raise
        sys.exit("the server of REDIS_URL has no LOCK commands: load the module there")
    except redis.ConnectionError as error:
        sys.exit(f"REDIS_URL must name a server that runs: {error}")

    outcomes = {}
    with Database(options.workers, options.rows) as database:
        for name, way in (("without a lock", workers.without_lock), ("with the lock", workers.with_lock)):
            outcomes[name] = workers.run(
                way, cache, database, options.workers, options.rate, options.seconds, options.ttl
            )
    cache.delete(workers.KEY)
    print(table(outcomes))
    if options.png:
        plot.draw(outcomes, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=whole(1, 500), default=50, help="how many workers there are (50)")
    parser.add_argument("--rate", type=whole(1, 100_000), default=500, help="requests a second, of all together (500)")
    parser.add_argument("--seconds", type=whole(1, 3600), default=20, help="how long each part lasts (20)")
    parser.add_argument("--ttl", type=whole(1, 3600), default=3, help="seconds for which the cache has a report (3)")
    parser.add_argument("--rows", type=whole(1, 100_000_000), default=250_000, help="rows in a report (250000)")
    parser.add_argument("--png", metavar="FILE", help="where to write the plot")
    return parser.parse_args()


def whole(least, most):
    def number(text):
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text!r}")
        return int(text)

    return number


def table(outcomes):
    rows = {
        "requests": lambda outcome: len(outcome.responses),
        "queries at the database": lambda outcome: outcome.database_queries,
        "queries at once, at most": lambda outcome: most_at_once(outcome.queries),
        "processor time of the database": lambda outcome: f"{outcome.database_cpu:.1f} s",
        "response, half of them up to": lambda outcome: milliseconds(quantile(outcome.responses, 0.5)),
        "response, 99 of 100 up to": lambda outcome: milliseconds(quantile(outcome.responses, 0.99)),
        "response, the longest": lambda outcome: milliseconds(quantile(outcome.responses, 1)),
    }
    lines = ["| | " + " | ".join(outcomes) + " |", "| --- |" + " ---: |" * len(outcomes)]
    for name, value in rows.items():
        lines.append(f"| {name} | " + " | ".join(str(value(outcome)) for outcome in outcomes.values()) + " |")
    return "\n".join(lines)


def milliseconds(seconds):
    return f"{seconds * 1000:,.1f} ms"


if __name__ == "__main__":
    main()
