"""A team's week in one mail: what needs action, what changed, what to buy. Made from the cards. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.view import words
from exporter.view.cards import AdviceKind, Card, days_shown
from exporter.view.urgency import Line, is_urgent, lines_of, verdict
from exporter.view.usage_json import UsageDocument

NO_TEAM = "no team"
_WEEK = 7
# A week that differs less from the one before is as usual.
_MUCH = 0.25

_PAGES = Environment(
    loader=PackageLoader("exporter.view"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True)
class Digest:
    """Lines of text for one team. scopes: how many it has."""

    team: str
    scopes: int
    runs_out: tuple[str, ...]
    changed: tuple[str, ...]
    buy: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def sections(self) -> dict[str, tuple[str, ...]]:
        """The lines by heading; only those that there are."""
        all_of_them = {
            "Needs action": self.runs_out,
            "Changed in the last 7 days": self.changed,
            "To buy": self.buy,
            "Not known": self.unknown,
        }
        return {heading: lines for heading, lines in all_of_them.items() if lines}

    @property
    def subject(self) -> str:
        count = len(self.runs_out)
        state = f"{count} {'needs' if count == 1 else 'need'} action" if count else "nothing needs action"
        return " ".join(f"API usage of {self.team}: {state}".split())


def digests(document: UsageDocument, label: str) -> tuple[Digest, ...]:
    """One for each value of this label of organisations, by name; those without it are of NO_TEAM."""
    teams = sorted({cards.labels.get(label) or NO_TEAM for cards in document.organisations})
    return tuple(_digest(team, _of(document, label, team)) for team in teams)


def _of(document: UsageDocument, label: str, team: str) -> UsageDocument:
    own = (cards for cards in document.organisations if (cards.labels.get(label) or NO_TEAM) == team)
    return replace(document, organisations=tuple(own))


def _digest(team: str, document: UsageDocument) -> Digest:
    lines, now = lines_of(document), document.time
    return Digest(
        team=team,
        scopes=len(lines),
        runs_out=tuple(
            f"{_name(line)}: {line.card.used_percentage or f'{words.used(line.card)} {line.card.unit}'}, "
            f"{verdict(line, now)}"
            for line in lines
            if is_urgent(line.card)
        ),
        changed=tuple(text for line in lines for text in _changes(line, document)),
        buy=tuple(_purchases(document)),
        unknown=tuple(
            f"{cards.organisation} ({cards.api}): {words.failure(cards, now)}"
            for cards in document.organisations
            if cards.failure
        ),
    )


def _name(line: Line) -> str:
    return f"{line.card.scope} of {line.cards.organisation} ({line.cards.api})"


def _changes(line: Line, document: UsageDocument) -> Iterator[str]:
    zone = ZoneInfo(line.cards.time_zone)
    for change in line.card.changes:
        if document.time - change.at <= timedelta(days=_WEEK):
            yield f"{_name(line)}: {words.change(change, zone)}"
    if (weeks := _weeks(line.card)) is None:
        return
    before, last = weeks
    if before and abs(last / before - 1) >= _MUCH:
        yield (
            f"{_name(line)}: {words.count(last, line.card.unit)} in the last 7 whole days, "
            f"{last / before - 1:+.0%} on the 7 before"
        )


def _weeks(card: Card) -> tuple[float, float] | None:
    """The sums of the last but one and of the last 7 whole days; None where not all of them are known."""
    whole = [day for _, day in days_shown(card.daily)][:-1][-2 * _WEEK :]
    counts = [day.requests for day in whole if day is not None and day.exact]
    return (sum(counts[:_WEEK]), sum(counts[_WEEK:])) if len(counts) == 2 * _WEEK else None


def _purchases(document: UsageDocument) -> Iterator[str]:
    for cards in document.organisations:
        by_name = {card.scope: card for card in cards.scopes}
        for advice in cards.advice:
            if advice.kind is not AdviceKind.RATE_LIMIT:
                lacks = (f"{name} lacks {_lack(by_name[name])}" for name in advice.scopes)
                yield f"{cards.organisation} ({cards.api}): {words.advice_title(advice)}: {', '.join(lacks)} a period"


def _lack(card: Card) -> str:
    return words.count(card.shortfall or 0.0, card.unit)


def as_text(digest: Digest, page: str = "") -> str:
    """The mail as plain text. page: URL of the usage page; "" for no link."""
    parts = [digest.subject]
    for heading, lines in digest.sections.items():
        parts.append("\n".join([heading, *(f"- {line}" for line in lines)]))
    if not digest.sections:
        parts.append(f"Nothing to do and nothing new: all of {digest.scopes} scopes are within their limits.")
    if page:
        parts.append(f"All scopes: {page}")
    return "\n\n".join(parts) + "\n"


def as_html(digest: Digest, page: str = "", icon: str = "") -> str:
    """The mail as HTML without styles, scripts or images: mail clients, and our own policy for pages, drop these.

    icon: URL of a browser's icon for it, where it is a page.
    """
    return _PAGES.get_template("digest.html").render(digest=digest, page=page, icon=icon)
