"""promtool's unit tests, from YAML files and from tables in Python."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from exporter.local.processes import required
from tests.support.programs import ROOT

RULES = ROOT / "alert_rules"
RULE_FILES = (RULES / "recording.yaml", RULES / "alerts.yaml")


def groups(*files: Path) -> list[dict[str, Any]]:
    """The rule groups of the files, in their order; of both rule files if none are given."""
    return [group for file in files or RULE_FILES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Rules by name. kind: `alert` or `record`."""
    return {rule[kind]: rule for group in groups() for rule in group["rules"] if kind in rule}


def selector(metric: str, **labels: str) -> str:
    """A series as promtool's input names it."""
    values = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{metric}{{{values}}}"


def run_rules_test(
    folder: Path,
    series: Mapping[str, str],
    *,
    samples: Mapping[tuple[str, str], Mapping[str, float]] | None = None,
    alerts: Sequence[Mapping[str, Any]] = (),
    files: Sequence[Path] = RULE_FILES,
    interval: str = "1m",
) -> None:
    """Run one unit test with samples and evaluations an interval apart from 1970-01-01 00:00 UTC; fails with its output.

    series: promtool's values (such as 1x60) by series. samples: by (query, time), the value of each series expected.
    alerts: promtool's alert_rule_test entries. files: the rules that are tested.
    """
    queries = [
        {
            "expr": query,
            "eval_time": at,
            "exp_samples": [{"labels": name, "value": value} for name, value in expected.items()],
        }
        for (query, at), expected in (samples or {}).items()
    ]
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": queries,
        "alert_rule_test": list(alerts),
    }
    file = folder / "rules_test.yaml"
    file.write_text(rules_tests([test], files=files, interval=interval), encoding="utf-8")
    promtool("test", "rules", str(file))


def rules_tests(
    tests: Sequence[Mapping[str, Any]], *, files: Sequence[Path] = RULE_FILES, interval: str = "1m"
) -> str:
    """A file of unit tests, as promtool takes it."""
    document = {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": interval,
        "group_eval_order": [group["name"] for group in groups(*files)],
        "tests": list(tests),
    }
    return yaml.safe_dump(document, allow_unicode=True)


def in_kubernetes(test: str) -> str:
    """A unit test's text with all the labels by which replicas are told apart, in place of `instance` alone."""
    test = re.sub(r'instance="(\w+)"(?!,pod=)', r'instance="\1",pod="\1-0",container="\1-c",endpoint="\1-e"', test)
    return re.sub(r"instance: (\w+)", r"instance: \1, pod: \1-0, container: \1-c, endpoint: \1-e", test)


def promtool(*arguments: str) -> None:
    """Run promtool; fails the test with its output unless it succeeds."""
    ran = subprocess.run([required("promtool"), *arguments], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
