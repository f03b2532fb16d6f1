"""Finding an organisation among many: a search, and a page of the matches with how each one stands. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.state.store import OrganisationState
from exporter.thresholds import Band
from exporter.view.cards import percentage

# Enough to look through; who has more searches. What is shown of each is worked out for these only.
SHOWN = 50

# From best to worst.
_BANDS = tuple(Band)


@dataclass(frozen=True)
class Choice:
    """An organisation to choose. band, summary: of its scope that is used up most."""

    api: str
    organisation: str
    band: Band | None
    summary: str
    stale: bool
    failing: bool


@dataclass(frozen=True)
class Choices:
    """A search and what it found.

    api: only this api's, "" for all. find: the words searched for. total: organisations of this api, or all.
    """

    api: str
    find: str
    apis: tuple[str, ...]
    total: int
    matching: int
    shown: tuple[Choice, ...]


def choices_of(states: Sequence[OrganisationState], now: datetime, *, api: str = "", find: str = "") -> Choices:
    """Organisations in whose name, id or api's name every word of `find` occurs."""
    of_api = [state for state in states if api in ("", state.target.api.name)]
    found = _matching(of_api, find)
    return Choices(
        api=api,
        find=find,
        apis=tuple(dict.fromkeys(state.target.api.name for state in states)),
        total=len(of_api),
        matching=len(found),
        shown=tuple(_choice(state, now) for state in found[:SHOWN]),
    )


def _matching(states: Iterable[OrganisationState], find: str) -> list[OrganisationState]:
    wanted = find.casefold().split()
    return [state for state in states if all(word in _searched(state) for word in wanted)]


def _searched(state: OrganisationState) -> str:
    organisation = state.target.organisation
    return f"{organisation.display_name} {organisation.id} {state.target.api.name}".casefold()


def _choice(state: OrganisationState, now: datetime) -> Choice:
    bands = state.target.bands
    ratios = [
        (_BANDS.index(bands.of(scope.usage.name).band_of(ratio)), ratio, scope.usage.name)
        for scope in state.shown_scopes(now)
        if (ratio := scope.usage.used_ratio) is not None
    ]
    worst = max(ratios, default=None)
    api, organisation = state.target.key
    return Choice(
        api=api,
        organisation=organisation,
        band=_BANDS[worst[0]] if worst else None,
        summary=f"{percentage(worst[1], bands.of(worst[2]))} {worst[2]}" if worst else _without_ratio(state, now),
        stale=state.is_stale(now),
        failing=state.failure is not None,
    )


def _without_ratio(state: OrganisationState, now: datetime) -> str:
    if state.shown_scopes(now):
        return "No limits"
    return "Waiting for data" if state.last_poll is None else "No data"
