"""Placeholders in requests: who is asked for, secrets, and dates in the vendor's time zone. Pure.

    {organisation_id} {organisation_name}
    {today} {yesterday} {tomorrow} {days_ago[30]} {history_start} {period_start} {period_end} {now}
    {seconds_since_period_start} {secret_NAME}

Dates are written YYYY-MM-DD; after a colon stands another form: `unix`, `unix_ms`, `iso`, or one of strftime
(https://docs.python.org/3/library/datetime.html#format-codes), as in {period_start:%Y%m%d}.
"""

import difflib
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
_FORMS = ("unix", "unix_ms", "iso")

# Whatever may be meant as a placeholder, and not as JSON, PromQL or the like: a name, brackets, a form.
_MEANT = re.compile(r"\{\s*([A-Za-z][\w-]*)\s*(?:[\[(][^{}]*[\])])?\s*(?::[^{}]*)?\}")
# A dollar and braces, as shells and docker-compose fill them in.
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)[^{}]*\}")
# The parts of a date as other libraries write them, and as strftime does.
_FOREIGN_FORMS = {"YYYY": "%Y", "yyyy": "%Y", "MM": "%m", "DD": "%d", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_SAMPLE = datetime(2026, 11, 22, 13, 45, tzinfo=UTC)


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


def check(template: str, *, is_url: bool = False, is_graphql: bool = False) -> None:
    """Raises ValueError where a placeholder, or a shell's variable, would be sent as it stands.

    is_url: a brace that stands alone is refused too. is_graphql: braces are the language's own, so that only what
    comes near a placeholder is refused.
    """
    check_variables(template, "{{secret_NAME}}, with secrets: {{NAME: {{env: {name}}}}}")
    for match in _MEANT.finditer(template):
        _check_one(match, is_graphql=is_graphql)
    rest = _PLACEHOLDER.sub("", template)
    if is_url and ("{" in rest or "}" in rest):
        raise ValueError("has a { or } that is no placeholder; write %7B and %7D in a URL")


def check_variables(text: str, instead: str = "the value itself") -> None:
    """Raises ValueError where an environment variable is written as a shell would fill it in.

    instead: what would be right, with {name} for the variable's name.
    """
    found = _VARIABLE.search(text)
    if found:
        right = instead.format(name=found.group(1))
        raise ValueError(f"has {found.group()}, which nothing fills in; write {right}")


def check_none(text: str) -> None:
    """Raises ValueError where a known placeholder stands in a text that none are put into."""
    for match in _PLACEHOLDER.finditer(text):
        if _is_known(match.group(1)):
            raise ValueError(f"has the placeholder {match.group()}, but placeholders are not put in here")


def secret_names(texts: Iterable[str]) -> set[str]:
    """The secrets that the texts have placeholders for."""
    names = {name for text in texts for name, _, _ in _PLACEHOLDER.findall(text)}
    return {name.removeprefix(_SECRET) for name in names if name.startswith(_SECRET)}


def is_fixed(template: str) -> bool:
    """Whether a text of its own is left of it without its placeholders; one of a secret counts as such."""
    if secret_names([template]):
        return True
    return bool(_PLACEHOLDER.sub("", template))


def _is_known(name: str) -> bool:
    return name in KNOWN or (name.startswith(_SECRET) and name != _SECRET)


def _check_one(meant: re.Match[str], *, is_graphql: bool) -> None:
    text, name = meant.group(), meant.group(1)
    match = _PLACEHOLDER.fullmatch(text)
    if _is_known(name) and (match or "[" in text):
        _check_parts(text, name, *(match.groups()[1:] if match else (None, None)))
        return
    near = _near(name)
    if near and not (is_graphql and text[1].isspace()):
        raise ValueError(f"has the unknown placeholder {text}; did you mean {near}?")
    if match is not None and not is_graphql:
        raise ValueError(f"has the unknown placeholder {text}; known are {', '.join((*KNOWN, f'{_SECRET}NAME'))}")


def _near(name: str) -> str | None:
    """The placeholder that is likely to be meant by what is none."""
    lower = name.lower().replace("-", "_")
    if lower.startswith("secret"):
        return f"{{{_SECRET}NAME}} (NAME of a to z and _)"
    near = difflib.get_close_matches(lower, KNOWN, n=1, cutoff=0.75)
    return f"{{{near[0]}{'[30]' if near[0] == 'days_ago' else ''}}}" if near else None


def _check_parts(text: str, name: str, days: str | None, form: str | None) -> None:
    """Raises ValueError where a known placeholder has brackets or a form that it cannot have, or lacks them."""
    if name == "days_ago" and days is None:
        raise ValueError(f"has the placeholder {text} without a number of days; write {{days_ago[30]}}")
    if name != "days_ago" and "[" in text:
        raise ValueError(f"has the placeholder {text}, with brackets that only {{days_ago[30]}} has")
    if form is not None and name not in _MOMENTS:
        raise ValueError(f"has a form after {text.split(':', maxsplit=1)[0]}:; only dates have one")
    if form is not None and not _is_form(form):
        right = f"{_with_form(text, form)}, or unix, unix_ms or iso"
        raise ValueError(f"has the placeholder {text}, whose form is none; write {right}")


def _is_form(form: str) -> bool:
    """Whether a form leaves no directive as it is, and has at least one."""
    if form in _FORMS:
        return True
    directives = form.replace("%%", "")
    return "%" in directives and "%" not in _SAMPLE.strftime(directives)


def _with_form(text: str, form: str) -> str:
    """The placeholder as strftime would have it: {today:YYYY-MM-DD} -> {today:%Y-%m-%d}."""
    right = form
    for theirs, ours in _FOREIGN_FORMS.items():
        right = right.replace(theirs, ours, 1)
    # Letters that are left belong to a form that we do not know.
    known = _is_form(right) and not re.search("[A-Za-z]{2}", re.sub("%[A-Za-z]", "", right))
    right = right if known else "%Y-%m-%d"
    return f"{text.split(':', maxsplit=1)[0]}:{right}}}"


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
