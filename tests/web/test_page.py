"""The usage page and the JSON document over HTTP, without a browser."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from exporter.errors import AuthError
from exporter.model import DailyUsage
from exporter.view.cards import organisation_cards
from exporter.view.usage_json import from_json, to_json, usage_document
from tests.support.asgi import serve_asgi
from tests.support.html import texts
from tests.support.watched import TODAY, Watched, days, scope, targets_of

PAGES = (
    "/",
    "/?organisation=Acme",
    "/?organisation=nobody",
    "/metrics",
    "/api/v1/usage",
    "/api/v1/fits?scope=Maps&requests=1",
    "/api/v1/plan",
    "/api/v1/status/config",
    "/-/healthy",
    "/-/ready",
    "/-/reload",
    "/static/usage.js",
    "/nothing",
)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt"], "other": ["Acme"]}, stale_after="15m"))


@pytest.fixture
def client(watched: Watched) -> FlaskClient:
    return watched.pages.test_client()


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


def page(client: FlaskClient, url: str, status: int = 200) -> str:
    with client.get(url) as response:
        assert response.status_code == status
        return response.get_data(as_text=True)


def test_a_first_start_says_what_is_going_on(client: FlaskClient, watched: Watched) -> None:
    seen = texts(page(client, "/?api=vendor&organisation=Acme"))
    assert "The exporter has just started and is asking vendor for the usage of Acme." in seen
    watched.fails("Acme", AuthError("the vendor answered 401: check the credentials"))
    seen = texts(page(client, "/?api=vendor&organisation=Acme"))
    assert "The last poll failed just now: the vendor answered 401: check the credentials." in seen
    assert "No poll has brought data yet; the exporter keeps trying." in seen


def test_a_failing_poll_is_told_beside_the_old_cards(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope("Maps", 940))
    watched.clock.advance(minutes=20)
    watched.fails("Acme", AuthError("the vendor answered 401"))
    watched.clock.advance(seconds=5)
    seen = texts(page(client, "/?api=vendor&organisation=Acme"))
    assert "Updated 20 minutes ago" in seen
    assert "The last poll failed 5 seconds ago: the vendor answered 401." in seen
    assert "Stale since 22 Nov 2026, 12:15 UTC: last read 20 minutes ago" in seen
    assert "94.00%" in seen


def test_only_the_scope_that_could_not_be_read_is_stale(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope("Maps"), scope("Mail"))
    watched.clock.advance(minutes=20)
    watched.reads("Acme", scope("Maps"), misfits=("scope 'Mail': limit: gave null",))
    html = page(client, "/?api=vendor&organisation=Acme")
    assert html.count("Stale since") == 1
    assert "Stale since" in html[html.index("<bdi>Mail</bdi>") :]


def test_one_organisation_needs_no_choice(tmp_path: Path) -> None:
    client = Watched(targets_of(tmp_path, {"vendor": ["Only & one"]})).pages.test_client()
    response = client.get("/")
    assert response.status_code == 302
    assert response.location == "/?api=vendor&organisation=Only+%26+one"


def test_several_are_chosen_from(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Bolt", scope("Maps", 500), scope("Mail", 930))
    html = page(client, "/")
    assert 'href="/?api=vendor&amp;organisation=Bolt"' in html
    assert "93.00% Mail" in texts(html)
    assert "3 organisations" in texts(html)
    assert "2 of 3 organisations match" in texts(page(client, "/?find=ACME"))
    assert "1 of 3 organisations match" in texts(page(client, "/?find=other+acme"))
    assert "2 organisations" in texts(page(client, "/?api=vendor"))
    assert "No organisation matches" in texts(page(client, "/?find=zzz"))


def test_an_organisation_is_found_by_id_and_in_its_api(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope("There"), api="other")
    assert "There" in page(client, "/?api=other&organisation=id-0")
    html = page(client, "/?organisation=Acme")
    assert 'href="/?api=other&amp;organisation=Acme"' in html


def test_an_unknown_organisation_is_not_found(client: FlaskClient) -> None:
    seen = texts(page(client, "/?organisation=%3Cscript%3E", 404))
    assert "No organisation called “ &lt;script&gt; ” is watched here." in seen


def test_what_a_vendor_says_is_escaped(client: FlaskClient, watched: Watched) -> None:
    hostile = '"><script>alert(1)</script>'
    watched.reads("Acme", scope(hostile, plan=hostile, unit=hostile, rejected=5, daily=days(1, 2)))
    watched.fails("Acme", AuthError(hostile))
    for url in ("/?api=vendor&organisation=Acme", "/?find=vendor+acme", f"/?organisation={hostile}"):
        html = client.get(url).text
        assert "alert(1)" in html
        assert "<script>" not in html


def test_partly_seen_days_are_marked(client: FlaskClient, watched: Watched) -> None:
    partly = (DailyUsage(TODAY, 7, exact=False),)
    watched.reads("Acme", scope(daily=(DailyUsage(TODAY - timedelta(days=1), 5), *partly)))
    html = page(client, "/?api=vendor&organisation=Acme")
    assert 'aria-label="Sunday, 22 November 2026: 7 requests (partly seen)"' in html
    assert 'aria-label="Saturday, 21 November 2026: 5 requests"' in html
    assert 'aria-label="Friday, 20 November 2026: not known"' in html


def test_every_answer_is_guarded(url: str) -> None:
    for path in PAGES:
        headers = requests.get(url + path, timeout=10).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_pages_ask_no_other_host_and_hold_no_code(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope(daily=days(*range(30)), rejected=3))
    html = page(client, "/?api=vendor&organisation=Acme") + page(client, "/")
    assert not re.findall(r"""(?:src|href|action)=["']?(?:https?:|//)""", html)
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?! src=)", html)
    for file in ("usage.css", "usage.js"):
        text = page(client, f"/static/{file}")
        assert "://" not in text


def test_a_fragment_is_the_main_part_alone(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope())
    html = page(client, "/?api=vendor&organisation=Acme&fragment=")
    assert "<html" not in html
    assert 'class="cards"' in html


def best_of_three(client: FlaskClient, url: str) -> tuple[str, float]:
    """The page and the seconds of CPU it takes; one collection of another test's garbage is not the page's."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        html = page(client, url)
        seconds.append(time.process_time() - started)
    return html, min(seconds)


def test_a_thousand_organisations_stay_fast(tmp_path: Path) -> None:
    names = [f"Organisation {number:04}" for number in range(1000)]
    watched = Watched(targets_of(tmp_path, {"vendor": names}))
    for name in names:
        watched.reads(name, *(scope(f"Scope {number}", daily=days(*range(30))) for number in range(6)))
    client = watched.pages.test_client()
    page(client, "/")
    for url in ("/", "/?find=0999", "/?organisation=Organisation+0999", "/?organisation=Organisation+0999&fragment="):
        html, seconds = best_of_three(client, url)
        assert seconds < 0.25, url
        assert len(html) < 150_000, url
    assert "1 of 1000 organisations match" in texts(page(client, "/?find=0999"))
    assert "1000 organisations; page 1 of 20" in texts(page(client, "/"))


def test_days_without_any_use_have_words_and_no_axis(client: FlaskClient, watched: Watched) -> None:
    watched.reads("Acme", scope("New", 0, 1000, daily=days(0, 0)))
    html = page(client, "/?api=vendor&organisation=Acme")
    assert "Nothing was used on any day that is known, 21 Nov 2026 to 22 Nov 2026." in texts(html)
    assert "Nothing used yet" in texts(html)
    assert "axis" not in html
    assert "#icon-normal" not in html[html.index('<ul class="cards">') :]


def test_a_page_of_six_cards_is_light(client: FlaskClient, watched: Watched) -> None:
    month = days(*range(98_700, 128_700, 1000))
    names = ("Geocoding", "Routing", "Distance Matrix", "Tracking", "Parcel Labels", "Status Pages")
    for minutes in (0, 5):
        watched.clock.advance(minutes=minutes)
        scopes = (
            scope(name, 900 + minutes, 1000, plan="Business", daily=month, rejected=minutes, rate_limit_per_minute=60)
            for name in names
        )
        watched.reads("Acme", *scopes)
    for view in ("days", "limit"):
        assert len(page(client, f"/?api=vendor&organisation=Acme&view={view}")) <= 45_000


def test_what_is_not_there_is_not_found_in_style(client: FlaskClient) -> None:
    assert "There is nothing at /nothing/here ." in texts(page(client, "/nothing/here", 404))
    assert "No API called “ nobody ” is watched here." in texts(page(client, "/?api=nobody", 404))
    assert "is watched here" in texts(page(client, "/?api=nobody&organisation=Acme", 404))


@pytest.mark.parametrize("zone", ["Nowhere/At_all", "../../etc/passwd", "/etc/localtime", "x" * 3000, ""])
def test_a_zone_that_is_none_leaves_the_vendors(client: FlaskClient, watched: Watched, zone: str) -> None:
    watched.reads("Acme", scope("Maps"))
    client.set_cookie("zone", zone)
    assert "Times and days are in UTC, the vendor's" in page(client, "/?api=vendor&organisation=Acme")


# --- /api/v1/usage


def test_the_document_survives_the_way_to_a_client(watched: Watched) -> None:
    watched.reads("Acme", scope("A", 940, rejected=3, daily=days(1, 2)), scope("B", limit=None), scope("C", 3, 0))
    watched.clock.advance(minutes=20)
    watched.fails("Acme", AuthError("no"))
    document = usage_document(watched.store.states(), watched.clock.now())
    assert from_json(to_json(document)) == document
    assert document.organisations[0] == organisation_cards(watched.store.states()[0], watched.clock.now())


def test_the_document_says_what_a_card_shows(url: str, watched: Watched) -> None:
    watched.reads("Acme", scope("A", 940), scope("B", limit=None), scope("C", 3, 0))
    document = requests.get(f"{url}/api/v1/usage?api=vendor&organisation=Acme", timeout=10).json()
    organisation = document["organisations"][0]
    a, b, c = organisation["scopes"]
    assert (a["used_ratio"], a["used_percentage"], a["band"], a["limit"]) == (0.94, "94.00%", "critical", 1000)
    assert (b["used_ratio"], b["used_percentage"], b["band"], b["limit"]) == (None, None, None, "unlimited")
    assert (c["used_ratio"], c["used_percentage"], c["band"], c["limit"]) == (None, ">100%", "critical", 0)
    assert a["forecast"]["requests"]["middle"] > 1000
    assert a["forecast"]["reached"]["likely"].startswith("2026-11-2")
    assert (a["forecast"]["limit_state"], b["forecast"]["limit_state"]) == ("ahead", "unlimited")


def test_the_document_can_be_asked_for_in_parts(url: str) -> None:
    def keys(query: str) -> list[tuple[str, str]]:
        found = requests.get(f"{url}/api/v1/usage{query}", timeout=10).json()["organisations"]
        return [(one["api"], one["organisation"]) for one in found]

    assert keys("") == [("vendor", "Acme"), ("vendor", "Bolt"), ("other", "Acme")]
    assert keys("?organisation=Acme") == [("vendor", "Acme"), ("other", "Acme")]
    assert keys("?organisation=id-1&organisation=Acme&api=vendor") == [("vendor", "Acme"), ("vendor", "Bolt")]
    assert keys("?organisation=nobody") == []


def test_a_foreign_document_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="time: Field required"):
        from_json(b"{}")


def test_a_card_says_what_is_held_back_and_what_the_vendor_changed(
    client: FlaskClient, watched: Watched, url: str
) -> None:
    for limit, requests_made in ((10_000, 7_500), (8_000, 7_500), (8_000, 0)):
        watched.clock.advance(minutes=5)
        watched.reads("Bolt", scope("Maps", requests=requests_made, limit=limit))
    text = texts(page(client, "/?organisation=Bolt"))
    assert "Limit lowered from 10,000 to 8,000 on 22 Nov 2026, 12:10 UTC" in text
    assert "Since 22 Nov 2026, 12:15 UTC the vendor answers far less than before, and nothing explains it." in text
    assert "7,500 of 8,000" in text
    document = from_json(requests.get(f"{url}/api/v1/usage", timeout=5).content)
    (card,) = next(one for one in document.organisations if one.organisation == "Bolt").scopes
    assert (card.suspect, card.suspect_since) == ("fall", watched.clock.now())
    assert [(change.term, change.old, change.new) for change in card.changes] == [("limit", "10000", "8000")]


def test_a_card_says_that_the_vendor_no_longer_reports_the_scope(
    client: FlaskClient, watched: Watched, url: str
) -> None:
    since = None
    for found in ((scope("Maps"), scope("Tiles", requests=970, limit=1000)), *[(scope("Maps"),)] * 6):
        watched.clock.advance(minutes=5)
        watched.reads("Bolt", *found)
        since = since or (watched.clock.now() if len(found) == 1 else None)
    text = texts(page(client, "/?organisation=Bolt"))
    assert "answers since 22 Nov 2026, 12:10 UTC. Shown is what was read last." in text
    assert "970 of 1,000" in text
    assert "Stale since" not in text
    document = from_json(requests.get(f"{url}/api/v1/usage", timeout=5).content)
    cards = next(one for one in document.organisations if one.organisation == "Bolt").scopes
    assert {card.scope: card.missing_since for card in cards} == {"Maps": None, "Tiles": since}
