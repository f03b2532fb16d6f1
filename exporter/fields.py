"""Field types of the config file: durations, secrets, expressions, names. Each says what would be right."""

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Protocol, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jmespath
import jmespath.exceptions
from jmespath.parser import ParsedResult
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from exporter import redaction, templates

# https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (<duration>)
_DURATION = re.compile(
    r"(?:(?P<y>\d+)y)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?"
)
_MILLISECONDS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}

_MAX_DURATION = 10 * _MILLISECONDS["y"]

MAX_NAME_LENGTH = 200


class Frozen(BaseModel):
    """The base of every model of the config file: unknown keys are errors, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ShortForm(Frozen):
    """A model that may also be written as a single text, which then is the field named by `short`."""

    @classmethod
    def short(cls) -> str:
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {cls.short(): value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(schema))
        short = dict(full["properties"][cls.short()])
        return {"anyOf": [{"type": "string", "description": short.get("description", "")}, full]}


def parse_duration(value: object) -> float:
    """Prometheus' notation ("30s", "5m", "1h30m", "0") to seconds. Raises ValueError."""
    wrong = f"must be a duration such as 30s, 5m, 1h30m or 7d, not {value!r}"
    if value in ("0", 0) and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not value:
        raise ValueError(wrong)
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(wrong)
    milliseconds = sum(int(count) * _MILLISECONDS[unit] for unit, count in match.groupdict().items() if count)
    if milliseconds > _MAX_DURATION:
        raise ValueError(f"must be at most 10y, not {value}")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """Seconds in Prometheus' notation, as `parse_duration` reads it: 5400 -> "1h30m"."""
    rest, text = round(seconds * 1000), ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _MILLISECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"^((\d+(y|w|d|h|m|s|ms))+|0)$"}, {"const": 0}],
            "examples": ["30s", "5m", "1h30m"],
        }
    ),
]


def at_most(longest: str, why: str = "") -> AfterValidator:
    """A bound on a Duration, told in its own notation."""

    def check(seconds: float) -> float:
        if not 0 < seconds <= parse_duration(longest):
            raise ValueError(f"must be more than 0 and at most {longest}{why}")
        return seconds

    return AfterValidator(check)


def check_name(value: str) -> str:
    """A name as a label value shows it. Raises ValueError where a person could not tell it from another."""
    if not value.strip():
        raise ValueError("must not be empty")
    if value != value.strip():
        raise ValueError("must not begin or end with a space")
    if len(value) > MAX_NAME_LENGTH:
        raise ValueError(f"must be at most {MAX_NAME_LENGTH} characters long, not {len(value)}")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise ValueError("must not contain control characters")
    return value


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(check_name),
    WithJsonSchema({"type": ["string", "integer"], "maxLength": MAX_NAME_LENGTH}),
]


def _check_label(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) or value.startswith("__"):
        raise ValueError(f"must be a Prometheus label name (letters, digits, _), not {value!r}")
    return value


LabelName = Annotated[str, AfterValidator(_check_label)]


def _zone(value: object) -> ZoneInfo:
    wrong = f"must be an IANA time zone such as UTC or Europe/Berlin, not {value!r}"
    if isinstance(value, ZoneInfo):
        return value
    if not isinstance(value, str):
        raise ValueError(wrong)  # noqa: TRY004 - pydantic turns a ValueError into a located problem
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(wrong) from None


TimeZone = Annotated[
    ZoneInfo,
    BeforeValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["UTC", "Europe/Berlin"], "default": "UTC"}),
]


def _resolve_path(value: str, info: ValidationInfo) -> Path:
    """Relative paths are relative to the config file, as Prometheus reads its own."""
    directory = (info.context or {}).get("directory", Path())
    return Path(directory) / value


def _readable_file(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    return path


FolderPath = Annotated[
    Path,
    AfterValidator(_folder),
    BeforeValidator(_resolve_path),
    BeforeValidator(lambda value: value if isinstance(value, str) else _raise("must be a path")),
    WithJsonSchema({"type": "string"}),
]
FilePath = Annotated[
    Path,
    AfterValidator(_readable_file),
    BeforeValidator(_resolve_path),
    BeforeValidator(lambda value: value if isinstance(value, str) else _raise("must be a path")),
    WithJsonSchema({"type": "string"}),
]


def _raise(message: str) -> Any:
    raise ValueError(message)


def _check_url(value: str) -> str:
    """An absolute URL, or a path that base_url comes before."""
    templates.check(value, is_url=True)
    if value.startswith("/") and not value.startswith("//"):
        return value
    return _check_absolute(value)


def _check_absolute(value: str) -> str:
    templates.check(value, is_url=True)
    try:
        parts = urlsplit(re.sub(r"\{[^{}]*\}", "x", value))
        _ = parts.port
    except ValueError:  # its text may repeat a part of a password
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http:// or https:// URL")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password; use auth with type: basic")
    return value


UrlTemplate = Annotated[str, AfterValidator(_check_url)]
AbsoluteUrl = Annotated[str, AfterValidator(_check_absolute)]


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
    key: bool = Field(False, description="true: the key under which the scope stands in an object.")
    header: str | None = Field(None, description="A header of the answer; a number in it is read as one.")
    request: str | None = Field(
        None,
        description="In the answer of which of the api's requests; with path: in its part that mapping.joins finds.",
    )
    minus: "Expression | None" = Field(None, description="Taken off the value (numbers only).")
    scale: float = Field(1.0, gt=0, allow_inf_nan=False, strict=False, description="The number is multiplied by it.")
    optional: bool = Field(False, description="true: null or missing means that the vendor does not tell.")

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


class Secret(ShortForm):
    """A secret: inline, from an environment variable, or from a file that is read again at every poll."""

    value: SecretStr | None = Field(None, description="The secret itself.")
    env: str | None = Field(None, description="Name of the environment variable that holds it.")
    file: FilePath | None = Field(None, description="File that holds it; a line break at its end is left off.")

    @classmethod
    def short(cls) -> str:
        return "value"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if [self.value, self.env, self.file].count(None) != 2:  # noqa: PLR2004
            raise ValueError("needs exactly one of value, env and file")
        self.text()
        return self

    def reveal(self) -> str:
        """The secret's present text, which `redact` takes out from now on. Raises ValueError as `text` does."""
        text = self.text()
        redaction.remember(text)
        return text

    def text(self) -> str:
        """The present text, for values that are no secret. Raises ValueError where there is none, and shows none."""
        if self.value is not None:
            text, origin = self.value.get_secret_value(), "the secret"
        elif self.env is not None:
            if self.env not in os.environ:
                hint = f"; write {self.env.lstrip('$')} without the $" if self.env.startswith("$") else ""
                raise ValueError(f"the environment variable {self.env} is not set{hint}")
            text, origin = os.environ[self.env], f"the environment variable {self.env}"
        else:
            text, origin = self._read_file(), f"the file {self.file}"
        if not text:
            raise ValueError(f"{origin} is empty")
        if any(unicodedata.category(char) == "Cc" for char in text):
            raise ValueError(f"{origin} contains a line break or another control character")
        if text != text.strip():
            raise ValueError(f"{origin} begins or ends with a space")
        return text

    def _read_file(self) -> str:
        assert self.file is not None  # noqa: S101
        try:
            return self.file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"cannot read {self.file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the file {self.file} is not UTF-8 text") from None
