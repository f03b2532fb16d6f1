"""What is known of a scope -> its forecast, made once at each poll. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from exporter.forecast import (
    NO_PACES,
    NOT_BURNING,
    Basis,
    Burning,
    Forecast,
    Known,
    LimitState,
    Unknown,
    burning,
    forecast,
    limit_state,
)
from exporter.model import FetchedScope
from exporter.state.trust import Watched


def outlooks(scopes: Iterable[FetchedScope], watched: Mapping[str, Watched], zone: tzinfo) -> Mapping[str, Forecast]:
    """The forecasts of these scopes, by name, each as of when it was read."""
    return MappingProxyType({scope.usage.name: _made(scope, watched.get(scope.usage.name), zone) for scope in scopes})


def _made(scope: FetchedScope, watched: Watched | None, zone: tzinfo) -> Forecast:
    if scope.usage.requests is None:
        return Forecast(LimitState.UNLIMITED, Basis(), unknown=Unknown.NOT_TOLD)
    return forecast(known(scope, watched, zone))


def known(scope: FetchedScope, watched: Watched | None, zone: tzinfo) -> Known:
    """What a forecast is made from, where it is known what is used."""
    usage = scope.usage
    return Known(
        now=scope.fetched_at,
        zone=zone,
        requests=usage.requests or 0.0,
        limit=usage.limit,
        period=usage.period,
        days=usage.daily or (),
        points=tuple(watched.points) if watched is not None else (),
        suspect=watched is not None and watched.held is not None,
    )


def burnings(
    scopes: Iterable[FetchedScope], made: Mapping[str, Forecast], before: Mapping[str, Burning]
) -> Mapping[str, Burning]:
    """What burns too fast of these scopes, by name; others are absent. made, before: their forecasts, and what was
    found at the poll before."""
    found = {
        scope.usage.name: burning(
            scope.usage, made[scope.usage.name], scope.fetched_at, before.get(scope.usage.name, NOT_BURNING)
        )
        for scope in scopes
    }
    return MappingProxyType({name: one for name, one in found.items() if one != NOT_BURNING})


def not_made(scope: FetchedScope) -> Forecast:
    """What is said before a start has read back what was stored."""
    return Forecast(limit_state(scope.usage.requests or 0.0, scope.usage.limit), Basis(), unknown=Unknown.NOT_MADE)


def as_of(made: Forecast, scope: FetchedScope, now: datetime, stale_after: timedelta) -> Forecast:
    """What still holds of a forecast while its scope is not read any more.

    Nobody knows the pace of an hour that was not seen. Range, probability and moments stand, since nothing new is
    known; but not beyond the billing period.
    """
    period = scope.usage.period
    if period is not None and now >= period.end and made.unknown is None:
        made = Forecast(made.limit_state, made.basis, made.paces, unknown=Unknown.PERIOD_ENDED)
    return made if now - scope.fetched_at < stale_after else replace(made, paces=NO_PACES)


def still_burning(found: Burning, scope: FetchedScope, now: datetime, stale_after: timedelta) -> Burning:
    """What still holds while its scope is not read any more: nobody knows its pace then, nor that a page is over."""
    period = scope.usage.period
    if period is not None and now >= period.end:
        return NOT_BURNING
    return found if now - scope.fetched_at < stale_after else replace(found, burn_rate=None)
