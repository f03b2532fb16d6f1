"""Polls as they begin and end, with a clock that tests turn and vendors on real ports."""

import json
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from werkzeug.wrappers import Request, Response

from exporter.config.load import Target
from exporter.exposition.process import ProcessMetrics
from exporter.local.processes import eventually
from exporter.model import PollCounts, UsageSnapshot
from exporter.vendor.one_poll import Outcome
from exporter.vendor.poller import MOST_POLLS, Poller
from tests.support.clock import FakeClock
from tests.support.factories import answer, load
from tests.support.http import Vendor


@dataclass
class Recorder:
    """Collects what a poller records."""

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    def __call__(self, target: Target, outcome: Outcome) -> None:
        self.outcomes.append((target.organisation.id, outcome))

    def organisations(self) -> list[str]:
        return [organisation for organisation, _ in self.outcomes]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def poller(recorder: Recorder, clock: FakeClock) -> Iterator[Poller]:
    poller = Poller(recorder, clock, rng=random.Random(7))
    yield poller
    poller.stop()


def run(poller: Poller) -> None:
    poller.run_due()
    assert poller.wait_idle(10)


def targets(tmp_path: Path, vendor: Vendor, *ids: str, **api: Any) -> tuple[Target, ...]:
    organisations = [{"id": name} for name in ids]
    url = f"{vendor.url}/{{organisation_id}}"
    return load(tmp_path / "c.yaml", {"url": url, "organisations": organisations, **api}).targets


def answering(*scopes: dict[str, Any]) -> Any:
    return lambda _: Response(json.dumps(answer(*scopes)))


def test_a_recorder_that_fails_does_not_end_the_polls(
    tmp_path: Path, vendor: Vendor, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Target, __: Outcome) -> None:
        raise RuntimeError("no")

    vendor.answer = answering()
    poller = Poller(broken, clock)
    poller.set_targets(targets(tmp_path, vendor, "a"))
    run(poller)
    assert poller.seconds_to_next() is not None
    assert "a poll's outcome could not be recorded" in capsys.readouterr().out
    poller.stop()


def test_the_first_round_is_at_once_and_the_next_a_while_later(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder, clock: FakeClock
) -> None:
    vendor.answer = answering()
    poller.set_targets(targets(tmp_path, vendor, "a", "b", "c"))
    run(poller)
    assert sorted(recorder.organisations()) == ["a", "b", "c"]
    run(poller)
    assert len(recorder.outcomes) == 3
    clock.advance(seconds=149)
    run(poller)
    assert len(recorder.outcomes) == 3
    clock.advance(seconds=302)
    run(poller)
    assert len(recorder.outcomes) == 6


def test_each_organisation_is_on_its_own_clock(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder, clock: FakeClock
) -> None:
    def by_organisation(request: Request) -> Response:
        return Response(status=500) if request.path == "/bad" else answering()(request)

    vendor.answer = by_organisation
    poller.set_targets(targets(tmp_path, vendor, "good", "bad"))
    run(poller)
    for _ in range(60):
        clock.advance(seconds=2)
        run(poller)
    assert recorder.organisations().count("good") == 1
    assert recorder.organisations().count("bad") > 3


def test_a_vendor_that_recovers_is_asked_in_its_interval_again(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder, clock: FakeClock
) -> None:
    vendor.answer = lambda _: Response(status=429, headers={"Retry-After": "40"})
    poller.set_targets(targets(tmp_path, vendor, "a"))
    run(poller)
    wait = poller.seconds_to_next()
    assert wait is not None
    assert 40 <= wait <= 41
    vendor.answer = answering()
    clock.advance(seconds=wait + 0.01)
    run(poller)
    assert isinstance(recorder.outcomes[-1][1], UsageSnapshot)
    wait = poller.seconds_to_next()
    assert wait is not None
    assert 285 <= wait <= 315


def test_when_an_organisation_is_asked_next(tmp_path: Path, vendor: Vendor, poller: Poller, clock: FakeClock) -> None:
    vendor.answer = lambda request: answering()(request) if request.path == "/good" else Response(status=500)
    poller.set_targets(targets(tmp_path, vendor, "good", "bad"))
    assert poller.next_poll(("demo", "good")) == 0
    run(poller)
    good, bad = poller.next_poll(("demo", "good")), poller.next_poll(("demo", "bad"))
    assert good is not None
    assert bad is not None
    assert bad < good
    clock.advance(seconds=bad / 2)
    assert poller.next_poll(("demo", "bad")) == pytest.approx(bad / 2)
    clock.advance(seconds=bad)
    assert poller.next_poll(("demo", "bad")) == 0
    assert poller.next_poll(("demo", "nobody")) is None


def test_no_more_polls_of_an_api_at_a_time_than_the_config_allows_and_other_apis_do_not_wait(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder
) -> None:
    release, lock, together = threading.Event(), threading.Lock(), [0, 0]

    def slow(request: Request) -> Response:
        if request.path.startswith("/quick"):
            return answering()(request)  # type: ignore[no-any-return]
        with lock:
            together[0] += 1
            together[1] = max(together)
        release.wait(10)
        with lock:
            together[0] -= 1
        return answering()(request)  # type: ignore[no-any-return]

    vendor.answer = slow
    config = load(
        tmp_path / "c.yaml",
        {
            "name": "slow",
            "url": f"{vendor.url}/slow/{{organisation_id}}",
            "max_concurrent_polls": 2,
            "organisations": [{"id": str(number)} for number in range(6)],
        },
        {"name": "quick", "url": f"{vendor.url}/quick", "organisations": [{"id": "q"}]},
    )
    poller.set_targets(config.targets)
    poller.run_due()
    eventually(lambda: "q" in recorder.organisations() and together[0] == 2)
    assert recorder.organisations() == ["q"]
    release.set()
    assert poller.wait_idle(10)
    assert len(recorder.outcomes) == 7
    assert together[1] == 2


def test_what_polls_found_is_taken_in_by_one_thread_at_a_time(
    tmp_path: Path, vendor: Vendor, clock: FakeClock
) -> None:
    lock, another, inside, most, done = threading.Lock(), threading.Event(), [0], [0], [0]

    def record(_: Target, __: Outcome) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        another.wait(0.03)  # which others would come in, if they could
        with lock:
            inside[0] -= 1
            done[0] += 1

    vendor.answer = answering()
    poller = Poller(record, clock)
    poller.set_targets(targets(tmp_path, vendor, *map(str, range(10))))
    run(poller)
    poller.stop()
    assert done == [10]
    assert most == [1]


def test_a_reload_keeps_the_schedule_of_what_stays_and_asks_for_what_is_new_at_once(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder, clock: FakeClock
) -> None:
    vendor.answer = answering()
    poller.set_targets(targets(tmp_path, vendor, "stays", "goes"))
    run(poller)
    poller.set_targets(targets(tmp_path, vendor, "stays", "new"))
    run(poller)
    assert recorder.organisations()[2:] == ["new"]
    clock.advance(seconds=460)
    run(poller)
    assert sorted(recorder.organisations()[3:]) == ["new", "stays"]
    poller.set_targets(targets(tmp_path, vendor, "stays", "new", timeout="3s"))
    run(poller)
    assert sorted(recorder.organisations()[5:]) == ["new", "stays"]


def begun(vendor: Vendor, header: str) -> list[str]:
    """The paths asked for with this value of X-Config."""
    return [request.path for request in vendor.requests if request.headers["X-Config"] == header]


def test_after_a_reload_nothing_of_the_config_before_begins(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder
) -> None:
    release = threading.Event()

    def held(request: Request) -> Response:
        release.wait(10)
        return answering()(request)  # type: ignore[no-any-return]

    vendor.answer = held
    ids = [f"o{number}" for number in range(30)]
    poller.set_targets(targets(tmp_path, vendor, *ids, max_concurrent_polls=2, headers={"X-Config": "old"}))
    poller.run_due()
    eventually(lambda: len(vendor.requests) == 2)
    assert poller.counts()["demo"] == PollCounts(waiting=28, running=2, late=0)
    poller.set_targets(targets(tmp_path, vendor, *ids, max_concurrent_polls=2, headers={"X-Config": "new"}))
    run_due_and(poller, release)
    assert len(begun(vendor, "old")) == 2
    assert sorted(begun(vendor, "new")) == sorted(f"/{name}" for name in ids)
    assert sorted(recorder.organisations()) == sorted(ids)


def run_due_and(poller: Poller, release: threading.Event) -> None:
    """Let begin what is due, then let the vendor answer."""
    poller.run_due()
    release.set()
    assert poller.wait_idle(10)


def test_an_api_that_is_removed_gets_no_further_call_and_its_series_do_not_come_back(
    tmp_path: Path, vendor: Vendor, recorder: Recorder, clock: FakeClock
) -> None:
    release, process = threading.Event(), ProcessMetrics()

    def held(request: Request) -> Response:
        release.wait(10)
        return answering()(request)  # type: ignore[no-any-return]

    vendor.answer = held
    poller = Poller(recorder, clock, observer=process)
    process.config_loaded(clock.now(), [("demo", "acme")])
    more = {
        "requests": {"more": {"url": f"{vendor.url}/more"}},
        "mapping": {"plan": {"path": "answer('more').plan", "optional": True}},
        "max_concurrent_polls": 2,
    }
    poller.set_targets(targets(tmp_path, vendor, "a", "b", "c", **more))
    poller.run_due()
    eventually(lambda: len(vendor.requests) == 2)
    process.config_loaded(clock.now(), [("other", "acme")])
    poller.set_targets(())
    run_due_and(poller, release)
    assert len(vendor.requests) == 2
    assert recorder.outcomes == []
    assert poller.counts() == {}
    assert b'api="demo"' not in generate_latest(process.registry)
    poller.stop()


def poll_threads() -> int:
    return sum(thread.name == "poll" for thread in threading.enumerate())


def test_a_thread_that_cannot_be_started_costs_nobody_a_poll_and_doubles_none(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder, clock: FakeClock
) -> None:
    vendor.answer = answering()
    poller.set_targets(targets(tmp_path, vendor, "a", "b"))
    usual = threading.stack_size(2**46)  # as much as no machine has: the system refuses to start the thread
    try:
        poller.run_due()
        poller.run_due()
    finally:
        threading.stack_size(usual)
    assert poller.counts()["demo"].waiting == 2
    assert vendor.requests == []
    for _ in range(3):
        run(poller)
        clock.advance(seconds=451)
    assert sorted(recorder.organisations()) == ["a"] * 3 + ["b"] * 3


def test_many_dead_apis_leave_threads_bounded_and_delay_nobody_else(
    tmp_path: Path, vendor: Vendor, poller: Poller, recorder: Recorder
) -> None:
    vendor.answer = answering()
    before = poll_threads()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as dead:  # it never accepts
        url = f"http://127.0.0.1:{dead.getsockname()[1]}/{{organisation_id}}"
        ids = [{"id": f"o{number}"} for number in range(4)]
        apis = [{"name": f"dead-{number}", "url": url, "organisations": ids} for number in range(100)]
        quick = {"name": "quick", "url": f"{vendor.url}/quick", "organisations": [{"id": "q"}]}
        poller.set_targets(load(tmp_path / "c.yaml", *apis, quick).targets)
        poller.run_due()
        eventually(lambda: sum(one.running for one in poller.counts().values()) == MOST_POLLS)
        eventually(lambda: recorder.organisations() == ["q"])
        assert poll_threads() - before <= MOST_POLLS + 5
    assert poller.wait_idle(30)  # its connections are reset
    eventually(lambda: poll_threads() - before <= 4)


def test_late_is_what_has_waited_for_ten_seconds(
    tmp_path: Path, vendor: Vendor, poller: Poller, clock: FakeClock
) -> None:
    release = threading.Event()

    def held(request: Request) -> Response:
        release.wait(10)
        return answering()(request)  # type: ignore[no-any-return]

    vendor.answer = held
    poller.set_targets(targets(tmp_path, vendor, "a", "b", "c", max_concurrent_polls=1))
    poller.run_due()
    eventually(lambda: len(vendor.requests) == 1)
    clock.advance(seconds=9.9)
    assert poller.counts()["demo"] == PollCounts(waiting=2, running=1, late=0)
    clock.advance(seconds=0.2)
    assert poller.counts()["demo"] == PollCounts(waiting=2, running=1, late=2)
    run_due_and(poller, release)


class _BrokenOnce(FakeClock):
    """A clock that fails where no module of ours expects it to, once."""

    broken = True

    def now(self) -> datetime:
        if self.broken:
            self.broken = False
            raise ZeroDivisionError
        return super().now()


def test_a_fault_of_our_own_is_an_outcome_and_polling_goes_on(
    tmp_path: Path, vendor: Vendor, recorder: Recorder
) -> None:
    vendor.answer = answering()
    clock = _BrokenOnce()
    poller = Poller(recorder, clock)
    poller.set_targets(targets(tmp_path, vendor, "a"))
    run(poller)
    assert "the exporter failed on this answer (ZeroDivisionError)" in str(recorder.outcomes[0][1])
    clock.advance(seconds=400)
    run(poller)
    assert isinstance(recorder.outcomes[1][1], UsageSnapshot)
    poller.stop()


def test_the_thread_polls_and_stops(tmp_path: Path, vendor: Vendor, recorder: Recorder) -> None:
    from exporter.clock import SystemClock  # noqa: PLC0415

    vendor.answer = answering()
    poller = Poller(recorder, SystemClock())
    thread = threading.Thread(target=poller.run)
    thread.start()
    poller.set_targets(targets(tmp_path, vendor, "a", poll_interval="1s"))
    while len(recorder.outcomes) < 3:
        thread.join(0.05)
    poller.stop()
    thread.join(5)
    assert not thread.is_alive()
