"""`api-usage-exporter plan` and /api/v1/plan, over real HTTP."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from click.testing import CliRunner, Result

from exporter.cli import main
from tests.support.asgi import serve_asgi
from tests.support.months import Months
from tests.support.programs import ROOT
from tests.support.watched import Watched, targets_of

PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")


def documented_prices() -> dict[str, object]:
    (example,) = re.findall(r"```yaml\n(apis:\n.*?)```", PAGE, re.DOTALL)
    return dict(yaml.safe_load(example)["apis"][0]["prices"])


@pytest.fixture
def months(tmp_path: Path) -> Months:
    months = Months(tmp_path, documented_prices(), "Example Logistics")
    for number, tracking in enumerate((41_000, 47_500, 58_300, 71_200, 92_100), start=7):
        months.goes(number, Tracking=tracking, Routing=12_000)
    return months


@pytest.fixture
def url(months: Months) -> Iterator[str]:
    with serve_asgi(months.watched.fresh) as url:
        yield url


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", "--url", url, *arguments], env={"COLUMNS": "118"})


def test_it_prints_what_the_docs_show(url: str) -> None:
    done = run(url)
    (shown,) = re.findall(r"is enough:\n\n((?: {4}.*\n)+)", PAGE)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == textwrap.dedent(shown) + "\n"


def test_growth_is_asked_for_in_percent(url: str) -> None:
    done = run(url, "--growth=20", "--api=maps", "--organisation=Example Logistics")
    assert "5 billing periods, 2026-07 to 2026-11, with 20% more of everything" in done.stdout


def test_the_document_is_what_the_address_answers(url: str) -> None:
    document = json.loads(run(url, "--output=json").stdout)
    assert document == requests.get(f"{url}/api/v1/plan", timeout=10).json()
    (found,) = document["organisations"]
    best = found["options"][0]
    assert (best["plan"], best["add_ons"], best["average"]) == ("Starter", {"Tracking +25,000": 2}, "129.00")
    assert found["current"] == "Starter"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("growth=much", "growth must be a number of percent, such as 20, not 'much'"),
        ("growth=-100", "growth must be over -100 and at most 10000, in percent, not -100"),
        ("organisation=Nobody", "no organisation of that name or id, and api, is watched"),
    ],
)
def test_questions_are_refused_in_words(url: str, query: str, said: str) -> None:
    answered = requests.get(f"{url}/api/v1/plan?{query}", timeout=10)
    assert (answered.status_code, answered.json()) == (400, {"error": said})
    name, _, value = query.partition("=")
    if value != "much":
        done = run(url, f"--{name}={value}")
        assert (done.exit_code, done.stderr) == (2, f"{said}\n")


def test_without_prices_it_says_where_to_write_them(tmp_path: Path) -> None:
    watched = Watched(targets_of(tmp_path, {"maps": ["Acme"]}))
    with serve_asgi(watched.fresh) as url:
        done = run(url)
    assert (done.exit_code, done.stderr) == (
        2,
        "the config has no prices for maps; docs/planning.md says how to write them\n",
    )


def test_without_an_exporter_it_says_which_was_asked() -> None:
    done = run("http://user:secret@127.0.0.1:9")
    assert (done.exit_code, done.stderr) == (1, "no exporter answers at http://127.0.0.1:9; --url names another\n")


def test_another_address_is_no_plan(url: str) -> None:
    done = run(f"{url}/nothing")
    assert (done.exit_code, done.stderr) == (1, f"{url}/nothing answered 404 Not Found\n")
