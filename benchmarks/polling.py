"""1,000 organisations: how soon all are polled, also beside dead vendors, and what polls, reloads and pages cost."""

import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from benchmarks import fleet, nginx
from benchmarks.figures import Figure, Report, median
from benchmarks.load import Latency, wrk
from exporter.clock import SystemClock
from exporter.config.api import Api
from exporter.config.load import load_config
from exporter.local.processes import Processes, eventually
from exporter.model import UsageSnapshot
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import poll

ORGANISATIONS = 1000
SLOW = 0.2  # seconds, as a vendor far away answers
# It accepts connections and does not answer within any poll's time-out.
DEAD = 600.0
AT_A_TIME = Api.model_fields["max_concurrent_polls"].default
SCRAPERS = 4  # twice the pair of Prometheus that a site has
SCRAPED_SECONDS = 15  # so long that reloads and pages fall into it


def measure() -> Report:
    """How soon all are polled, and whether a dead vendor delays the others."""
    with tempfile.TemporaryDirectory() as folder, fleet.vendor(SLOW) as vendor, fleet.vendor(DEAD) as dead:
        file = Path(folder) / "c.yaml"
        fleet.config(file, ORGANISATIONS, vendor, poll_interval="1h")
        alone, first = _until_polled(file)
        fleet.config(file, ORGANISATIONS, vendor, ("dead", 500, dead), ("slow", 20, dead), poll_interval="1h")
        beside, _ = _until_polled(file)
    with tempfile.TemporaryDirectory() as folder, fleet.vendor() as vendor:
        quick, _ = _until_polled(fleet.config(Path(folder) / "c.yaml", ORGANISATIONS, vendor, poll_interval="1h"))
    figures = (
        Figure("start to all polled", alone, "s", at_most=15),
        Figure("start to first complete /metrics", first, "s"),
        Figure("the same with a vendor that answers at once", quick, "s"),
        Figure("start to all polled, beside two dead vendors / alone", beside / alone, at_most=1.1),
    )
    about = (
        f"{ORGANISATIONS:,} organisations whose vendor answers in {SLOW * 1e3:.0f} ms, {AT_A_TIME} at a time (the "
        f"default of `max_concurrent_polls`): {ORGANISATIONS * SLOW / AT_A_TIME:.1f} s of waiting alone. The dead "
        "vendors have 520 organisations more, accept connections and never answer."
    )
    return Report("Polling many organisations", about, figures)


def _until_polled(config: Path) -> tuple[float, float]:
    """Seconds from the start until every organisation of the first api was polled, and until /metrics shows it."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        exporter = fleet.start(processes, config)
        eventually(lambda: _is_up(exporter), 120)
        newest = max(map(float, re.findall(_LAST_SUCCESS, exporter.text(), re.MULTILINE)))
        return newest - exporter.started_at, time.monotonic() - exporter.started


_LAST_SUCCESS = rb'^api_usage_last_success_timestamp_seconds{api="bench",.*} (\S+)$'


def _is_up(exporter: fleet.Exporter) -> bool:
    try:
        return exporter.text().count(b'api_usage_up{api="bench"') == ORGANISATIONS
    except requests.RequestException:
        return False


@dataclass
class _Checks:
    made: int = 0
    failed: int = 0
    incomplete: int = 0


def measure_running() -> Report:
    """Reloads under continuous scraping, and the pages."""
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes, fleet.vendor() as vendor:
        file = fleet.config(Path(folder) / "c.yaml", ORGANISATIONS, vendor, poll_interval="1h")
        exporter = fleet.start(processes, file)
        exporter.until_complete()
        calm = wrk(f"{exporter.url}/metrics", connections=SCRAPERS, seconds=5)
        pages = {
            "usage page of an organisation": wrk(_page(exporter, "?api=bench&organisation=org-00500"), connections=1),
            "page to choose an organisation": wrk(_page(exporter, ""), connections=1, seconds=4),
        }
        changed = _changed(file)
        # Once without scrapes of the exporter, for what its polls and reloads leave of the cores to anybody.
        beside, _ = _reloading(exporter, file, changed, nginx.serve(processes, Path(folder), exporter.text()))
        with _checking(exporter) as checks:
            scraped, reloads = _reloading(exporter, file, changed, exporter.url)
    figures = (
        Figure("reloads while it is scraped", len(reloads), at_least=3),
        Figure("scrapes dropped", scraped.errors + checks.failed, at_most=0),
        Figure("scrapes looked into that lacked an organisation", checks.incomplete, at_most=0),
        Figure("scrapes looked into", checks.made, at_least=5),
        Figure("scrape while it reloads: median", scraped.median * 1e3, "ms"),
        Figure("scrape while it reloads: 99th percentile", scraped.p99 * 1e3, "ms", at_most=50),
        Figure("nginx with the same bytes while the exporter reloads: 99th percentile", beside.p99 * 1e3, "ms"),
        Figure("scrape otherwise: median", calm.median * 1e3, "ms"),
        Figure("scrape otherwise: 99th percentile", calm.p99 * 1e3, "ms"),
        Figure("a reload: median", median(reloads) * 1e3, "ms"),
        *(
            figure
            for name, latency in pages.items()
            for figure in (
                Figure(f"{name}: median", latency.median * 1e3, "ms", at_most=100),
                Figure(f"{name}: 99th percentile", latency.p99 * 1e3, "ms", at_most=100),
            )
        ),
    )
    about = (
        f"{ORGANISATIONS:,} organisations; {SCRAPERS} scrapers without a pause, and one that looks into what it "
        "gets, while the config is reloaded again and again, each time with another organisation more and a changed "
        "setting, so that all are polled anew. Pages are asked for one after another."
    )
    return Report("Reloads and pages at 1,000 organisations", about, figures)


def _reloading(exporter: fleet.Exporter, file: Path, changed: Iterator[str], url: str) -> tuple[Latency, list[float]]:
    """Scrapes of the URL while the exporter reloads again and again, and the seconds of each reload."""
    reloads = []
    with ThreadPoolExecutor(1) as pool:
        scraping = pool.submit(wrk, f"{url}/metrics", connections=SCRAPERS, seconds=SCRAPED_SECONDS)
        while not scraping.done():
            file.write_text(next(changed), encoding="utf-8")
            began = time.monotonic()
            requests.post(f"{exporter.url}/-/reload", timeout=60).raise_for_status()
            reloads.append(time.monotonic() - began)
            time.sleep(0.5)
        return scraping.result(), reloads


def _page(exporter: fleet.Exporter, query: str) -> str:
    return f"{exporter.url}/{query}"


def _changed(file: Path) -> Iterator[str]:
    """The config again and again, each time with another organisation more and another setting; written beforehand,
    since to write YAML would take a core from what is measured."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    (api,) = document["apis"]
    texts = []
    for number in range(4 * SCRAPED_SECONDS):
        api["organisations"].append({"id": f"new-{number}"})
        api["stale_after"] = f"{4 + number}h"
        texts.append(yaml.dump(document, Dumper=yaml.CSafeDumper))
    return iter(texts)


@contextmanager
def _checking(exporter: fleet.Exporter) -> Iterator[_Checks]:
    """Scrapes all the time and looks for what is missing."""
    checks, stopped = _Checks(), threading.Event()

    def check() -> None:
        while not stopped.wait(1):
            checks.made += 1
            try:
                text = exporter.text()
            except requests.RequestException:
                checks.failed += 1
                continue
            checks.incomplete += text.count(b"\napi_usage_requests{") < ORGANISATIONS * fleet.SCOPES

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield checks
    finally:
        stopped.set()
        thread.join()


_POLLS = 400


def measure_cpu() -> Report:
    """The processor time of one poll, in this process; the vendor has one of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, encrypted = (_cpu(folder, tls=tls) for tls in (False, True))
    figures = (
        Figure("a poll", plain.poll, "ms", at_most=2),
        Figure("of it, asking", plain.asking, "ms"),
        Figure("asking by requests alone, a session each", plain.requests, "ms"),
        Figure("a poll over TLS", encrypted.poll, "ms"),
        Figure("of it, asking", encrypted.asking, "ms"),
        Figure("asking by requests alone, over TLS", encrypted.requests, "ms"),
        Figure("asking over TLS / by requests alone", encrypted.asking / encrypted.requests, at_most=0.5),
    )
    about = (
        f"User and system time of {_POLLS} polls, one after another, of {fleet.SCOPES} scopes of {fleet.DAYS} days "
        "each, each on a new connection, from request to snapshot; median of 5 rounds. The authorities trusted "
        "are the usual ones (certifi's), and the vendor's own. Requests alone has no deadline but that from byte to "
        "byte, and parses nothing. Over TLS a handshake alone is 1 ms."
    )
    return Report("Processor time of a poll", about, figures)


@dataclass(frozen=True)
class _Cpu:
    """Milliseconds of processor time for each poll. requests: of plain requests, for the same answer."""

    poll: float
    asking: float
    requests: float


def _cpu(folder: Path, *, tls: bool) -> _Cpu:
    trusted = folder / "trusted.pem"
    with fleet.vendor(trusted=trusted if tls else None) as url:
        settings = {"tls": {"ca_file": str(trusted)}} if tls else {}
        targets = load_config(fleet.config(folder / "c.yaml", 50, url, **settings)).targets
        clock = SystemClock()
        clients = [VendorClient(target, clock) for target in targets]

        def poll_each() -> None:
            for target, client in zip(targets, clients, strict=True):
                outcome = poll(target, client, clock)
                assert isinstance(outcome, UsageSnapshot), outcome  # noqa: S101

        def ask_each() -> None:
            for client in clients:
                client.fetch()

        def get_each() -> None:
            for target in targets:
                with requests.Session() as session:
                    asked = f"{url}/{target.organisation.id}"
                    assert session.get(asked, verify=str(trusted), timeout=10).content  # noqa: S101

        return _Cpu(*(_spent(work, len(targets)) for work in (poll_each, ask_each, get_each)))


def _spent(work: Callable[[], None], polls: int) -> float:
    work()
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(max(1, _POLLS // polls // 5)):
            work()
        rounds.append((time.process_time() - began) / max(1, _POLLS // polls // 5) / polls * 1e3)
    return median(rounds)
