"""A scope whose use is known to the request, what its vendor answers when asked, and what a poller gets to see."""

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from exporter.state.days import day_of, day_start
from exporter.state.trust import Span

HOUR, DAY = 3600.0, 86_400.0


@dataclass(frozen=True)
class Truth:
    """A vendor's meter.

    rates: requests an hour, of each hour from `start` on; used up evenly within the hour.
    resets: when the count starts again from 0, ascending.
    corrections: (when, requests) that the vendor takes off its count again.
    """

    start: float
    rates: tuple[float, ...]
    resets: tuple[float, ...] = ()
    corrections: tuple[tuple[float, int], ...] = ()
    _sums: list[float] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        total = 0.0
        for rate in self.rates:
            self._sums.append(total)
            total += rate
        self._sums.append(total)

    def used(self, moment: float) -> int:
        """All that was used until then, less what was corrected."""
        hours = min(max(0.0, (moment - self.start) / HOUR), len(self.rates) - 1e-9)
        whole = int(hours)
        used = self._sums[whole] + self.rates[whole] * (hours - whole)
        return int(used) - sum(less for at, less in self.corrections if at <= moment)

    def count(self, moment: float) -> int:
        """What the vendor's meter shows."""
        place = bisect_right(self.resets, moment)
        return self.used(moment) - (self.used(self.resets[place - 1]) if place else 0)

    def days(self, first: float, last: float, zone: ZoneInfo) -> dict[date, int]:
        """What each day used between two moments."""
        days = {}
        day = day_of(first, zone)
        while day_start(day, zone) < last:
            start, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
            days[day] = self.used(min(end, last)) - self.used(max(start, first))
            day += timedelta(days=1)
        return days


def profile(kind: str, hours: int, rng: random.Random, usual: float = 0) -> tuple[float, ...]:
    """Rates of so many hours: flat, office (hours, and quiet weekends), bursts, or wild."""
    usual = usual or rng.choice((20, 300, 5_000))
    if kind == "flat":
        return (float(usual),) * hours
    if kind == "office":
        return tuple(usual * (1.0 if 8 <= hour % 24 < 18 and hour // 24 % 7 < 5 else 0.05) for hour in range(hours))
    if kind == "bursts":
        return tuple(usual * (20.0 if rng.random() < 0.05 else 0.2) for _ in range(hours))
    return tuple(usual * rng.choice((0.0, 0.1, 1.0, 1.0, 3.0, 10.0)) for _ in range(hours))


def poll_times(
    start: float, end: float, interval: float, gaps: list[tuple[float, float]], rng: random.Random
) -> Iterator[float]:
    """Moments in whole seconds, a little jittered, none within a gap."""
    moment = start
    while moment < end:
        if not any(begins <= moment < ends for begins, ends in gaps):
            yield float(int(moment))
        moment += interval * rng.uniform(0.95, 1.05)


def span_of(moment: float, first: float, length: float) -> Span:
    start = first + (moment - first) // length * length
    return Span(start, start + length)


@dataclass(frozen=True)
class Glitch:
    """Answers that are wrong for a while: 0, half, flapping between right and 0, or many times as much."""

    kind: str
    start: float
    end: float

    def distort(self, count: float, number: int) -> float:
        match self.kind:
            case "zero":
                return 0
            case "half":
                return count // 2
            case "flap":
                return 0 if number % 2 else count
            case _:
                return count * 5_000 + 1_000_000
