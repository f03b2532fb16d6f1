"""When to ask whom: every organisation on its own clock, each api with workers of its own.

An api's polls run in a pool of its own, so that a slow or dead vendor delays nobody else's.
"""

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from exporter.clock import Clock
from exporter.config.api import Api
from exporter.config.load import Target
from exporter.errors import AuthError, PollError, ResponseError
from exporter.model import UsageSnapshot
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import Outcome, poll_all

log = structlog.get_logger()

_JITTER = 0.05
_BACKOFF_BASE = 5.0
_MIN_BACKOFF = 1.0
_AUTH_RETRY = 900.0


def next_delay(
    outcome: Outcome, failures_in_a_row: int, *, interval: float, first: bool, rng: random.Random
) -> float:
    """Seconds until an organisation's next poll.

    failures_in_a_row: including this one. first: whether it was the first poll, asked of all at once; the second
    ones spread over an interval's length. Backoff: exponential with full jitter, up to the interval
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    if not isinstance(outcome, PollError):
        spread = 0.5 if first else _JITTER
        return interval * rng.uniform(1 - spread, 1 + spread)
    if isinstance(outcome, AuthError):
        return max(interval, _AUTH_RETRY) * rng.uniform(1, 1 + _JITTER)
    if not outcome.retryable:
        return interval * rng.uniform(1 - _JITTER, 1 + _JITTER)
    ceiling = min(interval, _BACKOFF_BASE * 2.0 ** min(failures_in_a_row - 1, 32))
    backoff = max(_MIN_BACKOFF, rng.uniform(0, ceiling))
    # What the vendor asks for is the least: a Retry-After of 0 must not make us hammer it.
    return (
        backoff if outcome.retry_after is None else max(outcome.retry_after + rng.uniform(0, _MIN_BACKOFF), backoff)
    )


@dataclass
class _Job:
    """One row of polls. It is due once, runs, and is due again; `failures_in_a_row` counts for the backoff.

    targets: one, or all organisations of an api whose one answer holds them all.
    """

    targets: tuple[Target, ...]
    client: VendorClient
    first: bool = True
    failures_in_a_row: int = 0

    @property
    def api(self) -> Api:
        return self.targets[0].api


class Poller:
    """Polls every target forever and hands the outcomes to `record`."""

    def __init__(
        self,
        record: Callable[[Target, Outcome], None],
        clock: Clock,
        *,
        observe_duration: Callable[[str, float], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._record = record
        self._clock = clock
        self._observe_duration = observe_duration
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._wake = threading.Condition()
        self._jobs: dict[tuple[str, ...], _Job] = {}
        self._due: list[tuple[float, int, _Job]] = []
        self._order = itertools.count()
        self._pools: dict[str, tuple[int, ThreadPoolExecutor]] = {}
        self._running: set[Future[None]] = set()
        self._stopped = False

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Take over a config: unchanged targets keep their schedule, new and changed ones are due at once."""
        wanted = _grouped(targets)
        with self._wake:
            self._jobs = {key: self._job(key, group) for key, group in wanted.items()}
            kept = {id(job) for job in self._jobs.values()}
            self._due = [entry for entry in self._due if id(entry[2]) in kept]
            heapq.heapify(self._due)
            self._set_pools({job.api.name: job.api.max_concurrent_polls for job in self._jobs.values()})
            self._wake.notify_all()

    def run(self) -> None:
        """Poll until `stop`. Meant as a thread's target."""
        while not self._stopped:
            try:
                self.run_due()
            except Exception:
                log.exception("polls could not be started; tried again")
                time.sleep(_MIN_BACKOFF)
            with self._wake:
                wait = max(0.0, self._due[0][0] - self._clock.monotonic()) if self._due else None
                if not self._stopped and wait != 0.0:
                    self._wake.wait(wait)

    def run_due(self) -> None:
        """Start the polls that are due, and return; `wait_idle` waits for them."""
        with self._wake:
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now and not self._stopped:
                job = self._due[0][2]
                future = self._pools[job.api.name][1].submit(self._poll, job)
                heapq.heappop(self._due)
                self._running.add(future)
                future.add_done_callback(self._finished)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no poll is under way; False if some still are after `timeout` seconds."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._running, timeout)

    def seconds_to_next(self) -> float | None:
        """Until the next poll is due; None if none is scheduled."""
        with self._wake:
            return self._due[0][0] - self._clock.monotonic() if self._due else None

    def stop(self) -> None:
        """Start no more polls; those under way are not waited for."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        for _, pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _job(self, key: tuple[str, ...], targets: tuple[Target, ...]) -> _Job:
        known = self._jobs.get(key)
        if known is not None and known.targets == targets:
            return known
        job = _Job(targets, VendorClient(targets[0], self._clock))
        self._schedule(job, 0.0)
        return job

    def _set_pools(self, sizes: dict[str, int]) -> None:
        for api, (size, pool) in list(self._pools.items()):
            if sizes.get(api) != size:
                pool.shutdown(wait=False)
                del self._pools[api]
        for api, size in sizes.items():
            if api not in self._pools:
                self._pools[api] = (size, ThreadPoolExecutor(size, thread_name_prefix=f"poll-{api}"))

    def _schedule(self, job: _Job, delay: float) -> None:
        heapq.heappush(self._due, (self._clock.monotonic() + delay, next(self._order), job))

    def _finished(self, future: Future[None]) -> None:
        with self._wake:
            self._running.discard(future)
            self._wake.notify_all()

    def _poll(self, job: _Job) -> None:
        started = self._clock.monotonic()
        outcomes = poll_all(job.targets, job.client, self._clock)
        try:
            if self._observe_duration is not None:
                self._observe_duration(job.api.name, self._clock.monotonic() - started)
            for target, outcome in outcomes:
                _log(target, outcome, after_failure=job.failures_in_a_row > 0)
                self._record(target, outcome)
        except Exception:
            log.exception("a poll's outcome could not be recorded", api=job.api.name)
        finally:
            self._schedule_next(job, [outcome for _, outcome in outcomes])

    def _schedule_next(self, job: _Job, outcomes: list[Outcome]) -> None:
        # Where one answer holds many organisations, it is the vendor that fails, or single organisations' parts.
        outcome = next((outcome for outcome in outcomes if isinstance(outcome, UsageSnapshot)), outcomes[0])
        with self._wake:
            job.failures_in_a_row = job.failures_in_a_row + 1 if isinstance(outcome, PollError) else 0
            interval = job.api.poll_interval
            delay = next_delay(outcome, job.failures_in_a_row, interval=interval, first=job.first, rng=self._rng)
            job.first = False
            if self._jobs.get(_key(job.targets[0])) is job:
                self._schedule(job, delay)


def _grouped(targets: Iterable[Target]) -> dict[tuple[str, ...], tuple[Target, ...]]:
    """What is polled together, by key: an organisation, or an api whose one answer holds them all."""
    groups: dict[tuple[str, ...], tuple[Target, ...]] = {}
    for target in targets:
        groups[_key(target)] = (*groups.get(_key(target), ()), target)
    return groups


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
