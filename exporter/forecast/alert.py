"""When a forecast becomes a ticket: the decision of ApiUsageProjectedOverLimit, as the backtest replays it. Pure.

In PromQL, on what is published of the forecast:

    probability >= LIKELY and likely - time() <= NEAR * (period end - period start)
      or probability >= CLEARED and the alert fires already

and in no case at or over the limit. What is likely but far off waits, however likely it is: usage may step down, and
there is time to see. In a month that leaves six days; pages and dashboards show it from the start.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.forecast.model import Forecast, LimitState
from exporter.model import BillingPeriod
from exporter.thresholds import (
    PROJECTED_CLEARED_PROBABILITY,
    PROJECTED_FOR_SECONDS,
    PROJECTED_LIKELY_PROBABILITY,
    PROJECTED_NEAR_RATIO,
)


@dataclass(frozen=True)
class Ticket:
    """pending_since: from when on the condition has held; None where it does not. firing: it has held long enough."""

    pending_since: datetime | None = None
    firing: bool = False

    @property
    def fires_at(self) -> datetime | None:
        """When it fires or fired, as far as the condition goes on to hold."""
        return None if self.pending_since is None else self.pending_since + timedelta(seconds=PROJECTED_FOR_SECONDS)


def ticket_after(ticket: Ticket, forecast: Forecast, period: BillingPeriod, now: datetime) -> Ticket:
    """The ticket's state after an evaluation at `now`."""
    if not _holds(ticket, forecast, period, now):
        return Ticket()
    since = ticket.pending_since or now
    return Ticket(since, firing=now - since >= timedelta(seconds=PROJECTED_FOR_SECONDS))


def _holds(ticket: Ticket, forecast: Forecast, period: BillingPeriod, now: datetime) -> bool:
    probability, likely = forecast.over_limit_probability, forecast.reached.likely
    if forecast.limit_state is not LimitState.AHEAD or probability is None:
        return False
    if ticket.firing and probability >= PROJECTED_CLEARED_PROBABILITY:
        return True
    near = likely is not None and likely - now <= PROJECTED_NEAR_RATIO * (period.end - period.start)
    return near and probability >= PROJECTED_LIKELY_PROBABILITY
