"""What a billing period had come to at each midnight, counted back from now by its days. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod, DailyUsage


def counts_back(
    requests: float, daily: Sequence[DailyUsage], period: BillingPeriod, read_at: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, float]]:
    """(a midnight, the count then), descending, as far back as days of the period are known without a gap.

    requests: in the period by read_at. daily: ascending, in the zone.
    """
    expected = read_at.astimezone(zone).date()
    for day in reversed(daily):
        begins = datetime.combine(day.date, time(), zone)
        if day.date != expected or begins < period.start:
            return
        requests -= day.requests
        yield begins, requests
        expected -= timedelta(days=1)
