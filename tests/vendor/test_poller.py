"""When to ask whom, with a clock that tests turn and vendors on real ports."""

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from exporter.config.load import Target
from exporter.errors import POLL_ERRORS, AuthError, RateLimitedError, RequestError, ResponseError, ServerError
from exporter.local.processes import eventually
from exporter.model import UsageSnapshot
from exporter.vendor.one_poll import Outcome
from exporter.vendor.poller import Poller, next_delay
from tests.support.clock import FakeClock
from tests.support.factories import answer, load
from tests.support.http import Vendor

OK = UsageSnapshot(FakeClock().now(), ())


def delays(outcome: Outcome, failures: int = 0, *, interval: float = 300, first: bool = False) -> tuple[float, float]:
    """The shortest and the longest of many."""
    found = [
        next_delay(outcome, failures, interval=interval, first=first, rng=random.Random(seed)) for seed in range(300)
    ]
    return min(found), max(found)


def test_polls_keep_their_interval_with_a_little_jitter() -> None:
    low, high = delays(OK)
    assert 285 <= low < 290
    assert 310 < high <= 315


def test_the_second_round_spreads_over_an_interval() -> None:
    low, high = delays(OK, first=True)
    assert 150 <= low < 160
    assert 440 < high <= 450


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 5), (2, 10), (5, 80), (7, 300), (5000, 300)])
def test_retries_back_off_exponentially_with_full_jitter_up_to_the_interval(failures: int, ceiling: float) -> None:
    low, high = delays(ServerError("x"), failures)
    assert 1 <= low < ceiling * 0.3 + 1
    assert ceiling * 0.8 < high <= ceiling


def test_retry_after_is_obeyed() -> None:
    for error in (RateLimitedError, ServerError):
        low, high = delays(error("x", retry_after=1234), 1)
        assert 1234 <= low < high <= 1235


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


@pytest.mark.parametrize("told", [0, 1])
def test_a_retry_after_of_nothing_does_not_end_the_backing_off(told: float) -> None:
    low, high = delays(RateLimitedError("x", retry_after=told), 7)
    assert low >= 1
    assert 240 < high <= 300


def test_sign_in_failures_are_retried_slowly() -> None:
    low, high = delays(AuthError("x"), 1, interval=60)
    assert 900 <= low < high <= 945


@pytest.mark.parametrize("error", [RequestError, ResponseError])
def test_what_asking_again_does_not_mend_waits_its_interval(error: type[RequestError]) -> None:
    low, high = delays(error("x"), 1)
    assert 285 <= low < high <= 315


@given(st.sampled_from(POLL_ERRORS), st.integers(1, 10**6), st.floats(1, 10**6), st.booleans(), st.integers())
def test_no_failure_is_asked_again_at_once_or_never(
    error: Any, failures: int, interval: float, first: bool, seed: int
) -> None:
    delay = next_delay(error("x"), failures, interval=interval, first=first, rng=random.Random(seed))
    assert 0.9 <= delay <= max(interval, 900) * 1.06


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
    while len(recorder.outcomes) < 2:
        thread.join(0.05)
    poller.stop()
    thread.join(5)
    assert not thread.is_alive()
