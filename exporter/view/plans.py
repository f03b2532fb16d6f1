"""/api/v1/plan: what the plans of a price list would have cost over the billing periods that were watched. Pure.

The dataclasses are the JSON document. Amounts are texts with two decimals, since JSON's numbers are floats.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from pydantic import TypeAdapter, ValidationError

from exporter.config.prices import Prices
from exporter.plans import Compared, Period, PriceList, compare, grown, included
from exporter.state.store import OrganisationState
from exporter.view.plan_periods import WatchedPeriod, periods_of
from exporter.view.usage_json import selected

_CENT = Decimal("0.01")
# The largest count at the largest price has 33 digits before the point.
_ANY_SIZE = Context(prec=60)
_MOST_GROWTH = 10_000
_LEAST_GROWTH = -100


class PlanQuestionError(ValueError):
    """What is asked cannot be answered as it stands; the message says what would be right."""


@dataclass(frozen=True)
class LimitHit:
    """refused: requests beyond the limit in that period."""

    period: str
    scope: str
    refused: float


@dataclass(frozen=True)
class PlanOption:
    """A plan, with the add-ons that are bought each period, by how many of each.

    average: what a period costs. headroom: the part that is left of the tightest limit in its fullest period.
    included: requests a period, by scope, with the add-ons; None is unlimited.
    """

    plan: str
    add_ons: dict[str, int]
    average: str
    total: str
    hits: tuple[LimitHit, ...]
    headroom: float | None
    included: dict[str, float | None]
    is_current: bool
    link: str = ""


@dataclass(frozen=True)
class OrganisationPlans:
    """current: the plan in use; None where it is not known. options: the best first.

    left_out: periods of which not all is known, and not_compared: scopes, each with the reason.
    """

    api: str
    organisation: str
    currency: str
    current: str | None
    periods: tuple[WatchedPeriod, ...]
    left_out: dict[str, str]
    not_compared: dict[str, str]
    options: tuple[PlanOption, ...]


@dataclass(frozen=True)
class PlanDocument:
    """growth: percent by which all usage was raised."""

    time: datetime
    growth: float
    organisations: tuple[OrganisationPlans, ...]


def growth_of(text: str) -> float:
    """Percent, as it stands in a URL. Raises PlanQuestionError."""
    try:
        return float(text)
    except ValueError:
        raise PlanQuestionError(f"growth must be a number of percent, such as 20, not {text!r}") from None


_ADAPTER = TypeAdapter(PlanDocument)


def to_json(document: PlanDocument) -> bytes:
    return _ADAPTER.dump_json(document)


def from_json(body: bytes) -> PlanDocument:
    """Raises ValueError that names what is wrong."""
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        raise ValueError(error.errors(include_url=False, include_input=False)[0]["msg"]) from None


def plan_document(
    states: Iterable[OrganisationState],
    now: datetime,
    *,
    growth: float = 0,
    apis: Sequence[str] = (),
    organisations: Sequence[str] = (),
) -> PlanDocument:
    """Of every organisation whose api has prices. growth: percent. Raises PlanQuestionError."""
    if not _LEAST_GROWTH < growth <= _MOST_GROWTH:
        raise PlanQuestionError(
            f"growth must be over {_LEAST_GROWTH} and at most {_MOST_GROWTH}, in percent, not {growth:.15g}"
        )
    chosen = selected(states, apis, organisations)
    if not chosen:
        raise PlanQuestionError("no organisation of that name or id, and api, is watched")
    found = tuple(
        _planned(state, state.target.api.prices, now, growth)
        for state in chosen
        if state.target.api.prices is not None
    )
    if not found:
        named = ", ".join(sorted({state.target.api.name for state in chosen}))
        raise PlanQuestionError(f"the config has no prices for {named}; docs/planning.md says how to write them")
    return PlanDocument(now, growth, found)


def _planned(state: OrganisationState, prices: Prices, now: datetime, growth: float) -> OrganisationPlans:
    offered = prices.price_list()
    sold = frozenset(scope for plan in offered.plans for scope in plan.scopes)
    watched = periods_of(state, sold, now)
    periods = [
        Period(one.name, {scope: Decimal(repr(count)) for scope, count in one.usage.items()})
        for one in watched.compared
    ]
    current = prices.current or _reported(state, offered)
    plan = offered.plan(current) if current is not None else None
    in_use = (plan, prices.add_ons_in_use(offered)) if plan is not None else None
    api, organisation = state.target.key
    return OrganisationPlans(
        api,
        organisation,
        offered.currency,
        current,
        watched.compared,
        dict(watched.left_out),
        dict(watched.not_compared),
        tuple(
            _option(one, len(periods), is_current=in_use == (one.plan, one.add_ons))
            for one in compare(offered, grown(periods, Decimal(repr(float(growth)))), in_use)
        )
        if periods
        else (),
    )


def _option(found: Compared, periods: int, *, is_current: bool) -> PlanOption:
    return PlanOption(
        plan=found.plan.name,
        add_ons=dict(Counter(one.name for one in found.add_ons)),
        average=_amount(found.average(periods)),
        total=_amount(found.total),
        hits=tuple(LimitHit(hit.period, hit.scope, float(hit.refused)) for hit in found.hits),
        headroom=_number(found.headroom),
        included={scope: _number(count) for scope, count in included(found.plan, found.add_ons).items()},
        is_current=is_current,
        link=found.plan.link,
    )


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _amount(value: Decimal) -> str:
    return f"{value.quantize(_CENT, ROUND_HALF_EVEN, _ANY_SIZE):f}"


def _reported(state: OrganisationState, offered: PriceList) -> str | None:
    """The plan that the vendor's answer names."""
    named = Counter(scope.usage.plan for scope in state.scopes if offered.plan(scope.usage.plan) is not None)
    return named.most_common(1)[0][0] if named else None
