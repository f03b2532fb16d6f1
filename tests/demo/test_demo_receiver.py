"""The demo's page of what was paged, over HTTP as Alertmanager uses it."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from exporter.demo.receiver import Inbox, create_app
from tests.support.http import serve


@pytest.fixture
def receiver() -> Iterator[str]:
    with serve(create_app(Inbox(kept=3))) as url:
        yield url


def message(summary: str, status: str = "firing", **annotations: str) -> dict[str, Any]:
    """A message of Alertmanager's webhook with one alert."""
    alert = {
        "status": status,
        "labels": {"alertname": "ApiUsageHigh", "severity": "warning", "scope": "Tiles"},
        "annotations": {"summary": summary, **annotations},
    }
    return {"version": "4", "receiver": "ticket", "status": status, "alerts": [alert]}


def send(receiver: str, payload: object) -> int:
    return requests.post(f"{receiver}/alerts", json=payload, timeout=5).status_code


def page(receiver: str) -> str:
    return requests.get(receiver, timeout=5).text


def test_an_empty_page_says_so(receiver: str) -> None:
    assert "Nothing yet." in page(receiver)


def test_the_newest_stands_first_and_the_oldest_go(receiver: str) -> None:
    for number in range(5):
        assert send(receiver, message(f"number {number}")) == 204
    shown = page(receiver)
    assert [number for number in range(5) if f"number {number}" in shown] == [2, 3, 4]
    assert shown.index("number 4") < shown.index("number 3")


def test_an_alert_shows_its_state_texts_labels_and_links(receiver: str) -> None:
    links = {"runbook_url": "https://runbooks.example.com/x.md", "dashboard_url": "http://localhost:3000/d/x?a=b"}
    send(receiver, message("75% used", "resolved", description="Acme has used 75%", **links))
    shown = page(receiver)
    assert "Resolved, warning: 75% used" in shown
    assert "Acme has used 75%" in shown
    assert "ApiUsageHigh, scope: Tiles" in shown
    assert '<a href="https://runbooks.example.com/x.md">Runbook</a>' in shown
    assert '<a href="http://localhost:3000/d/x?a=b">Dashboard</a>' in shown


def test_without_grafana_alerts_link_to_the_usage_page() -> None:
    alert = message("75% used", dashboard_url="http://localhost:3000/d/x")
    alert["alerts"][0]["labels"] |= {"api": "demo", "organisation": "Acme & Sons"}
    about_none = message("The exporter is down", dashboard_url="http://localhost:3000/d/x")
    with serve(create_app(Inbox(), usage_page="http://localhost:10190")) as receiver:
        for one in (alert, about_none):
            send(receiver, one)
        shown = page(receiver)
    assert '<a href="http://localhost:10190/?api=demo&amp;organisation=Acme+%26+Sons">Usage page</a>' in shown
    assert '<a href="http://localhost:10190/">Usage page</a>' in shown
    assert "Dashboard" not in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_new_messages_come_by_themselves(
    receiver: str, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    for status in ("firing", "resolved"):
        send(receiver, message("75% used", status, description="Acme " + "long " * 40, runbook_url="https://x.org/y"))
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800})
    shown = context.new_page()
    shown.clock.install()
    shown.goto(receiver)
    assert [one["id"] for one in Axe().run(shown).response["violations"]] == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    send(receiver, message("90% used"))
    shown.clock.run_for(5_000)
    expect(shown.get_by_text("Firing, warning: 90% used")).to_be_visible()
    context.close()


def test_what_others_wrote_is_text(receiver: str) -> None:
    send(receiver, message("<script>alert(1)</script>", runbook_url="javascript:alert(1)"))
    shown = page(receiver)
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "javascript:" not in shown


@pytest.mark.parametrize("payload", [None, [], {}, {"alerts": "none"}, {"alerts": None}])
def test_what_is_no_message_is_refused(receiver: str, payload: object) -> None:
    assert send(receiver, payload) == 400
    assert "Nothing yet." in page(receiver)


def test_runbooks_can_be_read_and_nothing_else(receiver: str) -> None:
    runbook = requests.get(f"{receiver}/runbooks/ApiUsageHigh.md", timeout=5)
    assert runbook.headers["Content-Type"].startswith("text/plain")
    assert runbook.text.startswith("# ApiUsageHigh")
    for path in ("..%2Falerts.yaml", "Unknown.md"):
        assert requests.get(f"{receiver}/runbooks/{path}", timeout=5).status_code == 404
