"""provisioning/alertmanager: its config as it is and with its examples, its routes by amtool, its inhibitions."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from exporter.local.processes import Processes, eventually
from tests.support.alerting import amtool
from tests.support.programs import ALERTMANAGER_CONFIG, start_alertmanager
from tests.support.promtool import rules

ALERTS = rules("alert")


def with_examples(config: str) -> str:
    """The config with its examples uncommented: lines whose # is followed by no single space."""
    return re.sub(r"(?m)^( *)#(?! \S)", r"\1", config)


def test_the_config_is_valid() -> None:
    assert "3 receivers" in amtool("check-config", str(ALERTMANAGER_CONFIG))


def test_the_config_is_valid_with_every_example(tmp_path: Path) -> None:
    text = with_examples(ALERTMANAGER_CONFIG.read_text("utf-8"))
    for example in (
        "\n  smtp_smarthost:",
        "\n    pagerduty_configs:",
        "\n    slack_configs:",
        "\n    email_configs:",
    ):
        assert example in text
    (tmp_path / "alertmanager.yml").write_text(text, encoding="utf-8")
    amtool("check-config", str(tmp_path / "alertmanager.yml"))


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


def test_alerts_are_grouped_by_api_and_organisation() -> None:
    assert "group_by: [api, organisation]" in ALERTMANAGER_CONFIG.read_text("utf-8")


SCOPE = {"job": "usage", "api": "maps", "organisation": "Acme", "scope": "Tiles"}
OTHERS = [{**SCOPE, "scope": "Routes"}, {**SCOPE, "organisation": "Bolt"}, {**SCOPE, "api": "mail"}]
LADDER = ["ApiUsageHigh", "ApiUsageCritical", "ApiUsageLimitReached"]


def alert(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"labels": {"alertname": name, **ALERTS[name]["labels"], **labels}}


@pytest.mark.parametrize(
    ("firing", "told"),
    [
        ([("ApiUsageHigh", SCOPE)], ["ApiUsageHigh"]),
        ([("ApiUsageHigh", SCOPE), ("ApiUsageCritical", SCOPE)], ["ApiUsageCritical"]),
        ([(name, SCOPE) for name in LADDER], ["ApiUsageLimitReached"]),
        # Of another scope, organisation or api: told all the same.
        ([("ApiUsageLimitReached", SCOPE), *(("ApiUsageHigh", other) for other in OTHERS)],
         ["ApiUsageHigh", "ApiUsageHigh", "ApiUsageHigh", "ApiUsageLimitReached"]),
        # Another trouble of the same scope, which may end on its own.
        ([("ApiUsageCritical", SCOPE), ("ApiRequestsRejected", SCOPE), ("ApiUsageProjectedOverLimit", SCOPE)],
         ["ApiRequestsRejected", "ApiUsageCritical", "ApiUsageProjectedOverLimit"]),
        ([("ApiUsageExporterDown", {"job": "usage"}), ("ApiUsageStale", SCOPE)], ["ApiUsageExporterDown"]),
        ([("ApiUsageExporterDown", {}), ("ApiUsageStale", SCOPE)], ["ApiUsageExporterDown"]),
        ([("ApiUsageExporterDown", {"job": "other"}), ("ApiUsageStale", SCOPE)],
         ["ApiUsageExporterDown", "ApiUsageStale"]),
    ],
    ids=["warning", "critical", "limit", "others", "other troubles", "down", "absent", "another job down"],
)  # fmt: skip
def test_inhibitions(
    firing: list[tuple[str, dict[str, str]]], told: list[str], processes: Processes, tmp_path: Path
) -> None:
    url = start_alertmanager(processes, ALERTMANAGER_CONFIG, tmp_path / "alertmanager")
    # Last, a pair of which the warning is inhibited: once it is, Alertmanager has looked at all of them.
    last = [(name, {**SCOPE, "scope": "Last"}) for name in ("ApiUsageHigh", "ApiUsageCritical")]
    alerts = [alert(name, labels) for name, labels in (*firing, *last)]
    assert requests.post(f"{url}/api/v2/alerts", json=alerts, timeout=5).ok

    def not_inhibited() -> list[str]:
        known = requests.get(f"{url}/api/v2/alerts?inhibited=false", timeout=5).json()
        return sorted(item["labels"]["alertname"] for item in known)

    eventually(lambda: not_inhibited() == sorted([*told, "ApiUsageCritical"]))
