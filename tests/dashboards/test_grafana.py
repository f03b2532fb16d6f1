"""The dashboards in a real Grafana, seen through a real browser; GRAFANA_HOME says where Grafana is."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

from exporter.demo.accounts import ACCOUNTS
from exporter.links import RUNBOOKS_URL
from exporter.local.processes import Processes
from tests.support.demo import HOSTILE, WatchedDemo, watched_demo
from tests.support.grafana import DASHBOARDS, View, dashboard_url, start_grafana

HOME = os.environ.get("GRAFANA_HOME", "")
if not HOME:
    pytest.skip("no Grafana given: make test-grafana GRAFANA_HOME=…", allow_module_level=True)

UIDS = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
NAMES = [one.name for one in (*ACCOUNTS, HOSTILE)]
SIZES = (("light", 1280), ("dark", 1920))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedDemo]:
    with watched_demo(tmp_path_factory.mktemp("demo"), replicas=2) as running:
        yield running


@pytest.fixture(scope="module")
def grafana(demo: WatchedDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("grafana")
    with Processes(folder) as processes:
        yield start_grafana(processes, Path(HOME), demo.replicated, folder)


@pytest.mark.parametrize(("theme", "width"), SIZES)
@pytest.mark.parametrize(
    ("uid", "organisation"),
    [*(("api-usage", name) for name in NAMES), ("api-usage-overview", ""), ("api-usage-exporter", "")],
)
def test_no_panel_is_in_error_and_nothing_is_cut_off(
    grafana: str, browser: Browser, uid: str, organisation: str, theme: str, width: int
) -> None:
    chosen = {"organisation": organisation} if organisation else {}
    with View(browser, dashboard_url(grafana, uid, theme=theme, **chosen), width) as view:
        assert view.errors() == []
        too_long = {HOSTILE.name, *(scope.name for scope in HOSTILE.scopes)}
        assert [text for text in view.cut_off() if text not in too_long] == []
        panels = json.loads((DASHBOARDS / f"{uid}.json").read_text(encoding="utf-8"))["panels"]
        for panel in panels:
            if panel["type"] != "row" and "$" not in panel["title"]:
                assert view.panel(panel["title"]).count() >= 1, panel["title"]


def hue(colour: str) -> str:
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    if blue > red + 40:
        return "blue"
    if red > 150 and green > 90 and blue < 100:
        return "amber"
    return "red" if red > green + 80 else "none"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("organisation", "cards"),
    [
        (
            NAMES[0],
            {
                "Distance Matrix": ("90.00%", "amber"),
                "Geocoding": ("62.50%", "blue"),
                "Parcel Labels": ("104.00%", "red"),
                "Routing": ("75.00%", "amber"),
                "Status Pages": ("Unlimited", "none"),
                "Tracking": ("94.23%", "red"),
            },
        ),
        (
            NAMES[1],
            {
                "Import\\Export": ("90.01%", "red"),
                "Maps (v2.1)": ("83.40%", "amber"),
                "Search": ("74.99%", "blue"),
            },
        ),
        (HOSTILE.name, {HOSTILE.scopes[1].name: ("Limit is 0", "red"), HOSTILE.scopes[0].name: ("74.00%", "blue")}),
    ],
)
def test_cards_have_their_colours_and_exact_percentages(
    grafana: str, browser: Browser, organisation: str, cards: dict[str, tuple[str, str]], theme: str
) -> None:
    """A card per scope, in a row of its own, in the names' order."""
    with View(browser, dashboard_url(grafana, "api-usage", theme=theme, organisation=organisation), 1280) as view:
        values = view.gauge_values()
        seen = [value.inner_text().replace("\n", "").replace("\u00a0", " ") for value in values]
        colours = [hue(value.evaluate("element => getComputedStyle(element).color")) for value in values]
        assert list(zip(seen, colours, strict=True)) == list(cards.values())
        for scope, value in zip(cards, values, strict=True):
            at = value.bounding_box()
            rows = view.page.locator(".dashboard-row__title, [data-testid*='row-title']").filter(has_text=scope)
            row = rows.first.bounding_box()
            assert at
            assert row
            assert 0 < at["y"] - row["y"] < 120, scope


def test_one_scope_is_chosen_alone(grafana: str, browser: Browser) -> None:
    url = dashboard_url(grafana, "api-usage", organisation=NAMES[1], scope="Import\\Export")
    with View(browser, url, 1280) as view:
        (value,) = view.gauge_values()
        assert value.inner_text().replace("\n", "") == "90.01%"


def test_the_chart_has_30_bars_and_tells_date_and_count(grafana: str, browser: Browser, demo: WatchedDemo) -> None:
    organisation = ACCOUNTS[1]
    with View(browser, dashboard_url(grafana, "api-usage", organisation=organisation.name), 1280) as view:
        days: dict[str, int] = {}
        for state in demo.meter.usage(organisation.id):
            for day, requests_ in state.daily:
                days[day.isoformat()] = days.get(day.isoformat(), 0) + requests_
        assert len(days) == 30
        assert view.page.get_by_text(min(days), exact=True).count() == 1
        assert view.page.get_by_text(max(days), exact=True).count() == 1
        told = view.hovered(view.panel("Daily Usage"), len(days))
        assert told == [f"Date: {day}, Requests: {count:,}" for day, count in sorted(days.items())]


def test_stale_data_and_a_failing_vendor_look_like_it(grafana: str, browser: Browser, demo: WatchedDemo) -> None:
    demo.faults.set("401", "example-media")
    try:
        with View(browser, dashboard_url(grafana, "api-usage", organisation="Example Media"), 1280) as view:
            view.reload_until("Failing: auth")
            view.reload_until("Stale since")
            assert view.cut_off() == []
            assert len(view.gauge_values()) == 3
    finally:
        demo.faults.set("none", "example-media")


def test_the_overview_leads_to_an_organisation_s_page(grafana: str, browser: Browser) -> None:
    with View(browser, dashboard_url(grafana, "api-usage-overview"), 1920) as view:
        runbook = view.page.locator("a").filter(has_text="ApiUsageHigh").first.get_attribute("href")
        assert runbook == f"{RUNBOOKS_URL}/ApiUsageHigh.md"
        link = view.page.locator("a").filter(has_text=HOSTILE.scopes[0].name).first
        url = link.get_attribute("href")
        assert url
    with View(browser, grafana + url, 1280) as view:
        (value,) = view.gauge_values()
        assert value.inner_text().replace("\n", "") == "74.00%"


def test_they_import_by_hand(grafana: str, browser: Browser) -> None:
    for uid in UIDS:
        board = json.loads((DASHBOARDS / f"{uid}.json").read_text(encoding="utf-8"))
        board |= {"uid": f"{uid}-2", "title": f"{board['title']} by hand"}
        body = {"dashboard": board, "overwrite": False, "inputs": [], "folderId": 0}
        answer = requests.post(f"{grafana}/api/dashboards/import", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        with View(browser, dashboard_url(grafana, f"{uid}-2"), 1280) as view:
            assert view.errors() == []
