"""How many requests were refused over the rate limit in the last hour, from a count that only grows. Pure.

In memory alone: after a restart the hour begins anew.
"""

from datetime import datetime, timedelta
from itertools import pairwise

HOUR = timedelta(hours=1)

# (when it was read, refused in the billing period by then), ascending; of equal counts only the first.
Refusals = tuple[tuple[datetime, float], ...]


def with_count(known: Refusals, at: datetime, refused: float) -> Refusals:
    """With a poll's count, and without those before the last hour but the newest of them."""
    if known and known[-1][1] == refused:
        return _recent(known, at)
    return _recent((*known, (at, refused)), at)


def _recent(known: Refusals, now: datetime) -> Refusals:
    old = sum(at <= now - HOUR for at, _ in known)
    return known[max(0, old - 1) :]


def in_last_hour(known: Refusals, now: datetime) -> float:
    """Refused since an hour ago, or since the first count where that is less. A fall is a new billing period."""
    counts = [refused for _, refused in _recent(known, now)]
    return sum(after - before if after >= before else after for before, after in pairwise(counts))
