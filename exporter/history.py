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
# A vendor may tell the new period before it sets its count to 0; for this long an unfallen count is the old period's.
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
    days: ascending by date, at most 31 (the last may be one that the first 30 push out).
    """

    since: datetime
    last_at: datetime
    last_requests: float
    period: BillingPeriod | None
    days: tuple[DailyUsage, ...] = ()


def observe(history: ObservedHistory | None, scope: ScopeUsage, now: datetime, zone: ZoneInfo) -> ObservedHistory:
    """The history after a poll that found `scope` at `now` (UTC)."""
    if history is None or history.last_at - now > _CLOCK_WAS_WRONG:
        return _begin(scope, now, zone)
    now = max(now, history.last_at)  # a clock set back stands still until it has caught up
    days = {day.date: day for day in history.days}
    used, start, period = _difference(history, scope, now)
    if used >= 0:
        _spread(days, used, start, now, zone, since=history.since)
    else:
        _take_off(days, -used)
    first = now.astimezone(zone).date() - timedelta(days=HISTORY_DAYS - 1)
    kept = tuple(days[key] for key in sorted(days) if key >= first)
    return replace(history, last_at=now, last_requests=scope.requests, period=period, days=kept)


def _begin(scope: ScopeUsage, now: datetime, zone: ZoneInfo) -> ObservedHistory:
    """Nothing is known of the days before; but a period that began today tells today's count in full."""
    today = now.astimezone(zone).date()
    start = scope.period.start if scope.period else None
    if start and start <= now and start == _midnight(today, zone):
        return ObservedHistory(start, now, scope.requests, scope.period, (DailyUsage(today, scope.requests),))
    return ObservedHistory(now, now, scope.requests, scope.period)


def _difference(
    history: ObservedHistory, scope: ScopeUsage, now: datetime
) -> tuple[float, datetime, BillingPeriod | None]:
    """(requests since the last poll, from when they count, the billing period that they are of)."""
    old, new = history.period, scope.period
    grown = scope.requests - history.last_requests
    moved = old is not None and new is not None and new.start > old.start
    if new is not None and moved and new.start >= history.last_at:
        if grown >= 0 and now - new.start <= _RESET_LAG:
            return grown, history.last_at, old
        return scope.requests, min(new.start, now), new
    over = old is None or moved or now >= old.end
    if over and scope.requests < history.last_requests * _RESET_BELOW:
        ended = old.end if old is not None and old.end <= now else history.last_at
        return scope.requests, max(history.last_at, ended), new
    return grown, history.last_at, new


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
