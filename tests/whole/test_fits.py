"""`api-usage-exporter fits` and /api/v1/fits, over real HTTP."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner, Result

from exporter.cli import main
from exporter.view.fits import QuestionError, moment_of
from tests.support.asgi import serve_asgi
from tests.support.watched import Watched, days, scope, targets_of

# 100 a day, as of 22 November: about 850 more come until the month ends.
STEADY = scope("Maps", 2150, 4000, id="maps", daily=days(*[100.0] * 29, 50))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    apis = {"vendor": ["Acme", "Bolt"], "other": ["Acme"]}
    watched = Watched(targets_of(tmp_path, apis, stale_after="15m", time_zone="America/New_York"))
    watched.reads("Acme", STEADY, replace(STEADY, name="Free", id="free", limit=None))
    watched.reads("Bolt", scope("Tiles", 10, 20))
    watched.reads("Acme", scope("Tiles", 10, 20), api="other")
    return watched


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["fits", "--url", url, *arguments])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--scope=Maps", "--requests=500"], 0,
         "Yes: 500 requests more for Maps of Acme, until 30 Nov 2026, 19:00 EST: over 99% likely to fit beside the "
         "usual use."),
        (["--scope=maps", "--requests=500", "--by=friday"], 0,
         "Yes: 500 requests more for Maps of Acme, until the end of Friday, 27 November 2026: over 99% likely"),
        (["--scope=Maps", "--requests=1150", "--by=friday"], 1,
         "No: 1,150 requests more for Maps of Acme, until the end of Friday, 27 November 2026: they can be made in time, "
         "but then the limit is likely reached before the period ends."),
        (["--scope=Maps", "--requests=1e6"], 1, "that is more than is left."),
        (["--scope=Maps", "--requests=1500", "--by=2026-12-24"], 3,
         "Not known: 1,500 requests more for Maps of Acme, until 30 Nov 2026, 19:00 EST: they do not fit into this "
         "billing period, and of the next one nothing is known."),
        (["--scope=Free", "--requests=1e6"], 0, "there is no limit."),
        (["--scope=Tiles", "--requests=11", "--organisation=Bolt"], 1, "of Bolt"),
        (["--scope=Tiles", "--requests=11", "--api=other"], 1, "of Acme"),
    ],
)  # fmt: skip
def test_yes_no_and_not_known(url: str, arguments: list[str], code: int, said: str) -> None:
    done = run(url, *arguments)
    assert said in done.stdout
    assert done.exit_code == code


def test_the_probability_after_the_job_is_said(url: str) -> None:
    done = run(url, "--scope=Maps", "--requests=1150", "--by=friday")
    assert "Left now: 1,850, read just now.\nWith them the limit is " in done.stdout
    assert done.stdout.endswith("likely to be reached before the period ends; without, under 1%.\n")
    document = json.loads(run(url, "--scope=Maps", "--requests=1150", "--by=friday", "--output=json").stdout)
    assert (document["fit"]["answer"], document["fit"]["why"]) == ("no", "runs_out")
    assert document["fit"]["over_limit_probability"] > 0.9
    assert document["fit"]["fits_probability"] > 0.9
    assert document["fit"]["without_job"] < 0.01
    assert document["fit"]["by"] == "2026-11-28T05:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope=Map", "--requests=1"], "there is no scope 'Map'; there is Maps"),
        (["--scope=Tiles", "--requests=1"],
         "'Tiles' is a scope of Bolt (vendor), Acme (other): say which organisation, and api"),
        (["--scope=Maps", "--requests=1", "--organisation=nobody"],
         "no organisation of that name or id is watched"),
        (["--scope=Maps", "--requests=1", "--by=soon"],
         "by must be a weekday, today, tomorrow, or a date or time such as 2026-11-27T18:00, not 'soon'"),
        (["--scope=Maps", "--requests=1", "--by=2026-11-21"], "by must lie ahead; '2026-11-21' is over"),
        (["--scope=Maps", "--requests=0"], "Invalid value for '--requests'"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered(url: str, arguments: list[str], said: str) -> None:
    done = run(url, *arguments)
    assert said in done.stderr
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_is_not_known_is_not_yes(watched: Watched, url: str) -> None:
    watched.clock.advance(minutes=5)
    watched.reads("Acme", replace(STEADY, requests=3), replace(STEADY, name="Free", id="free", limit=None))
    held_back = run(url, "--scope=Maps", "--requests=1")
    assert (held_back.exit_code, "contradicts those before" in held_back.stdout) == (3, True)
    watched.clock.advance(minutes=20)
    old = run(url, "--scope=Free", "--requests=1")
    assert (old.exit_code, "the data is too old, read 20 minutes ago" in old.stdout) == (3, True)


def test_a_scope_that_may_still_be_read_is_not_known(url: str, watched: Watched, tmp_path: Path) -> None:
    watched.store.set_targets(targets_of(tmp_path, {"new": ["Late"]}))
    done = run(url, "--scope=Maps", "--requests=1")
    assert (done.exit_code, done.stderr) == (3, "no scope 'Maps' is known, but nothing current is known of Late\n")


def test_the_exporter_may_come_from_the_environment(url: str) -> None:
    variable = {"API_USAGE_EXPORTER_URL": url}
    done = CliRunner().invoke(main, ["fits", "--scope=Maps", "--requests=500"], env=variable)
    assert done.exit_code == 0
    assert "Acme\tvendor\t" in CliRunner().invoke(main, ["usage"], env=variable).output


def test_without_an_exporter_it_is_not_known() -> None:
    done = run("http://user:secret@127.0.0.1:9", "--scope=Maps", "--requests=1")
    assert done.exit_code == 3
    assert done.stderr == "no exporter answers at http://127.0.0.1:9; --url names another\n"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("requests=1", "give scope once, such as ?scope=Geocoding&requests=20000&by=friday"),
        ("scope=Maps&requests=1&requests=2", "give requests once, such as ?scope=Geocoding&requests=20000&by=friday"),
        ("scope=Maps&requests=many", "requests must be a number, not 'many'"),
        ("scope=Maps&requests=nan", "requests must be a number over 0, not nan"),
        ("scope=Maps&requests=-1", "requests must be a number over 0, not -1"),
    ],
)
def test_questions_over_http_are_refused_in_words(url: str, query: str, said: str) -> None:
    answered = requests.get(f"{url}/api/v1/fits?{query}", timeout=10)
    assert (answered.status_code, answered.json()) == (400, {"error": said})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("friday", "2026-11-28T05:00"),
        ("Saturday", "2026-11-22T05:00"),
        ("today", "2026-11-22T05:00"),
        ("tomorrow", "2026-11-23T05:00"),
        ("2026-11-27", "2026-11-28T05:00"),
        ("2026-11-27T18:00", "2026-11-27T23:00"),
        ("2026-11-27T18:00+01:00", "2026-11-27T17:00"),
        (" 2026-11-27 18:00 ", "2026-11-27T23:00"),
    ],
)
def test_deadlines_are_those_of_the_scope_s_time_zone(text: str, expected: str) -> None:
    """It is Saturday in New York, and Sunday in UTC already."""
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert moment_of(text, now, ZoneInfo("America/New_York")) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["fri", "5", "2026-13-01", "0001-01-01T00:00+23:59", "9999-12-31", ""])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(QuestionError, match="by must be a weekday"):
        moment_of(text, datetime(2026, 11, 22, 3, tzinfo=UTC), ZoneInfo("UTC"))
