"""The chart of a billing period up to its limit: what is used, an even pace, and where the forecast goes. Pure.

Shapes are on a plane 1000 wide and PLOT_HEIGHT high.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from exporter.view import words
from exporter.view.cards import Card
from exporter.view.counts_back import counts_back
from exporter.web.chart import PLOT_HEIGHT, short

WIDTH = 1000
# What stands above the highest line.
_HEADROOM = 1.08

Point = tuple[float, float]


@dataclass(frozen=True)
class UntilLimit:
    """used: the line so far. even: from nothing to the limit. range: between which the forecast goes; likely: its
    middle; both () without one. limit: y of it; limit_text: for the axis. crossing: where the likely one meets the
    limit. rows: of the table.
    """

    used: tuple[Point, ...]
    even: tuple[Point, ...]
    range: tuple[Point, ...]
    likely: tuple[Point, ...]
    limit: float
    crossing: Point | None
    limit_text: str
    starts: str
    ends: str
    rows: tuple[tuple[str, str], ...]
    height: float = PLOT_HEIGHT
    width: int = WIDTH


def until_limit(card: Card, zone: ZoneInfo) -> UntilLimit | None:
    """None where a scope has no limit, or no billing period that is longer than a day. zone: of the days."""
    period = card.period
    if period is None or card.requests is None or isinstance(card.limit, str) or not card.limit:
        return None
    if period.end - period.start <= timedelta(days=1):
        return None
    made = card.forecast.requests
    refused = card.after_limit == "refused"
    ends: tuple[float, ...] = (made.low, made.middle, made.high) if made is not None else ()
    if refused:  # what a vendor refuses is never counted
        ends = tuple(min(value, max(card.limit, card.requests)) for value in ends)
    top = max(card.limit, card.requests, *ends) * _HEADROOM
    length = period.end - period.start

    def at(moment: datetime, requests: float) -> Point:
        part = (min(max(moment, period.start), period.end) - period.start) / length
        return round(part * WIDTH, 1), round(PLOT_HEIGHT * (1 - requests / top), 1)

    now = at(card.fetched_at, card.requests)
    counted = list(_counts(card, zone))
    low, middle, high = (at(period.end, value) for value in ends) if ends else ((0, 0),) * 3
    reached = card.forecast.reached.likely
    return UntilLimit(
        used=(*(at(moment, count) for moment, count in counted), now),
        even=(at(period.start, 0), at(period.end, card.limit)),
        range=(now, high, low) if ends else (),
        likely=_likely(now, middle, at(reached, card.limit) if reached and refused else None) if ends else (),
        limit=at(period.end, card.limit)[1],
        crossing=at(reached, card.limit) if reached is not None else None,
        limit_text=short(card.limit),
        starts=words.day(period.start.astimezone(zone)),
        ends=words.day((period.end - timedelta(microseconds=1)).astimezone(zone)),
        rows=tuple(
            (words.moment(moment, zone), words.number(count))
            for moment, count in reversed([*counted, (card.fetched_at, card.requests)])
        ),
    )


def _likely(now: Point, end: Point, crossing: Point | None) -> tuple[Point, ...]:
    return (now, crossing, end) if crossing is not None else (now, end)


def _counts(card: Card, zone: ZoneInfo) -> Iterator[tuple[datetime, float]]:
    """What the period had come to at each midnight of it, as far back as the days are known without a gap."""
    if card.period is None or card.requests is None:
        return
    back = counts_back(card.requests, card.daily, card.period, card.fetched_at, zone)
    counts = list(takewhile(lambda one: one[1] >= 0, back))
    if counts and counts[-1][0] - card.period.start < timedelta(days=1):
        counts[-1] = (card.period.start, 0.0)
    yield from reversed(counts)
