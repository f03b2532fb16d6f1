"""Field types of the config file: durations, names, time zones, paths, URLs. Each says what would be right."""

import math
import os
import re
import ssl
import stat
import unicodedata
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from exporter.config import templates
from exporter.config.yaml_document import AsWritten, WrittenNumber

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

# Longer ones leave the calendar that dates are reckoned in, and are a unit mistaken.
_MAX_DURATION = 10 * _MILLISECONDS["y"]

# Of a label's value: enough for any name, and short enough for tables, titles and notifications.
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
    """An upper bound on a Duration, in Prometheus' notation."""

    def check(seconds: float) -> float:
        if not 0 < seconds <= parse_duration(longest):
            raise ValueError(f"must be more than 0 and at most {longest}{why}")
        return seconds

    return AfterValidator(check)


def is_control(char: str) -> bool:
    """Whether a character is a control character or half of a surrogate pair."""
    return unicodedata.category(char) in ("Cc", "Cs")


def check_name(value: str) -> str:
    """A name as a label value shows it. Raises ValueError where a person would mistake it for another."""
    if not value.strip():
        raise ValueError("must not be empty")
    if value != value.strip():
        raise ValueError("must not begin or end with a space")
    if len(value) > MAX_NAME_LENGTH:
        raise ValueError(f"must be at most {MAX_NAME_LENGTH} characters long, not {len(value)}")
    if any(is_control(char) for char in value):
        raise ValueError("must not contain control characters")
    return value


def scalar_as_text(value: object) -> object:
    """A number, true or false as the text that it is written with; whatever else there is as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, WrittenNumber):
        return value.written
    return str(value) if isinstance(value, int | float) else value


def _without_variables(value: str) -> str:
    templates.check_variables(value)
    return value


_SCALAR_TYPES = ["string", "number", "boolean"]

Text = Annotated[
    str,
    BeforeValidator(scalar_as_text),
    AfterValidator(_without_variables),
    WithJsonSchema({"type": _SCALAR_TYPES}),
]
NonEmptyText = Annotated[
    Text,
    AfterValidator(lambda value: value or _raise("must not be empty")),
    WithJsonSchema({"type": _SCALAR_TYPES, "minLength": 1}),
]
Name = Annotated[
    Text,
    AfterValidator(check_name),
    WithJsonSchema({"type": _SCALAR_TYPES, "maxLength": MAX_NAME_LENGTH}),
]


def check_json(value: object) -> object:
    """A scalar as JSON has it. Raises ValueError for what only YAML has: dates, infinities, yes and no."""
    if isinstance(value, AsWritten):
        other = f", or write {str(value.truth).lower()}" if value.truth is not None else ""
        raise ValueError(f"{value} is not JSON; put it in quotes{other}")  # noqa: TRY004 - as below
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{float(value)} is not JSON; put it in quotes, or write null or a number")
    if not isinstance(value, str | int | float | None):
        raise ValueError("is not JSON; write it as a text")  # noqa: TRY004 - pydantic makes a located problem of it
    return value


def _yes_or_no(value: object) -> object:
    return value.truth if isinstance(value, AsWritten) and value.truth is not None else value


Flag = Annotated[bool, BeforeValidator(_yes_or_no)]


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


def read_file(path: Path, most_bytes: int = 10_000_000) -> bytes:
    """A regular file's bytes: one that is read again and again, so no pipe. Raises ValueError, and never waits."""
    try:
        # Opening a pipe that nobody writes to would wait without end.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"cannot read {path}: it is not a regular file, and it is read again and again")
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > most_bytes:
        raise ValueError(f"the file {path} is larger than {most_bytes} bytes")
    return content


def _readable_file(path: Path) -> Path:
    read_file(path)
    return path


def _authorities(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)") from None
    return path


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
CaFile = Annotated[FilePath, AfterValidator(_authorities), WithJsonSchema({"type": "string"})]


def _raise(message: str) -> Any:
    raise ValueError(message)


def _check_url(value: str) -> str:
    """An absolute URL, or a path that base_url comes before."""
    if value.startswith("/") and not value.startswith("//"):
        templates.check(value, is_url=True)
        return _without_fragment(value)
    return _check_absolute(value)


def _check_absolute(value: str) -> str:
    templates.check(value, is_url=True)
    try:
        parts = urlsplit(re.sub(r"\{[^{}]*\}", "x", value))
        _ = parts.port
    except ValueError:  # its text may repeat a part of a password
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        before = "" if "://" in value or value.startswith("/") else "; write https:// before it"
        raise ValueError(f"must be an absolute http:// or https:// URL{before}")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password; use auth with type: basic")
    if templates.secret_names([re.sub(r"(//[^/?]*).*", r"\1", value)]):
        raise ValueError("has a secret in its host, where it would be public: hosts are looked up in the open")
    return _without_fragment(value)


def _without_fragment(value: str) -> str:
    if "#" in value:
        raise ValueError("must not hold a #: what comes after it is never sent; write %23 for the character itself")
    return value


def _check_base(value: str) -> str:
    if "?" in value:
        raise ValueError("must not hold a query (?…), which urls would come after; put it into params")
    return value


def _check_plain(value: str) -> str:
    templates.check_none(value)
    return value


UrlTemplate = Annotated[str, AfterValidator(_check_url)]
BaseUrl = Annotated[str, AfterValidator(_check_absolute), AfterValidator(_check_base)]
PlainUrl = Annotated[str, AfterValidator(_check_plain), AfterValidator(_check_absolute)]
