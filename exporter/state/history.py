"""Daily history made from polls, for vendors that report none. Pure.

What a scope used between two polls is the difference of its counts. It belongs to the days between them, shared
out evenly by time where a midnight lies between (with minutes between polls, the error is at most what was used in
one poll interval). A new billing period counts from 0 again; a fall within a period is a vendor's correction and
is taken off the latest days.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod, DailyUsage, ScopeUsage
from exporter.thresholds import HISTORY_DAYS

# Without a known billing period, a fall below this part of the last count is a new period, not a correction.
_RESET_BELOW = 0.5
# For this long, and at most a quarter of the period, a count that has not fallen may be the old period's.
_RESET_LAG = timedelta(hours=1)
# A day that a longer gap between two polls lies on is marked as not exact.
_EXACT_GAP = timedelta(hours=1)
# A history from further in the future was counted while the clock was wrong; waiting for it could take years.
_CLOCK_WAS_WRONG = timedelta(days=1)


@dataclass(frozen=True)
class ObservedHistory:
    """What one scope was seen to use.

    since: when watching began; its day is only partly known.
    last_at, last_requests, period: the last poll, from which the next difference is taken.
    before_rollover: the last count before a new period was reported, while it is open whether the vendor has set its
        count to 0 already; None when nothing is open.
    days: ascending by date, at most 31 (the last may be one that the first 30 push out).
    """

    since: datetime
    last_at: datetime
    last_requests: float
    period: BillingPeriod | None
    days: tuple[DailyUsage, ...] = ()
    before_rollover: float | None = None


@dataclass(frozen=True)
class _Difference:
    """Requests since the last poll, from when they count, and what the history is to remember."""

    used: float
    start: datetime
    period: BillingPeriod | None
    before_rollover: float | None = None


def observe(history: ObservedHistory | None, scope: ScopeUsage, now: datetime, zone: ZoneInfo) -> ObservedHistory:
    """The history after a poll that found `scope` at `now` (UTC)."""
    if history is None or history.last_at - now > _CLOCK_WAS_WRONG:
        return _begin(scope, now, zone)
    now = max(now, history.last_at)  # a clock set back stands still until it has caught up
    days = {day.date: day for day in history.days}
    difference = _difference(history, scope, now)
    if difference.used >= 0:
        _spread(days, difference.used, difference.start, now, zone, since=history.since)
    else:
        _take_off(days, -difference.used)
    first = now.astimezone(zone).date() - timedelta(days=HISTORY_DAYS - 1)
    kept = tuple(days[key] for key in sorted(days) if key >= first)
    return replace(
        history,
        last_at=now,
        last_requests=scope.requests,
        period=difference.period,
        before_rollover=difference.before_rollover,
        days=kept,
    )


def _begin(scope: ScopeUsage, now: datetime, zone: ZoneInfo) -> ObservedHistory:
    """Nothing is known of the days before; but the count of a period that began today is today's in full."""
    today = now.astimezone(zone).date()
    start = scope.period.start if scope.period else None
    if start and start <= now and start == _midnight(today, zone):
        return ObservedHistory(start, now, scope.requests, scope.period, (DailyUsage(today, scope.requests),))
    return ObservedHistory(now, now, scope.requests, scope.period)


def _difference(history: ObservedHistory, scope: ScopeUsage, now: datetime) -> _Difference:
    old, new, last = history.period, scope.period, history.last_requests
    grown = _Difference(scope.requests - last, history.last_at, new)
    if old is not None and new is not None and new.start > old.start:
        fallen = scope.requests < last
        open_still = not fallen and now - new.start <= min(_RESET_LAG, (new.end - new.start) / 4)
        if history.before_rollover is not None:
            return _after_rollover(history, history.before_rollover, scope, new, open_still)
        if new.start >= history.last_at:
            # A vendor may report the new period before it sets its count to 0: what has not fallen may be either's.
            if open_still:
                return _Difference(0.0, history.last_at, old, last)
            return _Difference(scope.requests, min(new.start, now), new)
    over = old is None or now >= old.end or (new is not None and new.start > old.start)
    if over and scope.requests < last * _RESET_BELOW:
        ended = old.end if old is not None and old.end <= now else history.last_at
        return _Difference(scope.requests, max(history.last_at, ended), new)
    return grown


def _after_rollover(
    history: ObservedHistory, before: float, scope: ScopeUsage, new: BillingPeriod, open_still: bool
) -> _Difference:
    """While it is open whose count it is, nothing is counted; a fall, or its absence for long enough, decides."""
    if open_still:
        return _Difference(0.0, history.last_at, history.period, before)
    late = history.last_requests - before if scope.requests < history.last_requests else 0.0
    return _Difference(scope.requests + late, new.start, new)


def _spread(
    days: dict[date, DailyUsage], used: float, start: datetime, end: datetime, zone: ZoneInfo, *, since: datetime
) -> None:
    """Share `used` out over the days from start to end, whole requests staying whole."""
    total = (end - start).total_seconds()
    long_gap = end - start > _EXACT_GAP
    shared = 0.0
    parts = list(_parts(start, end, zone))
    for day, until in parts:
        part = used * (until - start).total_seconds() / total if total else used
        up_to = used if until == end else (round(part) if float(used).is_integer() else part)
        partial = day == since.astimezone(zone).date() and since > _midnight(day, zone)
        before = days.get(day, DailyUsage(day, 0.0))
        exact = before.exact and not partial and not (long_gap and len(parts) > 1)
        days[day] = DailyUsage(day, before.requests + up_to - shared, exact)
        shared = up_to


def _parts(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[date, datetime]]:
    """(day, the part's end) for each day that the time from start to end touches; the last 30 days at most."""
    day = max(start.astimezone(zone).date(), end.astimezone(zone).date() - timedelta(days=HISTORY_DAYS))
    while (midnight := _midnight(day + timedelta(days=1), zone)) < end:
        yield day, midnight
        day += timedelta(days=1)
    yield day, end


def _take_off(days: dict[date, DailyUsage], correction: float) -> None:
    for day in sorted(days, reverse=True):
        taken = min(correction, days[day].requests)
        days[day] = replace(days[day], requests=days[day].requests - taken)
        correction -= taken
        if correction <= 0:
            return


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
