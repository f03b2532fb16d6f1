"""The present usage as JSON (/api/v1/usage): what /metrics shows, with names that need no PromQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from exporter.model import FetchedScope
from exporter.store import OrganisationState


def usage_document(states: Iterable[OrganisationState], now: datetime) -> dict[str, Any]:
    """The whole answer. Times are ISO 8601 in UTC; null is unknown, and a limit is a number or "unlimited"."""
    return {"time": now.isoformat(), "organisations": [_organisation(state, now) for state in states]}


def _organisation(state: OrganisationState, now: datetime) -> dict[str, Any]:
    api, organisation = state.target.key
    failure = state.failure
    return {
        "api": api,
        "organisation": organisation,
        "organisation_id": state.target.organisation.id,
        "labels": dict(state.target.organisation.labels),
        "up": None if state.last_poll is None else failure is None,
        "stale": state.is_stale(now),
        "last_poll": _time(state.last_poll),
        "last_success": _time(state.last_success),
        "failure": failure and {"reason": failure.reason, "message": failure.message, "at": _time(failure.at)},
        "scopes": [_scope(scope, state.target.api.daily_history_days) for scope in state.shown_scopes(now)],
    }


def _scope(scope: FetchedScope, days: int) -> dict[str, Any]:
    usage = scope.usage
    ratio = usage.used_ratio
    return {
        "scope": usage.name,
        "scope_id": usage.id,
        "plan": usage.plan,
        "unit": usage.unit,
        "requests": usage.requests,
        "limit": "unlimited" if usage.limit is None else usage.limit,
        "used_ratio": ratio if ratio != float("inf") else None,
        "rate_limit_per_minute": usage.rate_limit_per_minute,
        "rejected": usage.rejected,
        "period": usage.period and {"start": _time(usage.period.start), "end": _time(usage.period.end)},
        "daily_source": usage.daily_source,
        "daily": [
            {"date": day.date.isoformat(), "requests": day.requests, "exact": day.exact}
            for day in usage.last_days(days)
        ],
        "fetched_at": _time(scope.fetched_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
