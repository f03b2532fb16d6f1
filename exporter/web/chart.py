"""The Daily Usage chart: which days it shows, and where its bars stand. Pure.

Across, everything is in percent of the width, so that the chart fits a phone and a wide screen with letters of the
same size; up and down it is in pixels.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from exporter.model import DailyUsage
from exporter.thresholds import HISTORY_DAYS
from exporter.view import words
from exporter.view.cards import Card, days_shown

# Above the bars there is room for the text of the day that is pointed at, so that it covers no other bar.
READOUT_HEIGHT = 44  # two lines of text and their frame
PLOT_HEIGHT = 176  # four steps of the grid, 44 px each
READOUT_WIDTH = 232  # of "Wednesday, 30 September 2026" in a wide font, and less than a phone's chart
_READOUT_CHARACTERS = 30  # that fit READOUT_WIDTH
_BAR_PART = 0.68  # of a day's slot; the rest is gap, so that bars stay apart at a phone's width
_GRID_STEPS = 4  # quarters of the scale


@dataclass(frozen=True)
class Series:
    """What the chart can show. value: in the URL; label: for people; scopes: whose days are summed."""

    value: str
    label: str
    unit: str
    scopes: tuple[Card, ...]


@dataclass(frozen=True)
class Bar:
    """One day. left, width: percent; top, height: pixels; known: False where nothing is known of the day.

    readout: x offset in pixels of the text's box from the bar's middle, so that it stays within the chart.
    """

    date: date
    label: str
    text: str
    known: bool
    exact: bool
    left: float
    width: float
    top: float
    height: float
    readout: float

    @property
    def short_text(self) -> str:
        """The text as far as the readout is wide: a vendor's unit may be of any length."""
        cut = self.text[: _READOUT_CHARACTERS - 1].rstrip()
        return self.text if len(self.text) <= _READOUT_CHARACTERS else f"{cut}…"

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


@dataclass(frozen=True)
class GridLine:
    """y: pixels from the top."""

    y: float
    label: str


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    grid: tuple[GridLine, ...]
    unit: str
    total: float
    height: float = READOUT_HEIGHT + PLOT_HEIGHT
    readout_height: int = READOUT_HEIGHT
    readout_width: int = READOUT_WIDTH

    @property
    def any_partly_seen(self) -> bool:
        return any(bar.known and not bar.exact for bar in self.bars)

    @property
    def any_unknown(self) -> bool:
        return any(not bar.known for bar in self.bars)


def series_of(cards: Sequence[Card]) -> tuple[Series, ...]:
    """The totals, one a unit since requests and tokens have no sum, the commonest first; then each scope."""
    units = sorted({card.unit for card in cards}, key=lambda unit: (-sum(card.unit == unit for card in cards), unit))
    totals = (
        Series(
            value=f"total:{unit}",
            label="Total" if len(units) == 1 else f"Total of {unit}",
            unit=unit,
            scopes=tuple(card for card in cards if card.unit == unit),
        )
        for unit in units
    )
    return (*totals, *(Series(f"scope:{card.scope}", card.scope, card.unit, (card,)) for card in cards))


def daily_total(cards: Iterable[Card]) -> tuple[DailyUsage, ...]:
    """Days summed over scopes, ascending. A day that only some of them know is not exact."""
    known = [{day.date: day for day in card.daily} for card in cards if card.daily]
    dates = sorted({day for days in known for day in days})
    return tuple(
        DailyUsage(
            date=day,
            requests=sum(days[day].requests for days in known if day in days),
            exact=all(day in days and days[day].exact for days in known),
        )
        for day in dates
    )


def chart_of(series: Series) -> Chart | None:
    """The last 30 days, up to the newest that is known; None where none is."""
    shown = days_shown(daily_total(series.scopes))
    if not shown:
        return None
    top = _round_up(max(usage.requests for _, usage in shown if usage))
    bars = tuple(_bar(day, usage, index, top, series.unit) for index, (day, usage) in enumerate(shown))
    return Chart(bars, tuple(_grid(top)), series.unit, sum(usage.requests for _, usage in shown if usage))


def _bar(day: date, usage: DailyUsage | None, index: int, top: float, unit: str) -> Bar:
    slot = 100 / HISTORY_DAYS
    height = PLOT_HEIGHT * usage.requests / top if usage else 0.0
    if usage and usage.requests:
        height = max(height, 2.0)  # a few requests are not none
    return Bar(
        date=day,
        label=words.day_and_weekday(day),
        text=words.day_count(usage, unit) if usage else "not known",
        known=usage is not None,
        exact=usage is not None and usage.exact,
        left=round(slot * (index + (1 - _BAR_PART) / 2), 3),
        width=round(slot * _BAR_PART, 3),
        top=round(READOUT_HEIGHT + PLOT_HEIGHT - height, 2),
        height=round(height, 2),
        # In proportion to the place: at the left edge the box begins at the bar, at the right edge it ends there.
        readout=round(-READOUT_WIDTH * index / (HISTORY_DAYS - 1), 1),
    )


def _grid(top: float) -> Iterable[GridLine]:
    for step in range(_GRID_STEPS + 1):
        y = READOUT_HEIGHT + PLOT_HEIGHT * (1 - step / _GRID_STEPS)
        yield GridLine(round(y, 2), short(top * step / _GRID_STEPS))


def _round_up(value: float) -> float:
    """The least of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 times a power of ten that is enough: quarters read well."""
    if value <= 4:  # noqa: PLR2004 - whole requests on every line
        return 4.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(part * power for part in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if part * power >= value)


def short(value: float) -> str:
    """An axis label: 1200 -> "1.2k", 2500000 -> "2.5M"."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
