"""Which scopes matter most now, and what about each, in a few words. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from zoneinfo import ZoneInfo

from exporter.forecast import Forecast, Resolution, rounded
from exporter.model import LARGEST_COUNT
from exporter.thresholds import LIMIT_REACHED_RATIO, Band
from exporter.view import forecast_words, words
from exporter.view.cards import Card, OrganisationCards
from exporter.view.usage_json import UsageDocument

NEVER = datetime.max.replace(tzinfo=UTC)

Urgency = tuple[bool, datetime, bool, float]


@dataclass(frozen=True)
class Line:
    """One scope, and the organisation that it is of."""

    cards: OrganisationCards
    card: Card

    @property
    def urgency(self) -> Urgency:
        return urgency(self.card)


def urgency(card: Card) -> Urgency:
    """Sorts the most urgent first: over, then what runs out soonest, what is refused now, the part used."""
    ratio = (LARGEST_COUNT if card.band else 0.0) if card.used_ratio is None else card.used_ratio
    return urgency_of(ratio, card.forecast, card.rejected_in_last_hour)


def urgency_of(ratio: float, forecast: Forecast, refused_lately: float | None) -> Urgency:
    """The same, of a scope without its card. ratio: used, 0 without a limit."""
    runs_out = forecast.reached.likely if forecast_words.is_likely(forecast) else None
    return ratio < LIMIT_REACHED_RATIO, runs_out or NEVER, not refused_lately, -ratio


def lines_of(document: UsageDocument) -> list[Line]:
    """Of all organisations, the most urgent first."""
    lines = [Line(cards, card) for cards in document.organisations for card in cards.scopes]
    return sorted(lines, key=attrgetter("urgency"))


def is_urgent(card: Card) -> bool:
    return card.band is Band.CRITICAL or forecast_words.likely_to_reach(card)


def needs_watching(card: Card) -> bool:
    """Whether it is not urgent, but not known to be fine."""
    doubtful = card.missing_since or card.stale_since or card.suspect
    return card.band is Band.WARNING or bool(card.rejected_in_last_hour) or bool(doubtful)


def verdict(line: Line, now: datetime) -> str:
    """What matters most about a scope, in a few words."""
    card, zone = line.card, ZoneInfo(line.cards.time_zone)
    if doubt := words.missing(card, zone) or words.stale(card, now, zone):
        return doubt
    return trusted_verdict(card, zone)


def trusted_verdict(card: Card, zone: ZoneInfo) -> str:
    """The same, whether or not the figures are the present ones."""
    parts = (runs_out(card, zone) or words.status(card), words.after_limit(card, zone), words.refused_lately(card))
    return "; ".join(part for part in parts if part)


def runs_out(card: Card, zone: ZoneInfo) -> str:
    """ "Runs out likely Thu 26 Nov"; "" where the limit is not likely to be reached before the period ends."""
    likely, resolution = card.forecast.reached.likely, card.forecast.resolution
    if not forecast_words.likely_to_reach(card) or likely is None or resolution is None:
        return ""
    return f"Runs out likely {_short(rounded(likely, resolution, zone), resolution)}"


def _short(moment: datetime, resolution: Resolution) -> str:
    """ "Thu 26 Nov", "Thu 26 Nov 21:00 UTC"."""
    time = "" if resolution is Resolution.DAYS else f" {moment:%H:%M} {moment.tzname()}"
    return f"{moment:%a} {moment.day} {moment:%b}{time}"
