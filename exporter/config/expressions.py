"""Expressions of the config file: where in a vendor's answer a value stands. They are run at every poll."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol, Self

import jmespath
import jmespath.exceptions
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, Field, model_validator

from exporter.config.fields import Flag, ShortForm, Text


class Search(Protocol):
    """A compiled expression."""

    def search(self, value: Any) -> Any:
        """What the expression gives on a JSON value; null is None."""


@dataclass(frozen=True)
class _Names:
    """Names one within the other, as in `period.start`: nearly all that mappings hold, without the interpreter."""

    names: tuple[str, ...]

    def search(self, value: Any) -> Any:
        for name in self.names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value


@lru_cache(maxsize=4096)
def compile_jmespath(expression: str) -> Search:
    """Compile a JMESPath expression (https://jmespath.org/specification.html). Raises ValueError."""
    try:
        compiled: ParsedResult = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'is not JMESPath: {reason} (names with a hyphen or a dot need quotes: "rate-limit")'
        ) from None
    names = _names(compiled.parsed)
    return _Names(names) if names is not None else compiled


def _names(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names that a parsed expression consists of; None where it holds anything else."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    parts = [_names(child) for child in node["children"]]
    return None if None in parts else tuple(name for part in parts if part for name in part)


def _check_jmespath(value: str) -> str:
    compile_jmespath(value)
    return value


JmesPath = Annotated[str, AfterValidator(_check_jmespath)]


class Expression(ShortForm):
    """Where a value stands in the answer: a JMESPath expression, or one with what JMESPath lacks."""

    path: JmesPath | None = Field(None, description="JMESPath on the scope's own part of the answer.")
    root: JmesPath | None = Field(None, description="JMESPath on the whole answer.")
    key: Flag = Field(False, description="true: the key under which the scope stands in an object.")
    header: Text | None = Field(None, description="A header of the answer; a number in it is read as one.")
    request: Text | None = Field(
        None,
        description="In the answer of which of the api's requests; with path: in its part that mapping.joins finds.",
    )
    minus: "Expression | None" = Field(None, description="Taken off the value (numbers only).")
    scale: float = Field(1.0, gt=0, allow_inf_nan=False, strict=False, description="The number is multiplied by it.")
    optional: Flag = Field(False, description="true: null or missing means that the vendor does not report it.")

    @classmethod
    def short(cls) -> str:
        return "path"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if [self.path is not None, self.root is not None, self.key, self.header is not None].count(True) != 1:
            raise ValueError("needs exactly one of path, root, header and key: true")
        if self.key and self.request is not None:
            raise ValueError("has request, which goes with path, root or header")
        return self

    @property
    def source(self) -> str:
        """The JMESPath expression; "" for a key or a header."""
        return self.path or self.root or ""

    def __str__(self) -> str:
        if self.key:
            return "the key"
        if self.header is not None:
            text = f"header {self.header!r}"
        else:
            text = f"root expression {self.root!r}" if self.root is not None else f"expression {self.path!r}"
        return text if self.request is None else f"{text} of request {self.request!r}"
