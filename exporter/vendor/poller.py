"""Polls every organisation on its own clock, by threads that take what is due from the schedule.

A poll is committed to only as it begins: what a reload takes away before that is never asked for. Each api has at
most `max_concurrent_polls` under way, and one at least even while others keep the threads waiting, so that a slow or
dead vendor delays nobody else.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import structlog

from exporter.clock import Clock
from exporter.config.load import Target
from exporter.errors import AuthError, PollError, ResponseError
from exporter.model import PollCounts, UsageSnapshot
from exporter.thresholds import DEFAULT_BANDS, Bands
from exporter.turns import COMPUTING
from exporter.vendor.accounts import Accounts, CallStorage
from exporter.vendor.budget import runs_out
from exporter.vendor.client import VendorClient
from exporter.vendor.drift import Drift
from exporter.vendor.next_poll import failures_after, next_delay
from exporter.vendor.one_poll import Outcome, poll_all
from exporter.vendor.schedule import Job, Schedule

log = structlog.get_logger()

# Polls under way, of all apis together; an api of which none is may have one beyond them.
MOST_POLLS = 128
# Threads, whatever happens: containers often allow for 1,000 in all.
MOST_THREADS = 256
# Threads that wait for something to do; others end as soon as there is nothing.
_SPARE_THREADS = 4
_RETRY_SECONDS = 1.0


class Observer(Protocol):
    """What wants to know how polling goes, such as metrics. Called by the threads that poll."""

    def poll_ended(self, api: str, seconds: float) -> None: ...

    def vendor_called(self, api: str) -> None: ...

    def poll_put_off(self, api: str) -> None: ...

    def answered(self, api: str, organisations: tuple[str, ...], drifted: frozenset[str]) -> None: ...


class Poller:
    """Polls every target forever and hands the outcomes to `record`."""

    def __init__(
        self,
        record: Callable[[Target, Outcome], None],
        clock: Clock,
        *,
        observer: Observer | None = None,
        rng: random.Random | None = None,
        storage: CallStorage | None = None,
        share: float = 1.0,
    ) -> None:
        """share: of max_calls_per_day, where several exporters share the organisations."""
        self._record = record
        self._clock = clock
        self._observer = observer
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._storage = storage
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._next_changed = threading.Condition(self._lock)
        self._something_to_do = threading.Condition(self._lock)
        self._all_done = threading.Condition(self._lock)
        self._schedule = Schedule()
        self._accounts = Accounts(clock, storage, share)
        self._jobs: dict[tuple[str, ...], Job] = {}
        self._clients: dict[Job, VendorClient] = {}
        self._bands = DEFAULT_BANDS
        self._threads = 0
        self._spare = 0
        self._lacks_threads = False
        self._awaited = -math.inf
        self._stopped = False

    def set_targets(self, targets: Iterable[Target], bands: Bands = DEFAULT_BANDS) -> None:
        """Take over a config: unchanged targets keep their schedule, new and changed ones are due at once.

        From here on nothing of the config before is begun, and what of it is under way makes no further call.
        """
        wanted = _grouped(targets)
        with self._lock:
            self._bands = bands
            self._jobs = {key: self._job(key, group) for key, group in wanted.items()}
            self._clients = {job: self._clients.get(job) or self._client(job) for job in self._jobs.values()}
            self._schedule.set_jobs(self._jobs.values())
            self._accounts.set_jobs(self._jobs.values())
            self._next_changed.notify()

    def run(self) -> None:
        """Poll until `stop`. Meant as a thread's target."""
        while not self._stopped:
            try:
                self.run_due()
                self._wait_for_next()
            except Exception:
                log.exception("polls could not be started; tried again")
                time.sleep(_RETRY_SECONDS)

    def run_due(self) -> None:
        """Let begin what is due, and return; `wait_idle` waits for it."""
        with self._lock:
            self._schedule.call(self._clock.monotonic())
            self._find_thread()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is due or under way; False if something still is after `timeout` seconds."""
        with self._lock:
            return self._all_done.wait_for(self._schedule.is_idle, timeout)

    def seconds_to_next(self) -> float | None:
        """Until the next poll is due; None if none is scheduled."""
        with self._lock:
            return self._seconds_to_next()

    def next_poll(self, key: tuple[str, str]) -> float | None:
        """Seconds until a target is asked for again, 0 where it is due or under way; None where it is not polled."""
        with self._lock:
            job = self._jobs.get(key) or self._jobs.get(key[:1])
            if job is None:
                return None
            at = self._schedule.time_of(job)
            return 0.0 if at is None else max(0.0, at - self._clock.monotonic())

    def counts(self) -> Mapping[str, PollCounts]:
        """How the polls stand, by api."""
        with self._lock:
            return self._schedule.counts(self._clock.monotonic())

    def put_off_from_the_start(self) -> frozenset[tuple[str, str]]:
        """The keys of targets that were never polled, since calls are short: nobody should wait for them."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.first and job.put_off]
            return frozenset(target.key for job in jobs for target in job.targets)

    def stop(self) -> None:
        """Begin no more polls; those under way are not waited for, and make no further call."""
        self.set_targets(())
        with self._lock:
            self._stopped = True
            self._next_changed.notify()
            self._something_to_do.notify_all()

    def _job(self, key: tuple[str, ...], targets: tuple[Target, ...]) -> Job:
        known = self._jobs.get(key)
        if known is not None and known.targets == targets:
            return known
        return Job(targets, due=self._clock.monotonic(), calls=len(targets[0].api.all_requests))

    def _client(self, job: Job) -> VendorClient:
        return VendorClient(job.targets[0], self._clock, before_call=partial(self._before_call, job))

    # Threads. The methods from here on to `_next_job` are called with the lock held.

    def _wait_for_next(self) -> None:
        with self._lock:
            if self._stopped:
                return
            seconds = self._seconds_to_next()
            if self._lacks_threads:
                seconds = min(_RETRY_SECONDS, seconds if seconds is not None else _RETRY_SECONDS)
            at = self._schedule.next_time()
            self._awaited = math.inf if at is None else at
            self._next_changed.wait(seconds)
            self._awaited = -math.inf

    def _seconds_to_next(self) -> float | None:
        at = self._schedule.next_time()
        return None if at is None else max(0.0, at - self._clock.monotonic())

    def _find_thread(self) -> None:
        """See to it that somebody takes what may begin. One at a time: whoever takes a job calls the next."""
        if self._stopped or not self._schedule.has_open(only_apis_at_rest=self._is_full()):
            self._lacks_threads = False
            return
        if self._spare:
            self._something_to_do.notify()
        elif self._threads < MOST_THREADS:
            self._start_thread()

    def _is_full(self) -> bool:
        return self._schedule.running >= MOST_POLLS

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, daemon=True, name="poll").start()
        except RuntimeError as error:  # out of threads or memory: what is due stays so, and is not lost
            if not self._lacks_threads:
                log.error(
                    "no thread could be started for polls; tried again", threads=self._threads, error=str(error)
                )
            self._lacks_threads = True
            self._next_changed.notify()
            return
        self._threads += 1
        self._lacks_threads = False

    def _work(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                self._poll(job)
        finally:
            with self._lock:
                self._threads -= 1

    def _next_job(self) -> Job | None:
        """What to poll, as soon as there is anything; None where the thread is not needed any more."""
        with self._lock:
            while not self._stopped:
                job = self._take()
                if job is not None:
                    self._find_thread()
                    return job
                if self._spare >= _SPARE_THREADS:
                    break
                self._spare += 1
                self._something_to_do.wait()
                self._spare -= 1
            return None

    def _take(self) -> Job | None:
        """The next job that its api's budget allows; others are put off."""
        now = self._clock.monotonic()
        while (job := self._schedule.take(only_apis_at_rest=self._is_full())) is not None:
            wait = self._accounts.begin(job, now)
            job.put_off = wait > 0
            if not job.put_off:
                return job
            self._schedule.done(job)
            self._schedule.put(job, now + wait)
            self._put_off(job)
            self._announce()
        return None

    # One poll.

    def _before_call(self, job: Job) -> None:
        """Before each request to the vendor. Raises where it may not be made."""
        with self._lock:
            if not self._schedule.holds(job):
                raise ResponseError("the config no longer asks for it")
            self._accounts.call(job, self._clock.monotonic())
        if self._observer is not None:
            self._observer.vendor_called(job.api.name)

    def _poll(self, job: Job) -> None:
        outcomes: list[tuple[Target, Outcome]] = []
        try:
            with self._lock:
                client = self._clients.get(job)
            if client is None:  # a reload came first
                return
            self._save_calls(job)
            started = self._clock.monotonic()
            outcomes = poll_all(job.targets, client, self._clock, partial(self._answered, job))
            self._hand_over(job, outcomes, self._clock.monotonic() - started)
        except Exception:
            log.exception("a poll's outcome could not be recorded", api=job.api.name)
        finally:
            self._end(job, [outcome for _, outcome in outcomes])

    def _answered(self, job: Job, drifts: tuple[Drift, ...]) -> None:
        if self._observer is not None:
            organisations = tuple(target.organisation.display_name for target in job.targets)
            self._observer.answered(job.api.name, organisations, frozenset(drift.name for drift in drifts))

    def _end(self, job: Job, outcomes: list[Outcome]) -> None:
        try:
            with self._lock:
                self._accounts.end(job, self._clock.monotonic())
            self._save_calls(job)
        finally:
            self._done(job, outcomes)

    def _save_calls(self, job: Job) -> None:
        if self._storage is None or job.api.max_calls_per_day is None:
            return
        with self._saving:  # so that the newest is saved last
            with self._lock:
                calls = self._accounts.calls(job.api.name)
            self._storage.save_calls(job.api.name, calls)

    def _hand_over(self, job: Job, outcomes: list[tuple[Target, Outcome]], seconds: float) -> None:
        with self._lock:
            if not self._schedule.holds(job):
                return
        if self._observer is not None:
            self._observer.poll_ended(job.api.name, seconds)
        for target, outcome in outcomes:
            _log(target, outcome, after_failure=job.failing)
            with COMPUTING:
                self._record(target, outcome)

    def _done(self, job: Job, outcomes: list[Outcome]) -> None:
        # Where one answer holds many organisations, it is the vendor that fails, or single organisations' parts.
        found = [outcome for outcome in outcomes if isinstance(outcome, UsageSnapshot)]
        outcome = next(iter([*found, *outcomes]), ResponseError("the poll ended without an outcome"))
        with self._lock:
            self._schedule.done(job)
            if self._schedule.holds(job):
                warning, _ = self._bands.thresholds
                if found:
                    hot = any(runs_out(scope, one.fetched_at, warning) for one in found for scope in one.scopes)
                    self._accounts.learn(job, hot=hot)
                job.due = self._clock.monotonic() + self._delay(job, outcome)
                self._schedule.put(job, job.due)
            self._announce()

    def _delay(self, job: Job, outcome: Outcome) -> float:
        """Take down how the poll went, and say after how many seconds the next one is due."""
        interval = self._accounts.interval(job)
        put_off = interval > job.api.poll_interval
        job.failures = failures_after(outcome, job.failures, interval=interval)
        refused = isinstance(outcome, AuthError)
        delay = next_delay(
            outcome,
            # Calls that are short are not for retries.
            math.inf if put_off else job.failures,
            interval=interval,
            first=job.first,
            refused_again=refused and job.refused,
            rng=self._rng,
        )
        job.first, job.failing, job.refused = False, isinstance(outcome, PollError), refused
        if put_off:
            self._put_off(job)
        return delay

    def _put_off(self, job: Job) -> None:
        if self._observer is not None:
            self._observer.poll_put_off(job.api.name)

    def _announce(self) -> None:
        """Wake `run` where something is due before what it waits for, and `wait_idle` where nothing is left."""
        at = self._schedule.next_time()
        if at is not None and at < self._awaited:
            self._next_changed.notify()
        if self._schedule.is_idle():
            self._all_done.notify_all()


def _grouped(targets: Iterable[Target]) -> dict[tuple[str, ...], tuple[Target, ...]]:
    """What is polled together, by key: an organisation, or an api whose one answer holds them all."""
    groups: dict[tuple[str, ...], list[Target]] = {}
    for target in targets:
        groups.setdefault(_key(target), []).append(target)
    return {key: tuple(group) for key, group in groups.items()}


def _key(target: Target) -> tuple[str, ...]:
    return target.key if target.api.mapping.organisations is None else (target.api.name,)


def _log(target: Target, outcome: Outcome, *, after_failure: bool) -> None:
    api, organisation = target.key
    bound = log.bind(api=api, organisation=organisation)
    if isinstance(outcome, PollError):
        bound.warning("poll failed", reason=outcome.reason, error=str(outcome))
    elif outcome.misfits:
        bound.warning("poll read in part", reason=ResponseError.reason, error=outcome.misfit_text)
    elif after_failure:
        bound.info("poll works again", scopes=len(outcome.scopes))
    else:
        bound.debug("poll", scopes=len(outcome.scopes))
