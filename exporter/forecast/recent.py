"""What the points of the last days say: paces, how long one has held, how seldom a vendor counts. Pure.

Many vendors update their figures every 45 minutes or once a day. Their counts are a staircase, and the height of its
last step says nothing about the last hour.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median

from exporter.forecast.model import Paces, Point
from exporter.model import BillingPeriod

QUARTER, HOUR, DAY, WEEK = 900.0, 3600.0, 86_400.0, 604_800.0
# Without a known period between them, a fall below this part of the last count is a new period, not a correction.
_RESET_BELOW = 0.5
# A window may be measured over so much less than its length, or more, since polls do not fall on its edge.
_COVERED = 0.8
# A count that changes this many times less often than it is read is a staircase, for windows under two of its steps.
_STAIRS = 2.5
_FEWEST_POINTS, _FEWEST_CHANGES = 6, 3
# How far back stretches like the present one are looked for.
_LOOK_BACK_HOURS = 72
# A pace has held as long as no hour fell below this part of it.
_HELD = 0.5


def significant(value: float) -> float:
    """An estimate without the digits that nobody knows: six are far more than it is sure to."""
    return float(f"{value:.6g}")


@dataclass(frozen=True)
class Run:
    """How long the last hour's pace has held without a break, and the longest such stretch before; in hours."""

    hours: float
    longest_before: float


class Recent:
    """The points as one growing count. times: Unix seconds; totals: requests since the first point."""

    def __init__(self, points: Sequence[Point], period: BillingPeriod | None) -> None:
        self.times = [point.at.timestamp() for point in points]
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
        start = self._start(window)
        if start is None or (self.update_seconds is not None and window < 2 * self.update_seconds):
            return None
        return significant(max(0.0, self.totals[-1] - self.totals[start]) / (self.now - self.times[start]) * 60)

    def _start(self, window: float) -> int | None:
        """The place of the point that lies about so long before the newest; None where none does.

        When what lies between two points was used, nobody knows.
        """
        later = bisect_right(self.times, self.now - window) if self.times else 0
        if later and self.now - self.times[later - 1] <= window / _COVERED:
            return later - 1
        return later if later < len(self.times) and self.now - self.times[later] >= _COVERED * window else None

    @property
    def paces(self) -> Paces:
        return Paces(
            self.pace(max(QUARTER, 2 * self._poll_seconds)), self.pace(HOUR), self.pace(DAY), self.pace(WEEK)
        )

    @property
    def still_going(self) -> bool:
        """Whether the last minutes go on as the last hour did."""
        hour, minutes = self.pace(HOUR), self.pace(max(QUARTER, 2.5 * self._poll_seconds))
        return hour is not None and (minutes is None or minutes >= _HELD * hour)

    @property
    def _poll_seconds(self) -> float:
        newest = self.times[-_FEWEST_POINTS:]
        return median(after - before for before, after in pairwise(newest)) if len(newest) > 1 else 0.0

    def run(self, pace: float) -> Run:
        """Since when there was no hour under half of `pace` (requests a minute), and the like of it before."""
        enough = _HELD * pace * 60
        hours = min(_LOOK_BACK_HOURS, int((self.now - self.times[0]) / HOUR))
        edges = [self.total_at(self.now - back * HOUR) for back in range(hours + 1)]
        held = [newer - older >= enough for newer, older in pairwise(edges)]
        present = held.index(False) if False in held else len(held)
        longest = stretch = 0
        for each in held[present:]:
            stretch = stretch + 1 if each else 0
            longest = max(longest, stretch)
        return Run(float(present), float(longest))

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


def _totals(points: Sequence[Point], period: BillingPeriod | None) -> list[float]:
    totals = [0.0] if points else []
    for before, after in pairwise(points):
        grown = after.requests - before.requests
        rolled_over = period is not None and before.at < period.start <= after.at
        if grown < 0 and (rolled_over or after.requests < _RESET_BELOW * before.requests):
            grown = after.requests
        totals.append(totals[-1] + grown)
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
    if not changed:
        return None
    if len(changed) == 1:
        changed = [times[0], *changed] if changed[0] - times[0] > times[-1] - changed[0] else [*changed, times[-1]]
    step = median(after - before for before, after in pairwise(changed))
    return step if step >= _STAIRS * poll else None
