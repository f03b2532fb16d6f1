"""Colours, units and links: what the dashboards have in common to look at.

Colours are names of Grafana's palette, which has a shade of each for the light and for the dark theme.
"""

import math
from dataclasses import dataclass
from typing import Any

from exporter.thresholds import CRITICAL, RATE_LIMIT_HIGH_RATIO, WARNING

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


@dataclass(frozen=True)
class Bands:
    """At which percentages the colour changes. warning, critical: ratios, 0 < warning < critical <= 1."""

    warning: float = WARNING.ratio
    critical: float = CRITICAL.ratio

    def __post_init__(self) -> None:
        if not 0 < self.warning < self.critical <= 1:
            raise ValueError(
                f"warning {self.warning:g} and critical {self.critical:g} do not fit: 0 < warning < critical <= 1"
            )

    @property
    def warning_percent(self) -> float:
        return _percent(self.warning)

    @property
    def critical_percent(self) -> float:
        return _percent(self.critical)

    def steps(self) -> list[Step]:
        """Threshold steps for a percentage. Grafana's are all inclusive: the next double after 90 makes it `> 90`."""
        return [
            step(None, NORMAL),
            step(_first(self.warning_percent, inclusive=WARNING.inclusive), AMBER),
            step(_first(self.critical_percent, inclusive=CRITICAL.inclusive), RED),
        ]


def _percent(ratio: float) -> float:
    # 0.57 * 100 is 56.99999999999999.
    return round(ratio * 100, 10)


def _first(boundary: float, *, inclusive: bool) -> float:
    return boundary if inclusive else math.nextafter(boundary, math.inf)


def step(value: float | None, colour: str) -> Step:
    """From `value` on, `colour`; None: from the lowest."""
    return {"color": colour, "value": value}


def one_colour(colour: str) -> list[Step]:
    return [step(None, colour)]


def rate_steps() -> list[Step]:
    """Threshold steps for a percentage of the rate limit."""
    return [step(None, NORMAL), step(_percent(RATE_LIMIT_HIGH_RATIO), RED)]
