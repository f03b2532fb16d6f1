"""What every alert says, as the one who is woken reads it: rendered by promtool, kept in notifications/, and read.

A text that was changed on purpose is written anew with `python -m tests.alert_rules.test_notifications`; then read it:
what, how much, what happens next and by when, whom to ask, two links.
"""

import ast
import math
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.local.processes import required
from tests.support.promtool import RULES, rules, rules_tests

KEPT = Path(__file__).with_name("notifications")
ALERTS = rules("alert")


@dataclass(frozen=True)
class Notification:
    """labels, annotations: as Alertmanager gets them."""

    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def text(self) -> str:
        others = {name: value for name, value in self.labels.items() if name not in ("alertname", "severity")}
        return "\n".join(
            (
                f"[{self.labels['severity']}] {self.annotations['summary']}",
                "",
                textwrap.fill(self.annotations["description"], 100, break_long_words=False, break_on_hyphens=False),
                "",
                f"Labels: {', '.join(f'{name}={value}' for name, value in sorted(others.items()))}",
                f"Runbook: {self.annotations['runbook_url']}",
                f"Dashboard: {self.annotations['dashboard_url']}",
                "",
            )
        )


def firing_tests() -> Iterator[dict[str, Any]]:
    """For each alert the unit test in which it fires soonest, since promtool works through all the time before."""
    soonest: dict[str, tuple[float, dict[str, Any]]] = {}
    for file in sorted((RULES / "tests").glob("*.yaml")):
        # All of it as texts: 0x60 is promtool's, and no number.
        for test in yaml.load(file.read_text("utf-8"), yaml.BaseLoader)["tests"]:  # noqa: S506 - makes nothing but texts
            for case in test.get("alert_rule_test", ()):
                evaluations = seconds(case["eval_time"]) / seconds(test["interval"])
                if case["exp_alerts"] and evaluations < soonest.get(case["alertname"], (math.inf,))[0]:
                    given = {"interval": test["interval"], "input_series": test["input_series"]}
                    soonest[case["alertname"]] = (
                        evaluations,
                        {**given, "alert_rule_test": [{**case, "exp_alerts": []}]},
                    )
    yield from (test for _, test in soonest.values())


def seconds(duration: str | int) -> float:
    """Of a duration as Prometheus writes it, such as 1d2h30m."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", str(duration)))


@cache
def notifications() -> dict[str, Notification]:
    """By alert. promtool prints what it got where it expected nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(rules_tests(list(firing_tests())))
        file.flush()
        command = [required("promtool"), "test", "rules", file.name]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    rendered = [_parsed(match) for match in _GOT.finditer(ran.stdout + ran.stderr)]
    return {one.labels["alertname"]: one for one in reversed(rendered)}


_GOT = re.compile(r"Labels:(\{.*\})\s+Annotations:(\{.*\})")
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')


def _parsed(got: re.Match[str]) -> Notification:
    labels, annotations = (
        {name: ast.literal_eval(value) for name, value in _PAIR.findall(part)} for part in got.groups()
    )
    return Notification(labels, annotations)


@pytest.mark.parametrize("name", ALERTS)
def test_a_notification_is_as_it_was_read(name: str) -> None:
    assert notifications()[name].text == (KEPT / f"{name}.txt").read_text("utf-8")


def test_no_notification_is_of_something_else() -> None:
    assert {file.stem for file in KEPT.iterdir()} == set(ALERTS)


# What no reader should meet, whatever the text is.
BAD = {
    "a number in powers of ten": r"\de[+-]\d",
    "a mistake of a template": r"%!|<no value>|<nil>|\{\{",
    "a value that is none": r"\b[+-]?(?:NaN|Inf)\b",
    "digits without separators": r"(?<![\w.:/=-])\d{5,}(?![\w:/-])",
    "many decimals": r"\d\.\d{3,}",
    "two blanks": r"\S  +\S",
    "a blank before a mark": r" [,.;:)](?: |$)",
    "a sentence that does not end": r"[^.]$",
    "an old figure without a unit": r"\b0s old",
}


@pytest.mark.parametrize("name", ALERTS)
def test_a_notification_reads_well(name: str) -> None:
    annotations = notifications()[name].annotations
    found = [what for what, pattern in BAD.items() if re.search(pattern, annotations["description"])]
    assert found == []
    assert [what for what in list(BAD)[:6] if re.search(BAD[what], annotations["summary"])] == []


def write() -> None:
    missing = set(ALERTS) - set(notifications())
    if missing:
        raise SystemExit(f"no unit test makes these fire: {', '.join(sorted(missing))}")
    KEPT.mkdir(exist_ok=True)
    for file in KEPT.glob("*.txt"):
        file.unlink()
    for name, notification in notifications().items():
        (KEPT / f"{name}.txt").write_text(notification.text, encoding="utf-8")


if __name__ == "__main__":
    write()
