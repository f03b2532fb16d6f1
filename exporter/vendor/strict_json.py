"""JSON by the letter of RFC 8259, and JSON values shown in messages."""

import json
from collections import Counter
from typing import Any, NoReturn

from exporter.errors import ResponseError
from exporter.redaction import redact

# Enough to recognise a value by, in a message of one line.
_SHOWN = 80
# A secret that stands across the end of what is shown must be known whole, but for those so long that their beginning
# is of no use.
_READ = 2048
# Deeper than any vendor's answer; json and JMESPath recurse, and Python stops at 1000.
_MAX_DEPTH = 100


def parse_json(body: bytes) -> Any:
    """Parse an answer; NaN and Infinity are not JSON, and a key must not come twice.

    Raises ResponseError that shows how the answer begins.
    """
    try:
        value = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        begins = redact(body[:_READ].decode("utf-8", "replace"))[:_SHOWN]
        what = "an HTML page" if begins.lstrip().lower().startswith(("<!doctype", "<html")) else "not JSON"
        raise ResponseError(f"the answer is {what} ({error}); it begins {shown(begins)}") from None
    if _is_deep(value):
        raise ResponseError(f"the answer is nested more than {_MAX_DEPTH} deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        containers = (item for item in level if isinstance(item, dict | list))
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
        if not level:
            return False
    return True


def shown(value: object) -> str:
    """A JSON value on one line, short enough for a log."""
    if isinstance(value, str):
        value = redact(value[:_READ])
    text = redact(json.dumps(value, ensure_ascii=True, default=str)[:_READ])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two values under one key, which would be right?"""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twice)} comes twice in one object")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
