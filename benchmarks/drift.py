"""Whether an answer that changed is noticed before it is a wrong number, over all presets, and what that costs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from benchmarks.figures import Figure, Report
from exporter.config.load import Target, load_example
from exporter.config.preset import DocumentedAnswer, preset_names
from exporter.errors import PollError
from exporter.model import Answer, ScopeUsage, UsageSnapshot
from exporter.vendor.documented import answers_of, read, scope_as_json
from exporter.vendor.drift import Drift, Expectation, Place, held_back, kind_of
from exporter.vendor.one_poll import Outcome
from exporter.vendor.reading import holds_error

Path = tuple[str | int, ...]
_GONE = object()
# What is published of a scope, beside labels.
_NUMBERS = ("requests", "limit", "rate_limit_per_minute", "rejected", "period", "daily")
_SCOPES, _DAYS, _ROUNDS = 100, 30, 21


@dataclass(frozen=True)
class Change:
    """A documented answer of a preset, changed in one place that the preset reads. what: was done to it."""

    preset: str
    case: str
    request: str
    path: Path
    what: str
    answer: DocumentedAnswer

    def __str__(self) -> str:
        return f"{self.preset}, {self.case}: {self.request} {'.'.join(map(str, self.path))}: {self.what}"


@dataclass(frozen=True)
class Noticed:
    """How it went. is_named: whether the field, or what is in it, is. wrong: scopes published with other numbers."""

    change: Change
    is_named: bool
    wrong: tuple[ScopeUsage, ...]


def noticed() -> list[Noticed]:
    """Every preset's documented answers, changed in each place that is read."""
    found = []
    for preset in preset_names():
        target = load_example(preset, in_place_of_secrets="none")
        expectation = Expectation(target.documentation.good.values(), target.api)
        for case, documented in target.documentation.good.items():
            found += [_notice(target, expectation, change) for change in _changes(preset, case, documented, target)]
    return found


def _changes(preset: str, case: str, documented: DocumentedAnswer, target: Target) -> Iterator[Change]:
    answers = answers_of(documented, target.api)
    assert answers is not None  # noqa: S101
    for place in Expectation(target.documentation.good.values(), target.api).places(answers):
        body = documented.answers[place.request].body
        for what, value in _made_of(_at(body, place.path), place):
            changed = documented.answers[place.request].model_copy(update={"body": _put(body, place.path, value)})
            answer = documented.model_copy(update={"answers": {**documented.answers, place.request: changed}})
            yield Change(preset, case, place.request, place.path, what, answer)


def _made_of(value: Any, place: Place) -> Iterator[tuple[str, Any]]:
    """What the value is changed to, but for what is documented there as well."""
    if not place.may_lack and place.path:
        yield "gone", _GONE
    yield "in a list", [value]
    yield "in an object", {"value": value}
    others = {"null": None, "a truth": True, "a number": 12, "below 0": -7, "a text": "see the new API"}
    if isinstance(value, int | float) and not isinstance(value, bool):
        others["a text"] = str(value)
    for what, other in others.items():
        if kind_of(other) not in place.kinds or (what == "below 0" and isinstance(value, int | float)):
            yield what, other


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, dict):
        changed = {**value, path[0]: _put(value.get(path[0]), path[1:], new)}
        return {key: member for key, member in changed.items() if member is not _GONE}
    return [_put(one, path[1:], new) if index == path[0] else one for index, one in enumerate(value)]


def _notice(target: Target, expectation: Expectation, change: Change) -> Noticed:
    answers = answers_of(change.answer, target.api)
    assert answers is not None  # noqa: S101
    # An error inside a 200 names the expression that finds it, and is no answer to look for drift in.
    is_error = holds_error(answers, target.api)
    drifts = () if is_error else expectation.drifts(answers)
    is_named = is_error or any(drift.path[: len(change.path)] == change.path for drift in drifts)
    return Noticed(change, is_named, tuple(_wrong(change, target, _read(target, change.answer, answers, drifts))))


def _read(
    target: Target, documented: DocumentedAnswer, answers: dict[str, Answer], drifts: tuple[Drift, ...]
) -> Outcome:
    """As a poll reads it."""
    api, organisation, now = target.api, documented.organisation, documented.at
    outcome = read(answers, api, organisation, now)
    if not drifts or isinstance(outcome, PollError):
        return outcome
    try:
        return held_back(outcome, drifts, answers, api=api, organisation=organisation, now=now)
    except PollError as error:
        return error


def _wrong(change: Change, target: Target, outcome: Outcome) -> Iterator[ScopeUsage]:
    if not isinstance(outcome, UsageSnapshot):
        return
    before = {scope["name"]: scope for scope in target.documentation.answers[change.case].expected.scopes}
    for scope in outcome.scopes:
        now, then = scope_as_json(scope), before.get(scope.name, {})
        if any(name in now and now[name] != then.get(name) for name in _NUMBERS):
            yield scope


def measure() -> Report:
    found = noticed()
    named = sum(one.is_named for one in found) / len(found)
    reading, looking = _costs()
    figures = (
        Figure("changed answers", len(found), at_least=200),
        Figure("named, the field or what is in it", 100 * named, "%", at_least=95),
        Figure("scopes published with a wrong number", sum(len(one.wrong) for one in found), at_most=0),
        Figure("reading an answer", reading, "ms"),
        Figure("holding it against the documented ones", looking, "ms"),
        Figure("holding it / reading it", looking / reading, at_most=0.2),
    )
    about = (
        f"Every documented answer of {len(preset_names())} presets, changed in each place that the preset reads: "
        "gone, null, in a list or an object, of another type, below 0, but for what is documented there as well. "
        f"Processor time, median of {_ROUNDS}, of an answer in the standard contract: {_SCOPES} scopes of {_DAYS} "
        "days each."
    )
    return Report("Answers that change", about, figures)


def _costs() -> tuple[float, float]:
    """Milliseconds of processor time to read an answer, and to hold it against what is documented."""
    target = load_example("standard", in_place_of_secrets="none")
    documented = target.documentation.answers["ok"]
    (scope, *_) = documented.answers["main"].body["scopes"]
    last = documented.at.date()
    days = [{"date": str(last - timedelta(days=back)), "requests": 21} for back in range(_DAYS)]
    scopes = [{**scope, "name": f"scope-{number}", "daily": days} for number in range(_SCOPES)]
    answers = {"main": Answer({"scopes": scopes})}
    expectation = Expectation(target.documentation.good.values(), target.api)
    assert expectation.drifts(answers) == ()  # noqa: S101
    reading = _milliseconds(lambda: read(answers, target.api, documented.organisation, documented.at))
    return reading, _milliseconds(lambda: expectation.drifts(answers))


def _milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        run()
        times.append(1000 * (time.process_time() - began))
    return median(times)
