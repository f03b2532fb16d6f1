"""What a scrape costs: against rendering on each scrape, and against nginx serving the same bytes as a file."""

import gzip
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import fleet, nginx
from benchmarks.chart import Bar, Chart
from benchmarks.figures import Figure, Report, median, number
from benchmarks.load import Latency, wrk
from exporter.address import Address
from exporter.local.ports import free_port
from exporter.local.processes import Processes
from exporter.web.listening import listen
from exporter.web.server import serve
from exporter.web.wsgi import wsgi

ORGANISATIONS = 200
# (organisations, scopes of each); the last two have nearly the same text.
SIZES = ((20, 5), (100, 5), (500, 5), (1000, 5), (40, 25), (200, 5))

CALM = "exporter, 8 at a time"
BUSY = "exporter while polls go on, 8 at a time"
NGINX = "nginx, the same bytes as a file, 8 at a time"
ALONE = "exporter, 1 at a time"
RENDERING = "prometheus_client's generate_latest on each scrape, 1 at a time"


@dataclass(frozen=True)
class Server:
    """One of those compared, and how many ask it at a time."""

    name: str
    url: str
    connections: int


def in_turns(servers: Sequence[Server], rounds: int = 5, seconds: int = 3) -> dict[str, Latency]:
    """Each one's median of the rounds: what else the machine does weighs on all alike."""
    taken: dict[str, list[Latency]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            taken[server.name].append(wrk(f"{server.url}/metrics", connections=server.connections, seconds=seconds))
    return {name: _middle(latencies) for name, latencies in taken.items()}


def _middle(latencies: Sequence[Latency]) -> Latency:
    return Latency(
        median([one.median for one in latencies]),
        median([one.p99 for one in latencies]),
        sum(one.errors for one in latencies),
    )


def measure() -> Report:
    """Against rendering on each scrape, and against nginx; calm, and while polls go on."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes, fleet.vendor() as vendor:
        # The first round of polls is at once and the second spreads over half to one and a half intervals.
        busy = fleet.start(
            processes, fleet.config(Path(folder) / "busy.yaml", ORGANISATIONS, vendor, poll_interval="60s")
        )
        calm = fleet.start(
            processes, fleet.config(Path(folder) / "calm.yaml", ORGANISATIONS, vendor, poll_interval="1h")
        )
        busy.until_complete()
        calm.until_complete()
        text = calm.text()
        file = nginx.serve(processes, Path(folder), text)
        rendering = _rendering(processes, Path(folder), text)
        time.sleep(max(0.0, busy.started + 35 - time.monotonic()))
        before, began = busy.polls(), time.monotonic()
        latencies = in_turns(
            [
                Server(BUSY, busy.url, 8),
                Server(NGINX, file, 8),
                Server(CALM, calm.url, 8),
                Server(ALONE, calm.url, 1),
                Server(RENDERING, rendering, 1),
            ]
        )
        polled = (busy.polls() - before) / (time.monotonic() - began)
    return _report(text, polled, latencies)


def _report(text: bytes, polled: float, latencies: Mapping[str, Latency]) -> Report:
    calm, file, busy, alone, rendering = (latencies[name] for name in (CALM, NGINX, BUSY, ALONE, RENDERING))
    samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    rest = [
        Figure(f"{name}: {what}", seconds * 1e3, "ms")
        for name, latency in latencies.items()
        for what, seconds in (("median", latency.median), ("99th percentile", latency.p99))
    ]
    # Eight who ask without a pause and a server share the cores: below what a static file has there, nothing can be.
    tail = max(3.0, file.p99 / file.median)
    ratios = [
        Figure("rendering on each scrape / exporter, one at a time", rendering.median / alone.median, at_least=40),
        Figure("exporter / nginx, eight at a time", calm.median / file.median, at_most=2),
        Figure("the same while polls go on", busy.median / file.median, at_most=2),
        Figure("99th percentile / median", calm.p99 / calm.median, at_most=tail),
        Figure("99th percentile / median while polls go on", busy.p99 / busy.median),
        Figure("the same of nginx beside those polls, which runs no Python", file.p99 / file.median),
        Figure("99th percentile while polls go on / that of nginx", busy.p99 / file.p99, at_most=1.25),
        Figure("polls a second meanwhile", polled, at_least=1),
        Figure("scrapes that failed", sum(latency.errors for latency in latencies.values()), at_most=0),
    ]
    about = (
        f"{ORGANISATIONS} organisations of {fleet.SCOPES} scopes with 30 days each: {samples:,} samples, "
        f"{len(text) / 1e6:.1f} MB of text, scraped with gzip. In turns, 3 s each, in 5 rounds, of which the median "
        "counts; the exporter that polls does so all the while, and so beside the others too."
    )
    bars = [Bar(name, latencies[name].median, f"{number(latencies[name].median * 1e3)} ms") for name in _SHORT]
    named = tuple(replace(bar, label=_SHORT[bar.label]) for bar in bars)
    chart = Chart(
        "performance-scrape.svg",
        f"A gzip scrape of {samples:,} samples, median (logarithmic)",
        named,
        logarithmic=True,
    )
    return Report("What a scrape costs", about, (*ratios, *rest), (chart,))


_SHORT = {
    NGINX: "nginx, a static file, 8 at a time",
    CALM: "exporter, 8 at a time",
    BUSY: "exporter, 8 at a time, polling",
    ALONE: "exporter, alone",
    RENDERING: "rendering on each scrape, alone",
}


def measure_sizes() -> Report:
    """The time of a scrape by its size, one scraper at a time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(Processes(folder))
        exporters = {}
        for organisations, scopes in SIZES:
            vendor = stack.enter_context(fleet.vendor(scopes=scopes))
            config = fleet.config(folder / f"{organisations}.yaml", organisations, vendor, poll_interval="1h")
            exporters[organisations, scopes] = fleet.start(processes, config)
        for exporter in exporters.values():
            exporter.until_complete()
        # In turns, so that what else the machine does weighs on all alike.
        taken: dict[tuple[int, int], list[float]] = {size: [] for size in SIZES}
        for _ in range(5):
            for size, exporter in exporters.items():
                taken[size].append(wrk(f"{exporter.url}/metrics", connections=1, seconds=1).median)
        each = {size: (median(taken[size]), _megabytes(exporter)) for size, exporter in exporters.items()}
    figures, bars = [], []
    for (organisations, scopes), (seconds, megabytes) in each.items():
        name = f"{organisations} organisations of {scopes} scopes"
        figures.append(Figure(f"{name}: {megabytes:.2f} MB gzipped", seconds * 1e3, "ms"))
        bars.append(Bar(f"{name}, {megabytes:.2f} MB", seconds, f"{number(seconds * 1e3)} ms"))
    (few, few_size), (many, many_size) = each[SIZES[-2]], each[SIZES[-1]]
    (small, small_size), (large, large_size) = each[SIZES[0]], each[SIZES[3]]
    ratio = Figure(
        "200 organisations of 5 scopes / 40 of 25, for the same bytes",
        many / few * few_size / many_size,
        at_most=1.25,
    )
    slope = Figure("each further MB", (large - small) / (large_size - small_size) * 1e3, "ms")
    about = "The median gzip scrape, one at a time: it grows with the bytes and with nothing else."
    chart = Chart("performance-size.svg", "A scrape by its size, median", tuple(bars[:4]))
    return Report("A scrape by its size", about, (ratio, slope, *figures), (chart,))


def _megabytes(exporter: fleet.Exporter) -> float:
    """Of a gzipped scrape."""
    return int(requests.head(f"{exporter.url}/metrics", timeout=30).headers["Content-Length"]) / 1e6


def _rendering(processes: Processes, folder: Path, text: bytes) -> str:
    """The same families from memory, rendered and compressed on each scrape, as an exporter usually does."""
    port = free_port(0, "")
    file = folder / "families.txt"
    file.write_bytes(text)
    processes.start("rendering", [sys.executable, "-m", "benchmarks.scrape", str(file), str(port)])
    url = f"http://127.0.0.1:{port}"
    processes.wait_ready("rendering", f"{url}/metrics")
    return url


class _Families:
    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))

    def collect(self) -> Iterator[Any]:
        return iter(self._families)


def serve_rendering(file: Path, port: int) -> None:
    registry = CollectorRegistry()
    registry.register(_Families(file.read_text()))
    app = Flask("rendering")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(gzip.compress(generate_latest(registry), 3), headers={"Content-Encoding": "gzip"})

    serve(wsgi(app), [listen(Address("127.0.0.1", port))])


if __name__ == "__main__":
    serve_rendering(Path(sys.argv[1]), int(sys.argv[2]))
