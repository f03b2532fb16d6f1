"""The config file's models. They are frozen, so they also serve as the config at run time."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from exporter.fields import (
    Duration,
    Expression,
    FilePath,
    Frozen,
    LabelName,
    Name,
    Secret,
    ShortForm,
    TimeZone,
    UrlTemplate,
    format_duration,
    parse_duration,
)
from exporter.metrics import RESERVED_LABELS
from exporter.thresholds import HISTORY_DAYS

Scalar = str | int | float | bool | None


def _count(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"must be a number of 0 or more, not {value!r}")
    return float(value)


def _limit(value: Any) -> Any:
    try:
        return value if value == "unlimited" else _count(value)
    except ValueError as error:
        raise ValueError(f"{error}; or unlimited") from None


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

    Ends are ISO 8601 texts (without an offset: in the api's time zone), or Unix seconds or milliseconds.
    """

    start: Expression | None = Field(None, description="When the period began.")
    end: Expression | None = Field(None, description="When it ends, and the usage starts again from 0.")
    length: Length | None = Field(
        None, description="month (a calendar month) or a duration; needed where only one end is told."
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        told = [self.start is not None, self.end is not None].count(True)
        if told == 0:
            raise ValueError("needs start, end or both; a fixed calendar period goes under static.period")
        if told == 1 and self.length is None:
            raise ValueError("tells only one end, so it needs length: month, or a duration such as 1h")
        if told != 1 and self.length is not None:
            raise ValueError("tells both ends, so length must be left out")
        return self


class DailyMapping(Frozen):
    """The daily history: a list of entries, or an object keyed by date."""

    entries: Expression = Field(description="The list or object, on the scope's part of the answer.")
    date: Expression = Field(
        Expression(key=True), description="An entry's date; left out: the key, for an object keyed by date."
    )
    requests: Expression = Field(Expression(path="@"), description="An entry's count; left out: the entry itself.")


class Mapping(Frozen):
    """How a vendor's JSON answer becomes usage. Expressions are JMESPath on the scope's own part of the answer."""

    scopes: Expression = Field(description="The scopes: a list, or an object keyed by scope.")
    error_when: Expression | None = Field(
        None, description="On the whole answer; anything but null, false, 0 or empty is an error inside a 200."
    )
    name: Expression = Field(description="The scope's name, as people know it.")
    id: Expression | None = Field(None, description="The vendor's identifier of the scope.")
    plan: Expression | None = Field(None, description="The plan that the scope is bought under.")
    unit: Expression | None = Field(None, description="What is counted: requests, credits, tokens…")
    requests: Expression | None = Field(None, description="Requests made in the billing period.")
    remaining: Expression | None = Field(
        None, description="Requests left in the period, where the vendor does not tell those made."
    )
    limit: Expression | None = Field(None, description="Most requests allowed in the billing period.")
    unlimited_when: tuple[Scalar, ...] = Field((), strict=False, description="Values of `limit` that mean unlimited.")
    rate_limit: Expression | None = Field(None, description="Most requests allowed per rate_limit_window.")
    rate_limit_window: Duration = Field(
        "1m", validate_default=True, gt=0, le=60, description="1m or 1s; longer ones are quotas."
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
    def _usage_told(self) -> Self:
        if (self.requests is None) == (self.remaining is None):
            raise ValueError("needs exactly one of requests and remaining")
        if self.unlimited_when and self.limit is None:
            raise ValueError("has unlimited_when without limit")
        return self


class StaticPeriod(ShortForm):
    """A calendar period in the api's time zone."""

    every: Literal["month", "day", "hour", "none"] = Field(description="month, day, hour, or none.")
    anchor_day: int = Field(
        1, ge=1, le=31, description="Day on which a month begins; in shorter months, their last day."
    )

    @classmethod
    def short(cls) -> str:
        return "every"

    @model_validator(mode="after")
    def _anchored(self) -> Self:
        if self.every != "month" and self.anchor_day != 1:
            raise ValueError("has anchor_day, which goes with every: month")
        return self


class Static(Frozen):
    """What the vendor does not report. Used only where the answer does not tell it."""

    limit: Annotated[float | Literal["unlimited"] | None, BeforeValidator(_limit)] = Field(
        None, description="Most requests in the billing period, or unlimited."
    )
    rate_limit_per_minute: Annotated[float | None, BeforeValidator(_count)] = Field(
        None, description="Most requests in a minute."
    )
    unit: str | None = Field(None, min_length=1, description="What is counted: requests, credits, tokens…")
    period: StaticPeriod | None = Field(None, description="The billing period, by the calendar.")


class BearerAuth(Frozen):
    """Authorization: Bearer TOKEN."""

    type: Literal["bearer"]
    token: Secret = Field(description="The token.")


class HeaderAuth(Frozen):
    """A key in a header of the vendor's own."""

    type: Literal["header"]
    name: str = Field("X-API-Key", pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", description="The header's name.")
    value: Secret = Field(description="The key.")


class BasicAuth(Frozen):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: str = Field(min_length=1, description="The user name.")
    password: Secret = Field(description="The password.")


Auth = Annotated[BearerAuth | HeaderAuth | BasicAuth, Field(discriminator="type")]


class Tls(Frozen):
    """How the vendor's certificate is checked, and which one is shown to it."""

    ca_file: FilePath | None = Field(None, description="CA certificates (PEM) to trust instead of the usual ones.")
    cert_file: FilePath | None = Field(None, description="Client certificate (PEM).")
    key_file: FilePath | None = Field(None, description="Its key (PEM); left out: in cert_file.")
    verify: bool = Field(True, description="false: the vendor's certificate is not checked; for tests only.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("has key_file without cert_file")
        if self.ca_file is not None and not self.verify:
            raise ValueError("has ca_file, which verify: false would ignore")
        return self


class Organisation(Frozen):
    """Who holds the plan."""

    id: Name = Field(description="The vendor's identifier, put into the url.")
    name: Name | None = Field(None, description="The name that people know; left out: the id.")
    auth: Auth | None = Field(None, description="Instead of the api's.")
    labels: dict[str, str] = Field({}, description="Values of the labels declared in organisation_labels.")

    @property
    def label(self) -> str:
        return self.name if self.name is not None else self.id


class Api(Frozen):
    """One vendor's API."""

    name: Name = Field(description="The label `api` on every series.")
    preset: str | None = Field(None, description="A known vendor or contract, such as standard.")
    mapping: Mapping | None = Field(None, description="Where the values stand in the answer, instead of a preset.")
    url: UrlTemplate = Field(description="The usage endpoint, with {organisation_id} or {organisation_name}.")
    auth: Auth | None = Field(None, description="How the exporter signs in.")
    tls: Tls = Field(Tls(), description="Certificates, where the usual ones do not do.")
    static: Static = Field(Static(), description="What the vendor does not report.")
    time_zone: TimeZone = Field("UTC", validate_default=True, description="Of days and calendar periods.")
    timeout: Duration = Field("10s", validate_default=True, gt=0, le=300, description="For a whole answer.")
    max_response_bytes: int = Field(10_000_000, ge=1, description="Larger answers are cut off with an error.")
    max_concurrent_polls: int = Field(16, ge=1, le=256, description="Most requests to this api at a time.")
    poll_interval: Duration = Field(
        "5m", validate_default=True, description="How often an organisation is asked for."
    )
    stale_after: Duration | None = Field(None, description="Age at which data is stale; 3 intervals if left out.")
    drop_after: Duration | None = Field(
        None,
        description="Age at which series go away; if left out, at the period's end, or after 24h without one.",
    )
    daily_history_days: int = Field(HISTORY_DAYS, ge=0, le=HISTORY_DAYS, description="Days published; 0 for none.")
    missing_days: Literal["zero", "unknown"] = Field(
        "unknown", description="What a day means that is absent from the vendor's list."
    )
    organisations: tuple[Organisation, ...] = Field(min_length=1, strict=False, description="Whose usage to watch.")

    @property
    def stale_after_seconds(self) -> float:
        return self.stale_after if self.stale_after is not None else 3 * self.poll_interval

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.preset is None) == (self.mapping is None):
            raise ValueError("needs exactly one of preset and mapping")
        if self.stale_after_seconds < self.poll_interval:
            raise ValueError(f"stale_after must be at least poll_interval ({format_duration(self.poll_interval)})")
        if self.drop_after is not None and self.drop_after < self.stale_after_seconds:
            raise ValueError(f"drop_after must be at least stale_after ({format_duration(self.stale_after_seconds)})")
        return self

    @model_validator(mode="after")
    def _organisations_differ(self) -> Self:
        for kind, values in (
            ("id", [organisation.id for organisation in self.organisations]),
            ("name", [organisation.label for organisation in self.organisations]),
        ):
            for value in _duplicates(values):
                raise ValueError(f"has two organisations with the {kind} {value!r}")
        return self


def _duplicates(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1}) if len(set(values)) != len(values) else []


def _free_labels(values: tuple[str, ...], _: ValidationInfo) -> tuple[str, ...]:
    for value in values:
        if value in RESERVED_LABELS:
            raise ValueError(f"must not hold {value!r}: the exporter or Prometheus uses that label itself")
    for value in _duplicates(list(values)):
        raise ValueError(f"holds {value!r} twice")
    return values


class ConfigFile(Frozen):
    """The config file of api-usage-exporter."""

    organisation_labels: Annotated[tuple[LabelName, ...], AfterValidator(_free_labels)] = Field(
        (), strict=False, description="Labels that organisations may carry, put on every series of theirs."
    )
    min_poll_interval: Duration = Field(
        "10s",
        validate_default=True,
        gt=0,
        description="Shorter poll_intervals are errors, to spare the vendors.",
    )
    apis: tuple[Api, ...] = Field(min_length=1, strict=False, description="The vendors' APIs to watch.")


class Preset(Frozen):
    """A preset file: a vendor's API as data."""

    description: str
    documentation: str = Field(description="Where the vendor or the project documents the answer.")
    mapping: Mapping
    static: Static = Field(Static())
