"""A scrape beside those who are in its way: many who ask for the JSON, who do not read, who guess passwords."""

import contextlib
import itertools
import multiprocessing
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import requests
import yaml

from benchmarks import fleet
from benchmarks.figures import Figure, Report
from benchmarks.load import Latency, asking, wrk
from exporter.local.processes import Processes

ORGANISATIONS = 1000
CLIENTS = 60
GUESSERS = 4
USER, PASSWORD = "prometheus", "bench password"
_SECONDS = 6
_SCRAPE = requests.auth._basic_auth_str(USER, PASSWORD)


def measure() -> Report:
    with tempfile.TemporaryDirectory() as name, Processes(Path(name)) as processes, fleet.vendor() as vendor:
        folder = Path(name)
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        web = {"basic_auth_users": {USER: hashed}, "auth_excluded_paths": ["/-/ready"]}
        (folder / "web.yml").write_text(yaml.safe_dump(web))
        config = fleet.config(folder / "c.yaml", ORGANISATIONS, vendor, poll_interval="1h")
        exporter = fleet.start(processes, config, f"--web.config.file={folder / 'web.yml'}")
        exporter.until_complete()
        wrk(f"{exporter.url}/-/ready", seconds=2)
        json_bytes = int(_get(exporter, "/api/v1/usage", "identity").headers["Content-Length"])
        alone = _scrapes(exporter)
        with asking(
            f"{exporter.url}/api/v1/usage", connections=CLIENTS, headers=[f"Authorization: {_SCRAPE}"]
        ) as rate:
            beside_json = _scrapes(exporter)
            healthy = wrk(f"{exporter.url}/-/ready", connections=1, seconds=2)
        before = _megabytes(exporter)
        with _unread(exporter):
            grown = _megabytes(exporter) - before
            beside_unread = _scrapes(exporter)
        with _guessing(exporter):
            beside_guesses = _scrapes(exporter)
        again = _scrapes(exporter)
    measured = {
        "alone": alone,
        "beside those who ask for the JSON": beside_json,
        "beside those who do not read": beside_unread,
        "beside those who guess": beside_guesses,
        "alone again": again,
    }
    base = min(alone.median, again.median)
    figures = (
        Figure(f"beside {CLIENTS} who ask for the JSON / alone", beside_json.median / base, at_most=3),
        Figure(f"beside {CLIENTS} who do not read / alone", beside_unread.median / base, at_most=3),
        Figure(f"beside {GUESSERS} who guess passwords / alone", beside_guesses.median / base, at_most=3),
        Figure("memory that those who do not read cost", grown, "MB", at_most=20),
        Figure("answers with the JSON a second meanwhile", rate[0], at_least=1),
        Figure("scrapes that failed", sum(latency.errors for latency in measured.values()), at_most=0),
        Figure("beside those who ask for the JSON: 99th percentile", beside_json.p99 * 1e3, "ms", at_most=100),
        Figure("/-/ready beside them: 99th percentile", healthy.p99 * 1e3, "ms", at_most=100),
        *(Figure(f"{name}: median", latency.median * 1e3, "ms") for name, latency in measured.items()),
        *(
            Figure(f"{name}: 99th percentile", latency.p99 * 1e3, "ms")
            for name, latency in measured.items()
            if latency is not beside_json
        ),
    )
    about = (
        f"{ORGANISATIONS:,} organisations of {fleet.SCOPES} scopes, one gzip scrape after another with a password. "
        f"Beside it {CLIENTS} clients without a pause ask for the whole JSON, {json_bytes / 1e6:.1f} MB each without "
        f"compression; {CLIENTS} ask for the metrics as plain text and read nothing; {GUESSERS} processes guess "
        "passwords. They share the cores with the exporter. Ratios are of medians."
    )
    return Report("A scrape beside those who are in its way", about, figures)


def _scrapes(exporter: fleet.Exporter) -> Latency:
    return wrk(f"{exporter.url}/metrics", connections=1, seconds=_SECONDS, headers=[f"Authorization: {_SCRAPE}"])


def _get(exporter: fleet.Exporter, path: str, coding: str) -> requests.Response:
    response = requests.get(
        exporter.url + path, auth=(USER, PASSWORD), headers={"Accept-Encoding": coding}, timeout=60
    )
    response.raise_for_status()
    return response


def _megabytes(exporter: fleet.Exporter) -> float:
    status = Path(f"/proc/{exporter.pid}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
    assert found is not None  # noqa: S101
    return int(found[1]) / 1000


@contextlib.contextmanager
def _unread(exporter: fleet.Exporter) -> Iterator[None]:
    host, port = exporter.url.removeprefix("http://").split(":")
    request = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nAuthorization: {_SCRAPE}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((host, int(port)))
            client.sendall(request)
        time.sleep(2)
        yield


@contextlib.contextmanager
def _guessing(exporter: fleet.Exporter) -> Iterator[None]:
    stop = multiprocessing.Event()
    guessers = [
        multiprocessing.Process(target=_guess, args=(exporter.url, stop, number), daemon=True)
        for number in range(GUESSERS)
    ]
    for guesser in guessers:
        guesser.start()
    time.sleep(1)
    try:
        yield
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join()


def _guess(url: str, stop: Any, number: int) -> None:
    with requests.Session() as session:
        for guess in itertools.count():
            if stop.is_set():
                return
            session.get(f"{url}/metrics", auth=(USER, f"{number}-{guess}"), timeout=60)
