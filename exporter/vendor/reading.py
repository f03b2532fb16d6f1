"""A vendor's JSON answer -> UsageSnapshot, by JMESPath (https://jmespath.org/specification.html). Pure.

What does not fit is a misfit: it names the field, the expression and what was met. A scope that does not fit is
left out and reported; the others come through. Only when nothing fits is the whole answer a ResponseError.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from math import inf
from typing import Any, Literal, NoReturn, cast
from zoneinfo import ZoneInfo

import jmespath.exceptions

from exporter.config.api import Api, Override
from exporter.config.expressions import Expression, compile_jmespath
from exporter.config.fields import MAX_NAME_LENGTH, check_name, is_control
from exporter.config.functions import Context
from exporter.config.mapping import DailyMapping, Join, PeriodMapping, UsageMapping
from exporter.config.yaml_document import suggestion
from exporter.errors import POLL_ERRORS, FailureReason, ResponseError
from exporter.model import (
    LARGEST_COUNT,
    MAIN_REQUEST,
    Answer,
    BillingPeriod,
    DailySource,
    DailyUsage,
    Misfit,
    ScopeUsage,
    UsageSnapshot,
)
from exporter.periods import (
    Length,
    after_last,
    calendar_period,
    credible_period,
    length_of,
    parse_day,
    parse_time,
    period_since,
    reads_as_last_day,
    shifted,
)
from exporter.redaction import redact
from exporter.thresholds import HISTORY_DAYS
from exporter.vendor.strict_json import shown

# An id may be a number: this holds those of 64 bits, and is far from where writing out a number takes long.
_LARGEST_ID = 10**22
# Every minute of 31 days.
_MAX_DAILY_ENTRIES = 44_640
_DAYS_OF_A_MONTH = range(1, 32)
# Of a plan or unit; far more than is shown, so that a secret across the cut is known whole.
_LONGEST_LABEL_READ = 8192


class _Unreadable(Exception):  # noqa: N818 - a finding, collected as a Misfit; not an error of ours
    """A field that could not be read; the message names it, its expression and what was met.

    request: whose answer it was read from; None for the main one.
    """

    def __init__(self, message: str, request: str | None = None) -> None:
        super().__init__(message)
        self.request = request


@dataclass(frozen=True)
class Element:
    """A part of an answer that expressions are read on: an organisation, a scope or a day.

    answers: all of them, by request. zone: the api's. key: under which the part stands in an object, or its place in
    a list. joined: by request, its own part on the same scope.
    """

    value: Any
    answers: Mapping[str, Answer]
    zone: ZoneInfo
    key: str | int | None = None
    joined: Mapping[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        """What expressions on the part are read in."""
        return Context(self.answers, self.key if isinstance(self.key, str) else None, self.zone)

    def part_of(self, request: str | None) -> Any:
        """What a request's answer says of the element; the whole answer where it says nothing of it."""
        if request is None:
            return self.value
        part = self.joined.get(request)
        return self.answers[request].body if part is None else part


# So many of the scopes are named where one is looked for.
_NAMED = 10


def _uncounted(api: Api, scopes: set[str]) -> Iterator[str]:
    for name, override in sorted(api.overrides.items()):
        if override.counted_in is not None and override.counted_in not in scopes:
            yield f"overrides.{name}.counted_in: no scope is shown as {override.counted_in!r}"


def map_answers(answers: Mapping[str, Answer], *, api: Api, organisation: str, now: datetime) -> UsageSnapshot:
    """Read the answers of a poll, by request. `now` places calendar periods and the window of 30 days.

    organisation: its id, where one answer holds them all. Raises ResponseError where the answer is an error or no
    scope fits.
    """
    reader, whole = _Reader(api, now), answers[MAIN_REQUEST].body
    try:
        elements = _scope_elements(reader, answers, organisation)
    except _Unreadable as error:
        part = answers[error.request or MAIN_REQUEST].body
        raise ResponseError(str(error), misfits=(Misfit(str(error), part),)) from None
    misfits: list[Misfit] = []
    if len(elements) > api.max_scopes:
        misfits.append(Misfit(f"scopes: there are more than max_scopes ({api.max_scopes})", whole))
    read: list[tuple[ScopeUsage, Element]] = []
    for index, element in enumerate(elements[: api.max_scopes]):
        try:
            read.append((_scope(reader, element, index), element))
        except _Unreadable as error:
            misfits.append(Misfit(str(error), element.part_of(error.request)))
    twice = _of_one_name(read)
    if read and not misfits:
        unmatched = sorted(api.overrides.keys() - reader.overridden)
        known = [scope.name for scope, _ in read][:_NAMED]
        reader.remarks.extend(
            f"overrides.{name}: no scope of the answer has that name or id{suggestion(name, known)}"
            for name in unmatched
        )
        reader.remarks.extend(_uncounted(api, {scope.name for scope, _ in read}))
    misfits += twice.values()
    scopes = tuple(scope for scope, _ in read if scope.name not in twice)
    if misfits and not scopes:
        raise ResponseError("; ".join(misfit.message for misfit in misfits[:3]), misfits=tuple(misfits))
    return UsageSnapshot(now, scopes, tuple(misfits), tuple(reader.remarks))


def _scope_elements(reader: "_Reader", answers: Mapping[str, Answer], organisation: str) -> list[Element]:
    """Where the scopes stand. Raises _Unreadable where there are none to be had."""
    api, mapping = reader.api, reader.mapping
    root = Element(answers[MAIN_REQUEST].body, answers, api.time_zone)
    _refuse_error(mapping, root)
    part = _part_of(organisation, mapping, root)
    whole = [part] if mapping.scopes is None else _elements(mapping.scopes, part, "scopes")
    elements = _with_joined(list(whole), mapping, root)
    # One more than are allowed, to see that there are too many.
    kept = list(islice((element for element in elements if _wanted(mapping, element)), api.max_scopes + 1))
    if elements and not kept and mapping.filter is not None:
        every = "the only scope" if len(elements) == 1 else f"all {len(elements)} scopes"
        dropped = f"filter: {mapping.filter} left out {every}"
        if all(_search(mapping.filter, element, "filter") is None for element in elements):
            raise _Unreadable(f"{dropped}, since it gave null for each; the key of a scope is key()")
        reader.remarks.append(dropped)
    return kept


def _of_one_name(read: list[tuple[ScopeUsage, Element]]) -> dict[str, Misfit]:
    """By name, the scopes of one name: of them none is trusted, since which of them would be right?"""
    parts: dict[str, list[Any]] = {}
    for scope, element in read:
        parts.setdefault(scope.name, []).append(element.value)
    return {
        name: Misfit(f"scope {name!r}: the name comes {len(same)} times", same)
        for name, same in parts.items()
        if len(same) > 1
    }


def _part_of(organisation: str, mapping: UsageMapping, root: Element) -> Element:
    """The organisation's part of an answer that holds them all; the whole where it is for one."""
    if mapping.organisations is None:
        return root
    parts, unread = [], []
    for element in _elements(mapping.organisations, root, "organisations"):
        try:
            if _text(mapping.organisation_id, element, "organisation_id") == organisation:
                parts.append(element)
        except _Unreadable as error:  # another's id is no reason to go without this one's usage
            unread.append(str(error))
    if len(parts) == 1:
        return parts[0]
    if parts:
        raise _Unreadable(f"organisations: {mapping.organisations} holds the id {organisation!r} {len(parts)} times")
    raise _Unreadable(
        "; ".join((f"organisations: {mapping.organisations} holds none with the id {organisation!r}", *unread[:1]))
    )


def _with_joined(elements: list[Element], mapping: UsageMapping, root: Element) -> list[Element]:
    """The scopes, each with its part of the answers that the mapping joins; a part that is not there is null."""
    if not mapping.joins:
        return elements
    parts = {request: _parts(request, join, root) for request, join in mapping.joins.items()}
    joined = []
    for element in elements:
        found = {}
        for request, join in mapping.joins.items():
            expression = mapping.id if join.by == "id" else mapping.names
            found[request] = parts[request].get(_text(expression, element, join.by))
        joined.append(replace(element, joined=found))
    return joined


def _parts(request: str, join: Join, root: Element) -> dict[str, Any]:
    answer = replace(root, value=root.answers[request].body)
    parts: dict[str, Any] = {}
    try:
        elements = _elements(join.scopes, answer, f"joins.{request}.scopes")
    except _Unreadable as error:
        raise _Unreadable(str(error), request) from None
    for element in elements:
        try:
            name = _text(join.name, element, f"joins.{request}.name")
        except _Unreadable:  # the scope that goes without its part is the one that has the misfit
            continue
        if name in parts:
            raise _Unreadable(f"joins.{request}.name: {join.name} gave {shown(name)} twice", request)
        parts[name] = element.value
    return parts


def _wanted(mapping: UsageMapping, element: Element) -> bool:
    """By JMESPath's truth (https://jmespath.org/specification.html#or-expressions), in which 0 is true."""
    if mapping.filter is None:
        return True
    found = _search(mapping.filter, element, "filter")
    return bool(found) or (found == 0 and found is not False)


def _scope(reader: "_Reader", element: Element, index: int) -> ScopeUsage:
    """One scope. Raises _Unreadable, with the scope's name, or its place where the name itself cannot be read."""
    where = f"scope {element.key if isinstance(element.key, str) else index + 1}"
    try:
        where = f"scope {reader.name(element)!r}"
        return reader.scope(element)
    except _Unreadable as error:
        raise _Unreadable(f"{where}: {error}", error.request) from None
    except ValueError as error:  # what the model does not take
        raise _Unreadable(f"{where}: {_line(error)}") from None
    except OverflowError as error:  # dates near the years 1 and 9999 leave the calendar in another time zone
        raise _Unreadable(f"{where}: a date is out of range: {_line(error)}") from None


# What an answer can say of itself, by error_reason.
_ERRORS = {error.reason: error for error in POLL_ERRORS}


def holds_error(answers: Mapping[str, Answer], api: Api) -> bool:
    """Whether an answer says of itself that it is an error."""
    if api.mapping.error_when is None:
        return False
    try:
        return bool(
            _search(api.mapping.error_when, Element(answers[MAIN_REQUEST].body, answers, api.time_zone), "error_when")
        )
    except _Unreadable:
        return False


def _refuse_error(mapping: UsageMapping, root: Element) -> None:
    for reason, expression in mapping.error_reason.items():
        found = _search(expression, root, f"error_reason.{reason}")
        if found:
            words = mapping.error_when and _search(mapping.error_when, root, "error_when")
            said = f", {shown(words)}" if words else ""
            raise _ERRORS[FailureReason(reason)](f"the answer holds an error{said}: {expression} gave {shown(found)}")
    if mapping.error_when is None:
        return
    found = _search(mapping.error_when, root, "error_when")
    if found:
        raise _Unreadable(f"the answer holds an error: {mapping.error_when} gave {shown(found)}")


@dataclass(frozen=True)
class _Reader:
    """Reads one scope at a time, with all that is the same for every scope of an answer.

    remarks: what was read otherwise than it was written; overridden: the overrides that a scope has. Both grow while
    scopes are read.
    """

    api: Api
    now: datetime
    remarks: list[str] = field(default_factory=list)
    overridden: set[str] = field(default_factory=set)

    @property
    def mapping(self) -> UsageMapping:
        return self.api.mapping

    def name(self, element: Element) -> str:
        """The scope's name: as mapped, or as the config says it, or the api's own where the answer is the scope."""
        expression = self.mapping.names
        if expression is None:
            return self.mapping.scope or self.api.name
        return _text(expression, element, "name") or _wrong("name", expression, None, "a text")

    def scope(self, element: Element) -> ScopeUsage:
        mapping, name = self.mapping, self.name(element)
        id_ = _text(mapping.id, element, "id")
        override = Override()
        for called in (id_, name):
            if called in self.api.overrides:
                override = self.api.overrides[called]
                self.overridden.add(called)
        limit = self._limit(element, override)
        daily = self._daily(element)
        reported = self._reported_period(element, override)
        configured = None if reported else self._configured_period(override)
        return ScopeUsage(
            name=override.name or name,
            requests=self._requests(element, limit),
            limit=limit,
            id=id_,
            plan=override.plan or self._label(mapping.plan, element, "plan"),
            unit=override.unit or self._label(mapping.unit, element, "unit") or self.api.static.unit or "requests",
            rate_limit_per_minute=self._rate_limit(element, override),
            rejected=self._count(mapping.rejected, element, "rejected"),
            period=reported or configured,
            period_configured=reported is None and configured is not None,
            daily=daily,
            daily_source=DailySource.OBSERVED if daily is None else DailySource.VENDOR,
        )

    def _label(self, expression: Expression | None, element: Element, field: str) -> str:
        """A text beside the numbers, made fit for a label value: it is never worth losing them. "" for none."""
        if expression is None:
            return ""
        value = _search(expression, element, field)
        if value is None or value == "":
            if value is None and not expression.optional:
                self._remark(element, field, expression, value, "it is left out")
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self._remark(element, field, expression, value, "no text; it is left out")
            return ""
        whole = redact(value[:_LONGEST_LABEL_READ] if isinstance(value, str) else shown(value))
        text = " ".join("".join(" " if is_control(char) else char for char in whole).split())
        fit = text[:MAX_NAME_LENGTH].rstrip()
        if fit != text:
            self._remark(element, field, expression, value, f"longer than {MAX_NAME_LENGTH} characters; it is cut")
        elif text != whole:
            self._remark(element, field, expression, value, f"shown as {shown(fit)}")
        return fit

    def _remark(self, element: Element, field: str, expression: Expression, value: object, what: str) -> None:
        self.remarks.append(f"scope {self.name(element)!r}: {field}: {expression} gave {shown(value)}: {what}")

    def _count(self, expression: Expression | None, element: Element, field: str) -> float | None:
        count = _number(expression, element, field)
        return None if count is None else _ranged(count * self.mapping.scale, expression, field)

    def _limit(self, element: Element, override: Override) -> float | None:
        """The limit; None where the answer or the config declares it unlimited."""
        if override.limit is not None:
            return None if override.limit == "unlimited" else override.limit
        expression, static = self.mapping.limit, self.api.static.limit
        if expression is not None:
            value = _search(expression, element, "limit")
            if self._is_unlimited(value):
                return None
            if value is None and not expression.optional:
                _wrong("limit", expression, value, f"a number{_where_unlimited('null')}")
            if isinstance(value, int | float) and value < 0:
                _wrong("limit", expression, value, f"a number of 0 or more{_where_unlimited(f'{value:g}')}")
            if value is not None:
                return self._count(expression, element, "limit")
        if static is None:
            request = None if expression is None else expression.request
            raise _Unreadable(f"limit: {expression} gave null, and static.limit does not say it either", request)
        return None if static == "unlimited" else static

    def _is_unlimited(self, value: object) -> bool:
        return any(_same(value, unlimited) for unlimited in self.mapping.unlimited_when)

    def _requests(self, element: Element, limit: float | None) -> float | None:
        if self.mapping.requests is not None:
            return _required(
                self._count(self.mapping.requests, element, "requests"), "requests", self.mapping.requests
            )
        expression = cast("Expression", self.mapping.remaining)
        if limit is None:
            self.remarks.append(
                f"scope {self.name(element)!r}: has no limit, and {expression} says only what is left: "
                "what is used is not known"
            )
            return None
        remaining = _required(self._count(expression, element, "remaining"), "remaining", expression)
        if remaining > limit:
            raise _Unreadable(f"remaining: {expression} gave {remaining:g}, more than the limit of {limit:g}")
        return limit - remaining

    def _rate_limit(self, element: Element, override: Override) -> float | None:
        if override.rate_limit_per_minute is not None:
            return override.rate_limit_per_minute
        expression = self.mapping.rate_limit
        if expression is not None and self._is_unlimited(_search(expression, element, "rate_limit")):
            return None
        rate = _number(expression, element, "rate_limit")
        if rate is None:
            return self.api.static.rate_limit_per_minute
        return _ranged(rate * 60 / self.mapping.rate_limit_window, self.mapping.rate_limit, "rate_limit")

    def _reported_period(self, element: Element, override: Override) -> BillingPeriod | None:
        mapping = self.mapping.period
        if mapping is None or override.period is not None:
            return None
        if override.period_length is not None and mapping.length is not None:
            mapping = mapping.model_copy(update={"length": override.period_length})
        static = self.api.static.period
        anchor_day = static.anchor_day if static else 1
        return self._period(mapping, element, anchor_day)

    def _period(self, mapping: PeriodMapping, element: Element, anchor_day: int) -> BillingPeriod | None:
        zone = self.api.time_zone
        length = _word(mapping.every, element) if mapping.every else mapping.length
        if mapping.every and length is None:
            return None
        try:
            if mapping.anchor is not None:
                return _anchored_period(mapping.anchor, length or "month", element, self.now)
            if length is not None and mapping.start is None and mapping.end is None and mapping.ends_in is None:
                return period_since(_calendar_start(length, anchor_day, zone, self.now), length, zone, self.now)
            start, end = _ends(mapping, length, element, self.now, anchor_day)
            if start is None and end is None:
                return None
            if start is None or end is None:
                raise _Unreadable(f"period: the answer gives only its {'start' if start else 'end'}")
            period = credible_period(start, end, self.now)
            return self._through_last_day(period, mapping, element)
        except (ValueError, OverflowError) as error:
            raise _Unreadable(f"period: {_line(error)}") from None

    def _through_last_day(self, period: BillingPeriod, mapping: PeriodMapping, element: Element) -> BillingPeriod:
        """The period, to the end of the day that is written as its end, though the mapping does not say so."""
        if mapping.start is None or mapping.end is None or "inclusive" in mapping.model_fields_set:
            return period
        start, end = (moment.astimezone(self.api.time_zone) for moment in (period.start, period.end))
        if not reads_as_last_day(start, end):
            return period
        self.remarks.append(
            f"scope {self.name(element)!r}: period.end: {mapping.end} is taken for the period's last day; "
            "say inclusive: true, or false if it ends as that day begins"
        )
        return BillingPeriod(period.start, (end + timedelta(days=1)).astimezone(UTC))

    def _configured_period(self, override: Override) -> BillingPeriod | None:
        static = override.period or self.api.static.period
        if static is None:
            return None
        return calendar_period(static.every, static.anchor_day, self.api.time_zone, self.now)

    def _daily(self, element: Element) -> tuple[DailyUsage, ...] | None:
        daily = self.mapping.daily
        if daily is None:
            return None
        counts = _daily_counts(daily, element, self.api.time_zone, self.mapping.scale)
        if counts is None:
            return None
        return _last_days(counts, self.now.astimezone(self.api.time_zone).date(), self.api.missing_days == "zero")


def _elements(expression: Expression, parent: Element, field: str) -> Iterator[Element]:
    """The members of a list, or of an object with their keys. Raises _Unreadable where it is neither."""
    found = _search(expression, parent, field)
    if isinstance(found, list):
        return (Element(value, parent.answers, parent.zone, place) for place, value in enumerate(found))
    if isinstance(found, dict):
        return (Element(value, parent.answers, parent.zone, key) for key, value in found.items())
    return _wrong(field, expression, found, "a list or an object")


def _search(expression: Expression, element: Element, field: str) -> Any:
    answer = element.answers[expression.request or MAIN_REQUEST]
    if expression.header is not None:
        subject = _header(answer.headers.get(expression.header.lower()))
    else:
        subject = element.value if expression.request is None else element.joined.get(expression.request)
    try:
        return compile_jmespath(expression.source).search(subject, element.context)
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise _Unreadable(f"{field}: {expression} cannot be applied: {_line(error)}", expression.request) from None


def _header(text: str | None) -> Any:
    """A header's value; a number where it is one, since headers know no types."""
    if text is not None and re.fullmatch(r"\d{1,18}(\.\d+)?", text):
        return float(text) if "." in text else int(text)
    return text


def _number(expression: Expression | None, element: Element, field: str) -> float | None:
    """A finite number of 0 or more; None only where it is not mapped, or optional and not reported."""
    if expression is None:
        return None
    value = _search(expression, element, field)
    if value is None and expression.optional:
        return None
    if isinstance(value, str):
        _wrong(
            field,
            expression,
            value,
            f"a number; to_number({expression.source}) reads a text as one",
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        _wrong(field, expression, value, "a number")
    number = _ranged(value, expression, field)
    if number < 0:
        _wrong(field, expression, number, "a number of 0 or more")
    return number


def _where_unlimited(value: str) -> str:
    return f"; where that means no limit: unlimited_when: [{value}]"


def _ranged(number: float, expression: Expression | None, field: str) -> float:
    try:
        result = float(number)
    except OverflowError:
        result = inf
    if not abs(result) <= LARGEST_COUNT:
        raise _Unreadable(f"{field}: {expression} gave a number too large to be a count")
    return result


def _required(number: float | None, field: str, expression: Expression) -> float:
    return number if number is not None else _wrong(field, expression, None, "a number")


def _text(expression: Expression | None, element: Element, field: str) -> str:
    """A text fit for a label value; "" only where it is not mapped, or optional and not reported."""
    if expression is None:
        return ""
    value = _search(expression, element, field)
    if value is None and expression.optional:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _LARGEST_ID else None
    if not isinstance(value, str):
        _wrong(field, expression, value, "a text")
    try:
        return redact(check_name(value))  # what is too long is not looked through
    except ValueError as error:
        raise _Unreadable(f"{field}: {expression} gave {shown(value)}, which {error}") from None


def _word(expression: Expression, element: Element) -> Length | None:
    """A period's length in a vendor's word; None only where it is optional and not reported."""
    value = _search(expression, element, "period.every")
    if value is None and expression.optional:
        return None
    length = length_of(value)
    if length is None:
        _wrong("period.every", expression, value, "a word such as monthly, week or day")
    return length


def _anchored_period(expression: Expression, length: Length, element: Element, now: datetime) -> BillingPeriod | None:
    value, zone = _search(expression, element, "period.anchor"), element.zone
    if value is None and expression.optional:
        return None
    if length == "month" and isinstance(value, int) and not isinstance(value, bool) and value in _DAYS_OF_A_MONTH:
        return calendar_period("month", value, zone, now)
    moment = parse_time(value, zone)
    if moment is None:
        _wrong("period.anchor", expression, value, "a day of the month (1 to 31) or a time")
    return period_since(moment, length, zone, now)


def _calendar_start(length: Length, anchor_day: int, zone: ZoneInfo, now: datetime) -> datetime:
    """The beginning of the calendar's period of a length, at or before now."""
    every: dict[Length, Literal["month", "year", "week", "day"]] = {"month": "month", "year": "year", 604_800: "week"}
    period = calendar_period(every.get(length, "day"), anchor_day, zone, now)
    assert period is not None  # noqa: S101 - each of these holds now
    return period.start


def _ends(
    mapping: PeriodMapping, length: Length | None, element: Element, now: datetime, anchor_day: int
) -> tuple[datetime | None, datetime | None]:
    zone = element.zone
    start = _time(mapping.start, element, "period.start", zone)
    end = _time(mapping.end, element, "period.end", zone, inclusive=mapping.inclusive)
    seconds = _number(mapping.ends_in, element, "period.ends_in")
    if seconds is not None:
        end = now + timedelta(seconds=seconds)
    if length is not None and start is None and end is not None:
        start = shifted(end, -1, length, zone, anchor_day)
    elif length is not None and end is None and start is not None:
        end = shifted(start, 1, length, zone, anchor_day)
    return start, end


def _time(
    expression: Expression | None, element: Element, field: str, zone: ZoneInfo, *, inclusive: bool = False
) -> datetime | None:
    if expression is None:
        return None
    value = _search(expression, element, field)
    if value is None and expression.optional:
        return None
    moment = parse_time(value, zone)
    if moment is None:
        _wrong(field, expression, value, "an ISO 8601 time, an RFC 2822 date, or Unix seconds or milliseconds")
    return after_last(value, moment) if inclusive else moment


def _daily_counts(mapping: DailyMapping, element: Element, zone: ZoneInfo, scale: float) -> dict[date, float] | None:
    if mapping.entries.optional and _search(mapping.entries, element, "daily.entries") is None:
        return None
    first = None if mapping.first_date is None else _day(mapping.first_date, element, zone, "daily.first_date")
    counts: dict[date, float] = {}
    for number, entry in enumerate(_elements(mapping.entries, element, "daily.entries")):
        if number == _MAX_DAILY_ENTRIES:
            raise _Unreadable(f"daily.entries: {mapping.entries} has more than {_MAX_DAILY_ENTRIES} entries")
        if first is not None and isinstance(entry.key, int):
            day = first + timedelta(days=entry.key)
        else:
            day = _day(mapping.date or Expression(path="key()"), entry, zone, "daily.date")
        if day in counts and not mapping.finer:
            raise _Unreadable(
                f"daily.date: {mapping.date} gave {day.isoformat()} twice; finer: true sums hours to days"
            )
        count = _required(_number(mapping.requests, entry, "daily.requests"), "daily.requests", mapping.requests)
        counts[day] = _ranged(counts.get(day, 0.0) + count * scale, mapping.requests, "daily.requests")
    return counts


def _day(expression: Expression, entry: Element, zone: ZoneInfo, field: str) -> date:
    value = _search(expression, entry, field)
    # Only what has a date's length is worth remembering; the vendor may send texts of megabytes.
    known = isinstance(value, str) and len(value) <= len("YYYY-MM-DD")
    day = _calendar_day(value) if known else parse_day(value)
    if day is not None:
        return day
    moment = parse_time(value, zone)
    if moment is None:
        _wrong(field, expression, value, "a date (YYYY-MM-DD) or a time")
    return moment.astimezone(zone).date()


@lru_cache(maxsize=4096)
def _calendar_day(text: str) -> date | None:
    """parse_day, for texts that come by the thousand."""
    return parse_day(text)


def _last_days(counts: dict[date, float], today: date, fill: bool) -> tuple[DailyUsage, ...]:
    """The last 30 days. A vendor whose day begins before ours may already report tomorrow, but no later days."""
    newest = max([today, *counts])
    if newest > today + timedelta(days=1):
        raise _Unreadable(f"daily.date: {newest.isoformat()} lies in the future; today is {today.isoformat()}")
    return tuple(DailyUsage(day, counts.get(day, 0.0)) for day in _window(newest) if fill or day in counts)


@lru_cache(maxsize=64)
def _window(newest: date) -> tuple[date, ...]:
    """The 30 days up to `newest`; the same objects for all scopes, since together they have very many."""
    return tuple(newest - timedelta(days=back) for back in reversed(range(HISTORY_DAYS)))


def _same(value: object, declared: object) -> bool:
    """Equal as JSON values: 1 and true are not."""
    return value == declared and isinstance(value, bool) == isinstance(declared, bool)


def _wrong(field: str, expression: Expression | None, value: object, wanted: str) -> NoReturn:
    request = None if expression is None else expression.request
    raise _Unreadable(f"{field}: {expression} gave {shown(value)}, not {wanted}", request)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
