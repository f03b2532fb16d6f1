"""Changes that a vendor makes to what was bought: limit, rate limit, plan, length of the billing period. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from exporter.model import BillingPeriod, ScopeUsage

# Of a scope, in memory; the database keeps all of them.
MOST_KEPT = 20
_DAY = 86_400.0
# Calendar periods differ in length: by months, leap years, and changes of the clock. Days, at least and at most.
_CALENDAR = {
    "day": (0.95, 1.05),
    "week": (6.9, 7.1),
    "month": (27.9, 31.1),
    "quarter": (89.9, 92.1),
    "year": (364.9, 366.1),
}


class Term(StrEnum):
    """What can change; values of the `term` label."""

    LIMIT = "limit"
    RATE_LIMIT = "rate_limit"
    PLAN = "plan"
    PERIOD = "period"


class Direction(StrEnum):
    """Values of the `direction` label."""

    RAISED = "raised"
    LOWERED = "lowered"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. old, new: as texts, a number without separators; at: when it was first seen."""

    term: Term
    old: str
    new: str
    at: datetime

    @property
    def direction(self) -> Direction:
        """Whether there is more or less than before; a plan or a period is neither."""
        if self.term not in (Term.LIMIT, Term.RATE_LIMIT):
            return Direction.CHANGED
        return Direction.LOWERED if _amount(self.new) < _amount(self.old) else Direction.RAISED


def changes(before: ScopeUsage, after: ScopeUsage, at: datetime) -> tuple[Change, ...]:
    """What of the terms is another than before. A plan or period that is not reported any more is no change."""
    found = (
        (Term.LIMIT, _text(before.limit, "unlimited"), _text(after.limit, "unlimited")),
        (Term.RATE_LIMIT, _text(before.rate_limit_per_minute, "none"), _text(after.rate_limit_per_minute, "none")),
        (Term.PLAN, before.plan, after.plan),
        (Term.PERIOD, _length(before.period), _length(after.period)),
    )
    return tuple(Change(term, old, new, at) for term, old, new in found if old != new and old and new)


def latest(ledger: tuple[Change, ...]) -> tuple[Change, ...]:
    """The newest change of each term, of a ledger in the order of time."""
    return tuple({change.term: change for change in ledger}.values())


def _text(number: float | None, without: str) -> str:
    return without if number is None else f"{number:.15g}"


def _amount(text: str) -> float:
    return math.inf if text in ("unlimited", "none") else float(text)


def _length(period: BillingPeriod | None) -> str:
    """A period's length as people call it; "" where there is none."""
    if period is None:
        return ""
    days = (period.end - period.start).total_seconds() / _DAY
    for name, (least, most) in _CALENDAR.items():
        if least <= days <= most:
            return name
    # Periods given in seconds from now differ a little at each poll.
    return f"{days:.0f} days" if days > 1 else f"{days * 24:.1f} hours" if days > 1 / 24 else f"{days * 1440:.0f} min"
