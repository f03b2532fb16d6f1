"""What the points of the last days say: paces, how long one has held, how seldom a vendor counts. Pure.

Many vendors update their figures every 45 minutes or once a day. Their counts are a staircase, and the height of its
last step says nothing about the last hour.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from math import inf
from statistics import median

from exporter.forecast.model import Paces
from exporter.model import BillingPeriod

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
# Two stretches of this length are the last minutes, or of two polls where these are rarer.
_MINUTES = 300.0
# Without a known period between them, a fall below this part of the last count is a new period, not a correction.
_RESET_BELOW = 0.5
# A window may be measured over so much less than its length, or more, since polls do not fall on its edge.
_COVERED = 0.8
# A count that changes this many times less often than it is read is a staircase, for windows under two of its steps.
_STAIRS = 2.5
_FEWEST_POINTS, _FEWEST_CHANGES = 6, 3
# How far back stretches like the present one are looked for.
_LOOK_BACK = 3 * DAY
# A pace has held as long as no stretch of its window's length fell below this part of it.
_HELD = 0.5


def significant(value: float) -> float:
    """An estimate without the digits that nobody knows: six are far more than it is sure to."""
    return float(f"{value:.6g}")


@dataclass(frozen=True)
class Run:
    """How long a pace has held without a break, and the longest such stretch before; in hours."""

    hours: float
    longest_before: float


class Recent:
    """The points as one growing count. times: Unix seconds; totals: requests since the first point."""

    def __init__(self, points: Sequence[tuple[float, float]], period: BillingPeriod | None) -> None:
        self.times = [at for at, _ in points]
        self.totals = _totals(points, period)
        self.update_seconds = _update_seconds(self.times, self.totals)

    @property
    def now(self) -> float:
        return self.times[-1]

    def total_at(self, moment: float) -> float:
        """Between two points as if requests came evenly."""
        after = bisect_right(self.times, moment)
        if after == 0:
            return self.totals[0]
        if after == len(self.times):
            return self.totals[-1]
        start, end = self.times[after - 1], self.times[after]
        part = (moment - start) / (end - start)
        return self.totals[after - 1] + part * (self.totals[after] - self.totals[after - 1])

    def pace(self, window: float) -> float | None:
        """Requests a minute over the last `window` seconds; None where the points are too short or too coarse."""
        start = self._start(len(self.times) - 1, window)
        if start is None or (self.update_seconds is not None and window < 2 * self.update_seconds):
            return None
        return significant(max(0.0, self.totals[-1] - self.totals[start]) / (self.now - self.times[start]) * 60)

    def _start(self, end: int, window: float) -> int | None:
        """The place of the point that lies about so long before the one at `end`; None where none does.

        When what lies between two points was used, nobody knows.
        """
        if end < 1:
            return None
        until = self.times[end]
        later = bisect_right(self.times, until - window, hi=end)
        if later and until - self.times[later - 1] <= window / _COVERED:
            return later - 1
        return later if later < end and until - self.times[later] >= _COVERED * window else None

    @property
    def paces(self) -> Paces:
        return Paces(self._recent, self.pace(HOUR), self.pace(DAY), self.pace(WEEK))

    @property
    def _recent(self) -> float | None:
        """Requests a minute over the slower half of `minutes`: what came at once, and once, is no pace.

        So the return of a count that had been corrected is none, nor the first step of a staircase.
        """
        if self.update_seconds is not None:
            return self.pace(self.minutes) if self.minutes <= HOUR else None
        end = len(self.times) - 1
        middle = self._half_before(end)
        start = None if middle is None else self._half_before(middle)
        if middle is None or start is None:
            return None
        return significant(
            60
            * min(
                max(0.0, self.totals[until] - self.totals[since]) / (self.times[until] - self.times[since])
                for since, until in ((start, middle), (middle, end))
            )
        )

    def _half_before(self, end: int) -> int | None:
        """As `_start`; where a poll failed, the one before it, up to an hour before."""
        start = self._start(end, self.minutes / 2)
        if start is None and end > 0 and self.times[end] - self.times[end - 1] <= HOUR:
            return end - 1
        return start

    @property
    def minutes(self) -> float:
        """The length of the last minutes, in seconds: 10 minutes, or two updates where these are rarer."""
        return 2 * max(_MINUTES, self._poll_seconds, self.update_seconds or 0.0)

    @property
    def still_going(self) -> bool:
        """Whether the last minutes go on as the last hour did."""
        hour, minutes = self.pace(HOUR), self._recent
        return hour is not None and (minutes is None or minutes >= _HELD * hour)

    @property
    def _poll_seconds(self) -> float:
        newest = self.times[-_FEWEST_POINTS:]
        return median(after - before for before, after in pairwise(newest)) if len(newest) > 1 else 0.0

    def run(self, pace: float, step: float = HOUR) -> Run:
        """Since when no stretch of `step` seconds was under half of `pace` (requests a minute); the like before."""
        enough = _HELD * pace * step / 60
        steps = int(min(_LOOK_BACK, self.now - self.times[0]) / step)
        edges = [self.total_at(self.now - back * step) for back in range(steps + 1)]
        held = [newer - older >= enough for newer, older in pairwise(edges)]
        present = held.index(False) if False in held else len(held)
        longest = stretch = 0
        for each in held[present:]:
            stretch = stretch + 1 if each else 0
            longest = max(longest, stretch)
        return Run(present * step / HOUR, longest * step / HOUR)

    def part_of_day(self, now: datetime, zone: tzinfo) -> float:
        """Which part of a day's requests has usually come by this time of the day, 0 to 1.

        From the whole days that the points cover; one day of an even spread is added, so that one odd day is not law.
        """
        local = now.astimezone(zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        length = ((midnight + timedelta(days=1)).astimezone(UTC) - midnight.astimezone(UTC)).total_seconds()
        even = min(1.0, (now - midnight.astimezone(UTC)).total_seconds() / length)
        if not self.times:
            return even
        by_now = whole = 0.0
        days = 0
        start = midnight - timedelta(days=1)
        while start.astimezone(UTC).timestamp() >= self.times[0]:
            first = start.astimezone(UTC).timestamp()
            total = self.total_at(first)
            by_now += self.total_at(first + even * DAY) - total
            whole += self.total_at(first + DAY) - total
            days += 1
            start -= timedelta(days=1)
        if whole <= 0:
            return even
        return min(1.0, max(0.0, (by_now + even * whole / days) / (whole + whole / days)))


def _totals(points: Sequence[tuple[float, float]], period: BillingPeriod | None) -> list[float]:
    totals = [0.0] if points else []
    start = inf if period is None else period.start.timestamp()
    total = 0.0
    for (at_before, before), (at, after) in pairwise(points):
        grown = after - before
        if grown < 0 and (at_before < start <= at or after < _RESET_BELOW * before):
            grown = after
        total += grown
        totals.append(total)
    return totals


def _update_seconds(times: Sequence[float], totals: Sequence[float]) -> float | None:
    """The time between two changes of the count, where that is much longer than between two points; else None.

    From the last hours where they hold enough changes, since older points may be thinned. Of a count that has changed
    but once, it is at least as long as it stood still.
    """
    changed: list[float] = []
    poll = 0.0
    for hours in (4, 24, 24 * 8):
        first = bisect_right(times, times[-1] - hours * HOUR) if times else 0
        recent, counts = times[first:], totals[first:]
        if len(recent) < _FEWEST_POINTS:
            continue
        changed = [at for at, (before, after) in zip(recent[1:], pairwise(counts), strict=True) if before < after]
        poll = median(after - before for before, after in pairwise(recent))
        if len(changed) >= _FEWEST_CHANGES:
            break
    if not changed or _in_succession(counts):
        return None
    if len(changed) == 1:
        changed = [times[0], *changed] if changed[0] - times[0] > times[-1] - changed[0] else [*changed, times[-1]]
    step = median(after - before for before, after in pairwise(changed))
    return step if step >= _STAIRS * poll else None


def _in_succession(counts: Sequence[float]) -> bool:
    """Whether the count grew between both of the last pairs of points, as no staircase does: usage that has just
    begun is none, however seldom the count changed before."""
    return counts[-3] < counts[-2] < counts[-1]
