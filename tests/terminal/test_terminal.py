"""`api-usage-exporter usage`: lines and cards in a terminal, columns without one, direct polls that try a mapping."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result
from rich.console import Console
from werkzeug.wrappers import Request, Response

from exporter.cli import main
from exporter.errors import AuthError
from exporter.model import LARGEST_COUNT, LEAST_LIMIT, DailyUsage
from exporter.terminal.lines import COLUMNS, drawn
from exporter.terminal.running import Unavailable
from exporter.terminal.watch import watch
from exporter.view.usage_json import UsageDocument, usage_document
from exporter.web.http_metrics import WebConfigMetrics
from exporter.web.live_config import LiveWebConfig
from tests.support.asgi import serve_asgi
from tests.support.asking import ask
from tests.support.factories import answer, make_target, write_config
from tests.support.http import Vendor
from tests.support.terminal import in_terminal
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
    """The rows by scope, from the percentage on: of the separated lines, or of the plain table, whose cells are two
    spaces or more apart."""
    rows = {}
    for line in output.splitlines():
        if "\t" in line:
            _, _, name, *cells = line.split("\t")
        else:
            name, *cells = [cell.strip() for cell in line.split("  ") if cell.strip()] or [""]
        if len(cells) > 3:
            rows[name] = cells
    return rows


# --- a running exporter's cards


def test_plain_cards_without_a_terminal(watched: Watched, url: str) -> None:
    watched.reads(
        "Acme",
        scope("Maps", 940, rate_limit_per_minute=60, rejected=3, daily=days(*range(0, 60, 2))),
        scope("Über 地図", 7, None, unit="tokens", daily=(DailyUsage(TODAY, 1, exact=False),)),
    )
    result = run("--url", url, "--organisation", "Acme", "--cards")
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
    output = in_terminal("usage", "--url", url, "--organisation", "Acme", "--cards")
    assert "╭─\x1b[1m High \x1b[0m─" in output
    for style, percentage in (("94", "10.00%"), ("33", "80.00%"), ("91", "95.00%")):
        assert f"\x1b[1;{style}m{percentage}" in output
    assert "\x1b[91m■ Almost used up" in output
    assert "█\x1b[0m\x1b[90m░" in output
    assert "Most 3 on 22 Nov 2026" in output


def several(watched: Watched) -> None:
    """Six scopes of two organisations, in no order."""
    watched.reads(
        "Acme",
        scope("Low", 100, daily=days(1, 3)),
        scope("Free", 7, None, unit="tokens"),
        scope("Soon", 700, daily=days(*[90] * 30)),
        scope("Mid", 800),
    )
    watched.reads("Bolt", scope("Over", 1040), scope("High", 950))
    watched.reads("Calm")


def test_a_row_a_scope_with_the_most_urgent_first(watched: Watched, url: str) -> None:
    several(watched)
    header, *rows = (line.split("\t") for line in run("--url", url).stdout.splitlines())
    assert header == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    named = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["SCOPE"] for row in named] == ["Over", "High", "Soon", "Mid", "Low", "Free"]
    assert named[0] == {
        "ORGANISATION": "Bolt",
        "API": "vendor",
        "SCOPE": "Over",
        "USED": "104.00%",
        "REQUESTS": "1040",
        "LIMIT": "1000",
        "UNIT": "requests",
        "BAND": "critical",
        "STATUS": "Over the limit by 40",
        "RUNS_OUT": "",
        "PERIOD_END": "2026-12-01T00:00:00Z",
        "READ": "2026-11-22T12:00:00Z",
        "FORECAST": named[0]["FORECAST"],
    }
    assert named[2]["RUNS_OUT"].startswith("2026-11-2")
    assert (named[-1]["USED"], named[-1]["LIMIT"], named[-1]["BAND"]) == ("", "unlimited", "")


def test_the_worst_of_all_organisations_in_every_form(watched: Watched, url: str) -> None:
    several(watched)
    assert list(columns(run("--url", url, "--worst", "2").stdout)) == ["SCOPE", "Over", "High"]
    document = json.loads(run("--url", url, "--worst", "2", "--output", "json").stdout)
    assert [card["scope"] for cards in document["organisations"] for card in cards["scopes"]] == ["Over", "High"]
    # The exit code is that of all scopes.
    assert run("--url", url, "--organisation", "Acme", "--worst", "1", "--exit-code").exit_code == 1
    assert "0 is not in the range" in run("--worst", "0").output


def test_names_with_tabs_keep_their_column(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("a\tb\x1b", 1))
    row = run("--url", url, "--organisation", "Acme").stdout.splitlines()[1].split("\t")
    assert row[2:4] == ["a b\ufffd", "0.10%"]


def test_only_these_apis(tmp_path: Path) -> None:
    watched = Watched(targets_of(tmp_path, {"maps": ["Acme"], "mail": ["Acme"]}))
    for api in ("maps", "mail"):
        watched.reads("Acme", scope(f"of {api}"), api=api)
    with serve_asgi(watched.fresh) as url:
        assert list(columns(run("--url", url, "--api", "mail").stdout)) == ["SCOPE", "of mail"]
        assert run("--url", url, "--api", "post").output == f"no api called 'post' is watched at {url}\n"


@pytest.mark.parametrize("wide", [40, 80, 200])
def test_lines_as_wide_as_the_terminal(watched: Watched, url: str, wide: int) -> None:
    several(watched)
    written = in_terminal("usage", "--url", url, wide=wide)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in written.splitlines()]
    assert max(map(len, lines)) <= wide
    (over,) = [line for line in lines if "Over" in line and "■" in line]
    assert "104.00%" in over
    assert ("1,040 of 1,000" in over, "█" * 40 in over) == (wide >= 80, wide >= 200)
    assert "2 red · 1 amber" in written


def test_watching_ends_with_ctrl_c_and_gives_the_screen_back(watched: Watched, url: str) -> None:
    several(watched)
    written = in_terminal("usage", "--url", url, "--watch", typed={"Free": "\x03"})
    assert written.index("\x1b[?1049h") < written.index("Over") < written.rindex("\x1b[?1049l")
    assert "Traceback" not in written
    assert written.count("\x1b[2J") <= 1  # it is drawn over, not wiped


def test_watching_shows_what_comes_and_keeps_what_it_has(watched: Watched) -> None:
    watched.reads("Acme", scope("Maps", 100))
    answers = iter(["940", "", "end"])

    def ask() -> UsageDocument:
        answer = next(answers, "end")
        if answer == "end":
            raise KeyboardInterrupt
        if not answer:
            raise Unavailable("no exporter answers")
        watched.reads("Acme", scope("Maps", float(answer)))
        return usage_document(watched.store.states(), watched.clock.now())

    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=20)
    last = watch(ask, lambda document: drawn(document, [], console), console, seconds=0)
    assert last.organisations[0].scopes[0].requests == 940
    assert isinstance(console.file, io.StringIO)
    assert "no exporter answers; these are the figures of 12:00:00 UTC" in console.file.getvalue()


@pytest.mark.parametrize("arguments", [(), ("--once",), ("--output", "json")])
def test_watching_needs_a_terminal_and_an_exporter(arguments: tuple[str, ...]) -> None:
    result = run("--watch", *arguments)
    assert result.exit_code == 2
    assert "--watch draws on a terminal what a running exporter answers" in result.output


def test_an_exporter_with_a_certificate_of_its_own_and_client_certificates(watched: Watched, tmp_path: Path) -> None:
    watched.reads("Acme", scope("Maps", 940))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name, issued in (("server", authority.issue_cert("127.0.0.1")), ("client", authority.issue_cert("me@x.org"))):
        issued.private_key_pem.write_to_path(str(tmp_path / f"{name}-key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
    tls = {"cert_file": "server.pem", "key_file": "server-key.pem", "client_ca_file": "ca.pem"}
    web = {"tls_server_config": {**tls, "client_auth_type": "RequireAndVerifyClientCert"}}
    (tmp_path / "web.yml").write_text(json.dumps(web), encoding="utf-8")
    live = LiveWebConfig(tmp_path / "web.yml", watched.clock, WebConfigMetrics(watched.process.registry))
    ca, own = f"--ca-file={tmp_path}/ca.pem", f"--cert-file={tmp_path}/client.pem"
    with serve_asgi(watched.fresh, live) as plain:
        url = plain.replace("http:", "https:")
        result = run("--url", url, "--organisation", "Acme", ca, own, f"--key-file={tmp_path}/client-key.pem")
        assert "94.00%" in result.output, result.output
        untrusted = run("--url", url).output
        assert "no TLS connection to https://127.0.0.1" in untrusted
        assert "--ca-file names the authority" in untrusted
    assert "--cert-file names it" in run(f"--key-file={tmp_path}/client-key.pem").output
    assert "does not exist" in run("--ca-file=/nowhere.pem").output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_each_shell(shell: str) -> None:
    script = CliRunner().invoke(
        main, prog_name="api-usage-exporter", env={"_API_USAGE_EXPORTER_COMPLETE": f"{shell}_source"}
    )
    assert (script.exit_code, "_API_USAGE_EXPORTER_COMPLETE" in script.output) == (0, True)
    words = {"COMP_WORDS": "api-usage-exporter usage --wor", "COMP_CWORD": "--wor" if shell == "fish" else "2"}
    completed = CliRunner().invoke(
        main, prog_name="api-usage-exporter", env={"_API_USAGE_EXPORTER_COMPLETE": f"{shell}_complete", **words}
    )
    assert "--worst" in completed.output


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_reader_that_has_seen_enough_changes_nothing(watched: Watched, url: str, output: str) -> None:
    watched.reads("Acme", scope("Maps", 950))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "exporter", "usage", "--url", url, "--organisation", "Acme"]
    command += ["--output", output, "--exit-code"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


def test_a_terminal_of_few_letters(watched: Watched, url: str) -> None:
    watched.reads("Acme", scope("Straße", 950, daily=days(1, 3)))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "exporter", "usage", "--url", url, "--organisation", "Acme", "--cards"]
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


def test_scopes_that_a_filter_left_out_are_not_passed_off_as_none(tmp_path: Path, vendor: Vendor) -> None:
    file = tmp_path / "config.yaml"
    mapping = {"scopes": "scopes", "name": "name", "filter": "used > `5`", "requests": "used", "limit": "max"}
    api = {"name": "demo", "url": f"{vendor.url}/", "organisations": [{"id": "a"}], "mapping": mapping}
    file.write_text(json.dumps({"apis": [api]}), encoding="utf-8")
    vendor.answer = answering({"name": "A", "used": 1, "max": 9}, {"name": "B", "used": 2, "max": 9})
    result = run("--once", "--config.file", str(file))
    assert result.exit_code == 1
    assert "a (demo): filter: expression 'used > `5`' left out all 2 scopes" in result.output
    vendor.answer = answering()
    assert run("--once", "--config.file", str(file)).exit_code == 0


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


def test_explain_says_of_every_number_where_it_was_read(tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps({"used": 3, "perSecond": 2}), "utf-8")
    api = {
        "url": "https://api.example.com/{organisation_id}/usage?key=secret",
        "mapping": {"scope": "Calls", "requests": "used", "rate_limit": "perSecond", "rate_limit_window": "1s"},
        "static": {"limit": 9, "period": "month"},
    }
    config = write_config(tmp_path / "config.yaml", api)
    found = run("--once", "--config.file", str(config), "--answer", str(answer), "--explain")
    assert found.exit_code == 0
    lines = [" ".join(line.split()) for line in found.output.splitlines()]
    for line in (
        "Calls, acme (demo)",
        "asked: GET https://api.example.com/acme/usage?key=<secret>",
        "Requests 3 expression 'used'",
        "Limit 9 static.limit of the config",
        "Rate limit 120 per minute expression 'perSecond', for every 1s",
    ):
        assert line in lines
    assert any(line.startswith("Billing period") and "static.period of the config" in line for line in lines)
    assert "goes with --once" in run("--explain").output
