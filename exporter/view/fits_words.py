"""Whether a job fits, in words. Pure."""

from datetime import datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from exporter.forecast import Answer, Why
from exporter.thresholds import FITS_PROBABILITY
from exporter.view.fits import FitDocument
from exporter.view.forecast_words import chance
from exporter.view.words import ago, count, day_and_weekday, moment, number

_ANSWERS = MappingProxyType({Answer.YES: "Yes", Answer.NO: "No", Answer.NOT_KNOWN: "Not known"})
_WHY = MappingProxyType(
    {
        Why.UNLIMITED: "there is no limit.",
        Why.TOO_LARGE: "that is more than is left.",
        Why.RUNS_OUT: "they can be made in time, but then the limit is likely reached before the period ends.",
        Why.NO_FORECAST: "what will be used until then is not known.",
        Why.SUSPECT: "the vendor's newest count contradicts those before.",
        Why.NEXT_PERIOD: "they do not fit into this billing period, and of the next one nothing is known.",
    }
)


def answer(document: FitDocument) -> list[str]:
    """The answer and why, then what it rests on: a line each."""
    fit = document.fit
    job = f"{count(document.requests, document.unit)} more for {document.scope} of {document.organisation}"
    lines = [f"{_ANSWERS[fit.answer]}: {job}{_until(document)}: {_why(document)}"]
    if fit.left is not None:
        lines.append(f"Left now: {number(fit.left)}, read {ago(document.fetched_at, document.time)}.")
    if fit.over_limit_probability is not None and fit.without_job is not None:
        lines.append(
            f"With them the limit is {chance(fit.over_limit_probability)} likely to be reached before the period "
            f"ends; without, {chance(fit.without_job)}."
        )
    return lines


def _why(document: FitDocument) -> str:
    fit = document.fit
    fits = chance(fit.fits_probability or 0.0)
    if fit.why is Why.LIKELY:
        return f"{fits} likely to fit beside the usual use."
    if fit.why is Why.TOO_UNSURE:
        return f"{fits} likely to fit beside the usual use; {FITS_PROBABILITY:.0%} is wanted."
    if fit.why is Why.OLD:
        return f"the data is too old, read {ago(document.fetched_at, document.time)}."
    return _WHY[fit.why]


def _until(document: FitDocument) -> str:
    if document.fit.by is None:
        return ""
    zone = ZoneInfo(document.time_zone)
    local: datetime = document.fit.by.astimezone(zone)
    if local.time() == time():
        return f", until the end of {day_and_weekday((local - timedelta(microseconds=1)).date())}"
    return f", until {moment(local, zone)}"
