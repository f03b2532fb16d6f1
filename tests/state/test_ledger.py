"""What vendors change of limits, rate limits, plans and periods: each noted once, whatever happens to the process."""

import itertools
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.model import BillingPeriod, ScopeUsage
from exporter.state.database import FILE
from exporter.state.ledger import Change, Direction, Term, changes, latest
from tests.support.factories import write_config

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def month(number: int) -> BillingPeriod:
    start = datetime(2026, number, 1, tzinfo=UTC)
    return BillingPeriod(start, (start + timedelta(days=32)).replace(day=1))


MAPS = ScopeUsage("Maps", 750, 1000, plan="Pro", rate_limit_per_minute=60, period=month(1))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (replace(MAPS, requests=760), []),
        (replace(MAPS, limit=500), [("limit", "1000", "500", "lowered")]),
        (replace(MAPS, limit=1000.5), [("limit", "1000", "1000.5", "raised")]),
        (replace(MAPS, limit=None), [("limit", "1000", "unlimited", "raised")]),
        (replace(MAPS, rate_limit_per_minute=None), [("rate_limit", "60", "none", "raised")]),
        (replace(MAPS, rate_limit_per_minute=6), [("rate_limit", "60", "6", "lowered")]),
        (
            replace(MAPS, plan="Free", limit=0),
            [("limit", "1000", "0", "lowered"), ("plan", "Pro", "Free", "changed")],
        ),
        (replace(MAPS, plan=""), []),
        (replace(MAPS, period=month(2)), []),
        (replace(MAPS, period=None), []),
        (
            replace(MAPS, period=BillingPeriod(NOW, NOW + timedelta(days=365))),
            [("period", "month", "year", "changed")],
        ),
        (
            replace(MAPS, period=BillingPeriod(NOW, NOW + timedelta(hours=23))),
            [("period", "month", "day", "changed")],
        ),
        (
            replace(MAPS, period=BillingPeriod(NOW, NOW + timedelta(seconds=3605))),
            [("period", "month", "1.0 hours", "changed")],
        ),
    ],
)
def test_what_is_a_change(after: ScopeUsage, expected: list[tuple[str, str, str, str]]) -> None:
    found = [(change.term, change.old, change.new, change.direction) for change in changes(MAPS, after, NOW)]
    assert found == expected


def test_the_latest_of_each_term_is_published() -> None:
    first, second = Change(Term.LIMIT, "1", "2", NOW), Change(Term.LIMIT, "2", "1", NOW + timedelta(hours=1))
    plan = Change(Term.PLAN, "a", "b", NOW)
    assert latest((first, plan, second)) == (second, plan)
    assert second.direction is Direction.LOWERED


REPLICA = """
import sys
from pathlib import Path
from exporter.clock import SystemClock
from exporter.config.load import load_config
from exporter.model import ScopeUsage, UsageSnapshot
from exporter.state.database import Database
from exporter.state.store import Store
clock = SystemClock()
database = Database(Path(sys.argv[2]), pause=0.001)
store = Store(clock, database)
(target,) = load_config(Path(sys.argv[1])).targets
store.set_targets([target])
store.start()
print("ready", flush=True)
for line in sys.stdin:
    store.record(target, UsageSnapshot(clock.now(), (ScopeUsage("Maps", 750, float(line)),)))
    database.flush()
    print("recorded", flush=True)
"""


class Replica:
    """A process with a database of its own, that is fed polls."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config, self.folder = config, folder
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-c", REPLICA, str(self.config), str(self.folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def send(self, limit: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{limit}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def restart(self) -> None:
        self.end()
        self._start()


@contextmanager
def replicas(tmp_path: Path) -> Iterator[list[Replica]]:
    config = write_config(tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/{organisation_id}"})
    running = [Replica(config, tmp_path / name) for name in ("a", "b")]
    try:
        yield running
    finally:
        for replica in running:
            replica.end()


def test_a_thousand_changes_are_recorded_once_each_across_kill_9_and_two_replicas(tmp_path: Path) -> None:
    """Some seconds long: 1,000 transactions a replica, and a dozen starts of Python."""
    rng = random.Random(11)
    limits = [1000, *rng.sample(range(1, 100_000), 1000)]
    killed = set(rng.sample(range(1, 1000), 5))
    with replicas(tmp_path) as running:
        for number, limit in enumerate(limits):
            for replica in running:
                replica.send(limit)
            if number in killed:
                victim = rng.choice(running)
                victim.restart()
                victim.send(limit)  # the vendor still says so at the next poll
            for replica in running:
                replica.answer()
    for name in ("a", "b"):
        connection = sqlite3.connect(tmp_path / name / FILE)
        found = connection.execute("SELECT term, old, new FROM term_changes ORDER BY at").fetchall()
        connection.close()
        assert found == [("limit", str(old), str(new)) for old, new in itertools.pairwise(limits)]
