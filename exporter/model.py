"""What polls bring and how they stand, as frozen plain data. All datetimes are aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from exporter import redaction

_MISFITS_LISTED = 10


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

    requests: made in the current billing period.
    limit: most requests in the period; None is unlimited (never unknown).
    rate_limit_per_minute, rejected, period: None where there is none or the vendor does not report it.
    daily: ascending by date, at most 30; None where the vendor reports no history and none is kept.
    unit: what is counted: requests, credits, tokens…
    """

    name: str
    requests: float
    limit: float | None
    id: str = ""
    plan: str = ""
    unit: str = "requests"
    rate_limit_per_minute: float | None = None
    rejected: float | None = None
    period: BillingPeriod | None = None
    daily: tuple[DailyUsage, ...] | None = None
    daily_source: DailySource = DailySource.VENDOR

    def last_days(self, count: int) -> tuple[DailyUsage, ...]:
        """The newest `count` days known, ascending; () where no day is known."""
        return (self.daily or ())[-count:] if count else ()

    @property
    def used_ratio(self) -> float | None:
        """requests / limit, unrounded; None when unlimited. With a limit of 0, 0 or infinity."""
        if self.limit is None:
            return None
        if self.limit == 0:
            return float("inf") if self.requests else 0.0
        return self.requests / self.limit


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
    """

    fetched_at: datetime
    scopes: tuple[ScopeUsage, ...]
    misfits: tuple[Misfit, ...] = ()

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


@dataclass(frozen=True)
class Answer:
    """What a request brought. body: parsed JSON; headers: by lower-case name."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
