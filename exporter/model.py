"""What polls bring and how they stand, as frozen plain data. All datetimes are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from exporter import redaction
from exporter.thresholds import clean_ratio

_MISFITS_LISTED = 10

# Counts in the model are at most the one, with room for counters of 64 bits, and limits that are not 0 at least the
# other: no sum, quotient or percentage of theirs leaves what a float and JSON can hold.
LARGEST_COUNT = 1e20
LEAST_LIMIT = 1e-20
# Times in the model can be written in any time zone, and a month can be added to them.
_YEARS = range(1900, 9000)


def check_count(count: float) -> None:
    """Raises ValueError where a number is no count."""
    if not 0 <= count <= LARGEST_COUNT:
        raise ValueError(f"must be at least 0 and at most {LARGEST_COUNT:g}, not {count:g}")


def check_limit(limit: float) -> None:
    """Raises ValueError where a number is no limit, of a period or a minute."""
    check_count(limit)
    if 0 < limit < LEAST_LIMIT:
        raise ValueError(f"must be 0, or at least {LEAST_LIMIT:g}, not {limit:g}")


class DailySource(StrEnum):
    """Where a scope's days come from: the vendor's own history, or what the exporter saw from poll to poll."""

    VENDOR = "vendor"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """The time over which a limit counts: start <= t < end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(
                f"the period starts at {self.start.isoformat()}, not before its end {self.end.isoformat()}"
            )
        if self.start.year not in _YEARS or self.end.year not in _YEARS:
            raise ValueError(f"the period ends in the year {self.end.year}, which is no year of a billing period")


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One day's requests.

    date: in the api's time zone.
    exact: False where the exporter saw only part of the day, or spread a long gap between two polls over it.
    """

    date: date
    requests: float
    exact: bool = True


@dataclass(frozen=True, slots=True)
class ScopeUsage:
    """One scope of one organisation, as one poll found it.

    requests: made in the current billing period; None where there is no limit and the vendor tells only what is left.
    limit: most requests in the period; None is unlimited (never unknown).
    rate_limit_per_minute, rejected, period: None where there is none or the vendor does not report it.
    period_configured: whether the period is the config's calendar, not the vendor's answer.
    daily: ascending by date, at most 30; None where the vendor reports no history and none is kept.
    unit: what is counted: requests, credits, tokens…
    """

    name: str
    requests: float | None
    limit: float | None
    id: str = ""
    plan: str = ""
    unit: str = "requests"
    rate_limit_per_minute: float | None = None
    rejected: float | None = None
    period: BillingPeriod | None = None
    period_configured: bool = False
    daily: tuple[DailyUsage, ...] | None = None
    daily_source: DailySource = DailySource.VENDOR

    def __post_init__(self) -> None:
        if self.requests is None and self.limit is not None:
            raise ValueError("requests: must be known where there is a limit")
        for name, value, check in (
            ("requests", self.requests, check_count),
            ("rejected", self.rejected, check_count),
            ("limit", self.limit, check_limit),
            ("rate_limit", self.rate_limit_per_minute, check_limit),
        ):
            try:
                if value is not None:
                    check(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None

    def last_days(self, count: int) -> tuple[DailyUsage, ...]:
        """The newest `count` days known, ascending; () where no day is known."""
        return (self.daily or ())[-count:] if count else ()

    @property
    def used_ratio(self) -> float | None:
        """requests / limit, by thresholds.clean_ratio; None when unlimited. With a limit of 0, 0 or infinity."""
        if self.limit is None or self.requests is None:
            return None
        if self.limit == 0:
            return float("inf") if self.requests else 0.0
        return clean_ratio(self.requests / self.limit)


@dataclass(frozen=True, slots=True)
class FetchedScope:
    """A scope and when it was read."""

    usage: ScopeUsage
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something in an answer that the mapping does not fit.

    message: one sentence that names the field, its expression and what it met.
    part: the JSON value that it was met on: a scope's, or the whole answer. It may be large and hold secrets, so it
        is for showing at once, and no state keeps it.
    """

    message: str
    part: Any = field(repr=False)


@dataclass(frozen=True)
class UsageSnapshot:
    """One organisation's scopes, as one poll found them.

    misfits: what the mapping could not read; the scopes that fit are here all the same.
    remarks: what was read, but not as the vendor wrote it; a sentence each.
    """

    fetched_at: datetime
    scopes: tuple[ScopeUsage, ...]
    misfits: tuple[Misfit, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def misfit_text(self) -> str:
        """The misfits on one line, of a length that a log can bear."""
        listed = "; ".join(redaction.message(misfit.message) for misfit in self.misfits[:_MISFITS_LISTED])
        more = len(self.misfits) - _MISFITS_LISTED
        return f"{listed}; and {more} more" if more > 0 else listed


@dataclass(frozen=True, slots=True)
class PollCounts:
    """An api's polls, now: due and not yet begun, under way, and due for so long that they are late."""

    waiting: int
    running: int
    late: int


@dataclass(frozen=True, slots=True)
class CallsMade:
    """Calls to a vendor. at: when the last of them was made; hot: for organisations that run out."""

    at: datetime
    cost: float
    hot: bool


class AlertState(StrEnum):
    """Pending: its rule's `for` is not over yet. Silenced, inhibited: nobody is notified."""

    PENDING = "pending"
    FIRING = "firing"
    SILENCED = "silenced"
    INHIBITED = "inhibited"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is up. scope: "" where it is about the whole organisation; receivers: to whom it goes."""

    name: str
    severity: str
    api: str
    organisation: str
    scope: str
    since: datetime
    state: AlertState
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertsSeen:
    """The alerts as their source, such as "Alertmanager", had them at a time; failure: why it does not answer now.

    at: None where it has never answered.
    """

    source: str
    at: datetime | None
    alerts: tuple[Alert, ...]
    failure: str = ""


# The request that an api's own url is; the others have names of their own.
MAIN_REQUEST = "main"


@dataclass(frozen=True)
class Answer:
    """What a request brought. body: parsed JSON; headers: by lower-case name."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
