"""An organisation's scopes in one line: what needs action, what to watch, and what they have in common. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod
from exporter.state.store import OrganisationState
from exporter.view import alert_words, words
from exporter.view.cards import Card, OrganisationCards
from exporter.view.since import over_since
from exporter.view.urgency import is_urgent, needs_watching, runs_out, urgency


@dataclass(frozen=True)
class Item:
    """A scope that is named. place: in the vendor's order, from 1; text: "94.23%, runs out likely Thu 26 Nov"."""

    place: int
    scope: str
    text: str


@dataclass(frozen=True)
class Overview:
    """action, watch: the most urgent first. fine: how many others. period: where all scopes have the same one."""

    action: tuple[Item, ...]
    watch: tuple[Item, ...]
    fine: int
    period: BillingPeriod | None

    @property
    def headline(self) -> str:
        """ "2 need action", "3 to watch", "all fine"."""
        if self.action:
            return f"{len(self.action)} need{'s' if len(self.action) == 1 else ''} action"
        return f"{len(self.watch)} to watch" if self.watch else "all fine"

    @property
    def state(self) -> str:
        """The gravest, as a band is called."""
        return "critical" if self.action else "warning" if self.watch else "normal"


def in_order(cards: Sequence[Card], *, vendors: bool = False) -> list[tuple[int, Card]]:
    """The cards and their places in the vendor's order, from 1; the most urgent first unless that order is wanted."""
    placed = list(enumerate(cards, 1))
    return placed if vendors else sorted(placed, key=lambda one: urgency(one[1]))


def common_period(cards: Sequence[Card]) -> BillingPeriod | None:
    """The billing period, where all have the same."""
    periods = {card.period for card in cards}
    return periods.pop() if len(periods) == 1 else None


def overview_of(state: OrganisationState, cards: OrganisationCards, now: datetime, zone: ZoneInfo) -> Overview:
    """zone: of times."""
    placed = in_order(cards.scopes)
    action = [(place, card) for place, card in placed if is_urgent(card)]
    watch = [(place, card) for place, card in placed if not is_urgent(card) and needs_watching(card)]
    return Overview(
        action=tuple(Item(place, card.scope, _text(state, card, now, zone)) for place, card in action),
        watch=tuple(Item(place, card.scope, _text(state, card, now, zone)) for place, card in watch),
        fine=len(cards.scopes) - len(action) - len(watch),
        period=common_period(cards.scopes) if len(cards.scopes) > 1 else None,
    )


def _text(state: OrganisationState, card: Card, now: datetime, zone: ZoneInfo) -> str:
    if over := _over(state, card, now, zone):
        return over
    parts = (card.used_percentage or "", runs_out(card, state.target.time_zone), words.refused_lately(card))
    return ", ".join(f"{part[:1].lower()}{part[1:]}" for part in parts if part)


def _over(state: OrganisationState, card: Card, now: datetime, zone: ZoneInfo) -> str:
    """ "over by 400 since 23 Nov"; "" where the limit is not reached."""
    since = over_since(state, state.scope(card.scope))
    if since is None or isinstance(card.limit, str) or card.requests is None:
        return ""
    beyond = card.requests - card.limit
    what = f"over by {words.number(beyond)}" if beyond else "limit reached"
    return f"{what} since {alert_words.since_when(since, now, zone)}"
