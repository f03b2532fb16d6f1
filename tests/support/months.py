"""Months that were watched, for what compares billing periods."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exporter.model import BillingPeriod
from tests.support.watched import Watched, scope, targets_of


def month(number: int) -> BillingPeriod:
    """Of 2026."""
    return BillingPeriod(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number + 1, 1, tzinfo=UTC))


class Months:
    """An organisation whose months were watched to their ends, of an api with prices (as the config has them)."""

    def __init__(self, folder: Path, prices: Mapping[str, Any], organisation: str = "Acme") -> None:
        targets = targets_of(folder, {"maps": [organisation]}, prices=prices, time_zone="UTC")
        self.watched = Watched(targets)
        self.organisation = organisation

    def goes(self, number: int, *, before_end: timedelta = timedelta(minutes=2), **usage: int) -> None:
        period = month(number)
        for at in (period.start + timedelta(minutes=1), period.end - before_end):
            self.watched.clock.advance(seconds=(at - self.watched.clock.now()).total_seconds())
            part = 0 if at < period.start + timedelta(days=1) else 1
            scopes = (scope(each, count * part, 1e6, period=period) for each, count in usage.items())
            self.watched.reads(self.organisation, *scopes, api="maps")
