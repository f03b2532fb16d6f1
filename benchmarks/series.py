"""Months of daily counts to replay: real ones from a CSV file, and synthetic ones of known kinds."""

import csv
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

DAYS_BEFORE = 30
_DAY = timedelta(days=1)
COLUMNS = ("series", "date", "requests")

# What part of a day's requests comes in each of its hours: people by day, and a batch that runs at two.
_PEOPLE = (3, 2, 2, 2, 3, 5, 8, 11, 13, 15, 15, 15, 14, 15, 15, 15, 14, 14, 13, 12, 11, 10, 8, 5)
BY_DAY = tuple(part / sum(_PEOPLE) for part in _PEOPLE)
AT_NIGHT = tuple(float(hour == 2) for hour in range(24))  # noqa: PLR2004

SYNTHETIC = ("flat", "weekly", "growth", "burst", "step up", "step down", "mad day", "batch at night", "near zero")
# Half of these have quiet weekends too.
_HALF = 0.5
_EVERY_SECOND = ("growth", "burst", "step up", "step down", "mad day", "batch at night")


@dataclass(frozen=True)
class Month:
    """One billing period to replay.

    before: the counts of the 30 days before its first. counts: of its own days. hours: 24 parts of a day.
    changed_on: the first day, from 0, of a step.
    """

    kind: str
    first: date
    before: tuple[float, ...]
    counts: tuple[float, ...]
    hours: tuple[float, ...] = BY_DAY
    changed_on: int | None = None

    @property
    def total(self) -> float:
        return sum(self.counts)


class DataError(ValueError):
    """A file of counts that cannot be read: says which line, and what would be right."""


def read(file: Path) -> dict[str, dict[date, float]]:
    """Counts by series and date. Columns: series, date (YYYY-MM-DD), requests (a number of 0 or more)."""
    found: dict[str, dict[date, float]] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
        if missing:
            raise DataError(f"{file}, line 1: no column {missing[0]}; wanted is {','.join(COLUMNS)}")
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            try:
                day = date.fromisoformat(row["date"] or "")
                count = float(row["requests"] or "")
            except ValueError as error:
                raise DataError(f"{where}: {error}; wanted is a line such as search,2026-11-22,1204") from error
            if not (math.isfinite(count) and count >= 0):
                raise DataError(f"{where}: requests must be a number of 0 or more, not {row['requests']}")
            if day in found.setdefault(row["series"], {}):
                raise DataError(f"{where}: {row['series']} has {day} twice")
            found[row["series"]][day] = count
    return found


def months(series: dict[str, dict[date, float]]) -> Iterator[Month]:
    """All calendar months of which every day and the 30 days before are there, and that had any request."""
    for name, counts in series.items():
        first = min(counts).replace(day=1)
        while first <= max(counts):
            following = (first + 31 * _DAY).replace(day=1)
            before = [counts.get(first - back * _DAY) for back in range(DAYS_BEFORE, 0, -1)]
            own = [counts.get(first + ahead * _DAY) for ahead in range((following - first).days)]
            if None not in before and None not in own and any(own):
                yield Month(name, first, _known(before), _known(own))
            first = following


def _known(counts: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(count for count in counts if count is not None)


def synthetic(kind: str, seed: int) -> Month:
    """A month of a kind, of any level, noise and week that such may have; the same for the same seed."""
    chance = random.Random(f"{kind}-{seed}")
    first = date(2020 + seed % 5, 1 + chance.randrange(12), 1)
    length = ((first + 31 * _DAY).replace(day=1) - first).days
    level, noise = 10 ** chance.uniform(2, 5), chance.uniform(0.04, 0.25)
    at_work = kind == "weekly" or (kind in _EVERY_SECOND and chance.random() < _HALF)
    weekend = chance.uniform(0.05, 0.7) if at_work else 1.0
    if kind == "near zero":
        level, noise = chance.uniform(0.3, 4), 0.2
    growth = chance.uniform(0.002, 0.008) if kind == "growth" else 0.0
    step_on, step = chance.randrange(3, 20), chance.uniform(1.5, 4)
    burst_days, burst = chance.randrange(1, 4), chance.uniform(4, 10)
    mad_on = chance.randrange(-20, 25)

    def count(number: int) -> float:
        day = first + number * _DAY
        expected = level * math.exp(growth * number) * (weekend if day.weekday() >= 5 else 1.0)  # noqa: PLR2004
        if number >= step_on:
            expected *= {"step up": step, "step down": 1 / step}.get(kind, 1.0)
        if (kind == "burst" and day.day <= burst_days) or (kind == "mad day" and number == mad_on):
            expected *= burst
        return _poisson(chance, expected * math.exp(chance.gauss(-noise * noise / 2, noise)))

    before = tuple(count(number) for number in range(-DAYS_BEFORE, 0))
    return Month(
        kind,
        first,
        before,
        tuple(count(number) for number in range(length)),
        AT_NIGHT if kind == "batch at night" else BY_DAY,
        step_on if kind in ("step up", "step down") else None,
    )


def _poisson(chance: random.Random, mean: float) -> float:
    if mean > 50:  # noqa: PLR2004 - the normal distribution is as good from here on
        return float(max(0, round(chance.gauss(mean, math.sqrt(mean)))))
    least, product, count = math.exp(-mean), chance.random(), 0
    while product > least:
        product *= chance.random()
        count += 1
    return float(count)
