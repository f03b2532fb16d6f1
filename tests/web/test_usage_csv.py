"""/api/v1/usage.csv and the JSON's schema, over real HTTP."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests
from jsonschema import Draft202012Validator

from exporter.errors import AuthError
from exporter.model import BillingPeriod, DailyUsage
from exporter.view.usage_csv import DAY_COLUMNS, PERIOD_COLUMNS, SCOPE_COLUMNS
from tests.support.asgi import serve_asgi
from tests.support.watched import NOVEMBER, Watched, days, scope, targets_of


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt"]}, time_zone="Asia/Tokyo"))


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


def rows(answer: requests.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(answer.content.decode("utf-8").splitlines()))


def get(url: str, path: str = "", **headers: str) -> requests.Response:
    return requests.get(f"{url}/api/v1/usage.csv{path}", headers=headers, timeout=10)


def test_a_row_a_scope(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope('Maps, "north"', 940, rate_limit_per_minute=60, rejected=3, daily=days(30, 40)))
    watched.reads("Bolt", scope("地図", 0.5, None, unit="credits", period=None))
    answer = get(url)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="api-usage-scopes.csv"'
    assert answer.content.endswith(b"\r\n")
    assert answer.content.count(b"\n") == answer.content.count(b"\r\n") == 3
    maps, drawn = rows(answer)
    assert tuple(maps) == SCOPE_COLUMNS
    expected = {
        "api": "vendor",
        "organisation": "Acme",
        "organisation_id": "id-0",
        "scope": 'Maps, "north"',
        "unit": "requests",
        "requests": "940",
        "limit": "1000",
        "used_percent": "94",
        "band": "critical",
        "rate_limit_per_minute": "60",
        "rejected": "3",
        "period_end": "2026-12-01T00:00:00Z",
        "fetched_at": "2026-11-22T12:00:00Z",
    }
    assert {name: maps[name] for name in expected} == expected
    assert float(maps["forecast_low"]) <= float(maps["forecast_middle"]) <= float(maps["forecast_high"])
    assert (drawn["scope"], drawn["requests"], drawn["limit"], drawn["unit"]) == (
        "地図",
        "0.5",
        "unlimited",
        "credits",
    )
    assert (drawn["used_percent"], drawn["band"], drawn["period_end"], drawn["rejected"]) == ("", "", "", "")


def test_a_row_a_day(watched: Watched, url: str) -> None:
    partly = DailyUsage(date(2026, 11, 21), 30, exact=False)
    watched.reads("Acme", scope("Maps", 70, daily=(partly, DailyUsage(date(2026, 11, 22), 40))))
    watched.reads("Bolt", scope("Mail", 1))
    answer = get(url, "?rows=days")
    assert tuple(rows(answer)[0]) == DAY_COLUMNS
    assert [(row["date"], row["requests"], row["exact"], row["time_zone"]) for row in rows(answer)] == [
        ("2026-11-21", "30", "false", "Asia/Tokyo"),
        ("2026-11-22", "40", "true", "Asia/Tokyo"),
    ]


def test_a_row_a_past_period(watched: Watched, url: str) -> None:
    december = BillingPeriod(NOVEMBER.end, NOVEMBER.end + timedelta(days=31))
    watched.reads("Acme", scope("Maps", 70), scope("Free", 5, None))
    watched.clock.advance(days=8, hours=11)
    watched.reads("Acme", scope("Maps", 90), scope("Free", 6, None))
    watched.clock.advance(hours=2)
    watched.reads("Acme", scope("Maps", 1, period=december), scope("Free", 0, None, period=december))
    answer = get(url, "?rows=periods")
    assert tuple(rows(answer)[0]) == PERIOD_COLUMNS
    assert answer.headers["Content-Disposition"] == 'attachment; filename="api-usage-periods.csv"'
    assert [tuple(row.values())[3:] for row in rows(answer)] == [
        ("Maps", "", "requests", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "90", "1000", "2026-11-30T23:00:00Z"),
        ("Free", "", "requests", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "6", "unlimited",
         "2026-11-30T23:00:00Z"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\tx", "\r=x"])
def test_a_spreadsheet_runs_no_name(watched: Watched, url: str, name: str) -> None:
    watched.reads("Acme", scope(name, 500, plan=name, daily=days(1)))
    period = BillingPeriod(NOVEMBER.end, NOVEMBER.end + timedelta(days=31))
    watched.clock.advance(days=8, hours=13)
    watched.reads("Acme", scope(name, 1, plan=name, daily=days(1), period=period))
    for which in ("scopes", "days", "periods"):
        _, row = csv.reader(io.StringIO(get(url, f"?rows={which}").content.decode(), newline=""))
        assert row[3] == f"'{name}"
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_part_an_etag_and_gzip(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", 1))
    watched.reads("Bolt", scope("Mail", 1))
    first = get(url, "?organisation=Bolt")
    assert [row["scope"] for row in rows(first)] == ["Mail"]
    known = {"If-None-Match": first.headers["ETag"]}
    watched.clock.advance(seconds=7)
    assert (get(url, "?organisation=Bolt", **known).status_code, get(url, **known).status_code) == (304, 200)
    watched.reads("Bolt", scope("Mail", 2))
    assert get(url, "?organisation=Bolt", **known).status_code == 200
    assert first.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in get(url, **{"Accept-Encoding": "identity"}).headers


def test_what_has_no_rows_is_said(url: str) -> None:
    answer = get(url, "?rows=weeks")
    assert answer.status_code == 400
    assert answer.text == "rows must be one of scopes, days, periods, not 'weeks', such as ?rows=days\n"
    assert len(rows(get(url, "?organisation=nobody"))) == 0


def test_the_json_is_as_its_schema_says(watched: Watched, url: str) -> None:
    watched.reads(
        "Acme",
        scope("Maps", 940, rate_limit_per_minute=60, rejected=3, daily=days(*range(0, 60, 2))),
        scope("Free", 7, None, period=None),
        scope("None", 0, 0),
    )
    watched.fails("Bolt", AuthError("the vendor answered 401"))
    answer = requests.get(f"{url}/api/v1/usage.schema.json", timeout=10)
    assert answer.headers["Content-Type"] == "application/schema+json"
    schema = answer.json()
    Draft202012Validator.check_schema(schema)
    document = requests.get(f"{url}/api/v1/usage", timeout=10).json()
    Draft202012Validator(schema).validate(document)
    assert document["version"] == schema["properties"]["version"]["const"]
    assert schema == json.loads((Path(__file__).parents[2] / "docs/usage.schema.json").read_text(encoding="utf-8"))
    # Every field of the document is described, also those of parts that are null here.
    described = set(schema["properties"])
    assert set(document) == described == set(schema["required"]) | {"version"}
    del document["organisations"][0]["scopes"][0]["forecast"]
    assert not Draft202012Validator(schema).is_valid(document)
