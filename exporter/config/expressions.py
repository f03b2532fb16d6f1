"""Expressions of the config file: where in a vendor's answer a value stands. They are run at every poll."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol, Self

import jmespath
import jmespath.exceptions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options
from pydantic import AfterValidator, Field, model_validator

from exporter.config.fields import Flag, ShortForm, Text
from exporter.config.functions import IN_CONTEXT, Context, MappingFunctions, calls, check_call

NOWHERE = Context()


class Search(Protocol):
    """A compiled expression."""

    @property
    def answers(self) -> frozenset[str]:
        """The requests whose whole answers it reads, by `answer('name')`."""

    def search(self, value: Any, context: Context = NOWHERE) -> Any:
        """What the expression gives on a JSON value; null is None.

        Raises ValueError or a JMESPathError where it cannot be applied.
        """


@dataclass(frozen=True)
class _Names:
    """Names one within the other, as in `period.start`: nearly all that mappings hold, without the interpreter.

    of_root: on the whole answer, as in `root().period.start`.
    """

    names: tuple[str, ...]
    of_root: bool = False
    answers: frozenset[str] = frozenset()

    def search(self, value: Any, context: Context = NOWHERE) -> Any:
        found = context.root if self.of_root else value
        for name in self.names:
            if not isinstance(found, dict):
                return None
            found = found.get(name)
        return found


@dataclass(frozen=True)
class _Key:
    """`key()`, which every scope of an object has for a name."""

    answers: frozenset[str] = frozenset()

    def search(self, _: Any, context: Context = NOWHERE) -> Any:
        return context.key


@dataclass(frozen=True)
class _Parsed:
    """Any other expression. in_context: whether it depends on more than the value."""

    parsed: ParsedResult
    answers: frozenset[str]
    in_context: bool

    def search(self, value: Any, context: Context = NOWHERE) -> Any:
        functions = MappingFunctions(context) if self.in_context else _WITHOUT_CONTEXT
        return self.parsed.search(value, Options(custom_functions=functions))


_WITHOUT_CONTEXT = MappingFunctions(NOWHERE)


@lru_cache(maxsize=4096)
def compile_jmespath(expression: str) -> Search:
    """Compile JMESPath (https://jmespath.org/specification.html) with our functions. Raises ValueError."""
    try:
        compiled: ParsedResult = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        reason = str(error).splitlines()[0]
        if expression.startswith("$"):
            raise ValueError(f"is JSONPath; as JMESPath it is {re.sub(r'^[$][.]?', '', expression) or '@'}") from None
        raise ValueError(
            f'is not JMESPath: {reason} (names with a hyphen or a dot need quotes: "rate-limit")'
        ) from None
    found = list(calls(compiled.parsed))
    for call in found:
        check_call(call)
    if compiled.parsed == _KEY:
        return _Key()
    names = _names(compiled.parsed)
    if names is not None:
        return names
    answers = frozenset(str(call.arguments[0]["value"]) for call in found if call.name == "answer")
    return _Parsed(compiled, answers, any(call.name in IN_CONTEXT for call in found))


_ROOT, _KEY = (jmespath.compile(f"{name}()").parsed for name in ("root", "key"))


def _names(node: Mapping[str, Any]) -> _Names | None:
    """The names that a parsed expression consists of; None where it holds anything else."""
    if node == _ROOT:
        return _Names((), of_root=True)
    if node["type"] == "field":
        return _Names((node["value"],))
    if node["type"] != "subexpression":
        return None
    first, *rest = (_names(child) for child in node["children"])
    if first is None or any(one is None or one.of_root for one in rest):
        return None
    names = (name for part in (first, *rest) if part for name in part.names)
    return _Names(tuple(names), first.of_root)


def _check_jmespath(value: str) -> str:
    compile_jmespath(value)
    return value


JmesPath = Annotated[str, AfterValidator(_check_jmespath)]


# What functions do now: fields of expressions up to version 0.1.
_REMOVED = ("root", "key", "minus", "scale")


def _in_brackets(value: list[Any]) -> str:
    """What YAML read as a list, as it stands in the file."""
    return f"[{', '.join(_in_brackets(item) if isinstance(item, list) else str(item) for item in value)}]"


class Expression(ShortForm):
    """Where a value stands in the answer: JMESPath with our functions, and what no expression says."""

    path: JmesPath | None = Field(
        None, description="JMESPath on the scope's own part of the answer; with header: on the header."
    )
    header: Text | None = Field(None, description="A header of the answer; a number in it is read as one.")
    request: Text | None = Field(
        None,
        description="In the answer of which of the api's requests; with path: in its part that mapping.joins finds.",
    )
    optional: Flag = Field(False, description="true: null or missing means that the vendor does not report it.")

    @classmethod
    def short(cls) -> str:
        return "path"

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError(  # noqa: TRY004 - pydantic takes no TypeError
                f'is a list; an expression that begins with [ stands in quotes: "{_in_brackets(value)}"'
            )
        removed = [name for name in _REMOVED if name in value] if isinstance(value, dict) else []
        if removed:
            are = "is a function" if len(removed) == 1 else "are functions"
            raise ValueError(f"has {' and '.join(removed)}, which {are} now; write {_rewritten(value)}")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.path is None and self.header is None:
            raise ValueError("needs path, header or both")
        return self

    @property
    def source(self) -> str:
        """The JMESPath expression; "@" for a whole header."""
        return self.path if self.path is not None else "@"

    @property
    def answers(self) -> frozenset[str]:
        """The requests whose answers it reads whole, by `answer('name')`."""
        return compile_jmespath(self.source).answers

    def __str__(self) -> str:
        if self.path == "key()":
            return "the key"
        if self.header is not None:
            text = f"header {self.header!r}" if self.path is None else f"{self.path!r} on header {self.header!r}"
        else:
            text = f"expression {self.path!r}"
        return text if self.request is None else f"{text} of request {self.request!r}"


def _rewritten(removed: dict[str, Any]) -> str:
    """An expression with fields that went, as it is written now."""
    kept = {name: removed[name] for name in ("header", "request", "optional") if name in removed}
    path = _as_function(removed)
    if "root" in removed or removed.get("key"):
        kept.pop("request", None)
    if not kept:
        return path
    fields = ", ".join(
        f"{name}: {str(value).lower() if isinstance(value, bool) else value}" for name, value in kept.items()
    )
    return f'{{path: "{path}", {fields}}}'


def _as_function(removed: object) -> str:
    if not isinstance(removed, dict):
        return str(removed)
    if removed.get("key"):
        text = "key()"
    elif "root" in removed:
        origin = f"answer('{removed['request']}')" if removed.get("request") else "root()"
        text = within(origin, str(removed["root"]))
    else:
        text = str(removed.get("path", "@"))
    if removed.get("minus") is not None:
        text = f"sub({text}, {_as_function(removed['minus'])})"
    return f"mul({text}, `{removed['scale']}`)" if "scale" in removed else text


def within(origin: str, expression: str) -> str:
    """An expression on what another gives: names follow a dot, all else a pipe."""
    if expression == "@":
        return origin
    return f"{origin}.{expression}" if re.fullmatch(r"[\w.]+", expression) else f"{origin} | {expression}"
