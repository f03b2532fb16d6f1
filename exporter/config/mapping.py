"""How a vendor's answer becomes usage."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from exporter.config.expressions import Expression
from exporter.config.fields import Duration, Flag, Frozen, Name, at_most, check_json, parse_duration

Scalar = Annotated[str | int | float | bool | None, BeforeValidator(check_json)]


def _length(value: object) -> float | Literal["month"]:
    if value == "month":
        return "month"
    try:
        seconds = parse_duration(value)
    except ValueError:
        raise ValueError(f"must be month or a duration such as 30d or 1h, not {value!r}") from None
    if seconds <= 0:
        raise ValueError("must be longer than 0")
    return seconds


Length = Annotated[
    float | Literal["month"],
    BeforeValidator(_length),
    WithJsonSchema({"type": "string", "examples": ["month", "30d", "1h"]}),
]


class PeriodMapping(Frozen):
    """The billing period: both ends, or one of them and a length.

    Ends are ISO 8601 texts or RFC 2822 dates (without an offset: in the api's time zone), or Unix seconds or
    milliseconds.
    """

    start: Expression | None = Field(None, description="When the period began.")
    end: Expression | None = Field(None, description="When it ends, and the usage starts again from 0.")
    inclusive: Flag = Field(
        False, description="true: end is the period's last day or last second, such as 2026-11-30 or …T23:59:59Z."
    )
    ends_in: Expression | None = Field(None, description="Seconds until it ends, instead of end.")
    anchor: Expression | None = Field(
        None,
        description="Instead of its ends, a day of the month (1 to 31) on which it begins, or any time at which one "
        "began, such as that of signing up.",
    )
    length: Length | None = Field(
        None, description="month (a calendar month) or a duration; needed where only one end is mapped."
    )
    every: Expression | None = Field(
        None,
        description="Its length as a word of the answer, instead of length: monthly, weekly, day…; without ends or "
        "anchor, by the calendar.",
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.end is not None and self.ends_in is not None:
            raise ValueError("needs only one of end and ends_in")
        if self.inclusive and self.end is None:
            raise ValueError("has inclusive, which says how end is meant, and no end")
        ends = [self.start is not None, self.end is not None or self.ends_in is not None].count(True)
        if self.length is not None and self.every is not None:
            raise ValueError("needs only one of length and every")
        if self.anchor is not None and ends:
            raise ValueError("has anchor, from which the period is counted, so its ends must be left out")
        if ends == 0 and self.anchor is None and self.every is None:
            raise ValueError("needs start, end or both; a fixed calendar period goes under static.period")
        has_length = self.length is not None or self.every is not None
        if ends == 1 and not has_length:
            raise ValueError("has only one end, so it needs length: month, or a duration such as 1h")
        if ends == 2 and has_length:  # noqa: PLR2004
            raise ValueError("has both ends, so length must be left out")
        return self


class DailyMapping(Frozen):
    """The daily history: a list of entries, or an object keyed by date."""

    entries: Expression = Field(description="The list or object, on the scope's part of the answer.")
    date: Expression | None = Field(
        None, description="An entry's date or time; left out: the key, for an object keyed by date."
    )
    first_date: Expression | None = Field(
        None, description="For a list without dates: the date of its first entry, each further one a day later."
    )
    requests: Expression = Field(Expression(path="@"), description="An entry's count; left out: the entry itself.")
    finer: Flag = Field(False, description="true: entries are of hours, say, and are summed to days.")

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.date is not None and self.first_date is not None:
            raise ValueError("needs only one of date and first_date")
        return self


class Join(Frozen):
    """Where another request's answer has its part on a scope."""

    scopes: Expression = Field(description="The list or object, in that request's answer.")
    name: Expression = Field(Expression(path="key()"), description="The scope's name there; left out: the key.")
    by: Literal["name", "id"] = Field("name", description="id: `name` above is to be the scope's id.")


class UsageMapping(Frozen):
    """How a vendor's JSON answer becomes usage. Expressions are JMESPath on the scope's own part of the answer."""

    # A preset may bring them all.
    model_config = ConfigDict(json_schema_extra={"required": []})

    scopes: Expression | None = Field(
        None, description="The scopes: a list, or an object keyed by scope; left out: the whole answer is the scope."
    )
    scope: Name | None = Field(None, description="The scope's name, where there is only one: the text itself.")
    error_when: Expression | None = Field(
        None, description="On the whole answer; anything but null, false, 0 or empty is an error inside a 200."
    )
    error_reason: dict[Literal["auth", "rate_limited", "server_error", "request"], Expression] = Field(
        {},
        description="By reason: on the whole answer, as error_when; what makes it an error of that kind, such as a "
        "token that is refused inside a 200.",
    )
    organisations: Expression | None = Field(
        None, description="The organisations, where one answer holds them all; scopes is then read on each's part."
    )
    organisation_id: Expression = Field(
        Expression(path="key()"), description="An organisation's id there; left out: the key."
    )
    joins: dict[str, Join] = Field({}, description="By request: where its answer has its part on a scope.")
    filter: Expression | None = Field(
        None, description="Scopes for which this is null, false or empty are left out; 0 keeps them."
    )
    name: Expression | None = Field(
        None,
        description="The scope's name, as people know it; left out: the key, and without scopes the api's name.",
    )
    id: Expression | None = Field(None, description="The vendor's identifier of the scope.")
    plan: Expression | None = Field(None, description="The plan that the scope is bought under.")
    unit: Expression | None = Field(None, description="What is counted: requests, credits, tokens…")
    requests: Expression | None = Field(None, description="Requests made in the billing period.")
    remaining: Expression | None = Field(
        None, description="Requests left in the period, where the vendor does not report those made."
    )
    limit: Expression | None = Field(None, description="Most requests allowed in the billing period.")
    unlimited_when: tuple[Scalar, ...] = Field(
        (), strict=False, description="Values of `limit` that mean unlimited, and of `rate_limit` that mean none."
    )
    rate_limit: Expression | None = Field(None, description="Most requests allowed per rate_limit_window.")
    rate_limit_window: Annotated[Duration, at_most("1m", "; a longer one is a quota: a scope of its own")] = Field(
        "1m", validate_default=True, description="1m or 1s; longer ones are quotas."
    )
    rejected: Expression | None = Field(None, description="Requests refused over the rate limit in the period.")
    scale: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        strict=False,
        description="Multiplies requests, remaining, limit, rejected and daily.",
    )
    period: PeriodMapping | None = Field(None, description="The billing period.")
    daily: DailyMapping | None = Field(
        None,
        description="The daily history; where left out, the exporter counts days itself, from poll to poll.",
    )

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.scope is not None and self.name is not None:
            raise ValueError("needs only one of scope (a text) and name (an expression)")
        if self.scope is not None and self.scopes is not None:
            raise ValueError("has scope, the name of the only one, and scopes; give name instead, an expression")
        return self

    @property
    def names(self) -> Expression | None:
        """What names a scope in the answer; None where the config does."""
        return Expression(path="key()") if self.name is None and self.scopes is not None else self.name

    @model_validator(mode="after")
    def _one_usage(self) -> Self:
        if (self.requests is None) == (self.remaining is None):
            raise ValueError("needs exactly one of requests and remaining")
        if self.unlimited_when and self.limit is None and self.rate_limit is None:
            raise ValueError("has unlimited_when without limit or rate_limit")
        return self

    def requests_named(self) -> frozenset[str]:
        """The requests that expressions are read on by name."""
        return frozenset(_requests_named(self))


def _requests_named(model: object) -> Iterator[str]:
    if isinstance(model, Expression):
        yield from model.answers
        if model.request is not None:
            yield model.request
    if isinstance(model, BaseModel):
        for name in type(model).model_fields:
            yield from _requests_named(getattr(model, name))
    if isinstance(model, dict):
        for member in model.values():
            yield from _requests_named(member)
