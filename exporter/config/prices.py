"""A vendor's price list: what its plans and add-ons cost, and what they hold."""

from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from exporter.config.fields import Flag, Frozen, Name, PlainUrl
from exporter.config.yaml_document import WrittenNumber
from exporter.plans import AddOn, Allowance, Plan, PriceList, Tier

_MOST, _LEAST = Decimal(10) ** 12, Decimal("0.000000001")


def _decimal(value: Any, otherwise: str = "") -> Decimal:
    """As it is written: 0.10 is no float. otherwise: what else may stand there, for the message."""
    text = value.written if isinstance(value, WrittenNumber) else value
    try:
        if isinstance(value, bool) or not isinstance(text, int | str):
            raise InvalidOperation
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"must be a number such as 49 or 0.25{otherwise}, not {value!r}") from None
    if not (number.is_finite() and 0 <= number <= _MOST):
        raise ValueError(f"must be a number from 0 to {_MOST:,}, not {value}")
    if 0 < number < _LEAST:
        raise ValueError(f"must be 0, or at least {_LEAST:f}, not {value}")
    return number


def _currency(value: str) -> str:
    if len(value) != len("EUR") or not (value.isascii() and value.isalpha() and value.isupper()):
        raise ValueError(f"must be an ISO 4217 code of three capital letters, such as EUR, not {value!r}")
    return value


def _included(value: Any) -> Any:
    return value if value == "unlimited" else _decimal(value, ", or unlimited")


_NUMBER = WithJsonSchema({"type": "number", "minimum": 0})
_OVER_0 = WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
Amount = Annotated[Decimal, BeforeValidator(_decimal), _NUMBER]
MoreThanNothing = Annotated[Decimal, BeforeValidator(_decimal), _OVER_0, Field(gt=0)]


class TierOfPrices(Frozen):
    """What requests beyond the included ones cost."""

    price: Amount = Field(description="Of `per` requests.")
    per: int = Field(1, ge=1, description="Requests that the price is for, such as 1000.")
    up_to: MoreThanNothing | None = Field(
        None, description="Until so many requests beyond the included ones; left out: without an end."
    )
    blocks: Flag = Field(False, description="true: each block of `per` that is begun is paid for whole.")


class PlanScope(Frozen):
    """What a plan has of a scope; a number alone is what is included."""

    included: Annotated[
        Decimal | Literal["unlimited"],
        BeforeValidator(_included),
        WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"const": "unlimited"}]}),
    ] = Field(description="Requests of a billing period, or unlimited.")
    over: tuple[TierOfPrices, ...] = Field(
        (), strict=False, description="What requests beyond cost, the first ones first; left out: they are refused."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"included": value}

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        ends = [tier.up_to for tier in self.over]
        if None in ends[:-1] or any(
            one is not None and other is not None and one >= other for one, other in pairwise(ends)
        ):
            raise ValueError("over must go up: each up_to higher than the one before, and only the last without one")
        if self.over and self.included == "unlimited":
            raise ValueError("has over, and is unlimited")
        return self

    def allowance(self) -> Allowance:
        included = None if isinstance(self.included, str) else self.included
        return Allowance(included, tuple(Tier(one.price, one.per, one.up_to, one.blocks) for one in self.over))


class OfferedPlan(Frozen):
    """One of the vendor's plans."""

    price: Amount = Field(description="Of a billing period, in the price list's currency.")
    scopes: dict[Name, PlanScope] = Field(
        min_length=1, description="By scope, as it is shown; what is not listed is not part of it."
    )
    link: PlainUrl | None = Field(None, description="Where it is bought.")


class OfferedAddOn(Frozen):
    """More of one scope, on top of a plan."""

    price: Amount = Field(description="Of a billing period, in the price list's currency.")
    scope: Name = Field(description="The scope, as it is shown, of which there is more.")
    adds: MoreThanNothing = Field(description="So many requests a billing period.")


class Prices(Frozen):
    """What the vendor offers, and what is bought of it: what `api-usage-exporter plan` compares."""

    currency: Annotated[
        str, AfterValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$"})
    ] = Field(description="ISO 4217, such as EUR; of all amounts.")
    plans: dict[Name, OfferedPlan] = Field(min_length=1, description="By name, as the vendor calls it.")
    add_ons: dict[Name, OfferedAddOn] = Field({}, description="By name.")
    current: Name | None = Field(
        None, description="The plan in use; left out: the one that the vendor's answer names."
    )

    bought: dict[Name, Annotated[int, Field(ge=1, le=1000)]] = Field(
        {}, description="The add-ons in use beside the plan: how many of each."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.current is not None and self.current not in self.plans:
            raise ValueError(f"current is {self.current!r}, which is not among plans: {', '.join(self.plans)}")
        for name in self.bought:
            if name not in self.add_ons:
                raise ValueError(
                    f"bought names {name!r}, which is not among add_ons: {', '.join(self.add_ons) or 'none'}"
                )
        scopes = dict.fromkeys(scope for plan in self.plans.values() for scope in plan.scopes)
        for name, add_on in self.add_ons.items():
            if add_on.scope not in scopes:
                raise ValueError(
                    f"the add-on {name!r} is of {add_on.scope!r}, which no plan has: {', '.join(scopes)}"
                )
        return self

    def price_list(self) -> PriceList:
        plans = (
            Plan(
                name,
                plan.price,
                {scope: allowed.allowance() for scope, allowed in plan.scopes.items()},
                str(plan.link or ""),
            )
            for name, plan in self.plans.items()
        )
        add_ons = (AddOn(name, add_on.price, add_on.scope, add_on.adds) for name, add_on in self.add_ons.items())
        return PriceList(self.currency, tuple(plans), tuple(add_ons))

    def add_ons_in_use(self, offered: PriceList) -> tuple[AddOn, ...]:
        """As often as they are bought, by name. offered: what price_list gives."""
        return tuple(
            add_on
            for add_on in sorted(offered.add_ons, key=lambda each: each.name)
            for _ in range(self.bought.get(add_on.name, 0))
        )
