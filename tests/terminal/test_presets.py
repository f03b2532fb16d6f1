"""`api-usage-exporter preset`: the presets listed, proved, and recorded without what an answer says of anybody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter.cli import main
from exporter.config.preset import VendorAnswer, preset_names, read_answer
from exporter.terminal.anonymise import Anonymiser
from tests.support.documented import SECRET, DocumentedVendor
from tests.support.http import serve

OWN = """\
description: Ours
documentation: https://ours.example.com/docs
example:
  base_url: {url}
  auth: {{type: bearer, token: {{env: OURS_TOKEN}}}}
api:
  url: /usage
  mapping:
    scopes: teams
    name: key()
    plan: plan
    requests: used
    limit: limit
"""
DOCUMENTED: dict[str, Any] = {
    "source": "https://ours.example.com/docs",
    "read": "2026-11-20",
    "provenance": "documented",
    "at": "2026-11-22T12:00:00Z",
    "answers": {"main": {"body": {"teams": {"example": {"used": 5, "limit": 10, "plan": "gold"}}}}},
    "expected": {"scopes": [{"name": "example", "plan": "gold", "unit": "requests", "requests": 5, "limit": 10}]},
}
ACCOUNT = {
    "owner": {"name": "Jane Roe", "mail": "jane@acme.example", "id": 4711, "homepage": "https://acme.example/jane"},
    "api_key": "sk-live-0123456789",
    "teams": {
        "acme-marketing": {"used": 1234, "limit": 5000, "plan": "gold", "team_id": "123456", "since": "2026-11-01"},
        "acme-sales": {
            "used": 7,
            "limit": 50,
            "plan": "Enterprise for ACME",
            "team_id": "123457",
            "since": "2026-11-01",
        },
    },
}


@pytest.fixture
def vendor() -> Iterator[DocumentedVendor]:
    vendor = DocumentedVendor()
    with serve(vendor) as url:
        vendor.url = url
        vendor.answers = [VendorAnswer(body=ACCOUNT, headers={"X-RateLimit-Remaining": "41", "X-Request-Id": "abc"})]
        yield vendor


@pytest.fixture
def folder(tmp_path: Path, vendor: DocumentedVendor) -> Path:
    own = tmp_path / "presets/ours"
    own.mkdir(parents=True)
    (own / "preset.yaml").write_text(OWN.format(url=vendor.url))
    (own / "ok.json").write_text(json.dumps(DOCUMENTED))
    return tmp_path / "presets"


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["preset", *arguments], env=environment)


def test_list_shows_each_preset_and_how_its_answers_are_known(folder: Path) -> None:
    lines = run("list", "--preset-folder", str(folder)).output.splitlines()
    assert lines[0].split() == ["NAME", "ANSWERS", "WATCHES"]
    assert [line.split()[0] for line in lines[1:]] == sorted([*preset_names(), "ours"])
    assert next(line for line in lines if line.startswith("ours")).split() == ["ours", "documented", "Ours"]


def test_documented_answers_prove_a_preset(folder: Path) -> None:
    result = run("test", "ours", "--preset-folder", str(folder))
    assert (result.exit_code, result.output) == (0, "ok: 1 scope as expected\n")


def test_what_a_preset_gets_wrong_is_shown(folder: Path) -> None:
    wrong = DOCUMENTED["expected"]["scopes"][0] | {"requests": 6}
    (folder / "ours/ok.json").write_text(json.dumps({**DOCUMENTED, "expected": {"scopes": [wrong]}}))
    result = run("test", "ours", "--preset-folder", str(folder))
    assert result.exit_code == 1
    assert result.output.startswith('ok: not as expected\n  expected [{"name": "example"')


def test_an_answer_of_curl_shows_its_cards(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(ACCOUNT))
    result = run("test", "ours", "--answer", str(file), "--preset-folder", str(folder))
    assert result.exit_code == 0
    assert "acme-marketing  24.68%" in result.output


def test_an_answer_that_is_not_as_documented_is_named(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({"teams": {"a": {"used": 5, "limit": 10, "tier": "gold"}}}))
    result = run("test", "ours", "--answer", str(file), "--preset-folder", str(folder))
    assert result.exit_code == 1
    assert "not as documented: teams.*.plan is missing; documented is a text" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test", "nothing-like-it"], "there is no preset 'nothing-like-it'; there are anthropic, "),
        (["test", "ours", "--answer", "no-such-file.json"], "no-such-file.json: No such file or directory"),
        (["test", "aws-api-gateway", "--answer", "{file}"], "give --answer history=FILE --answer plan=FILE"),
        (["test", "ours", "--answer", "{file}"], "is not JSON"),
        (["record", "ours"], "the environment variable OURS_TOKEN is not set"),
    ],
)
def test_mistakes_are_said(folder: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    file = tmp_path / "answer.json"
    file.write_text("{}" if "aws-api-gateway" in arguments else "{'a'}")
    given = [argument.format(file=file) for argument in arguments]
    result = run(*given, "--preset-folder", str(folder))
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_a_recording_comes_to_the_same_numbers_and_says_nothing_of_anybody(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "live.json"
    result = run("record", "ours", "--output", str(file), "--preset-folder", str(folder), OURS_TOKEN=SECRET)
    assert result.exit_code == 0, result.output
    text = file.read_text()
    for said in ("Jane", "jane", "acme", "ACME", "4711", "123456", "123457", "sk-live", "abc", SECRET):
        assert said not in text
    recorded = read_answer("live.json", text)
    assert recorded.provenance == "live"
    assert [(scope["requests"], scope["limit"]) for scope in recorded.expected.scopes] == [(1234, 5000), (7, 50)]
    assert recorded.answers["main"].headers == {"x-ratelimit-remaining": "41"}
    first, second = recorded.answers["main"].body["teams"].values()
    assert (first["plan"], first["since"]) == ("gold", "2026-11-01")
    assert second["plan"] != "gold"
    # It is what a preset's folder holds, and proves the preset.
    (folder / "ours/live.json").write_text(text)
    proved = run("test", "ours", "--preset-folder", str(folder))
    assert (proved.exit_code, proved.output) == (0, "live: 2 scopes as expected\nok: 1 scope as expected\n")


def test_a_config_in_use_says_how_to_ask(folder: Path, tmp_path: Path, vendor: DocumentedVendor) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"preset_folders: [presets]\napis: [{{name: o, preset: ours, base_url: '{vendor.url}', "
        "auth: {type: header, value: of-the-config}, organisations: [{id: acme}]}]"
    )
    folders = ("--preset-folder", str(folder))
    result = run("record", "ours", "--config.file", str(config), *folders)
    assert result.exit_code == 0, result.output
    assert vendor.requests[0].headers["X-API-Key"] == "of-the-config"
    assert (
        run("record", "github", "--config.file", str(config)).output == f"{config}: no api has the preset 'github'\n"
    )


def test_a_vendor_that_refuses_is_said(folder: Path, vendor: DocumentedVendor) -> None:
    vendor.answers = [VendorAnswer(status=401, body={})]
    result = run("record", "ours", "--preset-folder", str(folder), OURS_TOKEN=SECRET)
    assert result.exit_code == 1
    assert "the vendor answered 401" in result.output


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("state", "active", True),  # the documentation has it
        ("state", "Jane Roe", False),
        ("used", "1204", True),
        ("project_id", "1369785403853424", False),
        ("accountSid", "AC0123456789", False),
        ("resets", "2026-12-01T00:00:00Z", True),
        ("resets", "08:42:34", True),
        ("resets", "Sun, 22 Nov 2026 10:00:00 GMT", True),
        ("token", "2026-11-01", False),
        ("token", "1204", False),
        ("tokens_used", "1204", True),
        ("contact", "jane@acme.example", False),
        ("name", "München", False),
    ],
)
def test_what_stays_of_an_answer(name: str, value: str, kept: bool) -> None:
    anonymous = Anonymiser({"active"}).value({name: value}, ())
    assert (anonymous[name] == value) is kept
    assert list(anonymous) == [name]


def test_what_is_replaced_keeps_its_shape_and_stays_apart() -> None:
    anonymiser = Anonymiser(())
    first = anonymiser.value({"a": "Acme Corp", "b": "acme@x.example", "user_id": 4711, "c": ["Acme Corp"]}, ())
    assert first == {"a": "Xxxx Xxx1", "b": "user-2@example.com", "user_id": 1003, "c": ["Xxxx Xxx1"]}
    assert anonymiser.value({"a": "Acme Corq"}, ()) == {"a": "Xxxx Xxx4"}


def test_keys_are_names_only_where_objects_are_gone_through() -> None:
    answer = {"teams": {"acme": {"used_requests": 1}}, "jane@acme.example": 2, "2026-11-01": 3}
    anonymous = Anonymiser(()).value(answer, {("teams",)})
    assert anonymous == {"teams": {"xxx1": {"used_requests": 1}}, "user-2@example.com": 2, "2026-11-01": 3}
