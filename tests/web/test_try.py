"""/try: a pasted answer becomes a config. Off by default, on this machine alone, and nothing of it is kept."""

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect
from werkzeug.test import TestResponse

from exporter.cli import main
from exporter.state.store import Store
from exporter.view.tried import LARGEST_ANSWER
from exporter.web.app import create_pages
from tests.support.clock import FakeClock
from tests.support.factories import write_config
from tests.support.http import serve


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    clock = FakeClock()
    with create_pages(Store(clock), clock, with_try=True).test_client() as made:
        yield made


def tried(client: FlaskClient, answer: object, **chosen: str) -> TestResponse:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return client.post("/try", data={"answer": text, **{f"set-{name}": value for name, value in chosen.items()}})


def config_of(response: TestResponse) -> dict[str, object]:
    (api,) = yaml.safe_load(unescape(response.text.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]))[
        "apis"
    ]
    return dict(api)


def test_it_is_there_only_where_it_was_asked_for(client: FlaskClient) -> None:
    clock = FakeClock()
    without = create_pages(Store(clock), clock).test_client()
    assert without.get("/try").status_code == 404
    assert "Try an answer" not in without.get("/nowhere").text
    assert client.get("/try").status_code == 200
    assert 'href="/try"' in client.get("/try").text


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:1", 200), ("a.example", 403)]
)
def test_a_foreign_name_for_this_machine_is_refused(client: FlaskClient, host: str, status: int) -> None:
    assert client.get("/try", headers={"Host": host}).status_code == status
    assert (
        client.post("/try", headers={"Host": host}, data={"answer": '{"used": 1, "limit": 2}'}).status_code == status
    )


def test_an_answer_becomes_numbers_and_a_config(client: FlaskClient) -> None:
    response = tried(client, {"used": 1200, "quota": 50_000, "resets_at": "2026-12-01T00:00:00Z"})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    for text in ("1,200", "50,000", "2.40%", "<code>quota</code>"):
        assert text in response.text
    mapping = config_of(response)["mapping"]
    assert mapping == {
        "scope": "Requests",
        "requests": "used",
        "limit": "quota",
        "period": {"end": "resets_at", "length": "month"},
    }


def test_what_is_not_certain_is_asked_and_the_choice_counts(client: FlaskClient) -> None:
    asked = tried(client, {"used": 240, "available": 1000})
    assert "Is available = 1000 the limit, or what is left of it?" in asked.text
    assert 'name="set-limit" value="sum"' in asked.text
    chosen = tried(client, {"used": 240, "available": 1000}, limit="sum")
    assert "1,240" in chosen.text
    assert config_of(chosen)["mapping"] == {
        "scope": "Requests",
        "requests": "used",
        "limit": "add(used, available)",
    }


def test_where_nothing_is_likely_there_is_no_config_before_an_answer(client: FlaskClient) -> None:
    asked = tried(client, {"credits_left": 30})
    assert "what is the limit of a period?" in asked.text
    assert "<pre" not in asked.text
    assert config_of(tried(client, {"credits_left": 30}, limit="5000"))["static"] == {
        "limit": 5000,
        "period": "month",
    }


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("{oops", "the answer is not JSON"),
        ("", "the answer is not JSON"),
        ("<html>", "the answer is an HTML page"),
        ('{"price": 3}', "is this the answer"),
        ("[" * 200 + "]" * 200, "nested more than"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_lost(client: FlaskClient, answer: str, message: str) -> None:
    response = tried(client, answer)
    assert response.status_code == 422
    assert message in unescape(response.text)
    assert unescape(response.text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]) == answer


def test_names_of_the_answer_are_text(client: FlaskClient) -> None:
    response = tried(client, {"<b>x</b>": {"used": 1, "limit": 2}, "</pre><script>": {"used": 1, "limit": 2}})
    assert "<b>x" not in response.text
    assert "<script>" not in response.text


def test_a_huge_answer_is_refused(client: FlaskClient) -> None:
    assert tried(client, "1" * (LARGEST_ANSWER + 1)).status_code == 413


@pytest.mark.parametrize("addresses", [[], [":0"], ["localhost:0", "192.0.2.1:0"], ["unix:/tmp/exporter.sock"]])
def test_it_is_refused_on_addresses_that_others_reach(tmp_path: Path, addresses: list[str]) -> None:
    config = write_config(tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/"})
    flags = [f"--web.listen-address={address}" for address in addresses]
    result = CliRunner().invoke(main, [f"--config.file={config}", "--web.enable-try", *flags])
    assert result.exit_code == 2
    assert "--web.enable-try goes with loopback addresses alone" in result.output


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(browser: Browser, width: int, scheme: str) -> None:
    clock = FakeClock()
    complaints: list[str] = []
    with serve(create_pages(Store(clock), clock, with_try=True)) as url:
        page = browser.new_page(
            base_url=url.replace("127.0.0.1", "localhost"), viewport={"width": width, "height": 800}
        )
        page.on("console", lambda message: complaints.append(message.text))
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto("/try")
        page.get_by_label("The answer, as JSON").fill('{"used": 240, "available": 1000}')
        page.get_by_role("button", name="Read it").click()
        page.get_by_label("available is what is left of it").check()
        page.get_by_role("button", name="Read it again").click()
        expect(page.get_by_role("row", name="Requests 240 requests 1,240")).to_be_visible()
        found = Axe().run(page)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()
    assert complaints == []
