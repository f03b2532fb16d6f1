"""What a poll and the putting together cost, within one process and without any HTTP."""

import gzip
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import fleet
from benchmarks.figures import Figure, Report, median
from exporter.clock import SystemClock
from exporter.config.load import Target
from exporter.exposition.bodies import TEXT
from exporter.model import MAIN_REQUEST, Answer, ScopeUsage, UsageSnapshot
from exporter.service import Service
from exporter.vendor.reading import map_answers
from exporter.vendor.strict_json import parse_json

FEW, MANY = 20, 2000


class _Exporter:
    """An exporter that is not started, filled by polls that ask nobody."""

    def __init__(self, organisations: int) -> None:
        self._polls = 0
        with tempfile.TemporaryDirectory() as folder:
            file = fleet.config(Path(folder) / "config.yaml", organisations, "http://127.0.0.1:1")
            service = Service(file, SystemClock())
        self.store, self.exposition = service.store, service.exposition
        self.targets = [state.target for state in self.store.states()]
        self.snapshots = [
            snapshot(target, {MAIN_REQUEST: Answer(fleet.answer(target.organisation.id))})
            for target in self.targets[:50]
        ]
        for number in range(organisations):
            self.record(number)
        self.exposition.refresh()

    def record(self, number: int) -> None:
        """Take in what a poll brought for the organisation, as the thread that polled it does: some more requests."""
        self._polls += 1
        before = self.snapshots[number % len(self.snapshots)]
        scopes = tuple(_used_more(scope, self._polls) for scope in before.scopes)
        self.store.record(self.targets[number], UsageSnapshot(SystemClock().now(), scopes))


def _used_more(scope: ScopeUsage, requests: int) -> ScopeUsage:
    *past, today = scope.daily or ()
    today = replace(today, requests=today.requests + requests)
    return replace(scope, requests=(scope.requests or 0) + requests, daily=(*past, today))


def snapshot(target: Target, answers: dict[str, Answer]) -> UsageSnapshot:
    return map_answers(answers, api=target.api, organisation=target.organisation.id, now=SystemClock().now())


def measure() -> Report:
    few, many = _Exporter(FEW), _Exporter(MANY)
    # In turns, so that what else the machine does weighs on both alike.
    rendering_few, rendering_many = _milliseconds(lambda: few.record(7), lambda: many.record(7), times=400)
    body = many.exposition.body(TEXT)
    megabytes = 2 * body.size / 1e6

    def after_a_poll() -> None:
        many.record(7)
        many.exposition.refresh()

    text = body.plain
    together, after, whole = _milliseconds(
        many.exposition.refresh, after_a_poll, lambda: gzip.compress(text, 3), times=9
    )
    answer = json.dumps(fleet.answer("one")).encode()
    answers = {MAIN_REQUEST: Answer(fleet.answer("one"))}
    parsing, mapping = _milliseconds(
        lambda: parse_json(answer), lambda: snapshot(many.targets[0], answers), times=100
    )
    figures = (
        Figure(
            f"rendering after a poll at {MANY:,} organisations / at {FEW}",
            rendering_many / rendering_few,
            at_most=1.5,
        ),
        Figure(f"rendering after a poll, {MANY:,} organisations", rendering_many, "ms"),
        Figure("reading an answer: JSON", parsing, "ms"),
        Figure("reading an answer: its mapping", mapping, "ms"),
        Figure("putting together both formats, nothing changed: each MB of text", together / megabytes, "ms"),
        Figure("putting together both formats after one poll: each MB of text", after / megabytes, "ms"),
        Figure("for comparison, compressing all of it anew: each MB of text", whole / (body.size / 1e6), "ms"),
        Figure("gzipped size / text", len(body.gzipped) / body.size),
    )
    about = (
        f"Processor time in one process, median. At {MANY:,} organisations a body has {body.size / 1e6:.0f} MB of "
        "text; text and OpenMetrics are put together at one go, at most once a second."
    )
    return Report("What a poll changes", about, figures)


def _milliseconds(*steps: Callable[[], object], times: int) -> tuple[float, ...]:
    """Processor time of each step, taken in turns, as the median of so many."""
    taken: list[list[float]] = [[] for _ in steps]
    for _ in range(times):
        for step, times_of_it in zip(steps, taken, strict=True):
            before = time.thread_time()
            step()
            times_of_it.append(time.thread_time() - before)
    return tuple(median(each) * 1e3 for each in taken)
