"""Months of daily counts replayed, as an exporter would have seen them: what was forecast, and what came.

Every 12 hours of a month a forecast is made from the 30 newest days, hourly counts of the last 2 and today's part,
against six limits. What is known for other methods (the pace so far, a library's seasonal baseline) is the same.
"""

import random
import time
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING

from benchmarks.series import DAYS_BEFORE, Month
from exporter.forecast import Forecast, Known, LimitState, forecast
from exporter.forecast.alert import Ticket, ticket_after
from exporter.model import BillingPeriod, DailyUsage

if TYPE_CHECKING:
    from types import ModuleType

DAYS = (1, 3, 5, 8, 12, 15, 20, 25)
ENDS_AT = (0.80, 0.90, 0.97, 1.03, 1.10, 1.20)
IN_TIME = timedelta(days=3)
_HOURS = 24
_STEP = 12
_POINT_HOURS = 2 * _HOURS
# What the pace's alert waited for: a tenth of the period.
_PACE_FROM = 0.10
_DRAWS = 400


@dataclass(frozen=True)
class Guess:
    """What one method said on one day. probabilities: for each of ENDS_AT, that the limit is reached."""

    low: float
    middle: float
    high: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Tickets:
    """What an alert did in one month against one limit. ends_at: where the month ended, as a part of the limit.

    before: how long before the limit was reached it first fired; None where it never did before, or there is no
    limit reached. fired: how often.
    """

    ends_at: float
    fired: int
    before: timedelta | None

    @property
    def in_time(self) -> bool:
        return self.before is not None and self.before >= IN_TIME


@dataclass(frozen=True)
class Replayed:
    """One month. guesses, paces, seasonal: by day, of DAYS; seasonal: {} where that was not asked.

    tickets, pace_tickets: for each of ENDS_AT. seconds: of processor time, one for each forecast.
    """

    month: Month
    guesses: dict[int, Guess]
    paces: dict[int, Guess]
    seasonal: dict[int, Guess]
    tickets: tuple[Tickets, ...]
    pace_tickets: tuple[Tickets, ...]
    seconds: tuple[float, ...]


class _Past:
    """A month as its vendor would report it: hourly counts and days. start: of the billing period."""

    def __init__(self, month: Month) -> None:
        self.month = month
        self.start = datetime(month.first.year, month.first.month, month.first.day, tzinfo=UTC)
        self.period = BillingPeriod(self.start, self.start + timedelta(days=len(month.counts)))
        self.daily = (*month.before, *month.counts)
        hourly = [count * part for count in self.daily for part in month.hours]
        # Rounded, as counts are, and falling to 0 where the period begins.
        before = _whole(hourly[: DAYS_BEFORE * _HOURS])
        self.counts = [*before, *_whole(hourly[DAYS_BEFORE * _HOURS :])[1:]]
        first = self.start - timedelta(days=DAYS_BEFORE)
        self.points = [((first + timedelta(hours=hour)).timestamp(), count) for hour, count in enumerate(self.counts)]
        # At the moment that the period begins, its count is 0.
        self.points[DAYS_BEFORE * _HOURS] = (self.start.timestamp(), 0.0)

    def known(self, hour: int) -> Known:
        """After so many hours of the period, without a limit."""
        at = DAYS_BEFORE * _HOURS + hour
        now = self.start + timedelta(hours=hour)
        days_over, of_today = divmod(at, _HOURS)
        dates = [now.date() - timedelta(days=back) for back in range(min(DAYS_BEFORE, days_over), 0, -1)]
        days = tuple(map(DailyUsage, dates, self.daily[max(0, days_over - DAYS_BEFORE) : days_over]))
        if of_today:
            midnight = self.points[at - of_today][1] if hour > of_today else 0.0
            days = (*days[1:], DailyUsage(now.date(), self.points[at][1] - midnight))
        points = tuple(self.points[max(0, at - _POINT_HOURS) : at + 1])
        return Known(now, UTC, self.points[at][1], None, self.period, days, points)

    def reached_at(self, limit: float) -> datetime | None:
        hour = bisect_left(self.points[DAYS_BEFORE * _HOURS :], limit, key=itemgetter(1))
        found = DAYS_BEFORE * _HOURS + hour
        return datetime.fromtimestamp(self.points[found][0], UTC) if found < len(self.points) else None


def _whole(hourly: Sequence[float]) -> list[float]:
    return [0.0, *(float(round(total)) for total in accumulate(hourly))]


def replay(month: Month, *, seasonal: bool = False) -> Replayed:
    """seasonal: whether the library's baseline is asked too, which takes it a second."""
    past = _Past(month)
    total = past.points[-1][1]
    limits = [total / part for part in ENDS_AT]
    guesses: dict[int, Guess] = {}
    watches = [_Watch(past, limit) for limit in limits]
    pace_watches = [_Watch(past, limit) for limit in limits]
    seconds = []
    for hour in range(_STEP, len(month.counts) * _HOURS, _STEP):
        known = past.known(hour)
        day, of_day = divmod(hour, _HOURS)
        asked = not of_day and day in DAYS
        found = []
        for limit, watch in zip(limits, watches, strict=True):
            if watch.over and not asked:
                continue
            before = time.thread_time()
            made = forecast(replace(known, limit=limit))
            seconds.append(time.thread_time() - before)
            found.append(made)
            watch.look(made, known.now)
        for limit, watch in zip(limits, pace_watches, strict=True):
            watch.look_at_pace(known, limit, hour / _HOURS / len(month.counts))
        if asked:
            guesses[day] = _guess(found)
    return Replayed(
        month,
        guesses,
        {day: _pace(past, day, limits) for day in guesses},
        {day: _seasonal(past, day, limits) for day in guesses} if seasonal else {},
        tuple(watch.tickets(part) for watch, part in zip(watches, ENDS_AT, strict=True)),
        tuple(watch.tickets(part) for watch, part in zip(pace_watches, ENDS_AT, strict=True)),
        tuple(seconds),
    )


class _Watch:
    """An alert over a month, for one limit."""

    def __init__(self, past: _Past, limit: float) -> None:
        self._period = past.period
        self._reached = past.reached_at(limit)
        self._ticket = Ticket()
        self._first: datetime | None = None
        self._fired = 0
        self.over = False

    def look(self, made: Forecast, now: datetime) -> None:
        before = self._ticket
        self._ticket = ticket_after(before, made, self._period, now)
        self._note(before.fires_at, self._ticket.fires_at)
        self.over = made.limit_state is LimitState.REACHED

    def look_at_pace(self, known: Known, limit: float, elapsed: float) -> None:
        """As the alert on the pace was: so far / elapsed over the limit, from a tenth of the period on."""
        before = self._ticket
        holds = elapsed >= _PACE_FROM and known.requests < limit < known.requests / elapsed
        self._ticket = Ticket(before.pending_since or known.now) if holds else Ticket()
        self._note(before.fires_at, self._ticket.fires_at)

    def _note(self, before: datetime | None, fires_at: datetime | None) -> None:
        """A condition that comes up holds until the next look at least, which is later than it waits."""
        if before is None and fires_at is not None and (self._reached is None or fires_at < self._reached):
            self._fired += 1
            self._first = self._first or fires_at

    def tickets(self, ends_at: float) -> Tickets:
        before = None if self._first is None or self._reached is None else self._reached - self._first
        return Tickets(ends_at, self._fired, before if ends_at > 1 else None)


def _guess(found: Sequence[Forecast]) -> Guess:
    requests = found[0].requests
    if requests is None:
        raise AssertionError(f"no forecast after 30 days: {found[0].unknown}")
    probabilities = tuple(each.over_limit_probability or 0.0 for each in found)
    return Guess(requests.low, requests.middle, requests.high, probabilities)


def _pace(past: _Past, day: int, limits: Sequence[float]) -> Guess:
    """Requests so far / the part of the period that has passed; over the limit or not."""
    total = past.known(day * _HOURS).requests / day * len(past.month.counts)
    return Guess(total, total, total, tuple(float(total > limit) for limit in limits))


def statsmodels() -> "ModuleType | None":
    """The library of the seasonal baseline, where it is installed."""
    try:
        from statsmodels.tsa.exponential_smoothing import ets  # noqa: PLC0415 - optional, and slow to load
    except ImportError:
        return None
    return ets  # type: ignore[no-any-return]


def _seasonal(past: _Past, day: int, limits: Sequence[float]) -> Guess:
    """Exponential smoothing with a week's season, fitted to the 30 newest days; its simulated futures, added up."""
    ets = statsmodels()
    if ets is None:
        raise AssertionError("asked without the library")
    known = past.known(day * _HOURS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that did not converge: it is taken as it is
        model = ets.ETSModel(
            _array([each.requests for each in known.days]),
            error="add",
            trend=None,
            seasonal="add",
            seasonal_periods=7,
        )
        fitted = model.fit(disp=False, maxiter=60)
        errors = random.Random(day)
        deviation = fitted.mse**0.5
        ahead = len(past.month.counts) - day
        drawn = [[errors.gauss(0, deviation) for _ in range(_DRAWS)] for _ in range(ahead)]
        futures = fitted.simulate(ahead, anchor="end", repetitions=_DRAWS, random_errors=_array(drawn))
    totals = sorted(known.requests + sum(max(0.0, float(value)) for value in future) for future in futures.T)
    probabilities = tuple(sum(total >= limit for total in totals) / _DRAWS for limit in limits)
    low, middle, high = (totals[int(part * _DRAWS)] for part in (0.1, 0.5, 0.9))
    return Guess(low, middle, high, probabilities)


def _array(values: Sequence[object]) -> object:
    import numpy as np  # noqa: PLC0415 - comes with the library

    return np.array(values)
