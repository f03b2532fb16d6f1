"""How fast a scope is used beside its rate limit: now, and in the busiest minutes of the last hour. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.state.store import OrganisationState
from exporter.thresholds import DEFAULT_BANDS, Band, clean_ratio
from exporter.view import words
from exporter.view.cards import Card

_HOUR = timedelta(hours=1)
# Counts that are read further apart say nothing of a minute.
_LONGEST = 15 * 60.0
_MINUTE = 60.0


@dataclass(frozen=True)
class Busiest:
    """requests a minute, over so long a time between two polls."""

    per_minute: float
    over: timedelta


@dataclass(frozen=True)
class Rate:
    """now, busiest: parts of the rate limit, 0 to 1; None where not known. text: both in words."""

    now: float | None
    busiest: float | None
    band: Band
    text: str


def busiest(state: OrganisationState, scope: str, now: datetime) -> Busiest | None:
    """The minute, or the time between two polls where these are further apart, of the last hour in which most was
    used; None where too little was seen."""
    watched = state.watched.get(scope)
    points = watched.points.since((now - _HOUR).timestamp()) if watched is not None else []
    found, last = [], 0
    for since, before in points:
        while last < len(points) and points[last][0] - since < _MINUTE:
            last += 1
        if last == len(points):
            break
        at, count = points[last]
        if count >= before and at - since <= _LONGEST:
            found.append(Busiest((count - before) / (at - since) * _MINUTE, timedelta(seconds=at - since)))
    return max(found, key=lambda one: one.per_minute, default=None)


def rate_of(card: Card, most: Busiest | None) -> Rate | None:
    """None where the vendor reports no rate limit, or nothing of the pace is known."""
    limit = card.rate_limit_per_minute
    paces = card.forecast.paces
    pace = paces.recent if paces.recent is not None else paces.hour
    if not limit or (pace is None and most is None):
        return None
    parts = [
        f"{words.about(pace)} a minute now" if pace is not None else "",
        f"{words.about(most.per_minute)} in the busiest {_length(most)} of the last hour" if most else "",
    ]
    highest = max(pace or 0.0, most.per_minute if most else 0.0)
    if not highest and most is not None:
        parts = ["nothing in the last hour"]
    return Rate(
        now=None if pace is None else min(1.0, pace / limit),
        busiest=None if most is None else min(1.0, most.per_minute / limit),
        band=DEFAULT_BANDS.band_of(clean_ratio(highest / limit)),
        text=", ".join(part for part in parts if part),
    )


def _length(most: Busiest) -> str:
    """ "minute", "5 minutes"."""
    return words.span(most.over).removeprefix("1 ")
