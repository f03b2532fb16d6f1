"""Whether the config that `init` drafts from an answer is right, and where it is not, whether that is said."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.figures import Figure, Report
from exporter.config.load import load_config
from exporter.config.preset import documentation, preset_names
from exporter.drafting.answer import jmespath_of, values
from exporter.drafting.config_text import config_text
from exporter.drafting.draft import draft
from exporter.drafting.model import Draft, NothingFoundError
from exporter.errors import ConfigError, PollError
from exporter.model import Answer
from exporter.vendor.reading import map_answers

ANSWERS = Path(__file__).parent / "data" / "answers"
# Answers of several requests, of headers, or with numbers whose names do not say what they are.
_BY_PRESET_ONLY = {"aws-api-gateway", "prometheus", "rate-limit-headers", "openai", "anthropic", "twilio"}
_UTC = ZoneInfo("UTC")
# How sentences on what was taken begin that are no warning of a wrong number.
_NOT_OF_NUMBERS = ("left out", "the names speak of this period")

# Used and limit (None: unlimited) of each scope.
Numbers = frozenset[tuple[float, float | None]]


@dataclass(frozen=True)
class Case:
    """A documented answer, given at a time, and what it says. expected empty: no limit stands in it."""

    name: str
    at: datetime
    body: Any
    expected: Numbers


@dataclass(frozen=True)
class Judged:
    """right: without a correction. said: wrong, but with a question, an error or a sentence on what was taken.

    mended: right after one correction.
    """

    case: Case
    right: bool
    said: bool
    mended: bool


def of_presets() -> Iterator[Case]:
    """The answers that presets were documented with."""
    for preset in sorted(set(preset_names()) - _BY_PRESET_ONLY):
        for name, answer in documentation(preset).good.items():
            body = answer.answers["main"].body
            scopes = answer.expected.scopes
            if scopes and isinstance(body, dict | list):
                expected = frozenset((each["requests"], _limit(each["limit"])) for each in scopes)
                yield Case(f"{preset}/{name}", answer.at, body, expected)


def of_others() -> Iterator[Case]:
    """Answers in the docs of vendors without a preset."""
    for file in sorted(ANSWERS.glob("*.json")):
        found = json.loads(file.read_text("utf-8"))
        expected = frozenset((used, limit) for used, limit in found["expected"])
        yield Case(file.stem, datetime.fromisoformat(found["at"]), found["body"], expected)


def judged(case: Case) -> Judged:
    """How the draft of an answer holds against what it says."""
    found, read = _drafted(case, {})
    if found is None or not found.complete:
        # An error and a question are right where no limit stands in the answer.
        right = not case.expected
        return Judged(case, right, said=True, mended=right or _mended(case))
    right = bool(case.expected) and case.expected <= read
    return Judged(case, right, said=_is_said(case, found, read), mended=right or _mended(case))


def _limit(value: Any) -> float | None:
    return None if value == "unlimited" else value


def _is_said(case: Case, found: Draft, read: Numbers) -> bool:
    """A scope that is left out is no wrong number; a count of another limit is."""
    counts = {used for used, _ in case.expected}
    wrong = {(used, limit) for used, limit in read if used in counts or not case.expected} - case.expected
    taken = [sentence for sentence in found.taken if not sentence.startswith(_NOT_OF_NUMBERS)]
    return not wrong or bool(taken) or any(question.field != "period" for question in found.questions)


def _mended(case: Case) -> bool:
    return any(case.expected <= _drafted(case, {name: value})[1] for name, value in _corrections(case))


def _corrections(case: Case) -> Iterator[tuple[str, str]]:
    """What a person might say in one --set."""
    first, _ = _drafted(case, {})
    if first is not None:
        yield from ((each.field, option.choice) for each in first.questions for option in each.options)
    yield "limit", "sum"
    yield from (("limit", str(limit or "unlimited")) for _, limit in case.expected)
    paths = [jmespath_of(value.path) for value in values(case.body)]
    yield from ((field, path) for field in ("requests", "limit", "remaining", "scopes", "name") for path in paths)


def _drafted(case: Case, chosen: Mapping[str, str]) -> tuple[Draft | None, Numbers]:
    try:
        found = draft(case.body, case.at, _UTC, chosen)
        return found, _numbers(found, case) if found.complete else frozenset()
    except (NothingFoundError, ConfigError, PollError):
        return None, frozenset()


def _numbers(found: Draft, case: Case) -> Numbers:
    """As the drafted config reads them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        request = {"url": "https://api.example.com"}
        file.write_text(config_text("api", request, found, "Main", ""), encoding="utf-8")
        (target,) = load_config(file).targets
    answers = {"main": Answer(case.body)}
    snapshot = map_answers(answers, api=target.api, organisation="main", now=case.at)
    return frozenset((scope.requests, scope.limit) for scope in snapshot.scopes if scope.requests is not None)


def measure() -> Report:
    presets, others = [judged(case) for case in of_presets()], [judged(case) for case in of_others()]
    every = [*presets, *others]
    figures = (
        Figure("answers", len(every)),
        Figure("right without a correction, of presets' answers", _share(presets, "right"), "%", at_least=80),
        Figure("right without a correction, of others", _share(others, "right"), "%", at_least=80),
        Figure("right with at most one correction, of presets' answers", _share(presets, "mended"), "%", at_least=95),
        Figure("right with at most one correction, of others", _share(others, "mended"), "%", at_least=95),
        Figure("wrong numbers without a word", sum(not each.said for each in every), at_most=0),
    )
    about = (
        f"The draft that `init` makes of a documented answer, without its preset: {len(presets)} answers of vendors "
        f"with a preset, and {len(others)} of others. The rules that pick numbers "
        "were not made with most of those of others (benchmarks/data/README.md). A correction is one `--set`. "
        "Right: the used number and the limit of each scope."
    )
    wrong = [each.case.name for each in every if not each.right]
    summary = {"init": {"answers": len(every), "wrong": wrong, "silent": _silent(every)}}
    return Report("Drafted configs", about, figures, summary=summary)


def _silent(every: list[Judged]) -> list[str]:
    return [each.case.name for each in every if not each.said]


def _share(found: list[Judged], what: str) -> float:
    return 100 * sum(bool(getattr(each, what)) for each in found) / len(found)
