"""Usage at a vendor rises and falls; a real exporter, Prometheus and Alertmanager tell a webhook of it, or vmalert does.

The rules and the Alertmanager config are the project's own, with shorter waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from werkzeug.wrappers import Response

from exporter.alerting.watch import alerts_of
from exporter.clock import SystemClock
from exporter.config.alerts import AlertsSource
from exporter.demo.accounts import OrganisationAccount, ScopeAccount
from exporter.demo.meter import Meter, period_of
from exporter.demo.receiver import Alert, Inbox
from exporter.demo.receiver import create_app as create_receiver
from exporter.demo.vendor import create_app
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus
from tests.support.alerting import quick_alertmanager, quick_rules
from tests.support.http import serve
from tests.support.programs import start_alertmanager, start_exporter, start_victoria_metrics, start_vmalert

ORGANISATION = 'O\'Brien & "Söhne" (EU)'
SLOW, JUMPY = "Import\\Export", "Maps (v2.1)"
ACCOUNT = OrganisationAccount(
    "obrien",
    ORGANISATION,
    (
        ScopeAccount("import-export", SLOW, "Team", 10_000, 5_000, 60),
        ScopeAccount("maps-v2.1", JUMPY, "Team", 10_000, 5_000, 60),
    ),
)


class VendorClock:
    """The last hour of the month before, until it is turned to the present one."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._behind = now - period_of(now.date()).start + timedelta(hours=1)

    def __call__(self) -> datetime:
        return datetime.now(UTC) - self._behind

    def turn_to_the_next_period(self) -> None:
        self._behind = timedelta(0)


@dataclass(frozen=True)
class Stack:
    clock: VendorClock
    vendor: str
    prometheus: str
    alertmanager: str
    vmalert: str
    inbox: Inbox
    receiver: str

    def use(self, scope: str, requests_made: int) -> None:
        """Let so many requests of the scope (by its id) have been made in the period."""
        url = f"{self.vendor}/usage/obrien/{scope}"
        assert requests.post(url, json={"requests": requests_made}, timeout=5).ok

    def told(self, receiver: str, name: str, scope: str, *, resolved: bool = False) -> list[Alert]:
        """What the receiver was told of an alert, the newest first."""
        return [
            alert
            for notification in self.inbox.newest_first()
            if notification.receiver == receiver
            for alert in notification.alerts
            if (alert.name, alert.labels.get("scope"), alert.resolved) == (name, scope, resolved)
        ]

    def suppressed(self, name: str) -> set[str]:
        """The scopes of which Alertmanager holds the alert back for another one."""
        alerts = requests.get(f"{self.alertmanager}/api/v2/alerts", timeout=5).json()
        return {
            str(alert["labels"].get("scope"))
            for alert in alerts
            if alert["labels"]["alertname"] == name and alert["status"]["inhibitedBy"]
        }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("alerting")
    clock, inbox = VendorClock(), Inbox()
    with (
        serve(create_app(Meter([ACCOUNT], clock=clock))) as vendor,
        serve(create_receiver(inbox)) as receiver,
        serve(Response(status=200)) as nobody,
        Processes(folder) as processes,
    ):
        exporter = start_exporter(processes, exporter_config(folder, vendor))
        alertmanager = start_alertmanager(processes, quick_alertmanager(folder, receiver), folder / "alertmanager")
        victoria = start_victoria_metrics(processes, folder / "victoria")
        rules = quick_rules(folder)
        config = prometheus_config(folder, exporter, alertmanager, victoria, rules)
        flags = ("--rules.alert.resend-delay=1s", "--storage.remote.flush-deadline=1s")
        prometheus = start_prometheus(processes, config, folder / "tsdb", *flags)
        vmalert = start_vmalert(processes, victoria, rules, nobody)
        yield Stack(clock, vendor, prometheus, alertmanager, vmalert, inbox, receiver)


def exporter_config(folder: Path, vendor: str) -> Path:
    api = {
        "name": "demo",
        "preset": "standard",
        "url": f"{vendor}/v1/organisations/{{organisation_id}}/usage",
        "auth": {"type": "bearer", "token": "demo-token"},
        "poll_interval": "1s",
        "stale_after": "1m",
        "organisations": [{"id": "obrien", "name": ORGANISATION, "labels": {"team": "eu"}}],
    }
    config = {"organisation_labels": ["team"], "min_poll_interval": "1s", "apis": [api]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "config.yaml"


def prometheus_config(folder: Path, exporter: str, alertmanager: str, victoria: str, rules: Path) -> Path:
    def targets(url: str) -> list[dict[str, Any]]:
        return [{"targets": [url.removeprefix("http://")]}]

    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [f"{rules}/*.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": targets(alertmanager)}]},
        "remote_write": [
            {
                "url": f"{victoria}/api/v1/write",
                "queue_config": {"batch_send_deadline": "1s"},
                # What the rules of Prometheus have made, vmalert is to make itself.
                "write_relabel_configs": [
                    {"source_labels": ["__name__"], "regex": "ALERTS.*|.+:.+", "action": "drop"}
                ],
            }
        ],
        "scrape_configs": [{"job_name": "usage", "static_configs": targets(exporter)}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "prometheus.yml"


Labels = tuple[tuple[str, str], ...]


def firing(server: str) -> dict[Labels, dict[str, str]]:
    """Annotations of the firing alerts by their labels, from Prometheus or vmalert, which names alerts beside these."""
    alerts = requests.get(f"{server}/api/v1/alerts", timeout=5).json()["data"]["alerts"] or []
    named = [({"alertname": alert.get("name", ""), **alert["labels"]}, alert) for alert in alerts]
    return {
        tuple(sorted(labels.items())): alert["annotations"] for labels, alert in named if alert["state"] == "firing"
    }


def test_warning_then_critical_then_all_resolved_and_armed_again(stack: Stack) -> None:
    stack.use("import-export", 7_600)
    (warning,) = eventually(lambda: stack.told("ticket", "ApiUsageHigh", SLOW), 40)
    assert warning.severity == "warning"
    assert warning.labels == {
        "api": "demo", "organisation": ORGANISATION, "scope": SLOW, "team": "eu", "job": "usage",
    }  # fmt: skip
    assert warning.summary == f"{ORGANISATION}: 76% of {SLOW} (demo) used"
    assert f"{ORGANISATION} has used 7,600 of 10,000 requests of {SLOW} at demo: 76% of" in warning.description
    assert f"ends on {period_of(stack.clock().date()).end:%Y-%m-%d} 00:00 UTC: " in warning.description
    assert warning.links == {
        "Dashboard": "http://localhost:3000/d/api-usage?var-api=demo"
        "&var-organisation=O%27Brien+%26+%22S%C3%B6hne%22+%28EU%29&var-scope=Import%5CExport",
        "Runbook": "https://runbooks.example.com/api-usage-exporter/ApiUsageHigh.md",
    }

    # One scope climbs from the warning; another jumps over it, and its warning is never told.
    stack.use("import-export", 9_100)
    stack.use("maps-v2.1", 9_500)
    critical = eventually(lambda: stack.told("page", "ApiUsageCritical", SLOW))
    assert critical[0].summary == f"{ORGANISATION}: 91% of {SLOW} (demo) used"
    assert "9,100 of 10,000 requests" in critical[0].description
    eventually(lambda: stack.told("page", "ApiUsageCritical", JUMPY))
    eventually(lambda: stack.suppressed("ApiUsageHigh") == {SLOW, JUMPY})
    assert not stack.told("ticket", "ApiUsageHigh", JUMPY)

    stack.use("import-export", 10_000)
    eventually(lambda: stack.told("page", "ApiUsageLimitReached", SLOW))
    eventually(lambda: stack.suppressed("ApiUsageCritical") == {SLOW})

    stack.clock.turn_to_the_next_period()
    for receiver, name in (
        ("page", "ApiUsageLimitReached"),
        ("page", "ApiUsageCritical"),
        ("ticket", "ApiUsageHigh"),
    ):
        eventually(lambda receiver=receiver, name=name: stack.told(receiver, name, SLOW, resolved=True))  # type: ignore[misc]

    ladder = (
        'ALERTS{alertname=~"ApiUsage(High|Critical|LimitReached)",alertstate="firing",scope="Import\\\\Export"}[5m]'
    )
    ended = {series["metric"]["alertname"]: series["values"][-1][0] for series in query(stack.prometheus, ladder)}
    assert len(ended) == 3
    assert len(set(ended.values())) == 1, ended

    before = len(stack.told("ticket", "ApiUsageHigh", SLOW))
    stack.use("import-export", 8_000)
    eventually(lambda: len(stack.told("ticket", "ApiUsageHigh", SLOW)) > before)
    assert "80% of" in stack.told("ticket", "ApiUsageHigh", SLOW)[0].summary

    page = requests.get(stack.receiver, timeout=5).text
    assert "O&#39;Brien &amp; &#34;Söhne&#34; (EU): 91% of Import\\Export (demo) used" in page
    assert "Resolved, critical: " in page


def test_vmalert_gives_the_same_alerts_and_texts(stack: Stack) -> None:
    stack.use("import-export", 10_400)
    stack.use("maps-v2.1", 7_500)

    def same() -> bool:
        prometheus = firing(stack.prometheus)
        names = {(dict(labels)["alertname"], dict(labels).get("scope")) for labels in prometheus}
        return {
            ("ApiUsageLimitReached", SLOW),
            ("ApiUsageCritical", SLOW),
            ("ApiUsageHigh", JUMPY),
        } <= names and firing(stack.vmalert) == prometheus

    eventually(same, 60)

    # What the usage page would show, from whichever of them the config names.
    sources = (
        AlertsSource(prometheus=stack.prometheus),
        AlertsSource(prometheus=stack.vmalert),
        AlertsSource(alertmanager=stack.alertmanager),
    )
    about = [{(one.name, one.scope, one.organisation) for one in alerts_of(each, SystemClock())} for each in sources]
    for found in about:
        assert {("ApiUsageLimitReached", SLOW, ORGANISATION), ("ApiUsageHigh", JUMPY, ORGANISATION)} <= found
