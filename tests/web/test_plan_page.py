"""/plan: which plan would have been enough, and what if everything grew."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.html import seen
from tests.support.months import Months
from tests.support.watched import Watched, scope, targets_of

PRICES: dict[str, Any] = {
    "currency": "EUR",
    "current": "Small",
    "plans": {
        "Small": {"price": 49, "scopes": {"Tiles": 100_000, "Routing": 50_000}},
        "Large": {
            "price": 310,
            "scopes": {"Tiles": 1_000_000, "Routing": "unlimited"},
            "link": "https://maps.test/a&b",
        },
    },
    "add_ons": {"Tiles +25,000": {"price": 40, "scope": "Tiles", "adds": 25_000}},
}
PLAN = "/plan?api=maps&organisation=Acme"


@pytest.fixture
def months(tmp_path: Path) -> Months:
    months = Months(tmp_path, PRICES)
    months.goes(9, Tiles=120_000, Routing=10_000)
    months.goes(10, Tiles=150_000, Routing=20_000)
    return months


@pytest.fixture
def client(months: Months) -> FlaskClient:
    return months.watched.pages.test_client()


def test_it_says_what_is_enough_and_what_each_plan_would_have_cost(client: FlaskClient) -> None:
    html = seen(client.get(PLAN).text)
    assert "Acme (maps): 2 billing periods, 2026-09 to 2026-10" in html
    assert "Small, the plan in use, refuses requests; Small + 2 × Tiles +25,000 at 129.00 EUR is enough." in html
    assert "Small in use 49.00 EUR 2 periods: Tiles by 50,000 (2026-10), … 2026-09: Tiles by 20,000" in html
    assert "Large buy Large 310.00 EUR none 85%" in html
    assert 'href="https://maps.test/a&amp;b"' in client.get(PLAN).text


def test_the_bars_stand_beside_the_plan_that_is_asked_for(client: FlaskClient) -> None:
    best = client.get(PLAN).text
    assert "The periods, beside <bdi>Small + 2 × Tiles +25,000</bdi>" in best
    assert 'class="beyond"' not in best
    small = client.get(f"{PLAN}&option=Small").text
    assert "The periods, beside <bdi>Small</bdi>" in small
    assert small.count('class="beyond"') == 2
    assert "Tiles, 100,000 included; 2026-09: 120,000, 20,000 over; 2026-10: 150,000, 50,000 over" in small
    large = client.get(f"{PLAN}&option=Large").text
    assert "Routing, unlimited; 2026-09: 10,000;" in large


def test_only_the_period_that_goes_on_is_drawn_as_likely(months: Months, client: FlaskClient) -> None:
    assert client.get(PLAN).text.count('class="expected"') == 2
    months.watched.clock.advance(hours=1)
    after = client.get(PLAN).text
    assert "2026-10: 150,000" in after
    assert 'class="expected"' not in after
    assert "likely" not in after


def test_growth_raises_bars_and_costs(client: FlaskClient) -> None:
    html = client.get(f"{PLAN}&growth=50&option=Small").text
    assert "2026-09: 180,000, 80,000 over" in html
    assert "2 billing periods, 2026-09 to 2026-10, with 50% more of everything" in html
    assert '<span aria-current="true">50%</span>' in html
    own = client.get(f"{PLAN}&growth=-12.5").text
    assert '<span aria-current="true">-12.5%</span>' in own
    assert "with 12.5% less of everything" in own


def test_a_scope_that_a_plan_lacks_is_none_included(tmp_path: Path) -> None:
    plans = {**PRICES["plans"], "Tiny": {"price": 1, "scopes": {"Tiles": 10}}}
    months = Months(tmp_path, {**PRICES, "plans": plans})
    months.goes(9, Tiles=5, Routing=7)
    html = months.watched.pages.test_client().get(f"{PLAN}&option=Tiny").text
    assert "Routing, none included; 2026-09: 7, 7 over" in html


def test_several_organisations_are_listed_with_what_is_enough_for_each(tmp_path: Path) -> None:
    watched = Watched(targets_of(tmp_path, {"maps": ["Acme", "Bolt"], "mail": ["Acme"]}, prices=PRICES))
    html = seen(watched.pages.test_client().get("/plan?growth=20").text)
    assert html.count("no billing period of a scope that its plans have is known yet") == 3
    one = watched.pages.test_client().get("/plan?api=mail").text
    assert "Acme (mail): no billing period of a scope that its plans have is known yet" in one


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("&growth=much", "growth must be a number of percent, such as 20, not 'much'"),
        ("&growth=-100", "growth must be over -100"),
        ("x", "no organisation of that name or id, and api, is watched"),
    ],
)
def test_what_cannot_be_answered_is_said(client: FlaskClient, query: str, said: str) -> None:
    answered = client.get(f"{PLAN}{query}")
    assert answered.status_code == 400
    assert said in seen(answered.text)


def test_the_usage_page_leads_to_it_where_there_are_prices(client: FlaskClient, tmp_path: Path) -> None:
    assert "Which plan is enough?" in client.get("/?api=maps&organisation=Acme").text
    without = Watched(targets_of(tmp_path, {"maps": ["Acme"]}))
    without.reads("Acme", scope("Tiles"), api="maps")
    assert "Which plan" not in without.pages.test_client().get("/?api=maps&organisation=Acme").text
