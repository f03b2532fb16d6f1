"""Secrets kept out of whatever is written: a vendor may echo a token in an answer, a name or a status line.

Every secret is remembered once it has been read; texts that leave the process pass `redact`, which finds it as it is
and in the encodings in which it can come back: percent (RFC 3986) and form encoding, Base64 of either alphabet
(RFC 4648), also together with what stands around it, JSON's and Python's escapes, HTML's entities, and these within
each other.
"""

import base64
import html
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

HIDDEN = "<secret>"

# Up to three characters stand by chance in any text: not looked for. Four and five are hidden as whole words.
_LEAST_LENGTH = 4
_LEAST_WITHIN_WORDS = 6
# A secret and a token of each of 10,000 organisations; new tokens push out the oldest.
_REMEMBERED = 20_000
# Secrets are looked up by so many of their last characters, which differ more often than the first.
_KEY_LENGTHS = (8, _LEAST_LENGTH)
# A line that a log and a card can bear.
_LONGEST_MESSAGE = 1000
# What is looked into of a text; a log line may hold a traceback.
_LONGEST_TEXT = 16_384
# Encodings within each other, and how many characters all of that may come to for one text.
_DEPTH = 3
_MOST_DECODED = 50_000

_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|auth|credential|cookie|session|signature|(^|[^a-z])key$"
    r"|(api|access|subscription|account|app|client|private|licen[cs]e|shared|functions?).?key",
    re.IGNORECASE,
)
# Of parameters and headers that are sent; in answers these are often something else.
_SECRET_WHEN_SENT = re.compile(r"^(app.?id|sig|code)$", re.IGNORECASE)

_PARAMETER = re.compile(r"([?&]([^=&#]+)=)[^&#]*")

_Spans = list[tuple[int, int]]


class _Secrets:
    """By their last characters, for readers without the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._by_end: dict[int, dict[str, tuple[str, ...]]] = {length: {} for length in _KEY_LENGTHS}

    def remember(self, secret: str) -> None:
        with self._lock:
            if secret not in self._known:
                ends, key = self._place(secret)
                ends[key] = (*ends.get(key, ()), secret)
                if len(self._known) >= _REMEMBERED:
                    self._forget(next(iter(self._known)))
            self._known[secret] = None
            self._known.move_to_end(secret)

    def _forget(self, secret: str) -> None:
        del self._known[secret]
        ends, key = self._place(secret)
        rest = tuple(other for other in ends[key] if other != secret)
        if rest:
            ends[key] = rest
        else:
            del ends[key]

    def _place(self, secret: str) -> tuple[dict[str, tuple[str, ...]], str]:
        length = next(length for length in _KEY_LENGTHS if len(secret) >= length)
        return self._by_end[length], secret[-length:]

    def any(self) -> bool:
        return bool(self._known)

    def found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand in the text, as (start, end)."""
        for length, ends in self._by_end.items():
            if not ends:
                continue
            for end in range(length, len(text) + 1):
                for secret in ends.get(text[end - length : end], ()):
                    start = end - len(secret)
                    if start >= 0 and text.startswith(secret, start) and _stands(text, start, end):
                        yield start, end


def _stands(text: str, start: int, end: int) -> bool:
    """Whether what may be a short secret is one, and no part of a word."""
    if end - start >= _LEAST_WITHIN_WORDS:
        return True
    return not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()


_secrets = _Secrets()


def remember(secret: str) -> None:
    """Have `redact` take this text out from now on; of very many, the latest."""
    if len(secret) >= _LEAST_LENGTH:
        _secrets.remember(secret)


def remember_header(value: str) -> None:
    """Have `redact` take out a secret header and what it is made of: a token behind its scheme, a cookie's values."""
    remember(value)
    for part in re.split(r"[\s;,=]+", value):
        if len(part) >= max(_KEY_LENGTHS):  # not the names
            remember(part)
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        remember(_from_base64(encoded, 0).partition(":")[2])


def redact(text: str) -> str:
    """The text without any secret that was read so far; cut, with an ellipsis, where it is very long."""
    if len(text) > _LONGEST_TEXT:
        # A secret across the cut would not be known.
        return f"{redact(text[:_LONGEST_TEXT]).rpartition(' ')[0]}…"
    if len(text) < _LEAST_LENGTH or not _secrets.any():
        return text
    ranges = [
        (spans[start][0], spans[end - 1][1]) if spans else (start, end)
        for reading, spans in _readings(text)
        for start, end in _secrets.found(reading)
    ]
    return _hidden(text, ranges) if ranges else text


def _hidden(text: str, ranges: list[tuple[int, int]]) -> str:
    pieces, done = [], 0
    for start, end in sorted(ranges):
        if start >= done:
            pieces += [text[done:start], HIDDEN]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _readings(text: str) -> Iterator[tuple[str, _Spans | None]]:
    """What the text may mean: itself, and decoded in every way that changes it.

    With each reading, for each of its characters, where in the text it comes from; None: from the same place.
    """
    level: list[tuple[str, _Spans | None]] = [(text, None)]
    seen, left = {text}, _MOST_DECODED
    for _ in range(_DEPTH + 1):
        yield from level
        after: list[tuple[str, _Spans | None]] = []
        for reading, spans in level:
            for pattern, decode in _ENCODINGS:
                decoded = _decoded(reading, spans, pattern, decode)
                if decoded is not None and decoded[0] not in seen and left > 0:
                    seen.add(decoded[0])
                    left -= len(decoded[0])
                    after.append(decoded)
        level = after


def _decoded(
    text: str, spans: _Spans | None, pattern: re.Pattern[str], decode: Callable[[str], str]
) -> tuple[str, _Spans] | None:
    """The text with what the pattern finds decoded; None where nothing is."""
    pieces: list[str] = []
    origins: _Spans = []
    done = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        decoded = decode(found.group())
        if not decoded:
            continue
        spans = spans or [(place, place + 1) for place in range(len(text))]
        pieces += [text[done:start], decoded]
        origins += spans[done:start]
        origins += [(spans[start][0], spans[end - 1][1])] * len(decoded)
        done = end
    if spans is None or not pieces:
        return None
    return "".join([*pieces, text[done:]]), [*origins, *spans[done:]]


def _from_form(encoded: str) -> str:
    return " " if encoded == "+" else unquote(encoded)


def _from_escape(encoded: str) -> str:
    if encoded[1] in "xU":
        number = int(encoded[2:], 16)
        return chr(number) if number <= 0x10FFFF else ""  # noqa: PLR2004 - Unicode's last
    return "'" if encoded == r"\'" else str(json.loads(f'"{encoded}"'))


def _from_any_base64(encoded: str) -> str:
    """What may be encoded from any of the first characters on, since what stands before may be none of it."""
    decoded = (_from_base64(encoded, offset) for offset in range(4))
    return "\0".join(text for text in decoded if _READABLE.search(text))


def _from_base64(encoded: str, offset: int) -> str:
    digits = encoded.rstrip("=")[offset:].replace("-", "+").replace("_", "/")
    whole = digits[: len(digits) - (len(digits) % 4 == 1)]
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
    except ValueError:
        return ""


# Base64 of anything else, words included, is hardly ever a text.
_READABLE = re.compile(rf"[^\x00-\x1f\x7f\ufffd]{{{_LEAST_LENGTH}}}")
_ENCODINGS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"(?:%[0-9A-Fa-f]{2})+"), unquote),
    (re.compile(r"\+|(?:%[0-9A-Fa-f]{2})+"), _from_form),
    (
        re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\U[0-9A-Fa-f]{8}|\\[\"'\\/bfnrt]"),
        _from_escape,
    ),
    (re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"), html.unescape),
    (re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}"), _from_any_base64),
)


def redact_value(value: Any) -> Any:
    """A JSON value without secrets, and without texts under names that sound like secrets."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_value(member) for member in value]
    if isinstance(value, dict):
        return {
            redact(name): HIDDEN if isinstance(member, str) and is_secret_name(name) else redact_value(member)
            for name, member in value.items()
        }
    return value


def is_secret_name(name: str) -> bool:
    """Whether what stands under the name is likely to be a secret."""
    return _SECRET_NAME.search(name) is not None


def is_secret_when_sent(name: str) -> bool:
    """The same, of a parameter, header or field of a body that is sent to a vendor."""
    return is_secret_name(name) or _SECRET_WHEN_SENT.search(name) is not None


def without_secrets(url: str) -> str:
    """A URL without the values of parameters whose names sound like secrets."""
    return _PARAMETER.sub(lambda found: f"{found[1]}{HIDDEN}" if is_secret_when_sent(found[2]) else found[0], url)


def message(text: str) -> str:
    """A text that may hold what a vendor sent, fit for a log: without secrets, on one line, of bearable length."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in redact(text))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
