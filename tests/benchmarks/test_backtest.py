"""The backtest: reads people's files, sees no future, and finds the forecast better than the pace."""

import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.forecast import REAL
from benchmarks.replay import DAYS, ENDS_AT, replay
from benchmarks.series import DataError, Month, months, read, synthetic
from tests.support.programs import ROOT

KEYS = {
    "brier",
    "brier_pace",
    "brier_seasonal",
    "coverage",
    "median_error_day3",
    "median_error_day3_pace",
    "false_tickets",
    "caught_3_days",
    "months",
}


def written(folder: Path, text: str) -> Path:
    file = folder / "counts.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("series,day,requests\n", "line 1: no column date"),
        ("", "line 1: no column series"),
        ("series,date,requests\na,2026-11-01,5\na,yesterday,5\n", "line 3: .*yesterday.*search,2026-11-22,1204"),
        ("series,date,requests\na,2026-11-01,many\n", "line 2: .*many"),
        ("series,date,requests\na,2026-11-01\n", "line 2: .*search,2026-11-22,1204"),
        ("series,date,requests\na,2026-11-01,-1\n", "line 2: requests must be a number of 0 or more, not -1"),
        ("series,date,requests\na,2026-11-01,nan\n", "line 2: requests must be a number of 0 or more, not nan"),
        ("series,date,requests\na,2026-11-01,1\na,2026-11-01,2\n", "line 3: a has 2026-11-01 twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(written(tmp_path, text))


def test_months_are_whole_and_have_30_days_before() -> None:
    first = date(2026, 1, 15)
    days = {first + timedelta(days=number): 10.0 for number in range(120)}
    assert [month.first for month in months({"a": days})] == [date(2026, 3, 1), date(2026, 4, 1)]
    del days[date(2026, 4, 7)]
    assert [month.first for month in months({"a": days})] == [date(2026, 3, 1)]
    month = next(months({"a": days}))
    assert (len(month.before), len(month.counts), month.total) == (30, 31, 310)


def test_the_real_counts_are_all_there() -> None:
    found = list(months(read(REAL)))
    assert len(found) == 150
    assert {month.kind for month in found} == {
        "bitcoin",
        "bikes",
        "retail-united-kingdom",
        "retail-germany",
        "sftraffic",
    }


def test_a_steady_month_is_foreseen() -> None:
    found = replay(Month("steady", date(2026, 11, 1), (2400.0,) * 30, (2400.0,) * 30))
    assert sorted(found.guesses) == list(DAYS)
    for guess in (*found.guesses.values(), *found.paces.values()):
        assert guess.middle == pytest.approx(72_000, rel=0.02)
        assert all(
            (probability > 0.5) == (part > 1) for probability, part in zip(guess.probabilities, ENDS_AT, strict=True)
        )
    assert [ticket.fired for ticket in found.tickets] == [0, 0, 0, 1, 1, 1]
    assert [ticket.in_time for ticket in found.tickets] == [False] * 3 + [True] * 3


def test_nothing_is_known_of_days_to_come() -> None:
    """Two months that part on their 16th day look the same until it is over."""
    one = synthetic("weekly", 1)
    other = Month(one.kind, one.first, one.before, (*one.counts[:15], *(9 * count for count in one.counts[15:])))
    first, second = replay(one), replay(other)
    for day in (1, 3, 5, 8, 12, 15):
        assert (first.guesses[day].low, first.guesses[day].high) == (
            second.guesses[day].low,
            second.guesses[day].high,
        )
    assert first.guesses[20] != second.guesses[20]


def test_the_forecast_is_better_than_the_pace_on_months_that_did_not_make_it() -> None:
    replayed = [replay(month) for month in list(months(read(REAL)))[::12]]
    squares: dict[str, float] = {}
    for method in ("guesses", "paces"):
        squares[method] = sum(
            (probability - (part > 1)) ** 2
            for each in replayed
            for guess in getattr(each, method).values()
            for probability, part in zip(guess.probabilities, ENDS_AT, strict=True)
        )
    assert squares["guesses"] < 0.75 * squares["paces"]


def test_the_last_line_is_one_json_object(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1)  # noqa: DTZ001 - days without a time zone
    rows = [f"jobs,{start + timedelta(days=number):%Y-%m-%d},{100 + number % 7}" for number in range(90)]
    file = written(tmp_path, "\n".join(["series,date,requests", *rows]))
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "forecast"],
        cwd=ROOT,
        env={**os.environ, "DATA": str(file)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert set(found) == KEYS
    assert found["months"] == 2
    assert found["brier"] < 0.1


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "forecast"],
        cwd=ROOT,
        env={**os.environ, "DATA": str(tmp_path / "none.csv")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "none.csv" in run.stderr
    assert "Traceback" not in run.stderr
