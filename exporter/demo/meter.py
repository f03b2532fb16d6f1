"""The simulated vendor's counts: every call is metered, limits are enforced. Plain Python, an injected clock.

What it does as real vendors do:
- The rate limit is a fixed window per calendar minute. It is what "requests per minute" says, Retry-After can be
  exact (the start of the next minute), and with a clock in hand it is predictable. The price, up to twice the limit
  around a minute's turn, is one that many vendors pay as well.
- Only served requests count, towards the period, the day and the minute; `rejected` counts those over the rate limit.
- The billing period is the calendar month, days are days, all in UTC.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from threading import Lock
from typing import TypeAlias

from exporter.demo.accounts import ACCOUNTS, OrganisationAccount, ScopeAccount

Clock: TypeAlias = Callable[[], datetime]

# Any number: the same one gives the same past, so that pictures and tests stay comparable.
SEED = 2026
HISTORY_DAYS = 30
# The history's first day lies in a month whose earlier days are needed too, to know what its period held by then.
KEEP_DAYS = HISTORY_DAYS + 31
# The vendor reports requests as JSON numbers, which are exact up to 2**53.
MAX_REQUESTS = 2**53

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

# Share of a working day's requests, Monday first.
WEEKDAY_SHARES = (0.97, 1.03, 1.05, 1.02, 0.93, 0.45, 0.38)
WEEK_MEAN = sum(WEEKDAY_SHARES) / len(WEEKDAY_SHARES)
# How far days scatter around their weekday's share: visible, and never another weekday's.
JITTER = 0.08
# Part of a hard limit that the months before the current one used at most.
EARLIER_LIMIT_RATIO = 0.9
# On the first days of a month these days carry the whole period's usage; the earlier days then look like a month
# in which it would have taken this many.
MIN_TYPICAL_DAYS = 20
# Of a day that has just begun, so that nothing is divided by 0.
MIDNIGHT_SHARE = 1e-9


class UnknownAccountError(LookupError):
    """There is no such organisation, or it has no such scope."""


@dataclass(frozen=True)
class Period:
    """A billing period: start <= t < end, aware and in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Accepted:
    """The request was served and counted."""


@dataclass(frozen=True)
class RateLimited:
    """Refused over the rate limit; retry_after: seconds until the next minute, at least 1."""

    rate_limit_per_minute: int
    retry_after: int


@dataclass(frozen=True)
class LimitReached:
    """Refused over the hard period limit, until `resets_at`."""

    limit: int
    resets_at: datetime


Outcome: TypeAlias = Accepted | RateLimited | LimitReached


@dataclass(frozen=True)
class ScopeState:
    """What the vendor knows of one scope at one time.

    requests, rejected: in the current period.
    daily: (date, requests) ascending, every date since the account's first day, at most 30; empty for a new account.
    """

    account: ScopeAccount
    requests: int
    rejected: int
    period: Period
    daily: tuple[tuple[date, int], ...]


@dataclass(frozen=True)
class RecordPoint:
    """What the usage endpoint would have reported at a time in the past.

    requests: in the period until then. limit: None is unlimited.
    """

    at: datetime
    requests: int
    limit: int | None
    period: Period


@dataclass(frozen=True)
class ScopeRecord:
    """One scope's past; points ascend in time, and fall only where a period starts."""

    organisation: OrganisationAccount
    scope: ScopeAccount
    points: tuple[RecordPoint, ...]


def utc_now() -> datetime:
    return datetime.now(UTC)


def period_of(day: date) -> Period:
    """The calendar month that the day lies in."""
    first = day.replace(day=1)
    return Period(_midnight(first), _midnight((first + 31 * DAY).replace(day=1)))


def seeded_days(account: ScopeAccount, key: str, now: datetime) -> dict[date, int]:
    """Requests by date, ascending, from the start of the month 30 days ago until now.

    The current month's days sum up to `account.used` exactly, on any date. key: identifies the scope;
    the same key and time give the same days.
    """
    today = now.date()
    first = (today - (HISTORY_DAYS - 1) * DAY).replace(day=1)
    shares = {day: _share_of(day, key) for day in _dates(first, today)}
    shares[today] *= max(_day_curve(now), MIDNIGHT_SHARE)
    current = {day: share for day, share in shares.items() if day >= today.replace(day=1)}
    typical = _typical_requests(account, sum(current.values()))
    earlier = {day: round(typical * share) for day, share in shares.items() if day not in current}
    return earlier | _spread(account.used, current)


def _typical_requests(account: ScopeAccount, current_shares: float) -> float:
    """Requests of a day with a share of 1 in the months before the current one."""
    typical = account.used / max(current_shares, MIN_TYPICAL_DAYS * WEEK_MEAN)
    if account.limit is None:
        return typical
    most = EARLIER_LIMIT_RATIO * account.limit if account.hard_limit else account.used
    return min(typical, most / (31 * WEEK_MEAN))


def _share_of(day: date, key: str) -> float:
    # One generator a day: a day's share does not depend on where the history begins.
    jitter = random.Random(f"{key}/{day.isoformat()}").uniform(-JITTER, JITTER)
    return WEEKDAY_SHARES[day.weekday()] * (1 + jitter)


def _spread(total: int, shares: Mapping[date, float]) -> dict[date, int]:
    """Integers in proportion to the shares, not all 0, that sum up to total exactly: the running sum is rounded."""
    running = list(accumulate(shares.values()))
    until = [round(total * (seen / running[-1])) for seen in running]
    return {day: end - start for day, start, end in zip(shares, [0, *until], until, strict=False)}


def _day_curve(at: datetime) -> float:
    """Which part of a day's requests has been made by then: 0 at midnight, rising always, fastest at noon."""
    turn = math.tau * ((at - _midnight(at.date())) / DAY)
    return (turn - 0.7 * math.sin(turn)) / math.tau


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _dates(first: date, last: date) -> Iterator[date]:
    return (first + n * DAY for n in range((last - first).days + 1))


class _Counter:
    """One scope's counts. Not thread-safe: the Meter's lock is held around every use."""

    def __init__(self, account: ScopeAccount, key: str, now: datetime) -> None:
        self.account = account
        self.days = seeded_days(account, key, now) if account.has_history else {}
        self.first_day = min(self.days, default=None)
        self._rejected = (period_of(now.date()), account.rejected)
        self._minute = (now.replace(second=0, microsecond=0), 0)

    def request(self, now: datetime) -> Outcome:
        minute, served = self._this_minute(now)
        rate_limit = self.account.rate_limit_per_minute
        if rate_limit is not None and served >= rate_limit:
            self._rejected = (period_of(now.date()), self.rejected(now) + 1)
            wait = minute + timedelta(minutes=1) - now
            return RateLimited(rate_limit, math.ceil(wait.total_seconds()))
        limit = self.account.limit
        if limit is not None and self.account.hard_limit and self.used(now) >= limit:
            return LimitReached(limit, period_of(now.date()).end)
        self._minute = (minute, served + 1)
        self._set_day(now.date(), self.days.get(now.date(), 0) + 1)
        return Accepted()

    def used(self, now: datetime) -> int:
        return sum(self._period_days(now).values())

    def rejected(self, now: datetime) -> int:
        period, count = self._rejected
        return count if period == period_of(now.date()) else 0

    def set_used(self, requests: int, now: datetime) -> None:
        """Today takes what the period's earlier days leave; if they hold too much already, they shrink alike."""
        today = now.date()
        earlier = {day: count for day, count in self._period_days(now).items() if day != today}
        if requests < sum(earlier.values()):
            earlier = _spread(requests, earlier)
            self.days.update(earlier)
        self._set_day(today, requests - sum(earlier.values()))

    def state(self, now: datetime) -> ScopeState:
        today = now.date()
        shown: Iterator[date] = iter(())
        if self.first_day is not None:
            shown = _dates(max(self.first_day, today - (HISTORY_DAYS - 1) * DAY), today)
        daily = tuple((day, self.days.get(day, 0)) for day in shown)
        return ScopeState(self.account, self.used(now), self.rejected(now), period_of(today), daily)

    def _this_minute(self, now: datetime) -> tuple[datetime, int]:
        minute = now.replace(second=0, microsecond=0)
        return self._minute if self._minute[0] == minute else (minute, 0)

    def _period_days(self, now: datetime) -> dict[date, int]:
        first = now.date().replace(day=1)
        return {day: count for day, count in self.days.items() if first <= day <= now.date()}

    def _set_day(self, today: date, requests: int) -> None:
        if today not in self.days:
            self.days = {day: count for day, count in self.days.items() if day > today - KEEP_DAYS * DAY}
        self.days[today] = requests
        self.first_day = self.first_day or today


class Meter:
    """Counts requests of every account, and refuses those over a limit. Thread-safe.

    clock: gives the time, aware. A month's turn starts usage again from 0; daily history stays.
    The same accounts, seed and time give the same history.
    """

    def __init__(
        self, accounts: Sequence[OrganisationAccount] = ACCOUNTS, *, clock: Clock = utc_now, seed: int = SEED
    ) -> None:
        self._clock = clock
        self._lock = Lock()
        self._organisations = {organisation.id: organisation for organisation in accounts}
        now = self._now()
        self._counters = {
            (organisation.id, scope.id): _Counter(scope, f"{seed}/{organisation.id}/{scope.id}", now)
            for organisation in accounts
            for scope in organisation.scopes
        }

    @property
    def organisations(self) -> tuple[OrganisationAccount, ...]:
        return tuple(self._organisations.values())

    def organisation(self, organisation_id: str) -> OrganisationAccount:
        """UnknownAccountError if there is none with the id."""
        if organisation_id not in self._organisations:
            raise UnknownAccountError(f"There is no organisation {organisation_id!r}.")
        return self._organisations[organisation_id]

    def request(self, organisation_id: str, scope_id: str) -> Outcome:
        """Serve and count one request, or say why not. UnknownAccountError if there is no such scope."""
        counter = self._counter(organisation_id, scope_id)
        with self._lock:
            return counter.request(self._now())

    def scope(self, organisation_id: str, scope_id: str) -> ScopeState:
        """UnknownAccountError if there is no such scope."""
        counter = self._counter(organisation_id, scope_id)
        with self._lock:
            return counter.state(self._now())

    def usage(self, organisation_id: str) -> tuple[ScopeState, ...]:
        """All scopes of the organisation, at one time. UnknownAccountError if there is none with the id."""
        organisation = self.organisation(organisation_id)
        with self._lock:
            now = self._now()
            return tuple(self._counters[organisation.id, scope.id].state(now) for scope in organisation.scopes)

    def set_usage(self, organisation_id: str, scope_id: str, requests: int) -> None:
        """Make the current period's usage so many requests, today's first: for alert tests and demonstrations.

        UnknownAccountError if there is no such scope, ValueError unless 0 <= requests <= 2**53.
        """
        if not 0 <= requests <= MAX_REQUESTS:
            raise ValueError(f"requests is {requests}, not from 0 to {MAX_REQUESTS}")
        counter = self._counter(organisation_id, scope_id)
        with self._lock:
            counter.set_used(requests, self._now())

    def records(self, step: timedelta = HOUR) -> Iterator[ScopeRecord]:
        """Every scope's last 30 days, to backfill a Prometheus with: one point a step from midnight, and now.

        Points agree with the daily counts at every midnight and now. Prometheus sees a sample for 5 minutes only:
        for lines without gaps take steps shorter than that. A new account has no points.
        ValueError unless step > 0.
        """
        if step <= timedelta(0):
            raise ValueError(f"step is {step}, not above 0")
        for organisation in self.organisations:
            for scope in organisation.scopes:
                yield ScopeRecord(organisation, scope, self._points(organisation.id, scope.id, step))

    def _counter(self, organisation_id: str, scope_id: str) -> _Counter:
        counter = self._counters.get((organisation_id, scope_id))
        if counter is None:
            raise UnknownAccountError(f"There is no scope {scope_id!r} of an organisation {organisation_id!r}.")
        return counter

    def _points(self, organisation_id: str, scope_id: str, step: timedelta) -> tuple[RecordPoint, ...]:
        counter = self._counter(organisation_id, scope_id)
        with self._lock:
            now, days, first_day = self._now(), dict(counter.days), counter.first_day
        if first_day is None:
            return ()
        first = max(first_day, now.date() - (HISTORY_DAYS - 1) * DAY)
        points: list[RecordPoint] = []
        for day in _dates(first, now.date()):
            points += _points_of_day(day, days, counter.account.limit, now, step)
        return tuple(points)

    def _now(self) -> datetime:
        now = self._clock()
        if now.tzinfo is None:
            raise ValueError("the clock's time has no time zone")
        return now.astimezone(UTC)


def _points_of_day(
    day: date, days: Mapping[date, int], limit: int | None, now: datetime, step: timedelta
) -> Iterator[RecordPoint]:
    period = period_of(day)
    before = sum(count for other, count in days.items() if period.start.date() <= other < day)
    requests = days.get(day, 0)
    is_today = day == now.date()
    # Today's requests have all been made by now; another day's by its end.
    made_by_now = (_day_curve(now) or 1.0) if is_today else 1.0
    at, end = _midnight(day), now if is_today else _midnight(day + DAY)
    while at < end:
        yield RecordPoint(at, before + math.floor(requests * (_day_curve(at) / made_by_now)), limit, period)
        at += step
    if is_today:
        yield RecordPoint(now, before + requests, limit, period)
