"""/api/v1/fits: whether a job fits into a scope. Pure.

The dataclass is the JSON document; null is unknown or does not apply.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from exporter.forecast import Fit, fits
from exporter.model import FetchedScope
from exporter.state.outlooks import known
from exporter.state.store import OrganisationState
from exporter.view.usage_json import selected
from exporter.view.words import some

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = timedelta(days=1)
_LISTED = 10


class QuestionError(ValueError):
    """What is asked cannot be answered as it stands; the message says what would be right."""


class NothingReadError(Exception):
    """The scope may be one of those that have not been read yet."""


@dataclass(frozen=True)
class FitDocument:
    """An answer. time: as of when; fetched_at: when the scope was read. requests: of the job, in units of `unit`."""

    time: datetime
    api: str
    organisation: str
    scope: str
    unit: str
    time_zone: str
    requests: float
    fetched_at: datetime
    fit: Fit


_ADAPTER = TypeAdapter(FitDocument)


def to_json(document: FitDocument) -> bytes:
    """Times are ISO 8601 in UTC."""
    return _ADAPTER.dump_json(document)


def from_json(body: bytes) -> FitDocument:
    """Raises ValueError that names what is wrong."""
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        raise ValueError(error.errors(include_url=False, include_input=False)[0]["msg"]) from None


def fit_document(
    states: Iterable[OrganisationState],
    now: datetime,
    *,
    scope: str,
    requests: float,
    by: str,
    apis: Sequence[str] = (),
    organisations: Sequence[str] = (),
) -> FitDocument:
    """Whether the job fits into the only scope of that name or id.

    by: see `moment_of`; "" for the billing period's end. apis, organisations: where to look, everywhere if left out.
    Raises QuestionError and NothingReadError.
    """
    if not 0 < requests < float("inf"):
        raise QuestionError(f"requests must be a number over 0, not {requests:g}")
    state, found = _only_one(selected(states, apis, organisations), now, scope)
    zone = state.target.time_zone
    moment = moment_of(by, now, zone) if by else None
    if moment is not None and moment <= now:
        raise QuestionError(f"by must lie ahead; {by!r} is over")
    period = found.usage.period
    old = now - found.fetched_at >= timedelta(seconds=state.target.api.stale_after_seconds)
    ended = period is not None and now >= period.end
    return FitDocument(
        time=now,
        api=state.target.api.name,
        organisation=state.target.organisation.display_name,
        scope=found.usage.name,
        unit=found.usage.unit,
        time_zone=zone.key,
        requests=requests,
        fetched_at=found.fetched_at,
        fit=fits(known(found, state.watched.get(found.usage.name), zone), requests, moment, old=old or ended),
    )


def _only_one(
    states: Sequence[OrganisationState], now: datetime, scope: str
) -> tuple[OrganisationState, FetchedScope]:
    if not states:
        raise QuestionError("no organisation of that name or id is watched")
    everywhere = [(state, each) for state in states for each in state.shown_scopes(now)]
    found = [(state, each) for state, each in everywhere if each.usage.name == scope]
    found = found or [(state, each) for state, each in everywhere if scope and each.usage.id == scope]
    if len(found) == 1:
        return found[0]
    if found:
        named = [f"{state.target.organisation.display_name} ({state.target.api.name})" for state, _ in found]
        raise QuestionError(f"{scope!r} is a scope of {_listed(named)}: say which organisation, and api")
    unread = [state.target.organisation.display_name for state in states if not state.shown_scopes(now)]
    if unread:
        raise NothingReadError(f"no scope {scope!r} is known, but nothing current is known of {_listed(unread)}")
    names = list(dict.fromkeys(each.usage.name for _, each in everywhere))
    raise QuestionError(
        f"there is no scope {scope!r}; there is {_listed(get_close_matches(scope, names, _LISTED, 0.4) or names)}"
    )


def _listed(names: Sequence[str]) -> str:
    return some(names, _LISTED)


def moment_of(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """A deadline in people's words, in UTC.

    `friday` (the next one, or today), `today`, `tomorrow` and `2026-11-27` are until the end of that day in the zone;
    `2026-11-27T18:00` is in the zone where it has no offset.

    Raises QuestionError.
    """
    today, word = now.astimezone(zone).date(), text.strip().lower()
    if word in _WEEKDAYS:
        return _end_of(today + (_WEEKDAYS.index(word) - today.weekday()) % len(_WEEKDAYS) * _DAY, zone)
    if word in ("today", "tomorrow"):
        return _end_of(today + _DAY if word == "tomorrow" else today, zone)
    try:
        if len(word) == len("2026-11-27"):
            return _end_of(date.fromisoformat(word), zone)
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"by must be a weekday, today, tomorrow, or a date or time such as 2026-11-27T18:00, not {text!r}"
        raise QuestionError(message) from None


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + _DAY, time(), zone).astimezone(UTC)
