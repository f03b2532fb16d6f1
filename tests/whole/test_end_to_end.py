"""The main job: a metering HTTP API polled by the exporter, scraped by a real Prometheus, asked over its query API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exporter.demo.faults import Faults
from exporter.demo.meter import Meter
from exporter.demo.vendor import DEMO_TOKEN, create_app
from exporter.local.files import localised
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus
from tests.support.http import serve
from tests.support.programs import ROOT, start_exporter


class Stack:
    def __init__(self, meter: Meter, faults: Faults, prometheus: str) -> None:
        self.meter, self.faults, self.prometheus = meter, faults, prometheus

    def value(self, promql: str) -> float | None:
        result = query(self.prometheus, promql)
        assert len(result) <= 1
        return float(result[0]["value"][1]) if result else None


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    meter = Meter()
    faults = Faults([organisation.id for organisation in meter.organisations], slow_seconds=1)
    with serve(create_app(meter, faults)) as vendor, Processes(folder) as processes:
        source = ROOT / "exporter/demo/config.yaml"
        config = localised(
            source, {"http://vendor:8080": vendor, "poll_interval: 5s": "poll_interval: 1s"}, folder / "config.yaml"
        )
        exporter = start_exporter(processes, config)
        prometheus = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "usage", "static_configs": [{"targets": [exporter.removeprefix("http://")]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
        yield Stack(meter, faults, start_prometheus(processes, folder / "prometheus.yml", folder / "tsdb"))
    faults.close()


OBRIEN = r"""organisation="O'Brien & \"Söhne\" (EU)" """.strip()


def test_usage_arrives_with_its_names_and_moves_with_the_calls_made(stack: Stack) -> None:
    series = f'api_usage_requests{{{OBRIEN},scope="Maps (v2.1)"}}'
    before = eventually(lambda: stack.value(series))
    assert before == stack.meter.scope("obrien", "maps-v2.1").requests
    for _ in range(5):
        stack.meter.request("obrien", "maps-v2.1")
    eventually(lambda: stack.value(series) == before + 5)
    assert stack.value(series.replace("requests{", "limit_requests{")) == 60_000


def test_thirty_days_arrive_on_the_first_scrape(stack: Stack) -> None:
    of_scope = 'organisation="Example Logistics",scope="Routing"'
    eventually(lambda: stack.value(f"count(api_usage_daily_requests{{{of_scope}}})") == 30)
    state = stack.meter.scope("example-logistics", "routing")
    for day, requests in state.daily[::10]:
        assert stack.value(f'api_usage_daily_requests{{{of_scope},date="{day.isoformat()}"}}') == requests


def test_unlimited_is_no_series(stack: Stack) -> None:
    eventually(lambda: stack.value('api_usage_requests{scope="Status Pages"}'))
    assert stack.value('api_usage_limit_requests{scope="Status Pages"}') is None


@pytest.mark.parametrize(("fault", "reason"), [("500", "server_error"), ("garbage", "response"), ("401", "auth")])
def test_a_vendor_s_faults_show_as_reasons_and_values_stay(stack: Stack, fault: str, reason: str) -> None:
    # An organisation for each: a refused sign-in is asked again only after a quarter of an hour.
    organisation = {"500": "example-logistics", "garbage": "obrien", "401": "example-media"}[fault]
    name = {item.id: item.name for item in stack.meter.organisations}[organisation]
    of_organisation = f"organisation={promql_quoted(name)}"
    eventually(lambda: stack.value(f"api_usage_up{{{of_organisation}}}") == 1)
    stack.faults.set(fault, organisation)
    eventually(lambda: stack.value(f'api_usage_poll_failing{{{of_organisation},reason="{reason}"}}') == 1)
    assert stack.value(f"api_usage_up{{{of_organisation}}}") == 0
    assert stack.value(f"count(api_usage_requests{{{of_organisation}}})") is not None
    assert stack.value('api_usage_up{organisation="New Labs"}') == 1
    stack.faults.set("none", organisation)
    if fault != "401":
        eventually(lambda: stack.value(f"api_usage_up{{{of_organisation}}}") == 1)


def promql_quoted(text: str) -> str:
    """A PromQL string; its escapes are JSON's."""
    import json  # noqa: PLC0415

    return json.dumps(text, ensure_ascii=False)


def test_the_demo_s_config_names_the_demo_s_accounts() -> None:
    config = yaml.safe_load((ROOT / "exporter/demo/config.yaml").read_text())
    (api,) = config["apis"]
    named = {organisation["id"]: organisation["name"] for organisation in api["organisations"]}
    assert named == {organisation.id: organisation.name for organisation in Meter().organisations}
    assert api["auth"]["token"] == DEMO_TOKEN
