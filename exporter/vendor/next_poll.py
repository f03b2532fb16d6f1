"""How long until an organisation is asked again, from how its poll went. Pure."""

import random

from exporter.errors import AuthError, PollError
from exporter.vendor.one_poll import Outcome

_JITTER = 0.05
_BACKOFF_BASE = 5.0
_MIN_BACKOFF = 1.0
_AUTH_RETRY = 900.0
# Early retries that a good poll earns back, as in gRPC's retry throttling (gRFC A6): a vendor that fails now and then
# is asked a tenth more often than a healthy one, at most.
_EARNED_BY_SUCCESS = 0.1
# By then the back-off of any interval that a config may have (10 years) has reached it.
_MOST_FAILURES = 32.0


def failures_after(outcome: Outcome, failures: float, *, interval: float) -> float:
    """What counts for the back-off after a poll: failed polls, of which every good one takes off a tenth.

    No more are counted than it takes to reach the interval, so that a long outage is forgiven as soon as a short one.
    """
    if not isinstance(outcome, PollError):
        return max(0.0, failures - _EARNED_BY_SUCCESS)
    return failures if _backoff(failures, interval) >= interval else failures + 1


def next_delay(
    outcome: Outcome,
    failures: float,
    *,
    interval: float,
    first: bool,
    refused_again: bool = False,
    rng: random.Random,
) -> float:
    """Seconds until an organisation's next poll.

    failures: by `failures_after`, with this poll. first: whether it was the first poll, asked of all at once; the
    second ones spread over an interval's length. refused_again: whether the poll before was refused for the
    credentials too. Backoff: exponential with full jitter while it is shorter than the interval
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), then the interval.
    """
    regular = interval * rng.uniform(1 - _JITTER, 1 + _JITTER)
    if not isinstance(outcome, PollError):
        return interval * rng.uniform(0.5, 1.5) if first else regular
    if isinstance(outcome, AuthError):
        # The first time as soon as any: what the vendor takes back at once must not make the data stale.
        return max(interval, _AUTH_RETRY) * rng.uniform(1, 1 + _JITTER) if refused_again else regular
    ceiling = _backoff(failures, interval)
    early = outcome.retryable and ceiling < interval
    wait = max(_MIN_BACKOFF, rng.uniform(0, ceiling)) if early else regular
    # What the vendor asks for is the least: a Retry-After of 0 must not make us hammer it.
    return wait if outcome.retry_after is None else max(outcome.retry_after + rng.uniform(0, _MIN_BACKOFF), wait)


def _backoff(failures: float, interval: float) -> float:
    ceiling: float = _BACKOFF_BASE * 2.0 ** (min(failures, _MOST_FAILURES) - 1)
    return min(interval, ceiling)
