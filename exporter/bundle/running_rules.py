"""Where the rules that a Prometheus has loaded differ from the bundle's.

By its HTTP API, GET /api/v1/rules: https://prometheus.io/docs/prometheus/latest/querying/api/#rules. vmalert, Mimir
and Thanos Ruler have it too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from exporter.bundle.asking import Server
from exporter.bundle.difference import Difference
from exporter.config.fields import format_duration, parse_duration
from exporter.errors import CheckError

RULES_PATH = "/api/v1/rules"


@dataclass(frozen=True)
class Rule:
    """One rule, loaded or of the bundle.

    expr: as Prometheus formats it, where it can be asked to. holds, keep_firing: `for` and `keep_firing_for` in
    seconds.
    """

    group: str
    name: str
    expr: str
    holds: float
    keep_firing: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class _ApiRule(BaseModel):
    name: str
    query: str
    duration: float | None = None
    keepFiringFor: float | None = None  # noqa: N815 - the API's name
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _ApiGroup(BaseModel):
    name: str
    file: str = ""
    interval: float | None = None
    rules: list[_ApiRule]


class _ApiData(BaseModel):
    groups: list[_ApiGroup]


class _ApiAnswer(BaseModel):
    """What is read of the answer; durations are seconds."""

    data: _ApiData


def rule_differences(server: Server, texts: Iterable[str]) -> list[Difference]:
    """texts: the bundle's rule files, as YAML. Raises CheckError where the server cannot be asked."""
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    loaded = _loaded_groups(server)
    first = {group.name: group for group in reversed(loaded)}
    formatted = _formatter(server)
    ours = [_of_file(group["name"], rule, formatted) for group in groups for rule in group["rules"]]
    names = [group["name"] for group in groups if group["name"] in first]
    theirs = [_of_api(name, rule, formatted) for name in names for rule in first[name].rules]
    return [
        *_twice(loaded, {group["name"] for group in groups}, {rule.name for rule in ours}),
        *_intervals(groups, first),
        *_compared(ours, theirs),
    ]


def _loaded_groups(server: Server) -> list[_ApiGroup]:
    try:
        return _ApiAnswer.model_validate(server.get(RULES_PATH)).data.groups
    except ValidationError:
        raise CheckError(f"{server.url}{RULES_PATH} does not answer as Prometheus does; is it one?") from None


Formatter = Callable[[str], str]


def _formatter(server: Server) -> Formatter:
    """Writes an expression as the server would, so that only what it means is compared; else without its layout."""

    @cache
    def formatted(expr: str) -> str:
        answer = server.post("/api/v1/format_query", {"query": expr})
        found = answer.get("data") if isinstance(answer, dict) else None
        return found if isinstance(found, str) else " ".join(expr.split())

    return formatted


def _of_file(group: str, rule: Mapping[str, Any], formatted: Formatter) -> Rule:
    return Rule(
        group,
        rule.get("alert") or rule["record"],
        formatted(rule["expr"]),
        parse_duration(rule.get("for", "0")),
        parse_duration(rule.get("keep_firing_for", "0")),
        rule.get("labels", {}),
        rule.get("annotations", {}),
    )


def _of_api(group: str, rule: _ApiRule, formatted: Formatter) -> Rule:
    return Rule(
        group,
        rule.name,
        formatted(rule.query),
        rule.duration or 0,
        rule.keepFiringFor or 0,
        rule.labels or {},
        rule.annotations or {},
    )


def _twice(loaded: Iterable[_ApiGroup], groups: set[str], names: set[str]) -> Iterator[Difference]:
    """What is loaded from several files alerts several times."""
    files: defaultdict[str, list[str]] = defaultdict(list)
    for group in loaded:
        if group.name in groups:
            files[group.name].append(group.file)
        else:
            for name in sorted({rule.name for rule in group.rules} & names):
                yield Difference(f"{name} is loaded in the group {group.name} as well", (group.file,))
    for name, places in files.items():
        if len(places) > 1:
            yield Difference(f"the group {name} is loaded {len(places)} times", tuple(places))


def _intervals(groups: Iterable[Mapping[str, Any]], loaded: Mapping[str, _ApiGroup]) -> Iterator[Difference]:
    for group in groups:
        name, wanted = group["name"], group.get("interval")
        running = loaded[name].interval if name in loaded else None
        if wanted and running and parse_duration(wanted) != running:
            yield Difference(f"the group {name}", (f"interval: {format_duration(running)}, in the bundle {wanted}",))


def _compared(ours: list[Rule], theirs: list[Rule]) -> Iterator[Difference]:
    # Several rules of a group may have one name, as when one is recorded in parts: they are compared in their order.
    wanted, running = _by_name(ours), _by_name(theirs)
    for key, rules in wanted.items():
        loaded = running.get(key, [])
        for rule, other in zip(rules, loaded, strict=False):
            if lines := tuple(_lines(rule, other)):
                yield Difference(f"{rule.group}: {rule.name}", lines)
        for rule in rules[len(loaded) :]:
            yield Difference(f"{rule.group}: {rule.name} is not loaded")
    for key, rules in running.items():
        for rule in rules[len(wanted.get(key, [])) :]:
            yield Difference(f"{rule.group}: {rule.name} is loaded, and not in the bundle")


def _by_name(rules: Iterable[Rule]) -> dict[tuple[str, str], list[Rule]]:
    found: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
    for rule in rules:
        found[rule.group, rule.name].append(rule)
    return found


def _lines(ours: Rule, theirs: Rule) -> Iterator[str]:
    if ours.expr != theirs.expr:
        yield "expr:"
        diff = unified_diff(theirs.expr.splitlines(), ours.expr.splitlines(), lineterm="", n=1)
        yield from (f"  {line}" for line in diff if not line.startswith(("---", "+++", "@@")))
    for field, running, wanted in (
        ("for", theirs.holds, ours.holds),
        ("keep_firing_for", theirs.keep_firing, ours.keep_firing),
    ):
        if running != wanted:
            yield f"{field}: {format_duration(running)}, in the bundle {format_duration(wanted)}"
    for kind, running_texts, wanted_texts in (
        ("labels", theirs.labels, ours.labels),
        ("annotations", theirs.annotations, ours.annotations),
    ):
        for name in sorted({*running_texts, *wanted_texts}):
            before, after = running_texts.get(name), wanted_texts.get(name)
            if before != after:
                yield f"{kind}.{name}:"
                yield from (f"  {mark} {text}" for mark, text in (("-", before), ("+", after)) if text is not None)
