"""What the page shows beside the cards, from others than the store: when polls come, and which alerts are up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from exporter.model import AlertsSeen
from exporter.state.store import OrganisationState
from exporter.view import alert_words
from exporter.view.cards import OrganisationCards
from exporter.view.since import band_since


@dataclass(frozen=True)
class Beside:
    """next_poll: seconds until a target, by (api, organisation), is asked for again; None where nobody knows.
    alerts: those of the config's source; None where it names none."""

    next_poll: Callable[[tuple[str, str]], float | None] = lambda _: None
    alerts: Callable[[], AlertsSeen | None] = lambda: None


@dataclass(frozen=True)
class AlertTexts:
    """Sentences about alerts. of_organisation: not about a single scope; of_scope: by scope."""

    of_organisation: tuple[str, ...]
    of_scope: dict[str, tuple[str, ...]]


def alert_texts(
    state: OrganisationState, cards: OrganisationCards, seen: AlertsSeen | None, now: datetime, zone: ZoneInfo
) -> AlertTexts:
    """zone: of times."""
    about = alert_words.by_organisation(seen).get(state.target.key, ())
    scopes = {scope.usage.name: scope for scope in state.scopes}
    texts: dict[str, tuple[str, ...]] = {}
    for card in cards.scopes:
        found = tuple(alert_words.alert(one, now, zone) for one in about if one.scope == card.scope)
        own = alert_words.own(card.band, band_since(state, scopes[card.scope]), seen, now, zone) if not found else ""
        texts[card.scope] = found or ((own,) if own else ())
    general = (alert_words.alert(one, now, zone) for one in about if not one.scope)
    trouble = alert_words.source(seen, now)
    return AlertTexts((*general, *((trouble,) if trouble else ())), texts)
