"""The project's rules and routes with shorter waits, and amtool."""

import subprocess
from pathlib import Path

import yaml

from exporter.local.files import localised
from exporter.local.processes import required
from tests.support.programs import ALERTMANAGER_CONFIG
from tests.support.promtool import RULE_FILES, groups


def quick_rules(folder: Path) -> Path:
    """The rules with 2 seconds for each `for`, and Prometheus' own interval; returns their folder."""
    rules = folder / "rules"
    rules.mkdir()
    for file in RULE_FILES:
        quick = groups(file)
        for group in quick:
            group.pop("interval", None)
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "2s"
        (rules / file.name).write_text(yaml.safe_dump({"groups": quick}, allow_unicode=True), encoding="utf-8")
    return rules


def quick_alertmanager(folder: Path, receiver: str) -> Path:
    """The Alertmanager config with waits of a second; returns its path."""
    waits = {"group_wait: 30s": "group_wait: 1s", "group_interval: 5m": "group_interval: 1s"}
    replacements = {"http://receiver:8080": receiver, **waits}
    return localised(ALERTMANAGER_CONFIG, replacements, folder / "alertmanager.yml")


def amtool(*arguments: str) -> str:
    """Run amtool; fails the test with its output unless it succeeds. Returns what it printed."""
    ran = subprocess.run([required("amtool"), *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
