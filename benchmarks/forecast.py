"""What the forecast is worth, on months that it was not made with, beside the pace and a library's seasonal baseline.

`make bench BENCH=forecast`; `DATA=file.csv` replays other series instead (columns series, date, requests). The last
line is one JSON object. docs/forecast.md says how the months were split, and what each figure means.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median
from typing import Literal

from benchmarks.fan import fan
from benchmarks.figures import Figure, Report
from benchmarks.replay import DAYS, ENDS_AT, Guess, Replayed, Tickets, replay, statsmodels
from benchmarks.series import SYNTHETIC, DataError, Month, months, read, synthetic

REAL = Path(__file__).parent / "data" / "daily-counts.csv"
# 0 to 19 were used to make the forecast.
SEEDS = range(1000, 1014)
_SEASONAL_MONTHS = 60
_TENTHS = 10
_MILLISECOND = 1e-3
_PICTURED = ("sftraffic", date(2016, 10, 1))


def measure() -> Report:
    file = os.environ.get("DATA")
    if file:
        try:
            found = list(months(read(Path(file))))
        except (OSError, DataError) as error:
            raise SystemExit(str(error)) from error
        if not found:
            raise SystemExit(f"{file}: no series has a whole calendar month with the 30 days before it")
        return _report(found, f"Months of {file}.", wanted=False)
    real = list(months(read(REAL)))
    made = [synthetic(kind, seed) for kind in SYNTHETIC for seed in SEEDS]
    about = (
        f"{len(real)} months of five real daily series and {len(made)} of nine synthetic kinds, none used to make "
        "the forecast; each against six limits, of which it ends at 80 to 120 %."
    )
    return _report([*real, *(month for month in made if month.total)], about, wanted=True)


def _report(found: Sequence[Month], about: str, *, wanted: bool) -> Report:
    replayed = _replay(found)
    kinds = dict.fromkeys(month.kind for month in found)
    groups = {kind: [each for each in replayed if each.month.kind == kind] for kind in kinds}
    summary: dict[str, object] = {**_summary(replayed)}
    if wanted:
        groups["all real"] = [each for each in replayed if each.month.kind not in SYNTHETIC]
        groups["all synthetic"] = [each for each in replayed if each.month.kind in SYNTHETIC]
        summary |= {"real": _summary(groups["all real"]), "synthetic": _summary(groups["all synthetic"])}
    figures = [*_figures(replayed, wanted=wanted), *_reliability(replayed)]
    for name, group in groups.items():
        figures += _short(name, group)
    pictured = [month for month in found if wanted and (month.kind, month.first) == _PICTURED]
    pictures = [fan(month, 3, ends_at=0.97, file="forecast.svg") for month in pictured]
    if statsmodels() is None:
        about += " The seasonal baseline was left out: statsmodels is not installed (pip install statsmodels)."
    return Report("Will it last: the forecast, replayed", about, tuple(figures), pictures, summary)


def _replay(found: Sequence[Month]) -> list[Replayed]:
    """On every core; the library's baseline on some of the months, evenly over all, since it is slow."""
    every = -(-len(found) // _SEASONAL_MONTHS) if statsmodels() else 0
    seasonal = [bool(every) and number % every == 0 for number in range(len(found))]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(_one, found, seasonal, chunksize=4))


def _one(month: Month, seasonal: bool) -> Replayed:
    return replay(month, seasonal=seasonal)


def _figures(replayed: Sequence[Replayed], *, wanted: bool) -> Iterator[Figure]:
    figure = Figure if wanted else _plain
    pace = _brier(replayed, "paces")
    yield Figure("months", len(replayed))
    yield Figure("Brier score, pace so far", pace)
    yield figure("Brier score, forecast", _brier(replayed, "guesses"), at_most=0.65 * pace)
    asked = [each for each in replayed if each.seasonal]
    if asked:
        yield Figure(f"Brier score, seasonal baseline, on {len(asked)} of the months", _brier(asked, "seasonal"))
        yield Figure("Brier score, forecast on the same", _brier(asked, "guesses"))
        yield Figure("part of months in the 10-90 range, seasonal baseline", _coverage(asked, "seasonal"))
    yield figure("part of months in the 10-90 range", _coverage(replayed, "guesses"), at_least=0.76, at_most=0.84)
    yield Figure("width of the 10-90 range / requests, median", _width(replayed))
    for day in DAYS:
        off, off_pace = _error(replayed, "guesses", day), _error(replayed, "paces", day)
        if day == 3:  # noqa: PLR2004
            yield figure(f"median error on day {day}", off, at_most=0.75 * off_pace)
        else:
            yield Figure(f"median error on day {day}", off)
        yield Figure(f"median error on day {day}, pace so far", off_pace)
    yield figure("months within the limit that see a ticket", _seen(_within(replayed, "tickets")), at_most=0.08)
    yield Figure("months within the limit that see one of the pace", _seen(_within(replayed, "pace_tickets")))
    yield figure("months over it that see one 3 days before", _caught(_over(replayed, "tickets")), at_least=0.95)
    yield Figure("months over it that see one of the pace 3 days before", _caught(_over(replayed, "pace_tickets")))
    stepped = [each for each in replayed if each.month.kind == "step up"]
    if stepped:
        yield figure("the same after a step up", _caught(_over(stepped, "tickets")), at_least=0.90)
    fired = [ticket.fired for each in replayed for ticket in each.tickets]
    yield Figure("most tickets in a month, for one limit", max(fired))
    yield Figure("most tickets of the pace", max(ticket.fired for each in replayed for ticket in each.pace_tickets))
    taken = median(second for each in replayed for second in each.seconds) / _MILLISECOND
    yield Figure("processor time of one forecast, median", taken, "ms", at_most=1.0)


def _plain(what: str, value: float, **_: float) -> Figure:
    """Other people's series are measured and not judged."""
    return Figure(what, value)


def _short(kind: str, replayed: Sequence[Replayed]) -> Iterator[Figure]:
    better = _brier(replayed, "guesses") / max(_brier(replayed, "paces"), 1e-9)
    yield Figure(f"{kind}: Brier score / the pace's ({len(replayed)} months)", better)
    yield Figure(f"{kind}: part in the 10-90 range", _coverage(replayed, "guesses"))
    yield Figure(f"{kind}: within, and a ticket", _seen(_within(replayed, "tickets")))
    yield Figure(f"{kind}: over, and a ticket 3 days before", _caught(_over(replayed, "tickets")))


def _reliability(replayed: Sequence[Replayed]) -> Iterator[Figure]:
    """Of all that was said with a probability in one tenth, the part that came."""
    tenths: list[list[bool]] = [[] for _ in range(_TENTHS)]
    for each in replayed:
        for guess in each.guesses.values():
            for probability, ends_at in zip(guess.probabilities, ENDS_AT, strict=True):
                tenths[min(int(probability * _TENTHS), _TENTHS - 1)].append(ends_at > 1)
    for number, came in enumerate(tenths):
        if came:
            low = number * 100 // _TENTHS
            yield Figure(f"said {low} to {low + 100 // _TENTHS} % ({len(came):,} times): came", fmean(came))


def _summary(replayed: Sequence[Replayed]) -> dict[str, float | None]:
    asked = [each for each in replayed if each.seasonal]
    return {
        "brier": _brier(replayed, "guesses"),
        "brier_pace": _brier(replayed, "paces"),
        "brier_seasonal": _brier(asked, "seasonal") if asked else None,
        "coverage": _coverage(replayed, "guesses"),
        "median_error_day3": _error(replayed, "guesses", 3),
        "median_error_day3_pace": _error(replayed, "paces", 3),
        "false_tickets": _seen(_within(replayed, "tickets")),
        "caught_3_days": _caught(_over(replayed, "tickets")),
        "months": len(replayed),
    }


Method = Literal["guesses", "paces", "seasonal"]
Alert = Literal["tickets", "pace_tickets"]


def _guesses(replayed: Sequence[Replayed], method: Method) -> Iterator[tuple[int, Guess, Month]]:
    for each in replayed:
        by_day: dict[int, Guess] = getattr(each, method)
        for day, guess in by_day.items():
            yield day, guess, each.month


def _brier(replayed: Sequence[Replayed], method: Method) -> float:
    """Brier, 1950: the mean squared difference between what was said (0 to 1) and what came (0 or 1)."""
    return fmean(
        (probability - (ends_at > 1)) ** 2
        for _, guess, _ in _guesses(replayed, method)
        for probability, ends_at in zip(guess.probabilities, ENDS_AT, strict=True)
    )


def _coverage(replayed: Sequence[Replayed], method: Method) -> float:
    return fmean(guess.low <= month.total <= guess.high for _, guess, month in _guesses(replayed, method))


def _width(replayed: Sequence[Replayed]) -> float:
    return median((guess.high - guess.low) / month.total for _, guess, month in _guesses(replayed, "guesses"))


def _error(replayed: Sequence[Replayed], method: Method, on: int) -> float:
    """As a part of what the month came to, median."""
    found = [abs(guess.middle / month.total - 1) for day, guess, month in _guesses(replayed, method) if day == on]
    return median(found)


def _tickets(replayed: Sequence[Replayed], alert: Alert) -> Iterator[Tickets]:
    for each in replayed:
        yield from getattr(each, alert)


def _within(replayed: Sequence[Replayed], alert: Alert) -> list[Tickets]:
    return [each for each in _tickets(replayed, alert) if each.ends_at <= 1]


def _over(replayed: Sequence[Replayed], alert: Alert) -> list[Tickets]:
    return [each for each in _tickets(replayed, alert) if each.ends_at > 1]


def _seen(tickets: Sequence[Tickets]) -> float:
    return fmean(each.fired > 0 for each in tickets)


def _caught(tickets: Sequence[Tickets]) -> float:
    return fmean(each.in_time for each in tickets)
