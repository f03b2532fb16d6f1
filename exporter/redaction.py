"""Secrets kept out of whatever is written: a vendor may echo a token in an answer, a name or a status line.

Every secret is remembered once it has been read; texts that leave the process pass `redact`.
"""

import threading
from collections import OrderedDict

# Shorter ones stand in ordinary words as well.
_LEAST_LENGTH = 6
_REMEMBERED = 20_000

_secrets: OrderedDict[str, None] = OrderedDict()
_lock = threading.Lock()


def remember(secret: str) -> None:
    """Have `redact` take this text out from now on; of very many, the latest read."""
    if len(secret) < _LEAST_LENGTH:
        return
    with _lock:
        _secrets[secret] = None
        _secrets.move_to_end(secret)
        while len(_secrets) > _REMEMBERED:
            _secrets.popitem(last=False)


def redact(text: str) -> str:
    with _lock:
        known = tuple(_secrets)
    for secret in known:
        if secret in text:
            text = text.replace(secret, "<secret>")
    return text
