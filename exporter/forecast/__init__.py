"""Will it last: what a scope will have used at its period's end, how likely it reaches its limit before, and when.

    known -> recent (paces), days (what days bring) -> compute -> forecast -> alert, burning, fits

Pure, and of the standard library only. How it works and what it is worth: docs/forecast.md.
"""

from exporter.forecast.burning import NOT_BURNING, Burning, burning
from exporter.forecast.compute import forecast, limit_state, rounded
from exporter.forecast.fits import Answer, Fit, Why, fits
from exporter.forecast.model import (
    NO_PACES,
    Basis,
    Estimates,
    Forecast,
    Known,
    LimitState,
    Paces,
    Reached,
    Resolution,
    Unknown,
)
from exporter.forecast.near_limit import days_near_limit
from exporter.forecast.shortfall import shortfall

__all__ = [
    "NOT_BURNING",
    "NO_PACES",
    "Answer",
    "Basis",
    "Burning",
    "Estimates",
    "Fit",
    "Forecast",
    "Known",
    "LimitState",
    "Paces",
    "Reached",
    "Resolution",
    "Unknown",
    "Why",
    "burning",
    "days_near_limit",
    "fits",
    "forecast",
    "limit_state",
    "rounded",
    "shortfall",
]
