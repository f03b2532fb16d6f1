"""Colours and units: what the dashboards have in common to look at.

Colours are names of Grafana's palette, which has a shade of each for the light and for the dark theme.
"""

import math
from typing import Any

from exporter.thresholds import PROJECTED_LIKELY_PROBABILITY, RATE_LIMIT_HIGH_RATIO, Bands, Threshold

NORMAL = "blue"
AMBER = "orange"
RED = "red"
GOOD = "green"
PLAIN = "text"  # the theme's own text colour
MUTED = "#8e8e99"  # legible on white as on black

PERCENT = "percent"
COUNT = "locale"  # whole numbers with the reader's thousands separators
PER_MINUTE = "suffix:/min"
FROM_NOW = "dateTimeFromNow"

Step = dict[str, Any]


def band_steps(bands: Bands) -> list[Step]:
    """Threshold steps for a percentage. Grafana's are all inclusive: the next double after 90 makes it `> 90`."""
    warning, critical = bands.thresholds
    return [step(None, NORMAL), step(_first(warning), AMBER), step(_first(critical), RED)]


def _first(threshold: Threshold) -> float:
    return threshold.percent if threshold.inclusive else math.nextafter(threshold.percent, math.inf)


def step(value: float | None, colour: str) -> Step:
    """From `value` on, `colour`; None: from the lowest."""
    return {"color": colour, "value": value}


def one_colour(colour: str) -> list[Step]:
    return [step(None, colour)]


def rate_steps() -> list[Step]:
    """Threshold steps for a percentage of the rate limit."""
    return [step(None, NORMAL), step(RATE_LIMIT_HIGH_RATIO * 100, RED)]


def likelihood_steps() -> list[Step]:
    """Threshold steps for how likely the limit is reached, in percent."""
    return [step(None, PLAIN), step(100 * PROJECTED_LIKELY_PROBABILITY, RED)]
