"""Where a usage ratio changes colour and severity: the one home of 0.75 and 0.90.

A ratio is usage / limit, unrounded. 0.7499 is below the warning, 0.75 and 0.90 are amber, 0.9001 is red: the
warning boundary belongs to the higher band and the critical one to the lower, as on the vendors' usage pages.
Standard library only: dashboards, rules' tests and docs read it without the exporter's dependencies.
"""

from dataclasses import dataclass
from enum import Enum


class Band(Enum):
    """A colour of the progress bar, from best to worst."""

    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Threshold:
    """From which usage ratio a band begins.

    ratio: usage / limit.
    inclusive: whether the ratio itself is already in the band.
    """

    band: Band
    ratio: float
    inclusive: bool

    @property
    def operator(self) -> str:
        """The PromQL comparison that holds in the band: `>=` or `>`."""
        return ">=" if self.inclusive else ">"

    def reached_by(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.inclusive else ratio > self.ratio


WARNING = Threshold(Band.WARNING, 0.75, inclusive=True)
CRITICAL = Threshold(Band.CRITICAL, 0.90, inclusive=False)
LIMIT_REACHED_RATIO = 1.0

# Rate limits have one step only: 90 % of the per-minute limit.
RATE_LIMIT_HIGH_RATIO = 0.90

# Consistently near the limit: on at least NEAR_LIMIT_DAYS of the last HISTORY_DAYS days the day's requests were
# NEAR_LIMIT_RATIO or more of limit / days in the billing period.
HISTORY_DAYS = 30
NEAR_LIMIT_DAYS = 20
NEAR_LIMIT_RATIO = WARNING.ratio

# Projections are not judged before this part of the billing period has passed.
PROJECTION_MIN_ELAPSED_RATIO = 0.10

# Periods shorter than this (seconds) colour cards but do not page.
PAGING_MIN_PERIOD_SECONDS = 86_400


def band_of(ratio: float) -> Band:
    """The band of an unrounded usage ratio."""
    for threshold in (CRITICAL, WARNING):
        if threshold.reached_by(ratio):
            return threshold.band
    return Band.NORMAL
