"""Organisations in any number, a vendor that answers for them after a set time, and exporters that ask it."""

import json
import random
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import trustme
import yaml
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from benchmarks.load import tool
from exporter.local.processes import Processes, eventually, free_port

SCOPES = 5  # of an organisation, as a usage page has a handful of cards
DAYS = 30  # all that the exporter publishes


def answer(organisation: str = "", scopes: int = SCOPES) -> dict[str, Any]:
    """A whole answer in the standard contract, with 30 days for each scope; as random as real numbers are, and for an
    organisation the same each time but for what it used meanwhile."""
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = {"start": start.isoformat(), "end": (start + timedelta(days=32)).replace(day=1).isoformat()}
    chance = random.Random(organisation)
    return {"scopes": [_scope(number, period, now, chance) for number in range(scopes)]}


def _scope(number: int, period: dict[str, str], now: datetime, chance: random.Random) -> dict[str, Any]:
    usual = chance.randint(20, 40_000)
    days = [round(usual * chance.uniform(0.5, 1.5)) for _ in range(DAYS)]
    today = int(usual * (now - now.replace(hour=0, minute=0, second=0)).total_seconds() / 86_400)
    dates = [(now.date() - timedelta(days=back)).isoformat() for back in range(DAYS)]
    return {
        "name": f"Scope {number}",
        "id": f"scope-{number}",
        "plan": "Business",
        "requests": sum(days[1 : now.day]) + today,
        "limit": round(usual * 45, -3) + 1_000,
        "rate_limit_per_minute": chance.choice((60, 600, 6_000)),
        "rejected": chance.randint(0, 500),
        "period": period,
        "daily": [{"date": day, "requests": count} for day, count in zip(dates, [today, *days[1:]], strict=True)],
    }


def config(file: Path, organisations: int, url: str, *others: tuple[str, int, str], **api: Any) -> Path:
    """A config file with so many organisations of the api `bench`; others: further apis as (name, organisations,
    url)."""
    apis = [_api("bench", organisations, url, api), *(_api(*other, api) for other in others)]
    file.write_text(yaml.safe_dump({"min_poll_interval": "100ms", "apis": apis}), encoding="utf-8")
    return file


def _api(name: str, organisations: int, url: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "preset": "standard",
        "url": f"{url}/{{organisation_id}}",
        "organisations": [{"id": f"org-{number:05}"} for number in range(organisations)],
        **settings,
    }


class _Vendor(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def __init__(self, delay: float, scopes: int) -> None:
        self.delay = delay
        self.scopes = scopes
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Vendor

    def do_GET(self) -> None:
        body = json.dumps(answer(self.path.strip("/"), self.server.scopes)).encode()
        time.sleep(self.server.delay)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass(frozen=True)
class Exporter:
    """A running one. started: by time.monotonic(); started_at: in Unix time."""

    url: str
    pid: int
    started: float
    started_at: float

    def is_complete(self) -> bool:
        """Whether every organisation was asked for, and /metrics shows it."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=30).ok
        except requests.RequestException:
            return False

    def until_complete(self) -> float:
        """Seconds from the start until then."""
        eventually(self.is_complete, 180)
        return time.monotonic() - self.started

    def text(self) -> bytes:
        answer = requests.get(f"{self.url}/metrics", timeout=30)
        answer.raise_for_status()
        return answer.content

    def polls(self) -> float:
        """How many polls it has made."""
        counted = re.findall(rb"^api_usage_polls_total\{.*\} (\S+)$", self.text(), re.MULTILINE)
        return sum(map(float, counted))


def start(processes: Processes, config_file: Path, *further: str, core: int | None = None) -> Exporter:
    """Start an exporter and wait for nothing. further: flags. core: the only one that it may use."""
    port = free_port(0, "")
    pinned = [] if core is None else [tool("taskset"), "--cpu-list", str(core)]
    flags = [
        f"--config.file={config_file}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        *further,
    ]
    began, began_at = time.monotonic(), time.time()
    processes.start(f"exporter-{port}", [*pinned, sys.executable, "-m", "exporter", *flags])
    return Exporter(f"http://127.0.0.1:{port}", processes.pid(f"exporter-{port}"), began, began_at)


@contextmanager
def vendor(delay: float = 0.0, scopes: int = SCOPES, trusted: Path | None = None) -> Iterator[str]:
    """A vendor that answers every organisation after `delay` seconds; yields its URL.

    trusted: with TLS, the file to write the authorities to that know it, the usual ones among them.
    """
    server = _Vendor(delay, scopes)
    if trusted is not None:
        server.socket = _encrypted(server.socket, trusted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield (
            f"http://127.0.0.1:{server.server_port}" if trusted is None else f"https://localhost:{server.server_port}"
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _encrypted(listener: socket.socket, trusted: Path) -> ssl.SSLSocket:
    authority = trustme.CA()
    usual = Path(DEFAULT_CA_BUNDLE_PATH).read_bytes()
    trusted.write_bytes(usual + authority.cert_pem.bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    # The handshake belongs to the connection's own thread.
    return context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)


def main(arguments: list[str]) -> None:
    """A vendor in a process of its own, until standard input ends; with TLS where a file for `trusted` is named."""
    with vendor(trusted=Path(arguments[0]) if arguments else None) as url:
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
