"""Which billing periods plans are compared over: what was watched of the scopes that a price list sells. Pure.

What cannot be compared is named with its reason, never left out in silence.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod, FetchedScope
from exporter.state.store import OrganisationState
from exporter.state.trust import LARGEST_GAP, PastPeriod

# A month is 28 to 31 days long.
_SHORTEST, _LONGEST = 0.88, 1.15
# Vendors begin a period some hours before or after the moment that they name.
_SLACK = timedelta(hours=6)
_HOURLY = timedelta(hours=23)

NOT_SOLD = "no plan lists it"
NO_PERIOD = "it has no billing period"
NOT_TOLD = "its usage is not told"
OTHER_LENGTH = "its billing period is of another length"
OTHER_START = "its billing period begins at another time"
NOT_WATCHED = "its end was not watched"
PARTLY = "only part of it was watched"
TOO_LONG = "it was longer than the present one"
NO_FORECAST = "how it will end is not known yet"
OVERLAPS = "the scopes' billing periods did not begin together"


@dataclass(frozen=True)
class WatchedPeriod:
    """usage: requests by scope, without growth. is_present: it goes on, and this is how it is likely to end."""

    name: str
    usage: dict[str, float]
    is_present: bool


@dataclass(frozen=True)
class Periods:
    """compared: ascending. left_out: other periods, with the reason. not_compared: scopes, with the reason."""

    compared: tuple[WatchedPeriod, ...]
    left_out: Mapping[str, str]
    not_compared: Mapping[str, str]


@dataclass(frozen=True)
class _Part:
    """What a scope used of a period. reason: why that is not all; "" where it is. Times are Unix seconds."""

    start: float
    end: float
    requests: float
    reason: str = ""
    is_present: bool = False


def periods_of(state: OrganisationState, sold: frozenset[str], now: datetime) -> Periods:
    """sold: the scopes that any plan has."""
    not_compared = {scope.usage.name: reason for scope in state.scopes if (reason := _unfit(scope, sold))}
    scopes = [
        (scope, scope.usage.period)
        for scope in state.scopes
        if scope.usage.name not in not_compared and scope.usage.period is not None
    ]
    # A price is of a billing period, not of an hour of it.
    longest = max((period.end - period.start for _, period in scopes), default=timedelta())
    shortest = longest * _SHORTEST
    begun = Counter(period.start for _, period in scopes if period.end - period.start >= shortest).most_common(1)
    found: dict[str, dict[str, _Part]] = {}
    for scope, period in scopes:
        if period.end - period.start < shortest:
            not_compared[scope.usage.name] = OTHER_LENGTH
        elif not _begin_together(period, begun[0][0], longest):
            not_compared[scope.usage.name] = OTHER_START
        else:
            for part in _parts(state, scope, period, now):
                found.setdefault(_name(part, state.target.time_zone), {})[scope.usage.name] = part
    left_out = _left_out(found, longest.total_seconds())
    compared = tuple(
        WatchedPeriod(
            name,
            {scope: part.requests for scope, part in found[name].items()},
            any(part.is_present for part in found[name].values()),
        )
        for name in sorted(found)
        if name not in left_out
    )
    return Periods(compared, left_out, not_compared)


def _unfit(scope: FetchedScope, sold: frozenset[str]) -> str:
    usage = scope.usage
    if usage.name not in sold:
        return NOT_SOLD
    if usage.requests is None:
        return NOT_TOLD
    return NO_PERIOD if usage.period is None else ""


def _begin_together(period: BillingPeriod, start: datetime, length: timedelta) -> bool:
    """Or one after the other: some scopes of a vendor begin the next period minutes before the others."""
    slack = length * LARGEST_GAP
    return any(abs(start - moment) <= slack for moment in (period.start, period.end, period.start - length))


def _parts(state: OrganisationState, scope: FetchedScope, period: BillingPeriod, now: datetime) -> Iterator[_Part]:
    """Of each of the scope's periods one, the newest first."""
    length = (period.end - period.start).total_seconds()
    watched = state.watched.get(scope.usage.name)
    past = watched.known.past if watched is not None else ()
    begun = period.start.timestamp() - length * LARGEST_GAP
    # A count that has begun again within the period has lost what was used before.
    lost = [each for each in past if each.start >= begun]
    yield _present(state, scope, period, now, lost)
    for part in _joined([each for each in past if each.start < begun], length):
        reason = part.reason
        if not reason and part.end - part.start < length * _SHORTEST:
            reason = PARTLY
        if not reason and part.end - part.start > length * _LONGEST:
            reason = TOO_LONG
        yield _Part(part.start, part.end, part.requests, reason)


def _joined(past: Iterable[PastPeriod], length: float) -> list[_Part]:
    """A count that begins again within a period makes two segments of one; the newest first."""
    found: list[_Part] = []
    for segment in sorted(past, key=lambda each: -each.start):
        part = _Part(segment.start, segment.end, segment.requests, "" if segment.is_whole else NOT_WATCHED)
        after = found[-1] if found else None
        if (
            after is not None
            and after.end - after.start < length * _SHORTEST
            and after.end - part.start <= length * _LONGEST
        ):
            found[-1] = _Part(part.start, after.end, part.requests + after.requests, part.reason or after.reason)
        else:
            found.append(part)
    return found


def _present(
    state: OrganisationState, scope: FetchedScope, period: BillingPeriod, now: datetime, lost: Iterable[PastPeriod]
) -> _Part:
    """The last period that was read, which may be over by now."""
    before = sum(each.requests for each in lost)
    so_far = scope.usage.requests or 0.0
    start, end = period.start.timestamp(), period.end.timestamp()
    if period.end - scope.fetched_at <= (period.end - period.start) * LARGEST_GAP:
        return _Part(start, end, before + so_far, is_present=now < period.end)
    if now >= period.end:
        return _Part(start, end, before + so_far, NOT_WATCHED)
    likely = state.outlook(scope, now).requests
    if likely is None:
        return _Part(start, end, before + so_far, NO_FORECAST)
    return _Part(start, end, before + max(so_far, round(likely.middle)), is_present=True)


def _left_out(found: Mapping[str, Mapping[str, _Part]], length: float) -> dict[str, str]:
    reasons = {
        name: next((part.reason for part in parts.values() if part.reason), "") for name, parts in found.items()
    }
    spans = sorted(
        (min(part.start for part in parts.values()), max(part.end for part in parts.values()), name)
        for name, parts in found.items()
        if not reasons[name]
    )
    for (_, end, name), (start, _, following) in pairwise(spans):
        if start < end - length * LARGEST_GAP:
            reasons[name] = reasons[following] = OVERLAPS
    return {name: reason for name, reason in sorted(reasons.items()) if reason}


def _name(part: _Part, zone: ZoneInfo) -> str:
    """A month as 2026-11, another period by its first day, a shorter one by its first minute."""
    start = datetime.fromtimestamp(part.start, UTC)
    if part.end - part.start < _HOURLY.total_seconds():
        return f"{start.astimezone(zone):%Y-%m-%dT%H:%M}"
    # Its vendor may count months by another clock than the config's.
    for clock in (zone, UTC):
        day = (start.astimezone(clock) + _SLACK).date()
        if day.day == 1:
            return f"{day:%Y-%m}"
    return f"{start.astimezone(zone):%Y-%m-%d}"
