"""State as version 0.1 kept it: a file an organisation, of a SHA-256 and JSON. Only read, and only once."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.model import BillingPeriod, DailyUsage, FetchedScope
from exporter.state.days import UNKNOWN, Tally
from exporter.state.points import Points
from exporter.state.saved import Account, Saved
from exporter.state.trust import Known, Span, Watched
from exporter.thresholds import HISTORY_DAYS

log = structlog.get_logger()

# Where the files go once they have been read.
ASIDE = "migrated"
_VERSION = 1


@dataclass(frozen=True)
class _History:
    """What one scope was seen to use: the last poll, and days."""

    since: datetime
    last_at: datetime
    last_requests: float
    period: BillingPeriod | None
    days: tuple[DailyUsage, ...] = ()
    before_rollover: float | None = None


@dataclass(frozen=True)
class _Saved:
    last_success: datetime | None
    scopes: tuple[FetchedScope, ...]
    histories: dict[str, _History]


@dataclass(frozen=True)
class _File:
    version: int
    account: Account
    saved: _Saved


_ADAPTER = TypeAdapter(_File)


def read(file: Path) -> tuple[Account, Saved] | None:
    """A file's content; None where it cannot be used: it is then renamed, kept and logged."""
    try:
        digest, _, content = file.read_bytes().partition(b"\n")
        if digest != hashlib.sha256(content).hexdigest().encode():
            _set_aside(file, ".damaged", "its checksum does not fit")
            return None
        found = _ADAPTER.validate_json(content)
    except OSError as error:
        log.error("saved state cannot be read", file=str(file), error=error.strerror)
        return None
    except ValidationError:
        _set_aside(file, ".damaged", "not a state file of this version")
        return None
    if found.version != _VERSION:
        _set_aside(file, ".unknown-version", f"a state file of version {found.version}")
        return None
    saved = found.saved
    watched = {name: _watched(history, saved.scopes, name) for name, history in saved.histories.items()}
    return found.account, Saved(saved.last_success, saved.scopes, watched)


def keep_aside(directory: Path, files: Iterable[Path]) -> None:
    """Move files that were read into a folder beside the database."""
    try:
        (directory / ASIDE).mkdir(exist_ok=True)
        for file in files:
            file.replace(directory / ASIDE / file.name)
    except OSError as error:
        log.error("state files could not be moved", folder=str(directory / ASIDE), error=error.strerror)


def _set_aside(file: Path, suffix: str, reason: str) -> None:
    aside = file.with_suffix(suffix)
    log.error("saved state unusable, set aside", file=str(aside), error=reason)
    try:
        file.replace(aside)
    except OSError as error:
        log.error("damaged state could not be set aside", file=str(file), error=error.strerror)


def _watched(history: _History, scopes: Iterable[FetchedScope], name: str) -> Watched:
    at = history.last_at.timestamp()
    period = history.period
    days = history.days[-HISTORY_DAYS:]
    limit = next((scope.usage.limit for scope in scopes if scope.usage.name == name), None)
    known = Known(
        at=at,
        count=history.last_requests,
        mapping="",
        began=period.start.timestamp() if period is not None else history.since.timestamp(),
        limit=limit,
        answered=Span(period.start.timestamp(), period.end.timestamp()) if period is not None else None,
        due=None,
        unseen=0.0,
        unseen_pace=0.0,
        rate=0.0,
        hour_at=at,
        hour_count=history.last_requests,
        busiest=0.0,
        early=0.0,
        tally=Tally(history.since.timestamp(), days, tuple(0.0 if day.exact else UNKNOWN for day in days)),
    )
    return Watched(known, Points().add(at, history.last_requests))
