"""Since when a scope's usage is in its band, or over its limit, by what the exporter has seen itself. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from exporter.model import FetchedScope
from exporter.state.ledger import Term
from exporter.state.store import OrganisationState
from exporter.thresholds import LIMIT_REACHED_RATIO, Band, clean_ratio
from exporter.view.counts_back import counts_back

_WORSE = (Band.NORMAL, Band.WARNING, Band.CRITICAL)


class Precision(StrEnum):
    """poll: of this poll it is known first. day: at some time of that day. at_least: at that time or before it."""

    POLL = "poll"
    DAY = "day"
    AT_LEAST = "at_least"


@dataclass(frozen=True)
class Since:
    """at: in UTC; a day's beginning is in the vendor's time zone."""

    at: datetime
    precision: Precision


def band_since(state: OrganisationState, scope: FetchedScope) -> Since | None:
    """From when on the count is in its band or a worse one; None where it is in none, or nothing is known."""
    ratio, bands = scope.usage.used_ratio, state.target.bands.of(scope.usage.name)
    if ratio is None or bands.band_of(ratio) is Band.NORMAL:
        return None
    present = _WORSE.index(bands.band_of(ratio))
    return _since(state, scope, lambda used: _WORSE.index(bands.band_of(used)) >= present)


def over_since(state: OrganisationState, scope: FetchedScope) -> Since | None:
    """From when on the limit is reached; None where it is not, or nothing is known."""
    ratio = scope.usage.used_ratio
    if ratio is None or ratio < LIMIT_REACHED_RATIO:
        return None
    return _since(state, scope, lambda used: clean_ratio(used) >= LIMIT_REACHED_RATIO)


def _since(state: OrganisationState, scope: FetchedScope, holds: Callable[[float], bool]) -> Since | None:
    """From when on what holds of the used ratio now has held, under the present limit.

    The limit of before a change held for counts of before it: there it begins with the change at the earliest.
    """
    usage = scope.usage

    def is_there(count: float) -> bool:
        return holds(count / usage.limit if usage.limit else float("inf" if count else 0))

    found = _by_polls(state, scope, is_there)
    if found is None or found.precision is Precision.AT_LEAST:
        found = _by_days(state, scope, is_there) or found
    changed = [change.at for change in state.ledger.get(usage.name, ()) if change.term is Term.LIMIT]
    if found is not None and changed and changed[-1] > found.at:
        return Since(changed[-1], Precision.POLL)
    return found


def _by_polls(state: OrganisationState, scope: FetchedScope, is_there: Callable[[float], bool]) -> Since | None:
    watched = state.watched.get(scope.usage.name)
    points = [point for point in watched.points if point[0] >= watched.known.began] if watched is not None else []
    found: Since | None = None
    for at, count in reversed(points):
        if not is_there(count):
            return found
        found = Since(datetime.fromtimestamp(at, UTC), Precision.POLL)
    return None if found is None else Since(found.at, Precision.AT_LEAST)


def _by_days(state: OrganisationState, scope: FetchedScope, is_there: Callable[[float], bool]) -> Since | None:
    """The day on which what came before it was less, counted back from now; None where the days do not reach back."""
    usage, zone = scope.usage, state.target.time_zone
    if usage.period is None or usage.requests is None:
        return None
    for midnight, count in counts_back(usage.requests, usage.daily or (), usage.period, scope.fetched_at, zone):
        if not is_there(count):
            return Since(midnight, Precision.DAY)
    return None
