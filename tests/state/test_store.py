"""What is kept of each organisation, when it is stale, when it is dropped, and what a restart brings back."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import FailureReason, PollError, ResponseError, ServerError
from exporter.forecast import Unknown
from exporter.local.processes import eventually
from exporter.model import BillingPeriod, DailySource, DailyUsage, Misfit, ScopeUsage, UsageSnapshot
from exporter.state.database import Database
from exporter.state.store import OrganisationState, Store
from tests.support import watched
from tests.support.clock import FakeClock
from tests.support.factories import make_target

MAPS = ScopeUsage("Maps", 750, 1000)
OBSERVED = replace(MAPS, daily_source=DailySource.OBSERVED)


def snapshot(clock: FakeClock, *scopes: ScopeUsage, misfits: tuple[Misfit, ...] = ()) -> UsageSnapshot:
    return UsageSnapshot(clock.now(), scopes, misfits)


def store_of(tmp_path: Path, clock: FakeClock, database: Database | None = None, **api: Any) -> Store:
    return watched.store_of(clock, [make_target(tmp_path, **api)], database)


@contextmanager
def database(tmp_path: Path, clock: FakeClock) -> Iterator[Database]:
    """An open database; what was recorded is in it afterwards."""
    opened = Database(tmp_path / "data", pause=0.01, clock=lambda: clock.now().timestamp())
    try:
        yield opened
    finally:
        opened.close()


def only(store: Store) -> OrganisationState:
    (state,) = store.states()
    return state


def record(store: Store, outcome: UsageSnapshot | PollError) -> None:
    store.record(only(store).target, outcome)


def shown(store: Store, clock: FakeClock) -> dict[str, float | None]:
    return {scope.usage.name: scope.usage.requests for scope in only(store).shown_scopes(clock.now())}


def test_before_the_first_poll_nothing_is_known(tmp_path: Path, clock: FakeClock) -> None:
    state = only(store_of(tmp_path, clock))
    assert (state.last_poll, state.last_success, state.failure, state.polls) == (None, None, None, 0)
    assert not state.is_stale(clock.now())
    assert state.is_stale(clock.now() + timedelta(minutes=15))


def test_listeners_are_told_what_is_new(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    told: list[OrganisationState] = []
    store.on_change(told.extend)
    record(store, snapshot(clock, MAPS))
    assert told == [only(store)]
    store.set_targets([only(store).target])
    assert told == [only(store)]
    store.set_targets([make_target(tmp_path, stale_after="1h")])
    assert told[1:] == [only(store)]


def test_days_that_did_not_change_stay_the_same_objects(tmp_path: Path, clock: FakeClock) -> None:
    def days(*counts: float) -> tuple[DailyUsage, ...]:
        return tuple(DailyUsage(date(2026, 11, day), count) for day, count in enumerate(counts, start=1))

    store = store_of(tmp_path, clock)
    found = []
    for told in (days(1, 2, 3), days(1, 5, 3, 4)):
        record(store, snapshot(clock, replace(MAPS, daily=told)))
        found.append(only(store).scopes[0].usage.daily)
    before, after = found
    assert after == days(1, 5, 3, 4)
    assert before
    assert after
    assert [one is other for one, other in zip(before, after, strict=False)] == [True, False, True]


def test_a_failure_keeps_the_last_values_and_is_told(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, MAPS))
    succeeded = clock.now()
    clock.advance(minutes=5)
    record(store, ServerError("the vendor answered 500"))
    state = only(store)
    assert shown(store, clock) == {"Maps": 750}
    assert state.last_success == succeeded
    assert state.failure is not None
    assert (state.failure.reason, state.failure.message) == ("server_error", "the vendor answered 500")
    assert (state.polls, state.failures[FailureReason.SERVER_ERROR], sum(state.failures.values())) == (2, 1, 1)
    record(store, snapshot(clock, MAPS))
    assert only(store).failure is None
    assert only(store).failures[FailureReason.SERVER_ERROR] == 1


def test_data_is_stale_at_stale_after_and_stays_shown(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, stale_after="20m")
    record(store, snapshot(clock, MAPS))
    clock.advance(minutes=19, seconds=59)
    assert not only(store).is_stale(clock.now())
    assert only(store).next_change(clock.now()) == clock.now() + timedelta(seconds=1)
    clock.advance(seconds=1)
    assert only(store).is_stale(clock.now())
    assert shown(store, clock) == {"Maps": 750}


@pytest.mark.parametrize(
    ("api", "scope", "dropped"),
    [
        ({}, MAPS, timedelta(hours=24)),
        ({"drop_after": "2h"}, MAPS, timedelta(hours=2)),
        ({}, replace(MAPS, period=BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))), timedelta(hours=12)),
        ({}, replace(MAPS, period=BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 22, 12, 1, tzinfo=UTC))), timedelta(minutes=15)),
    ],
)  # fmt: skip
def test_series_go_away_at_drop_after_or_at_the_period_s_end(
    tmp_path: Path, clock: FakeClock, api: dict[str, Any], scope: ScopeUsage, dropped: timedelta
) -> None:
    store = store_of(tmp_path, clock, **api)
    record(store, snapshot(clock, scope))
    clock.advance(seconds=dropped.total_seconds() - 1)
    assert shown(store, clock) == {"Maps": 750}
    clock.advance(seconds=1)
    assert shown(store, clock) == {}


def test_a_scope_that_was_retired_and_is_no_longer_reported_goes_away(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, retired_scopes=["Search"])
    record(store, snapshot(clock, MAPS, replace(MAPS, name="Search")))
    record(store, snapshot(clock, MAPS))
    assert shown(store, clock) == {"Maps": 750}


def test_a_scope_that_could_not_be_read_stays_and_grows_old_while_the_others_go_on(
    tmp_path: Path, clock: FakeClock
) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, MAPS, replace(MAPS, name="Search")))
    for _ in range(3):
        clock.advance(minutes=5)
        misfit = Misfit("scope 'Search': requests: …", {"name": "Search"})
        record(store, snapshot(clock, replace(MAPS, requests=800), misfits=(misfit,)))
    assert shown(store, clock) == {"Maps": 800, "Search": 750}
    state = only(store)
    assert state.failure is not None
    assert state.failure.reason == "response"
    assert state.last_success == clock.now()
    assert state.is_stale(clock.now())


def test_no_part_of_an_answer_outlives_its_poll(tmp_path: Path, clock: FakeClock) -> None:
    class Part(dict[str, str]):
        """A JSON object that can be referred to weakly."""

    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        store.on_change(lambda _: None)
        for outcome_of in (
            lambda misfits: snapshot(clock, MAPS, misfits=misfits),
            lambda misfits: ResponseError("scope 'Search': requests: …", misfits=misfits),
        ):
            part = Part(name="Search")
            there = weakref.ref(part)
            record(store, outcome_of((Misfit("scope 'Search': requests: …", part),)))
            del part
            assert only(store).failure is not None
            assert there() is None


def test_a_scope_that_comes_back_has_its_history_still(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock, retired_scopes=["Maps"])
    for requests in (750, 760):
        record(store, snapshot(clock, replace(OBSERVED, requests=requests)))
        clock.advance(minutes=5)
    record(store, snapshot(clock))
    assert shown(store, clock) == {}
    clock.advance(minutes=5)
    record(store, snapshot(clock, replace(OBSERVED, requests=765)))
    (scope,) = only(store).shown_scopes(clock.now())
    assert scope.usage.daily is not None
    assert scope.usage.daily[0].requests == 15


@pytest.mark.parametrize(
    "change",
    [{"organisations": [{"id": "right", "name": "acme"}]}, {"url": "http://127.0.0.1:9/v2/{organisation_id}"}],
)
def test_another_account_under_the_same_name_does_not_take_over_its_data(
    tmp_path: Path, clock: FakeClock, change: dict[str, Any]
) -> None:
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        record(store, snapshot(clock, MAPS))
        store.set_targets([make_target(tmp_path, **change)])
        assert shown(store, clock) == {}
    with database(tmp_path, clock) as opened:
        assert only(store_of(tmp_path, clock, opened, **change)).scopes == ()
        assert only(store_of(tmp_path, clock, opened)).scopes != ()


def test_an_outcome_of_a_target_that_is_no_longer_in_use_is_ignored(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    old = only(store).target
    store.set_targets([make_target(tmp_path, timeout="3s")])
    store.record(old, snapshot(clock, MAPS))
    assert only(store).polls == 0


def test_a_reload_keeps_the_data_of_what_stays_and_drops_what_went(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, MAPS))
    store.set_targets([make_target(tmp_path, timeout="3s")])
    assert shown(store, clock) == {"Maps": 750}
    store.set_targets([make_target(tmp_path, organisations=[{"id": "other"}])])
    assert shown(store, clock) == {}


def test_a_period_told_in_seconds_from_now_does_not_flicker(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    told = BillingPeriod(clock.now(), clock.now() + timedelta(hours=1))
    record(store, snapshot(clock, replace(MAPS, period=told)))
    for shift, expected in ((2, told), (-3, told), (3600, None)):
        later = BillingPeriod(told.start + timedelta(seconds=shift), told.end + timedelta(seconds=shift))
        record(store, snapshot(clock, replace(MAPS, period=later)))
        assert only(store).scopes[0].usage.period == (expected or later)


def test_days_are_observed_where_the_vendor_tells_none(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, OBSERVED))
    clock.advance(minutes=5)
    record(store, snapshot(clock, replace(OBSERVED, requests=760)))
    (scope,) = only(store).shown_scopes(clock.now())
    assert scope.usage.daily is not None
    assert [(str(day.date), day.requests, day.exact) for day in scope.usage.daily] == [("2026-11-22", 10, False)]


def test_values_and_history_come_back_after_a_restart_with_their_true_age(tmp_path: Path, clock: FakeClock) -> None:
    period = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    scope = replace(OBSERVED, period=period, plan="Größe", rate_limit_per_minute=60)
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        record(store, snapshot(clock, scope))
        clock.advance(minutes=5)
        record(store, snapshot(clock, replace(scope, requests=770)))
        before = only(store)
    clock.advance(minutes=30)
    with database(tmp_path, clock) as opened:
        restarted = store_of(tmp_path, clock, opened)
        state = only(restarted)
        assert (state.scopes, state.last_success) == (before.scopes, before.last_success)
        assert state.watched["Maps"].known == before.watched["Maps"].known
        assert state.is_stale(clock.now())
        assert state.scopes[0].fetched_at == clock.now() - timedelta(minutes=30)
        assert state.last_poll is None
        record(restarted, snapshot(clock, replace(scope, requests=775)))
        (after,) = only(restarted).shown_scopes(clock.now())
        assert after.usage.daily is not None
        assert after.usage.daily[0].requests == 25


def test_why_the_last_poll_failed_comes_back_too(tmp_path: Path, clock: FakeClock) -> None:
    with database(tmp_path, clock) as opened:
        record(store_of(tmp_path, clock, opened), ServerError("the vendor answered 500"))
    with database(tmp_path, clock) as opened:
        state = only(store_of(tmp_path, clock, opened))
    assert state.last_poll is None
    assert state.failure is not None
    assert (state.failure.reason, state.failure.message, state.failure.at) == (
        "server_error",
        "the vendor answered 500",
        clock.now(),
    )


def test_points_from_before_a_restart_come_back_after_it(tmp_path: Path, clock: FakeClock) -> None:
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        for requests in (750, 760, 770):
            record(store, snapshot(clock, replace(MAPS, requests=requests)))
            clock.advance(minutes=5)
        before = list(only(store).watched["Maps"].points)
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        record(store, snapshot(clock, replace(MAPS, requests=780)))
        store.start()
        eventually(lambda: len(only(store).watched["Maps"].points) == 4)
        assert list(only(store).watched["Maps"].points) == [*before, (int(clock.now().timestamp()), 780)]


def test_after_a_restart_the_forecast_is_made_of_what_was_stored(tmp_path: Path, clock: FakeClock) -> None:
    period = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    days = tuple(DailyUsage(date(2026, 11, day), 30) for day in range(1, 22))
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        for requests in range(650, 670):
            record(store, snapshot(clock, replace(MAPS, requests=requests, period=period, daily=days)))
            clock.advance(minutes=5)
        before = only(store).outlooks
    assert before["Maps"].requests is not None
    assert before["Maps"].paces.hour == pytest.approx(0.2)
    with database(tmp_path, clock) as opened:
        store = store_of(tmp_path, clock, opened)
        changed: list[OrganisationState] = []
        store.on_change(changed.extend)
        (scope,) = only(store).scopes
        assert only(store).outlook(scope, clock.now()).unknown is Unknown.NOT_MADE
        store.start()
        eventually(lambda: only(store).outlooks == before)
        eventually(lambda: changed == [only(store)])


def test_a_suspect_count_is_not_published(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, MAPS))
    clock.advance(minutes=5)
    record(store, snapshot(clock, replace(MAPS, requests=0, limit=0, plan="none")))
    (scope,) = only(store).shown_scopes(clock.now())
    assert scope.usage == MAPS
    assert scope.fetched_at == clock.now()
    assert only(store).watched["Maps"].held is not None
    clock.advance(minutes=5)
    record(store, snapshot(clock, replace(MAPS, requests=760)))
    assert shown(store, clock) == {"Maps": 760}
    assert only(store).watched["Maps"].held is None


def test_what_a_vendor_changes_is_noted_but_not_what_another_config_changes(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    record(store, snapshot(clock, MAPS))
    record(store, snapshot(clock, replace(MAPS, limit=500)))
    store.set_targets([make_target(tmp_path, static={"rate_limit_per_minute": 10})])
    record(store, snapshot(clock, replace(MAPS, limit=500, rate_limit_per_minute=10)))
    assert [(change.term, change.old, change.new) for change in only(store).ledger["Maps"]] == [
        ("limit", "1000", "500")
    ]


def test_another_mapping_begins_anew_without_a_difference(tmp_path: Path, clock: FakeClock) -> None:
    """`calls` became `tokens`: 50 million more is no day's use."""
    store = store_of(tmp_path, clock)
    for requests in (700, 711):
        record(store, snapshot(clock, replace(OBSERVED, requests=requests)))
        clock.advance(minutes=5)
    for change in ({"mapping": {"scale": 0.5}}, {"params": {"unit": "tokens"}}, {"time_zone": "Asia/Tokyo"}):
        store.set_targets([make_target(tmp_path, **change)])
        for more in (0, 5):
            record(store, snapshot(clock, replace(OBSERVED, requests=50_000_000 + more, limit=1e9)))
            clock.advance(minutes=5)
        (scope,) = only(store).shown_scopes(clock.now())
        assert scope.usage.daily is not None
        assert all(day.requests < 30 for day in scope.usage.daily)
        assert only(store).watched["Maps"].held is None


def test_a_reload_that_changes_nothing_of_the_count_goes_on(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(tmp_path, clock)
    for requests in (700, 710):
        record(store, snapshot(clock, replace(OBSERVED, requests=requests)))
        clock.advance(minutes=5)
    store.set_targets([make_target(tmp_path, timeout="3s", poll_interval="1m", static={"unit": "calls"})])
    record(store, snapshot(clock, replace(OBSERVED, requests=720)))
    (scope,) = only(store).shown_scopes(clock.now())
    assert scope.usage.daily is not None
    assert scope.usage.daily[0].requests == 20
