"""How many days came near the limit, each on its own. Pure."""

from datetime import timedelta

from exporter.model import ScopeUsage
from exporter.thresholds import HISTORY_DAYS, NEAR_LIMIT_RATIO, clean_ratio

_DAY = timedelta(days=1)


def days_near_limit(usage: ScopeUsage) -> int | None:
    """Of the last 30 days, those that would use NEAR_LIMIT_RATIO or more of the limit if the whole period were like
    them; None without a limit or a billing period, where no day can be near it."""
    if not usage.limit or usage.period is None:
        return None
    even = usage.limit / ((usage.period.end - usage.period.start) / _DAY)
    return sum(clean_ratio(day.requests / even) >= NEAR_LIMIT_RATIO for day in usage.last_days(HISTORY_DAYS))
