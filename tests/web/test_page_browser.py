"""The usage page in a real Chromium: what it looks like, how it is worked with, and that it refreshes in peace."""

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from exporter.errors import AuthError
from exporter.model import BillingPeriod, DailyUsage
from exporter.web.asgi import Receive, Scope, Send
from tests.support.asgi import serve_asgi
from tests.support.watched import NOVEMBER, TODAY, Watched, days, scope, targets_of

LIMIT = "/?api=vendor&organisation=Acme&view=limit"
TODAY_OF_ONE = "Sunday, 22 November 2026: 129 requests so far, likely 185 by its end"
WHY = "/why?api=vendor&organisation=Acme&scope=At+9001"
ACME = "/?api=vendor&organisation=Acme"
HOSTILE = '"><script>document.title="taken"</script>'
PLAN = "/plan?api=vendor&organisation=Acme&growth=20&option=Small"
PRICES = {
    "currency": "EUR",
    "current": "Small",
    "plans": {
        "Small": {"price": 49, "scopes": {"At 7499": 10_000, "At 9001": 10_000}, "link": "https://maps.test/small"},
        "Large": {"price": 310, "scopes": {"At 7499": 100_000, "At 9001": "unlimited"}},
    },
    "add_ons": {f"More {HOSTILE}": {"price": 40, "scope": "At 9001", "adds": 5_000}},
}

# usage of 10,000, percentage, the band's class, words beside the colour
BANDS = [
    (7_499, "74.99%", "normal", "Within the limit"),
    (7_500, "75.00%", "warning", "Nearing the limit"),
    (9_000, "90.00%", "warning", "Nearing the limit"),
    (9_001, "90.01%", "critical", "Almost used up"),
    (10_400, "104.00%", "critical", "Over the limit by 400"),
]
COLOURS = {
    "light": {"normal": "rgb(36, 99, 235)", "warning": "rgb(217, 122, 6)", "critical": "rgb(217, 38, 38)"},
    "dark": {"normal": "rgb(91, 147, 255)", "warning": "rgb(240, 163, 47)", "critical": "rgb(240, 96, 93)"},
}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    names = {"vendor": ["Acme", HOSTILE, "Quiet"], "mail": ["Acme"]}
    watched = Watched(targets_of(tmp_path, names, poll_interval="10s", prices=PRICES))
    acme = (scope(f"At {used}", used, 10_000, daily=days(*range(100, 130))) for used, *_ in BANDS)
    watched.reads("Acme", *acme, scope("Free", 5, None, unit="tokens", rejected=7))
    watched.reads(HOSTILE, scope(HOSTILE, plan=HOSTILE, unit=HOSTILE, daily=days(1), rejected=1))
    return watched


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page whose every complaint, say of the content security policy, fails the test."""
    complaints: list[str] = []
    context = browser.new_context(base_url=url, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(5_000)
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(url) else complaints.append(request.url))
    yield page
    context.close()
    assert complaints == []


def box(part: Locator) -> tuple[float, float]:
    """From where to where it reaches across."""
    found = part.bounding_box()
    assert found is not None
    return found["x"], found["x"] + found["width"]


def refresh(page: Page) -> None:
    """What the page does by itself every few seconds, at once."""
    page.evaluate("refresh()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_percentages_and_words(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(ACME)
    for used, percentage, band, status in BANDS:
        card = page.locator(".card", has=page.get_by_role("heading", name=f"At {used}", exact=True))
        bar = card.locator(".bar rect")
        expect(card.locator(".percentage")).to_have_text(percentage)
        runs_out = "Runs out likely Sun 29 Nov" if 9_000 <= used < 10_000 else status
        expect(card.locator(".status")).to_have_text(runs_out)
        expect(bar).to_have_css("fill", COLOURS[scheme][band])
        (start, filled), (_, end) = box(bar), box(card.locator(".bar"))
        assert (filled - start) / (end - start) == pytest.approx(min(used / 10_000, 1), abs=0.01)
        meter = page.get_by_role("meter", name=f"At {used}", exact=True)
        expect(meter).to_have_attribute("value", str(min(used / 10_000, 1.0)))
        told = f"{percentage}, {used:,} of 10,000 requests. {status}."
        expect(meter).to_have_attribute("aria-valuetext", told)
    free = page.locator(".card.unlimited")
    expect(free).to_contain_text("No limit")
    expect(free.get_by_role("meter")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize(
    "path", [ACME, "/", "/?api=vendor&organisation=Quiet", "/?find=zzz", "/digest", WHY, LIMIT, PLAN, "/plan"]
)
def test_axe_finds_nothing_and_nothing_sticks_out(page: Page, path: str, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path)
    if path == ACME:
        page.get_by_text("Show as a table").click()
        page.get_by_text("Switch organisation").click()
        page.locator(".day").last.focus()
    found = Axe().run(page)
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_that_is_not_there_is_accessible_too(browser: Browser, url: str) -> None:
    page = browser.new_page(base_url=url)
    page.goto("/nothing/here")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    assert Axe().run(page).violations_count == 0
    page.close()


def test_the_strip_leads_to_the_cards_and_the_tab_says_how_it_stands(page: Page, watched: Watched) -> None:
    page.goto(ACME)
    strip = page.get_by_role("region", name="What needs action")
    expect(strip).to_contain_text("3 need action")
    expect(strip).to_contain_text("At 10400 over by 400 since Thu 19 Nov")
    expect(strip).to_contain_text("1–30 Nov 2026, 8 days left")
    strip.get_by_role("link", name="At 7500").click()
    expect(page.get_by_role("heading", name="At 7500")).to_be_in_viewport()
    expect(page.get_by_role("heading", name="At 7500")).to_be_focused()
    assert page.title() == "3 need action · Acme · API usage"
    icon = page.locator("#icon")
    assert "favicon-critical" in (icon.get_attribute("href") or "")
    used = {name: 7_500 if name == 7_500 else 100 for name, *_ in BANDS}
    watched.clock.advance(days=9)  # into the next period
    december = BillingPeriod(NOVEMBER.end, datetime(2027, 1, 1, tzinfo=UTC))
    few = days(*[1] * 30)
    watched.reads(
        "Acme", *(scope(f"At {name}", count, 10_000, period=december, daily=few) for name, count in used.items())
    )
    refresh(page)
    expect(page).to_have_title("1 to watch · Acme · API usage")
    assert "favicon-warning" in (icon.get_attribute("href") or "")


def test_the_vendors_order_on_request(page: Page) -> None:
    page.goto(ACME)
    names = page.locator(".card h3")
    expect(names.first).to_have_text("At 10400")
    page.get_by_role("link", name="the vendor's").click()
    expect(names.first).to_have_text("At 7499")
    page.get_by_label("Show").select_option("At 9000")
    page.wait_for_url("**order=vendor**")
    expect(names.first).to_have_text("At 7499")


def test_refusals_now_override_the_check_mark(page: Page, watched: Watched) -> None:
    watched.clock.advance(minutes=1)
    watched.reads("Acme", scope("Free", 5, None, rejected=7), scope("Calm", 5, rejected=9, rate_limit_per_minute=10))
    watched.clock.advance(minutes=5)
    watched.reads(
        "Acme", scope("Free", 5, None, rejected=7), scope("Calm", 55, rejected=10, rate_limit_per_minute=10)
    )
    page.goto(ACME)
    calm = page.locator(".card", has=page.get_by_role("heading", name="Calm"))
    expect(calm.locator(".status")).to_have_text("Within the limit; 1 refused in the last hour")
    expect(calm.locator(".status use")).to_have_attribute("href", "#icon-warning")
    meter = calm.get_by_role("meter", name="Pace, of the rate limit of Calm")
    expect(meter).to_have_attribute("aria-valuetext", "10 in the busiest 5 minutes of the last hour")
    free = page.locator(".card", has=page.get_by_role("heading", name="Free"))
    expect(free.locator(".status use")).to_have_attribute("href", "#icon-unlimited")


def test_until_the_limit(page: Page) -> None:
    page.goto(ACME)
    page.get_by_label("As").select_option("limit")
    expect(page.get_by_role("heading", name="Until the limit")).to_be_visible()
    page.get_by_label("Show").select_option("At 9000")
    chart = page.locator(".until")
    expect(chart).to_have_accessible_name(
        re.compile("At 9000, 1 Nov 2026 to 30 Nov 2026: Runs out likely Sun 29 Nov")
    )
    (left, right), (at, _) = box(chart), box(page.locator(".crossing"))
    assert 0.9 < (at - left) / (right - left) < 1
    page.get_by_text("Show as a table").click()
    expect(page.locator("tbody tr").first).to_have_text("22 Nov 2026, 12:00 UTC9,000")
    page.get_by_label("Show").select_option("Free")
    expect(page.locator(".daily")).to_contain_text("This scope has no limit to come to")


def test_times_are_the_readers_and_days_the_vendors(browser: Browser, url: str, watched: Watched) -> None:
    watched.clock.advance(minutes=20)
    watched.reads("Acme", scope("At 7500", 7_500, 10_000))
    context = browser.new_context(base_url=url, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(ACME)
    expect(page.get_by_text("Times are in Asia/Tokyo, yours; days are in UTC, the vendor's.")).to_be_visible()
    stale = page.locator(".card", has=page.get_by_role("heading", name="At 9001"))
    expect(stale).to_contain_text("Stale since 22 Nov 2026, 21:00 JST")
    expect(page.locator(".strip")).to_contain_text("1–30 Nov 2026")
    page.reload()  # at once, by the cookie
    assert "Times are in Asia/Tokyo" in page.content()
    context.close()


def test_hovering_a_bar_tells_its_date_and_count(page: Page) -> None:
    page.goto(ACME)
    page.get_by_label("Show").select_option("Total of requests")
    expect(page.locator(".daily")).to_contain_text("17,175 requests")
    day = page.locator(".day").nth(28)
    readout = day.locator(".readout")
    expect(readout).to_be_hidden()
    day.locator(".column").hover(position={"x": 5, "y": 5})  # beside the bar counts as well: a low one is hard to hit
    expect(readout).to_be_visible()
    assert readout.locator("text").all_text_contents() == [
        "Saturday, 21 November 2026",
        "640 requests",
        "1.2 × a usual Saturday",
    ]
    assert page.locator(".range span").all_inner_texts() == ["24 Oct 2026", "UTC", "22 Nov 2026"]


@pytest.mark.parametrize("width", [360, 1200])
def test_every_readout_fits_its_box_and_the_screen(page: Page, watched: Watched, width: int) -> None:
    long_units = scope(unit="transcribed minutes of calls", daily=days(*range(1_000_000, 1_000_030)))
    watched.reads("Acme", long_units)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(ACME)
    for index in (0, 7, 18, 29):
        day = page.locator(".day").nth(index)
        day.focus()
        left, right = box(day.locator(".readout rect"))
        assert left >= 0
        assert right <= width
        for text in day.locator("text").all():
            begins, ends = box(text)
            assert left < begins < ends < right


def test_the_chart_by_keyboard(page: Page) -> None:
    page.goto(f"{ACME}&daily=total:requests")
    page.locator("#daily-view").focus()
    page.keyboard.press("Tab")
    focused = page.locator(".day:focus")
    expect(focused).to_have_accessible_name("Sunday, 22 November 2026: 645 requests so far, likely 924 by its end")
    expect(focused.locator(".readout")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(focused).to_have_accessible_name("Saturday, 21 November 2026: 640 requests, 1.2 × a usual Saturday")
    page.keyboard.press("Home")
    expect(focused).to_have_accessible_name("Saturday, 24 October 2026: 500 requests, 0.9 × a usual Saturday")
    page.keyboard.press("Tab")
    expect(page.locator("summary:focus")).to_have_text("Show as a table")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr").first).to_have_text("Sunday, 22 November 2026645 requests so far")


def test_the_chart_of_one_scope(page: Page) -> None:
    page.goto(ACME)
    page.get_by_label("Show").select_option("At 9000")
    expect(page.locator(".day").last).to_have_attribute("aria-label", TODAY_OF_ONE)
    assert "daily=scope%3AAt+9000" in page.url
    page.reload()  # the address can be shared
    expect(page.locator(".day").last).to_have_attribute("aria-label", TODAY_OF_ONE)
    page.get_by_label("Show").select_option("Free")
    expect(page.locator(".daily")).to_contain_text("The vendor has reported no day's usage yet")


def test_another_organisation_by_keyboard(page: Page) -> None:
    page.goto(ACME)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the usage")
    page.get_by_text("Switch organisation").focus()
    page.keyboard.press("Enter")
    expect(page.locator("select:focus, input:focus")).to_be_visible()
    page.get_by_label("Find an organisation").fill("qui")
    expect(page.locator(".drop .choices li")).to_have_count(1)
    expect(page.locator(".drop")).to_contain_text("1 of 4 organisations match")
    page.keyboard.press("Escape")
    expect(page.locator(".drop")).to_be_hidden()
    expect(page.locator(":focus")).to_have_text("Switch organisation")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Find an organisation")).to_be_focused()
    expect(page.locator(".drop .choices li")).to_have_count(4)  # Escape has emptied the search, too
    page.get_by_role("link", name="Quiet").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Quiet")
    assert "organisation=Quiet" in page.url
    expect(page.get_by_text("The exporter has just started")).to_be_visible()


def test_the_fleet_by_keyboard(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".choices .name").first).to_contain_text("Acme")
    page.get_by_role("link", name="1 red").click()
    expect(page.locator(".choices li")).to_have_count(1)
    assert "show=red" in page.url
    page.get_by_role("link", name="1 red").click()
    expect(page.locator(".choices li")).to_have_count(4)
    page.get_by_label("Find an organisation").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".choices a").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Find an organisation")).to_be_focused()
    with page.expect_response("**find=quiet**"):
        page.keyboard.type("quiet")
    expect(page.locator(".choices li")).to_have_count(1)
    assert "find=quiet" in page.url
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Quiet")


def test_on_paper_it_is_light_and_cards_are_whole(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(ACME)
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator(".card").first).to_have_css("break-inside", "avoid")
    expect(page.locator(".bar svg").first).to_have_css("print-color-adjust", "exact")
    expect(page.locator(".bar svg").first).to_have_css("background-color", "rgb(230, 234, 240)")
    expect(page.locator(".bar rect").first).to_have_css("fill", COLOURS["light"]["critical"])
    for gone in (".top", "footer", ".take", ".daily form"):
        expect(page.locator(gone).first).to_be_hidden()
    shown = page.locator(".age time").evaluate("time => getComputedStyle(time, '::after').content")
    assert shown == '": 22 Nov 2026, 12:00 UTC"' or "attr(title)" in shown
    assert page.pdf().startswith(b"%PDF-")


def test_the_address_is_copied(browser: Browser, url: str) -> None:
    context = browser.new_context(base_url=url)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    page = context.new_page()
    page.goto(f"{ACME}&order=vendor")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{url}{ACME}&order=vendor"
    context.clear_permissions()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as without TLS
    page.goto(f"{ACME}&order=vendor")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    context.close()


def test_the_organisation_s_days_as_csv(page: Page) -> None:
    page.goto(ACME)
    with page.expect_download() as download:
        page.get_by_role("link", name="Days as CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 5 * 30
    assert all("Acme" in line for line in lines[1:])


def test_hostile_names_are_only_text(page: Page) -> None:
    page.goto("/?api=vendor")
    page.get_by_role("link", name="taken").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.get_by_role("heading", level=3, name=HOSTILE)).to_have_count(1)
    page.get_by_label("Show").select_option(HOSTILE)
    expect(page.locator(".daily")).to_contain_text(f"1 {HOSTILE}")
    page.wait_for_url("**daily=scope**")
    assert page.title() == f"all fine · {HOSTILE} · API usage"


def test_a_refresh_moves_nothing_but_the_figures(page: Page, watched: Watched) -> None:
    page.set_viewport_size({"width": 800, "height": 400})
    page.goto(ACME)
    before = page.locator(".card").count()
    page.get_by_label("Show").select_option("Total of requests")
    expect(page.locator(".daily")).to_contain_text("17,175 requests")
    page.get_by_text("Show as a table").click()
    page.locator(".day").nth(20).focus()
    page.evaluate("window.kept = document.activeElement; window.top0 = window.scrollY")
    watched.clock.advance(seconds=30)
    watched.reads("Acme", scope("At 7499", 7_600, 10_000, daily=days(*range(200, 230))), scope("New", 1))
    refresh(page)
    risen = page.locator(".card", has=page.get_by_role("heading", name="At 7499", exact=True))
    expect(risen).to_contain_text("76.00%")
    expect(page.locator(".card")).to_have_count(before + 1)
    expect(risen).to_have_class("card warning")
    assert page.evaluate("document.activeElement === window.kept")
    expect(page.locator(".day:focus")).to_have_accessible_name(
        "Friday, 13 November 2026: 700 requests, 1.0 × a usual Friday"
    )
    expect(page.locator("table")).to_be_visible()


def test_the_page_refreshes_by_itself(page: Page, watched: Watched) -> None:
    page.goto("/?api=vendor&organisation=Quiet")
    expect(page.get_by_text("The exporter has just started")).to_be_visible()
    watched.reads("Quiet", scope("First", 500))
    expect(page.locator(".card")).to_contain_text("50.00%", timeout=8_000)


def test_an_exporter_that_does_not_answer_is_told(browser: Browser, watched: Watched) -> None:
    with serve_asgi(watched.fresh) as url:
        page = browser.new_page()
        page.goto(url + ACME)
    refresh(page)
    expect(page.get_by_role("status").filter(has_text="The exporter does not answer")).to_be_visible()
    expect(page.locator(".card").first).to_contain_text("104.00%")
    page.close()


def test_an_exporter_that_takes_the_question_and_never_answers_is_reported(
    browser: Browser, watched: Watched
) -> None:
    silent = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if silent.is_set():
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await asyncio.sleep(30)
        await watched.fresh(scope, receive, send)

    with serve_asgi(app) as url:
        page = browser.new_page()
        page.clock.install()
        page.goto(url + ACME)
        silent.set()
        told = page.get_by_role("status").filter(has_text="The exporter does not answer")
        expect(page.locator(".age")).to_have_text("Updated just now")
        with page.expect_request("**fragment=**"):
            page.clock.run_for(10_000)  # until the page asks for news
        expect(told).to_be_hidden()
        page.clock.run_for(10_000)  # and no longer
        expect(told).to_be_visible()
        expect(page.locator(".age")).to_have_text("Updated 20 seconds ago")
        expect(page.locator(".card").first).to_contain_text("104.00%")
        silent.clear()
        with page.expect_response("**fragment=**"):
            page.clock.run_for(10_000)
        expect(told).to_be_hidden()
        page.close()


def test_without_javascript(browser: Browser, url: str) -> None:
    page = browser.new_page(base_url=url, java_script_enabled=False)
    page.goto("/")
    page.get_by_label("Find an organisation").fill("vendor acme")
    page.get_by_role("button", name="Find").click()  # opens the sole match
    expect(page.locator(".percentage").first).to_have_text("104.00%")
    page.get_by_label("Show").select_option("At 9000")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".day").last).to_have_attribute("aria-label", TODAY_OF_ONE)
    page.locator(".day").last.focus()
    expect(page.locator(".day").last.locator(".readout")).to_be_visible()
    page.close()


def test_partly_seen_days_and_a_failing_poll(page: Page, watched: Watched) -> None:
    watched.reads("Quiet", scope(daily=(DailyUsage(TODAY, 8, exact=False),)))
    watched.fails("Quiet", AuthError("the vendor answered 401 Unauthorized: check the credentials"))
    page.goto("/?api=vendor&organisation=Quiet")
    expect(page.locator(".value.partly")).to_have_css("fill", 'url("#hatch")')
    expect(page.locator(".notice.failing").first).to_be_hidden()  # the one on the exporter itself
    expect(page.get_by_text("The last poll failed just now")).to_be_visible()
    assert Axe().run(page).violations_count == 0
