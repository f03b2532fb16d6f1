"""Mutants of the rules, and whether the kept answers or promtool's unit tests notice one."""

import subprocess
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from exporter.config.fields import parse_duration
from exporter.local.processes import required
from tests.answers.kept import RULES as ANSWERS
from tests.mutation.answers import AnswerTests
from tests.mutation.mutants import mutants
from tests.support.promtool import RULE_FILES, RULES, in_kubernetes

_RECORDING = "recording.yaml"
# Groups without which others mean nothing.
_ALWAYS = ("api-usage-recording", "api-usage-recording-slow", "api-usage")
_OTHER_SEVERITY = {"critical": "warning", "warning": "info", "info": "warning"}
_TIMEOUT_SECONDS = 300
_MINUTE = 60


@dataclass(frozen=True)
class RuleMutant:
    """One change to one rule. position: in its group. value: of the field, then."""

    file: str
    group: str
    position: int
    rule: str
    changed: str
    field: str
    value: Any

    @property
    def name(self) -> str:
        return f"{self.rule}: {self.changed}"

    def text(self, rules: dict[str, Any]) -> str:
        """The YAML of a rule file, such as is read from `file`, with the change."""
        changed = deepcopy(rules)
        (group,) = (group for group in changed["groups"] if group["name"] == self.group)
        group["rules"][self.position][self.field] = self.value
        return _text(changed)


def _text(rules: dict[str, Any]) -> str:
    return yaml.safe_dump(rules, allow_unicode=True)


def rule_mutants() -> Iterator[RuleMutant]:
    for file in RULE_FILES:
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]:
            for position, rule in enumerate(group["rules"]):
                for changed, field, value in _changes(rule):
                    name = rule.get("alert") or rule["record"]
                    yield RuleMutant(file.name, group["name"], position, name, changed, field, value)


def _changes(rule: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for mutant in mutants(rule["expr"]):
        yield mutant.changed, "expr", mutant.expr
    if "for" in rule:
        seconds = parse_duration(rule["for"])
        # Less than the minute between evaluations makes no difference.
        for other in (2 * seconds, seconds / 2) if seconds > _MINUTE else (seconds + _MINUTE,):
            yield f"for {rule['for']} -> {other:g}s", "for", f"{other:g}s"
    severity = rule.get("labels", {}).get("severity")
    if severity is not None:
        other_severity = _OTHER_SEVERITY[severity]
        yield f"severity {severity} -> {other_severity}", "labels", {"severity": other_severity}


@dataclass(frozen=True)
class _UnitTest:
    """A unit test with the rules that it is about, in a folder of its own."""

    file: Path
    rules: dict[str, Any]

    def write(self, mutant: RuleMutant | None = None) -> None:
        for name, document in self.rules.items():
            changed = mutant.text(document) if mutant is not None and name == mutant.file else _text(document)
            (self.file.parent.parent / name).write_text(changed, encoding="utf-8")

    def passes(self) -> bool:
        command = (required("promtool"), "test", "rules", str(self.file))
        try:
            ran = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False
        return ran.returncode == 0


class RuleTests:
    """Copies of the unit tests, whose rules can be changed. One at a time runs in each."""

    def __init__(self, answers: AnswerTests) -> None:
        self._answers = answers
        self._folder = TemporaryDirectory(prefix="mutate-")
        self._units = [self._unit_test(source) for source in sorted((RULES / "tests").glob("*.yaml"))]

    def close(self) -> None:
        self._folder.cleanup()

    def _unit_test(self, source: Path) -> _UnitTest:
        """With the recorded series and the groups of which it names an alert: the others cost time and say nothing."""
        text = in_kubernetes(source.read_text("utf-8"))
        folder = Path(self._folder.name) / source.stem
        (folder / "tests").mkdir(parents=True)
        file = folder / "tests" / source.name
        file.write_text(text, encoding="utf-8")
        rules = {
            each.name: {
                "groups": [
                    group
                    for group in yaml.safe_load(each.read_text("utf-8"))["groups"]
                    if group["name"] in _ALWAYS or any(rule.get("alert", " ") in text for rule in group["rules"])
                ]
            }
            for each in RULE_FILES
        }
        unit = _UnitTest(file, rules)
        unit.write()
        return unit

    def passes(self) -> bool:
        """Whether nothing fails without a change: else every change would seem to be noticed."""
        return all(unit.passes() for unit in self._units)

    def notice(self, mutant: RuleMutant) -> bool:
        # The answers cost next to nothing.
        return self._other_answer(mutant) or self._failing_unit(mutant)

    def _other_answer(self, mutant: RuleMutant) -> bool:
        if mutant.field != "expr":
            return False
        asked = (replace(one, expr=mutant.value) for one in ANSWERS.asked() if one.key == mutant.rule)
        return self._answers.notice(tuple(asked))

    def _failing_unit(self, mutant: RuleMutant) -> bool:
        for unit in self._units:
            # An alert changes nothing but itself.
            if mutant.file == _RECORDING or mutant.rule in unit.file.read_text("utf-8"):
                unit.write(mutant)
                try:
                    if not unit.passes():
                        return True
                finally:
                    unit.write()
        return False
