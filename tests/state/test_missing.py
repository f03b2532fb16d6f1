"""Scopes that the vendor's answers lack: what is published of them, since when they count as missing, how it ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import metrics
from exporter.config.load import Target
from exporter.errors import ServerError
from exporter.exposition.samples import sample_lines
from exporter.model import BillingPeriod, Misfit, ScopeUsage, UsageSnapshot
from exporter.state.database import Database
from exporter.state.store import Store
from tests.support.clock import FakeClock
from tests.support.factories import make_target

NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DECEMBER = BillingPeriod(NOVEMBER.end, datetime(2027, 1, 1, tzinfo=UTC))
TILES = ScopeUsage("Tiles", 970, 1000, period=NOVEMBER)
ROUTES = ScopeUsage("Routes", 1, 1000, period=NOVEMBER)


class Watching:
    """An exporter of one organisation, polled every 5 minutes. state is kept from one to the next of a folder."""

    def __init__(self, directory: Path, clock: FakeClock | None = None, **api: Any) -> None:
        self.directory = directory
        self.clock = clock or FakeClock()
        self.database = Database(directory / "data", clock=lambda: self.clock.now().timestamp())
        self.store = Store(self.clock, self.database)
        self.configure(**api)

    def configure(self, **api: Any) -> None:
        self.target: Target = make_target(self.directory, **api)
        self.store.set_targets([self.target])

    def answers(self, *scopes: ScopeUsage, times: int = 1, misfits: tuple[Misfit, ...] = ()) -> None:
        for _ in range(times):
            self.clock.advance(minutes=5)
            self.store.record(self.target, UsageSnapshot(self.clock.now(), scopes, misfits))

    def fails(self) -> None:
        self.clock.advance(minutes=5)
        self.store.record(self.target, ServerError("500"))

    def restarted(self, **api: Any) -> "Watching":
        self.database.close()
        return Watching(self.directory, self.clock, **api)

    def published(self, metric: metrics.Metric) -> dict[str, float]:
        """By scope."""
        (state,) = self.store.states()
        lines = sample_lines(state, self.clock.now()).get(metric.name, b"").decode()
        return {
            sample.labels[metrics.SCOPE]: sample.value
            for family in text_string_to_metric_families(lines)
            for sample in family.samples
        }

    @property
    def missing(self) -> dict[str, float]:
        return self.published(metrics.SCOPE_MISSING)

    @property
    def used(self) -> dict[str, float]:
        return self.published(metrics.REQUESTS)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Watching]:
    watching = Watching(tmp_path)
    watching.answers(TILES, ROUTES)
    yield watching
    watching.database.close()


def test_a_scope_that_two_good_answers_in_a_row_lack_is_missing_and_its_usage_stands(watching: Watching) -> None:
    read = watching.clock.now().timestamp()
    assert watching.missing == {"Tiles": 0, "Routes": 0}
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 0, "Routes": 0}
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 1, "Routes": 0}
    assert watching.used == {"Tiles": 970, "Routes": 1}
    assert watching.published(metrics.LIMIT) == {"Tiles": 1000, "Routes": 1000}
    assert watching.published(metrics.READ_TIME)["Tiles"] == read


def test_all_scopes_may_be_missing(watching: Watching) -> None:
    watching.answers(times=2)
    assert watching.missing == {"Tiles": 1, "Routes": 1}


def test_what_is_no_good_answer_says_nothing(watching: Watching) -> None:
    watching.answers(ROUTES)
    watching.fails()
    watching.answers(ROUTES, misfits=(Misfit("scope 'Tiles': requests: it gave null", None),))
    watching.fails()
    assert watching.missing == {"Tiles": 0, "Routes": 0}
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 1, "Routes": 0}
    watching.fails()
    watching.answers(ROUTES, misfits=(Misfit("scope 3: name: it gave null", None),))
    assert watching.missing == {"Tiles": 1, "Routes": 0}


def test_a_scope_that_returns_is_not_missing_and_counts_anew(watching: Watching) -> None:
    watching.answers(ROUTES, times=3)
    watching.answers(TILES, ROUTES)
    assert watching.missing == {"Tiles": 0, "Routes": 0}
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 0, "Routes": 0}


def test_it_ends_with_the_period_and_what_was_missing_then_is_forgotten(watching: Watching) -> None:
    watching.answers(ROUTES, times=2)
    watching.clock.set(NOVEMBER.end - timedelta(minutes=6))
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 1, "Routes": 0}
    watching.clock.advance(minutes=1)  # by time alone
    assert watching.missing == {"Routes": 0}
    assert watching.used == {"Routes": 1}
    watching.answers(replace(ROUTES, requests=0, period=DECEMBER), times=3)
    assert watching.missing == {"Routes": 0}


def test_a_scope_that_a_new_period_does_not_list_yet_is_not_missing(watching: Watching) -> None:
    watching.clock.set(NOVEMBER.end - timedelta(minutes=6))
    watching.answers(TILES, ROUTES)
    watching.answers(replace(ROUTES, requests=0, period=DECEMBER), times=3)
    assert watching.missing == {"Routes": 0}


def test_a_period_that_began_early_for_the_others_has_ended_for_it_too(watching: Watching) -> None:
    """The vendor's day is another than the one that its period is read by, by some hours."""
    early = BillingPeriod(NOVEMBER.end - timedelta(hours=8), DECEMBER.end)
    watching.clock.set(NOVEMBER.end - timedelta(hours=8))
    watching.answers(replace(ROUTES, requests=0, period=early), times=3)
    assert watching.missing == {"Routes": 0}


def test_a_period_that_moves_with_the_time_does_not_end_anothers(watching: Watching) -> None:
    """As where a vendor counts over the last 30 days."""
    for minutes in (5, 10, 15):
        moved = timedelta(minutes=minutes)
        watching.answers(replace(ROUTES, period=BillingPeriod(NOVEMBER.start + moved, NOVEMBER.end + moved)))
    assert watching.missing == {"Tiles": 1, "Routes": 0}


def test_without_a_period_it_ends_where_the_usage_goes_away(watching: Watching) -> None:
    watching.answers(ROUTES, ScopeUsage("Geocoding", 5, 10))
    watching.answers(TILES, ROUTES, times=2)
    assert watching.missing["Geocoding"] == 1
    watching.clock.advance(hours=24)
    assert "Geocoding" not in {**watching.missing, **watching.used}


def test_data_that_the_config_drops_sooner_is_missing_all_the_same(tmp_path: Path) -> None:
    watching = Watching(tmp_path, drop_after="30m")
    watching.answers(TILES, ROUTES)
    watching.answers(ROUTES, times=8)
    assert watching.used == {"Routes": 1}
    assert watching.missing == {"Tiles": 1, "Routes": 0}
    watching.clock.set(NOVEMBER.end)
    watching.answers(ROUTES)
    assert watching.missing == {"Routes": 0}


@pytest.mark.parametrize("restart", [False, True])
def test_a_restart_neither_forgets_it_nor_begins_anew(tmp_path: Path, restart: bool) -> None:
    watching = Watching(tmp_path)
    watching.answers(TILES, ROUTES)
    watching.answers(ROUTES)
    if restart:
        watching = watching.restarted()
    watching.answers(ROUTES)
    if restart:
        watching = watching.restarted()
    assert watching.missing == {"Tiles": 1, "Routes": 0}
    assert watching.used == {"Tiles": 970, "Routes": 1}


def test_a_scope_that_vanishes_while_the_exporter_is_away_is_missing(watching: Watching) -> None:
    watching = watching.restarted()
    watching.answers(ROUTES, times=2)
    assert watching.missing == {"Tiles": 1, "Routes": 0}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"mapping": {"filter": "name != 'Tiles'"}},
        {"params": {"kind": "all"}},
        {"overrides": {"Tiles": {"name": "Map tiles"}}},
    ],
)
def test_a_config_that_asks_for_other_scopes_has_none_missing(
    tmp_path: Path, changed: dict[str, Any], restart: bool
) -> None:
    watching = Watching(tmp_path)
    watching.answers(TILES, ROUTES)
    watching.answers(ROUTES)
    if restart:
        watching = watching.restarted(**changed)
    else:
        watching.configure(**changed)
    watching.answers(ROUTES, times=3)
    assert watching.missing == {"Routes": 0}
    # From then on it is as before.
    watching.answers(times=2)
    assert watching.missing == {"Routes": 1}


def test_a_config_that_changes_nothing_of_what_is_asked_for_has_it_missing_still(watching: Watching) -> None:
    watching.answers(ROUTES)
    watching.configure(poll_interval="10m", timeout="5s", static={"unit": "credits"})
    watching.answers(ROUTES)
    assert watching.missing == {"Tiles": 1, "Routes": 0}


@pytest.mark.parametrize(
    "gone",
    [{"retired_scopes": ["Tiles"]}, {"organisations": [{"id": "acme", "retired_scopes": ["Tiles"]}]}],
)
def test_the_config_says_that_it_is_gone_for_good(watching: Watching, gone: dict[str, Any]) -> None:
    watching.answers(ROUTES, times=3)
    watching.configure(**gone)
    watching.answers(ROUTES)
    assert watching.missing == {"Routes": 0}
    assert watching.used == {"Routes": 1}
    # What the vendor reports again is shown again.
    watching.answers(TILES, ROUTES)
    assert watching.used == {"Tiles": 970, "Routes": 1}
    watching.answers(ROUTES)
    assert watching.used == {"Routes": 1}


def test_a_scope_under_another_name_is_not_missing_where_its_id_says_so(watching: Watching) -> None:
    watching.answers(replace(TILES, id="t-1"), replace(ROUTES, id="r-1"))
    watching.answers(replace(TILES, id="t-1", name="Map tiles"), replace(ROUTES, id="r-1"), times=3)
    assert watching.missing == {"Map tiles": 0, "Routes": 0}
    # An id that the others have as well says nothing.
    watching.answers(replace(ROUTES, id="t-1"), times=2)
    assert watching.missing == {"Map tiles": 1, "Routes": 0}


def test_missing_data_does_not_count_as_stale(watching: Watching) -> None:
    watching.answers(ROUTES, times=6)
    (state,) = watching.store.states()
    assert not state.is_stale(watching.clock.now())
    watching.clock.advance(minutes=15)
    assert state.is_stale(watching.clock.now())


def test_a_vendor_that_makes_up_names_does_not_fill_the_memory(tmp_path: Path) -> None:
    watching = Watching(tmp_path, max_scopes=5)
    for number in range(20):
        watching.answers(*(replace(TILES, name=f"scope {number}.{part}") for part in range(3)))
    assert len(watching.missing) == 5
