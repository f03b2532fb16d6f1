"""max_calls_per_day: how it is shared, and that no 24 hours ever have more."""

import gc
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from exporter.config.load import Target
from exporter.errors import RateLimitedError
from exporter.exposition.process import ProcessMetrics
from exporter.model import BillingPeriod, CallsMade, ScopeUsage
from exporter.service import Service
from exporter.state.database import Database
from exporter.thresholds import WARNING
from exporter.vendor.budget import DAY, Ledger, Spent, plan, runs_out
from exporter.vendor.one_poll import Outcome
from exporter.vendor.poller import Poller
from tests.support.clock import FakeClock
from tests.support.factories import load, write_config
from tests.support.http import Vendor, serve

NOW = datetime(2026, 11, 16, tzinfo=UTC)  # half of November has passed
NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))

# Who is hot


@pytest.mark.parametrize(
    ("used", "limit", "day", "hot"),
    [
        (750, 1000, 16, True),
        (749, 1000, 16, False),
        (760, 1000, 24, False),  # a pace of 99 %
        (770, 1000, 23, True),
        (1200, 1000, 30, True),
        (5, None, 16, False),
        (1, 0, 16, True),
    ],
)
def test_hot_is_what_is_in_the_warning_band_and_will_run_out(
    used: float, limit: float | None, day: int, hot: bool
) -> None:
    scope = ScopeUsage("Maps", used, limit, period=NOVEMBER)
    assert runs_out(scope, NOW.replace(day=day), WARNING) is hot


def test_without_a_period_the_warning_band_is_enough() -> None:
    assert runs_out(ScopeUsage("Maps", 750, 1000), NOW, WARNING)
    assert not runs_out(ScopeUsage("Maps", 749, 1000), NOW, WARNING)


# How it is shared


def rounds(interval: float) -> float:
    return DAY / interval


@given(
    a_day=st.floats(1, 1e6),
    interval=st.floats(1, DAY),
    hot=st.floats(0, 1e3),
    others=st.floats(0, 1e3),
)
def test_a_plan_costs_no_more_than_there_is_and_nobody_is_asked_more_often_than_configured(
    a_day: float, interval: float, hot: float, others: float
) -> None:
    shared = plan(a_day, interval, hot_round=hot, other_round=others)
    assert shared.hot_interval >= interval
    assert shared.interval >= interval
    assert rounds(shared.hot_interval) * hot + rounds(shared.interval) * others <= a_day * 1.000001
    assert shared.others_a_day <= a_day


@given(
    interval=st.floats(1, DAY),
    hot=st.floats(0.1, 1e3),
    others=st.floats(0.1, 1e3),
    spare=st.floats(0, 1e4),
)
def test_hot_organisations_keep_their_interval_when_nine_tenths_of_the_budget_allow_it(
    interval: float, hot: float, others: float, spare: float
) -> None:
    a_day = (rounds(interval) * hot * 1.1 + spare) / 0.9
    assert plan(a_day, interval, hot_round=hot, other_round=others).hot_interval == pytest.approx(interval)


@given(
    a_day=st.floats(1, 1e6),
    interval=st.floats(1, DAY),
    hot=st.floats(0, 1e6),
    others=st.floats(0.1, 1e3),
)
def test_the_others_keep_a_tenth_however_many_are_hot(
    a_day: float, interval: float, hot: float, others: float
) -> None:
    shared = plan(a_day, interval, hot_round=hot, other_round=others)
    spread = max(interval, DAY * 1.1 * others / (a_day / 10))
    assert shared.interval <= spread * 1.000001


def test_a_budget_that_does_for_all_changes_nothing() -> None:
    assert plan(700, 300, hot_round=1, other_round=1).interval == 300


# What is spent

Moments = st.lists(st.tuples(st.floats(0, DAY / 4), st.floats(0.1, 5), st.booleans()), min_size=1, max_size=150)


@given(Moments, st.floats(5, 60))
def test_no_24_hours_have_more_than_the_budget(asked: list[tuple[float, float, bool]], a_day: float) -> None:
    ledger, now, spent = Ledger(), 0.0, list[tuple[float, float]]()
    for pause, cost, hot in asked:
        now += pause
        wait = ledger.wait(now, cost, hot=hot, a_day=a_day, others_a_day=a_day)
        if wait > DAY / 10:
            continue
        now += wait
        assert ledger.wait(now, cost, hot=hot, a_day=a_day, others_a_day=a_day) == 0
        ledger.reserve(cost, hot=hot)
        ledger.settle(now, cost, cost, hot=hot)
        spent.append((now, cost))
    for end, _ in spent:
        assert sum(cost for at, cost in spent if end - DAY + 1e-6 < at <= end) <= a_day * 1.000001


def test_what_is_older_than_a_day_is_kept_by_nobody() -> None:
    """Also where there is no budget, and nobody asks what is left of it."""

    def kept() -> int:
        return sum(isinstance(one, Spent) for one in gc.get_objects())

    before, ledger = kept(), Ledger()
    for minute in range(30 * 24 * 60):
        ledger.settle(minute * 60.0, 0.0, 1.0, hot=False)
    assert kept() - before <= DAY / 600 + 1
    del ledger


def test_what_is_under_way_counts() -> None:
    ledger = Ledger()
    ledger.reserve(6, hot=False)
    assert ledger.wait(0, 4, hot=False, a_day=10, others_a_day=10) == 0
    assert ledger.wait(0, 5, hot=False, a_day=10, others_a_day=10) > 0
    ledger.settle(0, 6, 1, hot=False)
    assert ledger.wait(0, 9, hot=False, a_day=10, others_a_day=10) == 0


def test_what_hot_organisations_need_is_not_for_the_others() -> None:
    ledger = Ledger()
    ledger.reserve(3, hot=False)
    ledger.settle(0, 3, 3, hot=False)
    assert ledger.wait(60, 1, hot=False, a_day=10, others_a_day=3) == pytest.approx(DAY - 60)
    assert ledger.wait(60, 1, hot=True, a_day=10, others_a_day=3) == 0


# In use, with a vendor that counts


class Metered:
    """A vendor with a clock, which remembers when it was asked for whom."""

    def __init__(self, vendor: Vendor, clock: FakeClock, hot: tuple[str, ...] = (), pages: int = 1) -> None:
        self.clock, self.hot, self.pages = clock, hot, pages
        self.calls: list[tuple[float, str]] = []
        self.status = 200
        vendor.answer = self.answer

    def answer(self, request: Request) -> Response:
        organisation = request.path.strip("/")
        self.calls.append((self.clock.monotonic(), organisation))
        scope = {"name": "Maps", "requests": 900 if organisation in self.hot else 10, "limit": 1000}
        page = int(request.args.get("page", 1))
        return Response(json.dumps({"scopes": [scope] if page == 1 else [], "more": page < self.pages}), self.status)

    def most_in_a_day(self) -> int:
        times = [at for at, _ in self.calls]
        return max(sum(end - DAY < at <= end for at in times) for end in times)

    def of(self, organisation: str) -> int:
        return sum(name == organisation for _, name in self.calls)


def ignore(_: Target, __: Outcome) -> None:
    pass


def budgeted(tmp_path: Path, vendor: Vendor, count: int, **api: Any) -> tuple[Target, ...]:
    settings: dict[str, Any] = {
        "url": f"{vendor.url}/{{organisation_id}}",
        "organisations": [{"id": f"o{number}"} for number in range(count)],
        "poll_interval": "1h",
        "stale_after": "30d",
        **api,
    }
    return load(tmp_path / "c.yaml", settings).targets


def run_for(hours: float, poller: Poller, clock: FakeClock) -> None:
    end = clock.monotonic() + hours * 3600
    while True:
        poller.run_due()
        assert poller.wait_idle(10)
        wait = poller.seconds_to_next()
        assert wait is not None
        if clock.monotonic() + wait > end:
            clock.advance(seconds=end - clock.monotonic())
            return
        clock.advance(seconds=wait + 0.001)


def test_hot_organisations_keep_their_interval_and_the_others_share_the_rest(
    tmp_path: Path, vendor: Vendor, clock: FakeClock
) -> None:
    metered, process = Metered(vendor, clock, hot=("o0", "o1")), ProcessMetrics()
    process.config_loaded(clock.now(), [("demo", "acme")])
    poller = Poller(ignore, clock, rng=random.Random(1), observer=process)
    poller.set_targets(budgeted(tmp_path, vendor, 10, max_calls_per_day=100))
    run_for(72, poller, clock)
    poller.stop()
    assert metered.most_in_a_day() <= 100
    for hot in ("o0", "o1"):
        assert metered.of(hot) + 4 >= 72  # once an hour, within the jitter
    others = [metered.of(f"o{number}") for number in range(2, 10)]
    assert max(others) <= 24
    assert min(others) >= 10
    put_off = process.registry.get_sample_value("api_usage_exporter_polls_put_off_total", {"api": "demo"})
    calls = process.registry.get_sample_value("api_usage_exporter_vendor_calls_total", {"api": "demo"})
    assert put_off is not None
    assert put_off >= sum(others) - 8
    assert calls == len(metered.calls)


@settings(max_examples=12)
@given(
    count=st.integers(1, 8),
    hot=st.integers(0, 8),
    pages=st.integers(1, 4),
    budget=st.integers(8, 200),
    seed=st.integers(),
    failing=st.booleans(),
)
def test_a_vendor_is_never_asked_more_often_than_its_budget(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    hot: int,
    pages: int,
    budget: int,
    seed: int,
    failing: bool,
) -> None:
    """Whatever the pages, of which the first poll knows nothing, and also while it fails."""
    clock, vendor = FakeClock(), Vendor()
    with serve(vendor) as vendor.url:
        metered = Metered(vendor, clock, tuple(f"o{number}" for number in range(hot)), pages)
        metered.status = 500 if failing else 200
        poller = Poller(ignore, clock, rng=random.Random(seed))
        paging = {"by": "page", "parameter": "page", "items": "scopes", "more": "more"}
        targets = budgeted(tmp_path_factory.mktemp("budget"), vendor, count, max_calls_per_day=budget, paging=paging)
        poller.set_targets(targets)
        run_for(36, poller, clock)
        poller.stop()
    assert metered.calls
    assert metered.most_in_a_day() <= budget


def test_a_poll_that_turns_out_to_need_more_than_is_left_fails_and_says_why(
    tmp_path: Path, vendor: Vendor, clock: FakeClock
) -> None:
    metered, outcomes = Metered(vendor, clock, pages=5), list[Outcome]()
    poller = Poller(lambda _, outcome: outcomes.append(outcome), clock)
    paging = {"by": "page", "parameter": "page", "items": "scopes", "more": "more"}
    poller.set_targets(budgeted(tmp_path, vendor, 1, max_calls_per_day=3, paging=paging))
    poller.run_due()
    assert poller.wait_idle(10)
    poller.stop()
    assert len(metered.calls) == 3
    (outcome,) = outcomes
    assert isinstance(outcome, RateLimitedError)
    assert str(outcome) == "max_calls_per_day (3) is used up"


def test_calls_may_cost_more_than_one(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    metered = Metered(vendor, clock)
    poller = Poller(ignore, clock)
    poller.set_targets(budgeted(tmp_path, vendor, 2, max_calls_per_day=100, cost_per_call=10))
    run_for(30, poller, clock)
    poller.stop()
    assert 8 <= metered.most_in_a_day() <= 10


def test_shards_share_the_budget(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    metered = Metered(vendor, clock)
    poller = Poller(ignore, clock, share=1 / 4)
    poller.set_targets(budgeted(tmp_path, vendor, 4, max_calls_per_day=40))
    run_for(30, poller, clock)
    poller.stop()
    assert 8 <= metered.most_in_a_day() <= 10


@pytest.mark.parametrize("away", [timedelta(minutes=1), timedelta(hours=20)])
def test_a_restart_does_not_forget_what_was_spent(
    tmp_path: Path, vendor: Vendor, clock: FakeClock, away: timedelta
) -> None:
    metered = Metered(vendor, clock)
    targets = budgeted(tmp_path, vendor, 6, max_calls_per_day=10)
    for _ in range(4):
        database = Database(tmp_path / "state")
        poller = Poller(ignore, clock, storage=database)
        poller.set_targets(targets)
        poller.run_due()
        assert poller.wait_idle(10)
        poller.stop()
        database.close()
        clock.advance(seconds=away.total_seconds())
    assert metered.most_in_a_day() <= 10
    assert len(metered.calls) == (10 if away < timedelta(hours=1) else 20)


def test_an_exporter_is_ready_though_calls_are_short(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    Metered(vendor, clock)
    config = write_config(
        tmp_path / "c.yaml",
        {
            "url": f"{vendor.url}/{{organisation_id}}",
            "organisations": [{"id": f"o{number}"} for number in range(6)],
            "stale_after": "30d",
            "max_calls_per_day": 6,
        },
    )
    for _ in range(2):  # the second finds nothing left of the day's calls
        service = Service(config, clock, Database(tmp_path / "state"))
        assert not service.exposition.shows_all_tried()
        service.poller.run_due()
        assert service.poller.wait_idle(10)
        service.exposition.refresh()
        assert service.exposition.shows_all_tried()
        service.stop()
    assert [state.last_poll for state in service.store.states()] == [None] * 6


def test_calls_are_kept_by_api(tmp_path: Path, clock: FakeClock) -> None:
    calls = (CallsMade(clock.now(), 3, hot=True),)
    for _ in range(2):
        database = Database(tmp_path)
        assert database.load_calls("other") == ()
        database.save_calls("demo", calls)
        assert database.load_calls("demo") == calls
        database.close()


def test_what_a_reload_takes_away_and_brings_back_has_spent(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    metered = Metered(vendor, clock)
    poller = Poller(ignore, clock)
    poller.set_targets(budgeted(tmp_path, vendor, 8))
    poller.run_due()
    assert poller.wait_idle(10)
    poller.set_targets(())
    poller.set_targets(budgeted(tmp_path, vendor, 8, max_calls_per_day=10))
    run_for(20, poller, clock)
    poller.stop()
    assert len(metered.calls) == 10
