"""Organisations in any number, a vendor that answers for them after a set time, and exporters that ask it."""

import asyncio
import json
import random
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import requests
import trustme
import yaml
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from benchmarks.load import tool
from exporter.local.ports import free_port
from exporter.local.processes import Processes, eventually

SCOPES = 5  # of an organisation, as a usage page has a handful of cards
DAYS = 30  # all that the exporter publishes


def answer(organisation: str = "", scopes: int = SCOPES) -> dict[str, Any]:
    """A whole answer in the standard contract, with 30 days for each scope; as random as real numbers are, and for an
    organisation the same each time but for what it used meanwhile."""
    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = {"start": start.isoformat(), "end": (start + timedelta(days=32)).replace(day=1).isoformat()}
    return {"scopes": [_scope(number, one, period, now) for number, one in enumerate(_scopes(organisation, scopes))]}


@dataclass(frozen=True)
class _Scope:
    """What of a scope stays as it is. usual: requests a day; days: of each, the newest first."""

    usual: int
    days: tuple[int, ...]
    rate_limit: int
    rejected: int


@lru_cache(20_000)
def _scopes(organisation: str, scopes: int) -> tuple[_Scope, ...]:
    """Drawn once, since whoever answers uses the cores that the exporter is measured on."""
    chance = random.Random(organisation)
    return tuple(_drawn(chance) for _ in range(scopes))


def _drawn(chance: random.Random) -> _Scope:
    usual = chance.randint(20, 40_000)
    days = tuple(round(usual * chance.uniform(0.5, 1.5)) for _ in range(DAYS))
    return _Scope(usual, days, chance.choice((60, 600, 6_000)), chance.randint(0, 500))


def _scope(number: int, scope: _Scope, period: dict[str, str], now: datetime) -> dict[str, Any]:
    today = int(scope.usual * (now - now.replace(hour=0, minute=0, second=0)).total_seconds() / 86_400)
    return {
        "name": f"Scope {number}",
        "id": f"scope-{number}",
        "plan": "Business",
        "requests": sum(scope.days[1 : now.day]) + today,
        "limit": round(scope.usual * 45, -3) + 1_000,
        "rate_limit_per_minute": scope.rate_limit,
        "rejected": scope.rejected,
        "period": period,
        "daily": [
            {"date": day, "requests": count}
            for day, count in zip(_dates(now.date()), [today, *scope.days[1:]], strict=True)
        ],
    }


@lru_cache(2)
def _dates(today: date) -> tuple[str, ...]:
    return tuple((today - timedelta(days=back)).isoformat() for back in range(DAYS))


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


class _Vendor(asyncio.Protocol):
    """One connection, for one GET request."""

    def __init__(self, delay: float, scopes: int) -> None:
        self._delay = delay
        self._scopes = scopes
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        path = self._received.split(b" ", 2)[1].decode()
        body = json.dumps(answer(path.strip("/"), self._scopes)).encode()
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self._transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._transport.close()


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
    """A vendor that answers every organisation after `delay` seconds, in a process of its own; yields its URL.

    trusted: with TLS, the file to write the authorities to that know it, the usual ones among them.
    """
    given = [str(delay), str(scopes), *([str(trusted)] if trusted else [])]
    command = [sys.executable, "-m", "benchmarks.fleet", *given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None  # noqa: S101
        assert running.stdout is not None  # noqa: S101
        try:
            yield running.stdout.readline().strip()
        finally:
            running.stdin.close()  # which ends it


def _encryption(trusted: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    usual = Path(DEFAULT_CA_BUNDLE_PATH).read_bytes()
    trusted.write_bytes(usual + authority.cert_pem.bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def serve_vendor(delay: float, scopes: int, trusted: Path | None) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    context = None if trusted is None else _encryption(trusted)
    server = await loop.create_server(partial(_Vendor, delay, scopes), "127.0.0.1", 0, backlog=512, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}" if context is None else f"https://localhost:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main(delay: str, scopes: str, trusted: str | None = None) -> None:
    asyncio.run(serve_vendor(float(delay), int(scopes), Path(trusted) if trusted else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
