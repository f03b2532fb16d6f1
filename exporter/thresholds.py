"""Where a usage ratio changes colour and severity: the one home of 0.75 and 0.90.

A ratio is usage / limit, not rounded to the two decimals that people see. 0.7499 is below the warning, 0.75 and 0.90
are amber, 0.9001 is red: the warning boundary belongs to the higher band and the critical one to the lower, as on the
vendors' usage pages. A site may choose other ratios (`Bands`), but not other sides of the boundary.
Before they are compared, ratios are rounded to RATIO_DECIMALS: 0.27 of 0.3 is 0.9, but as floats 0.9000000000000001.
Standard library only: dashboards, rules' tests and docs read it without the exporter's dependencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

# Far more decimals than anybody looks at, and far coarser than what a few operations on floats add up to.
RATIO_DECIMALS = 12


def clean_ratio(ratio: float) -> float:
    """A quotient without the error of its floats, as page, rules and dashboards compare it."""
    return round(ratio, RATIO_DECIMALS)


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

    @property
    def percent(self) -> float:
        """The ratio as people write it: 0.57 * 100 is 56.99999999999999."""
        return round(self.ratio * 100, 10)

    def reached_by(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.inclusive else ratio > self.ratio


# As on the vendor's usage page that ours reproduces.
WARNING = Threshold(Band.WARNING, 0.75, inclusive=True)
CRITICAL = Threshold(Band.CRITICAL, 0.90, inclusive=False)
LIMIT_REACHED_RATIO = 1.0  # used up, whatever a site's bands are

# Usage that hovers about a boundary must not page anew each time: an alert that fires ends only this part below its
# boundary, where nothing but a correction or a new period brings it.
HYSTERESIS_RATIO = 0.01

# Rate limits have one step only: 90 % of the per-minute limit, as usage is critical over 90 %. Observed rates are
# averages, and what is at 90 % on average is likely over the limit in its bursts.
RATE_LIMIT_HIGH_RATIO = 0.90

# A day is near the limit where its requests were NEAR_LIMIT_RATIO or more of limit / days in the billing period. Of
# days, not of the period: a site's own warning does not move it. 30 days are what the usage page shows.
HISTORY_DAYS = 30
NEAR_LIMIT_RATIO = WARNING.ratio

# A forecast becomes a ticket when the limit is this likely to be reached, and likely to be within this part of the
# billing period from now; the ticket stands while reaching the limit is no less likely than not. Chosen on the series
# that the forecast was made with (docs/forecast.md).
PROJECTED_LIKELY_PROBABILITY = 0.70
PROJECTED_NEAR_RATIO = 0.20
PROJECTED_CLEARED_PROBABILITY = 0.50
PROJECTED_FOR_SECONDS = 3600

# A job fits if it is this likely that it and the usual use stay within the limit until it has to be done, and if the
# limit is then not more likely than not (PROJECTED_CLEARED_PROBABILITY) reached before the period ends.
FITS_PROBABILITY = 0.90
# A page before it is too late: at the pace of the last minutes the rest is used up within so many seconds, and before
# the period ends; at that of the last hour it would be within so many times as long: ten minutes after a runaway
# began, when it has to page, the hour's average has risen to a sixth of its pace. Not where the forecast holds it for
# less likely than this, as at the start of a batch that ended soon on other nights: what leads the forecast, it
# believes by a half, and by half of that where the limit and the period's end come together.
RUNS_OUT_WITHIN_SECONDS = 86_400
RUNS_OUT_HOUR_TIMES = 6
RUNS_OUT_LIKELY_PROBABILITY = 0.25
# A day that uses so many times the day's share of the limit is no working day of a scope with quiet weekends (1.4),
# and leaves a third of the period at most.
BURNING_FAST_TIMES = 3

# Periods shorter than this (seconds) colour cards but do not page: they start anew before anybody could act. A day
# when clocks are set forward has 23 hours, and its last second may not be counted.
PAGING_MIN_PERIOD_SECONDS = 22 * 3600

# A scope is missing once this many good answers in a row lack it: a vendor's single slip alerts nobody.
MISSING_AFTER_ANSWERS = 2

# Metrics are put together every 5 seconds at least. What is older than this (seconds) is no longer put together.
RENDERED_MAX_AGE_SECONDS = 60
# A clock that is ahead by more (seconds) than the time from one rendering to the next is wrong.
CLOCK_AHEAD_SECONDS = 30
# State is saved a second after each poll. What fails for this long (seconds) was no passing shortage.
SAVED_MAX_AGE_SECONDS = 300


# Smaller ones could not be distinguished from 0, since any usage at all shows as 0.01 % at least.
LEAST_RATIO = 0.001


def check_ratio(name: str, ratio: float) -> None:
    """Raises ValueError, saying what would be right, where a ratio is no threshold of usage."""
    if not LEAST_RATIO <= ratio <= 1:
        hint = f"; {ratio:g} % is {ratio / 100:g}" if 1 < ratio <= 100 else ""  # noqa: PLR2004 - percent
        raise ValueError(
            f"{name} must be a part of the limit, at least {LEAST_RATIO:g} and at most 1, not {ratio:g}{hint}"
        )
    if round(ratio, 4) != ratio:
        raise ValueError(f"{name} must have at most 4 decimals, since percentages show two, not {ratio!r}")


@dataclass(frozen=True)
class Bands:
    """Where the bands begin at a site. warning, critical: ratios, of at most 4 decimals: 0.955 is 95.5 %.

    Raises ValueError, saying what would be right.
    """

    warning: float = WARNING.ratio
    critical: float = CRITICAL.ratio

    def __post_init__(self) -> None:
        for name, ratio in (("warning", self.warning), ("critical", self.critical)):
            check_ratio(name, ratio)
        if self.warning >= self.critical:
            raise ValueError(f"warning ({self.warning:g}) must be less than critical ({self.critical:g})")

    @cached_property
    def thresholds(self) -> tuple[Threshold, Threshold]:
        """The warning's and the critical one."""
        return replace(WARNING, ratio=self.warning), replace(CRITICAL, ratio=self.critical)

    def band_of(self, ratio: float) -> Band:
        """The band of a usage ratio, which is not to be rounded to what people see."""
        ratio = clean_ratio(ratio)
        for threshold in reversed(self.thresholds):
            if threshold.reached_by(ratio):
                return threshold.band
        return Band.NORMAL


DEFAULT_BANDS = Bands()


@dataclass(frozen=True)
class OrganisationBands:
    """Where the bands begin for an organisation's scopes. scopes: by name, of those that differ from the others."""

    general: Bands = DEFAULT_BANDS
    scopes: Mapping[str, Bands] = field(default_factory=dict)

    def of(self, scope: str) -> Bands:
        return self.scopes.get(scope, self.general)
