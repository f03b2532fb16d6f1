"""What a forecast says of scopes of every kind is the same on the page, in the terminal and in the JSON document."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner

from exporter.cli import main
from exporter.model import BillingPeriod, DailySource, DailyUsage, ScopeUsage
from exporter.view import forecast_words
from exporter.view.usage_json import from_json
from tests.support.asgi import serve_asgi
from tests.support.html import seen
from tests.support.watched import TODAY, Watched, days, scope, targets_of

STEADY = scope("Maps", 2150, 3000, daily=days(*[100.0] * 29, 50))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme"]}, stale_after="15m"))


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


def polled(watched: Watched, *found: ScopeUsage, minutes: int = 5) -> None:
    for each in found:
        watched.reads("Acme", each)
        watched.clock.advance(minutes=minutes)
    watched.clock.advance(minutes=-minutes)


def steady(watched: Watched) -> None:
    polled(watched, *(replace(STEADY, requests=2150 + poll / 3) for poll in range(4)))


def unlimited(watched: Watched) -> None:
    polled(watched, replace(STEADY, limit=None))


def without_a_period(watched: Watched) -> None:
    polled(watched, replace(STEADY, period=None))


def an_hours_quota(watched: Watched) -> None:
    hour = BillingPeriod(datetime(2026, 11, 22, 11, 30, tzinfo=UTC), datetime(2026, 11, 22, 12, 30, tzinfo=UTC))
    polled(watched, *(scope("Maps", 30 + poll, 100, period=hour, daily=None) for poll in range(4)))


def a_first_day(watched: Watched) -> None:
    week = BillingPeriod(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC))
    polled(watched, scope("Maps", 3, 100, period=week, daily=None, daily_source=DailySource.OBSERVED))


def a_gap(watched: Watched) -> None:
    steady(watched)
    watched.clock.advance(hours=20)
    missing = (*days(*[100.0] * 29, 50)[:-4], DailyUsage(TODAY + timedelta(days=1), 30, exact=False))
    polled(watched, replace(STEADY, requests=2240, daily=missing))


def a_suspect_value(watched: Watched) -> None:
    polled(watched, STEADY, replace(STEADY, requests=3))


def a_raised_limit(watched: Watched) -> None:
    polled(watched, replace(STEADY, limit=2200), replace(STEADY, limit=9000))


def the_limit(watched: Watched) -> None:
    polled(watched, replace(STEADY, requests=3000))


def a_stale_scope(watched: Watched) -> None:
    polled(watched, replace(STEADY, limit=2300))
    watched.clock.advance(hours=70)


def an_ended_period(watched: Watched) -> None:
    ends = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 22, 12, 5, tzinfo=UTC))
    polled(watched, replace(STEADY, period=ends))
    watched.clock.advance(minutes=6)


@pytest.mark.parametrize(
    ("happens", "expected", "limit", "pace"),
    [
        (steady, r"about 3,0\d0 \(2,9\d\d to 3,0\d0\), 10\d% of the limit|about 3,0\d0 needed", "likely to reach", "4 an hour lately, 4.2 in the last 7 days"),
        (unlimited, r"about 3,0\d0 \(2,9\d0 to 3,0\d0\)", "", "last 7 days"),
        (without_a_period, "not known: the vendor reports no billing period", "", "last 7 days"),
        (an_hours_quota, r"about 47 \(\d\d to \d\d\), 46.9% of the limit", "Lasts: 1% likely", "12 an hour lately"),
        (a_first_day, "not known yet: too little has been seen", "", "not known yet"),
        (a_gap, r"about 3,0\d0", "likely to reach the limit", "4.4 an hour in the last day"),
        (a_suspect_value, "not known: the vendor's newest count contradicts those before", "", "not known yet"),
        (a_raised_limit, r"about 3,0\d0 \(.*\), 33.\d% of the limit", "Lasts: under 1% likely", "last 7 days"),
        (the_limit, "the limit is reached; what is over it may be refused", "", "last 7 days"),
        (a_stale_scope, r"about 3,0\d0 needed", "Has probably reached the limit by now: likely on Tuesday 24 November", "not known yet"),
        (an_ended_period, "not known yet: the billing period has ended", "", "last 7 days"),
    ],
)  # fmt: skip
def test_it_is_said_everywhere(
    watched: Watched, url: str, happens: Callable[[Watched], None], expected: str, limit: str, pace: str
) -> None:
    happens(watched)
    document = requests.get(f"{url}/api/v1/usage", timeout=10)
    (card,) = from_json(document.content).organisations[0].scopes
    said = forecast_words.requests(card)
    assert re.search(expected, said), said
    reached = forecast_words.limit(card, watched.clock.now(), ZoneInfo("UTC"))
    assert limit in reached
    assert bool(limit) == bool(reached)
    assert pace in forecast_words.pace(card), forecast_words.pace(card)

    html = watched.pages.test_client().get("/?organisation=Acme").get_data(as_text=True)
    assert said in seen(html)
    assert reached in seen(html)
    assert said in CliRunner().invoke(main, ["usage", "--url", url]).output
    cards = CliRunner().invoke(main, ["usage", "--url", url, "--cards"]).output
    assert (reached if forecast_words.likely_to_reach(card) else said) in " ".join(cards.split())

    made = document.json()["organisations"][0]["scopes"][0]["forecast"]
    assert (made["unknown"] is None) == ("not known" not in said)
    assert (made["requests"] is None) == (made["unknown"] is not None)
    if limit.startswith("Lasts"):
        assert made["over_limit_probability"] < 0.02
