"""Since when a scope is amber or red: by polls, by days, and by a change of its limit."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.model import BillingPeriod
from exporter.view.since import Precision, Since, band_since
from tests.support.watched import Watched, days, scope, targets_of


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme"]}))


def since(watched: Watched) -> Since | None:
    (state,) = watched.store.states()
    return band_since(state, state.scopes[0])


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def polls(watched: Watched, *counts: float, limit: float = 1000) -> None:
    """Every five minutes, the first at 12:00 on the 22nd."""
    for count in counts:
        watched.reads("Acme", scope("Maps", count, limit))
        watched.clock.advance(minutes=5)


def test_under_its_warning_it_is_in_none(watched: Watched) -> None:
    polls(watched, 700, 710)
    assert since(watched) is None
    watched.reads("Acme", scope("Maps", 700, None))
    assert since(watched) is None


def test_the_first_poll_that_found_it(watched: Watched) -> None:
    polls(watched, 880, 890, 901, 905, 910)
    assert since(watched) == Since(at(22, 12, 10), Precision.POLL)
    polls(watched, 895, 905)  # a correction, and back
    assert since(watched) == Since(at(22, 12, 30), Precision.POLL)


def test_amber_begins_at_its_own_threshold(watched: Watched) -> None:
    polls(watched, 740, 750, 800)
    assert since(watched) == Since(at(22, 12, 5), Precision.POLL)


def test_days_reach_further_back_than_polls(watched: Watched) -> None:
    # Of 950, today brought 10 and yesterday 30: it was 910 in the morning of the 21st, and 880 in that of the 20th.
    daily = days(*[30.0] * 28, 30, 10)
    watched.reads("Acme", scope("Maps", 950, daily=daily))
    assert since(watched) == Since(at(20, 0), Precision.DAY)


def test_days_that_do_not_reach_back_prove_nothing(watched: Watched) -> None:
    watched.reads("Acme", scope("Maps", 950, daily=days(5, 5, 5)))
    assert since(watched) == Since(at(22, 12), Precision.AT_LEAST)
    with_gap = (*days(*[30.0] * 30)[:-2], days(10)[0])
    watched.clock.advance(minutes=5)
    watched.reads("Acme", scope("Maps", 950, daily=with_gap))
    assert since(watched) == Since(at(22, 12), Precision.AT_LEAST)


def test_a_lowered_limit_begins_it(watched: Watched) -> None:
    polls(watched, 940, 941, limit=2000)
    polls(watched, 942, 943)
    assert since(watched) == Since(at(22, 12, 10), Precision.POLL)


def test_a_raised_limit_does_not_make_it_older(watched: Watched) -> None:
    polls(watched, 1990, limit=1000)
    polls(watched, 1991, 1992, limit=2000)
    assert since(watched) == Since(at(22, 12, 5), Precision.POLL)


def test_none_allowed_and_some_used(watched: Watched) -> None:
    polls(watched, 3, 4, limit=0)
    assert since(watched) == Since(at(22, 12), Precision.AT_LEAST)


def test_a_period_that_began_anew(watched: Watched) -> None:
    polls(watched, 950)
    december = BillingPeriod(at(22, 12, 4), datetime(2026, 12, 22, tzinfo=UTC))
    for count in (0, 910):
        watched.reads("Acme", scope("Maps", count, period=december))
        watched.clock.advance(minutes=5)
    assert since(watched) == Since(at(22, 12, 10), Precision.POLL)
