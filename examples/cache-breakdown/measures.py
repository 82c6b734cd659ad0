"""What can be said of many responses and queries."""

import math


def quantile(responses, part):
    """The least time within which this part of the responses came."""
    times = sorted(time for _, time in responses)
    return times[math.ceil(part * len(times)) - 1]


def most_at_once(queries):
    return max(count for _, count in running(queries))


def running(queries):
    """How many queries run at once: each time at which that changes, and the number from then on."""
    changes = sorted([(began, 1) for began, _ in queries] + [(ended, -1) for _, ended in queries])
    counts, count = [(0.0, 0)], 0
    for time, change in changes:
        count += change
        counts.append((time, count))
    return counts
