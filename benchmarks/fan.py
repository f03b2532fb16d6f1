"""A month half over, what was forecast of its rest, and what came: the picture in docs/forecast.md."""

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.series import Month
from exporter.forecast.days import Day, outlook

_TEMPLATE = Path(__file__).parent
WIDTH, HEIGHT, RIGHT = 960, 400, 790
_BETWEEN_LABELS = 18


class _Label(NamedTuple):
    style: str
    text: str
    y: float


@dataclass(frozen=True)
class Fan:
    """A month as seen at the end of one of its days. Counts are since the month's start, days from 0.

    seen: until then, and came: after it, as (day, count). ahead: as (day, low, middle, high). pace: where the pace so
    far leads to at the month's end.
    """

    file: str
    title: str
    days: int
    seen: tuple[tuple[int, float], ...]
    came: tuple[tuple[int, float], ...]
    ahead: tuple[tuple[int, float, float, float], ...]
    pace: float
    limit: float

    def svg(self) -> str:
        environment = Environment(loader=FileSystemLoader(_TEMPLATE), undefined=StrictUndefined, autoescape=True)
        return environment.get_template("fan.svg").render(
            fan=self,
            x=self._x,
            y=self._y,
            width=WIDTH,
            height=HEIGHT,
            right=RIGHT,
            labels=self._labels(),
            ticks=range(5, self.days, 5),
        )

    def _x(self, day: float) -> float:
        return round(8 + (RIGHT - 8) * day / self.days, 1)

    def _y(self, count: float) -> float:
        most = max(self.ahead[-1][3], self.pace, self.limit, self.came[-1][1])
        return round(40 + HEIGHT * (1 - count / most), 1)

    def _labels(self) -> list[_Label]:
        """Beside the right edge, from the top down and none over another."""
        _, low, middle, high = self.ahead[-1]
        wanted = sorted(
            [
                _Label("middle", "high: 90 of 100", self._y(high)),
                _Label("middle", "middle", self._y(middle)),
                _Label("middle", "low: 10 of 100", self._y(low)),
                _Label("pace", "the pace so far", self._y(self.pace)),
                _Label("label", "what came", self._y(self.came[-1][1])),
            ],
            key=lambda label: label.y,
        )
        placed: list[_Label] = []
        for label in wanted:
            least = placed[-1].y + _BETWEEN_LABELS if placed else 0.0
            placed.append(label._replace(y=max(label.y + 5, least)))
        return placed


def fan(month: Month, day: int, *, ends_at: float, file: str) -> Fan:
    """ends_at: of the limit, where the month ends."""
    counts = [0.0, *accumulate(month.counts)]
    daily = (*month.before, *month.counts[:day])[-len(month.before) :]
    first = month.first.weekday() + day - len(daily)
    model = outlook([Day((first + number) % 7, count) for number, count in enumerate(daily)])
    ahead = [(day, counts[day], counts[day], counts[day])]
    weight = 0.0
    for later in range(day, len(month.counts)):
        weight += model.weight((month.first.weekday() + later) % 7)
        spread = model.requests(weight, later + 1 - day)
        low, middle, high = (counts[day] + spread.quantile(part) for part in (0.1, 0.5, 0.9))
        ahead.append((later + 1, low, middle, high))
    return Fan(
        file=file,
        title=f"{month.kind}, {month.first:%B %Y}, as forecast after day {day}",
        days=len(month.counts),
        seen=tuple(enumerate(counts[: day + 1])),
        came=tuple((number, counts[number]) for number in range(day, len(counts))),
        ahead=tuple(ahead),
        pace=counts[day] / day * len(month.counts),
        limit=counts[-1] / ends_at,
    )
