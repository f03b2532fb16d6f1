"""By how much a limit is too small for what is needed. Pure."""

from exporter.forecast.model import Forecast
from exporter.model import ScopeUsage
from exporter.thresholds import clean_ratio


def shortfall(usage: ScopeUsage, made: Forecast, before: float | None, warning: float) -> float | None:
    """How many requests the limit lacks for usage to stay below the warning (a ratio); None where it is enough.

    By this billing period, as it is likely to end (by what is used where nobody knows), and the one before: a limit
    that one busy month came near is not too small. before: requests of that one; None where nobody watched it.
    """
    if not usage.limit or usage.requests is None or before is None:
        return None
    likely = made.requests.middle if made.requests is not None else usage.requests
    if clean_ratio(likely / usage.limit) < warning or clean_ratio(before / usage.limit) < warning:
        return None
    return likely / warning - usage.limit
