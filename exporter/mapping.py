"""A vendor's JSON answer -> UsageSnapshot, by JMESPath (https://jmespath.org/specification.html). Pure.

What does not fit is a misfit: it names the field, the expression and what was met. A scope that does not fit is
left out and told; the others come through. Only when nothing fits is the whole answer a ResponseError.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn, cast
from zoneinfo import ZoneInfo

import jmespath.exceptions
from dateutil.relativedelta import relativedelta

from exporter.errors import ResponseError
from exporter.fields import Expression, check_name, compile_jmespath
from exporter.model import BillingPeriod, DailyUsage, ScopeUsage, UsageSnapshot
from exporter.periods import calendar_period
from exporter.schema import Api, DailyMapping, Mapping, PeriodMapping, Static
from exporter.strict_json import shown
from exporter.thresholds import HISTORY_DAYS

# Unix times above this are milliseconds: as seconds it is the year 5138, as milliseconds March 1973.
_MILLISECONDS_FROM = 1e11


class Misfit(Exception):  # noqa: N818 - a finding, told and collected; not an error of ours
    """A field that could not be read; the message names it, its expression and what was met."""


@dataclass(frozen=True)
class Element:
    """A part of the answer that expressions are read on: a scope or a day, its key if in an object, and the whole."""

    value: Any
    root: Any
    key: str | None = None


def map_answer(answer: Any, *, api: Api, mapping: Mapping, static: Static, now: datetime) -> UsageSnapshot:
    """Read an answer (parsed JSON). `now` places calendar periods and the window of 30 days.

    Raises ResponseError where the answer is an error or no scope fits.
    """
    try:
        read = [scope for scope, _ in _read_scopes(answer, _Reader(api, mapping, static, now))]
    except Misfit as misfit:
        raise ResponseError(str(misfit)) from None
    names = Counter(scope.name for scope in read if isinstance(scope, ScopeUsage))
    # Of two scopes with one name neither is trusted: which of them would be right?
    twice = tuple(f"scope {name!r}: the name comes {count} times" for name, count in names.items() if count > 1)
    scopes = tuple(scope for scope in read if isinstance(scope, ScopeUsage) and names[scope.name] == 1)
    misfits = (*(misfit for misfit in read if isinstance(misfit, str)), *twice)
    if misfits and not scopes:
        raise ResponseError("; ".join(misfits[:3]))
    return UsageSnapshot(now, scopes, misfits)


def unread_parts(
    answer: Any, *, api: Api, mapping: Mapping, static: Static, now: datetime
) -> tuple[tuple[str, Any], ...]:
    """Each misfit with the part of the answer that it was met on: a scope's, or the whole."""
    try:
        read = _read_scopes(answer, _Reader(api, mapping, static, now))
    except Misfit as misfit:
        return ((str(misfit), answer),)
    return tuple((scope, element.value) for scope, element in read if isinstance(scope, str))


def _read_scopes(answer: Any, reader: "_Reader") -> list[tuple[ScopeUsage | str, Element]]:
    """Each scope, or why it could not be read, and where it stands. Raises Misfit where there are none to be had."""
    root = Element(answer, answer)
    _refuse_error(reader.mapping, root)
    elements = _elements(reader.mapping.scopes, root, "scopes")
    return [(_scope_or_misfit(reader, element, index), element) for index, element in enumerate(elements)]


def _scope_or_misfit(reader: "_Reader", element: Element, index: int) -> ScopeUsage | str:
    where = f"scope {element.key or index + 1}"
    try:
        where = f"scope {reader.name(element)!r}"
        return reader.scope(element)
    except Misfit as misfit:
        return f"{where}: {misfit}"


def _refuse_error(mapping: Mapping, root: Element) -> None:
    if mapping.error_when is None:
        return
    found = _search(mapping.error_when, root, "error_when")
    if found:
        raise Misfit(f"the answer holds an error: {mapping.error_when} gave {shown(found)}")


@dataclass(frozen=True)
class _Reader:
    """Reads one scope at a time, with all that is the same for every scope of an answer."""

    api: Api
    mapping: Mapping
    static: Static
    now: datetime

    def name(self, element: Element) -> str:
        return _text(self.mapping.name, element, "name") or _wrong("name", self.mapping.name, None, "a text")

    def scope(self, element: Element) -> ScopeUsage:
        mapping = self.mapping
        limit = self._limit(element)
        daily = self._daily(element)
        return ScopeUsage(
            name=self.name(element),
            requests=self._requests(element, limit),
            limit=limit,
            id=_text(mapping.id, element, "id"),
            plan=_text(mapping.plan, element, "plan"),
            unit=_text(mapping.unit, element, "unit") or self.static.unit or "requests",
            rate_limit_per_minute=self._rate_limit(element),
            rejected=self._count(mapping.rejected, element, "rejected"),
            period=self._period(element),
            daily=daily,
            daily_source="observed" if daily is None else "vendor",
        )

    def _count(self, expression: Expression | None, element: Element, field: str) -> float | None:
        count = _number(expression, element, field)
        return None if count is None else _finite(count * self.mapping.scale, expression, field)

    def _limit(self, element: Element) -> float | None:
        """The limit; None where the answer or the config declares it unlimited."""
        expression = self.mapping.limit
        if expression is not None:
            value = _search(expression, element, "limit")
            if any(_same(value, unlimited) for unlimited in self.mapping.unlimited_when):
                return None
            if value is None and not expression.optional:
                _wrong("limit", expression, value, "a number, or a value listed in unlimited_when")
            if value is not None:
                return self._count(expression, element, "limit")
        if self.static.limit is None:
            raise Misfit(f"limit: {expression} gave null, and static.limit does not say it either")
        return None if self.static.limit == "unlimited" else self.static.limit

    def _requests(self, element: Element, limit: float | None) -> float:
        if self.mapping.requests is not None:
            return _required(
                self._count(self.mapping.requests, element, "requests"), "requests", self.mapping.requests
            )
        expression = cast("Expression", self.mapping.remaining)
        remaining = _required(self._count(expression, element, "remaining"), "remaining", expression)
        if limit is None:
            raise Misfit("remaining: says nothing of the usage where the limit is unlimited; map requests")
        if remaining > limit:
            raise Misfit(f"remaining: {expression} gave {remaining:g}, more than the limit of {limit:g}")
        return limit - remaining

    def _rate_limit(self, element: Element) -> float | None:
        told = _number(self.mapping.rate_limit, element, "rate_limit")
        if told is None:
            return self.static.rate_limit_per_minute
        return _finite(told * 60 / self.mapping.rate_limit_window, self.mapping.rate_limit, "rate_limit")

    def _period(self, element: Element) -> BillingPeriod | None:
        told = self.mapping.period and _told_period(self.mapping.period, element, self.api.time_zone)
        if told or self.static.period is None:
            return told or None
        return calendar_period(self.static.period.every, self.static.period.anchor_day, self.api.time_zone, self.now)

    def _daily(self, element: Element) -> tuple[DailyUsage, ...] | None:
        daily = self.mapping.daily
        if daily is None:
            return None
        counts = _daily_counts(daily, element, self.api.time_zone, self.mapping.scale)
        if counts is None:
            return None
        return _last_days(counts, self.now.astimezone(self.api.time_zone).date(), self.api.missing_days == "zero")


def _elements(expression: Expression, parent: Element, field: str) -> Iterator[Element]:
    """The members of a list, or of an object with their keys. Raises Misfit where it is neither."""
    found = _search(expression, parent, field)
    if isinstance(found, list):
        return (Element(value, parent.root) for value in found)
    if isinstance(found, dict):
        return (Element(value, parent.root, key) for key, value in found.items())
    return _wrong(field, expression, found, "a list or an object")


def _search(expression: Expression, element: Element, field: str) -> Any:
    if expression.key:
        return element.key
    source = expression.path if expression.root is None else expression.root
    try:
        return compile_jmespath(str(source)).search(element.value if expression.root is None else element.root)
    except (
        jmespath.exceptions.JMESPathError,
        TypeError,
        ValueError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise Misfit(f"{field}: {expression} cannot be applied: {_line(error)}") from None


def _number(expression: Expression | None, element: Element, field: str) -> float | None:
    """A finite number of 0 or more; None only where it is not mapped, or optional and not told."""
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
            f"a number; to_number({expression.path or expression.root}) reads a text as one",
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        _wrong(field, expression, value, "a number")
    number = _finite(value, expression, field)
    if expression.minus is not None:
        taken = _number(expression.minus, element, f"{field}.minus")
        number -= _required(taken, f"{field}.minus", expression.minus)
    if number < 0:
        _wrong(field, expression, number, "a number of 0 or more")
    return _finite(number * expression.scale, expression, field)


def _finite(number: float, expression: Expression | None, field: str) -> float:
    try:
        result = float(number)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise Misfit(f"{field}: {expression} gave a number too large to be a count")
    return result


def _required(number: float | None, field: str, expression: Expression) -> float:
    return number if number is not None else _wrong(field, expression, None, "a number")


def _text(expression: Expression | None, element: Element, field: str) -> str:
    """A text fit for a label value; "" only where it is not mapped, or optional and not told."""
    if expression is None:
        return ""
    value = _search(expression, element, field)
    if value is None and expression.optional:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _MILLISECONDS_FROM**2 else None
    if not isinstance(value, str):
        _wrong(field, expression, value, "a text")
    try:
        return check_name(value)
    except ValueError as error:
        raise Misfit(f"{field}: {expression} gave {shown(value)}, which {error}") from None


def _told_period(mapping: PeriodMapping, element: Element, zone: ZoneInfo) -> BillingPeriod | None:
    start = _time(mapping.start, element, "period.start", zone)
    end = _time(mapping.end, element, "period.end", zone)
    if start is None and end is None:
        return None
    try:
        if mapping.length is not None:
            length = relativedelta(months=1) if mapping.length == "month" else timedelta(seconds=mapping.length)
            start = start or _shift(end, -length, zone)
            end = end or _shift(start, length, zone)
        if start is None or end is None:
            raise Misfit(f"period: the answer tells only its {'start' if start else 'end'}")
        return BillingPeriod(start, end)
    except (ValueError, OverflowError) as error:
        raise Misfit(f"period: {_line(error)}") from None


def _shift(moment: datetime | None, length: relativedelta | timedelta, zone: ZoneInfo) -> datetime | None:
    """Months are counted by the zone's calendar, other lengths by the clock."""
    if moment is None:
        return None
    if isinstance(length, timedelta):
        return moment + length
    shifted: datetime = moment.astimezone(zone) + length
    return shifted.astimezone(UTC)


def _time(expression: Expression | None, element: Element, field: str, zone: ZoneInfo) -> datetime | None:
    if expression is None:
        return None
    value = _search(expression, element, field)
    if value is None and expression.optional:
        return None
    moment = _parse_time(value, zone)
    if moment is None:
        _wrong(field, expression, value, "an ISO 8601 time, or Unix seconds or milliseconds")
    return moment


def _parse_time(value: object, zone: ZoneInfo) -> datetime | None:
    """ISO 8601 (https://www.rfc-editor.org/rfc/rfc3339 and neighbours) or Unix time; None where it is neither."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _daily_counts(mapping: DailyMapping, element: Element, zone: ZoneInfo, scale: float) -> dict[date, float] | None:
    if mapping.entries.optional and _search(mapping.entries, element, "daily.entries") is None:
        return None
    counts: dict[date, float] = {}
    for entry in _elements(mapping.entries, element, "daily.entries"):
        day = _day(mapping.date, entry, zone)
        if day in counts:
            raise Misfit(f"daily.date: {mapping.date} gave {day.isoformat()} twice")
        count = _required(_number(mapping.requests, entry, "daily.requests"), "daily.requests", mapping.requests)
        counts[day] = _finite(count * scale, mapping.requests, "daily.requests")
    return counts


def _day(expression: Expression, entry: Element, zone: ZoneInfo) -> date:
    value = _search(expression, entry, "daily.date")
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    moment = _parse_time(value, zone)
    if moment is None:
        _wrong("daily.date", expression, value, "a date (YYYY-MM-DD) or a time")
    return moment.astimezone(zone).date()


def _last_days(counts: dict[date, float], today: date, fill: bool) -> tuple[DailyUsage, ...]:
    """The last 30 days. A vendor whose day begins before ours may already tell of tomorrow, but not of later days."""
    newest = max([today, *counts])
    if newest > today + timedelta(days=1):
        raise Misfit(f"daily.date: {newest.isoformat()} lies in the future; today is {today.isoformat()}")
    days = [newest - timedelta(days=back) for back in reversed(range(HISTORY_DAYS))]
    return tuple(DailyUsage(day, counts.get(day, 0.0)) for day in days if fill or day in counts)


def _same(value: object, declared: object) -> bool:
    """Equal as JSON values: 1 and true are not."""
    return value == declared and isinstance(value, bool) == isinstance(declared, bool)


def _wrong(field: str, expression: Expression | None, value: object, wanted: str) -> NoReturn:
    raise Misfit(f"{field}: {expression} gave {shown(value)}, not {wanted}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
