"""What is kept of an organisation, as plain data between the store and the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exporter.errors import FailureReason
from exporter.model import FetchedScope
from exporter.state.ledger import Change
from exporter.state.trust import Watched
from exporter.thresholds import MISSING_AFTER_ANSWERS

# (api, organisation, the organisation's id, the api's url)
Account = tuple[str, str, str, str]


@dataclass(frozen=True)
class Failure:
    """Why the last poll failed. message: for people, without secrets."""

    reason: FailureReason
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Absence:
    """That good answers lack a scope. since: when the first of them came; answers: how many, in a row."""

    since: datetime
    answers: int

    @property
    def is_missing(self) -> bool:
        return self.answers >= MISSING_AFTER_ANSWERS


@dataclass(frozen=True)
class Saved:
    """An organisation's state. watched, ledger: by scope; also of scopes that are not reported now.

    ledger: the newest changes, ascending by time. time_zone: IANA name, of its days.
    terms: digest of how limits and plans were read.
    absences: by name, of the scopes that the last good answer lacked. listing: digest of how its scopes were listed.
    """

    last_success: datetime | None
    scopes: tuple[FetchedScope, ...]
    watched: Mapping[str, Watched] = field(default_factory=dict)
    ledger: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    failure: Failure | None = None
    time_zone: str = "UTC"
    terms: str = ""
    absences: Mapping[str, Absence] = field(default_factory=dict)
    listing: str = ""
