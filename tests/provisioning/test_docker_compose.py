"""docker-compose.yml: its form, what it leaves open, and the same commands and files as processes on this machine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
import yaml

from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query
from tests.support.compose import Container, containers, services, start
from tests.support.programs import ROOT
from tests.support.promtool import rules

FILE = ROOT / "docker-compose.yml"
VOLUMES = set(yaml.safe_load(FILE.read_text("utf-8"))["volumes"])


def check_schema(file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_is_a_compose_file() -> None:
    check_schema(FILE)


def test_the_docs_override_is_a_compose_file_for_services_that_there_are(tmp_path: Path) -> None:
    page = (ROOT / "docs/docker-compose.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    override = text.replace("!override ", "")  # a tag of Compose's own
    (tmp_path / "docker-compose.override.yml").write_text(override, encoding="utf-8")
    check_schema(tmp_path / "docker-compose.override.yml")
    own = services()["grafana"]["environment"]
    changed = yaml.safe_load(override)["services"]["grafana"]["environment"]
    assert set(changed) - set(own) == {"GF_SECURITY_ADMIN_PASSWORD__FILE"}


def test_the_dockerfile_has_no_known_faults() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_is_hardened_and_none_is_open_beyond_this_machine() -> None:
    known = services()
    assert set(known) == {"exporter", "prometheus", "alertmanager", "grafana", "vendor", "receiver"}
    for name, service in known.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        assert service["restart"] == "unless-stopped", name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        for volume in service.get("volumes", ()):
            source, _, *options = volume.split(":")
            assert source in VOLUMES or options == ["ro"], f"{name}: {volume}"
            assert source in VOLUMES or (ROOT / source).exists(), f"{name}: {volume}"


def test_every_service_says_whether_it_is_healthy() -> None:
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
    assert all(name == "exporter" or service["healthcheck"]["test"] for name, service in services().items())
    waited_for = [one for service in services().values() for one in service.get("depends_on", {}).values()]
    assert len(waited_for) >= 4
    assert all(one["condition"] == "service_healthy" for one in waited_for)


def test_health_checks_ask_for_no_newer_docker() -> None:
    """Docker Engine takes start_interval from 25 on, and refuses the whole file before; Podman knows none in a Dockerfile."""
    assert not [name for name, one in services().items() if "start_interval" in one.get("healthcheck", {})]
    assert "start-interval" not in (ROOT / "Dockerfile").read_text("utf-8")


def test_images_have_exact_versions() -> None:
    for service in services().values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    assert services()["exporter"]["image"] == f"api-usage-exporter:{version('api-usage-exporter')}"
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f'version="{version("api-usage-exporter")}"' in dockerfile
    assert dockerfile.count("\nUSER 10190:10190\n") == 1


def test_the_past_is_kept_for_more_than_a_year() -> None:
    (kept,) = re.findall(r"retention\.time=(\d+)d", str(services()["prometheus"]["command"]))
    assert int(kept) >= 400


def test_without_the_demo_s_line_it_watches_the_site_s_own_config() -> None:
    known = services({})
    assert set(known) == {"exporter", "prometheus", "alertmanager", "grafana"}
    assert "--config.file=/etc/api-usage-exporter/site/config.yaml" in known["exporter"]["command"]
    assert "./config/exporter:/etc/api-usage-exporter/site:ro" in known["exporter"]["volumes"]
    # It needs the demo's services only while they are there.
    for service in known.values():
        assert all(other in known or not one["required"] for other, one in service.get("depends_on", {}).items())


def test_a_site_s_bundle_has_all_that_is_mounted_of_one(tmp_path: Path) -> None:
    bundle = tmp_path / "site"
    command = [sys.executable, "-m", "exporter", "bundle", f"--output={bundle}"]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    mounted = [
        Path(volume.split(":")[0]) for one in services({"BUNDLE": str(bundle)}).values() for volume in one["volumes"]
    ]
    of_the_bundle = [source for source in mounted if source.is_relative_to(bundle)]
    assert len(of_the_bundle) == 6
    assert all(source.exists() for source in of_the_bundle)


def test_a_site_s_config_and_secrets_are_kept_out_of_the_repository_and_the_image() -> None:
    for path in (
        "config/exporter/config.yaml",
        "config/exporter/maps-token",
        "config/alertmanager/slack-url",
        "config/grafana/admin-password",
    ):
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, timeout=10, check=False).returncode == 0
    assert (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1] == "*"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    folder = tmp_path_factory.mktemp("stack")
    running = containers(folder, "vendor", "receiver", "exporter", "alertmanager", "prometheus")
    with Processes(folder) as processes:
        start(processes, running)
        _post_an_alert(running["alertmanager"])
        yield running


def _post_an_alert(alertmanager: Container) -> None:
    """Told after 30 s, which the tests that come first have to wait for anyway."""
    labels = {"alertname": "Tried", "severity": "critical", "api": "demo", "organisation": "Acme"}
    alert = {"labels": labels, "annotations": {"summary": "Only tried"}}
    requests.post(f"{alertmanager.url}/api/v2/alerts", json=[alert], timeout=10).raise_for_status()


def test_the_stack_has_every_target_up(stack: dict[str, Container]) -> None:
    def states() -> dict[str, str]:
        answer = requests.get(f"{stack['prometheus'].url}/api/v1/targets", timeout=10).json()
        return {one["labels"]["job"]: one["health"] for one in answer["data"]["activeTargets"]}

    eventually(lambda: states() == {"api-usage-exporter": "up", "prometheus": "up"}, 40)


def test_the_stack_has_data(stack: dict[str, Container]) -> None:
    prometheus = stack["prometheus"].url
    eventually(lambda: query(prometheus, 'api_usage_requests{scope="Routing",organisation="Example Logistics"}'), 40)
    (days,) = query(prometheus, 'count(api_usage_daily_requests{scope="Routing"})')
    assert days["value"][1] == "30"
    # The group that records it is evaluated each minute, the first time up to a minute after Prometheus began.
    eventually(lambda: query(prometheus, "scope:api_usage_requests_per_limit:ratio > 0.9"), 90)


def test_the_stack_has_every_rule_loaded_and_its_alerts_reach_alertmanager(stack: dict[str, Container]) -> None:
    prometheus = stack["prometheus"].url
    groups = requests.get(f"{prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
    loaded = {rule["name"] for group in groups for rule in group["rules"]}
    assert loaded == {*rules("alert"), *rules("record")}
    active = requests.get(f"{prometheus}/api/v1/alertmanagers", timeout=10).json()["data"]["activeAlertmanagers"]
    assert [one["url"] for one in active] == [f"{stack['alertmanager'].url}/api/v2/alerts"]


def test_the_stack_s_notifications_reach_the_receiver_page(stack: dict[str, Container]) -> None:
    eventually(lambda: "Only tried" in requests.get(stack["receiver"].url, timeout=10).text, 50)


def test_the_stack_s_links_lead_to_itself(stack: dict[str, Container]) -> None:
    flags = requests.get(f"{stack['prometheus'].url}/api/v1/status/flags", timeout=10).json()["data"]
    assert flags["web.external-url"] == stack["prometheus"].url
    assert flags["storage.tsdb.retention.time"] == "400d"
