"""A scope without a limit of which the vendor tells only what is left: it says so, and keeps its other numbers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import requests
from click.testing import CliRunner

from exporter.cli import main
from tests.support.asgi import serve_asgi
from tests.support.watched import Watched, days, scope, targets_of

FREE = replace(scope("Free", 5, None, rate_limit_per_minute=60, plan="Pro"), requests=None, daily=None)


def watched_by(tmp_path: Path) -> Watched:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme"]}))
    watched.reads("Acme", FREE, scope("Limited", 10, 100, daily=days(1, 2)))
    return watched


def test_metrics_have_its_rate_limit_and_no_count(tmp_path: Path) -> None:
    lines = [line for line in watched_by(tmp_path).text().splitlines() if 'scope="Free"' in line]
    names = {line.partition("{")[0] for line in lines}
    assert {
        "api_usage_rate_limit_requests_per_minute",
        "api_usage_scope_info",
        "api_usage_read_timestamp_seconds",
    } <= names
    assert not names & {"api_usage_requests", "api_usage_limit_requests", "api_usage_daily_requests"}


def test_pages_and_documents_say_so(tmp_path: Path) -> None:
    watched = watched_by(tmp_path)
    with serve_asgi(watched.fresh) as url:
        for arguments in ((), ("--cards",)):
            shown = CliRunner().invoke(main, ["usage", f"--url={url}", *arguments])
            assert shown.exit_code == 0, shown.output
            assert "No limit; the vendor does not say what is used" in shown.output
        document = json.loads(CliRunner().invoke(main, ["usage", f"--url={url}", "--output=json"]).output)
    card = next(card for card in document["organisations"][0]["scopes"] if card["scope"] == "Free")
    assert (card["requests"], card["limit"], card["rate_limit_per_minute"]) == (None, "unlimited", 60)
    client = watched.pages.test_client()
    for path in ("/?api=vendor&organisation=Acme", "/why?api=vendor&organisation=Acme&scope=Free", "/digest"):
        response = client.get(path)
        assert response.status_code == 200, path
    assert "the vendor does not say what is used" in client.get("/?api=vendor&organisation=Acme").text


def test_spreadsheets_leave_the_count_empty(tmp_path: Path) -> None:
    with serve_asgi(watched_by(tmp_path).fresh) as url:
        rows = list(csv.DictReader(requests.get(f"{url}/api/v1/usage.csv", timeout=10).text.splitlines()))
    free = next(row for row in rows if row["scope"] == "Free")
    assert (free["requests"], free["limit"], free["rate_limit_per_minute"]) == ("", "unlimited", "60")


def test_a_limit_that_comes_later_counts_from_then(tmp_path: Path) -> None:
    watched = watched_by(tmp_path)
    watched.clock.advance(minutes=5)
    watched.reads("Acme", scope("Free", 70, 100), scope("Limited", 10, 100))
    assert 'api_usage_requests{api="vendor",organisation="Acme",scope="Free"} 70' in watched.text().replace(".0", "")
