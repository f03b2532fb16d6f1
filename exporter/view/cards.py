"""What a usage card shows, worked out once for the page, the terminal and /api/v1/usage. Pure.

The dataclasses are the JSON document too: a field's name here is its name there, null is unknown or not applicable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from exporter.forecast import Forecast, days_near_limit
from exporter.model import BillingPeriod, DailySource, DailyUsage, FetchedScope, ScopeUsage
from exporter.state.ledger import Change, latest
from exporter.state.saved import Failure
from exporter.state.store import OrganisationState
from exporter.state.trust import Suspicion
from exporter.thresholds import (
    DEFAULT_BANDS,
    HISTORY_DAYS,
    LIMIT_REACHED_RATIO,
    RATE_LIMIT_HIGH_RATIO,
    Band,
    Bands,
    clean_ratio,
)

UNLIMITED: Literal["unlimited"] = "unlimited"

_MINUTES_A_DAY = 24 * 60


class AdviceKind(StrEnum):
    """rate_limit: slow down. add_on: one scope needs more than its limit. plan_upgrade: several do."""

    RATE_LIMIT = "rate_limit"
    ADD_ON = "add_on"
    PLAN_UPGRADE = "plan_upgrade"


@dataclass(frozen=True)
class Advice:
    """What to do about the usage, and for which scopes."""

    kind: AdviceKind
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """One scope.

    requests: in the billing period; None where there is no limit and the vendor tells only what is left.
    used_ratio: requests / limit, finer than what is shown; None when unlimited, or over a limit of 0.
    used_percentage: for people, such as "62.50%" (see `percentage`); None when unlimited.
    band: the colour; None when unlimited. thresholds: the used parts of the limit where it changes.
    forecast: will it last, as of fetched_at.
    days_near_limit: of the last 30; None without a limit or a period.
    shortfall: how many requests the limit lacks, by this period and the last; None where it is enough.
    near_rate_limit: requests were refused over the rate limit, or a day's average comes near it.
    stale_since: when the data grew older than allowed; None while it is fresh.
    missing_since: from when on good answers lack the scope although its period goes on.
    suspect: why the vendor's newest count is held back, so that these figures are the last trusted ones; None while
        they are the newest. suspect_since: from when on.
    rejected_in_last_hour: requests refused over the rate limit; None where the vendor does not report them.
    after_limit: what happens to requests over the limit; None where the config does not say.
    counted_in: the scope that counts the same requests, so that sums leave this one out; None where each counts once.
    changes: the vendor's last change of each term (limit, rate limit, plan, period), newest first.
    """

    scope: str
    scope_id: str
    plan: str
    unit: str
    requests: float | None
    limit: float | Literal["unlimited"]
    used_ratio: float | None
    used_percentage: str | None
    band: Band | None
    rate_limit_per_minute: float | None
    rejected: float | None
    period: BillingPeriod | None
    forecast: Forecast
    days_near_limit: int | None
    near_rate_limit: bool
    daily_source: DailySource
    daily: tuple[DailyUsage, ...]
    fetched_at: datetime
    stale_since: datetime | None
    thresholds: Bands = DEFAULT_BANDS
    shortfall: float | None = None
    missing_since: datetime | None = None
    suspect: Suspicion | None = None
    suspect_since: datetime | None = None
    rejected_in_last_hour: float | None = None
    after_limit: Literal["refused", "billed"] | None = None
    counted_in: str | None = None
    changes: tuple[Change, ...] = ()

    @property
    def filled(self) -> float | None:
        """How much of the bar is filled, 0 to 1; full above the limit; None without a bar."""
        if self.band is None:
            return None
        return 1.0 if self.used_ratio is None else min(self.used_ratio, 1.0)


@dataclass(frozen=True)
class OrganisationCards:
    """One organisation: how its polls go, and a card a scope.

    up: whether the last poll worked; None before the first.
    stale: whether any of the data is older than allowed.
    time_zone: IANA name, of the days and of calendar periods.
    """

    api: str
    organisation: str
    organisation_id: str
    labels: dict[str, str]
    time_zone: str
    poll_interval_seconds: float
    up: bool | None
    stale: bool
    last_poll: datetime | None
    last_success: datetime | None
    failure: Failure | None
    advice: tuple[Advice, ...]
    scopes: tuple[Card, ...]


def organisation_cards(state: OrganisationState, now: datetime) -> OrganisationCards:
    api = state.target.api
    cards = tuple(scope_card(state, scope, now) for scope in state.shown_scopes(now))
    return OrganisationCards(
        api=api.name,
        organisation=state.target.organisation.display_name,
        organisation_id=state.target.organisation.id,
        labels=dict(state.target.organisation.labels),
        time_zone=state.target.time_zone.key,
        poll_interval_seconds=api.poll_interval,
        up=None if state.last_poll is None else state.failure is None,
        stale=state.is_stale(now),
        last_poll=state.last_poll,
        last_success=state.last_success,
        failure=state.failure,
        advice=_advice(cards),
        scopes=cards,
    )


def scope_card(state: OrganisationState, scope: FetchedScope, now: datetime) -> Card:
    """One card, with what is known of the scope beside its last poll."""
    api, usage = state.target.api, scope.usage
    card = card_of(
        scope,
        state.outlook(scope, now),
        now,
        stale_after=timedelta(seconds=api.stale_after_seconds),
        days=api.daily_history_days,
        bands=state.target.bands.of(usage.name),
    )
    return replace(
        card,
        **_doubts(state, usage.name),
        shortfall=state.shortfall(scope, now),
        rejected_in_last_hour=state.refused_in_last_hour(scope, now),
        after_limit=api.after_limit(usage.name, usage.id),
        counted_in=api.counted_in(usage.name, usage.id),
        missing_since=state.missing_since(scope, now),
    )


def _doubts(state: OrganisationState, scope: str) -> dict[str, Any]:
    """The fields of a card that tell of a suspect count and of what the vendor changed."""
    watched = state.watched.get(scope)
    held = watched.held if watched is not None else None
    changes = sorted(latest(state.ledger.get(scope, ())), key=lambda change: change.at, reverse=True)
    return {
        "suspect": held and held.reason,
        "suspect_since": held and datetime.fromtimestamp(held.since, UTC),
        "changes": tuple(changes),
    }


def card_of(
    scope: FetchedScope,
    forecast: Forecast,
    now: datetime,
    *,
    stale_after: timedelta,
    days: int = HISTORY_DAYS,
    bands: Bands = DEFAULT_BANDS,
) -> Card:
    """The card of a scope. days: how many of the newest days it shows."""
    usage = scope.usage
    ratio = usage.used_ratio
    stale_since = scope.fetched_at + stale_after
    return Card(
        scope=usage.name,
        scope_id=usage.id,
        plan=usage.plan,
        unit=usage.unit,
        requests=usage.requests,
        limit=UNLIMITED if usage.limit is None else float(usage.limit),
        used_ratio=None if ratio == float("inf") else ratio,
        used_percentage=None if ratio is None else percentage(ratio, bands),
        band=None if ratio is None else bands.band_of(ratio),
        thresholds=bands,
        rate_limit_per_minute=usage.rate_limit_per_minute,
        rejected=usage.rejected,
        period=usage.period,
        forecast=forecast,
        days_near_limit=days_near_limit(usage),
        near_rate_limit=_near_rate_limit(usage),
        daily_source=usage.daily_source,
        daily=usage.last_days(days),
        fetched_at=scope.fetched_at,
        stale_since=stale_since if stale_since <= now else None,
    )


def percentage(ratio: float, bands: Bands) -> str:
    """A used ratio with two decimals, such as "62.50%".

    Rounded to the nearest, except where that would contradict the unrounded value: 74.996 % is blue
    and stays "74.99%", 90.001 % is red and becomes "90.01%", 99.996 % is not "100.00%", and used is not "0.00%".
    """
    percent = ratio * 100
    if percent == float("inf"):
        return ">100%"
    rounded = round(percent, 2)
    # 33.3 / 100 is 0.33299999999999996.
    if _story(round(rounded / 100, 4), bands) != _story(ratio, bands):
        rounded += 0.01 if rounded < percent else -0.01
    return f"{rounded:,.2f}%"


def _story(ratio: float, bands: Bands) -> tuple[Band, bool, bool]:
    return bands.band_of(ratio), clean_ratio(ratio) >= LIMIT_REACHED_RATIO, ratio > 0


def days_shown(daily: Sequence[DailyUsage]) -> list[tuple[date, DailyUsage | None]]:
    """30 dates up to the newest known one, each with what is known of it; [] where nothing is known."""
    by_date = {day.date: day for day in daily}
    if not by_date:
        return []
    newest = max(by_date)
    dates = (newest - timedelta(days=back) for back in reversed(range(HISTORY_DAYS)))
    return [(day, by_date.get(day)) for day in dates]


def _near_rate_limit(usage: ScopeUsage) -> bool:
    if usage.rejected:
        return True
    if not usage.rate_limit_per_minute:
        return False
    busiest = max((day.requests for day in usage.last_days(HISTORY_DAYS)), default=0.0)
    return clean_ratio(busiest / _MINUTES_A_DAY / usage.rate_limit_per_minute) >= RATE_LIMIT_HIGH_RATIO


def _advice(cards: Iterable[Card]) -> tuple[Advice, ...]:
    cards = tuple(cards)
    short = tuple(card.scope for card in cards if card.shortfall is not None)
    hurried = tuple(card.scope for card in cards if card.near_rate_limit)
    growth = Advice(AdviceKind.ADD_ON if len(short) == 1 else AdviceKind.PLAN_UPGRADE, short)
    return tuple(advice for advice in (growth, Advice(AdviceKind.RATE_LIMIT, hurried)) if advice.scopes)
