"""docs/existing-monitoring.md: every configuration in it is checked, and its two by two are run."""

import os
import re
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner

from exporter.cli import main
from exporter.demo.accounts import OrganisationAccount, ScopeAccount
from exporter.demo.meter import Meter
from exporter.demo.receiver import Inbox, Notification
from exporter.demo.receiver import create_app as create_receiver
from exporter.demo.vendor import DEMO_TOKEN, create_app
from exporter.local.processes import Processes, eventually, required
from exporter.local.prometheus import query, start_prometheus
from tests.support.alerting import amtool, quick_alertmanager, quick_rules
from tests.support.factories import write_config
from tests.support.http import serve
from tests.support.programs import ALERTMANAGER_CONFIG, ROOT, start_alertmanager, start_exporter
from tests.support.promtool import RULES, promtool, rules

PAGE = (ROOT / "docs/existing-monitoring.md").read_text(encoding="utf-8")
# Indented by four or more, after an empty line.
BLOCKS = [
    textwrap.dedent(block).strip().replace("\\\n", " ") for block in re.findall(r"(?<=\n\n)(?: {4,}.*\n)+", PAGE)
]
CONFIGS = [block for block in BLOCKS if re.match(r"[a-z_]+:\n", block)]
PROMETHEUS = [block for block in CONFIGS if not block.startswith("route:")]
COMMANDS = [block for block in BLOCKS if block not in CONFIGS]
RULES_FOLDER = "/etc/prometheus/rules"


def block_with(text: str) -> str:
    (block,) = [block for block in BLOCKS if text in block]
    return block


def test_whatever_is_no_config_is_a_command() -> None:
    assert len(PROMETHEUS) == 5
    programs = ["api-usage-exporter bundle", "vmalert ", "MIMIR_ADDRESS="]
    for command, program in zip(COMMANDS, programs, strict=True):
        assert command.startswith(program)
        assert "\n" not in command


def test_the_bundle_is_written_with_the_site_s_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, *arguments = block_with("api-usage-exporter bundle").split()
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    (written,) = tmp_path.iterdir()
    assert ":ratio_near, 0.8, 0.8)" in (written / "alert_rules/recording.yaml").read_text(encoding="utf-8")
    promtool("check", "rules", *map(str, (written / "alert_rules").glob("*.yaml")))


@pytest.mark.parametrize("block", PROMETHEUS, ids=lambda block: block.partition(":")[0])
def test_prometheus_accepts_it(block: str, tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(block.replace(RULES_FOLDER, str(RULES)), encoding="utf-8")
    promtool("check", "config", str(file))


def test_vmalert_accepts_its_flags_and_the_rules() -> None:
    _, *flags = block_with("vmalert ").replace("/etc/vmalert/rules", str(RULES)).split()
    command = [required("vmalert"), *flags, "-dryRun"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr


# --- routes


@pytest.fixture
def alertmanager_config(tmp_path: Path) -> Path:
    file = tmp_path / "alertmanager.yml"
    file.write_text(block_with("route:"), encoding="utf-8")
    return file


def test_alertmanager_accepts_it(alertmanager_config: Path) -> None:
    assert "5 receivers" in amtool("check-config", str(alertmanager_config))


def test_the_inhibitions_are_those_of_the_project() -> None:
    ours, theirs = (yaml.safe_load(text) for text in (ALERTMANAGER_CONFIG.read_text("utf-8"), block_with("route:")))
    assert theirs["inhibit_rules"] == ours["inhibit_rules"]


@pytest.mark.parametrize("name", [*rules("alert"), "NodeDown"])
@pytest.mark.parametrize("team", ["logistics", "media"])
def test_alerts_reach_whom_they_are_for(name: str, team: str, alertmanager_config: Path) -> None:
    severity = rules("alert")[name]["labels"]["severity"] if name != "NodeDown" else "critical"
    receivers = {
        "critical": "logistics-page" if team == "logistics" else "api-page",
        "warning": "api-ticket",
        "info": "api-info",
    }
    expected = receivers[severity] if name != "NodeDown" else "everything-else"
    labels = (f"alertname={name}", f"severity={severity}", f"team={team}")
    amtool(
        "config", "routes", "test", f"--config.file={alertmanager_config}", f"--verify.receivers={expected}", *labels
    )


# --- two exporters and two Prometheus servers


def servers(block: str, folder: Path, alertmanager: str, exporters: list[str]) -> list[Path]:
    """The page's config for each of the two, with addresses that there are, and in seconds instead of minutes."""
    replacements = {
        RULES_FOLDER: str(quick_rules(folder)),
        '"alertmanager-0:9093", "alertmanager-1:9093"': f'"{host(alertmanager)}"',
        "exporter-a:10190": host(exporters[0]),
        "exporter-b:10190": host(exporters[1]),
    }
    for name, local in replacements.items():
        assert name in block
        block = block.replace(name, local)
    files = []
    for replica in ("A", "B"):
        config: dict[str, Any] = yaml.safe_load(block.replace("replica: A", f"replica: {replica}"))
        config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        assert config["global"]["external_labels"]["replica"] == replica
        files.append(folder / f"{replica}.yml")
        files[-1].write_text(yaml.safe_dump(config), encoding="utf-8")
    return files


def host(url: str) -> str:
    return url.removeprefix("http://")


def test_two_by_two_tell_of_one_alert(processes: Processes, tmp_path: Path) -> None:
    scope = ScopeAccount("maps", "Maps", "Team", 1_000, 950, None)
    inbox = Inbox()
    with (
        serve(create_app(Meter([OrganisationAccount("acme", "Acme", (scope,))]))) as vendor,
        serve(create_receiver(inbox)) as receiver,
    ):
        api = {
            "url": f"{vendor}/v1/organisations/{{organisation_id}}/usage",
            "auth": {"type": "bearer", "token": DEMO_TOKEN},
            "poll_interval": "1s",
        }
        config = write_config(tmp_path / "config.yaml", api)
        exporters = [start_exporter(processes, config) for _ in range(2)]
        alertmanager = start_alertmanager(processes, quick_alertmanager(tmp_path, receiver), tmp_path / "am")
        block = block_with("alert_relabel_configs")
        prometheus = [
            start_prometheus(processes, file, tmp_path / file.stem, "--rules.alert.resend-delay=1s")
            for file in servers(block, tmp_path, alertmanager, exporters)
        ]
        for server in prometheus:
            eventually(lambda server=server: sent(server) >= 2)  # type: ignore[misc]
        # An exporter that is scraped late pages as well.
        pages = eventually(lambda: [names for names in map(about_usage, inbox.newest_first()) if names])
        assert pages == [["ApiUsageCritical"]]
        (critical,) = alerts(alertmanager, "ApiUsageCritical")
        assert critical["labels"]["cluster"] == "prod"
        assert "replica" not in critical["labels"]

        os.kill(processes.pid(f"exporter-{exporters[0].rpartition(':')[2]}"), signal.SIGTERM)
        for server in prometheus:
            eventually(lambda server=server: query(server, "count_over_time((up == 0)[1m:1s]) >= 5"))  # type: ignore[misc]
            firing = {one["metric"]["alertname"] for one in query(server, 'ALERTS{alertstate="firing"}')}
            assert "ApiUsageCritical" in firing
            assert "ApiUsageExporterDown" not in firing


def about_usage(notification: Notification) -> list[str]:
    """The alerts about an organisation that paged somebody."""
    paged = notification.receiver == "page"
    return [alert.name for alert in notification.alerts if paged and "organisation" in alert.labels]


def sent(prometheus: str) -> float:
    """How many alerts it has sent to its Alertmanager."""
    metrics = requests.get(f"{prometheus}/metrics", timeout=5).text
    return sum(map(float, re.findall(r"(?m)^prometheus_notifications_sent_total\{.*\} (\S+)$", metrics)))


def alerts(alertmanager: str, name: str) -> list[dict[str, Any]]:
    known = requests.get(f"{alertmanager}/api/v2/alerts", params={"filter": f'alertname="{name}"'}, timeout=5)
    found: list[dict[str, Any]] = known.json()
    return found
