"""Secrets kept out of what is told: vendors echo them in errors, and errors are logged and published."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from exporter.config import Target
from exporter.errors import PollError
from exporter.fields import Secret
from exporter.model import UsageSnapshot
from exporter.schema import BasicAuth

HIDDEN = "***"

_SECRET_NAME = re.compile(r"token|secret|passw|api.?key|^key$|auth|credential|cookie|session", re.IGNORECASE)
_TOLD_BY = 3  # characters of a secret that tell too little of it to be hidden


def hidden_outcome(outcome: UsageSnapshot | PollError, target: Target) -> UsageSnapshot | PollError:
    """A poll's outcome without the target's secrets in its messages."""
    if isinstance(outcome, PollError):
        return type(outcome)(str(hidden(str(outcome), target)), retry_after=outcome.retry_after)
    if not outcome.misfits:
        return outcome
    misfits = tuple(str(hidden(misfit, target)) for misfit in outcome.misfits)
    return UsageSnapshot(outcome.fetched_at, outcome.scopes, misfits)


def hidden(value: Any, target: Target) -> Any:
    """A JSON value without the target's own secrets, and without texts under names that sound like secrets."""
    return _hidden(value, tuple(_written(target)))


def _hidden(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, list):
        return [_hidden(member, secrets) for member in value]
    if isinstance(value, dict):
        return {
            _hidden(name, secrets): HIDDEN
            if isinstance(member, str) and _SECRET_NAME.search(name)
            else _hidden(member, secrets)
            for name, member in value.items()
        }
    return value


def _written(target: Target) -> Iterator[str]:
    """The target's secrets in every way of writing that a message or an answer may show them in; longest first."""
    for secret in _secrets(target):
        try:
            text = secret.reveal()
        except ValueError:
            continue  # it cannot be read, so it was not sent either
        if isinstance(target.auth, BasicAuth):
            yield b64encode(f"{target.auth.username}:{text}".encode()).decode()
        for written in {text: None, json.dumps(text)[1:-1]: None, repr(text)[1:-1]: None}:
            yield written
            # A message cuts long values off, perhaps in the midst of the secret.
            yield from (f"{written[:length]}…" for length in range(len(written) - 1, _TOLD_BY, -1))


def _secrets(target: Target) -> Iterator[Secret]:
    """All of auth; of parameters and headers those that come from elsewhere, or whose name says it."""
    yield from _secrets_in(target.auth)
    for request in target.api.all_requests.values():
        yield from _told_apart(request.params)
        yield from _told_apart(request.headers)


def _told_apart(values: Mapping[str, Secret]) -> Iterator[Secret]:
    return (secret for name, secret in values.items() if secret.value is None or _SECRET_NAME.search(name))


def _secrets_in(model: BaseModel | None) -> Iterator[Secret]:
    for name in type(model).model_fields if model is not None else ():
        value = getattr(model, name)
        if isinstance(value, Secret):
            yield value
