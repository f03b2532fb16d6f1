"""All organisations, the most urgent first: how many are over, red, amber, failing or unknown, and a page of them.

Of each only what sorts and filters is worked out, and kept until a poll or time changes it; cards are made for what
is shown.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from exporter.model import Alert, AlertsSeen, AlertState
from exporter.state.store import Key, OrganisationState
from exporter.thresholds import CRITICAL, LIMIT_REACHED_RATIO, Band
from exporter.view import alert_words
from exporter.view.cards import Card, scope_card
from exporter.view.urgency import NEVER, Urgency, trusted_verdict, urgency_of

# Rows a page: enough to look through; who has more searches.
SHOWN = 50


class Flag(StrEnum):
    """What an organisation can be filtered by. Over: a limit is reached. Red, amber: a scope is.

    Failing: the last poll failed. Unknown: nothing is known, or it is stale.
    """

    OVER = "over"
    RED = "red"
    AMBER = "amber"
    FAILING = "failing"
    UNKNOWN = "unknown"


_BANDS = {Band.WARNING: Flag.AMBER, Band.CRITICAL: Flag.RED}
# Of whom nothing is known comes where red begins: after what runs out, before what is amber.
_UNKNOWN: Urgency = (True, NEVER, True, -CRITICAL.ratio)


@dataclass(frozen=True)
class Standing:
    """What an organisation is sorted, filtered and found by. worst: its most urgent scope; None without one."""

    state: OrganisationState
    urgency: Urgency
    worst: str | None
    flags: frozenset[Flag]
    searched: str


@dataclass(frozen=True)
class Row:
    """One organisation. worst: its most urgent card; verdict: what about it; alerts: that fire, the gravest first."""

    api: str
    organisation: str
    labels: tuple[str, ...]
    worst: Card | None
    verdict: str
    failing: bool
    stale: bool
    alerts: tuple[Alert, ...]


@dataclass(frozen=True)
class Question:
    """What is asked for. api: only its organisations, "" for all; find: words; show: a flag; page: from 1."""

    api: str = ""
    find: str = ""
    show: Flag | None = None
    page: int = 1


@dataclass(frozen=True)
class Fleet:
    """A page of the organisations that a question finds.

    total: organisations of this api, or all. counts: of those that api and words find, by flag. matching: of those
    with the flag as well. page, pages: which this is, and how many there are, 1 at least.
    """

    question: Question
    apis: tuple[str, ...]
    total: int
    counts: dict[Flag, int]
    matching: int
    page: int
    pages: int
    rows: tuple[Row, ...]

    @property
    def only(self) -> Row | None:
        """The sole match of a search."""
        return self.rows[0] if self.matching == 1 and self.question.find else None


class Standings:
    """The standings of states, each worked out anew only when it may have changed. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[datetime | None, Standing]] = {}

    def of(self, states: Iterable[OrganisationState], now: datetime) -> list[Standing]:
        """In the order of the states."""
        known, found = self._known, {}
        for state in states:
            before = known.get(state.target.key)
            if before is None or before[1].state is not state or (before[0] is not None and before[0] <= now):
                before = (state.next_change(now), standing(state, now))
            found[state.target.key] = before
        self._known = found
        return [each for _, each in found.values()]


def standing(state: OrganisationState, now: datetime) -> Standing:
    worst: tuple[Urgency, str] | None = None
    flags: set[Flag] = set()
    names = []
    for scope in state.shown_scopes(now):
        usage = scope.usage
        ratio = usage.used_ratio or 0.0
        urgency = urgency_of(ratio, state.outlook(scope, now), state.refused_in_last_hour(scope, now))
        if worst is None or urgency < worst[0]:
            worst = (urgency, usage.name)
        if ratio >= LIMIT_REACHED_RATIO:
            flags.add(Flag.OVER)
        band = state.target.bands.of(usage.name).band_of(ratio)
        if band in _BANDS:
            flags.add(_BANDS[band])
        names.append(usage.name)
    if state.failure is not None:
        flags.add(Flag.FAILING)
    if worst is None or state.is_stale(now):
        flags.add(Flag.UNKNOWN)
    return Standing(
        state=state,
        urgency=_UNKNOWN if worst is None else worst[0],
        worst=None if worst is None else worst[1],
        flags=frozenset(flags),
        searched=_searched(state, names),
    )


def _searched(state: OrganisationState, scopes: Iterable[str]) -> str:
    organisation = state.target.organisation
    labels = (f"{name}={value}" for name, value in organisation.labels.items())
    parts = (organisation.display_name, organisation.id, state.target.api.name, *labels, *scopes)
    return "\n".join(parts).casefold()


def fleet_of(
    standings: Sequence[Standing],
    question: Question,
    now: datetime,
    alerts: AlertsSeen | None = None,
    zone_of: Callable[[ZoneInfo], ZoneInfo] = lambda zone: zone,
) -> Fleet:
    """The organisations in whose names, id, api, labels or scopes every word occurs. zone_of: of times, by the
    vendor's time zone."""
    of_api = [one for one in standings if question.api in ("", one.state.target.api.name)]
    words = question.find.casefold().split()
    found = [one for one in of_api if all(word in one.searched for word in words)]
    wanted = [one for one in found if question.show is None or question.show in one.flags]
    wanted.sort(key=lambda one: one.urgency)
    pages = max(1, -(-len(wanted) // SHOWN))
    page = min(question.page, pages)
    first = SHOWN * (page - 1)
    up = alert_words.by_organisation(alerts)
    return Fleet(
        question=question,
        apis=apis_of([one.state for one in standings]),
        total=len(of_api),
        counts={flag: sum(flag in one.flags for one in found) for flag in Flag},
        matching=len(wanted),
        page=page,
        pages=pages,
        rows=tuple(
            _row(one, now, up.get(one.state.target.key, ()), zone_of) for one in wanted[first : first + SHOWN]
        ),
    )


def apis_of(states: Iterable[OrganisationState]) -> tuple[str, ...]:
    """The names of all apis, in the config's order."""
    return tuple(dict.fromkeys(state.target.api.name for state in states))


def _row(found: Standing, now: datetime, alerts: Iterable[Alert], zone_of: Callable[[ZoneInfo], ZoneInfo]) -> Row:
    state = found.state
    card = scope_card(state, state.scope(found.worst), now) if found.worst is not None else None
    api, organisation = state.target.key
    return Row(
        api=api,
        organisation=organisation,
        labels=tuple(state.target.organisation.labels.values()),
        worst=card,
        verdict=trusted_verdict(card, zone_of(state.target.time_zone)) if card is not None else _without(state),
        failing=state.failure is not None,
        stale=state.is_stale(now),
        alerts=tuple(one for one in alerts if one.state is AlertState.FIRING),
    )


def _without(state: OrganisationState) -> str:
    return "Waiting for data" if state.last_poll is None else "No data"
