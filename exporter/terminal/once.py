"""Polling directly, without a running exporter: the quickest way to try a mapping."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from exporter.clock import Clock
from exporter.config import Target
from exporter.errors import PollError
from exporter.mapping import unread_parts
from exporter.model import Answer
from exporter.poller import Outcome, poll
from exporter.redaction import redact, redact_value
from exporter.source import Source
from exporter.store import Store
from exporter.thresholds import Bands
from exporter.view.usage_json import UsageDocument, usage_document

_WORKERS = 8
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

    answers: dict[str, Answer] | None = None

    def fetch(self) -> dict[str, Answer]:
        self.answers = super().fetch()
        return self.answers


def poll_once(targets: Sequence[Target], clock: Clock, bands: Bands) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    """Ask for each target once. Never raises for a vendor's fault: that is a trouble."""
    store = Store(clock)
    store.set_targets(targets, bands)
    sources = [_Remembering(target, clock) for target in targets]
    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = list(pool.map(poll, targets, sources, [clock] * len(targets)))
    for target, outcome in zip(targets, outcomes, strict=True):
        store.record(target, outcome)
    troubles = (
        trouble
        for target, source, outcome in zip(targets, sources, outcomes, strict=True)
        for trouble in _troubles(target, source.answers, outcome, clock)
    )
    return usage_document(store.states(), clock.now(), bands), tuple(troubles)


def _troubles(
    target: Target, answers: Mapping[str, Answer] | None, outcome: Outcome, clock: Clock
) -> Iterator[Trouble]:
    if isinstance(outcome, PollError):
        messages: tuple[str, ...] = (str(outcome),)
    else:
        messages = outcome.misfits
    parts = _unread_parts(target, answers, clock) if messages and answers is not None else {}
    # An error of the whole answer tells of a few scopes in one sentence; one by one they are told with their parts.
    for message in parts if parts and isinstance(outcome, PollError) else messages:
        part = _as_json(redact_value(parts[message])) if message in parts else ""
        yield Trouble(*target.key, redact(message), part)


def _unread_parts(target: Target, answers: Mapping[str, Answer], clock: Clock) -> dict[str, Any]:
    return dict(unread_parts(answers, api=target.api, organisation=target.organisation.id, now=clock.now()))


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
