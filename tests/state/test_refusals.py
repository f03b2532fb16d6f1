"""Requests refused over the rate limit in the last hour."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from exporter.state.refusals import Refusals, in_last_hour, with_count

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def after(*counts: float, every: timedelta = timedelta(minutes=10)) -> tuple[Refusals, datetime]:
    """The refusals after polls that found these counts, the first at noon; and the time of the last."""
    known: Refusals = ()
    for index, count in enumerate(counts):
        known = with_count(known, NOON + index * every, count)
    return known, NOON + (len(counts) - 1) * every


def test_only_the_last_hour_counts() -> None:
    known, now = after(100, 110, 110, 115, 115, 115, 115)
    assert in_last_hour(known, now) == 15  # from noon on
    assert in_last_hour(known, now + timedelta(minutes=10)) == 5
    assert in_last_hour(known, now + timedelta(minutes=30)) == 0


def test_the_first_count_is_nobodys_hour() -> None:
    assert in_last_hour(*after(431)) == 0


def test_a_new_period_begins_at_nothing() -> None:
    assert in_last_hour(*after(100, 110, 3, 5)) == 15


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=200), st.integers(1, 60))
def test_it_keeps_an_hour_and_agrees_with_all_that_was_seen(steps: list[int], minutes: int) -> None:
    counts = [float(sum(steps[: index + 1])) for index in range(len(steps))]
    every = timedelta(minutes=minutes)
    known, now = after(*counts, every=every)
    before = [count for index, count in enumerate(counts) if NOON + index * every <= now - timedelta(hours=1)]
    assert in_last_hour(known, now) == counts[-1] - (before[-1] if before else counts[0])
    assert len(known) <= 60 / minutes + 2
