"""Polling directly, without a running exporter: the quickest way to try a mapping."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from exporter.clock import Clock
from exporter.config import Target
from exporter.errors import PollError
from exporter.fields import Secret
from exporter.mapping import unread_parts
from exporter.poller import Outcome, poll
from exporter.schema import BasicAuth, BearerAuth
from exporter.source import Source
from exporter.store import Store
from exporter.web.usage_json import UsageDocument, usage_document

_WORKERS = 8
_HIDDEN = "***"
_SECRET_NAME = re.compile(r"token|secret|passw|api.?key|auth|credential|cookie|session", re.IGNORECASE)
_TOLD_BY = 3  # characters of a secret that tell too little of it to be hidden
_SHOWN_MEMBERS = 3
_SHOWN_CHARACTERS = 120
_SHOWN_LINES = 60


@dataclass(frozen=True)
class Trouble:
    """Why a poll did not bring everything. message and part hold no secrets.

    part: the part of the answer that the message is about, as JSON; "" where there was no answer to read.
    """

    api: str
    organisation: str
    message: str
    part: str


class _Remembering(Source):
    """Keeps the answer, to be shown where the mapping does not fit it."""

    answer: Any = None

    def fetch(self) -> Any:
        self.answer = super().fetch()
        return self.answer


def poll_once(targets: Sequence[Target], clock: Clock) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    """Ask for each target once. Never raises for a vendor's fault: that is a trouble."""
    store = Store(clock)
    store.set_targets(targets)
    sources = [_Remembering(target, clock) for target in targets]
    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = list(pool.map(poll, targets, sources, [clock] * len(targets)))
    for target, outcome in zip(targets, outcomes, strict=True):
        store.record(target, _hidden_outcome(outcome, target))
    troubles = (
        trouble
        for target, source, outcome in zip(targets, sources, outcomes, strict=True)
        for trouble in _troubles(target, source.answer, outcome, clock)
    )
    return usage_document(store.states(), clock.now()), tuple(troubles)


def _troubles(target: Target, answer: Any, outcome: Outcome, clock: Clock) -> Iterator[Trouble]:
    if isinstance(outcome, PollError):
        messages: tuple[str, ...] = (str(outcome),)
    else:
        messages = outcome.misfits
    parts = _unread_parts(target, answer, clock) if messages and answer is not None else {}
    # An error of the whole answer tells of a few scopes in one sentence; one by one they are told with their parts.
    for message in parts if parts and isinstance(outcome, PollError) else messages:
        part = _as_json(hidden(parts[message], target)) if message in parts else ""
        yield Trouble(*target.key, str(hidden(message, target)), part)


def _unread_parts(target: Target, answer: Any, clock: Clock) -> dict[str, Any]:
    found = unread_parts(answer, api=target.api, mapping=target.mapping, static=target.static, now=clock.now())
    return dict(found)


def _hidden_outcome(outcome: Outcome, target: Target) -> Outcome:
    if isinstance(outcome, PollError):
        return type(outcome)(str(hidden(str(outcome), target)), retry_after=outcome.retry_after)
    misfits = tuple(str(hidden(misfit, target)) for misfit in outcome.misfits)
    return type(outcome)(outcome.fetched_at, outcome.scopes, misfits)


def hidden(value: Any, target: Target) -> Any:
    """A JSON value without the target's own secrets, and without texts under names that sound like secrets."""
    return _hidden(value, tuple(_secrets(target)))


def _hidden(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _HIDDEN)
        return value
    if isinstance(value, list):
        return [_hidden(member, secrets) for member in value]
    if isinstance(value, dict):
        return {
            _hidden(name, secrets): _HIDDEN
            if isinstance(member, str) and _SECRET_NAME.search(name)
            else _hidden(member, secrets)
            for name, member in value.items()
        }
    return value


def _secrets(target: Target) -> Iterator[str]:
    """The target's secret in every way of writing that a message or an answer may show it in."""
    auth = target.auth
    if auth is None:
        return
    secret: Secret = (
        auth.token if isinstance(auth, BearerAuth) else auth.password if isinstance(auth, BasicAuth) else auth.value
    )
    try:
        text = secret.reveal()
    except ValueError:
        return  # it cannot be read, so it was not sent either
    if isinstance(auth, BasicAuth):
        yield b64encode(f"{auth.username}:{text}".encode()).decode()
    for written in {text: None, json.dumps(text)[1:-1]: None, repr(text)[1:-1]: None}:
        yield written
        # A message cuts long values off, perhaps in the midst of the secret.
        yield from (f"{written[:length]}…" for length in range(len(written) - 1, _TOLD_BY, -1))


def _as_json(part: Any) -> str:
    lines = json.dumps(_shortened(part), indent=2, ensure_ascii=False).splitlines()
    return "\n".join(lines if len(lines) <= _SHOWN_LINES else [*lines[:_SHOWN_LINES], "…"])


def _shortened(value: Any) -> Any:
    """Long lists and texts cut, so that names and shapes are seen at a glance."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]}…"
    if isinstance(value, list):
        rest = len(value) - _SHOWN_MEMBERS
        return [*map(_shortened, value[:_SHOWN_MEMBERS]), *([f"… {rest} more"] if rest > 0 else [])]
    if isinstance(value, dict):
        return {name: _shortened(member) for name, member in value.items()}
    return value
