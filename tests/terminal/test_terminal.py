"""`api-usage-exporter usage`: cards in a terminal, plain lines without one, direct polls that try a mapping."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from exporter.cli import main
from exporter.errors import AuthError
from exporter.model import LARGEST_COUNT, LEAST_LIMIT, DailyUsage
from tests.support.asgi import serve_asgi
from tests.support.asking import ask
from tests.support.factories import answer, make_target
from tests.support.http import Vendor
from tests.support.watched import TODAY, Watched, days, scope, targets_of


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt", "Calm"]}, stale_after="15m"))


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    with serve_asgi(watched.fresh) as url:
        yield url


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments], env=environment)


def columns(output: str) -> dict[str, list[str]]:
    """The plain table's rows by scope: cells are two spaces or more apart."""
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 4}


# --- a running exporter's cards


def test_plain_lines_without_a_terminal(watched: Watched, url: str) -> None:
    watched.reads(
        "Acme",
        scope("Maps", 940, rate_limit_per_minute=60, rejected=3, daily=days(*range(0, 60, 2))),
        scope("Über 地図", 7, None, unit="tokens", daily=(DailyUsage(TODAY, 1, exact=False),)),
    )
    result = run("--url", url, "--organisation", "Acme")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert result.output.startswith("Acme (vendor): Updated just now\n")
    assert columns(result.output)["Maps"] == [
        "94.00%",
        "[###################-]",
        "940 of 1,000 requests",
        "Almost used up",
        "60 per minute, 3 refused",
        "8 days left",
        "Reaches the limit, likely on Monday 23 November around 11:00 UTC (between 01:00 and 04:00 on the 24th)",
        "▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇███"[:30],
    ]
    assert columns(result.output)["Über 地図"] == [
        "7 tokens",
        "No limit",
        "not reported",
        "8 days left",
        "about 9 (9 to 10)",
        "·" * 29 + "█",
    ]
    assert "Stay under the rate limit: Maps runs into the requests allowed per minute." in result.output


def test_cards_with_colours_on_a_terminal(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Low", 100), scope("Mid", 800), scope("High", 950, plan="Team", daily=days(1, 3)))
    output = in_terminal("usage", "--url", url, "--organisation", "Acme")
    assert "╭─\x1b[1m High \x1b[0m─" in output
    for style, percentage in (("94", "10.00%"), ("33", "80.00%"), ("91", "95.00%")):
        assert f"\x1b[1;{style}m{percentage}" in output
    assert "\x1b[91m■ Almost used up" in output
    assert "█\x1b[0m\x1b[90m░" in output
    assert "Most 3 on 22 Nov 2026" in output


def in_terminal(*arguments: str) -> str:
    """What a program writes to a real (pseudo-)terminal, 100 columns wide."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "exporter", *arguments]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        written = b""
        try:
            while chunk := os.read(leader, 65_536):
                written += chunk
        except OSError:
            pass  # Linux' way to say that the terminal has no more users
        os.close(leader)
    assert process.returncode == 0, written
    return written.decode()


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_reader_that_has_seen_enough_changes_nothing(watched: Watched, url: str, output: str) -> None:
    watched.reads("Acme", scope("Maps", 950))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "exporter", "usage", "--url", url, "--output", output, "--exit-code"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


def test_a_terminal_of_few_letters(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Straße", 950, daily=days(1, 3)))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "exporter", "usage", "--url", url, "--organisation", "Acme"]
    output = subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode("ascii")
    assert columns(output)["Stra?e"][-1] == "?" * 28 + "-#"


def test_json_is_the_document(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", 940))
    result = run("--url", url, "--output", "json", "--organisation", "id-0")
    document = json.loads(result.stdout)
    assert [one["organisation"] for one in document["organisations"]] == ["Acme"]
    assert document["organisations"][0]["scopes"][0]["used_percentage"] == "94.00%"


def test_a_missing_scope_is_unknown_and_says_since_when(watched: Watched, url: str) -> None:
    for found in ((scope("Maps"), scope("Tiles")), (scope("Maps"),), (scope("Maps"),)):
        watched.clock.advance(minutes=5)
        watched.reads("Acme", *found)
    result = run("--url", url, "--organisation", "Acme", "--exit-code")
    assert result.exit_code == 3
    assert "Missing from the vendor's answers since 22 Nov 2026, 12:10 UTC" in columns(result.output)["Tiles"]


@pytest.mark.parametrize(
    ("counts", "code"),
    [((0, 749), 0), ((749, 750), 1), ((900,), 1), ((901, 0), 2), ((1040, 800), 2), ((), 3)],
)
def test_exit_code_by_the_worst_band(watched: Watched, url: str, counts: tuple[int, ...], code: int) -> None:
    watched.reads("Acme", *(scope(f"Scope {index}", count) for index, count in enumerate(counts)))
    assert run("--url", url, "--organisation", "Acme", "--exit-code").exit_code == code
    assert run("--url", url, "--organisation", "Acme").exit_code == 0


def test_the_largest_counts_are_cards_too(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", LARGEST_COUNT, LEAST_LIMIT, rate_limit_per_minute=LEAST_LIMIT))
    assert run("--url", url, "--organisation", "Acme", "--exit-code").exit_code == 2


def test_a_scope_out_of_range_breaks_neither_page_nor_json_nor_terminal(tmp_path: Path, vendor: Vendor) -> None:
    never = {"start": "2026-11-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}
    scopes = (
        {"name": "Huge", "requests": 1.7e308},
        {"name": "Never", "period": never},
        {"name": "Red", "requests": 950},
    )
    vendor.answer = lambda _: Response(json.dumps(answer(*scopes)))
    target = make_target(tmp_path, url=vendor.url, time_zone="Asia/Tokyo")
    watched = Watched([target])
    watched.store.record(target, ask(target))
    assert "Red" in watched.pages.test_client().get("/?organisation=acme").text
    with serve_asgi(watched.fresh) as url:
        cards = run("--url", url)
        assert (cards.exit_code, "Red" in cards.output) == (0, True)
        # The scopes that could not be read are a failure of the poll, which says which; the red one is known.
        assert run("--url", url, "--exit-code").exit_code == 2


def test_unknown_is_not_normal_but_a_known_band_is(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", 100))
    assert run("--url", url, "--exit-code").exit_code == 3  # nothing is known of the others
    watched.fails("Acme", AuthError("the vendor answered 401"))
    assert run("--url", url, "--organisation", "Acme", "--exit-code").exit_code == 3
    watched.reads("Bolt", scope("Maps", 950))
    assert run("--url", url, "--exit-code").exit_code == 2


def test_old_and_failing_data_say_so(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", 100))
    watched.clock.advance(hours=3)
    watched.fails("Acme", AuthError("the vendor answered 401"))
    output = run("--url", url).output
    assert "The last poll failed just now: the vendor answered 401." in output
    assert "Stale since 22 Nov 2026, 12:15 UTC: last read 3 hours ago" in output
    assert "The exporter has just started and is asking vendor for the usage of Bolt." in output


def test_control_characters_do_not_reach_the_terminal(watched: Watched, url: str) -> None:
    watched.fails("Acme", AuthError("\x1b]0;taken\x07\x9b31m[bold]"))
    output = run("--url", url, "--organisation", "Acme").output
    assert "\ufffd]0;taken\ufffd\ufffd31m[bold]" in output


@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("--exit-code",), 3)])
def test_no_exporter_there(arguments: tuple[str, ...], code: int) -> None:
    result = run("--url", "http://user:hidden@127.0.0.1:9", *arguments)
    assert result.exit_code == code
    assert (
        result.output == "no exporter answers at http://127.0.0.1:9; --url names another, --once polls without one\n"
    )


def test_an_unknown_organisation(url: str) -> None:
    result = run("--url", url, "--organisation", "Acme", "--organisation", "Nobody")
    assert result.exit_code == 1
    assert result.output == f"no organisation called 'Nobody' is watched at {url}\n"


def test_something_else_answers(vendor: Vendor) -> None:
    vendor.answer = lambda _: Response('{"hello": 1}')
    assert "is no api-usage-exporter of this version: time: Field required" in run("--url", vendor.url).output
    vendor.answer = lambda _: Response("no", 404)
    assert "answered 404 NOT FOUND" in run("--url", vendor.url).output


def test_the_url_may_come_from_the_environment(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Maps", 940))
    assert "94.00%" in run(API_USAGE_EXPORTER_USAGE_URL=url).output


# --- direct polls

SECRET = 'se"cr\\et'


def configured(folder: Path, vendor: Vendor, **mapping: Any) -> Path:
    fields = {"scopes": "scopes", "name": "name", "requests": "used", "limit": "max", **mapping}
    api = {
        "name": "vendor",
        "url": vendor.url + "/{organisation_id}",
        "auth": {"type": "bearer", "token": SECRET},
        "mapping": fields,
        "organisations": [{"id": "acme", "name": "Acme"}, {"id": "bolt", "name": "Bolt"}],
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps({"apis": [api]}), encoding="utf-8")
    return file


def answering(*scopes: dict[str, Any]) -> Any:
    return lambda _: Response(json.dumps({"scopes": scopes}), mimetype="application/json")


def test_a_direct_poll_needs_no_exporter(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering({"name": "Maps", "used": 800, "max": 1000})
    file = str(configured(tmp_path, vendor))
    by_either = [
        run("--once", "--config.file", file, "--organisation", "Acme", "--exit-code"),
        run("--config.file", file, "--organisation", "acme", "--exit-code"),
        CliRunner().invoke(main, ["--config.file", file, "usage", "--organisation", "Acme", "--exit-code"]),
        run("--once", "--organisation", "Acme", "--exit-code", API_USAGE_EXPORTER_CONFIG_FILE=file),
    ]
    for result in by_either:
        assert result.exit_code == 1, result.output
        assert columns(result.output)["Maps"][0] == "80.00%"
    assert [request.path for request in vendor.requests] == ["/acme"] * 4


def test_a_saved_answer_is_read_without_asking(tmp_path: Path, vendor: Vendor) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text('{"scopes": [{"name": "Maps", "used": 800, "max": 1000}]}', encoding="utf-8")
    arguments = ("--once", "--config.file", str(configured(tmp_path, vendor)), "--answer", str(answer))
    result = run(*arguments, "--organisation", "acme")
    assert result.exit_code == 0, result.output
    assert columns(result.output)["Maps"][0] == "80.00%"
    assert "has 2 of them; --organisation names one" in run(*arguments).output
    answer.write_text('{"scopes": [{"name": "Maps", "used": "lots", "max": 1000}]}', encoding="utf-8")
    result = run(*arguments, "--organisation", "acme")
    assert result.exit_code == 1
    assert "requests: expression 'used' gave \"lots\", not a number" in result.output
    for text, message in (("{", "JSON"), (None, "No such file")):
        answer.unlink() if text is None else answer.write_text(text, encoding="utf-8")
        result = run(*arguments, "--organisation", "acme")
        assert result.exit_code == 1
        assert str(answer) in result.output
        assert message in result.output
    assert "goes with --once" in run("--answer", str(answer)).output
    assert vendor.requests == []


def test_a_direct_poll_is_coloured_by_the_config_s_thresholds(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering({"name": "Maps", "used": 500, "max": 1000})
    file = configured(tmp_path, vendor)
    config = json.loads(file.read_text(encoding="utf-8"))
    for thresholds, code in (({"warning": 0.5}, 1), ({"warning": 0.2, "critical": 0.4}, 2), ({}, 0)):
        file.write_text(json.dumps({**config, "thresholds": thresholds}), encoding="utf-8")
        result = run("--config.file", str(file), "--organisation", "Acme", "--exit-code")
        assert result.exit_code == code, result.output


def test_the_exporters_own_environment_does_not_make_a_direct_poll(
    watched: Watched, url: str, tmp_path: Path
) -> None:
    watched.reads("Acme", scope("Maps", 940))
    result = run("--url", url, API_USAGE_EXPORTER_CONFIG_FILE=str(tmp_path / "config.yaml"))
    assert "94.00%" in result.output


def test_a_misfit_shows_the_expression_and_the_part_it_met(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(
        {"name": "Maps", "used": 800, "max": 1000},
        {"name": "Mail", "used": 5, "maximum": 10, "days": list(range(30)), "note": "x" * 500},
    )
    result = run("--config.file", str(configured(tmp_path, vendor)), "--organisation", "Acme")
    assert result.exit_code == 1
    assert "80.00%" in result.output
    told = result.output[result.output.index("scope 'Mail'") :]
    assert told.startswith("scope 'Mail': limit: expression 'max' gave null, not a number")
    part = told[told.index("{") : told.index("}") + 1]
    assert json.loads(part) == {
        "name": "Mail",
        "used": 5,
        "maximum": 10,
        "days": [0, 1, 2, "… 27 more"],
        "note": "x" * 120 + "…",
    }


def test_a_misfit_of_the_whole_answer(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering({"name": "Maps"})
    result = run("--config.file", str(configured(tmp_path, vendor, scopes="items")), "--organisation", "Acme")
    assert "scopes: expression 'items' gave null, not a list or an object" in result.output
    assert '"scopes": [' in result.output


def test_secrets_are_left_out(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(
        {"name": SECRET, "used": f"Bearer {SECRET}", "api_key": "other", "tokens": 12, "echo": {"of": [SECRET]}}
    )
    for arguments in ((), ("--output", "json")):
        file = str(configured(tmp_path, vendor, limit="tokens"))
        result = run("--config.file", file, "--organisation", "Acme", *arguments)
        assert result.exit_code == 1
        assert "expression 'used' gave" in result.output
        assert not [way for way in (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1]) if way in result.output]
        assert "other" not in result.output
    assert '"tokens": 12' in result.stderr


@pytest.mark.parametrize("place", range(60, 80))
def test_a_secret_that_is_cut_off_is_left_out(tmp_path: Path, vendor: Vendor, place: int) -> None:
    vendor.answer = answering({"name": "Maps", "used": "x" * place + SECRET + "y" * 80, "max": 1})
    output = run("--config.file", str(configured(tmp_path, vendor)), "--organisation", "Acme").output
    assert "expression 'used' gave" in output
    assert SECRET[:6] not in output
    assert json.dumps(SECRET[:6])[1:-1] not in output


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Response("<html>", 200), "the answer is an HTML page"),
        (Response("", 401), "the vendor answered 401 UNAUTHORIZED: check the credentials"),
    ],
)
def test_a_failed_poll_is_told(tmp_path: Path, vendor: Vendor, answer: Response, told: str) -> None:
    vendor.answer = lambda _: answer
    result = run("--config.file", str(configured(tmp_path, vendor)))
    assert result.exit_code == 1
    assert result.output.count(told) == 2  # once an organisation
    assert run("--config.file", str(configured(tmp_path, vendor)), "--exit-code").exit_code == 3


def test_one_failing_organisation_does_not_hide_another(tmp_path: Path, vendor: Vendor) -> None:
    def answer(request: Request) -> Response:
        return (
            Response("", 500)
            if request.path == "/acme"
            else Response('{"scopes": [{"name": "Maps", "used": 1, "max": 2}]}')
        )

    vendor.answer = answer
    output = run("--config.file", str(configured(tmp_path, vendor))).output
    assert "the vendor answered 500" in output
    assert "50.00%" in output


def test_mistakes_on_the_command_line(tmp_path: Path, vendor: Vendor) -> None:
    result = run("--once", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "--url asks a running exporter; it does not go with --once or --config.file" in result.output
    file = configured(tmp_path, vendor)
    assert run("--config.file", str(file), "--organisation", "Nobody").output == (
        f"no organisation called 'Nobody' is in {file}\n"
    )
    assert "cannot be read" in run("--config.file", str(tmp_path / "missing.yaml")).output


def test_serving_stays_the_default(tmp_path: Path, vendor: Vendor) -> None:
    file = configured(tmp_path, vendor)
    result = CliRunner().invoke(main, ["--config.file", str(file), "--config.check"])
    assert result.output == f"{file}: fine, 2 organisations to watch\n"
