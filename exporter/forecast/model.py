"""What a forecast is made from, and what it is. Frozen plain data; datetimes are aware and in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from exporter.model import BillingPeriod, DailyUsage


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a scope when its forecast is made.

    requests: in the billing period so far, as read at `now`.
    limit: most requests in the period; None is unlimited.
    days: ascending by date, in `zone`. The last may be today, as far as it has come. Days that are missing are
        unknown, not 0; one that is not exact counts for less, and not at all where it is the first.
    points: (Unix seconds, requests in the period then) of the last days, ascending, however thinned. A fall is a new
        period or a vendor's correction.
    suspect: the vendor's figures contradict themselves or what was known before.
    """

    now: datetime
    zone: tzinfo
    requests: float
    limit: float | None
    period: BillingPeriod | None
    days: tuple[DailyUsage, ...] = ()
    points: Sequence[tuple[float, float]] = ()
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Estimates:
    """Requests at the period's end: 10, 50 and 90 of 100 such periods end below."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Reached:
    """When the limit will be reached: by then it is in 10, 50 and 90 of 100 such periods; None where in fewer."""

    earliest: datetime | None = None
    likely: datetime | None = None
    latest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Paces:
    """Requests a minute over the last minutes, hour, day and week; None where that is not known.

    recent: of the last two stretches of 5 minutes, or of a poll where these are rarer, the slower one's; over the
        last two updates of a vendor that makes them seldom.
    """

    recent: float | None = None
    hour: float | None = None
    day: float | None = None
    week: float | None = None


NEVER, NO_PACES = Reached(), Paces()


class Resolution(StrEnum):
    """How exactly the moment that the limit is reached is known, and so what it is rounded to for people."""

    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"


class LimitState(StrEnum):
    """What the limit allows now.

    AHEAD: it may be reached. REACHED: requests >= limit > 0, or any against a limit of 0.
    NONE_ALLOWED: a limit of 0, and no requests. UNLIMITED: there is none.
    """

    AHEAD = "ahead"
    REACHED = "reached"
    NONE_ALLOWED = "none_allowed"
    UNLIMITED = "unlimited"


class Unknown(StrEnum):
    """Why there is no forecast yet.

    NO_PERIOD: without a billing period there is no end to look to. PERIOD_ENDED: the next poll brings the new one.
    NOT_BEGUN: the period lies ahead. TOO_LONG: it takes more than three years, of which 30 days say nothing.
    TOO_EARLY: neither a whole day nor enough of the period has been seen. SUSPECT: the vendor's figures cannot be
    trusted now. NOT_MADE: after a start, what is stored is still read back. NOT_TOLD: the vendor does not say what is
    used.
    """

    NO_PERIOD = "no_period"
    PERIOD_ENDED = "period_ended"
    NOT_BEGUN = "not_begun"
    TOO_LONG = "too_long"
    TOO_EARLY = "too_early"
    SUSPECT = "suspect"
    NOT_MADE = "not_made"
    NOT_TOLD = "not_told"


@dataclass(frozen=True, slots=True)
class Basis:
    """On what a forecast rests.

    days: whole days known. weekdays: of the seven, how many were seen. last_hour, last_day: whether the pace of
    that time leads, since it alone would exhaust the rest within 24 hours.
    update_seconds: how seldom the vendor's figures change, where that is seldom enough to hide the last hour.
    """

    days: int = 0
    weekdays: int = 0
    last_hour: bool = False
    last_day: bool = False
    update_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Whether the allowance lasts.

    requests: at the period's end; None where unknown says why.
    over_limit_probability: 0 to 1, that the limit is reached before the period ends; 1 where it is reached already;
        None where unknown, or where there is no limit to reach.
    reached: in the future; empty where the limit is not AHEAD.
    resolution: of `reached`; None where that is empty.
    """

    limit_state: LimitState
    basis: Basis
    paces: Paces = NO_PACES
    requests: Estimates | None = None
    over_limit_probability: float | None = None
    reached: Reached = NEVER
    resolution: Resolution | None = None
    unknown: Unknown | None = None
