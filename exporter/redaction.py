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
_REMEMBERED = 20_000
_SECRET_NAME = re.compile(r"token|secret|passw|api.?key|^key$|auth|credential|cookie|session", re.IGNORECASE)

_secrets: OrderedDict[str, None] = OrderedDict()
_lock = threading.Lock()


def remember(secret: str) -> None:
    """Have `redact` take this text out from now on, also as JSON and Python write it; of very many, the latest."""
    if len(secret) < _LEAST_LENGTH:
        return
    with _lock:
        for written in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            _secrets[written] = None
            _secrets.move_to_end(written)
        while len(_secrets) > _REMEMBERED:
            _secrets.popitem(last=False)


def redact(text: str) -> str:
    """The text without any secret that was read so far."""
    with _lock:
        known = tuple(_secrets)
    for secret in known:
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
