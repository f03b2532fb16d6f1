"""The planner's bars: what past billing periods used of each scope, beside what a plan includes. Pure.

Across, everything is in percent of the width; up and down it is in pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.view import plan_words
from exporter.view.plan_periods import WatchedPeriod
from exporter.view.plans import OrganisationPlans, PlanOption

PLOT_HEIGHT = 120
# Above the largest bar there is room for the limit's line.
_HEADROOM = 12
_BAR_PART = 0.72  # of a period's slot; the rest is gap


@dataclass(frozen=True)
class PeriodBar:
    """One period. left, width: percent; top, height: pixels.

    over: pixels of it that are beyond what the plan includes.
    """

    name: str
    text: str
    left: float
    width: float
    top: float
    height: float
    over: float
    is_present: bool


@dataclass(frozen=True)
class ScopeBars:
    """included: y in pixels of what the plan includes; None where it is unlimited."""

    scope: str
    text: str
    bars: tuple[PeriodBar, ...]
    included: float | None
    height: int = PLOT_HEIGHT


def period_bars(found: OrganisationPlans, option: PlanOption, growth: float) -> Iterator[ScopeBars]:
    """By scope, in alphabetical order. growth: percent by which everything is raised."""
    for scope in sorted({scope for period in found.periods for scope in period.usage}):
        counts = [period.usage.get(scope, 0.0) * (1 + growth / 100) for period in found.periods]
        yield _scope_bars(scope, found.periods, counts, option.included.get(scope, 0.0))


def _scope_bars(
    scope: str, periods: Sequence[WatchedPeriod], counts: Sequence[float], included: float | None
) -> ScopeBars:
    most = max(*counts, included or 0.0, 1.0)
    slot = 100 / len(counts)

    def pixels(requests: float) -> float:
        return round(requests / most * (PLOT_HEIGHT - _HEADROOM), 2)

    bars = tuple(
        PeriodBar(
            name=period.name,
            text=_said(count, included),
            left=round(slot * (index + (1 - _BAR_PART) / 2), 3),
            width=round(slot * _BAR_PART, 3),
            top=PLOT_HEIGHT - pixels(count),
            height=pixels(count),
            over=0.0 if included is None else pixels(max(count - included, 0.0)),
            is_present=period.is_present,
        )
        for index, (period, count) in enumerate(zip(periods, counts, strict=True))
    )
    line = None if included is None else PLOT_HEIGHT - pixels(included)
    return ScopeBars(scope, _includes(included), bars, line)


def _said(count: float, included: float | None) -> str:
    over = 0.0 if included is None else count - included
    return plan_words.requests(count) + (f", {plan_words.requests(over)} over" if over > 0 else "")


def _includes(included: float | None) -> str:
    if included is None:
        return "unlimited"
    return f"{plan_words.requests(included)} included" if included else "none included"
