"""The Daily Usage chart: which days it shows, where its bars stand, and what to compare them with. Pure.

Across, everything is in percent of the width, so that the chart fits a phone and a wide screen with letters of the
same size; up and down it is in pixels.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod, DailyUsage
from exporter.thresholds import HISTORY_DAYS
from exporter.view import words
from exporter.view.cards import Card, days_shown
from exporter.view.overview import common_period, in_order

# Above the bars there is room for the text of the day that is pointed at, so that it covers no other bar.
READOUT_HEIGHT = 60  # three lines of text and their frame
PLOT_HEIGHT = 176  # four steps of the grid, 44 px each
READOUT_WIDTH = 232  # of "Wednesday, 30 September 2026" in a wide font, and less than a phone's chart
_READOUT_CHARACTERS = 30  # that fit READOUT_WIDTH
_BAR_PART = 0.68  # of a day's slot; the rest is gap, so that bars stay apart at a phone's width
_GRID_STEPS = 4  # quarters of the scale
_SATURDAY = 5
# As often a weekday has to have been seen before it has a usual count.
_USUAL_FROM = 2
# A day's share of the limit is drawn where the bars still show beside it; else it is said in words.
_SHARE_TIMES = 3


@dataclass(frozen=True)
class Series:
    """What the chart can show. value: in the URL; label: for people; scopes: whose days are summed."""

    value: str
    label: str
    unit: str
    scopes: tuple[Card, ...]

    @property
    def period(self) -> BillingPeriod | None:
        """The billing period, where all the scopes have the same."""
        return common_period(self.scopes)

    @property
    def daily_share(self) -> float | None:
        """A day's even share of the limit; None where there is none, or for several scopes."""
        (card, *others) = self.scopes
        if others or card.period is None or isinstance(card.limit, str) or not card.limit:
            return None
        days = (card.period.end - card.period.start) / timedelta(days=1)
        return card.limit / days if days > 1 else None


@dataclass(frozen=True)
class Bar:
    """One day. left, width: percent; top, height: pixels; known: False where nothing is known of the day.

    readout: x offset in pixels of the text's box from the bar's middle, so that it stays within the chart.
    compared: "2.1 × a usual Tuesday"; "" where no usual one is known. weekend: Saturday or Sunday. before: of the
    billing period before. expected: top in pixels of what today is expected to come to; None for other days.
    """

    date: date
    label: str
    text: str
    compared: str
    known: bool
    exact: bool
    weekend: bool
    before: bool
    left: float
    width: float
    top: float
    height: float
    readout: float
    expected: float | None = None

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
    """share: y in pixels of a day's share of the limit, where it is on the scale; share_text: the same in words, ""
    without a limit.

    period_starts: percent of the width at which the billing period began; None where that is not on it.
    """

    bars: tuple[Bar, ...]
    grid: tuple[GridLine, ...]
    unit: str
    total: float
    share: float | None = None
    share_text: str = ""
    period_starts: float | None = None
    height: float = READOUT_HEIGHT + PLOT_HEIGHT
    readout_height: int = READOUT_HEIGHT
    readout_width: int = READOUT_WIDTH

    @property
    def any_partly_seen(self) -> bool:
        return any(bar.known and not bar.exact for bar in self.bars)

    @property
    def any_unknown(self) -> bool:
        return any(not bar.known for bar in self.bars)

    @property
    def known_from(self) -> date:
        """The first day that is known."""
        return next(bar.date for bar in self.bars if bar.known)

    @property
    def any_before(self) -> bool:
        return any(bar.before and bar.known for bar in self.bars)

    @property
    def today(self) -> Bar | None:
        return next((bar for bar in self.bars if bar.expected is not None), None)


def series_of(cards: Sequence[Card]) -> tuple[Series, ...]:
    """Each scope, the most urgent first; then the totals, one a unit since requests and tokens have no sum, the
    commonest first. What is counted in another scope that is here is in no total."""
    shown = {card.scope for card in cards}
    once = [card for card in cards if card.counted_in not in shown]
    units = sorted({card.unit for card in once}, key=lambda unit: (-sum(card.unit == unit for card in once), unit))
    totals = (
        Series(
            value=f"total:{unit}",
            label="Total" if len(units) == 1 else f"Total of {unit}",
            unit=unit,
            scopes=tuple(card for card in once if card.unit == unit),
        )
        for unit in units
    )
    scopes = (Series(f"scope:{card.scope}", card.scope, card.unit, (card,)) for _, card in in_order(cards))
    return (*scopes, *totals)


def opening(series: Sequence[Series]) -> Series | None:
    """What the chart shows first: the most urgent scope of which days are known."""
    return next((one for one in series if any(card.daily for card in one.scopes)), series[0] if series else None)


def daily_total(cards: Iterable[Card]) -> tuple[DailyUsage, ...]:
    """Days summed over scopes, ascending. Exact where every scope is that had begun by then: one that is new had
    nothing before."""
    known = [{day.date: day for day in card.daily} for card in cards if card.daily]
    dates = sorted({day for days in known for day in days})
    return tuple(
        DailyUsage(
            date=day,
            requests=sum(days[day].requests for days in known if day in days),
            exact=all(day in days and days[day].exact for days in known if min(days) <= day),
        )
        for day in dates
    )


def chart_of(series: Series, now: datetime, zone: ZoneInfo) -> Chart | None:
    """The last 30 days, up to the newest that is known; None where none is. zone: of the days."""
    shown = days_shown(daily_total(series.scopes))
    if not shown:
        return None
    usual = _usual(shown)
    today = now.astimezone(zone)
    expected = _expected(shown, usual, today)
    most = max(*(usage.requests for _, usage in shown if usage), expected or 0.0)
    share = series.daily_share
    on_scale = share is not None and share <= most * _SHARE_TIMES
    top = _round_up(max(most, share or 0.0) if on_scale else most)
    starts = series.period.start.astimezone(zone).date() if series.period else None
    places = [index for index, (day, _) in enumerate(shown) if day == starts]
    beside = _Beside(top, series.unit, starts, today.date(), expected, usual)
    return Chart(
        bars=tuple(_bar(index, day, usage, beside) for index, (day, usage) in enumerate(shown)),
        grid=tuple(_grid(top)),
        unit=series.unit,
        total=sum(usage.requests for _, usage in shown if usage),
        share=_y(share, top) if share is not None and on_scale else None,
        share_text=f"{words.about(share)} {series.unit} a day use up the limit evenly" if share is not None else "",
        period_starts=100 / HISTORY_DAYS * places[0] if places and places[0] else None,
    )


_Shown = Sequence[tuple[date, DailyUsage | None]]


def _usual(shown: _Shown) -> dict[date, float]:
    """For each day, the mean of the other ones of its weekday; where too few of them are known, none."""
    whole = [usage for _, usage in shown[:-1] if usage is not None and usage.exact]
    found = {}
    for day, _ in shown:
        others = [one.requests for one in whole if one.date != day and one.date.weekday() == day.weekday()]
        if len(others) >= _USUAL_FROM and any(others):
            found[day] = sum(others) / len(others)
    return found


def _expected(shown: _Shown, usual: dict[date, float], now: datetime) -> float | None:
    """What today comes to if its rest is as usual; None where today is not shown, or no usual one is known."""
    day, usage = shown[-1]
    if day != now.date() or usage is None or day not in usual:
        return None
    begun = datetime.combine(day, time(), now.tzinfo)
    rest = 1 - (now - begun) / timedelta(days=1)
    return usage.requests + usual[day] * max(0.0, rest)


@dataclass(frozen=True)
class _Beside:
    """What bars are drawn by. top: of the scale. starts: of the billing period. usual: by day."""

    top: float
    unit: str
    starts: date | None
    today: date
    expected: float | None
    usual: dict[date, float]


def _bar(index: int, day: date, usage: DailyUsage | None, beside: _Beside) -> Bar:
    slot = 100 / HISTORY_DAYS
    expected = beside.expected if day == beside.today else None
    height = PLOT_HEIGHT * usage.requests / beside.top if usage else 0.0
    if usage and usage.requests:
        height = max(height, 2.0)  # a few requests are not none
    text = words.day_count(usage, beside.unit) if usage else "not known"
    return Bar(
        date=day,
        label=words.day_and_weekday(day),
        text=f"{text} so far" if expected is not None else text,
        compared=_compared(day, usage, beside.usual.get(day), expected),
        known=usage is not None,
        exact=usage is not None and usage.exact,
        weekend=day.weekday() >= _SATURDAY,
        before=beside.starts is not None and day < beside.starts,
        left=round(slot * (index + (1 - _BAR_PART) / 2), 3),
        width=round(slot * _BAR_PART, 3),
        top=round(READOUT_HEIGHT + PLOT_HEIGHT - height, 2),
        height=round(height, 2),
        # In proportion to the place: at the left edge the box begins at the bar, at the right edge it ends there.
        readout=round(-READOUT_WIDTH * index / (HISTORY_DAYS - 1), 1),
        expected=None if expected is None else _y(expected, beside.top),
    )


def _compared(day: date, usage: DailyUsage | None, usual: float | None, expected: float | None) -> str:
    if usage is None or usual is None:
        return ""
    if expected is not None:
        return f"likely {words.about(expected)} by its end"
    return f"{usage.requests / usual:.1f} × a usual {day:%A}"


def _y(value: float, top: float) -> float:
    return round(READOUT_HEIGHT + PLOT_HEIGHT * (1 - value / top), 2)


def _grid(top: float) -> Iterable[GridLine]:
    for step in range(_GRID_STEPS + 1):
        yield GridLine(_y(top * step / _GRID_STEPS, top), short(top * step / _GRID_STEPS))


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
