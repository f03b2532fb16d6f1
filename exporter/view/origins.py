"""Where each number of a scope comes from: asked of whom, read by which expression, or said by which field. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.config.api import Api
from exporter.config.expressions import Expression
from exporter.config.fields import format_duration
from exporter.config.load import Target
from exporter.config.mapping import PeriodMapping
from exporter.model import DailySource
from exporter.redaction import redact, without_secrets
from exporter.view import words
from exporter.view.cards import Card

_NOBODY = "neither the answer nor the config has one"


@dataclass(frozen=True)
class Asked:
    """A request to the vendor, without secrets. name: as mappings call it."""

    name: str
    method: str
    url: str


@dataclass(frozen=True)
class Origin:
    """One number as the card shows it, and where it was found."""

    what: str
    value: str
    found: str


def asked(target: Target) -> tuple[Asked, ...]:
    """The requests of a poll, the main one first."""
    api = target.api
    return tuple(
        Asked(name, request.sent_as, _url(target, request.url)) for name, request in api.all_requests.items()
    )


def _url(target: Target, url: str) -> str:
    whole = f"{target.api.base_url or ''}{url}" if url.startswith("/") else url
    named = whole.replace("{organisation_id}", target.organisation.id)
    return redact(without_secrets(named.replace("{organisation_name}", target.organisation.display_name)))


def origins(target: Target, card: Card) -> tuple[Origin, ...]:
    """Of every number on the card, in its order."""
    api = target.api
    key, override = api.override_of(card.scope, card.scope_id)
    own = f"overrides.{key} of the config"
    mapping, static = api.mapping, api.static
    return (
        Origin(card.unit.capitalize(), words.used(card), _requests(api, card)),
        Origin(
            "Limit",
            words.limit(card),
            own if override.limit is not None else _found(mapping.limit, "limit", said=static.limit is not None),
        ),
        Origin(
            "Rate limit",
            words.rate_limit(card),
            own
            if override.rate_limit_per_minute is not None
            else _found(
                mapping.rate_limit,
                "rate_limit_per_minute",
                said=static.rate_limit_per_minute is not None,
                note=_window(mapping.rate_limit_window),
            ),
        ),
        Origin(
            "Refused",
            "not reported" if card.rejected is None else words.number(card.rejected),
            _found(mapping.rejected, "", said=False),
        ),
        Origin(
            "Billing period",
            "not reported" if card.period is None else words.period(card.period, api.time_zone),
            own
            if override.period is not None
            else _found_period(mapping.period, said=static.period is not None, zone=api.time_zone.key),
        ),
        Origin("Daily usage", _days(len(card.daily)), _daily(api, card)),
    )


def _requests(api: Api, card: Card) -> str:
    mapping = api.mapping
    if card.requests is None:
        return f"{mapping.remaining} says what is left, and there is no limit"
    if mapping.requests is not None:
        text = f"{mapping.requests}"
    else:
        text = f"the limit less what is left: {mapping.remaining}"
    return text if mapping.scale == 1 else f"{text}, times {mapping.scale:g}"


def _window(seconds: float) -> str:
    return "" if seconds == 60 else f", for every {format_duration(seconds)}"  # noqa: PLR2004 - a minute


def _found(expression: Expression | None, field: str, *, said: bool, note: str = "") -> str:
    """said: whether the config's static has the field."""
    if expression is None:
        return f"static.{field} of the config" if said else _NOBODY
    beside = f"; where that is null, static.{field} of the config" if said else ""
    return f"{expression}{note}{beside}"


def _found_period(mapping: PeriodMapping | None, *, said: bool, zone: str) -> str:
    calendar = f"static.period of the config, by the calendar of {zone}"
    if mapping is None:
        return calendar if said else _NOBODY
    beside = f"; where that is null, {calendar}" if said else ""
    return f"{', '.join(_period_parts(mapping))}{beside}"


def _period_parts(mapping: PeriodMapping) -> Iterator[str]:
    for name in ("start", "end", "ends_in", "anchor", "every"):
        expression = getattr(mapping, name)
        if expression is not None:
            yield f"{name.replace('_', ' ')}: {expression}"
    if mapping.length is not None:
        yield f"length: {mapping.length if isinstance(mapping.length, str) else format_duration(mapping.length)}"


def _days(count: int) -> str:
    return "none known" if count == 0 else f"{count} day{'' if count == 1 else 's'}"


def _daily(api: Api, card: Card) -> str:
    if card.daily_source is DailySource.OBSERVED or api.mapping.daily is None:
        return f"counted by the exporter from poll to poll, in days of {api.time_zone.key}"
    return f"the vendor's own history: {api.mapping.daily.entries}, in days of {api.time_zone.key}"
