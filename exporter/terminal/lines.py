"""A line a scope, the most urgent first: drawn over a terminal's whole width, tab-separated anywhere else."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from exporter.terminal.draw import QUIET, STYLES, Signs, bar, safe, signs_of, sparkline, text
from exporter.thresholds import Band
from exporter.view import forecast_words, words
from exporter.view.cards import Card
from exporter.view.urgency import Line, is_urgent, lines_of, verdict
from exporter.view.usage_json import UsageDocument

COLUMNS = (
    "ORGANISATION",
    "API",
    "SCOPE",
    "USED",
    "REQUESTS",
    "LIMIT",
    "UNIT",
    "BAND",
    "STATUS",
    "RUNS_OUT",
    "PERIOD_END",
    "READ",
    "FORECAST",
)

_GAP = 2  # between columns
_LEAST_VERDICT = 12
_BAR = (8, 40)  # the least and the most characters of a bar


def worst(document: UsageDocument, count: int) -> UsageDocument:
    """The document with its most urgent scopes only, and organisations that have one of them or whose poll fails."""
    kept = {(line.cards.api, line.cards.organisation_id, line.card.scope) for line in lines_of(document)[:count]}
    organisations = (
        replace(
            cards,
            scopes=tuple(card for card in cards.scopes if (cards.api, cards.organisation_id, card.scope) in kept),
        )
        for cards in document.organisations
    )
    return replace(document, organisations=tuple(cards for cards in organisations if cards.scopes or cards.failure))


# --- on a terminal


def drawn(document: UsageDocument, notices: list[str], console: Console) -> RenderableType:
    """A summary, what went wrong, and the lines, with as many columns as the terminal is wide for."""
    lines, signs = lines_of(document), signs_of(console)
    shown = _fitting(lines, document.time, signs, console.width)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for column in shown:
        table.add_column(no_wrap=True, overflow="ellipsis", justify=column.justify, width=column.width)
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*cells)
    top = [text(summary(document), "bold"), *(text(notice, "bright_red") for notice in notices)]
    return Group(*top, table)


@dataclass(frozen=True)
class _Column:
    """A cell a line. most: how wide it may be; what does not fit is cut."""

    cells: list[Text]
    most: int = 60
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        return min(self.most, max((cell.cell_len for cell in self.cells), default=0))


def _fitting(lines: list[Line], now: datetime, signs: Signs, width: int) -> list[_Column]:
    """Scope, organisation, percentage and verdict; then, as room allows, count, days, bar."""
    cards = [line.card for line in lines]
    count = _Column([text(_count(card)) for card in cards], justify="right")
    days = _Column([text(sparkline(card, signs), "bright_blue") for card in cards])
    shown = [
        _Column([_scope(card, signs) for card in cards], most=max(12, min(30, width // 3))),
        _Column([text(line.cards.organisation, QUIET) for line in lines], most=max(6, min(20, width // 5))),
        _Column([_used(card) for card in cards], justify="right"),
    ]
    room = width - sum(column.width + _GAP for column in shown)
    shown.append(_Column([_verdict(line, now) for line in lines], most=max(_LEAST_VERDICT, room)))
    room -= shown[-1].width
    for column, place in ((count, -1), (days, len(shown) + 1)):
        if 0 < column.width + _GAP <= room:
            shown.insert(place, column)
            room -= column.width + _GAP
    if (size := min(room - _GAP, _BAR[1])) >= _BAR[0]:
        shown.insert(3, _Column([_bar(card, size, signs) for card in cards]))
    return shown


def _bar(card: Card, size: int, signs: Signs) -> Text:
    return Text() if card.filled is None else bar(card.filled, size, STYLES[card.band], signs)


def _scope(card: Card, signs: Signs) -> Text:
    return Text.assemble(text(f"{signs.bands[card.band]} ", STYLES[card.band]), text(card.scope, "bold"))


def _used(card: Card) -> Text:
    return text(card.used_percentage or "", f"bold {STYLES[card.band]}")


def _count(card: Card) -> str:
    of = f" of {words.limit(card)}" if card.band else f" {card.unit}"
    return f"{words.used(card)}{of}"


def _verdict(line: Line, now: datetime) -> Text:
    return text(verdict(line, now), "bright_red" if is_urgent(line.card) else "")


def summary(document: UsageDocument) -> str:
    """How many scopes have which colour, and how old the data is: "2 red · 1 amber · 18 blue · updated just now"."""
    bands = Counter(card.band for cards in document.organisations for card in cards.scopes)
    names = {Band.CRITICAL: "red", Band.WARNING: "amber", Band.NORMAL: "blue", None: "without a limit"}
    counts = [f"{bands[band]} {name}" for band, name in names.items() if bands[band]]
    oldest = min((cards.last_success for cards in document.organisations if cards.last_success), default=None)
    age = [f"updated {words.ago(oldest, document.time)}"] if oldest else []
    return " · ".join((counts or ["No scopes"]) + age)


# --- elsewhere


def separated(document: UsageDocument) -> str:
    """A header and a row a scope, cells with a tab between them; what is unknown or does not apply is empty.

    The columns' names and order stay; a later one is added at the end.
    """
    rows = [COLUMNS, *(_row(line, document.time) for line in lines_of(document))]
    return "\n".join("\t".join(map(_cell, row)) for row in rows)


def _cell(value: str) -> str:
    return safe(" ".join(value.split()))


def _row(line: Line, now: datetime) -> tuple[str, ...]:
    card, zone = line.card, ZoneInfo(line.cards.time_zone)
    runs_out = card.forecast.reached.likely if forecast_words.likely_to_reach(card) else None
    return (
        line.cards.organisation,
        line.cards.api,
        card.scope,
        card.used_percentage or "",
        "" if card.requests is None else f"{card.requests:.15g}",
        card.limit if isinstance(card.limit, str) else f"{card.limit:.15g}",
        card.unit,
        card.band.value if card.band else "",
        words.missing(card, zone) or words.stale(card, now, zone) or words.status(card),
        _utc(runs_out),
        _utc(card.period.end if card.period else None),
        _utc(card.fetched_at),
        forecast_words.requests(card),
    )


def _utc(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
