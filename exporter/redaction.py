"""Secrets kept out of whatever is written: a vendor may echo a token in an answer, a name or a status line.

Every secret is remembered once it has been read; texts that leave the process pass `redact`.
"""

import threading
from collections import OrderedDict

# Shorter ones stand in ordinary words as well.
_LEAST_LENGTH = 6
_REMEMBERED = 20_000
_LONGEST_MESSAGE = 1000


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
    """Have `redact` take this text out from now on; of very many, the latest read."""
    if len(secret) >= _LEAST_LENGTH:
        _secrets.remember(secret)


def redact(text: str) -> str:
    if len(text) < _secrets.shortest:
        return text
    for secret in _secrets.present:
        if secret in text:
            text = text.replace(secret, "<secret>")
    return text


def message(text: str) -> str:
    """A text that may hold what a vendor sent, fit for a log: without secrets, on one line, of bearable length."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in redact(text))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
