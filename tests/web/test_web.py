"""The HTTP surface, over real connections."""

import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client import Metric
from prometheus_client.registry import Collector
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

from exporter.address import Address
from exporter.exposition.bodies import OPENMETRICS, TEXT
from exporter.local.processes import Processes, eventually
from exporter.service import Service
from exporter.thresholds import RENDERED_MAX_AGE_SECONDS
from exporter.web.listening import listen
from exporter.web.negotiation import exposition_format
from tests.support.asgi import serve_asgi
from tests.support.clock import FakeClock
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.programs import start_exporter
from tests.support.watched import app_over


class Running:
    """An exporter with its web app on a port, whose polls and refreshes a test starts."""

    def __init__(self, url: str, service: Service, config: Path) -> None:
        self.url, self.service, self.config = url, service, config

    def poll(self) -> None:
        self.service.poller.run_due()
        assert self.service.poller.wait_idle(10)
        self.service.exposition.refresh()

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers={"Accept-Encoding": "identity", **headers}, timeout=10)

    def post(self, path: str) -> requests.Response:
        response = requests.post(self.url + path, timeout=10)
        self.service.exposition.refresh()
        return response


@pytest.fixture
def running(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> Iterator[Running]:
    vendor.answer = lambda _: Response(json.dumps(answer({"name": "Maps <b>"})))
    config = write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage"})
    service = Service(config, clock)
    with serve_asgi(app_over(service, clock, is_alive=service.is_alive)) as url:
        yield Running(url, service, config)
    service.stop()


# What Prometheus 2.42 and 3 send.
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("text/plain", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;q=0,*/*", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.7", TEXT),
        ("application/json", TEXT),
    ],
)
def test_the_format_is_negotiated(accept: str, content_type: str) -> None:
    assert exposition_format(parse_accept_header(accept, MIMEAccept)) == content_type


def test_metrics_in_both_formats(running: Running) -> None:
    running.poll()
    text = running.get("/metrics")
    assert text.headers["Content-Type"] == TEXT
    assert 'api_usage_requests{api="demo",organisation="acme",scope="Maps <b>"} 750.0' in text.text
    assert text.headers["Vary"] == "Accept, Accept-Encoding"
    assert "Content-Encoding" not in text.headers
    open_text = running.get("/metrics", Accept=PROMETHEUS_3)
    assert open_text.headers["Content-Type"] == OPENMETRICS
    assert open_text.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accepted", "gzipped"),
    [
        ("gzip", True),
        ("gzip;q=0, *", False),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("br", False),
    ],
)
def test_gzip_only_where_it_is_accepted(running: Running, accepted: str, gzipped: bool) -> None:
    response = requests.get(f"{running.url}/metrics", headers={"Accept-Encoding": accepted}, stream=True, timeout=10)
    assert (response.headers.get("Content-Encoding") == "gzip") is gzipped
    body = response.raw.read(decode_content=False)
    assert b"api_usage_polls_total" in (gzip.decompress(body) if gzipped else body)


def test_the_whole_text_comes_with_its_length(running: Running) -> None:
    response = requests.get(f"{running.url}/metrics", headers={"Accept-Encoding": "identity"}, timeout=5)
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert response.content.endswith(b"\n")


def test_short_answers_are_sent_at_once() -> None:
    with listen(Address("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_health_and_readiness(running: Running, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response(status=500)
    assert running.get("/-/healthy").status_code == 200
    assert running.get("/-/ready").status_code == 503
    assert running.get("/-/ready").text == (
        "Organisations that have not been asked for yet: 1; then their metrics are put together.\n"
    )
    running.poll()
    assert running.get("/-/ready").status_code == 200


def test_ready_means_that_metrics_show_it(running: Running) -> None:
    running.service.poller.run_due()
    assert running.service.poller.wait_idle(10)
    assert running.get("/-/ready").status_code == 503
    running.service.exposition.refresh()
    assert running.get("/-/ready").status_code == 200


def test_an_exporter_that_no_longer_polls_is_not_healthy(clock: FakeClock, running: Running) -> None:
    alive = [True]
    other = Service(running.config, clock)
    with serve_asgi(app_over(other, clock, is_alive=lambda: alive[0])) as url:
        assert requests.get(f"{url}/-/healthy", timeout=5).status_code == 200
        alive[0] = False
        assert requests.get(f"{url}/-/healthy", timeout=5).status_code == 500


class _Broken(Collector):
    def collect(self) -> Iterator[Metric]:
        raise ZeroDivisionError


def test_an_exporter_whose_metrics_grow_old_is_not_healthy(clock: FakeClock, running: Running) -> None:
    running.service.process.registry.register(_Broken())
    running.service.start()
    assert running.service.is_alive()
    clock.advance(seconds=RENDERED_MAX_AGE_SECONDS + 1)
    old = running.get("/-/healthy")
    assert (old.status_code, old.text) == (
        500,
        "The exporter has stopped polling, or putting its metrics together; its log says why.\n",
    )


def test_series_of_an_api_that_went_go_away(running: Running) -> None:
    running.poll()
    assert 'api_usage_poll_duration_seconds_count{api="demo"}' in running.get("/metrics").text
    running.config.write_text(running.config.read_text().replace("name: demo", "name: other"))
    running.post("/-/reload")
    assert 'api="demo"' not in running.get("/metrics").text


def test_usage_as_json(running: Running, vendor: Vendor, clock: FakeClock) -> None:
    running.poll()
    vendor.answer = lambda _: Response(status=500)
    clock.advance(minutes=8)
    running.poll()
    document = running.get("/api/v1/usage").json()
    (organisation,) = document["organisations"]
    assert document["time"] == "2026-11-22T12:08:00Z"
    assert (organisation["api"], organisation["organisation"], organisation["up"]) == ("demo", "acme", False)
    assert organisation["failure"] == {
        "reason": "server_error",
        "message": "the vendor answered 500 INTERNAL SERVER ERROR",
        "at": "2026-11-22T12:08:00Z",
    }
    (scope,) = organisation["scopes"]
    told = {
        name: scope[name] for name in ("scope", "requests", "limit", "used_ratio", "period", "rejected", "fetched_at")
    }
    assert told == {
        "scope": "Maps <b>",
        "requests": 750,
        "limit": 1000,
        "used_ratio": 0.75,
        "period": None,
        "rejected": None,
        "fetched_at": "2026-11-22T12:00:00Z",
    }


def test_a_reload_takes_the_new_file_over(running: Running) -> None:
    running.poll()
    text = running.config.read_text().replace("id: acme", "id: other")
    running.config.write_text(text)
    assert running.post("/-/reload").text == "The config was loaded.\n"
    assert [state.target.key for state in running.service.store.states()] == [("demo", "other")]
    running.poll()
    assert 'organisation="other"' in running.get("/metrics").text
    assert "acme" not in running.get("/metrics").text


def test_the_refresher_shows_a_reload_that_changes_no_organisation(running: Running) -> None:
    service = running.service
    thread = threading.Thread(target=service.refresher.run)
    thread.start()
    running.config.write_text("apis: []\n", encoding="utf-8")
    assert requests.post(f"{running.url}/-/reload", timeout=10).status_code == 500
    eventually(lambda: "last_reload_successful 0.0" in running.get("/metrics").text, 3)
    service.refresher.stop()
    thread.join()


def test_those_who_do_not_read_hold_up_nobody(tmp_path: Path, vendor: Vendor, processes: Processes) -> None:
    """Plain text, more than what systems keep for a socket, asked for by more clients than the server has threads."""
    days = [{"date": f"{datetime.now(UTC) - timedelta(days=day):%Y-%m-%d}", "requests": 1} for day in range(30)]
    scopes = [{"name": f"Scope {number} {'x' * 180}", "daily": days} for number in range(900)]
    vendor.answer = lambda _: Response(json.dumps(answer(*scopes)))
    url = start_exporter(processes, write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage"}))
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with contextlib.ExitStack() as stack:
        for _ in range(24):
            client = stack.enter_context(socket.socket())
            client.settimeout(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n")
            assert client.recv(1)
        assert requests.get(f"{url}/-/healthy", timeout=10).ok
        assert len(requests.get(f"{url}/metrics", timeout=10).content) > 8_000_000


def test_a_bad_file_changes_nothing_and_is_told(running: Running) -> None:
    running.poll()
    good = running.config.read_text()
    running.config.write_text(good + "nonsense: 1\n")
    refused = running.post("/-/reload")
    assert refused.status_code == 500
    assert "nonsense: is not a known field" in refused.text
    metrics = running.get("/metrics").text
    assert "api_usage_exporter_config_last_reload_successful 0.0" in metrics
    assert 'organisation="acme"' in metrics
    running.config.write_text(good)
    assert running.post("/-/reload").status_code == 200
    assert "api_usage_exporter_config_last_reload_successful 1.0" in running.get("/metrics").text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/-/reload", 405), ("POST", "/metrics", 405), ("GET", "/x", 404)]
)
def test_other_requests(running: Running, method: str, path: str, status: int) -> None:
    assert requests.request(method, running.url + path, timeout=10).status_code == status


def test_the_landing_page_links_to_the_rest(running: Running) -> None:
    page: Any = running.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    for path in ("/metrics", "/api/v1/usage", "/-/healthy", "/-/ready"):
        assert f'href="{path}"' in page.text


def test_a_site_s_thresholds_colour_cards_and_take_effect_without_a_poll(running: Running, vendor: Vendor) -> None:
    def shown() -> tuple[str, list[float]]:
        (organisation,) = running.get("/api/v1/usage").json()["organisations"]
        page = running.get("/?organisation=acme").text
        return organisation["scopes"][0]["band"], [float(x) for x in re.findall(r'<line x1="([\d.]+)%"', page)]

    vendor.answer = lambda _: Response(json.dumps(answer({"requests": 333})))
    running.poll()
    assert shown() == ("normal", [75, 90])
    config = yaml.safe_load(running.config.read_text())
    for thresholds, band in (
        ({"warning": 0.333, "critical": 0.955}, "warning"),
        ({"warning": 0.3331, "critical": 0.955}, "normal"),
        ({"warning": 0.2, "critical": 0.333}, "warning"),
        ({"warning": 0.2, "critical": 0.3329}, "critical"),
    ):
        running.config.write_text(yaml.safe_dump({**config, "thresholds": thresholds}))
        assert running.post("/-/reload").status_code == 200
        running.poll()
        assert shown() == (band, [round(100 * ratio, 2) for ratio in thresholds.values()])
    assert len(vendor.requests) == 1
