"""Functions that expressions have beside JMESPath's own (https://jmespath.org/specification.html#built-in-functions).

docs/functions.md shows each with an example. Those of numbers, texts and times give null where an argument is null:
what is not known stays so. Whatever else does not fit raises ValueError.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import wraps
from math import inf, prod
from typing import Any, Protocol

from dateutil.relativedelta import relativedelta
from jmespath import functions
from jmespath.functions import signature

from exporter.model import MAIN_REQUEST, Answer
from exporter.periods import parse_time
from exporter.redaction import redact

# Of a text in a message; more of it is read, so that a secret across the end of what is shown is known whole.
_SHOWN, _READ = 40, 2048
_UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
# By the clock, whatever clocks are set to in between; longer ones are by the calendar.
_BY_THE_CLOCK = ("second", "minute", "hour")


@dataclass(frozen=True)
class Context:
    """What an expression is read in.

    answers: a poll's answers, by request. key: under which the part that the expression is read on stands in an
    object; None where it does not. zone: of times without an offset, and of calendar arithmetic.
    """

    answers: Mapping[str, Answer] = field(default_factory=dict)
    key: str | None = None
    zone: tzinfo = UTC

    @property
    def root(self) -> Any:
        """The whole answer of the main request. Raises ValueError where there is none."""
        return self.answer(MAIN_REQUEST)

    def answer(self, request: str) -> Any:
        """The whole answer of a request. Raises ValueError where there is none."""
        if request not in self.answers:
            raise ValueError(f"answer({request!r}): there is no answer of that name here")
        return self.answers[request].body


class ExpressionArgument(Protocol):
    """An expression as argument, `&name`, as the library hands it over."""

    expression: Any

    def visit(self, node: Any, value: Any) -> Any:
        """What the expression gives on a value."""


def _unknown_stays_unknown(function: Any) -> Any:
    """Null for any argument that is null."""

    @wraps(function)
    def called(self: Any, *arguments: Any) -> Any:
        return None if None in arguments else function(self, *arguments)

    return called


_ANY = signature({"types": [], "variadic": True})


class MappingFunctions(functions.Functions):
    """JMESPath's functions and ours, in one context. The library finds them by their names' beginning."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @signature()
    def _func_root(self) -> Any:
        """The whole answer."""
        return self._context.root

    @signature({"types": ["string"]})
    def _func_answer(self, request: str) -> Any:
        """The whole answer of one of the api's requests."""
        return self._context.answer(request)

    @signature()
    def _func_key(self) -> str | None:
        """The key under which the part stands in an object."""
        return self._context.key

    @signature({"types": ["array"]}, {"types": ["expref"]})
    def _func_group_by(self, elements: list[Any], by: ExpressionArgument) -> dict[str, list[Any]]:
        groups: dict[str, list[Any]] = {}
        for element in elements:
            key = by.visit(by.expression, element)
            if isinstance(key, bool) or not isinstance(key, str | int | float):
                instead = "; not_null(…, 'other') gives those without one a name" if key is None else ""
                raise ValueError(f"group_by: an element's key is {_kind(key)}, not a text or number{instead}")  # noqa: TRY004
            groups.setdefault(str(key), []).append(element)
        return groups

    @signature({"types": ["array"]}, {"types": ["string"]})
    def _func_unwind(self, elements: list[Any], name: str) -> list[dict[str, Any]]:
        """Each member of the elements' lists by itself, in place of the list and beside what stood beside that."""
        unwound: list[dict[str, Any]] = []
        for element in elements:
            members = element.get(name) if isinstance(element, dict) else None
            if not isinstance(members, list):
                raise ValueError(f"unwind: an element has {_kind(members)} at {name!r}, not a list")  # noqa: TRY004
            unwound += [{**element, name: member} for member in members]
        return unwound

    @_ANY
    @_unknown_stays_unknown
    def _func_add(self, first: Any, second: Any, *others: Any) -> float:
        return sum(_number("add", one) for one in (first, second, *others))

    @_ANY
    @_unknown_stays_unknown
    def _func_sub(self, whole: Any, part: Any) -> float:
        return _number("sub", whole) - _number("sub", part)

    @_ANY
    @_unknown_stays_unknown
    def _func_mul(self, first: Any, second: Any, *others: Any) -> float:
        return prod(_number("mul", one) for one in (first, second, *others))

    @_ANY
    @_unknown_stays_unknown
    def _func_div(self, dividend: Any, divisor: Any) -> float:
        if _number("div", divisor) == 0:
            raise ValueError("div: the divisor is 0")
        return _number("div", dividend) / _number("div", divisor)

    @_ANY
    @_unknown_stays_unknown
    def _func_split(self, text: Any, separator: Any) -> list[str]:
        if not separator:
            raise ValueError("split: the separator is empty")
        return _text("split", text).split(_text("split", separator))

    @_ANY
    @_unknown_stays_unknown
    def _func_trim(self, text: Any) -> str:
        return _text("trim", text).strip()

    @_ANY
    @_unknown_stays_unknown
    def _func_replace(self, text: Any, old: Any, new: Any) -> str:
        return _text("replace", text).replace(_text("replace", old), _text("replace", new))

    @_ANY
    @_unknown_stays_unknown
    def _func_to_time(self, value: Any, form: Any = "") -> str:
        return self._time("to_time", value, _text("to_time", form)).isoformat()

    @_ANY
    @_unknown_stays_unknown
    def _func_date_add(self, time: Any, count: Any, unit: Any) -> str:
        name = _text("date_add", unit).removesuffix("s")
        if name not in _UNITS:
            raise ValueError(f"date_add: the unit is {unit!r}; known are {', '.join(_UNITS)}")
        number = _number("date_add", count)
        if number != int(number):
            raise ValueError(f"date_add: takes whole numbers, not {number:g}")
        moment = self._time("date_add", time).astimezone(UTC if name in _BY_THE_CLOCK else self._context.zone)
        try:
            shifted: datetime = moment + relativedelta(**{f"{name}s": int(number)})  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            raise ValueError(f"date_add: {number:g} {name}s lead out of the calendar") from None
        return shifted.isoformat()

    def _time(self, function: str, value: Any, form: str = "") -> datetime:
        if form:
            moment = datetime.strptime(_text(function, value), form)  # noqa: DTZ007 - its zone is the next line's
            return moment if moment.tzinfo else moment.replace(tzinfo=self._context.zone)
        found = parse_time(value, self._context.zone)
        if found is None:
            raise ValueError(f"{function}: {_short(value)} is no time")
        return found


def _number(function: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; to_number(…) reads a text as one" if isinstance(value, str) else ""
        raise ValueError(f"{function}: takes numbers, not {_kind(value)}{hint}")  # noqa: TRY004 - its callers catch one
    return value


def _text(function: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{function}: takes texts, not {_kind(value)}")  # noqa: TRY004 - as above
    return value


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {_short(value)}"
        case int() | float():
            return f"the number {_short(value)}"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "an expression"


def _short(value: Any) -> str:
    text = redact(repr(value[:_READ]) if isinstance(value, str) else f"{value}")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_KNOWN: Mapping[str, Any] = MappingFunctions.FUNCTION_TABLE
# What depends on more than the value that an expression is read on.
IN_CONTEXT = frozenset({"root", "answer", "key", "to_time", "date_add"})


@dataclass(frozen=True)
class Call:
    """A call of a function in an expression. arguments: as the library parses them."""

    name: str
    arguments: tuple[Mapping[str, Any], ...]


def calls(node: Mapping[str, Any]) -> Iterator[Call]:
    """Every call in a parsed expression."""
    children = tuple(child for child in node["children"] if isinstance(child, dict))
    if node["type"] == "function_expression":
        yield Call(node["value"], children)
    for child in children:
        yield from calls(child)


def check_call(call: Call) -> None:
    """Raises ValueError where there is no such function, or it takes another number of arguments."""
    if call.name not in _KNOWN:
        near = difflib.get_close_matches(call.name, _KNOWN, n=1)
        hint = f"did you mean {near[0]}()?" if near else f"known are {', '.join(sorted(_KNOWN))}"
        raise ValueError(f"calls the unknown function {call.name}(); {hint}")
    least, most = _arity(call.name)
    if not least <= len(call.arguments) <= most:
        wanted = f"{least}" if least == most else f"{least} or more" if most == inf else f"{least} or {most:g}"
        raise ValueError(f"calls {call.name}() with {len(call.arguments)} arguments; it takes {wanted}")
    if call.name == "answer" and call.arguments[0]["type"] != "literal":
        raise ValueError("calls answer() without the name of a request in single quotes, such as answer('limits')")


def _arity(name: str) -> tuple[int, float]:
    """The least and the most arguments that a function takes."""
    parameters = list(inspect.signature(_KNOWN[name]["function"]).parameters.values())[1:]
    plain = [one for one in parameters if one.kind is not inspect.Parameter.VAR_POSITIONAL]
    least = sum(one.default is inspect.Parameter.empty for one in plain)
    any_more = len(plain) < len(parameters)
    return max(least, len(_KNOWN[name]["signature"])), inf if any_more else len(plain)
