"""What machines ask for: shared reloads, readiness, the JSON made once, the config in use, and paths below a prefix."""

import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import yaml
from werkzeug.wrappers import Response

from exporter.errors import ConfigError, Problem
from exporter.service import Service
from exporter.view.usage_json import to_json, usage_document
from exporter.web.app import Paths
from exporter.web.usage_bodies import UsageBodies, UsageBody
from tests.support.asgi import serve_asgi
from tests.support.clock import FakeClock
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.loops import run_async
from tests.support.watched import Watched, app_over, days, scope, targets_of


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt"]}))
    watched.reads("Acme", scope("Maps", 940, daily=days(*range(30))))
    watched.exposition.refresh()
    return watched


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.app) as url:
        yield url


class _SlowReloads(Watched):
    """Reloads that a test lets go on; counts them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(targets_of(folder, {"vendor": ["Acme"]}))
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.reloads = 0
        self.problem: ConfigError | None = None

    def reload(self) -> None:
        self.reloads += 1
        self.begun.release()
        assert self.go_on.acquire(timeout=20)
        if self.problem is not None:
            raise self.problem


def test_who_waits_for_a_reload_shares_the_next_one(tmp_path: Path) -> None:
    slow = _SlowReloads(tmp_path)
    with serve_asgi(slow.app) as url, ThreadPoolExecutor(20) as pool:
        first = pool.submit(requests.post, f"{url}/-/reload", timeout=20)
        assert slow.begun.acquire(timeout=10)
        # The file may have changed after the first one read it.
        others = [pool.submit(requests.post, f"{url}/-/reload", timeout=20) for _ in range(10)]
        assert requests.get(f"{url}/-/healthy", timeout=10).ok
        slow.go_on.release()
        assert first.result(20).text == "The config was loaded.\n"
        assert slow.begun.acquire(timeout=10)
        slow.problem = ConfigError((Problem("config.yaml", 3, "apis", "must not be empty"),))
        slow.go_on.release(20)
        answers = [other.result(20) for other in others]
    assert {one.status_code for one in answers} == {500}
    assert {one.text for one in answers} == {
        "The config was not loaded; the one before stays in use.\nconfig.yaml:3: apis: must not be empty\n"
    }
    assert 2 <= slow.reloads <= 3  # a straggler may have come after the second began


def test_who_posts_and_does_not_read_is_in_nobody_s_way(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.settimeout(1)
        request = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        try:
            for _ in range(2000):
                client.sendall(request * 10)
        except OSError:  # no more of it is taken
            pass
        assert requests.post(f"{url}/-/reload", timeout=10).ok


def test_ready_stays_ready_over_a_reload(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    vendor.answer = lambda _: Response(json.dumps(answer()))
    file = write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage"})
    service = Service(file, clock)
    with serve_asgi(app_over(service, clock)) as url:
        assert requests.get(f"{url}/-/ready", timeout=10).status_code == 503
        service.poller.run_due()
        assert service.poller.wait_idle(10)
        service.exposition.refresh()
        assert requests.get(f"{url}/-/ready", timeout=10).status_code == 200
        file.write_text(file.read_text().replace("id: acme", "id: new"))
        assert requests.post(f"{url}/-/reload", timeout=10).ok
        assert requests.get(f"{url}/-/ready", timeout=10).status_code == 200
    service.stop()


def test_the_json_is_made_once_a_refresh(url: str, watched: Watched) -> None:
    first = requests.get(f"{url}/api/v1/usage", timeout=10)
    document = usage_document(watched.store.states(), watched.clock.now())
    assert first.content == to_json(document)
    assert (first.headers["Content-Encoding"], first.headers["Vary"]) == ("gzip", "Accept-Encoding")
    watched.clock.advance(seconds=5)
    watched.reads("Bolt", scope("Mail", 5))
    assert requests.get(f"{url}/api/v1/usage", timeout=10).content == first.content
    watched.exposition.refresh()
    second = requests.get(f"{url}/api/v1/usage", headers={"Accept-Encoding": "identity"}, timeout=10)
    document = usage_document(watched.store.states(), watched.clock.now())
    assert second.content == to_json(document)
    assert int(second.headers["Content-Length"]) == len(second.content)
    assert "Content-Encoding" not in second.headers


def test_the_json_that_a_client_has_is_not_sent_again(url: str, watched: Watched) -> None:
    def asked(etag: str) -> requests.Response:
        return requests.get(f"{url}/api/v1/usage", headers={"If-None-Match": etag}, timeout=10)

    etag = requests.get(f"{url}/api/v1/usage", timeout=10).headers["ETag"]
    watched.clock.advance(seconds=5)
    watched.exposition.refresh()
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        unchanged = asked(known)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", etag)
    assert asked('"other"').status_code == 200
    watched.reads("Bolt", scope("Mail", 5))
    watched.exposition.refresh()
    changed = asked(etag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag
    part = requests.get(f"{url}/api/v1/usage?organisation=Acme", timeout=10).headers["ETag"]
    same = requests.get(f"{url}/api/v1/usage?organisation=Acme", headers={"If-None-Match": part}, timeout=10)
    assert same.status_code == 304


def test_what_turns_stale_turns_so_in_the_json(url: str, watched: Watched) -> None:
    assert not requests.get(f"{url}/api/v1/usage", timeout=10).json()["organisations"][0]["stale"]
    watched.clock.advance(hours=2)
    watched.exposition.refresh()
    assert requests.get(f"{url}/api/v1/usage", timeout=10).json()["organisations"][0]["stale"]


def test_many_at_once_get_the_same_whole_json(url: str, watched: Watched) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: requests.get(f"{url}/api/v1/usage", timeout=20).content, range(60)))
    assert set(answers) == {to_json(usage_document(watched.store.states(), watched.clock.now()))}


def test_whoever_asks_for_a_part_of_the_json_shares_it(watched: Watched) -> None:
    async def asked() -> list[UsageBody]:
        usage = UsageBodies(watched.store, watched.exposition, watched.clock)
        parts = [await usage.part(["vendor"], []), await usage.part([], ["Acme"]), await usage.part(["x"], ["Acme"])]
        return [*parts, await usage.part(["other", "vendor"], []), await usage.whole()]

    of_api, of_organisation, of_none, of_apis, whole = run_async(asked())
    assert b"Acme" in of_api.parts[1]
    assert of_api.parts[1] is of_organisation.parts[1] is whole.parts[1]
    assert of_api.gzipped is of_apis.gzipped
    assert json.loads(gzip.decompress(of_none.gzipped))["organisations"] == []


def test_heads_have_no_body(url: str) -> None:
    for path in ("/metrics", "/api/v1/usage", "/-/healthy"):
        for coding in ("gzip", "identity"):
            got = requests.get(url + path, headers={"Accept-Encoding": coding}, timeout=10, stream=True)
            head = requests.head(url + path, headers={"Accept-Encoding": coding}, timeout=10)
            assert head.headers["Content-Length"] == got.headers["Content-Length"]
            assert head.content == b""


@pytest.mark.parametrize("path", ["/metrics", "/-/reload", "/api/v1/usage"])
def test_methods_that_a_path_allows(url: str, path: str) -> None:
    asked = requests.options(url + path, timeout=10)
    allowed = {"OPTIONS", "POST", "PUT"} if path == "/-/reload" else {"OPTIONS", "GET", "HEAD"}
    assert asked.ok
    assert set(asked.headers["Allow"].split(", ")) == allowed
    refused = requests.delete(url + path, timeout=10)
    assert (refused.status_code, refused.headers["Allow"]) == (405, asked.headers["Allow"])


def test_the_config_in_use_without_its_secrets(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "planted-env")
    file = write_config(
        tmp_path / "config.yaml",
        {
            "url": "https://vendor.example/usage?api_key=planted-url&unit=x",
            "auth": {"type": "basic", "username": "me", "password": "planted-password"},
            "headers": {"X-Key": {"env": "VENDOR_KEY"}, "X-Inline": "planted-header"},
            "params": {"key": "planted-param"},
            "body": {"query": "{usage}", "token": "planted-body"},
            "organisations": [{"id": "acme"}, {"id": "bolt", "auth": {"type": "bearer", "token": "planted-token"}}],
        },
        thresholds={"warning": 0.5, "critical": 0.8},
        alerts={"prometheus": "http://prometheus.example", "auth": {"type": "bearer", "token": "planted-alerts"}},
    )
    service = Service(file, clock)
    with serve_asgi(app_over(service, clock)) as url:
        shown = requests.get(f"{url}/api/v1/status/config", timeout=10).json()
        assert shown["status"] == "success"
        assert "planted" not in json.dumps(shown)
        config = yaml.safe_load(shown["data"]["yaml"])
        (api,) = config["apis"]
        assert config["thresholds"] == {"warning": 0.5, "critical": 0.8}
        assert api["url"] == "https://vendor.example/usage?api_key=<secret>&unit=x"
        assert api["auth"] == {
            "type": "basic",
            "username": {"value": "<secret>"},  # it may be a key, without a password
            "password": {"value": "<secret>"},
        }
        assert api["headers"] == {"X-Key": {"env": "VENDOR_KEY"}, "X-Inline": {"value": "<secret>"}}
        assert api["body"] == {"query": "{usage}", "token": "<secret>"}
        assert config["alerts"] == {
            "prometheus": "http://prometheus.example",
            "auth": {"type": "bearer", "token": {"value": "<secret>"}},
        }
        assert [one["id"] for one in api["organisations"]] == ["acme", "bolt"]
        file.write_text(file.read_text().replace("id: bolt", "id: other"))
        assert requests.post(f"{url}/-/reload", timeout=10).ok
        assert "id: other" in requests.get(f"{url}/api/v1/status/config", timeout=10).json()["data"]["yaml"]
    service.stop()


@pytest.mark.parametrize(
    ("paths", "ours", "browsers"),
    [
        (Paths(external_url="https://example.org/usage/"), "/usage", "/usage"),
        (Paths(external_url="https://example.org/usage", route_prefix="/"), "", "/usage"),
        (Paths(external_url="https://example.org/a/b", route_prefix="/b/"), "/b", "/a/b"),
        (Paths(route_prefix="/usage"), "/usage", "/usage"),
    ],
)
def test_below_a_path(tmp_path: Path, paths: Paths, ours: str, browsers: str) -> None:
    """ours: the prefix that requests come with; browsers: the one that links must have."""
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt"]}), paths)
    watched.reads("Acme", scope())
    with serve_asgi(watched.fresh) as url:
        for path in ("/metrics", "/-/healthy", "/api/v1/usage", "/static/usage.js", "/?organisation=Acme", "/"):
            assert requests.get(f"{url}{ours}{path}", timeout=10).ok, path
        html = "".join(requests.get(f"{url}{ours}{path}", timeout=10).text for path in ("/", "/?organisation=Acme"))
        links = set(re.findall(r'(?:href|src|action)="([^"#]+)', html))
        assert len(links) > 8
        for link in links:
            assert link.startswith(f"{browsers}/"), link
            inner = link.removeprefix(browsers).replace("&amp;", "&")
            assert requests.get(f"{url}{ours}{inner}", timeout=10).status_code in (200, 503), link
        if ours:
            assert requests.get(f"{url}/metrics", timeout=10).status_code == 404
            assert requests.get(f"{url}{ours}metrics", timeout=10).status_code == 404
            redirect = requests.get(f"{url}/", timeout=10, allow_redirects=False)
            assert (redirect.status_code, redirect.headers["Location"]) == (302, f"{browsers}/")
    assert f'route="{ours}' not in watched.text() or not ours


def test_gzip_of_the_json_is_what_it_says(url: str) -> None:
    raw = requests.get(f"{url}/api/v1/usage", timeout=10, stream=True).raw.read(decode_content=False)
    assert json.loads(gzip.decompress(raw))["organisations"][0]["organisation"] == "Acme"
