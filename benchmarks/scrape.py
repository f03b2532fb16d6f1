"""What a scrape costs: against rendering on each scrape, and against nginx serving the same bytes as a file."""

import gzip
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import fleet
from benchmarks.load import Latency, tool, wrk
from exporter.demo.processes import Processes, free_port
from exporter.web.server import Address, listen, serve

ORGANISATIONS = 200

CALM = "exporter, 8 at a time"
NGINX = "nginx, the same bytes as a file, 8 at a time"
BUSY = "exporter while polls go on, 8 at a time"
ALONE = "exporter, 1 at a time"
RENDERING = "prometheus_client's generate_latest on each scrape, 1 at a time"


@dataclass(frozen=True)
class Server:
    """One of those compared, and how many ask it at a time."""

    name: str
    url: str
    connections: int


def measure() -> tuple[str, dict[str, Latency]]:
    """(what was served, in words; latencies by name)."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes, fleet.vendor() as vendor:
        calm = _exporter(processes, Path(folder), vendor, poll_interval="10m")
        text = requests.get(f"{calm}/metrics", headers={"Accept-Encoding": "identity"}, timeout=30).content
        samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
        servers = [
            Server(CALM, calm, 8),
            Server(NGINX, _nginx(processes, Path(folder), text), 8),
            Server(BUSY, _exporter(processes, Path(folder), vendor, poll_interval="60s"), 8),
            Server(ALONE, calm, 1),
            Server(RENDERING, _rendering(processes, Path(folder), text), 1),
        ]
        latencies = {}
        for server in track(servers, "asking", transient=True):
            latencies[server.name] = wrk(f"{server.url}/metrics", connections=server.connections)
        return f"{samples:,} samples, {len(text) / 1e6:.1f} MB of text", latencies


def ratios(latencies: Mapping[str, Latency]) -> list[tuple[str, float, str]]:
    """(what, the ratio, what it should be)."""
    calm, nginx, busy = latencies[CALM], latencies[NGINX], latencies[BUSY]
    rendering = latencies[RENDERING].median
    return [
        ("rendering on each scrape / exporter, one at a time", rendering / latencies[ALONE].median, ">= 40"),
        ("exporter / nginx, eight at a time", calm.median / nginx.median, "<= 25"),
        ("the same while polls go on", busy.median / nginx.median, "<= 25"),
        ("99th percentile / median while polls go on", busy.p99 / busy.median, "<= 5"),
    ]


def report(served: str, latencies: Mapping[str, Latency]) -> None:
    console = Console(width=110)
    table = Table("gzip scrape", "median ms", "99th ms", "errors", title=f"{ORGANISATIONS} organisations: {served}")
    for name, latency in latencies.items():
        table.add_row(name, f"{latency.median * 1e3:.2f}", f"{latency.p99 * 1e3:.2f}", str(latency.errors))
    console.print(table)
    compared = Table("ratio of medians", "measured", "target")
    for name, ratio, target in ratios(latencies):
        compared.add_row(name, f"{ratio:.1f}", target)
    console.print(compared)


def _exporter(processes: Processes, folder: Path, vendor: str, **api: Any) -> str:
    port = free_port(0, "")
    url = f"http://127.0.0.1:{port}"
    config = fleet.config(folder / f"{port}.yaml", ORGANISATIONS, vendor, **api)
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    processes.start(f"exporter-{port}", command)
    processes.wait_ready(f"exporter-{port}", f"{url}/-/ready")
    return url


def _nginx(processes: Processes, folder: Path, text: bytes) -> str:
    """nginx with one worker, serving the finished text and its gzip as files."""
    port = free_port(0, "")
    (folder / "metrics").write_bytes(text)
    (folder / "metrics.gz").write_bytes(gzip.compress(text, 3))
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}; gzip_static on; default_type text/plain; }} }}\n"
    )
    folder.chmod(0o755)  # its worker runs as another user
    processes.start("nginx", [tool("nginx"), "-c", str(conf), "-p", str(folder)])
    url = f"http://127.0.0.1:{port}"
    processes.wait_ready("nginx", f"{url}/metrics")
    return url


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

    serve(app, [listen(Address("127.0.0.1", port))])


if __name__ == "__main__":
    if sys.argv[1:]:
        serve_rendering(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        report(*measure())
