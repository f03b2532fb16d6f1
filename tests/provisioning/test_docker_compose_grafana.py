"""The Grafana of docker-compose.yml, with what the file mounts and sets, beside the rest; GRAFANA_HOME says where it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query
from tests.support.compose import Container, containers, start
from tests.support.grafana import View

HOME = os.environ.get("GRAFANA_HOME", "")
if not HOME:
    pytest.skip("no Grafana given: make test-grafana GRAFANA_HOME=…", allow_module_level=True)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Container]]:
    folder = tmp_path_factory.mktemp("stack")
    running = containers(folder)
    with Processes(folder) as processes:
        start(processes, running, Path(HOME))
        eventually(lambda: query(running["prometheus"].url, "api_usage_requests"), 40)
        yield running


def test_its_first_page_shows_the_cards_to_anyone(stack: dict[str, Container], browser: Browser) -> None:
    with View(browser, stack["grafana"].url, 1600) as view:
        assert view.errors() == []
        assert len(view.gauge_values()) == 6  # of Example Logistics, the first by name
        assert view.panel("Daily Usage").count() == 1


def test_the_data_source_and_the_three_dashboards_are_there(stack: dict[str, Container]) -> None:
    grafana = stack["grafana"].url
    found = requests.get(f"{grafana}/api/search", params={"type": "dash-db"}, timeout=10).json()
    assert {one["uid"] for one in found} == {"api-usage", "api-usage-overview", "api-usage-exporter"}
    assert {one["folderTitle"] for one in found} == {"API allowances"}
    asked = {"refId": "A", "datasource": {"uid": "prometheus"}, "expr": "count(api_usage_requests)", "instant": True}
    answer = requests.post(
        f"{grafana}/api/ds/query", json={"queries": [asked], "from": "now-5m", "to": "now"}, timeout=10
    )
    assert answer.json()["results"]["A"]["frames"][0]["data"]["values"][1][0] >= 13


def test_nobody_can_sign_in_with_a_default_password(stack: dict[str, Container]) -> None:
    grafana = stack["grafana"].url
    signed_in = requests.post(f"{grafana}/login", json={"user": "admin", "password": "admin"}, timeout=10)
    assert signed_in.status_code == 401
    assert requests.post(f"{grafana}/api/folders", json={"title": "Mine"}, timeout=10).status_code in (401, 403)
