"""What burns too fast to wait for a forecast: the decisions of ApiUsageRunsOutSoon and ApiUsageBurningFast. Pure.

Made at each poll and published where they hold, so that rules need not work them out of every scope's paces again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.forecast.model import Forecast, Paces
from exporter.model import BillingPeriod, ScopeUsage
from exporter.thresholds import (
    BURNING_FAST_TIMES,
    RUNS_OUT_HOUR_TIMES,
    RUNS_OUT_LIKELY_PROBABILITY,
    RUNS_OUT_WITHIN_SECONDS,
)

_SOON = timedelta(seconds=RUNS_OUT_WITHIN_SECONDS)
_MINUTE = timedelta(minutes=1)
# Longer than any billing period, and no overflow of a timedelta.
_LONGEST_MINUTES = 1e8


@dataclass(frozen=True, slots=True)
class Burning:
    """runs_out_at: when the limit is reached at the pace of the last minutes, where that is soon; else None.

    burn_rate: how many times an even share of the limit the last 24 hours used, where that is too much; else None.
    """

    runs_out_at: datetime | None = None
    burn_rate: float | None = None


NOT_BURNING = Burning()


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is left of a limit: requests > 0, until the period ends."""

    requests: float
    limit: float
    period: BillingPeriod

    def lasts(self, pace: float | None) -> timedelta | None:
        """How long at a pace of requests a minute; None where that is not known, or for ever."""
        return min(self.requests / pace, _LONGEST_MINUTES) * _MINUTE if pace else None

    def times_even(self, pace: float) -> float:
        """A pace of requests a minute, as times of the one that would use just the limit."""
        return pace * ((self.period.end - self.period.start) / _MINUTE) / self.limit


def burning(usage: ScopeUsage, made: Forecast, now: datetime, before: Burning = NOT_BURNING) -> Burning:
    """now: when it was read. before: what was found at the poll before."""
    if not usage.limit or usage.requests is None or usage.requests >= usage.limit or usage.period is None:
        return NOT_BURNING
    rest = _Rest(usage.limit - usage.requests, usage.limit, usage.period)
    return Burning(_runs_out_at(rest, made, now, before), _burn_rate(rest, made.paces, now))


def _runs_out_at(rest: _Rest, made: Forecast, now: datetime, before: Burning) -> datetime | None:
    """Two windows: the pace of the last minutes, which is the slower one's of two stretches of 5 minutes (or of two
    polls where these are rarer), so that nothing that came once is a pace; and that of the last hour.

    Of the hour a part is enough: 10 minutes after a runaway began, its average has risen to a sixth, and to wait for
    the whole would page 50 minutes later. The forecast may say that such a pace has ended soon before, as that of a
    nightly batch does. What was found stands without the hour, which is not known after an outage of polls.
    """
    soon = min(rest.period.end - now, _SOON)
    left, by_hour = rest.lasts(made.paces.recent), rest.lasts(made.paces.hour)
    if left is None or left > soon:
        return None
    if before.runs_out_at is None and (by_hour is None or by_hour > RUNS_OUT_HOUR_TIMES * soon):
        return None
    probability, earliest = made.over_limit_probability, made.reached.earliest
    is_unlikely = probability is not None and probability < RUNS_OUT_LIKELY_PROBABILITY
    is_late = earliest is not None and earliest > now + _SOON
    return None if is_unlikely or is_late else now + left


def _burn_rate(rest: _Rest, paces: Paces, now: datetime) -> float | None:
    """Only where the rest would not last at the day's pace, and not once the last minutes are down to their share."""
    left = rest.lasts(paces.day)
    if paces.day is None or left is None or left >= rest.period.end - now:
        return None
    times = rest.times_even(paces.day)
    is_over = paces.recent is not None and rest.times_even(paces.recent) < 1
    return times if times >= BURNING_FAST_TIMES and not is_over else None
