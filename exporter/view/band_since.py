"""Since when a scope's usage is in its band, by the exporter's own thresholds and what it has seen. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from exporter.model import FetchedScope
from exporter.state.ledger import Term
from exporter.state.store import OrganisationState
from exporter.thresholds import Band, Bands

_WORSE = (Band.NORMAL, Band.WARNING, Band.CRITICAL)


class Precision(StrEnum):
    """poll: of this poll it is known first. day: at some time of that day. at_least: at that time or before it."""

    POLL = "poll"
    DAY = "day"
    AT_LEAST = "at_least"


@dataclass(frozen=True)
class Since:
    at: datetime
    precision: Precision


def band_since(state: OrganisationState, scope: FetchedScope) -> Since | None:
    """From when on the count is in its band or a worse one, under the present limit; None where it is in none, or
    nothing is known.

    The limit of before a change held for counts of before it: there it begins with the change at the earliest.
    """
    usage, bands = scope.usage, state.target.bands.of(scope.usage.name)
    ratio = usage.used_ratio
    if ratio is None or bands.band_of(ratio) is Band.NORMAL:
        return None
    found = _by_polls(state, scope, bands)
    if found is None or found.precision is Precision.AT_LEAST:
        found = _by_days(state, scope, bands) or found
    changed = [change.at for change in state.ledger.get(usage.name, ()) if change.term is Term.LIMIT]
    if found is not None and changed and changed[-1] > found.at:
        return Since(changed[-1], Precision.POLL)
    return found


def _is_there(count: float, scope: FetchedScope, bands: Bands) -> bool:
    """Whether so many requests are in the present band, or a worse one."""
    limit, ratio = scope.usage.limit, scope.usage.used_ratio
    if limit is None or ratio is None:
        return False
    used = count / limit if limit else float("inf" if count else 0)
    return _WORSE.index(bands.band_of(used)) >= _WORSE.index(bands.band_of(ratio))


def _by_polls(state: OrganisationState, scope: FetchedScope, bands: Bands) -> Since | None:
    watched = state.watched.get(scope.usage.name)
    points = [point for point in watched.points if point[0] >= watched.known.began] if watched is not None else []
    found: Since | None = None
    for at, count in reversed(points):
        if not _is_there(count, scope, bands):
            return found
        found = Since(datetime.fromtimestamp(at, UTC), Precision.POLL)
    return None if found is None else Since(found.at, Precision.AT_LEAST)


def _by_days(state: OrganisationState, scope: FetchedScope, bands: Bands) -> Since | None:
    """The day on which what came before it was less, counted back from now; None where the days do not reach back."""
    usage, zone = scope.usage, state.target.time_zone
    if usage.period is None:
        return None
    count = usage.requests
    expected = scope.fetched_at.astimezone(zone).date()
    for day in reversed(usage.daily or ()):
        start = datetime.combine(day.date, time(), zone)
        if day.date != expected or start < usage.period.start:
            return None
        count -= day.requests
        if not _is_there(count, scope, bands):
            return Since(start, Precision.DAY)
        expected -= timedelta(days=1)
    return None
