"""What survives a restart: one SQLite database, written by one thread, in one transaction a second at most.

The write-ahead log makes it safe against kill -9 at any moment: a transaction is there whole or not at all, and what
a second's worth of polls brought is one. synchronous=NORMAL leaves the log to the system's cache until a checkpoint;
so a loss of power, not of the process, may take the last transactions, but never damages the database
(https://www.sqlite.org/pragma.html#pragma_synchronous). FULL would cost an fsync a second, against that only.

What cannot be written stays in memory, is published all the same, is counted by reason, and is written once the disk
is well again: what is to be written is taken from the states at that moment, so nothing piles up.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.errors import REASONS, FailureReason, StartError
from exporter.model import BillingPeriod, CallsMade, DailySource, DailyUsage, FetchedScope, ScopeUsage
from exporter.state import legacy, schema
from exporter.state.days import EXACT_RATIO, UNKNOWN, day_of, day_start
from exporter.state.ledger import MOST_KEPT, Change, Term
from exporter.state.points import DAY, HOUR, KEPT_IN_MEMORY, Point, Points, kept_places
from exporter.state.saved import Account, Failure, Saved
from exporter.state.trust import Held, Known, Open, PastPeriod, Undo, Watched
from exporter.thresholds import HISTORY_DAYS

log = structlog.get_logger()

FILE = "usage.db"
_LOCK = "lock"
# A check of a larger one would hold up the start; what is wrong in it is met when it is read.
_CHECKED_UP_TO = 64 * 2**20
# After 48 hours one point an hour is kept, after 35 days one a day, after 13 months none; of days likewise.
_HOURLY_AFTER, _DAILY_AFTER, _KEPT = 2 * DAY, 35 * DAY, 400 * DAY
_THIN_EVERY = 6 * HOUR
# Scopes that are thinned, or whose points are read back, in one turn of the writer: some milliseconds' worth.
_A_TURN = 20


class SaveFailure(StrEnum):
    """Why state could not be saved: values of the `reason` label."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    IO_ERROR = "io_error"
    CANNOT_OPEN = "cannot_open"
    LOCKED = "locked"
    DAMAGED = "damaged"
    OTHER = "other"


_BY_CODE = MappingProxyType(
    {
        sqlite3.SQLITE_FULL: SaveFailure.DISK_FULL,
        sqlite3.SQLITE_READONLY: SaveFailure.READ_ONLY,
        sqlite3.SQLITE_IOERR: SaveFailure.IO_ERROR,
        sqlite3.SQLITE_CANTOPEN: SaveFailure.CANNOT_OPEN,
        sqlite3.SQLITE_PERM: SaveFailure.CANNOT_OPEN,
        sqlite3.SQLITE_BUSY: SaveFailure.LOCKED,
        sqlite3.SQLITE_LOCKED: SaveFailure.LOCKED,
        sqlite3.SQLITE_CORRUPT: SaveFailure.DAMAGED,
        sqlite3.SQLITE_NOTADB: SaveFailure.DAMAGED,
    }
)
# What Python makes of values that SQLite found no fault with, but that nobody wrote so.
_UNREADABLE = (TypeError, ValueError, OverflowError)
# The disk's own faults, after which what is there can still be read.
_DISK_FAULTS = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


@dataclass(frozen=True)
class _Trust:
    """The part of Watched that is stored as JSON; days and past periods of `known` have tables of their own."""

    known: Known
    held: Held | None
    open: Open | None
    undo: Undo | None


_TRUST = TypeAdapter(_Trust)
_IN_TABLES = {"known": {"past": True, "tally": {"days": True, "doubts": True}}}


@dataclass
class _Written:
    """What of a scope is in the database already."""

    scope: int
    days: tuple[DailyUsage, ...] = ()
    doubts: tuple[float, ...] = ()
    past: tuple[PastPeriod, ...] = ()
    changes: int = 0
    newest_change: datetime | None = None
    points_until: float = 0.0
    revision: int = 0


@dataclass
class _WrittenAccount:
    account: int
    scopes: dict[str, _Written] = field(default_factory=dict)
    unread_points: bool = False


class Database:
    """The database under --storage.path. Thread-safe."""

    def __init__(self, directory: Path, *, pause: float = 1.0, clock: Callable[[], float] = time.time) -> None:
        """Open or make it, and migrate what an older version left.

        pause: seconds between transactions, at least. clock: Unix time, by which points are thinned.
        Raises StartError where the directory cannot be made or written to, another process uses it, or its schema is
        a newer one. A full or broken disk is logged instead: values that can be read are worth more than a failed
        start.
        """
        self._directory = directory
        self._file = directory / FILE
        self._pause = pause
        self._clock = clock
        self._lock_file: int | None = None
        self._using = threading.RLock()
        self._dirty: dict[Account, Saved] = {}
        self._calls: dict[str, tuple[CallsMade, ...]] = {}
        self._waiting = threading.Condition()
        self._closed = False
        self._written: dict[Account, _WrittenAccount] = {}
        self._mappings: dict[str, int] = {}
        self._unread: dict[Account, None] = {}
        self._failures: Counter[SaveFailure] = Counter()
        self._failing: SaveFailure | None = None
        self._saved_at: float | None = None
        self._on_points: Callable[[Account, Mapping[str, list[Point]]], None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._is_read_only = False
        self._thread: threading.Thread | None = None
        self._prepare_directory()
        try:
            self._open()
        except StartError:
            self._unlock()
            raise

    # What the exporter does with it

    def start(self, on_points: Callable[[Account, Mapping[str, list[Point]]], None] | None = None) -> None:
        """Write from now on, once in `pause` seconds at most.

        on_points: given the points of each account that was loaded, by scope, some time after the start: nothing that
        is published first needs them.
        """
        self._on_points = on_points
        self._thread = threading.Thread(target=self._run, name="save-state", daemon=True)
        self._thread.start()

    def save(self, account: Account, saved: Saved) -> None:
        """Have it written soon. Never waits and never fails."""
        with self._waiting:
            self._dirty[account] = saved
            self._waiting.notify_all()

    def close(self) -> None:
        """Write what is left and let go of the files."""
        with self._waiting:
            self._closed = True
            self._waiting.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self.flush()
        with self._using:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._unlock()

    @property
    def failures(self) -> dict[SaveFailure, int]:
        """How often a transaction failed, by reason; every reason is there."""
        return {reason: self._failures[reason] for reason in SaveFailure}

    @property
    def saved_at(self) -> float | None:
        """When a transaction last succeeded, in Unix time."""
        return self._saved_at

    def load(self, account: Account) -> Saved | None:
        """What was saved of an account, without the points; None where nothing was, or it cannot be read."""
        with self._using:
            try:
                return self._load(account)
            except sqlite3.Error as error:
                self._failed(error)
            except _UNREADABLE as error:
                log.error("saved state unusable, left out", api=account[0], organisation=account[1], error=str(error))
            return None

    def save_calls(self, api: str, calls: tuple[CallsMade, ...]) -> None:
        """Have the calls to an api's vendor written soon, in place of those before."""
        with self._waiting:
            self._calls[api] = calls
            self._waiting.notify_all()

    def load_calls(self, api: str) -> tuple[CallsMade, ...]:
        """The calls saved last; none where there are none, or where they cannot be read (it is logged)."""
        with self._waiting:
            if api in self._calls:
                return self._calls[api]
        with self._using:
            if self._connection is None:
                return ()
            try:
                found = self._connection.execute(
                    "SELECT at, cost, hot FROM vendor_calls WHERE api = ? ORDER BY at", (api,)
                ).fetchall()
            except sqlite3.Error as error:
                self._failed(error)
                return ()
        return tuple(CallsMade(_moment(at), cost, bool(hot)) for at, cost, hot in found)

    def load_points(self, account: Account) -> dict[str, list[Point]]:
        """The trusted points of the last 48 hours, by scope, ascending."""
        since = self._clock() - KEPT_IN_MEMORY
        with self._using:
            written = self._written.get(account)
            if written is None or self._connection is None:
                return {}
            query = "SELECT at, requests FROM points WHERE scope = ? AND at >= ? AND NOT suspect ORDER BY at"
            return {
                name: self._connection.execute(query, (scope.scope, since)).fetchall()
                for name, scope in written.scopes.items()
            }

    def flush(self) -> None:
        """Write all that is new in one transaction. What cannot be written is kept for the next one."""
        with self._waiting:
            dirty, self._dirty = self._dirty, {}
            calls, self._calls = self._calls, {}
        if not dirty and not calls:
            return
        with self._using:
            try:
                self._write(dirty, calls)
            except (sqlite3.Error, *_UNREADABLE) as error:
                self._failed(error if isinstance(error, sqlite3.Error) else _damaged(str(error)))
                with self._waiting:
                    self._dirty = {**dirty, **self._dirty}
                    self._calls = {**calls, **self._calls}
                # What the failed transaction wrote is not there: look again.
                self._forget(dirty)
            else:
                self._saved_at = self._clock()
                if self._failing is not None:
                    log.info("state is saved again", directory=str(self._directory))
                    self._failing = None

    # The writer

    def _run(self) -> None:
        while True:
            with self._waiting:
                self._waiting.wait_for(
                    lambda: self._closed or self._dirty or self._calls or self._unread, timeout=60 * self._pause
                )
                if self._closed:
                    return
            try:
                self.flush()
                self._read_points_back()
                self.thin(_A_TURN)
            except Exception:
                log.exception("state could not be saved; tried again")
            with self._waiting:
                self._waiting.wait_for(lambda: self._closed, timeout=self._pause)

    def _read_points_back(self) -> None:
        for account in list(self._unread)[:_A_TURN]:
            del self._unread[account]
            if self._on_points is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._on_points(account, self.load_points(account))

    def _write(self, dirty: Mapping[Account, Saved], calls: Mapping[str, tuple[CallsMade, ...]]) -> None:
        connection = self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for account, saved in dirty.items():
                self._write_account(connection, account, saved)
            for api, made in calls.items():
                connection.execute("DELETE FROM vendor_calls WHERE api = ?", (api,))
                rows = [(api, one.at.timestamp(), one.cost, one.hot) for one in made]
                connection.executemany("INSERT INTO vendor_calls VALUES (?, ?, ?, ?)", rows)

    def _write_account(self, connection: sqlite3.Connection, account: Account, saved: Saved) -> None:
        written = self._written.get(account) or self._known(connection, account)
        failure = saved.failure
        connection.execute(
            "UPDATE accounts SET time_zone = ?, terms = ?, last_success = ?, failure_reason = ?, failure_message = ?,"
            " failure_at = ? WHERE id = ?",
            (
                saved.time_zone,
                saved.terms,
                _unix(saved.last_success),
                failure and failure.reason,
                failure and failure.message,
                failure and failure.at.timestamp(),
                written.account,
            ),
        )
        reported = {scope.usage.name: scope for scope in saved.scopes}
        gone = [name for name in written.scopes if name not in reported and name not in saved.watched]
        for name in gone:
            connection.execute("UPDATE scopes SET reported = 0 WHERE id = ?", (written.scopes.pop(name).scope,))
        for name in {**reported, **saved.watched}:
            scope = written.scopes.get(name) or self._known_scope(connection, written, name)
            self._write_scope(connection, scope.scope, reported.get(name), saved.watched.get(name))
            self._write_rest(connection, scope, reported.get(name), saved, name)

    def _write_scope(
        self, connection: sqlite3.Connection, row: int, scope: FetchedScope | None, watched: Watched | None
    ) -> None:
        trust = None
        if watched is not None:
            parts = _Trust(watched.known, watched.held, watched.open, watched.undo)
            trust = _TRUST.dump_json(parts, exclude=_IN_TABLES).decode()  # type: ignore[arg-type]
        if scope is None:
            connection.execute("UPDATE scopes SET reported = 0, trust = ? WHERE id = ?", (trust, row))
            return
        usage = scope.usage
        period = usage.period
        connection.execute(
            "UPDATE scopes SET reported = 1, read_at = ?, requests = ?, request_limit = ?, scope_id = ?, plan = ?,"
            " unit = ?, rate_limit_per_minute = ?, rejected = ?, period_start = ?, period_end = ?,"
            " period_configured = ?, daily_source = ?, trust = ? WHERE id = ?",
            (
                scope.fetched_at.timestamp(),
                usage.requests,
                usage.limit,
                usage.id,
                usage.plan,
                usage.unit,
                usage.rate_limit_per_minute,
                usage.rejected,
                period and period.start.timestamp(),
                period and period.end.timestamp(),
                usage.period_configured,
                usage.daily_source,
                trust,
                row,
            ),
        )

    def _write_rest(
        self, connection: sqlite3.Connection, written: _Written, scope: FetchedScope | None, saved: Saved, name: str
    ) -> None:
        watched = saved.watched.get(name)
        tally = watched.known.tally if watched is not None else None
        if tally is not None:
            self._write_days(connection, written, tally.days, tally.doubts)
        elif scope is not None and scope.usage.daily is not None:
            days = scope.usage.daily
            self._write_days(connection, written, days, tuple(0.0 if day.exact else UNKNOWN for day in days))
        if watched is not None:
            self._write_points(connection, written, watched)
            if watched.known.past is not written.past:
                self._write_past(connection, written, watched.known.past)
        for change in saved.ledger.get(name, ()):
            if written.newest_change is None or change.at > written.newest_change:
                connection.execute(
                    "INSERT OR IGNORE INTO term_changes VALUES (?, ?, ?, ?, ?)",
                    (written.scope, change.at.timestamp(), change.term, change.old, change.new),
                )
        if saved.ledger.get(name):
            written.newest_change = saved.ledger[name][-1].at

    def _write_days(
        self,
        connection: sqlite3.Connection,
        written: _Written,
        days: tuple[DailyUsage, ...],
        doubts: tuple[float, ...],
    ) -> None:
        known = {day.date: (day, doubt) for day, doubt in zip(written.days, written.doubts, strict=True)}
        rows = [
            (written.scope, day.date.isoformat(), day.requests, doubt)
            for day, doubt in zip(days, doubts, strict=True)
            if known.get(day.date) != (day, doubt)
        ]
        connection.executemany("INSERT OR REPLACE INTO days VALUES (?, ?, ?, ?)", rows)
        written.days, written.doubts = days, doubts

    def _write_points(self, connection: sqlite3.Connection, written: _Written, watched: Watched) -> None:
        known, points = watched.known, watched.points
        if points.revision != written.revision:
            since = min(points.revised_from, written.points_until)
            connection.execute("UPDATE points SET suspect = 1 WHERE scope = ? AND at > ?", (written.scope, since))
        else:
            since = written.points_until
        answered = known.answered
        shared = (
            answered and answered.start,
            answered and answered.end,
            self._mapping(connection, known.mapping),
        )
        rows = [(written.scope, at, count, 0, *shared) for at, count in points.since(since + 1)]
        held = watched.held.points if watched.held is not None else ()
        rows += [(written.scope, int(at), count, 1, *shared) for at, count in held if at > written.points_until]
        connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        written.revision = points.revision
        if points.last is not None:
            written.points_until = max(since, points.last[0])

    def _write_past(self, connection: sqlite3.Connection, written: _Written, past: tuple[PastPeriod, ...]) -> None:
        if past:
            connection.execute(
                "DELETE FROM past_periods WHERE scope = ? AND period_start >= ?", (written.scope, past[0].start)
            )
        rows = [(written.scope, period.start, period.end, period.requests, period.limit) for period in past]
        connection.executemany("INSERT OR REPLACE INTO past_periods VALUES (?, ?, ?, ?, ?)", rows)
        written.past = past

    def _mapping(self, connection: sqlite3.Connection, digest: str) -> int | None:
        if not digest:
            return None
        if digest not in self._mappings:
            connection.execute("INSERT OR IGNORE INTO mappings (digest) VALUES (?)", (digest,))
            (row,) = connection.execute("SELECT id FROM mappings WHERE digest = ?", (digest,)).fetchone()
            self._mappings[digest] = row
        return self._mappings[digest]

    def _known(self, connection: sqlite3.Connection, account: Account) -> _WrittenAccount:
        """The account's row, made where there is none."""
        connection.execute(
            "INSERT OR IGNORE INTO accounts (api, organisation, organisation_id, url) VALUES (?, ?, ?, ?)", account
        )
        (row,) = connection.execute(
            "SELECT id FROM accounts WHERE (api, organisation, organisation_id, url) = (?, ?, ?, ?)", account
        ).fetchone()
        self._written[account] = _WrittenAccount(row)
        return self._written[account]

    def _known_scope(self, connection: sqlite3.Connection, account: _WrittenAccount, name: str) -> _Written:
        now = self._clock()
        connection.execute(
            "INSERT OR IGNORE INTO scopes (account, name, thinned) VALUES (?, ?, ?)", (account.account, name, now)
        )
        (row,) = connection.execute(
            "SELECT id FROM scopes WHERE (account, name) = (?, ?)", (account.account, name)
        ).fetchone()
        (until,) = connection.execute("SELECT max(at) FROM points WHERE scope = ?", (row,)).fetchone()
        account.scopes[name] = _Written(row, points_until=until or 0.0)
        return account.scopes[name]

    def _forget(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            self._written.pop(account, None)
        self._mappings.clear()

    # Thinning

    def thin(self, scopes: int) -> int:
        """Thin the points of so many scopes whose turn it is; returns how many there were."""
        now = self._clock()
        with self._using:
            if self._connection is None:
                return 0
            try:
                due = self._connection.execute(
                    "SELECT scopes.id, thinned, time_zone FROM scopes JOIN accounts ON accounts.id = account"
                    " WHERE thinned < ? ORDER BY thinned LIMIT ?",
                    (now - _THIN_EVERY, scopes),
                ).fetchall()
                if due:
                    with self._connection as connection:
                        connection.execute("BEGIN IMMEDIATE")
                        for row, thinned, zone in due:
                            _thin(connection, row, thinned, now, ZoneInfo(zone))
            except (sqlite3.Error, *_UNREADABLE) as error:
                self._failed(error if isinstance(error, sqlite3.Error) else _damaged(str(error)))
                return 0
        return len(due)

    # Reading

    def _load(self, account: Account) -> Saved | None:
        connection = self._connection
        if connection is None:
            return None
        row = connection.execute(
            "SELECT id, time_zone, terms, last_success, failure_reason, failure_message, failure_at FROM accounts"
            " WHERE (api, organisation, organisation_id, url) = (?, ?, ?, ?)",
            account,
        ).fetchone()
        if row is None:
            return None
        number, zone, terms, last_success, *failure = row
        written = _WrittenAccount(number)
        days = _grouped(connection, _DAYS, (number, _oldest_day(self._clock())))
        past = _grouped(connection, _PAST, (number,))
        ledger = _grouped(connection, _LEDGER, (number,))
        until = dict(connection.execute(_NEWEST, (number,)).fetchall())
        scopes: list[FetchedScope] = []
        watched: dict[str, Watched] = {}
        changes: dict[str, tuple[Change, ...]] = {}
        for scope, name, reported, *values, trust in connection.execute(_SCOPES, (number,)).fetchall():
            try:
                found = _read_days(days.get(scope, ()))
                state = _Written(scope, *found, points_until=until.get(scope) or 0.0)
                if trust is not None:
                    watched[name] = _read_trust(trust, found, past.get(scope, ()))
                    state.past = watched[name].known.past
                if reported:
                    scopes.append(_read_scope(name, values, found[0]))
                changes[name] = _read_ledger(ledger.get(scope, ()))
                state.newest_change = changes[name][-1].at if changes[name] else None
                written.scopes[name] = state
            except (ValidationError, *_UNREADABLE) as error:
                watched.pop(name, None)
                log.error("saved scope unusable, left out", api=account[0], scope=name, error=str(error)[:200])
        self._written[account] = written
        self._unread[account] = None
        return Saved(
            time_zone=zone,
            terms=terms,
            last_success=_time(last_success),
            failure=_read_failure(*failure),
            scopes=tuple(scopes),
            watched=watched,
            ledger={name: found for name, found in changes.items() if found},
        )

    # Opening

    def _prepare_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock_file = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in _DISK_FAULTS:
                log.error("state cannot be saved", directory=str(self._directory), error=error.strerror)
                return
            raise StartError(f"--storage.path: cannot write to {self._directory}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock_file, 20, 0).decode(errors="replace").strip()
            os.close(self._lock_file)
            self._lock_file = None
            raise StartError(
                f"--storage.path: {self._directory} is in use by another exporter"
                f"{f' (process {holder})' if holder else ''}; give each its own"
            ) from None
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock_file, 0)
            os.pwrite(self._lock_file, f"{os.getpid()}\n".encode(), 0)

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _open(self) -> None:
        try:
            self._connection = self._opened()
        except (sqlite3.Error, *_UNREADABLE) as found:
            # What SQLite has no other reason for is damage here: an unsupported format, an impossible schema.
            known = isinstance(found, sqlite3.Error) and _reason(found) is not SaveFailure.OTHER
            error = found if known and isinstance(found, sqlite3.Error) else _damaged(str(found))
            self._failed(error)
            if _reason(error) is SaveFailure.DAMAGED:  # it is out of the way now
                with contextlib.suppress(sqlite3.Error):
                    self._connection = self._opened()
            else:
                self._connection = self._opened_to_read()
        if self._connection is not None and not self._is_read_only:
            self._migrate(self._connection)

    def _connected(self) -> sqlite3.Connection:
        """A connection that can write; raises sqlite3.Error where there is none to be had."""
        if self._connection is not None and not self._is_read_only:
            return self._connection
        if self._connection is not None:  # it may be what is in the way
            self._connection.close()
            self._connection = None
        try:
            self._connection = self._opened()
        except sqlite3.Error:
            if self._is_read_only:
                self._connection = self._opened_to_read()
            raise
        self._is_read_only = False
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        """A checked connection. Raises sqlite3.Error; StartError for a schema that is newer or not ours."""
        with contextlib.suppress(OSError):  # private from its first byte on; SQLite's own files beside it follow it
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return self._checked(sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=2))

    def _opened_to_read(self) -> sqlite3.Connection | None:
        """A connection to a database on a disk that takes no more; None where even reading fails.

        A full disk has no room for the index of the log, which is kept in memory where nobody else may look in
        (https://www.sqlite.org/wal.html#noshm). A read-only one is read without the log.
        """
        for options in ("mode=rw", "mode=ro&immutable=1"):
            uri = f"{self._file.absolute().as_uri()}?{options}"
            with contextlib.suppress(sqlite3.Error), contextlib.ExitStack() as closing:
                connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
                closing.callback(connection.close)
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                _check_schema(connection, self._file)
                closing.pop_all()
                self._is_read_only = True
                return connection
        return None

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            version = _check_schema(connection, self._file)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            if version == 0:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    for statement in schema.TABLES.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
            elif self._file.stat().st_size <= _CHECKED_UP_TO:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise _damaged(found)
        except BaseException:
            connection.close()
            raise
        return connection

    def _failed(self, error: sqlite3.Error) -> None:
        """Count it, log it where it is news, and set a damaged database aside."""
        reason = _reason(error)
        self._failures[reason] += 1
        if reason is not self._failing:
            log.error("state not saved", directory=str(self._directory), reason=str(reason), error=str(error))
        self._failing = reason
        if reason is SaveFailure.DAMAGED:
            self._set_aside(str(error))
        elif self._connection is not None and not self._is_read_only:
            # A connection that met a fault is not trusted with the next transaction.
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _set_aside(self, reason: str) -> None:
        """Move a damaged database away, so that a new one is begun; all that is in memory goes into it."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._written.clear()
        self._mappings.clear()
        aside = f"{self._file}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        log.error("saved state unusable, set aside", file=aside, error=reason)
        for suffix in ("", "-wal", "-shm"):
            try:
                Path(f"{self._file}{suffix}").replace(f"{aside}{suffix}")
            except FileNotFoundError:
                pass
            except OSError as failure:
                log.error("damaged state could not be set aside", file=str(self._file), error=failure.strerror)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Take in what version 0.1 kept in a file for each organisation, once; the files are kept aside."""
        files = sorted(self._directory.glob("*.state"))
        if not files:
            return
        taken: list[Path] = []
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for file in files:
                    found = legacy.read(file)
                    if found is None:
                        continue
                    account, saved = found
                    taken.append(file)
                    known = connection.execute(
                        "SELECT 1 FROM accounts WHERE (api, organisation, organisation_id, url) = (?, ?, ?, ?)",
                        account,
                    ).fetchone()
                    if known is None:
                        self._write_account(connection, account, saved)
        except sqlite3.Error as error:
            self._failed(error)
            return
        finally:
            self._forget(list(self._written))
        legacy.keep_aside(self._directory, taken)
        log.info("state files taken into the database", files=len(taken), kept_in=str(self._directory / legacy.ASIDE))


_SCOPES = """
SELECT id, name, reported, read_at, requests, request_limit, scope_id, plan, unit, rate_limit_per_minute, rejected,
    period_start, period_end, period_configured, daily_source, trust
FROM scopes WHERE account = ? ORDER BY id"""
_OF_ACCOUNT = "scope IN (SELECT id FROM scopes WHERE account = ?)"
_DAYS = f"SELECT scope, date, requests, doubt FROM days WHERE {_OF_ACCOUNT} AND date >= ? ORDER BY scope, date"  # noqa: S608
_PAST = f"SELECT * FROM past_periods WHERE {_OF_ACCOUNT} ORDER BY scope, period_start"  # noqa: S608
_LEDGER = f"SELECT scope, at, term, old, new FROM term_changes WHERE {_OF_ACCOUNT} ORDER BY scope, at"  # noqa: S608
_NEWEST = "SELECT id, (SELECT max(at) FROM points WHERE scope = scopes.id) FROM scopes WHERE account = ?"


def _grouped(connection: sqlite3.Connection, query: str, values: tuple[Any, ...]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for scope, *rest in connection.execute(query, values):
        found.setdefault(scope, []).append(tuple(rest))
    return found


def _read_days(rows: Iterable[tuple[str, float, float]]) -> tuple[tuple[DailyUsage, ...], tuple[float, ...]]:
    days, doubts = [], []
    for day, requests, doubt in rows:
        days.append(DailyUsage(_date(day), float(requests), doubt <= EXACT_RATIO * requests))
        doubts.append(float(doubt))
    return tuple(days[-HISTORY_DAYS:]), tuple(doubts[-HISTORY_DAYS:])


def _date(text: str) -> date:
    return day_of(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp(), _UTC)


_UTC = ZoneInfo("UTC")


def _read_trust(
    text: str, found: tuple[tuple[DailyUsage, ...], tuple[float, ...]], past: Iterable[tuple[Any, ...]]
) -> Watched:
    trust = _TRUST.validate_json(text)
    known = replace(trust.known, past=tuple(PastPeriod(*row) for row in past)[-13:])
    if known.tally is not None:
        known = replace(known, tally=replace(known.tally, days=found[0], doubts=found[1]))
    return Watched(known, Points(), trust.held, trust.open, trust.undo)


def _read_scope(name: str, values: Iterable[Any], days: tuple[DailyUsage, ...]) -> FetchedScope:
    read_at, requests, limit, scope_id, plan, unit, rate_limit, rejected, start, end, configured, source = values
    usage = ScopeUsage(
        name=name,
        requests=float(requests),
        limit=None if limit is None else float(limit),
        id=scope_id,
        plan=plan,
        unit=unit,
        rate_limit_per_minute=rate_limit,
        rejected=rejected,
        period=None if start is None else BillingPeriod(_moment(start), _moment(end)),
        period_configured=bool(configured),
        daily=days or None,
        daily_source=DailySource(source),
    )
    return FetchedScope(usage, _moment(read_at))


def _read_ledger(rows: Iterable[tuple[float, str, str, str]]) -> tuple[Change, ...]:
    return tuple(Change(Term(term), old, new, _moment(at)) for at, term, old, new in list(rows)[-MOST_KEPT:])


def _read_failure(reason: str | None, message: str | None, at: float | None) -> Failure | None:
    if reason is None or at is None or reason not in REASONS:
        return None
    return Failure(FailureReason(reason), message or "", _moment(at))


def _oldest_day(now: float) -> str:
    return (datetime.fromtimestamp(now, UTC).date() - timedelta(days=HISTORY_DAYS + 1)).isoformat()


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def _time(unix: float | None) -> datetime | None:
    return None if unix is None else _moment(unix)


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _check_schema(connection: sqlite3.Connection, file: Path) -> int:
    """The schema's version; 0 for a new database. Raises StartError for a newer one, or one that is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != schema.APPLICATION_ID:
        raise StartError(f"--storage.path: {file} is a database of another program; name another folder")
    if version > schema.VERSION:
        raise StartError(
            f"--storage.path: {file} was written by a newer version of the exporter (schema {version}; this one knows"
            f" {schema.VERSION}); run that version, or name another folder"
        )
    return int(version) if tables else 0


def _damaged(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _reason(error: sqlite3.Error) -> SaveFailure:
    # Extended codes keep the reason in their lowest byte (https://www.sqlite.org/rescode.html).
    return _BY_CODE.get(getattr(error, "sqlite_errorcode", -1) & 0xFF, SaveFailure.OTHER)


def _thin(connection: sqlite3.Connection, scope: int, thinned: float, now: float, zone: ZoneInfo) -> None:
    def midnight_after(moment: float) -> float:
        return day_start(day_of(moment, zone) + timedelta(days=1), zone)

    def thin(start: float, end: float, spacing: float) -> None:
        rows = connection.execute(
            "SELECT at, requests, mapping, period_start FROM points WHERE scope = ? AND at >= ? AND at < ?"
            " AND NOT suspect ORDER BY at",
            (scope, start, end),
        ).fetchall()
        points = [(row[0], row[1]) for row in rows]
        breaks = [place for place in range(1, len(rows)) if rows[place][2] != rows[place - 1][2]]
        kept = set(kept_places(points, spacing, breaks=breaks, midnight_after=midnight_after))
        gone = [(scope, at) for place, (at, _) in enumerate(points) if place not in kept]
        connection.executemany("DELETE FROM points WHERE scope = ? AND at = ?", gone)
        connection.execute(
            "DELETE FROM points WHERE scope = ? AND suspect AND at >= ? AND at < ?", (scope, start, end)
        )

    # A stretch that was thinned before is joined to the new one in its last hour, or day.
    thin(thinned - _HOURLY_AFTER - HOUR, now - _HOURLY_AFTER, HOUR)
    thin(thinned - _DAILY_AFTER - DAY, now - _DAILY_AFTER, DAY)
    connection.execute("DELETE FROM points WHERE scope = ? AND at < ?", (scope, now - _KEPT))
    oldest = datetime.fromtimestamp(now - _KEPT, UTC).date().isoformat()
    connection.execute("DELETE FROM days WHERE scope = ? AND date < ?", (scope, oldest))
    connection.execute("DELETE FROM term_changes WHERE scope = ? AND at < ?", (scope, now - _KEPT))
    connection.execute("UPDATE scopes SET thinned = ? WHERE id = ?", (now, scope))
