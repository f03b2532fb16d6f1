"""kill -9, full and read-only disks, damage, a second process: what was saved is there again, or its loss is reported."""

import hashlib
import json
import os
import random
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from exporter.errors import FailureReason, StartError
from exporter.local.ports import free_port
from exporter.local.processes import eventually
from exporter.model import BillingPeriod, DailySource, DailyUsage, FetchedScope, ScopeUsage
from exporter.state.database import FILE, Database, SaveFailure
from exporter.state.ledger import Change, Term
from exporter.state.points import DAY, HOUR
from exporter.state.saved import Absence, Failure, Saved
from exporter.state.trust import Seen, Span, Watched, observe
from tests.support.factories import answer, write_config
from tests.support.http import Vendor

KEY = ("demo", "acme", "acme", "http://x")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def watched(*counts: float, start: datetime = NOW, minutes: float = 5, derive_days: bool = True) -> Watched:
    found: Watched | None = None
    period = Span(datetime(2026, 11, 1, tzinfo=UTC).timestamp(), datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    for number, count in enumerate(counts):
        at = (start + timedelta(minutes=minutes * number)).timestamp()
        found = observe(found, Seen(at, count, period, None, "m", 1000), UTC_ZONE, derive_days=derive_days)
    assert found is not None
    return found


def saved(requests: float = 750, name: str = "Maps") -> Saved:
    usage = ScopeUsage(
        name,
        requests,
        1000.5,
        id="id-1",
        plan="Größe",
        rate_limit_per_minute=60,
        period=BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        daily=(DailyUsage(NOW.date() - timedelta(days=1), 10.5), DailyUsage(NOW.date(), 3, exact=False)),
    )
    ledger = {name: (Change(Term.LIMIT, "500", "1000.5", NOW),)}
    failure = Failure(FailureReason.TIMEOUT, "no answer", NOW)
    return Saved(NOW, (FetchedScope(usage, NOW),), {}, ledger, failure, "Europe/Berlin", "terms")


def opened(directory: Path) -> Database:
    return Database(directory, pause=0.01, clock=NOW.timestamp)


def stored(directory: Path, *organisations: Saved, key: tuple[str, str, str, str] = KEY) -> None:
    database = opened(directory)
    for each in organisations:
        database.save(key, each)
        database.flush()
    database.close()


def loaded(directory: Path) -> Saved | None:
    database = opened(directory)
    try:
        return database.load(KEY)
    finally:
        database.close()


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(directory / FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_all_that_is_saved_is_loaded_again(tmp_path: Path) -> None:
    stored(tmp_path, saved())
    assert loaded(tmp_path) == saved()


def test_a_scope_of_which_nobody_knows_what_is_used_is_loaded_again(tmp_path: Path) -> None:
    usage = ScopeUsage("Free", None, None, rate_limit_per_minute=60)
    stored(tmp_path, Saved(NOW, (FetchedScope(usage, NOW),), {}))
    found = loaded(tmp_path)
    assert found is not None
    assert found.scopes == (FetchedScope(usage, NOW),)


@pytest.mark.parametrize(
    "counts", [(1, 5, 9), (900, 905, 0), (900, 905, *([0] * 15)), (900, 10_000_000), (900, 905, 3, 7)]
)
def test_what_is_known_of_a_count_is_loaded_again(tmp_path: Path, counts: tuple[float, ...]) -> None:
    """Suspect ones and what they could be undone by included."""
    known = watched(*counts)
    usage = ScopeUsage(
        "Maps",
        counts[-1],
        1000,
        daily=known.known.tally.days if known.known.tally else None,
        daily_source=DailySource.OBSERVED,
    )
    stored(tmp_path, Saved(NOW, (FetchedScope(usage, NOW),), {"Maps": known}))
    found = loaded(tmp_path)
    assert found is not None
    after = found.watched["Maps"]
    assert (after.known, after.held, after.open, after.undo) == (known.known, known.held, known.open, known.undo)


def test_points_are_written_once_and_come_back(tmp_path: Path) -> None:
    stored(tmp_path, *(Saved(NOW, (), {"Maps": watched(*range(1, end))}) for end in (2, 3, 7)))
    database = opened(tmp_path)
    assert database.load(KEY) is not None
    points = database.load_points(KEY)["Maps"]
    database.close()
    assert points == list(watched(*range(1, 7)).points)


def test_suspect_points_are_kept_as_such_and_what_is_undone_becomes_suspect(tmp_path: Path) -> None:
    counts = [1000.0, 1010, *([0.0] * 14), 1040]
    stored(tmp_path, *(Saved(NOW, (), {"Maps": watched(*counts[:end])}) for end in (2, 3, 16, 17)))
    found = rows(tmp_path, "SELECT requests, suspect FROM points ORDER BY at")
    assert found[0] == (1000, 0)
    assert found[-1] == (1040, 0)
    assert [count for count, suspect in found if not suspect] == [1000, 1010, 1040]


def test_points_of_another_mapping_before_stay_trusted(tmp_path: Path) -> None:
    known = watched(1000, 1010, *([0.0] * 14), 1040)  # undone once, so that points were taken back
    changed = observe(known, Seen((NOW + timedelta(hours=3)).timestamp(), 7, mapping="other"), UTC_ZONE)
    stored(tmp_path, Saved(NOW, (), {"Maps": known}), Saved(NOW, (), {"Maps": changed}))
    found = rows(
        tmp_path, "SELECT requests, digest FROM points JOIN mappings ON mappings.id = mapping WHERE NOT suspect"
    )
    assert found == [(1000, "m"), (1010, "m"), (1040, "m"), (7, "other")]


def test_people_can_look_into_it(tmp_path: Path) -> None:
    stored(tmp_path, Saved(NOW, saved().scopes, {"Maps": watched(1, 5)}, saved().ledger))
    assert rows(tmp_path, "SELECT scope, utc, requests FROM seen") == [
        ("Maps", "2026-11-22 12:00:00", 1.0),
        ("Maps", "2026-11-22 12:05:00", 5.0),
    ]
    assert rows(tmp_path, "SELECT organisation, date, requests, exact FROM daily") == [("acme", "2026-11-22", 4.0, 0)]
    assert rows(tmp_path, "SELECT term, old, new FROM ledger") == [("limit", "500", "1000.5")]
    assert rows(tmp_path, "SELECT * FROM periods") == []


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.database import Database
from exporter.state.saved import Saved
database = Database(Path(sys.argv[1]), pause=0.002)
known = database.load(("demo", "acme", "acme", "http://x"))
number = int(known.scopes[0].usage.requests) if known else 0
at = datetime(2026, 11, 22, tzinfo=UTC)
database.start()
while True:
    number += 1
    scopes = tuple(FetchedScope(ScopeUsage(f"s{index}", number, None), at) for index in range(40))
    database.save(("demo", "acme", "acme", "http://x"), Saved(at + timedelta(seconds=number), scopes))
    while number % 5 and database.saved_at is None: pass
    if number % 5 == 0:
        database.flush()
        print(number, flush=True)
"""


def test_kill_9_at_any_moment_loses_nothing_that_was_written(tmp_path: Path) -> None:
    rng = random.Random(7)
    last = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            first = int(writer.stdout.readline())
            assert first > last
            time.sleep(rng.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            reported = [int(line) for line in writer.stdout.read().split()]
        found = loaded(tmp_path)
        assert found is not None
        assert found.last_success is not None
        numbers = {scope.usage.requests for scope in found.scopes}
        assert len(numbers) == 1
        last = int(numbers.pop() or 0)
        assert last >= max([first, *reported])
        assert (found.last_success - datetime(2026, 11, 22, tzinfo=UTC)).total_seconds() == last


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_stops_neither_the_start_nor_the_next_save(tmp_path: Path, data: st.DataObject) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    stored(tmp_path, Saved(NOW, saved().scopes, {"Maps": watched(*range(1, 50))}))
    content = bytearray((tmp_path / FILE).read_bytes())
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + 4096] = data.draw(st.binary(min_size=64, max_size=64)) * 64
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    (tmp_path / FILE).write_bytes(content)
    try:
        database = opened(tmp_path)
    except StartError:  # damage can look like another program's, or a later version's, database
        return
    database.load(KEY)
    database.save(KEY, saved(800))
    database.flush()
    database.flush()
    database.close()
    found = loaded(tmp_path)
    assert found is not None
    assert found.scopes[0].usage.requests == 800


def test_a_damaged_database_is_set_aside_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    database = opened(tmp_path)
    assert database.load(KEY) is None
    assert database.failures[SaveFailure.DAMAGED] == 1
    database.close()
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == b"no database at all" * 100
    assert "saved state unusable, set aside" in capsys.readouterr().out


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    stored(tmp_path, saved())
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(
        StartError, match=r"written by a newer version of the exporter \(schema 7; this one knows 3\)"
    ):
        opened(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    assert loaded(tmp_path) == saved()


def test_a_database_of_schema_1_is_taken_over(tmp_path: Path) -> None:
    stored(tmp_path, saved())
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("ALTER TABLE accounts DROP COLUMN listing")
        connection.execute("ALTER TABLE scopes DROP COLUMN absent_since")
        connection.execute("ALTER TABLE scopes DROP COLUMN absent_answers")
        connection.execute("ALTER TABLE past_periods DROP COLUMN seen_until")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert loaded(tmp_path) == saved()
    stored(tmp_path, replace(saved(), listing="x", absences={"Maps": Absence(NOW, 2)}))
    found = loaded(tmp_path)
    assert found is not None
    assert (found.listing, found.absences) == ("x", {"Maps": Absence(NOW, 2)})


def test_past_periods_of_schema_2_are_kept_though_nobody_knows_when_they_were_last_seen(tmp_path: Path) -> None:
    hours = [(NOW.timestamp() + step * HOUR, float(count)) for step, count in enumerate((100, 200, 5, 10))]
    watched: Watched | None = None
    for at, count in hours:
        watched = observe(watched, Seen(at, count, mapping="m"), UTC_ZONE)
    assert watched is not None
    (past,) = watched.known.past
    assert (past.requests, past.seen_until) == (200, hours[1][0])
    stored(tmp_path, replace(saved(), watched={"Maps": watched}))
    found = loaded(tmp_path)
    assert found is not None
    assert found.watched["Maps"].known.past == (past,)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("ALTER TABLE past_periods DROP COLUMN seen_until")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    found = loaded(tmp_path)
    assert found is not None
    assert found.watched["Maps"].known.past == (replace(past, seen_until=None),)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StartError, match="a database of another program"):
        opened(tmp_path)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    try:
        with pytest.raises(
            StartError, match=rf"in use by another exporter \(process {os.getpid()}\); give each its own"
        ):
            opened(tmp_path)
    finally:
        first.close()
    opened(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="--storage.path: cannot write to .*file/data: Not a directory"):
        opened(tmp_path / "file" / "data")


def test_files_are_private(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.save(KEY, saved())
    database.flush()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    database.close()
    assert {"lock", FILE, f"{FILE}-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_a_folder_that_vanishes_is_counted_and_all_is_written_once_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = opened(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "away")
    (tmp_path / "data").write_text("")
    database._connection.close()  # type: ignore[union-attr]
    database._connection = None
    database.save(KEY, saved())
    database.flush()
    assert database.failures[SaveFailure.CANNOT_OPEN] == 1
    assert "state not saved" in capsys.readouterr().out
    (tmp_path / "data").unlink()
    (tmp_path / "away").rename(tmp_path / "data")
    database.flush()
    database.close()
    assert loaded(tmp_path / "data") == saved()


def old_state(directory: Path, version: int = 1) -> Path:
    """A state file as version 0.1 wrote it."""
    scope = {"name": "Maps", "requests": 770.0, "limit": 1000.0, "id": "", "plan": "Pro", "unit": "requests"}
    scope |= {"rate_limit_per_minute": None, "rejected": None, "period": None, "daily_source": "observed"}
    days = [
        {"date": "2026-11-21", "requests": 40.0, "exact": True},
        {"date": "2026-11-22", "requests": 20.0, "exact": False},
    ]
    history = {
        "since": "2026-11-20T00:00:00Z",
        "last_at": "2026-11-22T11:55:00Z",
        "last_requests": 770.0,
        "period": None,
    }
    content = {
        "version": version,
        "account": KEY,
        "saved": {
            "last_success": "2026-11-22T11:55:00Z",
            "scopes": [{"usage": {**scope, "daily": days}, "fetched_at": "2026-11-22T11:55:00Z"}],
            "histories": {"Maps": {**history, "days": days, "before_rollover": None}},
        },
    }
    text = json.dumps(content).encode()
    file = directory / f"{version}.state"
    file.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    return file


def test_state_files_of_an_older_version_are_taken_in_once_and_kept(tmp_path: Path) -> None:
    content = old_state(tmp_path).read_bytes()
    found = loaded(tmp_path)
    assert found is not None
    assert found.scopes[0].usage.requests == 770
    known = found.watched["Maps"]
    after = observe(known, Seen(NOW.timestamp(), 775, mapping="m"), UTC_ZONE)
    assert after.known.tally is not None
    assert [(day.date.day, day.requests, day.exact) for day in after.known.tally.days] == [
        (21, 40, True),
        (22, 25, False),
    ]
    assert (tmp_path / "migrated" / "1.state").read_bytes() == content
    stored(tmp_path, saved())
    (tmp_path / "migrated" / "1.state").rename(tmp_path / "1.state")  # as if the process had been killed before this
    assert loaded(tmp_path) == saved()


def test_a_state_file_of_another_version_is_kept_aside(tmp_path: Path) -> None:
    content = old_state(tmp_path, version=9).read_bytes()
    (tmp_path / "damaged.state").write_bytes(b"{")
    assert loaded(tmp_path) is None
    assert (tmp_path / "9.unknown-version").read_bytes() == content
    assert (tmp_path / "damaged.damaged").read_bytes() == b"{"


def test_points_are_thinned_by_age_and_past_periods_still_follow_from_them(tmp_path: Path) -> None:
    """13 months of daily resets at hourly polls: after thinning, what a new derivation finds is the same."""
    moment = [NOW.timestamp() - 420 * DAY]
    database = Database(tmp_path, clock=lambda: moment[0])
    found: Watched | None = None
    for step in range(420 * 8):
        moment[0] = NOW.timestamp() - 420 * DAY + step * 3 * HOUR
        hours = (moment[0] + 2 * HOUR) % DAY // HOUR
        found = observe(found, Seen(moment[0], 100 * hours, mapping="m"), UTC_ZONE)
        if step % 4 == 0:
            database.save(KEY, Saved(NOW, (), {"Maps": found}))
            database.flush()
            while database.thin(10):
                pass
    assert found is not None
    database.save(KEY, Saved(NOW, (), {"Maps": found}))
    database.close()
    (kept,) = rows(tmp_path, "SELECT count(*) FROM points")[0]
    assert 400 * 2 <= int(str(kept)) <= 48 // 3 + 33 * 8 + 370 * 5
    again: Watched | None = None
    for at, count in rows(tmp_path, "SELECT at, requests FROM points WHERE NOT suspect ORDER BY at"):
        again = observe(again, Seen(float(str(at)), float(str(count)), mapping="m"), UTC_ZONE)
    assert again is not None
    assert [period.requests for period in again.known.past] == [period.requests for period in found.known.past]
    assert len(again.known.past) == 13


@pytest.fixture
def exporter(tmp_path: Path, vendor: Vendor) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    config = write_config(tmp_path / "config.yaml", {"url": vendor.url, "poll_interval": "1s"})
    port = free_port(0, "")
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--storage.path={tmp_path / 'data'}"]
    with (tmp_path / "log").open("w") as stderr:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=stderr)
    try:
        yield process, f"http://127.0.0.1:{port}/metrics"
    finally:
        process.kill()
        process.wait()


def test_a_disk_that_fills_up_stops_neither_polls_nor_scrapes(
    tmp_path: Path, vendor: Vendor, exporter: tuple[subprocess.Popen[bytes], str]
) -> None:
    """The kernel refuses every write of the process: the database, and its log as well."""
    process, url = exporter
    used = [750]
    vendor.answer = lambda _: Response(json.dumps(answer({"requests": used[0]})))

    def value(series: str) -> str:
        try:
            text = requests.get(url, timeout=5).text
        except requests.ConnectionError:
            return ""
        return next((line.split()[-1] for line in text.splitlines() if line.startswith(series)), "")

    def in_database() -> float:
        try:
            return float(str(rows(tmp_path / "data", "SELECT requests FROM scopes")[0][0]))
        except (sqlite3.Error, IndexError):
            return 0

    eventually(lambda: value("api_usage_requests{") == "750.0" and in_database() == 750)
    limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for used[0] in (760, 770):
        eventually(lambda: value("api_usage_requests{") == f"{used[0]}.0")
    name = "api_usage_exporter_state_save_failures_total{reason="
    eventually(lambda: sum(float(value(f'{name}"{reason}"') or 0) for reason in SaveFailure) > 0)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
    used[0] = 780
    eventually(lambda: in_database() == 780)
    assert process.poll() is None


READER = """
import resource, sys
from pathlib import Path
from exporter.state.database import Database
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
database = Database(Path(sys.argv[1]))
saved = database.load(("demo", "acme", "acme", "http://x"))
database.save(("demo", "acme", "acme", "http://x"), saved)
database.flush()
print(saved.scopes[0].usage.requests, sum(database.failures.values()))
"""


@pytest.mark.parametrize("stopped", [True, False], ids=["after a stop", "after kill -9"])
def test_the_exporter_starts_with_what_a_disk_holds_that_takes_no_more(tmp_path: Path, stopped: bool) -> None:
    database = opened(tmp_path)
    database.save(KEY, saved())
    database.flush()
    if not stopped:
        copied = tmp_path / "copied"
        copied.mkdir()
        for file in tmp_path.glob(f"{FILE}*"):
            (copied / file.name).write_bytes(file.read_bytes())
    database.close()
    folder = tmp_path if stopped else copied
    command = [sys.executable, "-c", READER, str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    requests_read, failures = found.stdout.splitlines()[-1].split()
    assert float(requests_read) == 750
    assert int(failures) >= 1
    assert loaded(folder) == saved()
