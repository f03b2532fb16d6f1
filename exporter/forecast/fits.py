"""Does a job fit: a batch of requests beside the usual ones, within what is left of the limit. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from exporter.forecast.compute import reached_by
from exporter.forecast.model import Known
from exporter.thresholds import FITS_PROBABILITY, PROJECTED_CLEARED_PROBABILITY


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    NOT_KNOWN = "not known"


class Why(StrEnum):
    """What decides.

    UNLIMITED: there is no limit. LIKELY: the job and the usual use fit. TOO_LARGE: it is more than is left now.
    TOO_UNSURE: the usual use may reach the limit before the job is done. RUNS_OUT: it is done in time, but then the
    limit is likely reached before the period ends. NO_FORECAST: what comes until then is not known. OLD: the data is
    older than allowed, or of a period that has ended. SUSPECT: the vendor's newest count contradicts those before.
    NEXT_PERIOD: it does not fit into this period, and the next begins before the job has to be done.
    """

    UNLIMITED = "unlimited"
    LIKELY = "likely"
    TOO_LARGE = "too_large"
    TOO_UNSURE = "too_unsure"
    RUNS_OUT = "runs_out"
    NO_FORECAST = "no_forecast"
    OLD = "old"
    SUSPECT = "suspect"
    NEXT_PERIOD = "next_period"


@dataclass(frozen=True)
class Fit:
    """Whether a job fits.

    by: when it has to be done; the period's end where that is earlier or nothing was said; None without either.
    left: requests up to the limit now; None without a limit.
    fits_probability: that job and usual use stay within the limit until `by`.
    over_limit_probability, without_job: that the limit is reached before the period ends, with the job and without.
    Probabilities are None where they are not known.
    """

    answer: Answer
    why: Why
    by: datetime | None
    left: float | None
    fits_probability: float | None = None
    over_limit_probability: float | None = None
    without_job: float | None = None


def fits(known: Known, requests: float, by: datetime | None, *, old: bool = False) -> Fit:
    """Whether a job of so many requests fits until `by`, as exporter.thresholds says how sure that has to be.

    requests: over 0. old: whether the data is older than allowed, or of a period that has ended.
    """
    end = known.period.end if known.period is not None else None
    horizon = min((moment for moment in (by, end) if moment is not None), default=None)
    left = None if known.limit is None else max(0.0, known.limit - known.requests)
    blank = Fit(Answer.NOT_KNOWN, Why.NO_FORECAST, horizon, left)
    if old or known.suspect:
        return replace(blank, why=Why.OLD if old else Why.SUSPECT)
    if known.limit is None or left is None:
        return replace(blank, answer=Answer.YES, why=Why.UNLIMITED, fits_probability=1.0)
    if requests > left:
        return _or_next_period(replace(blank, answer=Answer.NO, why=Why.TOO_LARGE, fits_probability=0.0), by, end)
    if horizon is None or end is None:
        return blank
    with_job = replace(known, limit=known.limit - requests)
    reached, over, without = reached_by(with_job, horizon), reached_by(with_job, end), reached_by(known, end)
    if reached is None or over is None:
        return blank
    fits_probability = round(1 - reached, 4)
    found = replace(blank, fits_probability=fits_probability, over_limit_probability=over, without_job=without)
    if fits_probability < FITS_PROBABILITY:
        return _or_next_period(replace(found, answer=Answer.NO, why=Why.TOO_UNSURE), by, end)
    if over >= PROJECTED_CLEARED_PROBABILITY:
        return replace(found, answer=Answer.NO, why=Why.RUNS_OUT)
    return replace(found, answer=Answer.YES, why=Why.LIKELY)


def _or_next_period(fit: Fit, by: datetime | None, end: datetime | None) -> Fit:
    """What the next period allows, nobody knows yet."""
    waits = by is not None and end is not None and by > end
    return replace(fit, answer=Answer.NOT_KNOWN, why=Why.NEXT_PERIOD) if waits else fit
