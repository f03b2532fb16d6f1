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
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import structlog

from exporter.errors import StartError
from exporter.model import CallsMade
from exporter.state import legacy, schema
from exporter.state.points import KEPT_IN_MEMORY, Point
from exporter.state.rows import UNREADABLE, Rows
from exporter.state.saved import Account, Saved
from exporter.state.thinning import THIN_EVERY, thin

log = structlog.get_logger()

FILE = "usage.db"
_LOCK = "lock"
# A check of a larger one would hold up the start; what is wrong in it is met when it is read.
_CHECKED_UP_TO = 64 * 2**20
# Scopes that are thinned, or whose points are read back, in one turn of the writer: some milliseconds' worth.
_A_TURN = 20
# Seconds that a page waits for another use of the database.
_PATIENCE = 0.05


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
# The disk's own faults, after which what is there can still be read.
_DISK_FAULTS = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


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
        self._rows = Rows(clock)
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
                if self._connection is not None:
                    self._unread[account] = None
                    return self._rows.load(self._connection, account)
            except sqlite3.Error as error:
                self._failed(error)
            except UNREADABLE as error:
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
            try:
                return self._rows.load_calls(self._connection, api) if self._connection is not None else ()
            except sqlite3.Error as error:
                self._failed(error)
                return ()

    def load_points(self, account: Account) -> dict[str, list[Point]]:
        """The trusted points of the last 48 hours, by scope, ascending."""
        with self._using:
            if self._connection is None:
                return {}
            return self._rows.points(self._connection, account, self._clock() - KEPT_IN_MEMORY)

    def count_at(self, account: Account, scope: str, moment: float, since: float) -> float | None:
        """The trusted count of a scope at a time (Unix), as its last poll before had it.

        None where no poll from `since` on is known, or the database is busy with something longer: whoever looks at a
        page does not wait for a disk.
        """
        if not self._using.acquire(timeout=_PATIENCE):
            return None
        try:
            return self._rows.count_at(self._connection, account, scope, moment, since) if self._connection else None
        except sqlite3.Error:
            return None
        finally:
            self._using.release()

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
            except (sqlite3.Error, *UNREADABLE) as error:
                self._failed(error if isinstance(error, sqlite3.Error) else _damaged(str(error)))
                with self._waiting:
                    self._dirty = {**dirty, **self._dirty}
                    self._calls = {**calls, **self._calls}
                # What the failed transaction wrote is not there: look again.
                self._rows.forget(dirty)
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
                self._rows.write(connection, account, saved)
            for api, made in calls.items():
                self._rows.write_calls(connection, api, made)

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
                    (now - THIN_EVERY, scopes),
                ).fetchall()
                if due:
                    with self._connection as connection:
                        connection.execute("BEGIN IMMEDIATE")
                        for row, thinned, zone in due:
                            thin(connection, row, since=thinned, now=now, zone=ZoneInfo(zone))
            except (sqlite3.Error, *UNREADABLE) as error:
                self._failed(error if isinstance(error, sqlite3.Error) else _damaged(str(error)))
                return 0
        return len(due)

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
        except (sqlite3.Error, *UNREADABLE) as found:
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
                return connection
            if self._file.stat().st_size <= _CHECKED_UP_TO:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise _damaged(found)
            _migrate_schema(connection, version)
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
        self._rows.forget()
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
                        self._rows.write(connection, account, saved)
        except sqlite3.Error as error:
            self._failed(error)
            return
        finally:
            self._rows.forget()
        legacy.keep_aside(self._directory, taken)
        log.info("state files taken into the database", files=len(taken), kept_in=str(self._directory / legacy.ASIDE))


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


def _migrate_schema(connection: sqlite3.Connection, version: int) -> None:
    if version == schema.VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for older in range(version, schema.VERSION):
            for statement in schema.MIGRATIONS[older]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def _damaged(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _reason(error: sqlite3.Error) -> SaveFailure:
    # Extended codes keep the reason in their lowest byte (https://www.sqlite.org/rescode.html).
    return _BY_CODE.get(getattr(error, "sqlite_errorcode", -1) & 0xFF, SaveFailure.OTHER)
