"""provisioning/alertmanager: its config as it is and with its examples, its routes by amtool, its inhibitions."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from exporter.local.processes import Processes, eventually
from tests.support.alerting import amtool
from tests.support.programs import ALERTMANAGER_CONFIG, start_alertmanager
from tests.support.promtool import rules
from tests.support.receivers import localised_config, with_examples

ALERTS = rules("alert")


CONFIG = yaml.safe_load(ALERTMANAGER_CONFIG.read_text("utf-8"))


def test_the_config_and_its_templates_are_valid() -> None:
    checked = amtool("check-config", str(ALERTMANAGER_CONFIG))
    assert "3 receivers" in checked
    assert re.search(r"- 1 templates?\n.*SUCCESS", checked, re.DOTALL)


def test_the_config_is_valid_with_every_example(tmp_path: Path) -> None:
    config = localised_config(tmp_path, {})
    text = config.read_text("utf-8")
    for example in (
        "\n  smtp_smarthost:",
        "\n    pagerduty_configs:",
        "\n    slack_configs:",
        "\n    email_configs:",
    ):
        assert example in text
    amtool("check-config", str(config))


def test_secrets_come_from_files() -> None:
    text = with_examples(ALERTMANAGER_CONFIG.read_text("utf-8"))
    for setting in re.findall(r"\b\w*(?:password|routing_key|service_key|api_url|token)\w*(?=:)", text):
        assert setting.endswith("_file"), setting


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_reaches_the_receiver_of_its_severity(name: str) -> None:
    severity = ALERTS[name]["labels"]["severity"]
    receiver = {"critical": "page", "warning": "ticket", "info": "info"}[severity]
    labels = (f"alertname={name}", f"severity={severity}", "api=maps", "organisation=Acme", "team=web")
    amtool(
        "config", "routes", "test", f"--config.file={ALERTMANAGER_CONFIG}", f"--verify.receivers={receiver}", *labels
    )


def test_tickets_are_grouped_by_api_and_organisation() -> None:
    assert CONFIG["route"]["group_by"] == ["api", "organisation"]


def test_repeats_fit_the_severity_and_are_not_forgotten() -> None:
    """Of an alert that stands for ten days; Alertmanager remembers for five what it has sent."""
    repeats = {}
    for severity in ("critical", "warning", "info"):
        (route,) = [one for one in CONFIG["route"]["routes"] if one["matchers"] == [f'severity="{severity}"']]
        interval = {**CONFIG["route"], **route}["repeat_interval"]
        assert re.fullmatch(r"[1-5]d", interval)
        repeats[severity] = 10 // int(interval[:-1])
    assert repeats == {"critical": 10, "warning": 3, "info": 2}


def test_only_alerts_that_end_together_inhibit_each_other() -> None:
    """The bands of a scope's ladder read one ratio; of whatever else is held back, the end would never be sent."""
    named = {name for rule in CONFIG["inhibit_rules"] for name in re.findall(r"Api\w+", str(rule))}
    assert named == set(LADDER)


SCOPE = {"job": "usage", "api": "maps", "organisation": "Acme", "scope": "Tiles"}
OTHERS = [
    {**SCOPE, name: other}
    for name, other in (
        ("scope", "Routes"),
        ("organisation", "Bolt"),
        ("api", "mail"),
        ("job", "staging"),
        ("cluster", "staging"),
        ("namespace", "staging"),
    )
]
LADDER = ["ApiUsageHigh", "ApiUsageCritical", "ApiUsageLimitReached"]


def alert(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"labels": {"alertname": name, **ALERTS[name]["labels"], **labels}}


@pytest.mark.parametrize(
    ("firing", "sent"),
    [
        ([("ApiUsageHigh", SCOPE)], ["ApiUsageHigh"]),
        ([("ApiUsageHigh", SCOPE), ("ApiUsageCritical", SCOPE)], ["ApiUsageCritical"]),
        ([(name, SCOPE) for name in LADDER], ["ApiUsageLimitReached"]),
        # Of another scope, organisation, api, job, cluster or namespace: sent all the same.
        ([("ApiUsageLimitReached", SCOPE), *(("ApiUsageHigh", other) for other in OTHERS)],
         [*["ApiUsageHigh"] * len(OTHERS), "ApiUsageLimitReached"]),
        # Another trouble of the same scope, which may end on its own.
        ([("ApiUsageCritical", SCOPE), ("ApiRequestsRejected", SCOPE), ("ApiUsageProjectedOverLimit", SCOPE)],
         ["ApiRequestsRejected", "ApiUsageCritical", "ApiUsageProjectedOverLimit"]),
        # Ends on its own, when the figures are fresh again or the series are gone.
        ([("ApiUsageExporterDown", {"job": "usage"}), ("ApiUsageStale", SCOPE)],
         ["ApiUsageExporterDown", "ApiUsageStale"]),
    ],
    ids=["warning", "critical", "limit", "others", "other troubles", "down"],
)  # fmt: skip
def test_inhibitions(
    firing: list[tuple[str, dict[str, str]]], sent: list[str], processes: Processes, tmp_path: Path
) -> None:
    url = start_alertmanager(processes, ALERTMANAGER_CONFIG, tmp_path / "alertmanager")
    # Last, a pair of which the warning is inhibited: once it is, Alertmanager has looked at all of them.
    last = [(name, {**SCOPE, "scope": "Last"}) for name in ("ApiUsageHigh", "ApiUsageCritical")]
    alerts = [alert(name, labels) for name, labels in (*firing, *last)]
    assert requests.post(f"{url}/api/v2/alerts", json=alerts, timeout=5).ok

    def not_inhibited() -> list[str]:
        known = requests.get(f"{url}/api/v2/alerts?inhibited=false", timeout=5).json()
        return sorted(item["labels"]["alertname"] for item in known)

    eventually(lambda: not_inhibited() == sorted([*sent, "ApiUsageCritical"]))
