"""How long until the next poll, over many draws of the jitter."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import (
    POLL_ERRORS,
    AuthError,
    PollError,
    RateLimitedError,
    RequestError,
    ResponseError,
    ServerError,
)
from exporter.model import UsageSnapshot
from exporter.vendor.next_poll import failures_after, next_delay
from exporter.vendor.one_poll import Outcome
from tests.support.clock import FakeClock

OK = UsageSnapshot(FakeClock().now(), ())


def delays(
    outcome: Outcome,
    failures: float = 0,
    *,
    interval: float = 300,
    first: bool = False,
    refused_again: bool = False,
) -> tuple[float, float]:
    """The shortest and the longest of many."""
    found = [
        next_delay(
            outcome,
            failures,
            interval=interval,
            first=first,
            refused_again=refused_again,
            rng=random.Random(seed),
        )
        for seed in range(300)
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


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 5), (2, 10), (5, 80), (6.9, 298.6)])
def test_retries_back_off_exponentially_with_full_jitter(failures: float, ceiling: float) -> None:
    low, high = delays(ServerError("x"), failures)
    assert 1 <= low < ceiling * 0.3 + 1
    assert ceiling * 0.8 < high <= ceiling


@pytest.mark.parametrize("error", [ServerError("x"), RateLimitedError("x"), RateLimitedError("x", retry_after=20)])
@pytest.mark.parametrize("failures", [7, 5000, math.inf])
def test_once_the_back_off_has_reached_the_interval_it_is_the_interval(error: PollError, failures: float) -> None:
    low, high = delays(error, failures)
    assert 285 <= low < 290
    assert 310 < high <= 315


def polls_in(seconds: float, outcome: Callable[[int], Outcome], interval: float, seed: int) -> int:
    """How many polls there are in so long, the n-th of which has this outcome."""
    rng, failures, at, number = random.Random(seed), 0.0, 0.0, 0
    while at < seconds:
        found = outcome(number)
        failures = failures_after(found, failures, interval=interval)
        at += next_delay(found, failures, interval=interval, first=number == 0, rng=rng)
        number += 1
    return number


WEEK = 7 * 86_400


@pytest.mark.parametrize("error", [ServerError("x"), RateLimitedError("x"), RateLimitedError("x", retry_after=20)])
@pytest.mark.parametrize("interval", [1.0, 60.0, 300.0, 3600.0])
def test_a_vendor_that_fails_for_long_is_asked_no_more_often_than_a_healthy_one(
    error: PollError, interval: float
) -> None:
    span = min(WEEK, 3000 * interval)
    for seed in range(5):
        # The retries with which it begins are ten at the most.
        failing = polls_in(span, lambda _: error, interval, seed) - 10
        assert failing <= polls_in(span, lambda _: OK, interval, seed) * 1.01


@pytest.mark.parametrize("good_after", [2, 3, 5, 10])
def test_a_vendor_that_fails_now_and_then_is_asked_a_tenth_more_often_at_most(good_after: int) -> None:
    flapping = polls_in(WEEK, lambda number: OK if number % good_after else ServerError("x"), 300, 1)
    assert flapping - 10 <= polls_in(WEEK, lambda _: OK, 300, 1) * 1.11


def test_a_long_outage_is_forgiven_as_soon_as_a_short_one() -> None:
    failures = 0.0
    for _ in range(1000):
        failures = failures_after(ServerError("x"), failures, interval=300)
    assert failures == 7
    for _ in range(70):
        failures = failures_after(OK, failures, interval=300)
    assert failures == pytest.approx(0)


def test_retry_after_is_obeyed() -> None:
    for error in (RateLimitedError, ServerError):
        low, high = delays(error("x", retry_after=1234), 1)
        assert 1234 <= low < high <= 1235


@pytest.mark.parametrize("asked", [0, 1])
def test_a_retry_after_of_nothing_does_not_end_the_backing_off(asked: float) -> None:
    low, high = delays(RateLimitedError("x", retry_after=asked), 6)
    assert low >= 1
    assert 120 < high <= 160


def test_what_is_refused_again_is_retried_slowly() -> None:
    low, high = delays(AuthError("x"), 2, interval=60, refused_again=True)
    assert 900 <= low < high <= 945


@pytest.mark.parametrize("interval", [10.0, 300.0, 1200.0, 86_400.0])
def test_one_refused_poll_does_not_make_data_stale(interval: float) -> None:
    """By the default of stale_after, whatever the jitter: the data is from the poll before it."""
    _, until_refused = delays(OK, interval=interval, first=True)
    _, until_good = delays(AuthError("x"), 1, interval=interval)
    assert until_refused + until_good < 3 * interval


@pytest.mark.parametrize("error", [RequestError, ResponseError, AuthError])
def test_what_asking_again_does_not_mend_waits_its_interval(error: type[PollError]) -> None:
    low, high = delays(error("x"), 1)
    assert 285 <= low < high <= 315


@given(
    st.sampled_from(POLL_ERRORS),
    st.floats(0, 10**6),
    st.floats(1, 10**6),
    st.booleans(),
    st.booleans(),
    st.integers(),
)
def test_no_failure_is_asked_again_at_once_or_never(
    error: Any, failures: float, interval: float, first: bool, refused_again: bool, seed: int
) -> None:
    delay = next_delay(
        error("x"),
        failures,
        interval=interval,
        first=first,
        refused_again=refused_again,
        rng=random.Random(seed),
    )
    assert 0.9 <= delay <= max(interval, 900) * 1.06
