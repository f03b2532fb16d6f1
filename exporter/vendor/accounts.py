"""The books of all apis: what their polls may spend and have spent of `max_calls_per_day`.

Not thread-safe: whoever owns them holds a lock around every call.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from exporter.clock import Clock
from exporter.config.api import Api
from exporter.errors import RateLimitedError
from exporter.model import CallsMade
from exporter.vendor.budget import Ledger, Plan, Spent, plan
from exporter.vendor.schedule import Job


class CallStorage(Protocol):
    """Where the calls of the last 24 hours survive a restart."""

    def load_calls(self, api: str) -> tuple[CallsMade, ...]: ...

    def save_calls(self, api: str, calls: tuple[CallsMade, ...]) -> None: ...


class Accounts:
    """An account for each api. Calls are counted for all, since a budget may come with the next reload."""

    def __init__(self, clock: Clock, storage: CallStorage | None, share: float) -> None:
        """share: of max_calls_per_day, where several exporters share the organisations."""
        self._clock = clock
        self._storage = storage
        self._share = share
        self._ledgers: dict[str, Ledger] = {}
        self._jobs: dict[str, list[Job]] = {}
        # Made of all jobs of an api, until one of them changes.
        self._plans: dict[str, Plan] = {}

    def set_jobs(self, jobs: Iterable[Job]) -> None:
        """Take over a config. What an api has spent counts on, also while it is in none."""
        by_api = defaultdict(list)
        for job in jobs:
            by_api[job.api.name].append(job)
        self._jobs = dict(by_api)
        self._plans = {}
        now = self._clock.monotonic()
        for name, (job, *_) in by_api.items():
            if name not in self._ledgers:
                self._ledgers[name] = self._loaded(job.api, now)

    def begin(self, job: Job, now: float) -> float:
        """Reserve what a poll is likely to spend; else the seconds after which to look again."""
        job.made, job.reserved = 0, 0.0
        budget = self._budget(job.api)
        if budget is None:
            return 0.0
        shared = self._plan(job.api, budget)
        cost = job.calls * job.api.cost_per_call
        ledger = self._ledgers[job.api.name]
        wait = ledger.wait(now, cost, hot=job.hot, a_day=budget, others_a_day=shared.others_a_day)
        if wait:
            return min(wait, _interval(shared, job))
        ledger.reserve(cost, hot=job.hot)
        job.reserved = cost
        return 0.0

    def call(self, job: Job, now: float) -> None:
        """Count a call. Raises RateLimitedError where it is one more than was reserved, and none is left."""
        budget = self._budget(job.api)
        more = (job.made + 1) * job.api.cost_per_call - job.reserved
        if budget is not None and more > 0:
            ledger = self._ledgers[job.api.name]
            if ledger.wait(now, more, hot=True, a_day=budget, others_a_day=budget):
                raise RateLimitedError(f"max_calls_per_day ({job.api.max_calls_per_day:g}) is used up")
            ledger.reserve(more, hot=job.hot)
            job.reserved += more
        job.made += 1

    def end(self, job: Job, now: float) -> None:
        """Book what a poll has spent."""
        cost = job.made * job.api.cost_per_call
        self._ledgers[job.api.name].settle(now, job.reserved, cost, hot=job.hot)
        job.reserved = 0.0

    def learn(self, job: Job, *, hot: bool) -> None:
        """Take from a whole poll what the next is likely to cost, and whether it goes before others."""
        calls = job.made or job.calls
        if (job.calls, job.hot) != (calls, hot):
            job.calls, job.hot = calls, hot
            self._plans.pop(job.api.name, None)

    def interval(self, job: Job) -> float:
        """Seconds between its polls: poll_interval, or longer where calls are short."""
        budget = self._budget(job.api)
        return job.api.poll_interval if budget is None else _interval(self._plan(job.api, budget), job)

    def calls(self, api: str) -> tuple[CallsMade, ...]:
        """What is to be saved. Calls to come of polls under way count as made, should the exporter end meanwhile."""
        now, moment, ledger = self._clock.monotonic(), self._clock.now(), self._ledgers[api]
        return tuple(
            CallsMade(moment - timedelta(seconds=now - one.at), one.cost, one.hot)
            for one in (*ledger.spent(now), *ledger.reserved(now))
        )

    def _budget(self, api: Api) -> float | None:
        if api.max_calls_per_day is None:
            return None
        # What one answer holds is asked by one of several exporters alone.
        return api.max_calls_per_day * (self._share if api.mapping.organisations is None else 1.0)

    def _plan(self, api: Api, budget: float) -> Plan:
        known = self._plans.get(api.name)
        if known is not None:
            return known
        rounds = {True: 0.0, False: 0.0}
        for job in self._jobs.get(api.name, ()):
            rounds[job.hot] += job.calls * api.cost_per_call
        made = plan(budget, api.poll_interval, hot_round=rounds[True], other_round=rounds[False])
        self._plans[api.name] = made
        return made

    def _loaded(self, api: Api, now: float) -> Ledger:
        if self._storage is None or api.max_calls_per_day is None:
            return Ledger()
        moment = self._clock.now()
        # A clock that was set back must not leave us with calls in its future.
        ages = ((max(0.0, (moment - one.at).total_seconds()), one) for one in self._storage.load_calls(api.name))
        return Ledger(Spent(now - age, one.cost, one.hot) for age, one in ages)


def _interval(shared: Plan, job: Job) -> float:
    return shared.hot_interval if job.hot else shared.interval
