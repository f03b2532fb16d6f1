"""The config file: apis and their organisations. The models are frozen, so they serve at run time as well."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.config.alerts import AlertsSource
from exporter.config.auth import Auth
from exporter.config.fields import (
    BaseUrl,
    Duration,
    Flag,
    FolderPath,
    Frozen,
    LabelName,
    Name,
    NonEmptyText,
    ShortForm,
    Text,
    TimeZone,
    at_most,
)
from exporter.config.mapping import Length, UsageMapping
from exporter.config.prices import Prices
from exporter.config.request import Request
from exporter.config.secrets import Secret
from exporter.config.templates import secret_names
from exporter.config.tls import Tls
from exporter.metrics import RESERVED_LABELS
from exporter.model import MAIN_REQUEST, check_limit
from exporter.thresholds import DEFAULT_BANDS, HISTORY_DAYS, LEAST_RATIO, Bands, check_ratio


def _count(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"must be a number of 0 or more, not {value!r}")
    check_limit(value)
    return float(value)


def _limit(value: Any) -> Any:
    try:
        return value if value == "unlimited" else _count(value)
    except ValueError as error:
        raise ValueError(f"{error}; or unlimited") from None


def _without_duplicates(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"holds {value!r} twice")
    return values


class StaticPeriod(ShortForm):
    """A calendar period in the api's time zone."""

    every: Literal["month", "week", "day", "hour", "none"] = Field(
        description="month, week (from Monday), day, hour, or none."
    )
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


# For editors; `check_ratio` checks it with better words.
_PART_OF_THE_LIMIT: dict[str, Any] = {"minimum": LEAST_RATIO, "maximum": 1}


class Steps(Frozen):
    """Where cards change colour and alerts change severity; what is left out is as for the others."""

    warning: float | None = Field(
        None, description="Used part of the limit from which on it is amber.", json_schema_extra=_PART_OF_THE_LIMIT
    )
    critical: float | None = Field(
        None, description="Used part of the limit over which it is red.", json_schema_extra=_PART_OF_THE_LIMIT
    )

    @model_validator(mode="after")
    def _are_parts(self) -> Self:
        for name in ("warning", "critical"):
            if getattr(self, name) is not None:
                check_ratio(name, getattr(self, name))
        return self


class ScopedSteps(Steps):
    """Thresholds, and those of single scopes."""

    scopes: dict[Name, Steps] = Field({}, description="By scope, as it is shown.")


class Static(Frozen):
    """What the vendor does not report. Used only where the answer does not hold it."""

    limit: Annotated[float | Literal["unlimited"] | None, BeforeValidator(_limit)] = Field(
        None, description="Most requests in the billing period, or unlimited."
    )
    rate_limit_per_minute: Annotated[float | None, BeforeValidator(_count)] = Field(
        None, description="Most requests in a minute."
    )
    unit: NonEmptyText | None = Field(None, description="What is counted: requests, credits, tokens…")
    after_limit: Literal["refused", "billed"] | None = Field(
        None, description="What happens to requests over the limit: refused, or billed as overage."
    )
    period: StaticPeriod | None = Field(None, description="The billing period, by the calendar.")


class Override(Static):
    """What holds for one scope, whatever the vendor reports."""

    name: Name | None = Field(None, description="The name to show instead.")
    plan: Text | None = Field(None, description="The plan.")
    counted_in: Name | None = Field(
        None,
        description="The scope, as it is shown, that counts the same requests over another time or a whole account: "
        "totals over scopes leave this one out.",
    )
    period_length: Length | None = Field(
        None, description="The period's length, where the mapping's does not hold for this scope."
    )


SecretName = Annotated[str, Field(pattern=r"^[a-z_]+$")]
Secrets = dict[SecretName, Secret]


RetiredScopes = Annotated[tuple[Name, ...], AfterValidator(_without_duplicates)]


class Organisation(Frozen):
    """Who holds the plan."""

    id: Name = Field(description="The vendor's identifier, put into the url.")
    name: Name | None = Field(None, description="The name that people know; left out: the id.")
    auth: Auth | None = Field(None, description="Instead of the api's.")
    secrets: Secrets = Field({}, description="Before the api's of the same name, for placeholders {secret_NAME}.")
    labels: dict[str, Name] = Field({}, description="Values of the labels declared in organisation_labels.")
    thresholds: ScopedSteps = Field(ScopedSteps(), description="Of this organisation, over those of api and labels.")
    retired_scopes: RetiredScopes = Field(
        (), strict=False, description="Scopes of this organisation that the vendor rightly reports no longer."
    )

    @property
    def display_name(self) -> str:
        """What people see, and the value of the label `organisation`."""
        return self.name if self.name is not None else self.id


class Api(Request):
    """One vendor's API. url, method, params and so on are its main request."""

    # A preset may bring the others.
    model_config = ConfigDict(json_schema_extra={"required": ["name", "organisations"]})

    name: Name = Field(description="The label `api` on every series.")
    preset: Text | None = Field(
        None, description="A known vendor or contract, such as standard; the fields beside it come on top of it."
    )
    mapping: UsageMapping = Field(description="Where the values stand in the answer.")
    publish_drifted: Flag = Field(
        False,
        description="true: numbers from fields that are not as the preset documents them are published all the same.",
    )
    base_url: BaseUrl | None = Field(None, description="What comes before urls that are only a path.")
    requests: dict[str, Request] = Field(
        {}, description="Further requests by name, for what the main one does not bring."
    )
    auth: Auth | None = Field(None, description="How the exporter signs in.")
    secrets: Secrets = Field({}, description="Secrets by name, for placeholders {secret_NAME}.")
    tls: Tls = Field(Tls(), description="Certificates, where the usual ones do not do.")
    static: Static = Field(Static(), description="What the vendor does not report.")
    overrides: dict[str, Override] = Field(
        {}, description="By scope, its name in the answer or its id: what holds whatever the vendor reports."
    )
    retired_scopes: RetiredScopes = Field(
        (), strict=False, description="Scopes that the vendor rightly reports no longer, so that none is missed."
    )
    thresholds: ScopedSteps = Field(ScopedSteps(), description="Of this api, over those of the file.")
    prices: Prices | None = Field(None, description="The vendor's plans and what they cost.")
    time_zone: TimeZone = Field("UTC", validate_default=True, description="Of days and calendar periods.")
    timeout: Annotated[Duration, at_most("5m")] = Field(
        "10s", validate_default=True, description="For a whole poll: names, sign-in, every request and page."
    )
    max_response_bytes: int = Field(
        10_000_000, ge=1, description="What all answers of a poll may hold together, decompressed; more is an error."
    )
    max_scopes: int = Field(
        1000, ge=1, le=100_000, description="Scopes of an organisation beyond these are left out, with an error."
    )
    max_concurrent_polls: int = Field(24, ge=1, le=128, description="Most requests to this api at a time.")
    max_calls_per_day: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most requests to this api in any 24 hours, for all its organisations together.",
    )
    cost_per_call: float = Field(
        1,
        gt=0,
        allow_inf_nan=False,
        description="What a request counts against max_calls_per_day, where the vendor counts in credits.",
    )
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

    @model_validator(mode="before")
    @classmethod
    def _described(cls, value: Any) -> Any:
        if isinstance(value, dict) and "mapping" not in value and "preset" not in value:
            raise ValueError("needs a preset or a mapping")
        return value

    @field_validator("requests", mode="before")
    @classmethod
    def _are_requests(cls, value: Any) -> Any:
        if isinstance(value, str):
            message = "holds further requests, by name; where the count stands goes under mapping, as requests"
            raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError for a problem
        return value

    def override_of(self, scope: str, scope_id: str) -> tuple[str, Override]:
        """What is said of a scope, by its name in the answer, its id, or the name that it is given; and its key."""
        for called in (scope, scope_id):
            if called in self.overrides:
                return called, self.overrides[called]
        renamed = ((key, override) for key, override in self.overrides.items() if override.name == scope)
        return next(renamed, ("", Override()))

    def after_limit(self, scope: str, scope_id: str) -> Literal["refused", "billed"] | None:
        """What happens to requests over a scope's limit; None where the config does not say."""
        return self.override_of(scope, scope_id)[1].after_limit or self.static.after_limit

    def counted_in(self, scope: str, scope_id: str) -> str | None:
        """The scope that counts the same requests; None where each is counted once."""
        return self.override_of(scope, scope_id)[1].counted_in

    @property
    def stale_after_seconds(self) -> float:
        return self.stale_after if self.stale_after is not None else 3 * self.poll_interval

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mapping.limit is None and self.static.limit is None:
            raise ValueError("has no limit: give mapping.limit or static.limit; without one, static.limit: unlimited")
        return self

    @property
    def all_requests(self) -> dict[str, Request]:
        """Every request by name, the main one first."""
        return {MAIN_REQUEST: self, **self.requests}

    def names_organisation(self) -> bool:
        """Whether a request differs by organisation."""
        own = {name for organisation in self.organisations for name in organisation.secrets}
        return any("{organisation_" in text for text in self.texts) or bool(own & secret_names(self.texts))

    @property
    def texts(self) -> list[str]:
        return [
            self.base_url or "",
            *(text for request in self.requests.values() for text in request.texts),
            *super().texts,
        ]

    @model_validator(mode="after")
    def _requests_fit(self) -> Self:
        if MAIN_REQUEST in self.requests:
            raise ValueError(f"requests must not hold {MAIN_REQUEST!r}: that is the api's own url")
        for name, request in self.all_requests.items():
            if request.url.startswith("/") and self.base_url is None:
                raise ValueError(f"the url of request {name!r} is only a path, so base_url is needed")
        for name in (*self.mapping.joins, *self.mapping.requests_named()):
            if name not in self.all_requests:
                raise ValueError(f"the mapping names the request {name!r}, which is not among requests")
        return self

    @model_validator(mode="after")
    def _organisations_share(self) -> Self:
        if self.mapping.organisations is None:
            return self
        if any(organisation.auth or organisation.secrets for organisation in self.organisations):
            raise ValueError("one answer for all organisations (mapping.organisations) means one auth for all")
        if self.names_organisation():
            raise ValueError("one answer for all organisations (mapping.organisations) needs a url that is for all")
        return self


def _free_labels(values: tuple[str, ...], _: ValidationInfo) -> tuple[str, ...]:
    for value in values:
        if value in RESERVED_LABELS:
            raise ValueError(f"must not hold {value!r}: the exporter or Prometheus uses that label itself")
    return _without_duplicates(values)


class Thresholds(Frozen):
    """Where cards change colour and alerts change severity, where nothing more specific says otherwise."""

    warning: float = Field(
        DEFAULT_BANDS.warning,
        description="Used part of the limit from which on cards are amber.",
        json_schema_extra=_PART_OF_THE_LIMIT,
    )
    critical: float = Field(
        DEFAULT_BANDS.critical,
        description="Used part of the limit over which cards are red.",
        json_schema_extra=_PART_OF_THE_LIMIT,
    )

    labels: dict[str, dict[Name, ScopedSteps]] = Field(
        {}, description="By label of the organisations and its value, such as team and payments."
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        _ = self.bands
        return self

    @property
    def bands(self) -> Bands:
        return Bands(self.warning, self.critical)


class ConfigFile(Frozen):
    """The config file of api-usage-exporter. Keys that begin with x- are left alone: anchors may stand there."""

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    organisation_labels: Annotated[tuple[LabelName, ...], AfterValidator(_free_labels)] = Field(
        (), strict=False, description="Labels that organisations may carry, put on every series of theirs."
    )
    min_poll_interval: Duration = Field(
        "10s",
        validate_default=True,
        gt=0,
        description="Shorter poll_intervals are errors, to spare the vendors.",
    )
    preset_folders: tuple[FolderPath, ...] = Field(
        (), strict=False, description="Folders of presets of your own, searched before the built-in ones."
    )
    thresholds: Thresholds = Field(Thresholds(), description="Where cards change colour and alerts severity.")
    alerts: AlertsSource | None = Field(None, description="Where the alerts are asked for that the usage page shows.")
    apis: tuple[Api, ...] = Field(min_length=1, strict=False, description="The vendors' APIs to watch.")
