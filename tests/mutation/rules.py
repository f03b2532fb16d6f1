"""Mutants of the rules, and whether promtool's unit tests and the tables beside them notice one."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from exporter.config.fields import parse_duration
from exporter.local.processes import required
from tests.mutation.mutants import mutants
from tests.support.programs import ROOT
from tests.support.promtool import RULE_FILES, RULES, in_kubernetes

# What a copy of the project needs for its tests of rules.
_COPIED = ("alert_rules", "dashboards", "exporter", "tests", "pyproject.toml", "provisioning", "README.md", "docs")
# Tests beside the unit tests that evaluate the rules; those that only read them would notice any change.
_OF_ALL = (
    "tests/alert_rules/test_missed_scrapes.py::test_an_alert_stands_for_ten_minutes_without_a_scrape_and_no_longer",
)
_OF_LADDER = tuple(
    f"tests/alert_rules/test_alert_rules.py::{name}"
    for name in (
        "test_each_band_begins_where_the_thresholds_say_and_after_its_for",
        "test_boundaries_hold_within_the_error_of_floats",
        "test_an_alert_ends_a_hundredth_below_where_it_began",
        "test_a_quotient_is_the_ratio_that_a_site_writes",
    )
)
_BURNING = ("tests/alert_rules/test_burn_rates.py",)
_PROJECTED = ("tests/alert_rules/test_projected.py",)
_OF_GROUP = {
    "api-usage-recording": (*_OF_LADDER, *_BURNING, *_PROJECTED),
    "api-usage": _OF_LADDER,
    "api-usage-burning": _BURNING,
    "api-usage-forecast": _PROJECTED,
    "api-rate-limit": (
        "tests/alert_rules/test_alert_rules.py::test_the_rate_alert_begins_at_its_ratio_and_after_its_for",
    ),
    "api-usage-inventory": (
        "tests/alert_rules/test_alert_rules.py"
        "::test_a_usage_alert_does_not_end_before_it_is_said_that_the_exporter_is_down",
    ),
    "api-usage-exporter": ("tests/alert_rules/test_alert_rules.py::test_one_refused_poll_alerts_nobody",),
}
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")
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

    @property
    def groups(self) -> set[str]:
        return {group["name"] for document in self.rules.values() for group in document["groups"]}

    def write(self, mutant: RuleMutant | None = None) -> None:
        for name, document in self.rules.items():
            changed = mutant.text(document) if mutant is not None and name == mutant.file else _text(document)
            (self.file.parent.parent / name).write_text(changed, encoding="utf-8")


class RuleTests:
    """Copies of the tests, whose rules can be changed. One at a time runs in each."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mutate-"))
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self._folder / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
            else:
                shutil.copy(source, self._folder / name)
        sources = sorted((RULES / "tests").glob("*.yaml"), key=_seconds_of)
        self._units = [self._unit_test(source) for source in sources]

    def close(self) -> None:
        shutil.rmtree(self._folder)

    def _unit_test(self, source: Path) -> _UnitTest:
        """With the recorded series and the groups of which it names an alert: the others cost time and say nothing."""
        text = in_kubernetes(source.read_text("utf-8"))
        folder = self._folder / "units" / source.stem
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

    def notice(self, mutant: RuleMutant) -> str | None:
        """The first test that fails; None where all pass."""
        return self._failing_unit(mutant) or self._failing_table(mutant)

    def passes(self) -> bool:
        """Whether nothing fails without a change: else every change would seem to be noticed."""
        units = all(self._run(required("promtool"), "test", "rules", str(unit.file)) == 0 for unit in self._units)
        return units and self._run(*_PYTEST, *_OF_ALL, *{test for tests in _OF_GROUP.values() for test in tests}) == 0

    def _failing_unit(self, mutant: RuleMutant) -> str | None:
        about = [unit for unit in self._units if mutant.rule in unit.file.read_text("utf-8")]
        for unit in (*about, *(unit for unit in self._units if unit not in about)):
            if mutant.group not in unit.groups:
                continue
            unit.write(mutant)
            try:
                if self._run(required("promtool"), "test", "rules", str(unit.file)):
                    return unit.file.name
            finally:
                unit.write()
        return None

    def _failing_table(self, mutant: RuleMutant) -> str | None:
        file = self._folder / "alert_rules" / mutant.file
        original = file.read_text("utf-8")
        file.write_text(mutant.text(yaml.safe_load(original)), encoding="utf-8")
        try:
            tables = (*_OF_ALL, *_OF_GROUP.get(mutant.group, ()))
            return "the tables" if self._run(*_PYTEST, *tables) else None
        finally:
            file.write_text(original, encoding="utf-8")

    def _run(self, *command: str) -> int:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ran = subprocess.run(
                command, cwd=self._folder, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False, env=environment
            )
        except subprocess.TimeoutExpired:
            return 1
        return ran.returncode


@cache
def _seconds_of(test: Path) -> float:
    """How long a unit test takes: the quickest are asked first."""
    began = time.monotonic()
    subprocess.run([required("promtool"), "test", "rules", str(test)], capture_output=True, check=False)
    return time.monotonic() - began
