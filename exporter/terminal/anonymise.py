"""An answer without what it says of anybody: names, mails, addresses, ids and keys are replaced by texts of the same
shape, the same one wherever they come again. Pure.

What stays is what a preset reads: numbers, times, and texts that the preset's documented answers have as well, such
as `monthly`. Everything else is taken to say something.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.redaction import HIDDEN, is_secret_name, redact

Path = tuple[str | int, ...]

_ID = re.compile(r"(^|[_-])(id|sid|uuid|guid|phone|zip|number|ip)s?$|[a-z](Id|Sid|Uuid|Phone|Ip)s?$", re.IGNORECASE)
# Tokens that are counted are none that sign in.
_COUNTED = re.compile("tokens", re.IGNORECASE)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?%?")
_TIME = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?( ?(Z|UTC|GMT|[-+]\d\d:?\d\d))?"
    r"|\d+(\.\d+)?(ms|s|m|h|d)|\d\d:\d\d(:\d\d)?"
    r"|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d( (GMT|UTC|[-+]\d{4}))?"
)
# A name that a programmer gave to a field, and no person or account.
_FIELD = re.compile(r"[A-Za-z]+([_-]?[A-Za-z0-9]+){0,6}")
_LONGEST_FIELD = 60
_MOST_DIGITS_OF_A_FIELD = 3


@dataclass
class Anonymiser:
    """Replaces what could say something. known: texts and keys that may stay. replaced: new text by old."""

    known: Collection[str]
    replaced: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, maps: Collection[Path], path: Path = ()) -> Any:
        """The value without it. maps: places of objects whose keys are names of scopes, not of fields."""
        if isinstance(value, dict):
            return {
                self._key(key, is_name=path in maps): self.value(member, maps, (*path, key))
                for key, member in value.items()
            }
        if isinstance(value, list):
            return [self.value(member, maps, (*path, index)) for index, member in enumerate(value)]
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if isinstance(value, str):
            return self.text(value, name)
        is_id = isinstance(value, int) and not isinstance(value, bool) and _ID.search(name) is not None
        return int(self._instead(str(value))) if is_id else value

    def text(self, text: str, name: str) -> str:
        """A text without it; name: of the field or header that it stands in."""
        if text in self.known or not text:
            return text
        if is_secret_name(name) and not (_NUMBER.fullmatch(text) and _COUNTED.search(name)):
            return HIDDEN
        if _TIME.fullmatch(text) or (_NUMBER.fullmatch(text) and not _ID.search(name)):
            return redact(text)
        return self._instead(text)

    def _key(self, key: str, *, is_name: bool) -> str:
        digits = sum(char.isdigit() for char in key)
        is_field = bool(_FIELD.fullmatch(key)) and len(key) <= _LONGEST_FIELD and digits <= _MOST_DIGITS_OF_A_FIELD
        if key in self.known or _TIME.fullmatch(key) or (is_field and not is_name):
            return key
        return self._instead(key)

    def _instead(self, text: str) -> str:
        if text not in self.replaced:
            self.replaced[text] = _like(text, len(self.replaced) + 1)
        return self.replaced[text]


def _like(text: str, number: int) -> str:
    """A text of the same shape, with the number in it, so that different texts stay different."""
    if _MAIL.fullmatch(text):
        return f"user-{number}@example.com"
    if _URL.fullmatch(text):
        return f"https://example.com/{number}"
    if text.isdecimal():
        first, rest = "1" if len(text) > len(str(number)) else "", len(text) - 1
        return f"{first}{number:0{rest}d}" if first else f"{number}"
    shape = re.sub("[a-z]", "x", re.sub("[A-Z]", "X", re.sub("[0-9]", "0", text)))
    ascii_shape = "".join(char if char.isascii() else "x" for char in shape)
    return f"{ascii_shape[: max(0, len(ascii_shape) - len(str(number)))]}{number}"


def texts_of(value: Any) -> Iterator[str]:
    """Every text and every key in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield key
            yield from texts_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts_of(member)
