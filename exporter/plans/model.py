"""Price lists as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """What requests beyond the included ones cost, up to a number of them (counted from the first beyond).

    price: for `per` requests; whole: of each block of `per` that is begun, else pro rata. up_to: None for the last.
    """

    price: Decimal
    per: int = 1
    up_to: Decimal | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a plan has of a scope. included: requests a period; None is unlimited.

    over: what requests beyond cost, ascending by up_to; () where they are refused.
    """

    included: Decimal | None
    over: tuple[Tier, ...] = ()

    @property
    def limit(self) -> Decimal | None:
        """The most requests that are taken; None where there is no end."""
        if self.included is None or not self.over:
            return self.included
        last = self.over[-1].up_to
        return None if last is None else self.included + last


@dataclass(frozen=True, slots=True)
class Plan:
    """price: a billing period. scopes: what is not listed is not part of the plan. link: where it is bought."""

    name: str
    price: Decimal
    scopes: Mapping[str, Allowance]
    link: str = ""


@dataclass(frozen=True, slots=True)
class AddOn:
    """More requests of one scope, on top of a plan. price: a billing period."""

    name: str
    price: Decimal
    scope: str
    adds: Decimal


@dataclass(frozen=True, slots=True)
class PriceList:
    """currency: ISO 4217, such as EUR; all amounts are of it."""

    currency: str
    plans: tuple[Plan, ...]
    add_ons: tuple[AddOn, ...] = ()

    def plan(self, name: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.name == name), None)
