"""What the strip above the cards says, in which order the cards are, and what a card's verdict is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.model import BillingPeriod, ScopeUsage
from exporter.view.cards import Card, OrganisationCards, organisation_cards
from exporter.view.overview import Overview, in_order, overview_of
from exporter.view.rate import busiest, rate_of
from exporter.view.urgency import trusted_verdict
from tests.support.watched import Watched, days, scope, targets_of

UTC_ZONE = ZoneInfo("UTC")


def watched_with(tmp_path: Path, *scopes: ScopeUsage, **settings: object) -> Watched:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme"]}, **settings))
    watched.reads("Acme", *scopes)
    return watched


def cards_of(watched: Watched) -> OrganisationCards:
    (state,) = watched.store.states()
    return organisation_cards(state, watched.clock.now())


def overview(watched: Watched) -> Overview:
    (state,) = watched.store.states()
    return overview_of(state, cards_of(watched), watched.clock.now(), UTC_ZONE)


def only(watched: Watched) -> Card:
    (card,) = cards_of(watched).scopes
    return card


def test_the_most_urgent_first_or_the_vendors_order(tmp_path: Path) -> None:
    steady = days(*[10] * 30)
    watched = watched_with(
        tmp_path,
        scope("Fine", 10),
        scope("Soon", 800, daily=days(*[60] * 30)),
        scope("Red", 950, daily=days(*[1] * 30)),
        scope("Over", 1040),
        scope("Amber", 800, daily=steady),
    )
    cards = cards_of(watched).scopes
    assert [card.scope for _, card in in_order(cards)] == ["Over", "Soon", "Red", "Amber", "Fine"]
    assert [place for place, _ in in_order(cards)] == [4, 2, 3, 5, 1]
    assert [card.scope for _, card in in_order(cards, vendors=True)] == ["Fine", "Soon", "Red", "Over", "Amber"]
    found = overview(watched)
    assert [item.scope for item in found.action] == ["Over", "Soon", "Red"]
    assert [item.scope for item in found.watch] == ["Amber"]
    assert (found.fine, found.headline, found.state) == (1, "3 need action", "critical")
    assert found.action[0].text == "over by 40 since before 12:00 UTC"
    assert found.action[1].text == "80.00%, runs out likely Wed 25 Nov"
    assert found.period is not None


def test_what_refuses_now_comes_before_what_does_not(tmp_path: Path) -> None:
    watched = watched_with(tmp_path, scope("A", 500), scope("B", 10, rejected=3))
    assert [card.scope for _, card in in_order(cards_of(watched).scopes)] == ["A", "B"]
    watched.clock.advance(minutes=5)
    watched.reads("Acme", scope("A", 500), scope("B", 10, rejected=15))
    assert [card.scope for _, card in in_order(cards_of(watched).scopes)] == ["B", "A"]
    found = overview(watched)
    assert [(item.scope, item.text) for item in found.watch] == [("B", "1.00%, 12 refused in the last hour")]
    assert (found.headline, found.state) == ("1 to watch", "warning")
    watched.clock.advance(minutes=70)
    watched.reads("Acme", scope("A", 500), scope("B", 10, rejected=15))
    assert overview(watched).headline == "all fine"


def test_a_period_of_their_own_is_no_common_one(tmp_path: Path) -> None:
    hour = BillingPeriod(datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert overview(watched_with(tmp_path, scope("A"), scope("B", period=hour))).period is None


@pytest.mark.parametrize(
    ("usage", "after", "verdict"),
    [
        (scope(requests=1040), None, "Over the limit by 40"),
        (scope(requests=1040), "billed", "Over the limit by 40; billed as overage"),
        (scope(requests=1000), "refused", "Limit reached; refused until 1 Dec"),
        (scope(requests=1000, period=None), "refused", "Limit reached; refused"),
        (scope(requests=950, daily=days(*[1] * 30)), "refused", "Almost used up"),
        (scope(requests=0), None, "Nothing used yet"),
        (scope(requests=0, limit=0), None, "Not part of the plan: the limit is 0"),
        (scope(requests=5, limit=None), "refused", "No limit"),
    ],
)
def test_verdicts(tmp_path: Path, usage: ScopeUsage, after: str | None, verdict: str) -> None:
    static = {} if after is None else {"static": {"after_limit": after}}
    assert trusted_verdict(only(watched_with(tmp_path, usage, **static)), UTC_ZONE) == verdict


def test_an_override_says_what_happens_after_the_limit(tmp_path: Path) -> None:
    watched = watched_with(
        tmp_path,
        scope("A"),
        scope("B"),
        static={"after_limit": "refused"},
        overrides={"B": {"after_limit": "billed"}},
    )
    assert [card.after_limit for card in cards_of(watched).scopes] == ["refused", "billed"]


def test_the_rate_now_and_in_the_busiest_minutes(tmp_path: Path) -> None:
    watched = watched_with(tmp_path, scope(requests=100, rate_limit_per_minute=100))
    for count in (150, 600, 650, 700, 750):
        watched.clock.advance(minutes=5)
        watched.reads("Acme", scope(requests=count, limit=10_000, rate_limit_per_minute=100))
    (state,) = watched.store.states()
    found = rate_of(only(watched), busiest(state, "Maps", watched.clock.now()))
    assert found is not None
    assert found.text == "10 a minute now, 90 in the busiest 5 minutes of the last hour"
    assert [found.now, found.busiest] == pytest.approx([0.1, 0.9])
    assert found.band.value == "warning"
    watched.clock.advance(minutes=61)
    assert busiest(state, "Maps", watched.clock.now()) is None
    assert rate_of(only(watched_with(tmp_path, scope())), None) is None


def test_polls_seconds_apart_are_of_whole_minutes(tmp_path: Path) -> None:
    watched = watched_with(tmp_path, scope(requests=0, rate_limit_per_minute=100))
    for count in (40, *[41] * 11, 42):  # 40 within five seconds, and hardly any after
        watched.clock.advance(seconds=5)
        watched.reads("Acme", scope(requests=count, rate_limit_per_minute=100))
    (state,) = watched.store.states()
    found = busiest(state, "Maps", watched.clock.now())
    assert found is not None
    assert (found.per_minute, found.over) == (41, timedelta(minutes=1))
    rate = rate_of(only(watched), found)
    assert rate is not None
    assert rate.text.endswith("41 in the busiest minute of the last hour")


def test_polls_far_apart_say_nothing_of_a_minute(tmp_path: Path) -> None:
    watched = watched_with(tmp_path, scope(requests=100, rate_limit_per_minute=100))
    watched.clock.advance(minutes=40)
    watched.reads("Acme", scope(requests=900, rate_limit_per_minute=100))
    (state,) = watched.store.states()
    assert busiest(state, "Maps", watched.clock.now()) is None
    assert watched.clock.now() - timedelta(minutes=40) == datetime(2026, 11, 22, 12, tzinfo=UTC)
