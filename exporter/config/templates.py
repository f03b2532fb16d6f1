"""Placeholders in URLs, parameters and bodies: who is asked for, and dates in the vendor's time zone. Pure.

    {organisation_id} {organisation_name}
    {today} {yesterday} {tomorrow} {days_ago[30]} {history_start} {period_start} {period_end} {now}
    {seconds_since_period_start} {secret_NAME}

Dates are written YYYY-MM-DD; after a colon stands another form: `unix`, `unix_ms`, `iso`, or one of strftime
(https://docs.python.org/3/library/datetime.html#format-codes), as in {period_start:%Y%m%d}.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod
from exporter.thresholds import HISTORY_DAYS

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?:\[(\d{1,4})\])?(?::([^{}]*))?\}")
_TEXTS = ("organisation_id", "organisation_name", "seconds_since_period_start")
_MOMENTS = ("today", "yesterday", "tomorrow", "days_ago", "history_start", "period_start", "period_end", "now")
KNOWN = (*_TEXTS, *_MOMENTS)
_SECRET = "secret_"  # noqa: S105 - the beginning of a name


@dataclass(frozen=True)
class Values:
    """What placeholders stand for.

    period: the billing period, or the calendar month where none is known. secrets: by the names after `secret_`.
    """

    organisation_id: str
    organisation_name: str
    now: datetime
    zone: ZoneInfo
    period: BillingPeriod
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def secret_names(texts: Iterable[str]) -> set[str]:
    """The secrets that the texts have placeholders for."""
    names = {name for text in texts for name, _, _ in _PLACEHOLDER.findall(text)}
    return {name.removeprefix(_SECRET) for name in names if name.startswith(_SECRET)}


def is_fixed(template: str) -> bool:
    """Whether a text of its own is left of it without its placeholders; one of a secret counts as such."""
    if secret_names([template]):
        return True
    return bool(_PLACEHOLDER.sub("", template))


def check(template: str, *, is_url: bool = False) -> None:
    """Raises ValueError where a placeholder is unknown; in a URL, also where a brace stands alone."""
    for name, days, form in _PLACEHOLDER.findall(template):
        is_secret = name.startswith(_SECRET)
        if name not in KNOWN and not is_secret:
            known = ", ".join((*KNOWN, f"{_SECRET}NAME"))
            raise ValueError(f"has the unknown placeholder {{{name}}}; known are {known}")
        if bool(days) != (name == "days_ago"):
            raise ValueError("has a placeholder with a number; only {days_ago[30]} has one")
        if form and (is_secret or name in _TEXTS):
            raise ValueError(f"has a form after {{{name}:; only dates have one")
    rest = _PLACEHOLDER.sub("", template)
    if is_url and ("{" in rest or "}" in rest):
        raise ValueError("has a { or } that is no placeholder; write %7B and %7D in a URL")


def expand(template: str, values: Values, quote: Callable[[str], str] = str) -> str:
    """Put the values in; what is no known placeholder stays as it is. quote: applied to every value."""

    def value(match: re.Match[str]) -> str:
        name, days, form = match.groups()
        if name.startswith(_SECRET):
            return quote(values.secrets[name.removeprefix(_SECRET)])
        if name not in KNOWN:
            return match.group()
        return quote(_text(name, values) if name in _TEXTS else _formatted(_moment(name, days, values), form or ""))

    return _PLACEHOLDER.sub(value, template)


def _text(name: str, values: Values) -> str:
    if name == "seconds_since_period_start":
        return str(max(1, int((values.now - values.period.start).total_seconds())))
    return str(getattr(values, name))


def _moment(name: str, days: str | None, values: Values) -> datetime:
    match name:
        case "now":
            moment = values.now
        case "period_start":
            moment = values.period.start
        case "period_end":
            moment = values.period.end
        case _:
            back = {"today": 0, "yesterday": 1, "tomorrow": -1, "history_start": HISTORY_DAYS - 1}.get(name)
            day = values.now.astimezone(values.zone).date() - timedelta(days=int(days or 0) if back is None else back)
            moment = datetime.combine(day, time(), values.zone)
    return moment.astimezone(values.zone)


def _formatted(moment: datetime, form: str) -> str:
    match form:
        case "":
            return moment.date().isoformat()
        case "unix":
            return str(int(moment.timestamp()))
        case "unix_ms":
            return str(int(moment.timestamp() * 1000))
        case "iso":
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.strftime(form)
