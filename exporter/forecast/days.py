"""What the coming days will bring, by the days that are known: the shape of the week, and the level of late. Pure.

A day brings `level x weekday factor`, more or less. How fast the level changes differs from scope to scope and from
week to week, so it is followed by three memories that forget by half in 1.5, 5 and 30 days. Each is believed as far
as it would have foreseen the last days; a Student t distribution judges, so that one mad day discredits nobody and a
step brings the quick memory to the fore within days. Their levels stay side by side in the forecast: where they
disagree, its range is wide.

The numbers below were fitted on series of which docs/forecast.md says which; benchmarks/forecast.py measures them on
others.
"""

from collections.abc import Sequence
from math import exp, inf, log, log1p, sqrt
from statistics import fmean, median
from typing import NamedTuple

from exporter.forecast.spread import Part, Spread

WEEK = 7


class Memory(NamedTuple):
    """half_life: days. credit: how far it is believed beforehand, a logarithm. clip: standard deviations at which a
    day's surprise counts no further."""

    half_life: float
    credit: float
    clip: float


_MEMORIES = (Memory(1.5, 0.45, inf), Memory(5.0, 0.92, 2.1), Memory(30.0, 0.0, 2.1))
# In fewer days a week's shape cannot be distinguished from chance.
_DAYS_FOR_A_SHAPE = 14
# How much more the weekdays must differ than by chance to be half believed.
_SHRINK = 2.4
# A memory begins with the mean of so many days, as if it had seen that on so many.
_DAYS_AT_FIRST, _WEIGHT_AT_FIRST = 10, 5.0
# A day's noise: at first 6 %, as if seen on so many days; what lasts of it a day; a mad day's counts no further than
# 3 standard deviations.
_NOISE_AT_FIRST, _NOISE_DAYS, _NOISE_LASTS, _NOISE_CLIP = 0.06**2, 5.0, 0.94, 9.0
# Of Student's t; and how much a day's credit counts, and lasts until the next.
_FREEDOM, _CREDIT_COUNTS, _CREDIT_LASTS = 2.0, 0.2, 0.85
# Requests; less is nothing, and would only lose its digits.
NOTHING = 1e-6
# Days that nearly always bring nothing.
_LEAST_FACTOR = 0.1
# The variance of what is ahead, relative to its square: days' own noise, which evens out over many; the level, which
# is known the worse the quicker the memory; its drift, with each day ahead; and what is always there.
_DAY_NOISE, _LEVEL_NOISE, _DRIFT, _ALWAYS = 0.5, 2.2, 0.018, 0.0008
_LEAST_WEIGHT = 0.3
# Clipped surprises are mostly upward: so much of the variance do requests come out above the levels.
_ABOVE = 0.45
# With fewer days the level is known less well, in proportion.
_DAYS_ENOUGH = 21.0


class Day(NamedTuple):
    """A day and its requests. weekday: 0 is Monday.

    part: how much of the day's requests had come when it was read; 1 for a whole day.
    exact: False where the day's own count is not known, only that of some days together.
    """

    weekday: int
    requests: float
    part: float = 1.0
    exact: bool = True


class Level(NamedTuple):
    """What one memory holds. weight: how far it is believed, of 1; requests: on an average weekday.

    noise: variance of a day around it, relative to its square. forgets: the part of it that each day replaces.
    """

    weight: float
    requests: float
    noise: float
    forgets: float


class Outlook(NamedTuple):
    """shape: seven weekday factors, of mean 1. levels: none where no request was ever seen. days: that are known."""

    shape: tuple[float, ...]
    levels: tuple[Level, ...]
    days: float

    def weight(self, weekday: int) -> float:
        return self.shape[weekday]

    def requests(self, weight: float, length: float) -> Spread:
        """What a stretch of time brings. weight: its days' factors, added up; length: in days."""
        if weight <= 0:
            return Spread(())
        return Spread(tuple(self._part(level, weight, length) for level in self.levels))

    def _part(self, level: Level, weight: float, length: float) -> Part:
        few = max(1.0, _DAYS_ENOUGH / max(self.days, 1.0))
        variance = _ALWAYS * few + level.noise * (
            _DAY_NOISE / max(weight, _LEAST_WEIGHT) + _LEVEL_NOISE * level.forgets * few + _DRIFT * length
        )
        spread2 = log1p(variance)
        return Part(level.weight, log(max(level.requests * weight, NOTHING)) + _ABOVE * spread2, sqrt(spread2))


def outlook(days: Sequence[Day]) -> Outlook:
    """From days in their order, of which at least one has a part of more than 0."""
    shape = week_shape(days)
    return Outlook(shape, _levels(days, shape), sum(day.part for day in days if day.exact))


def week_shape(days: Sequence[Day]) -> tuple[float, ...]:
    """Each weekday's factor, of mean 1; as far from it as the weekdays differ by more than their own scatter."""
    whole = [day for day in days if day.part == 1 and day.exact]
    ratios = _ratios_to_the_week(whole)
    if ratios is None:
        return (1.0,) * WEEK
    typical = [median(each) if each else 1.0 for each in ratios]
    scatter = sum((ratio - middle) ** 2 for each, middle in zip(ratios, typical, strict=True) for ratio in each)
    chance = scatter / (len(whole) - WEEK) / (len(whole) / WEEK)
    differ = max(0.0, sum((middle - 1) ** 2 for middle in typical) / (WEEK - 1) - chance)
    believed = differ / (differ + _SHRINK * chance) if differ else 0.0
    factors = [max(0.0, 1 + believed * (middle - 1)) for middle in typical]
    mean = fmean(factors)
    return tuple(factor / mean for factor in factors) if mean > 0 else (1.0,) * WEEK


def _ratios_to_the_week(days: Sequence[Day]) -> list[list[float]] | None:
    """By weekday, each day's requests / the mean of the seven days around it; None where there are too few days."""
    if len(days) < _DAYS_FOR_A_SHAPE:
        return None
    counts = [day.requests for day in days]
    means = [fmean(counts[start : start + WEEK]) for start in range(len(counts) - WEEK + 1)]
    ratios: list[list[float]] = [[] for _ in range(WEEK)]
    for number, day in enumerate(days):
        mean = means[min(max(number - WEEK // 2, 0), len(means) - 1)]
        if mean > 0:
            ratios[day.weekday].append(day.requests / mean)
    return ratios


def _levels(days: Sequence[Day], shape: Sequence[float]) -> tuple[Level, ...]:
    total, parts = sum(day.requests for day in days), sum(day.part for day in days)
    if total < NOTHING:
        return ()
    found = [_remember(days, shape, memory, total / parts) for memory in _MEMORIES]
    best = max(credit for credit, _ in found)
    weights = [exp(credit - best) for credit, _ in found]
    return tuple(
        level._replace(weight=weight / sum(weights)) for weight, (_, level) in zip(weights, found, strict=True)
    )


def _remember(days: Sequence[Day], shape: Sequence[float], memory: Memory, mean: float) -> tuple[float, Level]:
    """The level after these days, and what its forecasts of each of them, one day ahead, were worth."""
    forgets = 1 - 0.5 ** (1 / memory.half_life)
    first = days[:_DAYS_AT_FIRST]
    weight_at_first = sum(shape[day.weekday] * day.part for day in first)
    level = max(sum(day.requests for day in first) / max(weight_at_first, 0.3), 0.05 * mean)
    amount, weight = level * _WEIGHT_AT_FIRST, _WEIGHT_AT_FIRST
    squares, squared = _NOISE_AT_FIRST * _NOISE_DAYS, _NOISE_DAYS
    credit = 0.0
    for day in days:
        factor = shape[day.weekday] * day.part
        expected = level * factor
        surprise = day.requests - expected
        noise = squares / squared
        # The variance of a day grows with its mean, as that of a count does.
        surprise2 = surprise * surprise / (level * level * max(factor, _LEAST_FACTOR) * noise)
        keeps = 1.0
        if surprise2 > memory.clip**2:
            keeps = memory.clip / sqrt(surprise2)
        if day.exact:
            worth = -0.5 * ((_FREEDOM + 1) * log1p(surprise2 / _FREEDOM) + log(noise))
            credit = credit * _CREDIT_LASTS**day.part + worth * day.part
            squares = squares * _NOISE_LASTS**day.part + min(surprise2, _NOISE_CLIP) * noise * day.part
            squared = squared * _NOISE_LASTS**day.part + day.part
        kept = (1 - forgets) ** day.part
        amount, weight = amount * kept + expected + surprise * keeps, weight * kept + factor
        level = max(amount / max(weight, 0.05), 0.01 * mean)
    return memory.credit + _CREDIT_COUNTS * credit, Level(1.0, level, squares / squared, forgets)
