"""/why: where a scope's numbers were read, and what its vendor changed."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from exporter.errors import ServerError
from tests.support.html import seen
from tests.support.watched import Watched, days, scope, targets_of

MAPPING = {
    "requests": "answer('spent').used",
    "limit": {"path": "quota.month", "optional": True},
    "rate_limit": "quota.second",
    "rate_limit_window": "1s",
    "scope": "Maps",
    "scale": 1000,
}
API = {
    "base_url": "https://api.vendor.example/v1",
    "url": "/quota/{organisation_id}?apikey=4711-secret",
    "requests": {"spent": {"url": "/spent", "method": "POST", "body": {}}},
    "mapping": MAPPING,
    "static": {"limit": 5000, "period": "month"},
}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme"]}, **API))


@pytest.fixture
def client(watched: Watched) -> FlaskClient:
    return watched.pages.test_client()


WHY = "/why?api=vendor&organisation=Acme&scope=Maps"


def test_it_names_the_request_and_the_expression_of_each_number(watched: Watched, client: FlaskClient) -> None:
    watched.reads("Acme", scope("Maps", 940, 5000))
    watched.clock.advance(minutes=3)
    html = seen(client.get(WHY).text)
    assert "Read 22 Nov 2026, 12:00 UTC, 3 minutes ago" in html
    assert "GET https://api.vendor.example/v1/quota/id-0?apikey=<secret> request main" in html
    assert "POST https://api.vendor.example/v1/spent request spent" in html
    assert "4711" not in html
    assert "Requests 940 expression \"answer('spent').used\", times 1000" in html
    assert "Limit 5,000 expression 'quota.month'; where that is null, static.limit of the config" in html
    assert "Rate limit not reported expression 'quota.second', for every 1s" in html
    assert "Refused not reported neither the answer nor the config has one" in html
    assert "Billing period 1–30 Nov 2026 static.period of the config, by the calendar of UTC" in html
    assert "Daily usage none known counted by the exporter from poll to poll, in days of UTC" in html
    assert "940 of 5,000 is 18.80%; amber from 75%, red over 90%." in html


@pytest.mark.parametrize(
    ("key", "override"), [("Maps", {"limit": 10}), ("id-1", {"limit": 10}), ("maps", {"limit": 10, "name": "Maps"})]
)
def test_an_override_is_said_to_be_one(tmp_path: Path, key: str, override: dict[str, object]) -> None:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme"]}, overrides={key: override}))
    watched.reads("Acme", scope("Maps", 9, 10, id="id-1"))
    html = seen(watched.pages.test_client().get(WHY).text)
    assert f"Limit 10 overrides.{key} of the config" in html


def test_it_lists_every_change_of_the_limit_and_the_basis_of_the_forecast(
    watched: Watched, client: FlaskClient
) -> None:
    for limit in (1000, 5000, 2000):
        watched.reads("Acme", scope("Maps", 940, limit, daily=days(*[30] * 30)))
        watched.clock.advance(minutes=5)
    watched.fails("Acme", ServerError("the vendor answered 500"))
    html = seen(client.get(WHY).text)
    lowered = html.index("Limit lowered from 5,000 to 2,000 on 22 Nov 2026, 12:10 UTC")
    raised = html.index("Limit raised from 1,000 to 5,000 on 22 Nov 2026, 12:05 UTC")
    assert lowered < raised
    assert "Basis From 29 whole days" in html
    assert "The last poll failed just now: the vendor answered 500." in html


@pytest.mark.parametrize("query", ["", "?api=vendor&organisation=Acme&scope=Other", "?api=x&organisation=y&scope=z"])
def test_an_unknown_scope_is_not_found(watched: Watched, client: FlaskClient, query: str) -> None:
    watched.reads("Acme", scope("Maps"))
    response = client.get(f"/why{query}")
    assert response.status_code == 404
    assert "Scope not found" in seen(response.text)


def test_every_card_leads_to_it(watched: Watched, client: FlaskClient) -> None:
    watched.reads("Acme", scope("Maps"), scope("A & B"))
    html = client.get("/?api=vendor&organisation=Acme").text
    assert 'href="/why?api=vendor&amp;organisation=Acme&amp;scope=A+%26+B"' in html
    assert client.get("/why?api=vendor&organisation=Acme&scope=A+%26+B").status_code == 200
