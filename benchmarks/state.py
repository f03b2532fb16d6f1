"""State that survives a restart: what 48 hours of points take in memory, and a year of them on disk."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import requests

from benchmarks import fleet
from benchmarks.capacity import CORE, ORGANISATIONS, memory_of
from benchmarks.figures import Figure, Report
from exporter.config.load import Target, load_config
from exporter.local.processes import Processes, eventually
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.database import FILE, Database
from exporter.state.points import DAY, HOUR
from exporter.state.saved import Saved
from exporter.state.trust import Seen, Span, Watched, observe

INTERVAL = 300  # the default
_MIB = 2**20
_UTC = ZoneInfo("UTC")
_YEAR = 365 * DAY


def measure() -> Report:
    with tempfile.TemporaryDirectory() as folder, fleet.vendor() as vendor:
        config = fleet.config(Path(folder) / "c.yaml", ORGANISATIONS, vendor, poll_interval=f"{INTERVAL}s")
        began = time.monotonic()
        with Processes(Path(folder)) as processes:
            without = fleet.start(processes, config, core=CORE).until_complete()
        data = Path(folder) / "data"
        _fill(data, load_config(config).targets)
        with Processes(Path(folder)) as processes:
            exporter = fleet.start(processes, config, f"--storage.path={data}", core=CORE)
            ready = exporter.until_complete()
            # The points are read back once the start is over, some a second.
            eventually(lambda: _is_at_rest(exporter.pid), 400)
            memory, peak = memory_of(exporter.pid)
            assert requests.get(f"{exporter.url}/metrics", timeout=30).ok  # noqa: S101
        on_disk = (data / FILE).stat().st_size
        scopes = ORGANISATIONS * fleet.SCOPES
    per_poll = _seconds_a_point()
    figures = (
        Figure("memory (PSS) with 48 hours of points", memory, "MiB", at_most=260),
        Figure("memory at its peak (largest RSS since the start)", peak, "MiB"),
        Figure("start to first complete /metrics, without saved state", without, "s"),
        # A file an organisation, as before the database, took 1.2 to 1.3, and as many seconds.
        Figure("start to first complete /metrics, with it / without", ready / without, at_most=1.4),
        Figure("database with 48 hours of points, a scope", on_disk / scopes / 1024, "KiB"),
        Figure("database after a year, a scope", _a_year() / 1024, "KiB"),
        Figure("days and trust, a scope and poll", per_poll * 1e6, "µs", at_most=50),
        Figure("all of this took", time.monotonic() - began, "s"),
    )
    about = (
        f"{scopes:,} scopes polled once in {INTERVAL} s, on an exporter bound to one core, which finds 48 hours of "
        "their points in its storage path."
    )
    return Report("State over a restart", about, figures)


def _is_at_rest(pid: int) -> bool:
    """Whether memory has stopped to grow."""
    before, _ = memory_of(pid)
    time.sleep(20)
    after, _ = memory_of(pid)
    return after - before < 1


def _month() -> Span:
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Span(start.timestamp(), (start + timedelta(days=32)).replace(day=1).timestamp())


def _fill(data: Path, targets: Iterable[Target]) -> None:
    """48 hours of polls of every scope, up to now, as the database would hold them."""
    database, now = Database(data), time.time()
    for target in targets:
        scopes: list[FetchedScope] = []
        watched: dict[str, Watched] = {}
        for answer in fleet.answer(target.organisation.id)["scopes"]:
            usage = ScopeUsage(answer["name"], answer["requests"], answer["limit"], plan=answer["plan"])
            scopes.append(FetchedScope(usage, datetime.fromtimestamp(now - INTERVAL, UTC)))
            watched[usage.name] = _polled(target.count_digest, usage, now)
        database.save(target.account, Saved(None, tuple(scopes), watched, terms=target.terms_digest))
        database.flush()
    database.close()


_TEMPLATE: list[Watched] = []


def _polled(mapping: str, usage: ScopeUsage, now: float) -> Watched:
    """Deriving all of them would take minutes: the points are the same for each, the last count its own."""
    if not _TEMPLATE:
        known: Watched | None = None
        for step in range(2 * DAY // INTERVAL):
            at = now - 2 * DAY + step * INTERVAL
            known = observe(
                known, Seen(at, float(step), _month(), None, mapping, usage.limit), _UTC, derive_days=False
            )
        assert known is not None  # noqa: S101
        _TEMPLATE.append(known)
    known = _TEMPLATE[0]
    return replace(known, known=replace(known.known, count=usage.requests or 0.0, mapping=mapping))


def _a_year() -> float:
    """Bytes of a scope whose days are derived, polled at the default interval for a year."""
    scopes, now = 5, [0.0]
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder), clock=lambda: now[0])
        known: Watched | None = None
        for step in range(_YEAR // INTERVAL):
            now[0] = 1_760_000_000.0 + step * INTERVAL
            period = Span(now[0] // (30 * DAY) * 30 * DAY, (now[0] // (30 * DAY) + 1) * 30 * DAY)
            known = observe(known, Seen(now[0], (now[0] - period.start) // 7, period, None, "m", 1e6), _UTC)
            if step % (HOUR // INTERVAL) == 0:
                watched = {f"Scope {number}": known for number in range(scopes)}
                database.save(("a", "o", "i", "u"), Saved(None, (), watched))
                database.flush()
                database.thin(scopes)
        database.close()
        return (Path(folder) / FILE).stat().st_size / scopes


def _seconds_a_point() -> float:
    known: Watched | None = None
    polls = 20_000
    began = time.perf_counter()
    for step in range(polls):
        known = observe(known, Seen(1.79e9 + step * INTERVAL, 3.0 * step, _month(), None, "m", None), _UTC)
    return (time.perf_counter() - began) / polls
