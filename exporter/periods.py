"""Calendar billing periods, for vendors that do not report theirs, and times as vendors write them. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from exporter.model import BillingPeriod

# Unix times from here on are milliseconds: as seconds it is the year 5138, as milliseconds March 1973.
_MILLISECONDS_FROM = 1e11


def from_unix(value: float) -> datetime:
    """The time in UTC, from Unix seconds or milliseconds, since vendors write both.

    Raises ValueError, OverflowError or OSError where there is no such time, as datetime.fromtimestamp does.
    """
    return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)


def calendar_period(
    every: Literal["month", "week", "day", "hour", "none"], anchor_day: int, zone: ZoneInfo, now: datetime
) -> BillingPeriod | None:
    """The period that holds `now`, by the zone's calendar; None for `none`.

    A month begins at 0:00 on anchor_day, or on the last day of a month that is shorter.
    """
    local = now.astimezone(zone)
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    match every:
        case "hour":
            start = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
            return BillingPeriod(start, start + timedelta(hours=1))
        case "day":
            return BillingPeriod(midnight.astimezone(UTC), (midnight + relativedelta(days=1)).astimezone(UTC))
        case "week":
            monday = midnight - timedelta(days=local.weekday())
            return BillingPeriod(monday.astimezone(UTC), (monday + timedelta(days=7)).astimezone(UTC))
        case "month":
            # relativedelta(day=31) means the month's last day wherever it has no 31st.
            this = midnight + relativedelta(day=anchor_day)
            first = this if this <= local else midnight + relativedelta(months=-1, day=anchor_day)
            second = first + relativedelta(months=1, day=anchor_day)
            return BillingPeriod(first.astimezone(UTC), second.astimezone(UTC))
        case "none":
            return None
