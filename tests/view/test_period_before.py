"""A billing period beside the one before it, from stored counts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.model import BillingPeriod, ScopeUsage, UsageSnapshot
from exporter.state.database import Database
from exporter.state.store import Store
from exporter.view.cards import organisation_cards
from exporter.view.period_before import period_before
from tests.support.clock import FakeClock
from tests.support.factories import make_target
from tests.support.watched import store_of

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
FIRST = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, clock: FakeClock) -> Iterator[Database]:
    opened = Database(tmp_path / "data", pause=0.01, clock=lambda: clock.now().timestamp())
    yield opened
    opened.close()


def polled(store: Store, clock: FakeClock, hours: int, *, second: int = 12, database: Database | None = None) -> None:
    """Hourly from the beginning of a week on; 10 requests an hour in it, `second` in the next one."""
    (state,) = store.states()
    clock.advance(seconds=(FIRST - clock.now()).total_seconds())
    for hour in range(hours):
        week, of_week = divmod(hour, 7 * 24)
        period = BillingPeriod(FIRST + week * WEEK, FIRST + (week + 1) * WEEK)
        usage = ScopeUsage("Maps", (of_week + 1) * (second if week else 10), 10_000, period=period)
        store.record(state.target, UsageSnapshot(clock.now(), (usage,)))
        if database is not None:
            database.flush()
        clock.advance(hours=1)


def compared(store: Store, clock: FakeClock) -> str:
    (state,) = store.states()
    (card,) = organisation_cards(state, clock.now()).scopes
    return period_before(state, card, store.count_at)


def test_the_same_time_of_the_period_before(tmp_path: Path, clock: FakeClock, database: Database) -> None:
    store = store_of(clock, [make_target(tmp_path)], database)
    polled(store, clock, 7 * 24 + 49, database=database)
    assert compared(store, clock) == "+20% on the period before by this time (490 by 25 Nov)"


def test_less_than_before(tmp_path: Path, clock: FakeClock, database: Database) -> None:
    store = store_of(clock, [make_target(tmp_path)], database)
    polled(store, clock, 7 * 24 + 25, second=5, database=database)
    assert compared(store, clock) == "-50% on the period before by this time (250 by 24 Nov)"


def test_nothing_is_said_of_a_first_period_or_without_storage(
    tmp_path: Path, clock: FakeClock, database: Database
) -> None:
    store = store_of(clock, [make_target(tmp_path)], database)
    polled(store, clock, 30, database=database)
    assert compared(store, clock) == ""
    unstored = store_of(FakeClock(), [make_target(tmp_path)])
    polled(unstored, clock2 := FakeClock(), 7 * 24 + 49)
    assert compared(unstored, clock2) == ""


def test_a_count_too_far_from_that_time_says_nothing(tmp_path: Path, clock: FakeClock, database: Database) -> None:
    store = store_of(clock, [make_target(tmp_path)], database)
    (state,) = store.states()
    polled(store, clock, 7 * 24 + 10, database=database)
    noon = FIRST + timedelta(hours=12)
    assert store.count_at(state, "Maps", noon, noon - HOUR) == 130
    assert store.count_at(state, "Maps", noon + timedelta(minutes=59), noon - HOUR) == 130
    assert store.count_at(state, "Maps", FIRST - HOUR, FIRST - 2 * HOUR) is None
    assert store.count_at(state, "Other", noon, noon - HOUR) is None
