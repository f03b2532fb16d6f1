"""An account's rows: what is known of an organisation -> the database's tables, and back."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.errors import REASONS, FailureReason
from exporter.model import BillingPeriod, CallsMade, DailySource, DailyUsage, FetchedScope, ScopeUsage
from exporter.state.days import EXACT_RATIO, UNKNOWN, day_of
from exporter.state.ledger import MOST_KEPT, Change, Term
from exporter.state.points import Point, Points
from exporter.state.saved import Absence, Account, Failure, Saved
from exporter.state.trust import PAST_PERIODS, Held, Known, Open, PastPeriod, Undo, Watched
from exporter.thresholds import HISTORY_DAYS

log = structlog.get_logger()

# What Python makes of values that SQLite found no fault with, but that nobody wrote so.
UNREADABLE = (TypeError, ValueError, OverflowError)


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


class Rows:
    """Reads and writes accounts, and remembers what of them is written already. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[Account, _WrittenAccount] = {}
        self._mappings: dict[str, int] = {}

    def load(self, connection: sqlite3.Connection, account: Account) -> Saved | None:
        """What was saved of an account, without the points; None where nothing was."""
        row = connection.execute(
            "SELECT id, time_zone, terms, listing, last_success, failure_reason, failure_message, failure_at"
            " FROM accounts WHERE (api, organisation, organisation_id, url) = (?, ?, ?, ?)",
            account,
        ).fetchone()
        if row is None:
            return None
        number, zone, terms, listing, last_success, *failure = row
        written = _WrittenAccount(number)
        days = _grouped(connection, _DAYS, (number, _oldest_day(self._clock())))
        past = _grouped(connection, _PAST, (number,))
        ledger = _grouped(connection, _LEDGER, (number,))
        until = dict(connection.execute(_NEWEST, (number,)).fetchall())
        scopes: list[FetchedScope] = []
        watched: dict[str, Watched] = {}
        changes: dict[str, tuple[Change, ...]] = {}
        absences: dict[str, Absence] = {}
        rows = connection.execute(_SCOPES, (number,)).fetchall()
        for scope, name, reported, since, answers, *values, trust in rows:
            try:
                found = _read_days(days.get(scope, ()))
                state = _Written(scope, *found, points_until=until.get(scope) or 0.0)
                if trust is not None:
                    watched[name] = _read_trust(trust, found, past.get(scope, ()))
                    state.past = watched[name].known.past
                if reported:
                    scopes.append(_read_scope(name, values, found[0]))
                    if since is not None:
                        absences[name] = Absence(_moment(since), answers)
                changes[name] = _read_ledger(ledger.get(scope, ()))
                state.newest_change = changes[name][-1].at if changes[name] else None
                written.scopes[name] = state
            except (ValidationError, *UNREADABLE) as error:
                watched.pop(name, None)
                log.error("saved scope unusable, left out", api=account[0], scope=name, error=str(error)[:200])
        self._written[account] = written
        return Saved(
            time_zone=zone,
            terms=terms,
            listing=listing,
            absences=absences,
            last_success=_time(last_success),
            failure=_read_failure(*failure),
            scopes=tuple(scopes),
            watched=watched,
            ledger={name: found for name, found in changes.items() if found},
        )

    def points(self, connection: sqlite3.Connection, account: Account, since: float) -> dict[str, list[Point]]:
        """The trusted points from `since` on of an account that was loaded, by scope, ascending."""
        written = self._written.get(account)
        query = "SELECT at, requests FROM points WHERE scope = ? AND at >= ? AND NOT suspect ORDER BY at"
        scopes = written.scopes if written is not None else {}
        return {name: connection.execute(query, (scope.scope, since)).fetchall() for name, scope in scopes.items()}

    def count_at(
        self, connection: sqlite3.Connection, account: Account, name: str, moment: float, since: float
    ) -> float | None:
        """The trusted count of a scope's last poll from `since` to `moment`; None where there is none."""
        written = self._written.get(account)
        scope = written.scopes.get(name) if written is not None else None
        if scope is None:
            return None
        query = """
            SELECT requests FROM points WHERE scope = ? AND at BETWEEN ? AND ? AND NOT suspect
            ORDER BY at DESC LIMIT 1
        """
        found = connection.execute(query, (scope.scope, since, moment)).fetchone()
        return None if found is None else float(found[0])

    def write_calls(self, connection: sqlite3.Connection, api: str, calls: tuple[CallsMade, ...]) -> None:
        connection.execute("DELETE FROM vendor_calls WHERE api = ?", (api,))
        rows = [(api, one.at.timestamp(), one.cost, one.hot) for one in calls]
        connection.executemany("INSERT INTO vendor_calls VALUES (?, ?, ?, ?)", rows)

    def load_calls(self, connection: sqlite3.Connection, api: str) -> tuple[CallsMade, ...]:
        query = "SELECT at, cost, hot FROM vendor_calls WHERE api = ? ORDER BY at"
        return tuple(CallsMade(_moment(at), cost, bool(hot)) for at, cost, hot in connection.execute(query, (api,)))

    def write(self, connection: sqlite3.Connection, account: Account, saved: Saved) -> None:
        """Write what is new of it since it was written or loaded last."""
        written = self._written.get(account) or self._known(connection, account)
        failure = saved.failure
        connection.execute(
            "UPDATE accounts SET time_zone = ?, terms = ?, listing = ?, last_success = ?, failure_reason = ?,"
            " failure_message = ?, failure_at = ? WHERE id = ?",
            (
                saved.time_zone,
                saved.terms,
                saved.listing,
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
            self._write_scope(connection, scope.scope, reported.get(name), saved, name)
            self._write_rest(connection, scope, reported.get(name), saved, name)

    def _write_scope(
        self, connection: sqlite3.Connection, row: int, scope: FetchedScope | None, saved: Saved, name: str
    ) -> None:
        watched, absence = saved.watched.get(name), saved.absences.get(name)
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
            "UPDATE scopes SET reported = 1, absent_since = ?, absent_answers = ?,"
            " read_at = ?, requests = ?, request_limit = ?, scope_id = ?, plan = ?,"
            " unit = ?, rate_limit_per_minute = ?, rejected = ?, period_start = ?, period_end = ?,"
            " period_configured = ?, daily_source = ?, trust = ? WHERE id = ?",
            (
                absence and absence.since.timestamp(),
                absence.answers if absence is not None else 0,
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
            # What was taken back is not older than the points in memory.
            since = max(min(points.revised_from, written.points_until), next(iter(points), (0.0, 0.0))[0] - 1)
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
        rows = [(written.scope, *astuple(period)) for period in past]
        connection.executemany("INSERT OR REPLACE INTO past_periods VALUES (?, ?, ?, ?, ?, ?)", rows)
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

    def forget(self, accounts: Iterable[Account] | None = None) -> None:
        """Look again at what of these accounts, or of all, is written: it may be gone."""
        for account in list(self._written) if accounts is None else accounts:
            self._written.pop(account, None)
        self._mappings.clear()


_SCOPES = """
SELECT id, name, reported, absent_since, absent_answers,
    read_at, requests, request_limit, scope_id, plan, unit, rate_limit_per_minute, rejected,
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
    known = replace(trust.known, past=tuple(PastPeriod(*row) for row in past)[-PAST_PERIODS:])
    if known.tally is not None:
        known = replace(known, tally=replace(known.tally, days=found[0], doubts=found[1]))
    return Watched(known, Points(), trust.held, trust.open, trust.undo)


def _read_scope(name: str, values: Iterable[Any], days: tuple[DailyUsage, ...]) -> FetchedScope:
    read_at, requests, limit, scope_id, plan, unit, rate_limit, rejected, start, end, configured, source = values
    usage = ScopeUsage(
        name=name,
        requests=None if requests is None else float(requests),
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
