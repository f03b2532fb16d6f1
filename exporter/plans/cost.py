"""What one billing period costs under a plan, and what it refuses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from exporter.plans.model import AddOn, Allowance, Plan, Tier

_NOTHING = Decimal(0)
_NOT_PART_OF_IT = Allowance(_NOTHING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """cost: price, add-ons and what is over. refused: by scope, requests that the plan does not take."""

    cost: Decimal
    refused: Mapping[str, Decimal]


def outcome(plan: Plan, add_ons: Sequence[AddOn], usage: Mapping[str, Decimal]) -> Outcome:
    """usage: requests of the period, by scope. add_ons: as often as they are bought."""
    more = adds_of(add_ons)
    cost = plan.price + sum((add_on.price for add_on in add_ons), _NOTHING)
    refused = {}
    for scope, requests in usage.items():
        over_cost, not_taken = of_scope(allowance_of(plan, scope), more.get(scope, _NOTHING), requests)
        cost += over_cost
        if not_taken:
            refused[scope] = not_taken
    return Outcome(cost, refused)


def adds_of(add_ons: Iterable[AddOn]) -> dict[str, Decimal]:
    """What they add, by scope."""
    more: dict[str, Decimal] = {}
    for add_on in add_ons:
        more[add_on.scope] = more.get(add_on.scope, _NOTHING) + add_on.adds
    return more


def allowance_of(plan: Plan, scope: str) -> Allowance:
    """Of a scope that is not part of the plan, none is allowed."""
    return plan.scopes.get(scope, _NOT_PART_OF_IT)


def included(plan: Plan, add_ons: Iterable[AddOn]) -> dict[str, Decimal | None]:
    """Requests a period, by scope, with the add-ons; None is unlimited."""
    more = adds_of(add_ons)
    return {
        scope: None if allowance.included is None else allowance.included + more.get(scope, _NOTHING)
        for scope, allowance in plan.scopes.items()
    }


def of_scope(allowance: Allowance, more: Decimal, requests: Decimal) -> tuple[Decimal, Decimal]:
    """(what is over costs, requests that are refused). more: from add-ons."""
    if allowance.included is None:
        return _NOTHING, _NOTHING
    over = max(requests - allowance.included - more, _NOTHING)
    if not over:
        return _NOTHING, _NOTHING
    return over_cost(allowance.over, over)


def over_cost(tiers: Sequence[Tier], over: Decimal) -> tuple[Decimal, Decimal]:
    """(their cost, what lies beyond the last tier and is refused) of so many requests beyond the included ones."""
    cost, done = _NOTHING, _NOTHING
    for tier in tiers:
        until = over if tier.up_to is None else min(over, tier.up_to)
        part = max(until - done, _NOTHING)
        blocks = part / tier.per
        cost += tier.price * (blocks.to_integral_value(ROUND_CEILING) if tier.whole else blocks)
        done = max(done, until)
    return cost, over - done
