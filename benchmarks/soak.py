"""`make soak`: 8 scrapers and 1,000 organisations with random faults, over TLS with passwords, for DURATION seconds.

Prints figures and fails where a scrape was refused, memory, threads or files grew, polls were late, or an update was
lost; then measures what 33 silent TLS connections and 30 half-sent requests add to a scrape.
"""

import contextlib
import itertools
import multiprocessing
import os
import re
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import requests
import trustme
import yaml

from benchmarks import soak_vendor
from exporter.local.ports import free_port
from exporter.local.processes import Processes

DURATION = float(os.environ.get("DURATION", "180"))
ORGANISATIONS = 1000
APIS = 5  # each with polls of its own, at most 24 at a time
INTERVAL = 20.0  # a fifteenth of the default: 50 polls a second
SCRAPERS = 8
SCRAPE_INTERVAL = 2.0  # Prometheus' is rarely under 15
USER, PASSWORD = "prometheus", "soak password"
_USAGE = re.compile(r'^api_usage_requests\{.*organisation="([^"]+)".*\} (\S+)$', re.MULTILINE)


@dataclass
class Exporter:
    url: str
    pid: int
    folder: Path

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.folder / "ca.pem")
        session.auth = (USER, PASSWORD)
        return session

    def sample(self) -> dict[str, float]:
        """Resident memory in MB, threads and open files."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        numbers = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
        files = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        return {"memory MB": int(numbers["VmRSS"]) / 1024, "threads": int(numbers["Threads"]), "files": files}


@dataclass
class Scrapes:
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    fallen: list[str] = field(default_factory=list)


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(Processes(folder))
        vendor = stack.enter_context(running_vendor())
        failures = [*soak(folder, processes, vendor), *attacks(folder, processes, vendor)]
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


@contextlib.contextmanager
def running_vendor() -> Iterator[str]:
    mine, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=soak_vendor.run, args=(its,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}"
    finally:
        process.terminate()
        process.join()


def start(folder: Path, processes: Processes, vendor: str, organisations: int, name: str) -> Exporter:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    tls = {"cert_file": "cert.pem", "key_file": "key.pem"}
    web = {"tls_server_config": tls, "basic_auth_users": {USER: hashed}}
    (folder / "web.yml").write_text(yaml.safe_dump(web))
    each = max(1, organisations // APIS)
    apis = [
        {
            "name": f"api-{api}",
            "preset": "standard",
            "url": f"{vendor}/{{organisation_id}}",
            "poll_interval": f"{INTERVAL:g}s",
            "timeout": "1s",
            "organisations": [{"id": f"o{api}-{number}"} for number in range(each)],
        }
        for api in range(min(APIS, organisations))
    ]
    (folder / "config.yaml").write_text(yaml.safe_dump({"apis": apis}))
    port = free_port(0, "")
    flags = {
        "config.file": folder / "config.yaml",
        "web.config.file": folder / "web.yml",
        "web.listen-address": f"127.0.0.1:{port}",
        "storage.path": folder / f"data-{name}",
        "log.level": "error",
    }
    processes.start(name, [sys.executable, "-m", "exporter", *(f"--{flag}={value}" for flag, value in flags.items())])
    exporter = Exporter(f"https://127.0.0.1:{port}", processes.pid(name), folder)
    with exporter.session() as session:
        wait_for(lambda: session.get(f"{exporter.url}/-/ready", timeout=10).ok)
    return exporter


def wait_for(probe: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if probe():
                return
        if time.monotonic() > deadline:
            raise SystemExit("the exporter did not get there in time")
        time.sleep(0.2)


def soak(folder: Path, processes: Processes, vendor: str) -> Iterator[str]:
    exporter = start(folder, processes, vendor, ORGANISATIONS, "soak")
    stop = threading.Event()
    scrapes = Scrapes()
    threads = [threading.Thread(target=scrape, args=(exporter, stop, scrapes)) for _ in range(SCRAPERS)]
    for thread in threads:
        thread.start()
    samples = []
    ends = time.monotonic() + DURATION
    while time.monotonic() < ends:
        samples.append(exporter.sample())
        processes.check()
        time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    polls = requests.get(f"{vendor}/-/well", timeout=30).json()
    yield from judged_scrapes(scrapes)
    yield from judged_levels(samples)
    yield from judged_polls(polls)
    yield from judged_updates(exporter, vendor)


def scrape(exporter: Exporter, stop: threading.Event, scrapes: Scrapes) -> None:
    """As Prometheus does: one connection, gzip, at an interval."""
    last: dict[str, float] = {}
    with exporter.session() as session:
        while not stop.wait(SCRAPE_INTERVAL):
            begun = time.monotonic()
            try:
                response = session.get(f"{exporter.url}/metrics", timeout=10)
            except requests.RequestException as error:
                scrapes.errors.append(type(error).__name__)
                continue
            scrapes.seconds.append(time.monotonic() - begun)
            if response.status_code != requests.codes.ok:
                scrapes.errors.append(str(response.status_code))
            present = {name: float(value) for name, value in _USAGE.findall(response.text)}
            scrapes.fallen += [name for name in last if present.get(name, -1) < last[name]]
            last = present


def judged_scrapes(scrapes: Scrapes) -> Iterator[str]:
    quantiles = statistics.quantiles(scrapes.seconds, n=100)
    print(f"scrapes: {len(scrapes.seconds)}, errors: {len(scrapes.errors)}")
    median, high, most = quantiles[49], quantiles[98], max(scrapes.seconds)
    print(f"scrape seconds: median {median:.3f}, 99th percentile {high:.3f}, most {most:.3f}")
    if scrapes.errors:
        yield f"scrapes were answered with errors: {sorted(set(scrapes.errors))}"
    if scrapes.fallen:
        yield f"values fell or vanished between scrapes: {scrapes.fallen[:5]}"


def judged_levels(samples: list[dict[str, float]]) -> Iterator[str]:
    """The last third against the one before it: what leaks goes on growing."""
    third = len(samples) // 3
    for name, slack in (("memory MB", 15), ("threads", 8), ("files", 20)):
        values = [sample[name] for sample in samples]
        middle, last = statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :])
        print(f"{name}: {values[0]:.0f} at first, {middle:.0f} in the second third, {last:.0f} in the last")
        if last > middle + slack:
            yield f"{name} grew from {middle:.0f} to {last:.0f}"


def judged_polls(told: dict[str, Any]) -> Iterator[str]:
    """From one good poll to the next one: an interval with its jitter. The second poll is spread over an interval."""
    late, count = [], 0
    for organisation in told.values():
        polls = organisation["polls"]
        count += len(polls)
        late += [then - now - INTERVAL * 1.05 for (now, well), (then, _) in itertools.pairwise(polls[1:]) if well]
    failed = sum(not well for organisation in told.values() for _, well in organisation["polls"])
    print(f"polls: {count}, of which the vendor failed {failed}; organisations: {len(told)}")
    if not late:
        return
    on_time = sum(seconds <= 0.5 for seconds in late) / len(late)  # noqa: PLR2004
    print(f"polls within half a second of their schedule: {on_time:.2%}; latest {max(late):.2f} s")
    if max(late) > 0.1 * INTERVAL:
        yield f"a poll was {max(late):.1f} s late"


def judged_updates(exporter: Exporter, vendor: str) -> Iterator[str]:
    """With the vendor well again, /metrics comes to show what each organisation was told last."""

    def missing() -> list[str]:
        shown = {
            name: float(value)
            for name, value in _USAGE.findall(session.get(f"{exporter.url}/metrics", timeout=10).text)
        }
        told = requests.get(f"{vendor}/-/state", timeout=30).json()
        # A count that is on its way is not lost yet.
        return [name for name, organisation in told.items() if organisation["count"] - shown.get(name, -9) > 1]

    with exporter.session() as session:
        with contextlib.suppress(SystemExit):
            wait_for(lambda: not missing(), 2 * INTERVAL)
        lost = missing()
    print(f"updates lost: {len(lost)}")
    if lost:
        yield f"organisations whose last count is not shown: {lost[:5]}"


def attacks(folder: Path, processes: Processes, vendor: str) -> Iterator[str]:
    exporter = start(folder, processes, vendor, 5, "attacked")
    yield from silence(exporter)
    yield from guesses(exporter)


def silence(exporter: Exporter) -> Iterator[str]:
    host, port = exporter.url.removeprefix("https://").split(":")
    before = scrape_times(exporter)
    with contextlib.ExitStack() as stack:
        trusting = ssl.create_default_context(cafile=str(exporter.folder / "ca.pem"))
        for _ in range(33):
            stack.enter_context(socket.create_connection((host, int(port))))
        for _ in range(30):
            plain = stack.enter_context(socket.create_connection((host, int(port))))
            half = stack.enter_context(trusting.wrap_socket(plain, server_hostname=host))
            half.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        beside = scrape_times(exporter)
    print(f"a scrape alone: median {statistics.median(before) * 1000:.1f} ms, most {max(before) * 1000:.1f} ms")
    print(
        f"beside 33 silent TLS connections and 30 half-sent requests: "
        f"median {statistics.median(beside) * 1000:.1f} ms, most {max(beside) * 1000:.1f} ms"
    )
    delay = max(beside) - statistics.median(before)
    if delay > 0.1:  # noqa: PLR2004
        yield f"silent connections delay a scrape by {delay * 1000:.0f} ms"


def guesses(exporter: Exporter) -> Iterator[str]:
    """Many wrong passwords at once, each of which costs bcrypt its tenth of a second."""
    stop = multiprocessing.Event()
    guessers = [multiprocessing.Process(target=guess, args=(exporter, stop, name), daemon=True) for name in "abcd"]
    for guesser in guessers:
        guesser.start()
    time.sleep(1)
    beside = scrape_times(exporter)
    stop.set()
    for guesser in guessers:
        guesser.join()
    print(
        f"beside 4 processes that guess passwords: "
        f"median {statistics.median(beside) * 1000:.1f} ms, most {max(beside) * 1000:.1f} ms"
    )
    if max(beside) > 1:
        yield f"guesses delay a scrape to {max(beside):.1f} s"


def guess(exporter: Exporter, stop: Any, name: str) -> None:
    with exporter.session() as session:
        for number in itertools.count():
            if stop.is_set():
                return
            session.get(f"{exporter.url}/metrics", auth=(USER, f"{name}{number}"), timeout=10)


def scrape_times(exporter: Exporter) -> list[float]:
    """Of 40 scrapes, each on a new connection, in seconds."""
    seconds = []
    for _ in range(40):
        begun = time.monotonic()
        with exporter.session() as session:
            session.get(f"{exporter.url}/metrics", timeout=10).raise_for_status()
        seconds.append(time.monotonic() - begun)
    return seconds


if __name__ == "__main__":
    main()
