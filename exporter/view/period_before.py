"""A billing period beside the one before it, at the same time since its beginning."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from exporter.state.store import OrganisationState
from exporter.view.cards import Card

# What a scope's count was at a time, if a poll since another time is known.
CountAt = Callable[[OrganisationState, str, datetime, datetime], float | None]

# Stored counts are an hour apart after two days; what is further apart says little of a time.
_NEAR = timedelta(hours=2)


def period_before(state: OrganisationState, card: Card, count_at: CountAt) -> str:
    """ "+12% on the period before by this time (15,200 by 22 Oct)"; "" where that was not watched."""
    before = state.period_before(state.scope(card.scope).usage)
    if before is None or card.period is None or card.requests is None:
        return ""
    begun, ended = (datetime.fromtimestamp(moment, UTC) for moment in (before.start, before.end))
    moment = begun + (card.fetched_at - card.period.start)
    if moment >= ended:
        return ""
    count = count_at(state, card.scope, moment, max(begun, moment - _NEAR))
    if not count:
        return ""
    by = moment.astimezone(state.target.time_zone)
    return f"{card.requests / count - 1:+.0%} on the period before by this time ({count:,.0f} by {by.day} {by:%b})"
