"""Arbitrary requests and config files: answers of the right kind, never a crash."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from exporter.config.api import ConfigFile
from exporter.config.load import load_config
from exporter.errors import ConfigError
from exporter.local.processes import Processes
from exporter.web.web_config import load_web_config
from tests.support.factories import answer, write_config
from tests.support.http import Vendor, serve
from tests.support.programs import start_exporter

SLOW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real exporter's base URL; its log must hold no traceback at the end."""
    folder = tmp_path_factory.mktemp("fuzz")
    vendor = Vendor()
    vendor.answer = lambda _: Response(json.dumps(answer()))
    with serve(vendor) as url, Processes(folder) as processes:
        yield start_exporter(processes, write_config(folder / "config.yaml", {"url": url}))
        log = "".join(file.read_text() for file in folder.glob("exporter-*.log"))
        assert "Traceback" not in log


def address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


ROUTES = ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/api/v1/usage", "/static/x", "/../etc/passwd"]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"]
PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(["Accept", "Accept-Encoding", "Accept-Language", "Host", "Cookie", "Range", "If-None-Match", "If-Modified-Since", "Authorization", "Content-Type", "Forwarded", "X-Forwarded-Host"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_characters="\x7f"), max_size=80).map(str.strip),
    max_size=4,
)  # fmt: skip


@SLOW
@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(ROUTES) | PRINTABLE.map(lambda text: f"/{text}"),
    query=PRINTABLE,
    headers=HEADERS,
    body=st.binary(max_size=100),
)
@example("GET", "/metrics", "", {"Accept": "text/plain;q=x, */*;version=,;;", "Accept-Encoding": "gzip;q=9e999"}, b"")
@example("POST", "/-/reload", "", {"Content-Type": "multipart/form-data; boundary="}, b"--")
@example("GET", "/%ff%00", "%ff", {"Host": "\xff"}, b"")
def test_any_request_is_answered_without_a_server_error(
    exporter: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    if method == "CONNECT":  # has no content: what follows is for the tunnel (RFC 9110, section 9.3.6)
        body = b""
    with closing(http.client.HTTPConnection(*address(exporter), timeout=10)) as connection:
        connection.putrequest(method, f"{path}?{query}".replace("#", ""), skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
    assert response.status < 500


MALFORMED = (
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /metrics\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    b"GET /me\xfftrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    b"POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def exchange(exporter: str, sent: bytes, *, end: bool) -> bytes:
    """The raw answer to raw bytes, or its beginning; end: say at once that nothing more is to come."""
    with socket.create_connection(address(exporter), timeout=10 if end else 1) as connection:
        received = b""
        try:
            connection.sendall(sent)
            if not end:
                return connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except OSError:  # hung up on
            pass
        return received


@pytest.mark.parametrize("sent", MALFORMED, ids=lambda sent: repr(sent[:40]))
def test_a_malformed_request_gets_a_4xx_or_is_hung_up_on(exporter: str, sent: bytes) -> None:
    received = exchange(exporter, sent, end=False)
    assert not received or received.startswith(b"HTTP/1.1 4")
    assert requests.get(f"{exporter}/metrics", timeout=10).ok


@SLOW
@given(
    st.binary(max_size=300)
    | st.sampled_from(MALFORMED).flatmap(lambda sent: st.permutations(list(sent[:60])).map(bytes))
)
def test_bytes_that_are_no_request(exporter: str, sent: bytes) -> None:
    received = exchange(exporter, sent, end=True)
    assert not received or received.startswith(b"HTTP/1.1 ")
    assert not received.startswith(b"HTTP/1.1 5")


FIELDS = sorted(
    {name for model in ConfigFile.model_json_schema()["$defs"].values() for name in model.get("properties", {})}
    | {
        "apis",
        "organisation_labels",
        "min_poll_interval",
        "tls_server_config",
        "basic_auth_users",
        "http_server_config",
    }
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.sampled_from(["standard", "5m", "-1s", "UTC", "{x}", "http://[", "http://x:99999/", "a[?", "unlimited", "99999999999999999999y"])  # fmt: skip
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
APIS = st.fixed_dictionaries(
    {"name": st.just("a") | SCALARS, "url": st.just("http://x/") | SCALARS, "preset": st.just("standard") | SCALARS},
    optional={name: DOCUMENTS for name in ConfigFile.model_json_schema()["$defs"]["Api"]["properties"] if name not in ("name", "url", "preset")},
)  # fmt: skip


def loads_or_tells(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    for load in (load_config, load_web_config):
        try:
            load(file)
        except ConfigError as error:
            told = error.problems
        else:
            continue
        assert told
        for problem in told:
            assert problem.message
            assert problem.line is None or problem.line >= 1


@settings(SLOW, max_examples=150)
@given(DOCUMENTS | st.fixed_dictionaries({"apis": st.lists(APIS, min_size=1, max_size=2)}))
def test_any_document_is_a_config_or_located_errors(tmp_path: Path, document: Any) -> None:
    loads_or_tells(tmp_path, yaml.safe_dump(document, allow_unicode=True))


@SLOW
@given(st.binary(max_size=200) | st.text(st.sampled_from("apis: []{}&*!<>|-?#'\"\n\t%@`,a0"), max_size=80))
@example("a: &a [*a]")
@example("a: &a {b: *a}")
@example("<<: 1")
@example("? {a: b}\n: c")
@example("!!python/object/apply:os.system [id]")
@example("[" * 5000)
@example("a: 1e999999999")
@example("a: 0x" + "f" * 5000)
@example("a: 2026-99-99")
def test_any_bytes_are_a_config_or_located_errors(tmp_path: Path, content: str | bytes) -> None:
    loads_or_tells(tmp_path, content)


def test_a_yaml_bomb_ends_soon(tmp_path: Path) -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    file = tmp_path / "config.yaml"
    file.write_text("\n".join(["a0: &a0 [x, x]", *levels]))
    with pytest.raises(ConfigError, match="aliases that repeat too much"):
        load_config(file)
