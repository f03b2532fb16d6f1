"""What each day used, from differences of a count, for vendors that report no days. Pure.

A difference belongs to the days between the two polls, shared out evenly by time where a midnight lies between. How
much of a day may be wrong by that is kept beside it (its doubt); a day is exact while that is at most 1 % of it.
Times are Unix seconds; days are those of the api's time zone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from exporter.model import DailyUsage
from exporter.thresholds import HISTORY_DAYS

EXACT_RATIO = 0.01
# The doubt of a day of which only a part was seen. Finite, so that JSON and SQL can hold it.
UNKNOWN = 1e300


@dataclass(frozen=True, slots=True)
class Tally:
    """The days of one scope.

    days: ascending by date, at most 30; a day on which nothing was seen is absent.
    doubts: for each of them, by how many requests it may be wrong; UNKNOWN where only a part of it was seen.
    since: from when on all is seen; the day in which it lies is only partly known.
    opened, closed: when the newest day begins and ends; 0 where there is none.
    """

    since: float
    days: tuple[DailyUsage, ...] = ()
    doubts: tuple[float, ...] = ()
    opened: float = 0.0
    closed: float = 0.0

    def add(self, used: float, start: float, end: float, zone: ZoneInfo, doubt: float = 0.0) -> "Tally":
        """With `used` requests more (0 or more), made between start and end, on days in doubt by `doubt` more."""
        if self.opened <= start < self.closed and end <= self.closed:
            return self._with_newest(used, doubt)
        parts = list(_shares(used, start, end, zone))
        days, doubts = list(self.days), list(self.doubts)
        for day, share in parts:
            split = max(share, used - share) if len(parts) > 1 else 0.0
            self._put(days, doubts, DailyUsage(day, share), doubt + split, zone)
        return self._of(days, doubts, end, zone)

    def doubt(self, doubt: float, start: float, end: float, zone: ZoneInfo) -> "Tally":
        """With `doubt` on each known day between start and end."""
        if not doubt or not self.days:
            return self
        first, last = day_of(start, zone), day_of(end, zone)
        if day_start(last, zone) == end > start:  # a day that has not begun is not in doubt
            last -= timedelta(days=1)
        return self._changed(
            (day, _sum(known, doubt) if first <= day.date <= last else known)
            for day, known in zip(self.days, self.doubts, strict=True)
        )

    def take_off(self, used: float) -> "Tally":
        """A vendor's correction: taken off the newest days, which are in doubt by as much."""
        left = used
        changed = []
        for day, doubt in zip(reversed(self.days), reversed(self.doubts), strict=True):
            taken = min(left, day.requests)
            left -= taken
            changed.append((DailyUsage(day.date, day.requests - taken, day.exact), _sum(doubt, taken)))
        return self._changed(reversed(changed))

    def _with_newest(self, used: float, doubt: float) -> "Tally":
        day, known = self.days[-1], self.doubts[-1]
        doubt = _sum(known, doubt) if doubt else known
        requests = day.requests + used
        exact = doubt <= EXACT_RATIO * requests
        if not used and exact is day.exact and doubt == known:
            return self
        days = (*self.days[:-1], DailyUsage(day.date, requests, exact))
        return Tally(self.since, days, (*self.doubts[:-1], doubt), self.opened, self.closed)

    def _put(
        self, days: list[DailyUsage], doubts: list[float], share: DailyUsage, doubt: float, zone: ZoneInfo
    ) -> None:
        place = bisect_left(days, share.date, key=lambda day: day.date)
        if place == len(days) or days[place].date != share.date:
            partly = day_start(share.date, zone) < self.since
            days.insert(place, DailyUsage(share.date, 0.0))
            doubts.insert(place, UNKNOWN if partly else 0.0)
        doubts[place] = _sum(doubts[place], doubt)
        requests = days[place].requests + share.requests
        days[place] = DailyUsage(share.date, requests, doubts[place] <= EXACT_RATIO * requests)

    def _of(self, days: list[DailyUsage], doubts: list[float], now: float, zone: ZoneInfo) -> "Tally":
        today = day_of(now, zone)
        first = today - timedelta(days=HISTORY_DAYS - 1)
        old = sum(day.date < first for day in days)
        if days[-1].date == today:
            opened, closed = day_start(today, zone), day_start(today + timedelta(days=1), zone)
        else:  # the newest ends just now
            opened = closed = 0.0
        return Tally(self.since, tuple(days[old:]), tuple(doubts[old:]), opened, closed)

    def _changed(self, pairs: Iterable[tuple[DailyUsage, float]]) -> "Tally":
        days, doubts = [], []
        for day, doubt in pairs:
            exact = doubt <= EXACT_RATIO * day.requests
            days.append(day if exact is day.exact else DailyUsage(day.date, day.requests, exact))
            doubts.append(doubt)
        return Tally(self.since, tuple(days), tuple(doubts), self.opened, self.closed)


def _sum(one: float, other: float) -> float:
    return min(one + other, UNKNOWN)


def _shares(used: float, start: float, end: float, zone: ZoneInfo) -> Iterator[tuple[date, float]]:
    """(day, its share) for each day between start and end, the last 30 at most; whole requests stay whole."""
    total, shared = end - start, 0.0
    last = day_of(end, zone)
    if end > start and day_start(last, zone) == end:
        last -= timedelta(days=1)
    day = max(day_of(start, zone), last - timedelta(days=HISTORY_DAYS))
    while day < last:
        part = used * (day_start(day + timedelta(days=1), zone) - start) / total
        up_to = float(round(part)) if float(used).is_integer() else part
        yield day, up_to - shared
        shared = up_to
        day += timedelta(days=1)
    yield day, used - shared


def day_of(moment: float, zone: ZoneInfo) -> date:
    """The date in the zone; the same object for the same day, since there are many scopes."""
    return _date(datetime.fromtimestamp(moment, zone).toordinal())


@lru_cache(maxsize=1024)
def _date(ordinal: int) -> date:
    return date.fromordinal(ordinal)


@lru_cache(maxsize=1024)
def day_start(day: date, zone: ZoneInfo) -> float:
    """Unix time of the day's first instant."""
    return datetime.combine(day, time(), zone).timestamp()
