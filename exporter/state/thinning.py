"""Points in the database: every poll for 48 hours, then one an hour for 35 days, then one a day for 13 months."""

import sqlite3
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.state.days import day_of, day_start
from exporter.state.points import DAY, HOUR, kept_places

_HOURLY_AFTER, _DAILY_AFTER, _KEPT = 2 * DAY, 35 * DAY, 400 * DAY
# How often it is a scope's turn.
THIN_EVERY = 6 * HOUR


def thin(connection: sqlite3.Connection, scope: int, *, since: float, now: float, zone: ZoneInfo) -> None:
    """Thin a scope's points, within a transaction.

    since, now: when it was its turn before, and is again, in Unix time. zone: of its days.
    """
    # A stretch that was thinned before is joined to the new one in its last hour, or day.
    _thin_between(connection, scope, (since - _HOURLY_AFTER - HOUR, now - _HOURLY_AFTER), HOUR, zone)
    _thin_between(connection, scope, (since - _DAILY_AFTER - DAY, now - _DAILY_AFTER), DAY, zone)
    connection.execute("DELETE FROM points WHERE scope = ? AND at < ?", (scope, now - _KEPT))
    oldest = datetime.fromtimestamp(now - _KEPT, UTC).date().isoformat()
    connection.execute("DELETE FROM days WHERE scope = ? AND date < ?", (scope, oldest))
    connection.execute("DELETE FROM term_changes WHERE scope = ? AND at < ?", (scope, now - _KEPT))
    connection.execute("UPDATE scopes SET thinned = ? WHERE id = ?", (now, scope))


def _thin_between(
    connection: sqlite3.Connection, scope: int, between: tuple[float, float], spacing: float, zone: ZoneInfo
) -> None:
    def midnight_after(moment: float) -> float:
        return day_start(day_of(moment, zone) + timedelta(days=1), zone)

    rows = connection.execute(
        "SELECT at, requests, mapping FROM points WHERE scope = ? AND at >= ? AND at < ? AND NOT suspect ORDER BY at",
        (scope, *between),
    ).fetchall()
    points = [(at, requests) for at, requests, _ in rows]
    breaks = [place for place in range(1, len(rows)) if rows[place][2] != rows[place - 1][2]]
    kept = set(kept_places(points, spacing, breaks=breaks, midnight_after=midnight_after))
    gone = [(scope, at) for place, (at, _) in enumerate(points) if place not in kept]
    connection.executemany("DELETE FROM points WHERE scope = ? AND at = ?", gone)
    connection.execute("DELETE FROM points WHERE scope = ? AND suspect AND at >= ? AND at < ?", (scope, *between))
