"""The fault matrix: a vendor that misbehaves on the wire, and what each fault looks like to those who watch.

One exporter and one Prometheus run through it all. Every fault has an api of its own at 95 % of its limit, so that an
alert fires before, during and after; and secrets that must not turn up in anything that was written.
"""

import contextlib
import datetime
import gzip
import json
import os
import re
import signal
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import yaml

from exporter.local.ports import free_port
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import start_prometheus
from tests.support.factories import answer
from tests.support.raw import Behaviour, dripping, raw_server, sending

SECRETS = {
    "token": "planted-bearer-7f3a91",
    "param": "planted-param-52bc08",
    "header": "planted-header-e1d4c6",
    "password": "planted-password-90ab3f",
    "body": "planted-inline-33dd21",
}
GOOD = json.dumps(answer({"requests": 950})).encode()


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return f"{head}Connection: close\r\n\r\n".encode() + body


def reset(*chunks: bytes) -> Behaviour:
    """Hang up with an RST, after these bytes."""

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        sending(*chunks)(connection, stop)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def half_closed(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(65536)
    connection.shutdown(socket.SHUT_WR)
    stop.wait(1)


def silent(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(65536)
    stop.wait(30)


def echoing(connection: socket.socket, stop: threading.Event) -> None:
    """Answer with all that was sent, as a debug page would."""
    asked = connection.recv(65536)
    connection.sendall(http(f"400 {asked.splitlines()[-3].decode()}", asked))
    stop.wait(0)


@dataclass(frozen=True)
class Fault:
    """behave: what the vendor does. reason: on /metrics. words: in the log line and the JSON (a pattern)."""

    name: str
    behave: Behaviour
    reason: str
    words: str


def answering(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    return sending(http(status, body, *headers))


FAULTS = (
    Fault("reset", reset(), "connection", "Connection reset by peer"),
    Fault("reset-midway", reset(http("200 OK", GOOD)[:-5]), "connection", "connection to .* failed"),
    Fault("half-closed", half_closed, "connection", "connection to .* failed"),
    Fault("cut-short", sending(http("200 OK", GOOD)[:-5]), "connection", "IncompleteRead"),
    Fault("no-http", sending(b"220 mail.example ESMTP\r\n"), "connection", "connection to .* failed"),
    Fault("silent", silent, "timeout", "within the timeout of 0.5 s"),
    Fault("drip", dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a"), "timeout", "within the timeout of 0.5 s"),
    Fault("500", answering("500 Oops"), "server_error", "the vendor answered 500 Oops"),
    Fault("503", answering("503 Busy", b"", "Retry-After: 1"), "server_error", "the vendor answered 503 Busy"),
    Fault("429", answering("429 Slow", b"", "Retry-After: 1"), "rate_limited", "the vendor answered 429 Slow"),
    Fault("404", answering("404 Gone"), "request", "the vendor answered 404 Gone"),
    Fault("redirect", answering("302 Go", b"", f"Location: http://169.254.169.254/?{SECRETS['token']}"), "request", "a redirect to 169.254.169.254"),
    Fault("json-cut", answering("200 OK", GOOD[:-5]), "response", "the answer is not JSON"),
    Fault("html", answering("200 OK", b"<!DOCTYPE html>" + SECRETS["token"].encode()), "response", "an HTML page .*<secret>"),
    Fault("misfit", answering("200 OK", json.dumps(answer({"requests": SECRETS["token"]})).encode()), "response", "requests: .*<secret>"),
    Fault("bomb", answering("200 OK", gzip.compress(b" " * 20_000_000), "Content-Encoding: gzip"), "response", "larger than max_response_bytes"),
    Fault("deep", answering("200 OK", b"[" * 500 + b"]" * 500), "response", "nested more than 100 deep"),
    Fault("echo", echoing, "request", "the vendor answered 400"),
    Fault("refused", silent, "connection", "Connection refused"),
    Fault("tls-expired", silent, "connection", "certificate has expired"),
    Fault("dns", silent, "connection", "connection to vendor.test:.* failed"),
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}
# These are not done by what the vendor sends.


@dataclass
class Vendors:
    """One misbehaving vendor for all faults, told apart by the path; `broken`: whose faults are on."""

    authority: trustme.CA
    broken: set[str] = field(default_factory=set)
    url: str = ""
    refused: "Refused | None" = None

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        asked = connection.recv(4096, socket.MSG_PEEK)
        found = re.match(rb"[A-Z]+ /([\w-]+)", asked)
        name = found.group(1).decode() if found else ""
        behave = BY_NAME[name].behave if name in self.broken else answering("200 OK", GOOD)
        behave(connection, stop)


class Refused:
    """A vendor whose port closes and opens again; with TLS, whose certificate expires and is renewed."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._accept()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def reopen(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._run, args=(self.listener,), daemon=True).start()

    def _run(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                answering("200 OK", GOOD)(connection, threading.Event())
            except OSError:
                pass
            finally:
                connection.close()


@dataclass
class Stack:
    vendors: Vendors
    tls: Refused
    folder: Path
    exporter: str
    exporter_pid: int
    prometheus: str
    activated: dict[str, str] = field(default_factory=dict)

    def metrics(self) -> str:
        return requests.get(f"{self.exporter}/metrics", timeout=10).text

    def state(self, name: str) -> dict[str, Any]:
        organisations = requests.get(f"{self.exporter}/api/v1/usage", timeout=10).json()["organisations"]
        return next(item for item in organisations if item["api"] == name)

    def alerts(self) -> dict[str, str]:
        """activeAt by api, of the firing ones."""
        alerts = requests.get(f"{self.prometheus}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        return {alert["labels"]["api"]: alert["activeAt"] for alert in alerts if alert["state"] == "firing"}

    def log(self) -> str:
        return (self.folder / "exporter.log").read_text()

    def break_(self, name: str) -> None:
        match name:
            case "refused":
                assert self.vendors.refused is not None
                self.vendors.refused.close()
            case "tls-expired":
                expired(self.vendors.authority).configure_cert(self.tls.context)
            case "dns":
                (self.folder / "dns-down").touch()
            case _:
                self.vendors.broken.add(name)

    def mend(self, name: str) -> None:
        match name:
            case "refused":
                assert self.vendors.refused is not None
                self.vendors.refused.reopen()
            case "tls-expired":
                self.vendors.authority.issue_cert("localhost").configure_cert(self.tls.context)
            case "dns":
                (self.folder / "dns-down").unlink()
            case _:
                self.vendors.broken.discard(name)


# The exporter, in a network whose name service knows vendor.test, unless there is the file that the first argument names.
PROGRAM = """
import socket, sys
from pathlib import Path
from exporter.cli import main
down, real = Path(sys.argv.pop(1)), socket.getaddrinfo
def lookup(host, *args, **more):
    if host == "vendor.test" and down.exists():
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return real("127.0.0.1" if host == "vendor.test" else host, *args, **more)
socket.getaddrinfo = lookup
main()
"""


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED_PARAM", SECRETS["param"])
        yield from running(tmp_path_factory.mktemp("faults"))


def running(folder: Path) -> Iterator[Stack]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    vendors = Vendors(authority, refused=Refused())
    tls = Refused(context)
    with raw_server(vendors) as vendors.url, Processes(folder) as processes:
        assert vendors.refused is not None
        write_config(folder, vendors, tls)
        port = free_port(0, "")
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            str(folder / "dns-down"),
            f"--config.file={folder / 'config.yaml'}",
            "--log.level=debug",
        ]
        processes.start(
            "exporter", [*command, f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / 'data'}"]
        )
        processes.wait_ready("exporter", f"http://127.0.0.1:{port}/-/ready")
        prometheus = start_prometheus(processes, write_prometheus(folder, port), folder / "tsdb")
        yield Stack(vendors, tls, folder, f"http://127.0.0.1:{port}", processes.pid("exporter"), prometheus)
    tls.close()
    vendors.refused.close()


def write_config(folder: Path, vendors: Vendors, tls: Refused) -> None:
    assert vendors.refused is not None
    (folder / "header-secret").write_text(SECRETS["header"])
    urls = {
        "refused": f"http://127.0.0.1:{vendors.refused.port}/",
        "tls-expired": f"https://localhost:{tls.port}/",
        "dns": f"{vendors.url.replace('127.0.0.1', 'vendor.test')}/dns",
    }
    apis = [
        {
            "name": fault.name,
            "preset": "standard",
            "url": urls.get(fault.name, f"{vendors.url}/{fault.name}"),
            "poll_interval": "1s",
            "stale_after": "60s",
            "timeout": "500ms",
            "auth": (
                {"type": "basic", "username": "me", "password": SECRETS["password"]}
                if fault.name == "500"
                else {"type": "bearer", "token": SECRETS["token"]}
            ),
            "params": {"key": {"env": "PLANTED_PARAM"}},
            "headers": {"X-Key": {"file": "header-secret"}, "X-Inline": SECRETS["body"]},
            "tls": {"ca_file": "ca.pem"} if fault.name == "tls-expired" else {},
            "organisations": [{"id": "acme"}],
        }
        for fault in FAULTS
    ]
    (folder / "config.yaml").write_text(yaml.safe_dump({"min_poll_interval": "1s", "apis": apis}))


def write_prometheus(folder: Path, port: int) -> Path:
    expression = "api_usage_requests / api_usage_limit_requests > 0.9"
    rule = {"alert": "UsageCritical", "expr": expression}
    (folder / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "usage", "interval": "1s", "rules": [rule]}]})
    )
    scrape = {"job_name": "usage", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    document = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document))
    return folder / "prometheus.yml"


def up(stack: Stack, name: str, value: int) -> bool:
    return f'api_usage_up{{api="{name}",organisation="acme"}} {value}.0' in stack.metrics()


@pytest.fixture(scope="module")
def broken(stack: Stack) -> Stack:
    """The stack with every fault on at once, after an alert fired for each."""
    eventually(lambda: len(stack.alerts()) == len(FAULTS))
    stack.activated = stack.alerts()
    for fault in FAULTS:
        stack.break_(fault.name)
    return stack


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_is_told_where_people_look_and_the_alert_stands(broken: Stack, fault: Fault) -> None:
    of = f'api="{fault.name}",organisation="acme"'
    eventually(lambda: f'api_usage_poll_failing{{{of},reason="{fault.reason}"}} 1.0' in broken.metrics())
    metrics = broken.metrics()
    assert f"api_usage_up{{{of}}} 0.0" in metrics
    assert metrics.count(f"api_usage_poll_failing{{{of}") == 7
    assert len(re.findall(rf"api_usage_poll_failing\{{{re.escape(of)},[^}}]*\}} 1\.0", metrics)) == 1
    assert f'api_usage_requests{{{of},scope="Maps"}} 950.0' in metrics
    state = broken.state(fault.name)
    assert state["failure"]["reason"] == fault.reason
    assert re.search(fault.words, state["failure"]["message"])
    assert (state["up"], state["scopes"][0]["requests"]) == (False, 950)
    lines = [line for line in broken.log().splitlines() if f"api={fault.name} " in line and "poll failed" in line]
    assert any(f"reason={fault.reason} " in line and re.search(fault.words, line) for line in lines), lines[-3:]
    assert requests.get(f"{broken.exporter}/", timeout=10).ok
    assert broken.alerts()[fault.name] == broken.activated[fault.name]


def test_every_fault_ends_without_a_restart_and_no_alert_has_resolved(broken: Stack) -> None:
    eventually(lambda: all(up(broken, fault.name, 0) for fault in FAULTS))
    for fault in FAULTS:
        broken.mend(fault.name)
    eventually(lambda: all(up(broken, fault.name, 1) for fault in FAULTS))
    assert broken.log().count("poll works again") >= len(FAULTS)
    assert broken.alerts() == broken.activated
    os.kill(broken.exporter_pid, 0)


def test_no_secret_in_anything_that_was_written_or_shown(broken: Stack) -> None:
    shown = [requests.get(broken.exporter + path, timeout=10).text for path in ("/", "/metrics", "/api/v1/usage")]
    arguments = Path(f"/proc/{broken.exporter_pid}/cmdline").read_text()
    written = [file.read_text(errors="replace") for file in (broken.folder / "data").glob("usage.db*")]
    for secret in SECRETS.values():
        for text in (*shown, arguments, *written, broken.log()):
            assert secret not in text
    eventually(lambda: "<secret>" in broken.log())
    assert "Traceback" not in broken.log()


def test_the_process_dies_and_comes_back_while_vendors_are_down_and_no_alert_resolves(broken: Stack) -> None:
    for fault in FAULTS:
        broken.break_(fault.name)
    eventually(lambda: up(broken, "500", 0))
    before = broken.state("500")["last_success"]
    os.kill(broken.exporter_pid, signal.SIGKILL)
    port = broken.exporter.rsplit(":", 1)[1]
    with Processes(broken.folder) as processes:
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            str(broken.folder / "dns-down"),
            f"--config.file={broken.folder / 'config.yaml'}",
        ]
        processes.start(
            "again", [*command, f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={broken.folder / 'data'}"]
        )
        processes.wait_ready("again", f"{broken.exporter}/-/ready")
        eventually(lambda: up(broken, "500", 0))
        state = broken.state("500")
        assert (state["last_success"], state["scopes"][0]["requests"]) == (before, 950)
        eventually(lambda: set(broken.alerts()) == set(BY_NAME))
        log = (broken.folder / "again.log").read_text()
        assert not any(secret in log for secret in SECRETS.values())
