"""An answer that is here already, read by a config, or by one that is drafted from it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.clock import Clock
from exporter.config.load import Target, load_config
from exporter.drafting.config_text import config_text
from exporter.drafting.draft import draft
from exporter.drafting.model import Draft
from exporter.errors import PollError
from exporter.model import MAIN_REQUEST, Answer, UsageSnapshot
from exporter.state.store import Store
from exporter.vendor.documented import read
from exporter.view.usage_json import UsageDocument, usage_document

# More than any usage endpoint answers: what is larger is another file.
LARGEST_ANSWER = 16 * 2**20
_UTC = ZoneInfo("UTC")
_URL = "https://api.example.com/usage"


@dataclass(frozen=True)
class Trial:
    """config: the file's text. document: what it makes of the answer; None while a question has to be answered.

    problems: what it does not read, a sentence each.
    """

    draft: Draft
    config: str = ""
    document: UsageDocument | None = None
    problems: tuple[str, ...] = ()


def tried(body: Any, chosen: Mapping[str, str], clock: Clock) -> Trial:
    """chosen: by the fields of the draft's questions. Raises NothingFoundError, and ConfigError."""
    now = clock.now()
    found = draft(body, now, _UTC, chosen)
    if not found.complete:
        return Trial(found)
    headline = f"Drafted by api-usage-exporter on {now:%Y-%m-%d}: put in the url, and how to sign in (auth)."
    text = config_text("api", {"url": _URL}, found, "Main", headline)
    document, outcome = answered(target_of(text), {MAIN_REQUEST: Answer(body)}, clock)
    misfits = outcome.misfits if isinstance(outcome, UsageSnapshot) else (outcome,)
    return Trial(found, text, document, tuple(getattr(one, "message", str(one)) for one in misfits))


def target_of(text: str) -> Target:
    """The first target of a config's text. Raises ConfigError."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_text(text, encoding="utf-8")
        return load_config(file).targets[0]


def answered(
    target: Target, answers: Mapping[str, Answer], clock: Clock
) -> tuple[UsageDocument, UsageSnapshot | PollError]:
    """What a target's config makes of answers, by request; nobody is asked."""
    outcome = read(answers, target.api, target.organisation.id, clock.now())
    store = Store(clock)
    store.set_targets([target])
    store.record(target, outcome)
    return usage_document(store.states(), clock.now()), outcome
