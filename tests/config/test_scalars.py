"""Numbers, dates, yes and no where text is wanted, and where they cannot be meant."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from exporter.config.load import Target, load_config
from tests.support.refusals import problem_of, refused_text


def target(tmp_path: Path, fields: str, organisation: str = "{id: acme}") -> Target:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"apis:\n- {{name: demo, preset: standard, url: 'https://x/', organisations: [{organisation}], {fields}}}\n"
    )
    return load_config(file).targets[0]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("100", "100"),
        ("1.10", "1.10"),
        ("1.0", "1.0"),
        ("2022-11-28", "2022-11-28"),
        ("2022-11-28T00:00:00Z", "2022-11-28T00:00:00Z"),
        ("true", "true"),
        ("no", "no"),
        ("0x1F", "0x1F"),
        ("'7'", "7"),
    ],
)
def test_parameters_and_headers_are_sent_as_they_are_written(tmp_path: Path, written: str, sent: str) -> None:
    api = target(tmp_path, f"params: {{a: {written}}}, headers: {{X-A: {written}}}").api
    assert (api.params["a"].text(), api.headers["X-A"].text()) == (sent, sent)


def test_a_token_of_digits(tmp_path: Path) -> None:
    auth = target(tmp_path, "auth: {type: bearer, token: 123456}").auth
    assert auth is not None
    assert auth.type == "bearer"
    assert auth.token.text() == "123456"
    auth = target(tmp_path, "auth: {type: header, value: {value: 123456}}").auth
    assert auth is not None
    assert auth.type == "header"
    assert auth.value.text() == "123456"


def test_other_texts_of_digits(tmp_path: Path) -> None:
    found = target(
        tmp_path,
        "auth: {type: oauth2, token_url: 'http://x/', client_id: 17, client_secret: 18, scope: 19, audience: 20}, "
        "mapping: {unit: null}, static: {unit: 21}, overrides: {Maps: {plan: 2024, name: 2025-01-01}}",
        "{id: acme, name: no}",
    )
    auth = found.auth
    assert auth is not None
    assert auth.type == "oauth2"
    assert (auth.client_id, auth.client_secret.text(), auth.scope, auth.audience) == ("17", "18", "19", "20")
    override = found.api.overrides["Maps"]
    assert (found.api.static.unit, override.plan, override.name) == ("21", "2024", "2025-01-01")
    assert found.organisation.name == "no"


@pytest.mark.parametrize(("written", "meant"), [("yes", True), ("no", False), ("true", True), ("Off", False)])
def test_yes_and_no_are_true_and_false_where_those_are_wanted(tmp_path: Path, written: str, meant: bool) -> None:
    assert target(tmp_path, f"tls: {{verify: {written}}}").api.tls.verify is meant


@pytest.mark.parametrize(
    ("body", "field", "met"),
    [
        ("{from: 2026-11-22}", "body.from", "2026-11-22"),
        ("{a: [1, {at: 2026-11-22T01:02:03Z}]}", "body.a[1].at", "2026-11-22T01:02:03Z"),
        ("{a: .inf}", "body.a", "inf"),
        ("{a: [.nan]}", "body.a[0]", "nan"),
        ("{a: yes}", "body.a", "yes"),
    ],
)
def test_bodies_that_are_no_json(tmp_path: Path, body: str, field: str, met: str) -> None:
    text = (
        "apis:\n- name: demo\n  preset: standard\n  url: http://x/\n  organisations: [{id: acme}]\n"
        f"  body:\n    query: x\n    variables: {body}\n"
    )
    (line,) = refused_text(tmp_path, text)
    where = field.replace("body", "apis[0].body.variables", 1)
    assert line.startswith(f"config.yaml:8: {where}: {met} is not JSON; put it in quotes"), line


def test_values_that_mean_unlimited_are_json(tmp_path: Path) -> None:
    line = problem_of(tmp_path, mapping={"unlimited_when": ["none", date(2026, 11, 22)]})
    assert line == "apis[0].mapping.unlimited_when[1]: 2026-11-22 is not JSON; put it in quotes"


def test_a_body_of_json_is_sent_as_it_is(tmp_path: Path) -> None:
    body = target(tmp_path, "body: {a: [1, 1.5, true, null, text, '2026-11-22', 'yes']}").api.body
    assert body == {"a": [1, 1.5, True, None, "text", "2026-11-22", "yes"]}


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_what_is_no_scalar_is_no_text(tmp_path: Path, value: Any) -> None:
    assert "params.a" in problem_of(tmp_path, params={"a": value})
