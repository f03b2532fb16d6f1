"""Secrets kept out of whatever is written: a vendor may echo a token in an answer, a name or a status line.

Every secret is remembered once it has been read; texts that leave the process pass `redact`.
"""

import json
import re
import threading
from collections import OrderedDict
from typing import Any

HIDDEN = "<secret>"

# Shorter ones stand in ordinary words as well.
_LEAST_LENGTH = 6
# A secret and a token of each of 10,000 organisations; new tokens push out the oldest.
_REMEMBERED = 20_000
# A line that a log and a card can bear.
_LONGEST_MESSAGE = 1000
_SECRET_NAME = re.compile(r"token|secret|passw|api.?key|^key$|auth|credential|cookie|session", re.IGNORECASE)


class _Secrets:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        # Of them all, for readers without the lock; and the shortest one's length, since most texts are shorter.
        self.present: tuple[str, ...] = ()
        self.shortest = 0

    def remember(self, secret: str) -> None:
        with self._lock:
            new = secret not in self._known
            self._known[secret] = None
            self._known.move_to_end(secret)
            if new:
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
                self.present = tuple(self._known)
                self.shortest = min(map(len, self.present))


_secrets = _Secrets()


def remember(secret: str) -> None:
    """Have `redact` take this text out from now on, also as JSON and Python write it; of very many, the latest."""
    if len(secret) >= _LEAST_LENGTH:
        for written in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            _secrets.remember(written)


def redact(text: str) -> str:
    """The text without any secret that was read so far."""
    if len(text) < _secrets.shortest:
        return text
    for secret in _secrets.present:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


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


def message(text: str) -> str:
    """A text that may hold what a vendor sent, fit for a log: without secrets, on one line, of bearable length."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in redact(text))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
