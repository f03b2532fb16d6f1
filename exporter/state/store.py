"""The latest of every organisation: its data, how its last poll went, and what of it may still be shown.

A state is a frozen value; a poll makes a new one of it. The store holds the present ones behind a lock.
"""

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from exporter.clock import Clock
from exporter.config.load import Target
from exporter.errors import REASONS, FailureReason, PollError, ResponseError
from exporter.forecast import NOT_BURNING, Burning, Forecast, shortfall
from exporter.model import BillingPeriod, DailySource, FetchedScope, ScopeUsage, UsageSnapshot
from exporter.state.database import Database
from exporter.state.ledger import MOST_KEPT, Change, changes
from exporter.state.outlooks import as_of, burnings, not_made, outlooks, still_burning
from exporter.state.points import Point
from exporter.state.refusals import Refusals, in_last_hour, with_count
from exporter.state.saved import Absence, Account, Failure, Saved
from exporter.state.trust import PastPeriod, Seen, Span, Watched, observe
from exporter.thresholds import HISTORY_DAYS
from exporter.turns import COMPUTING

Key = tuple[str, str]
T = TypeVar("T")

# Without a period nothing says when usage starts anew; a day outlasts most outages of a vendor.
_DROP_WITHOUT_PERIOD = timedelta(hours=24)
# Vendors' clocks and the way to them differ by seconds from poll to poll; two periods begin further apart.
_SAME_PERIOD = timedelta(minutes=1)
_RESET_SLACK = timedelta(days=1)
# A period that a vendor begins by the calendar of another time zone begins this much early at most, or nearly so.
_EARLY = timedelta(days=1)


@dataclass(frozen=True)
class OrganisationState:
    """One organisation, now. Times are None until the thing has happened.

    since: when the exporter began to watch it; staleness counts from here while there is no data.
    scopes: the last that each scope was found to be; a scope that a poll could not read stays with its old time.
    watched: what is known of each scope's count, by name, and whether the newest is suspect.
    outlooks: whether each scope's allowance lasts, by name, as of when it was read; without those of a start until
        its points are read back. burnings: what burns too fast, of the same scopes at the same times.
    ledger: what the vendor changed, by scope, newest last. terms: digest of how limits and plans were read last.
    absences: of the known scopes that the last good answer lacked although their period goes on, by name.
    listing: digest of how that answer's scopes were listed.
    refusals: counts of requests refused over the rate limit, of the last hour, by scope; where they are reported.
    failure: why the last poll failed; that of an earlier process until the first poll of this one.
    polls, failures: counted since the exporter started.
    """

    target: Target
    since: datetime
    scopes: tuple[FetchedScope, ...] = ()
    watched: Mapping[str, Watched] = field(default_factory=lambda: MappingProxyType({}))
    outlooks: Mapping[str, Forecast] = field(default_factory=lambda: MappingProxyType({}))
    burnings: Mapping[str, Burning] = field(default_factory=lambda: MappingProxyType({}))
    ledger: Mapping[str, tuple[Change, ...]] = field(default_factory=lambda: MappingProxyType({}))
    terms: str = ""
    absences: Mapping[str, Absence] = field(default_factory=lambda: MappingProxyType({}))
    listing: str = ""
    refusals: Mapping[str, Refusals] = field(default_factory=lambda: MappingProxyType({}))
    last_poll: datetime | None = None
    last_success: datetime | None = None
    failure: Failure | None = None
    polls: int = 0
    failures: Mapping[FailureReason, int] = field(default_factory=lambda: MappingProxyType(dict.fromkeys(REASONS, 0)))

    def after(self, outcome: UsageSnapshot | PollError, now: datetime) -> "OrganisationState":
        """The state after a poll that ended at `now`."""
        state = replace(self, last_poll=now, polls=self.polls + 1)
        if isinstance(outcome, PollError):
            return state._failed(outcome.reason, str(outcome), now)
        state = state._with_answer(outcome)
        if outcome.misfits:
            return state._failed(ResponseError.reason, outcome.misfit_text, now)
        return replace(state, failure=None)

    def _failed(self, reason: FailureReason, message: str, now: datetime) -> "OrganisationState":
        failures = MappingProxyType({**self.failures, reason: self.failures[reason] + 1})
        return replace(self, failure=Failure(reason, message, now), failures=failures)

    def _with_answer(self, snapshot: UsageSnapshot) -> "OrganisationState":
        at = snapshot.fetched_at
        before = {scope.usage.name: scope.usage for scope in self.scopes}
        found = {scope.name: _beside(before.get(scope.name), scope) for scope in snapshot.scopes}
        watched = {
            name: self._observed(scope, scope.requests, at)
            for name, scope in found.items()
            if scope.requests is not None
        }
        trusted = {
            name: _trusted(scope, before.get(name), watched[name]) if name in watched else scope
            for name, scope in found.items()
        }
        fresh = tuple(FetchedScope(scope, at) for scope in trusted.values())
        # What could not be read may be one of the scopes known from before: those stay, and grow old.
        absences = self._absences_unread(found) if snapshot.misfits else self._absences_after(found, at)
        others = self._scopes_beside(fresh, None if snapshot.misfits else absences)
        watched = {**self._watched_beside(watched, at), **watched}
        names = {scope.usage.name for scope in others}
        made = outlooks(fresh, watched, self.target.time_zone)
        return replace(
            self,
            scopes=fresh + others,
            absences=MappingProxyType(absences),
            listing=self.listing if snapshot.misfits else self.target.listing_digest,
            watched=MappingProxyType(watched),
            outlooks=MappingProxyType({**_of_names(self.outlooks, names), **made}),
            burnings=MappingProxyType({**_of_names(self.burnings, names), **burnings(fresh, made, self.burnings)}),
            ledger=MappingProxyType(self._ledger_after(before, trusted, watched, at)),
            terms=self.target.terms_digest,
            refusals=MappingProxyType(self._refusals_after(trusted, at)),
            last_success=at,
        )

    def _refusals_after(self, found: Mapping[str, ScopeUsage], at: datetime) -> dict[str, Refusals]:
        return {
            name: with_count(self.refusals.get(name, ()), at, scope.rejected)
            for name, scope in found.items()
            if scope.rejected is not None
        }

    def refused_in_last_hour(self, scope: FetchedScope, now: datetime) -> float | None:
        """Requests refused over the rate limit; None where the vendor does not report them."""
        known = self.refusals.get(scope.usage.name)
        return None if known is None or scope.usage.rejected is None else in_last_hour(known, now)

    def _observed(self, scope: ScopeUsage, count: float, at: datetime) -> Watched:
        period = _span(scope.period)
        seen = Seen(
            at=at.timestamp(),
            count=count,
            answered=None if scope.period_configured else period,
            configured=period if scope.period_configured else None,
            mapping=self.target.count_digest,
            limit=scope.limit,
        )
        derive = scope.daily_source == DailySource.OBSERVED
        return observe(self.watched.get(scope.name), seen, self.target.time_zone, derive_days=derive)

    def _ledger_after(
        self,
        before: Mapping[str, ScopeUsage],
        after: Mapping[str, ScopeUsage],
        kept: Iterable[str],
        at: datetime,
    ) -> dict[str, tuple[Change, ...]]:
        """The ledgers, by scope, with what the vendor changed; what another config changed is not its doing."""
        ledger = {name: known for name, known in self.ledger.items() if name in kept}
        if self.terms not in ("", self.target.terms_digest):
            return ledger
        for name, scope in after.items():
            if name in before and (new := changes(before[name], scope, at)):
                ledger[name] = (*ledger.get(name, ()), *new)[-MOST_KEPT:]
        return ledger

    def _absences_unread(self, found: Mapping[str, ScopeUsage]) -> dict[str, Absence]:
        """After an answer that was read in part: what is not in it may be what could not be read."""
        return {name: absence for name, absence in self.absences.items() if name not in found}

    def _absences_after(self, found: Mapping[str, ScopeUsage], at: datetime) -> dict[str, Absence]:
        """After a good answer: the known scopes that it lacks although their period goes on.

        Not where another config may have left them out, nor where they are there under a new name.
        """
        if self.listing not in ("", self.target.listing_digest):
            return {}
        known = {scope.usage.name: scope.usage for scope in self.scopes}
        renamed = {scope.id for name, scope in found.items() if scope.id and name not in known}
        ended = _ended_periods(known, found)
        return {
            name: self._absence(name, at)
            for name, scope in ((scope.usage.name, scope) for scope in self.scopes)
            if name not in found
            and name not in self.target.retired_scopes
            and at < self._goes_on_until(scope)
            and scope.usage.period not in ended
            and scope.usage.id not in renamed
        }

    def _absence(self, name: str, at: datetime) -> Absence:
        known = self.absences.get(name)
        return Absence(at, 1) if known is None else Absence(known.since, known.answers + 1)

    def _scopes_beside(
        self, fresh: Sequence[FetchedScope], absent: Container[str] | None
    ) -> tuple[FetchedScope, ...]:
        """The known scopes that are not among the fresh ones: those of these names, or all of them.

        Together they are max_scopes at most: a vendor that makes up new names at every poll must not fill the memory.
        """
        names = {scope.usage.name for scope in fresh}
        others = tuple(
            scope
            for scope in self.scopes
            if scope.usage.name not in names and (absent is None or scope.usage.name in absent)
        )
        return others[: max(0, self.target.api.max_scopes - len(fresh))]

    def _watched_beside(self, fresh: Mapping[str, Watched], at: datetime) -> dict[str, Watched]:
        """What is known of counts not among the fresh ones; the latest, so that together they are max_scopes.

        A scope that is not reported now may come back: vendors may list only what was used in this period.
        """
        oldest = (at - timedelta(days=HISTORY_DAYS)).timestamp()
        others = {
            name: watched for name, watched in self.watched.items() if name not in fresh and watched.known.at > oldest
        }
        latest = sorted(others, key=lambda name: others[name].known.at, reverse=True)
        return {name: others[name] for name in latest[: max(0, self.target.api.max_scopes - len(fresh))]}

    def saved(self) -> Saved:
        """What of it is kept over a restart."""
        return Saved(
            last_success=self.last_success,
            scopes=self.scopes,
            watched=self.watched,
            ledger=self.ledger,
            failure=self.failure,
            time_zone=self.target.time_zone.key,
            terms=self.terms,
            absences=self.absences,
            listing=self.listing,
        )

    def with_points(self, points: Mapping[str, Sequence[Point]]) -> "OrganisationState":
        """With points from before a restart."""
        watched = {
            name: replace(known, points=known.points.with_earlier(points.get(name, ())))
            for name, known in self.watched.items()
        }
        made = outlooks(self.scopes, watched, self.target.time_zone)
        return replace(
            self,
            watched=MappingProxyType(watched),
            outlooks=made,
            burnings=burnings(self.scopes, made, self.burnings),
        )

    def outlook(self, scope: FetchedScope, now: datetime) -> Forecast:
        """Whether its allowance lasts, as far as that is known at `now`."""
        made = self.outlooks.get(scope.usage.name) or not_made(scope)
        return as_of(made, scope, now, self._stale_after())

    def burning(self, scope: FetchedScope, now: datetime) -> Burning:
        """Whether it burns too fast, as far as that is known at `now`."""
        found = self.burnings.get(scope.usage.name, NOT_BURNING)
        return still_burning(found, scope, now, self._stale_after())

    def requests_before(self, usage: ScopeUsage) -> float | None:
        """Requests of the billing period before the scope's present one; None where its end was not watched."""
        last = self.period_before(usage)
        return last.requests if last is not None else None

    def period_before(self, usage: ScopeUsage) -> PastPeriod | None:
        """The billing period before the scope's present one; None where its end was not watched."""
        watched = self.watched.get(usage.name)
        if watched is None or usage.period is None or not watched.known.past:
            return None
        last = watched.known.past[-1]
        # Vendors reset their counts some hours before or after the moment that they name.
        slack = min(_RESET_SLACK, (usage.period.end - usage.period.start) / 4)
        return last if abs(last.end - usage.period.start.timestamp()) <= slack.total_seconds() else None

    def shortfall(self, scope: FetchedScope, now: datetime) -> float | None:
        """How many requests its limit lacks; None where it is enough, or nobody knows."""
        warning = self.target.bands.of(scope.usage.name).warning
        return shortfall(scope.usage, self.outlook(scope, now), self.requests_before(scope.usage), warning)

    def shown_scopes(self, now: datetime) -> tuple[FetchedScope, ...]:
        """The scopes whose data is not too old to be shown."""
        return tuple(scope for scope in self.scopes if now < self._dropped_at(scope))

    def scope(self, name: str) -> FetchedScope:
        """A known scope. Raises StopIteration where there is none of that name."""
        return next(scope for scope in self.scopes if scope.usage.name == name)

    def missing_since(self, scope: FetchedScope, now: datetime) -> datetime | None:
        """From when on good answers lack the scope; None unless enough of them do while its period goes on."""
        absence = self.absences.get(scope.usage.name)
        goes_on = now < self._goes_on_until(scope)
        return absence.since if absence is not None and absence.is_missing and goes_on else None

    def is_stale(self, now: datetime) -> bool:
        # Data from the future was read while the clock was wrong: how old it is, nobody knows.
        newest = max(self._read_times(), default=self.since)
        return now >= self._stale_at() or newest - now >= self._stale_after()

    def next_change(self, now: datetime) -> datetime | None:
        """When time alone will next change what is shown; None if it will not."""
        moments = [self._stale_at()]
        for scope in self.scopes:
            moments += [scope.fetched_at + self._stale_after(), self._dropped_at(scope)]
            if scope.usage.period is not None:
                moments.append(scope.usage.period.end)
        return min((moment for moment in moments if moment > now), default=None)

    def _stale_after(self) -> timedelta:
        return _length(self.target.api.stale_after_seconds)

    def _stale_at(self) -> datetime:
        oldest = min(self._read_times(), default=self.last_success or self.since)
        return oldest + self._stale_after()

    def _read_times(self) -> Iterator[datetime]:
        """Of the scopes that the vendor reports; those that it does not are missing, not stale."""
        return (scope.fetched_at for scope in self.scopes if scope.usage.name not in self.absences)

    def _goes_on_until(self, scope: FetchedScope) -> datetime:
        """The period's end; without a period, when the usage goes away."""
        return scope.usage.period.end if scope.usage.period is not None else self._dropped_at(scope)

    def _dropped_at(self, scope: FetchedScope) -> datetime:
        drop_after = self.target.api.drop_after
        if drop_after is not None:
            return scope.fetched_at + timedelta(seconds=drop_after)
        if scope.usage.period is None:
            return scope.fetched_at + _DROP_WITHOUT_PERIOD
        # Fresh data is not dropped: between a period's end and the next poll there is a moment for each rollover.
        return max(scope.usage.period.end, scope.fetched_at + self._stale_after())


def _of_names(known: Mapping[str, T], names: Container[str]) -> dict[str, T]:
    return {name: value for name, value in known.items() if name in names}


@lru_cache(maxsize=256)
def _length(seconds: float) -> timedelta:
    """Asked for several times a scope whenever all are looked at."""
    return timedelta(seconds=seconds)


def _ended_periods(
    before: Mapping[str, ScopeUsage], found: Mapping[str, ScopeUsage]
) -> frozenset[BillingPeriod | None]:
    """The periods of before that another followed, at its end or a little early."""
    return frozenset(
        known.period
        for name, scope in found.items()
        if (known := before.get(name)) is not None
        and known.period is not None
        and scope.period is not None
        and scope.period.start >= max(known.period.end - _EARLY, known.period.start + _SAME_PERIOD)
    )


def _with_steady_period(scope: ScopeUsage, before: BillingPeriod | None) -> ScopeUsage:
    """A period given in seconds from now differs a little at each poll; within a minute it is the same one still."""
    reported = scope.period
    if reported is None or before is None or reported == before:
        return scope
    same = max(abs(reported.start - before.start), abs(reported.end - before.end)) < _SAME_PERIOD
    return replace(scope, period=before) if same else scope


def _beside(before: ScopeUsage | None, scope: ScopeUsage) -> ScopeUsage:
    """The scope as the poll found it, with what it has in common with the one before."""
    if before is None:
        return scope
    scope = _with_steady_period(scope, before.period)
    if not scope.daily or not before.daily:
        return scope
    # Nearly all days are as they were: kept as the same objects, they stay where they are in memory.
    known = {day.date: day for day in before.daily}
    daily = tuple(known[day.date] if known.get(day.date) == day else day for day in scope.daily)
    return replace(scope, daily=daily)


def _trusted(scope: ScopeUsage, before: ScopeUsage | None, watched: Watched) -> ScopeUsage:
    """What is published of a scope: the last trusted answer while a newer one is suspect; its days."""
    if watched.held is not None:
        scope = before if before is not None else replace(scope, requests=watched.known.count)
    tally = watched.known.tally
    return scope if tally is None else replace(scope, daily=tally.days)


def _span(period: BillingPeriod | None) -> Span | None:
    return None if period is None else Span(period.start.timestamp(), period.end.timestamp())


Listener = Callable[[Sequence[OrganisationState]], None]


class Store:
    """All organisations' states, in the config's order. Thread-safe.

    Listeners are called after every change, with the states that are new.
    """

    def __init__(self, clock: Clock, database: Database | None = None) -> None:
        self._clock = clock
        self._database = database
        self._lock = threading.Lock()
        self._states: dict[Key, OrganisationState] = {}
        self._listeners: list[Listener] = []

    def start(self) -> None:
        """Save what is new from now on."""
        if self._database is not None:
            self._database.start(self._points_read)

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Take over a config: organisations that stay keep their data, new ones begin, others go.

        Their bands are in force from now on, for what was read before as well; a change of these needs no poll.
        """
        with self._lock:
            known, self._states = self._states, {target.key: self._taken_over(target) for target in targets}
            changed = [state for key, state in self._states.items() if state is not known.get(key)]
        self._changed(changed)

    def record(self, target: Target, outcome: UsageSnapshot | PollError) -> None:
        """Take in a poll's outcome, unless the target is no longer the one in use."""
        self._change(
            target.key,
            lambda state: state.after(outcome, self._clock.now()) if state.target == target else None,
            save=True,
        )

    def _change(
        self, key: Key, changed: Callable[[OrganisationState], OrganisationState | None], *, save: bool
    ) -> None:
        """Swap in what `changed` makes of a state, and call the listeners; None leaves it as it is.

        Thousands of forecasts take a second, and the lock is not held meanwhile: where the state has become another
        by then, they are made anew.
        """
        with self._lock:
            before = self._states.get(key)
        while before is not None and (after := changed(before)) is not None:
            with self._lock:
                present = self._states.get(key)
                if present is before:
                    self._states[key] = after
                    if save and self._database is not None:
                        self._database.save(after.target.account, after.saved())
                    break
            before = present
        else:
            return
        self._changed([after])

    def count_at(self, state: OrganisationState, scope: str, moment: datetime, since: datetime) -> float | None:
        """What a scope's count was at a time, if a poll from `since` on is stored; None without storage."""
        if self._database is None:
            return None
        return self._database.count_at(state.target.account, scope, moment.timestamp(), since.timestamp())

    def states(self) -> tuple[OrganisationState, ...]:
        with self._lock:
            return tuple(self._states.values())

    def _taken_over(self, target: Target) -> OrganisationState:
        known = self._states.get(target.key)
        if known is not None and known.target.account == target.account:
            same = (known.target, known.target.bands) == (target, target.bands)
            return known if same else replace(known, target=target)
        state = OrganisationState(target, self._clock.now())
        saved = self._database.load(target.account) if self._database is not None else None
        if saved is None:
            return state
        return replace(
            state,
            scopes=saved.scopes,
            watched=MappingProxyType(dict(saved.watched)),
            ledger=MappingProxyType(dict(saved.ledger)),
            terms=saved.terms,
            absences=MappingProxyType(dict(saved.absences)),
            listing=saved.listing,
            last_success=saved.last_success,
            failure=saved.failure,
        )

    def _points_read(self, account: Account, points: Mapping[str, Sequence[Point]]) -> None:
        with COMPUTING:
            self._change(
                account[:2],
                lambda state: state.with_points(points) if state.target.account == account else None,
                save=False,
            )

    def _changed(self, states: Sequence[OrganisationState]) -> None:
        for listener in self._listeners:
            listener(states)
