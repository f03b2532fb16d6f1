"""Polling directly, without a running exporter: the quickest way to try a mapping."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from exporter.clock import Clock
from exporter.config.load import Target
from exporter.errors import PollError, ResponseError
from exporter.model import Answer, UsageSnapshot
from exporter.redaction import redact, redact_value
from exporter.state.store import Store
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import Outcome, poll
from exporter.view import tried
from exporter.view.usage_json import UsageDocument, usage_document

# More would be a burst at a vendor whose organisations are all asked for at once.
_WORKERS = 8
# A part of an answer is shown to recognise its names and shapes, on one screen.
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


def poll_once(targets: Sequence[Target], clock: Clock) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    """Ask for each target once. Never raises for a vendor's fault: that is a trouble."""
    store = Store(clock)
    store.set_targets(targets)
    clients = [VendorClient(target, clock) for target in targets]
    with ThreadPoolExecutor(_WORKERS) as pool:
        outcomes = list(pool.map(poll, targets, clients, [clock] * len(targets)))
    for target, outcome in zip(targets, outcomes, strict=True):
        store.record(target, outcome)
    troubles = (
        trouble for target, outcome in zip(targets, outcomes, strict=True) for trouble in troubles_of(target, outcome)
    )
    return usage_document(store.states(), clock.now()), tuple(troubles)


def answered(
    target: Target, answers: Mapping[str, Answer], clock: Clock
) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    """What a target's config makes of answers that are here already, by request; nobody is asked."""
    document, outcome = tried.answered(target, answers, clock)
    return document, tuple(troubles_of(target, outcome))


def troubles_of(target: Target, outcome: Outcome) -> Iterator[Trouble]:
    """What a poll did not bring, without secrets."""
    misfits = outcome.misfits if isinstance(outcome, UsageSnapshot | ResponseError) else ()
    for misfit in misfits:
        yield Trouble(*target.key, redact(misfit.message), _as_json(redact_value(misfit.part)))
    if isinstance(outcome, PollError) and not misfits:
        yield Trouble(*target.key, redact(str(outcome)), "")
    if isinstance(outcome, UsageSnapshot) and not outcome.scopes:
        # Scopes that the config itself left out look as if the vendor had none.
        for remark in outcome.remarks:
            yield Trouble(*target.key, redact(remark), "")


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
