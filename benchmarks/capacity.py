"""10,000 scopes on one core: whether it works, and what it needs."""

import re
import tempfile
import time
from pathlib import Path

import requests

from benchmarks import fleet
from benchmarks.figures import Figure, Report
from benchmarks.load import wrk
from exporter.local.processes import Processes

ORGANISATIONS = 2000  # of 5 scopes
INTERVAL = 60  # a fifth of the default, so that polls are a load
CORE = 0  # any one will do
_MIB = 2**20


def measure() -> Report:
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes, fleet.vendor() as vendor:
        config = fleet.config(Path(folder) / "c.yaml", ORGANISATIONS, vendor, poll_interval=f"{INTERVAL}s")
        exporter = fleet.start(processes, config, core=CORE)
        ready = exporter.until_complete()
        text = exporter.text()
        # Until the second round of polls is under way: see scrape.py.
        time.sleep(INTERVAL / 2 + 2)
        polls, since = exporter.polls(), time.monotonic()
        latency = wrk(f"{exporter.url}/metrics", connections=1, seconds=4)
        quiet = _quiet_load(exporter, 10)
        polled = (exporter.polls() - polls) / (time.monotonic() - since)
        memory, peak = memory_of(exporter.pid)
        ok = requests.get(f"{exporter.url}/metrics", timeout=30).ok
    samples = sum(1 for line in text.splitlines() if not line.startswith(b"#"))
    bound = 3 * len(text) / _MIB + 80
    figures = (
        Figure("samples", samples, at_least=350_000),
        Figure("text", len(text) / _MIB, "MiB"),
        Figure("memory (PSS) while it is scraped and polls", memory, "MiB", at_most=bound),
        Figure("memory at its peak (largest RSS since the start)", peak, "MiB", at_most=bound),
        Figure("start to first complete /metrics", ready, "s"),
        Figure("polls a second meanwhile", polled, at_least=1),
        Figure("of the core, with a scrape every 5 s", quiet * 100, "%", at_most=100),
        Figure("gzip scrape, one after another: median", latency.median * 1e3, "ms"),
        Figure("gzip scrape, one after another: 99th percentile", latency.p99 * 1e3, "ms"),
        Figure("scrapes that failed", latency.errors + (not ok), at_most=0),
    )
    about = (
        f"{ORGANISATIONS:,} organisations of {fleet.SCOPES} scopes on an exporter bound to one core (taskset), each "
        f"polled once in {INTERVAL} s (by default it is 5 minutes). Wanted of the memory: at most 3 times the text "
        "and 80 MiB."
    )
    return Report("10,000 scopes on one core", about, figures)


def _quiet_load(exporter: fleet.Exporter, seconds: int) -> float:
    """The part of a core that it takes while somebody scrapes every 5 s."""
    began, before = time.monotonic(), _processor_seconds(exporter.pid)
    for _ in range(seconds // 5):
        requests.get(f"{exporter.url}/metrics", timeout=30)
        time.sleep(5)
    return (_processor_seconds(exporter.pid) - before) / (time.monotonic() - began)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_of(pid: int) -> tuple[float, float]:
    """(PSS now, the largest RSS so far), in MiB."""
    now = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    peak = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert now is not None  # noqa: S101
    assert peak is not None  # noqa: S101
    return int(now[1]) / 1024, int(peak[1]) / 1024
