"""The scopes, their days or past billing periods, as CSV (RFC 4180) for a spreadsheet: /api/v1/usage.csv. Pure.

What is unknown or does not apply is empty; times are ISO 8601 in UTC, days are the api's own.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from exporter.state.trust import Watched
from exporter.view import forecast_words
from exporter.view.cards import Card, OrganisationCards

Row = tuple[str, ...]

_SCOPE = ("api", "organisation", "organisation_id", "scope", "scope_id", "unit")
SCOPE_COLUMNS = (
    *_SCOPE,
    "plan",
    "requests",
    "limit",
    "used_percent",
    "band",
    "rate_limit_per_minute",
    "rejected",
    "period_start",
    "period_end",
    "forecast_low",
    "forecast_middle",
    "forecast_high",
    "over_limit_probability",
    "runs_out",
    "fetched_at",
    "stale_since",
    "missing_since",
    "labels",
)
DAY_COLUMNS = (*_SCOPE, "date", "time_zone", "requests", "exact")
PERIOD_COLUMNS = (*_SCOPE, "period_start", "period_end", "requests", "limit", "seen_until")
# A spreadsheet takes a text that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Rows(StrEnum):
    """What has a row."""

    SCOPES = "scopes"
    DAYS = "days"
    PERIODS = "periods"


def to_csv(organisations: Iterable[tuple[OrganisationCards, Mapping[str, Watched]]], rows: Rows) -> str:
    """A header, and a row for each scope, for each known day or for each past billing period of each scope.

    organisations: each with what is watched of its scopes, by name.
    """
    written = io.StringIO(newline="")
    table = csv.writer(written)  # the excel dialect is RFC 4180's: commas, CRLF, quotes doubled
    table.writerow({Rows.SCOPES: SCOPE_COLUMNS, Rows.DAYS: DAY_COLUMNS, Rows.PERIODS: PERIOD_COLUMNS}[rows])
    for cards, watched in organisations:
        for card in cards.scopes:
            if rows == Rows.SCOPES:
                table.writerow(_scope(cards, card))
            elif rows == Rows.DAYS:
                table.writerows(_days(cards, card))
            else:
                table.writerows(_periods(cards, card, watched.get(card.scope)))
    return written.getvalue()


def _text(value: str) -> str:
    """Marked as a text where a spreadsheet would run it (OWASP, CSV Injection)."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _time(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _names(cards: OrganisationCards, card: Card) -> Row:
    names = (cards.api, cards.organisation, cards.organisation_id, card.scope, card.scope_id, card.unit)
    return tuple(map(_text, names))


def _scope(cards: OrganisationCards, card: Card) -> Row:
    made = card.forecast
    estimates = made.requests
    runs_out = made.reached.likely if forecast_words.likely_to_reach(card) else None
    return (
        *_names(cards, card),
        _text(card.plan),
        _number(card.requests),
        card.limit if isinstance(card.limit, str) else _number(card.limit),
        "" if card.used_ratio is None else _number(card.used_ratio * 100),
        "" if card.band is None else card.band.value,
        _number(card.rate_limit_per_minute),
        _number(card.rejected),
        _time(card.period.start if card.period else None),
        _time(card.period.end if card.period else None),
        *(("", "", "") if estimates is None else map(_number, (estimates.low, estimates.middle, estimates.high))),
        _number(made.over_limit_probability),
        _time(runs_out),
        _time(card.fetched_at),
        _time(card.stale_since),
        _time(card.missing_since),
        _text(" ".join(f"{name}={value}" for name, value in sorted(cards.labels.items()))),
    )


def _days(cards: OrganisationCards, card: Card) -> Iterator[Row]:
    names = _names(cards, card)
    for day in card.daily:
        exact = "true" if day.exact else "false"
        yield (*names, day.date.isoformat(), cards.time_zone, _number(day.requests), exact)


def _periods(cards: OrganisationCards, card: Card, watched: Watched | None) -> Iterator[Row]:
    names = _names(cards, card)
    for past in watched.known.past if watched is not None else ():
        yield (
            *names,
            _time(_moment(past.start)),
            _time(_moment(past.end)),
            _number(past.requests),
            "unlimited" if past.limit is None else _number(past.limit),
            _time(_moment(past.seen_until)),
        )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
