"""What is due when, and what of it may begin now. Plain data: whoever owns a schedule holds a lock around every call.

Nothing is committed to before it begins: what waits is as easily taken back by a reload as what is due tomorrow.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporter.config.api import Api
from exporter.config.load import Target
from exporter.model import PollCounts

# Polls begin within some ms of their time; what waits this long, waits for others to end.
_LATE_SECONDS = 10.0


@dataclass(eq=False)
class Job:
    """One row of polls. It is due once, runs, and is due again.

    targets: one, or all organisations of an api whose one answer holds them all.
    failures: what counts for the back-off. hot: whether it is near its limit and will run out.
    put_off: whether the next one waits for calls to be left.
    calls: that one poll takes, as far as is known. made, reserved: by the poll under way, calls and their cost.
    """

    targets: tuple[Target, ...]
    due: float
    calls: int
    first: bool = True
    failures: float = 0.0
    failing: bool = False
    refused: bool = False
    hot: bool = False
    put_off: bool = False
    made: int = 0
    reserved: float = 0.0

    @property
    def api(self) -> Api:
        return self.targets[0].api


@dataclass
class _Row:
    """An api's polls that are due or under way. most: at a time."""

    most: int
    waiting: deque[Job] = field(default_factory=deque)
    running: set[Job] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return bool(self.waiting) and len(self.running) < self.most


class Schedule:
    """The jobs of all apis: to come, waiting, and under way. Times are those of one clock, in seconds.

    running: how many polls are under way.
    """

    def __init__(self) -> None:
        self._jobs: set[Job] = set()
        self._apis: set[str] = set()
        self.running = 0
        self._later: list[tuple[float, float, int, Job]] = []
        self._order = itertools.count()
        self._rows: dict[str, _Row] = {}
        # Those of which a poll may begin, as an ordered set: the next in turn comes first.
        self._open: dict[str, _Row] = {}

    def set_jobs(self, jobs: Iterable[Job]) -> None:
        """Take over these: the known keep their time, new ones are due at their `due`, others are never begun."""
        jobs = list(jobs)
        known, self._jobs = self._jobs, set(jobs)
        self._apis = {job.api.name for job in jobs}
        self._later = [entry for entry in self._later if entry[3] in self._jobs]
        heapq.heapify(self._later)
        most = {job.api.name: job.api.max_concurrent_polls for job in jobs}
        for name, row in list(self._rows.items()):
            row.waiting = deque(job for job in row.waiting if job in self._jobs)
            if name not in self._apis and not row.running:
                del self._rows[name]
        for name, number in most.items():
            self._rows.setdefault(name, _Row(number)).most = number
        self._open = {name: row for name, row in self._rows.items() if row.is_open}
        for job in jobs:
            if job not in known:
                self.put(job, job.due)

    def holds(self, job: Job) -> bool:
        """Whether the config in use still asks for it."""
        return job in self._jobs

    def put(self, job: Job, when: float) -> None:
        """Have it looked at again at `when`; job.due says since when it should have been polled."""
        heapq.heappush(self._later, (when, job.due, next(self._order), job))

    def call(self, now: float) -> None:
        """Let wait what is due."""
        while self._later and self._later[0][0] <= now:
            job = heapq.heappop(self._later)[3]
            row = self._rows[job.api.name]
            row.waiting.append(job)
            self._open_or_close(job.api.name, row)

    def next_time(self) -> float | None:
        return self._later[0][0] if self._later else None

    def time_of(self, job: Job) -> float | None:
        """When a job is next looked at; None where it waits or runs."""
        return next((when for when, _, _, later in self._later if later is job), None)

    def has_open(self, *, only_apis_at_rest: bool) -> bool:
        return self._next(only_apis_at_rest=only_apis_at_rest) is not None

    def take(self, *, only_apis_at_rest: bool) -> Job | None:
        """The job to begin now, apis taking turns; None if there is none. only_apis_at_rest: of which none runs."""
        name = self._next(only_apis_at_rest=only_apis_at_rest)
        if name is None:
            return None
        row = self._open.pop(name)
        job = row.waiting.popleft()
        row.running.add(job)
        self.running += 1
        self._open_or_close(name, row)
        return job

    def done(self, job: Job) -> None:
        """It no longer runs."""
        name = job.api.name
        row = self._rows[name]
        row.running.remove(job)
        self.running -= 1
        self._open_or_close(name, row)
        if not row.running and name not in self._apis:
            del self._rows[name]

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self.running and not any(row.waiting for row in self._rows.values())

    def counts(self, now: float) -> Mapping[str, PollCounts]:
        return {
            name: PollCounts(
                waiting=len(row.waiting),
                running=len(row.running),
                late=sum(now - job.due >= _LATE_SECONDS for job in row.waiting),
            )
            for name, row in self._rows.items()
        }

    def _next(self, *, only_apis_at_rest: bool) -> str | None:
        return next((name for name, row in self._open.items() if not (only_apis_at_rest and row.running)), None)

    def _open_or_close(self, name: str, row: _Row) -> None:
        if row.is_open:
            self._open.setdefault(name, row)
        else:
            self._open.pop(name, None)
