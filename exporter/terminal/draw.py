"""Usage cards drawn with rich on a terminal, and as plain aligned lines anywhere else."""

import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from exporter.terminal.once import Trouble
from exporter.thresholds import Band
from exporter.view import forecast_words, words
from exporter.view.cards import Card, OrganisationCards, days_shown
from exporter.view.usage_json import UsageDocument

STYLES = MappingProxyType(
    {Band.NORMAL: "bright_blue", Band.WARNING: "yellow", Band.CRITICAL: "bright_red", None: "default"}
)
QUIET = "bright_black"
# Of a card, in columns: two stand side by side from 82 on; a wider card would stretch its facts apart.
_LEAST_WIDTH = 40
_MOST_WIDTH = 56
# More than any row needs: rows are neither folded nor cut, so that grep and awk find them whole.
_PLAIN_WIDTH = 2000
_PLAIN_BAR = 20  # characters, 5 % each


@dataclass(frozen=True)
class Signs:
    """Characters to draw with. levels: of a sparkline, from nothing to most. unknown: a day not known."""

    full: str
    empty: str
    levels: str
    unknown: str
    bands: MappingProxyType[Band | None, str]


_UNICODE = Signs(
    "█",
    "░",
    "▁▂▃▄▅▆▇█",
    "·",
    MappingProxyType({Band.NORMAL: "●", Band.WARNING: "▲", Band.CRITICAL: "■", None: "○"}),
)
_ASCII = Signs(
    "#",
    "-",
    "_.-=+*%#",
    "?",
    MappingProxyType({Band.NORMAL: "o", Band.WARNING: "!", Band.CRITICAL: "X", None: "-"}),
)


def draw(document: UsageDocument, troubles: Sequence[Trouble], console: Console) -> None:
    """Cards on a terminal; without one, or on a dumb one, a line a scope without colours or escapes.

    troubles: of polls made just now; they stand in place of what a running exporter reports of its last poll.
    """
    if is_drawn_on(console):
        console.print(cards_of(document, troubles, console))
        return
    for cards in document.organisations:
        notices = notices_of(cards, troubles, document.time)
        print_plain(console, _plain(cards, notices, document.time, signs_of(console)))


def cards_of(document: UsageDocument, troubles: Sequence[Trouble], console: Console) -> RenderableType:
    """A card a scope, by organisation, as wide as the terminal is."""
    return Group(
        *(
            part
            for cards in document.organisations
            for part in _organisation(
                cards,
                notices_of(cards, troubles, document.time),
                document.time,
                console.width,
                signs_of(console),
            )
        )
    )


def signs_of(console: Console) -> Signs:
    return _ASCII if console.options.ascii_only else _UNICODE


def is_drawn_on(console: Console) -> bool:
    """Whether it is a terminal that can be drawn on."""
    return console.is_terminal and not console.is_dumb_terminal


def notices_of(cards: OrganisationCards, troubles: Iterable[Trouble], now: datetime) -> list[str]:
    """What went wrong with an organisation's poll: one made just now, else what the exporter reports of its last."""
    own = (trouble for trouble in troubles if (trouble.api, trouble.organisation) == (cards.api, cards.organisation))
    if lines := [line for trouble in own for line in trouble_lines(trouble)]:
        return lines
    return [line for line in (words.failure(cards, now), "" if cards.scopes else words.no_cards(cards)) if line]


def print_plain(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.out(safe(line), highlight=False)


def safe(text: str) -> str:
    """Without control characters, which a terminal would obey; line breaks stay."""
    return "".join("\ufffd" if unicodedata.category(char) == "Cc" and char != "\n" else char for char in text)


def text(value: str, style: str = "") -> Text:
    """Text that holds no markup and no control characters."""
    return Text(safe(value), style)


def _joined(*parts: Text) -> Text:
    return Text.assemble(*parts)


def _organisation(
    cards: OrganisationCards, notices: Iterable[str], now: datetime, width: int, signs: Signs
) -> Iterator[RenderableType]:
    yield _joined(text(cards.organisation, "bold"), text(f"  {cards.api} · {words.data_age(cards, now)}", QUIET))
    for notice in notices:
        yield text(notice, "bright_red")
    if cards.scopes:
        columns = max(1, width // (_LEAST_WIDTH + 1))
        size = min(_MOST_WIDTH, (width - columns + 1) // columns)
        yield Columns(
            (_card(card, now, ZoneInfo(cards.time_zone), size, signs) for card in cards.scopes), padding=(0, 1)
        )
    for advice in cards.advice:
        yield _joined(text(f"{words.advice_title(advice)}: ", "bold"), text(words.advice_reason(advice)))
    yield Text()


def _card(card: Card, now: datetime, zone: ZoneInfo, width: int, signs: Signs) -> Panel:
    style = STYLES[card.band]
    figures = Table.grid(expand=True)
    figures.add_column(ratio=1)
    figures.add_column(justify="right")
    used = _joined(text(words.used(card), "bold"), text(_of_limit(card)))
    figures.add_row(used, text(card.used_percentage or "", f"bold {style}"))
    lines: list[RenderableType] = [figures]
    if card.filled is not None:
        lines.append(bar(card.filled, width - 4, style, signs))
    lines.append(text(f"{signs.bands[card.band]} {words.status(card)}", style))
    if missing := words.missing(card, zone):
        lines.append(text(f"{missing}. {words.MISSING_MEANS}", "yellow"))
    elif card.stale_since is not None:
        lines.append(text(words.stale(card, now, zone), "yellow"))
    if suspect := words.suspect(card, zone):
        lines.append(text(suspect, "yellow"))
    if change := words.last_change(card, zone):
        lines.append(text(change, QUIET))
    lines += [text(line) for line in _facts(card, now, zone)]
    if will_last := forecast_words.limit(card, now, zone):
        lines.append(text(will_last, "bright_red" if forecast_words.likely_to_reach(card) else QUIET))
    lines += [text(sparkline(card, signs), "bright_blue"), text(_days(card), QUIET)]
    plan = text(f" {card.plan} ", QUIET) if card.plan else None
    return Panel(
        Group(*lines),
        title=text(card.scope, "bold"),
        title_align="left",
        subtitle=plan,
        subtitle_align="right",
        width=width,
    )


def _of_limit(card: Card) -> str:
    return f" of {words.limit(card)} {card.unit}" if card.band else f" {card.unit}"


def _facts(card: Card, now: datetime, zone: ZoneInfo) -> Iterator[str]:
    refused = words.rejected(card)
    yield f"Rate limit {words.rate_limit(card)}{f', {refused}' if refused else ''}"
    yield f"{words.time_left(card.period, now)}{f' ({words.period(card.period, zone)})' if card.period else ''}"
    yield f"Pace: {forecast_words.pace(card)}"
    yield f"Forecast: {forecast_words.requests(card)}"


def bar(filled: float, width: int, style: str, signs: Signs) -> Text:
    full = _filled_cells(filled, width)
    return _joined(Text(signs.full * full, style), Text(signs.empty * (width - full), QUIET))


def _filled_cells(filled: float, width: int) -> int:
    """Rounded, but a bar is empty, or full, only where the usage is nothing, or the limit."""
    if filled in (0.0, 1.0):
        return round(filled * width)
    return min(width - 1, max(1, round(filled * width)))


def sparkline(card: Card, signs: Signs) -> str:
    """A character a day for the last 30, up to the newest known; "" where none is."""
    days = days_shown(card.daily)
    most = max((day.requests for _, day in days if day), default=0.0)
    last = len(signs.levels) - 1
    return "".join(
        signs.unknown if day is None else signs.levels[round(day.requests / most * last) if most else 0]
        for _, day in days
    )


def _days(card: Card) -> str:
    if not card.daily:
        return "No day known yet"
    most = max(card.daily, key=lambda day: day.requests)
    partly = sum(not day.exact for day in card.daily)
    return (
        f"Most {words.number(most.requests)} on {words.day(most.date)}{f'; {partly} partly seen' if partly else ''}"
    )


def _plain(cards: OrganisationCards, notices: Iterable[str], now: datetime, signs: Signs) -> Iterator[str]:
    yield f"{cards.organisation} ({cards.api}): {words.data_age(cards, now)}"
    yield from notices
    zone = ZoneInfo(cards.time_zone)
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for name in ("SCOPE", "USED", "BAR", "REQUESTS", "STATUS", "RATE LIMIT", "PERIOD", "FORECAST", "LAST 30 DAYS"):
        table.add_column(name, no_wrap=True, justify="right" if name == "USED" else "left")
    for card in cards.scopes:
        full = _filled_cells(card.filled or 0.0, _PLAIN_BAR)
        cells = (
            card.scope,
            card.used_percentage or "",
            "" if card.filled is None else f"[{'#' * full}{'-' * (_PLAIN_BAR - full)}]",
            f"{words.used(card)}{_of_limit(card)}",
            words.missing(card, zone) or words.stale(card, now, zone) or words.status(card),
            words.rate_limit(card) + (f", {words.rejected(card)}" if words.rejected(card) else ""),
            words.time_left(card.period, now),
            _forecast(card, now, zone),
            sparkline(card, signs),
        )
        table.add_row(*map(text, cells))
    if cards.scopes:
        yield from table_lines(table)
    for advice in cards.advice:
        yield f"{words.advice_title(advice)}: {words.advice_reason(advice)}"
    yield ""


def _forecast(card: Card, now: datetime, zone: ZoneInfo) -> str:
    if forecast_words.likely_to_reach(card):
        return forecast_words.limit(card, now, zone)
    return forecast_words.requests(card)


def table_lines(table: Table) -> list[str]:
    """A table's rows whole, however wide the terminal is, so that grep and awk find them."""
    console = Console(file=io.StringIO(), width=_PLAIN_WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def trouble_lines(trouble: Trouble) -> Iterator[str]:
    yield trouble.message
    if trouble.part:
        yield "  met on this part of the answer:"
        yield from (f"    {line}" for line in trouble.part.splitlines())
