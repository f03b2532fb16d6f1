"""The config file: what is refused, where and in which words, and what comes out of a good one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.fields import format_duration, parse_duration
from exporter.config.load import load_config
from exporter.config.preset import load_preset, preset_names
from exporter.errors import ConfigError
from tests.support.factories import load, write_config
from tests.support.refusals import URL, refused, refused_api, refused_text


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    (target,) = load_config(write_minimal(tmp_path)).targets
    api = target.api
    assert target.key == ("demo", "acme")
    assert (api.poll_interval, api.stale_after_seconds, api.drop_after) == (300, 900, None)
    assert (api.timeout, api.daily_history_days, api.missing_days, str(api.time_zone)) == (10, 30, "unknown", "UTC")
    assert target.auth is None


def write_minimal(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(f"apis: [{{name: demo, preset: standard, url: '{URL}', organisations: [{{id: acme}}]}}]")
    return file


@pytest.mark.parametrize(
    "api",
    [
        {"max_calls_per_day": 288},
        {"max_calls_per_day": 100, "stale_after": "44m"},
        {"max_calls_per_day": 0.5, "cost_per_call": 0.001},
    ],
)
def test_a_budget_that_does_for_all_by_stale_after_is_fine(tmp_path: Path, api: dict[str, Any]) -> None:
    load_config(write_config(tmp_path / "config.yaml", {"url": URL, **api}))


def test_every_problem_is_told_at_once_with_its_line_and_field(tmp_path: Path) -> None:
    text = """\
organisation_labels: [team, api]
apis:
  - name: maps
    preset: standard
    url: ftp://x/{organisation}
    poll_intervall: 3s
    time_zone: Mars/Olympus
    auth: {type: bearer, token: ""}
    static: {limit: yes}
    organisations:
      - {id: 1, name: null}
  - name: weather
    mapping:
      scopes: "a-b"
      name: {pth: x}
      requests: used
    url: http://x/
    auth: {type: digest}
    tls: {ca_file: missing.pem}
    organisations: []
"""
    assert refused_text(tmp_path, text) == [
        "config.yaml:1: organisation_labels: must not hold 'api': the exporter or Prometheus uses that label itself",
        "config.yaml:5: apis[0].url: has the unknown placeholder {organisation}; did you mean {organisation_id}?",
        "config.yaml:6: apis[0].poll_intervall: is not a known field; did you mean poll_interval?",
        "config.yaml:7: apis[0].time_zone: must be an IANA time zone such as UTC or Europe/Berlin, not 'Mars/Olympus'",
        "config.yaml:8: apis[0].auth.token: the secret is empty",
        "config.yaml:9: apis[0].static.limit: must be a number of 0 or more, not 'yes'; or unlimited",
        "config.yaml:14: apis[1].mapping.scopes.path: is not JMESPath: Bad jmespath expression: Unknown token '-': "
        '(names with a hyphen or a dot need quotes: "rate-limit")',
        "config.yaml:15: apis[1].mapping.name.pth: is not a known field; did you mean path?",
        "config.yaml:18: apis[1].auth: has the unknown type 'digest'; known are 'bearer', 'header', 'basic', 'oauth2', 'google', 'aws'",
        "config.yaml:19: apis[1].tls.ca_file: cannot read missing.pem: No such file or directory",
        "config.yaml:20: apis[1].organisations: must not be empty",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "config.yaml: is empty; it needs at least: apis"),
        ("apis: [", "config.yaml:1: is not YAML: expected the node content, but found '<stream end>'"),
        (
            "apis:\n  - name: a\n   url: b",
            "config.yaml:3: is not YAML: this line begins in column 4, as none above it; "
            "indent an object's fields alike",
        ),
        (
            "apis:\n  name: a\n    url: b",
            "config.yaml:3: is not YAML: mapping values are not allowed here: this line is indented deeper than the one "
            "above, or a text with ': ' in it needs quotes",
        ),
        ("apis:\n\t- name: a", "config.yaml:2: is not YAML: a tab indents this line; indent with spaces"),
        ("a:\n  b: @ # all of it", "config.yaml:2: is not YAML: a text cannot begin with @; write it in quotes: '@'"),
        (
            "a:\n  b: [data].it's[]",
            "config.yaml:2: is not YAML: there is more after [data]; write all of it in quotes: '[data].it''s[]'",
        ),
        ("apis: []", "config.yaml:1: apis: must not be empty"),
        ("apis: 3", "config.yaml:1: apis: must be a list"),
        ("- a", "config.yaml:1: must be a mapping with fields"),
        ("apis: []\napis: []", "config.yaml:2: has the key 'apis' twice"),
        ("? [a]\n: b", "config.yaml:1: has a key that is not a text"),
        ("a: !!python/object:os.system {}", "config.yaml:1: a: "),
        ("{}", "config.yaml:1: apis: is missing"),
        (
            "thresholds: {warning: 75}\napis: []",
            "config.yaml:1: thresholds: warning must be a part of the limit, at least 0.001 and at most 1, not 75; "
            "75 % is 0.75",
        ),
        ("a: " + "[" * 5000 + "]" * 5000, "config.yaml: "),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, text: str, problem: str) -> None:
    assert refused_text(tmp_path, text)[0].startswith(problem)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\xfa")
    assert refused(binary) == ["binary.yaml: is not UTF-8 text"]


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        (
            {"poll_interval": "0.5s"},
            "apis[0].poll_interval: must be a duration such as 30s, 5m, 1h30m or 7d, not '0.5s'",
        ),
        ({"poll_interval": 5}, "apis[0].poll_interval: must be a duration such as 30s, 5m, 1h30m or 7d, not 5"),
        ({"poll_interval": "100ms"}, "apis[0].poll_interval: must be at least 1s (min_poll_interval), not 100ms"),
        ({"stale_after": "1m"}, "apis[0].stale_after: must be at least poll_interval (5m)"),
        ({"drop_after": "1m"}, "apis[0].drop_after: must be at least stale_after (15m)"),
        (
            {"max_calls_per_day": 1, "cost_per_call": 2},
            "apis[0].max_calls_per_day: must be at least 2, what it takes to ask for every organisation once",
        ),
        (
            {"max_calls_per_day": 100},
            "apis[0].max_calls_per_day: allows for a poll of every organisation each 14m24s at best, so that "
            "stale_after must be at least 44m, not 15m",
        ),
        ({"max_calls_per_day": 0}, "apis[0].max_calls_per_day: must be greater than 0"),
        ({"timeout": "0s"}, "apis[0].timeout: must be more than 0 and at most 5m"),
        ({"url": "http://u:p@x/"}, "apis[0].url: must not hold a user name or password; use auth with type: basic"),
        ({"url": "usage"}, "apis[0].url: must be an absolute http:// or https:// URL"),
        ({"url": "/usage"}, "apis[0]: the url of request 'main' is only a path, so base_url is needed"),
        ({"url": "http://x:99999/"}, "apis[0].url: is not a URL: its host or port cannot be read"),
        ({"url": "http://x/{"}, "apis[0].url: has a { or } that is no placeholder; write %7B and %7D in a URL"),
        ({"preset": "standrd"}, "apis[0].preset: unknown preset 'standrd'; did you mean standard?"),
        ({"preset": None}, "apis[0].mapping: is missing"),
        ({"name": " x"}, "apis[0].name: must not begin or end with a space"),
        ({"name": "a\nb"}, "apis[0].name: must not contain control characters"),
        ({"daily_history_days": 31}, "apis[0].daily_history_days: must be less than or equal to 30"),
        ({"missing_days": "none"}, "apis[0].missing_days: must be 'zero' or 'unknown'"),
        (
            {"organisations": [{"id": "a"}, {"id": "a"}]},
            "apis[0].organisations[1].id: the id 'a' is used by an earlier organisation",
        ),
        (
            {"organisations": [{"id": "a", "name": "X"}, {"id": "b", "name": "X"}]},
            "apis[0].organisations[1].name: the name 'X' is used by an earlier organisation",
        ),
        (
            {"organisations": [{"id": "a", "labels": {"team": "x"}}]},
            "apis[0].organisations[0].labels.team: is not declared in organisation_labels",
        ),
        ({"auth": {"token": "x"}}, "apis[0].auth: needs a type, such as type: bearer"),
        (
            {"auth": {"type": "bearer", "token": {"env": "NO_SUCH_VARIABLE"}}},
            "apis[0].auth.token: the environment variable NO_SUCH_VARIABLE is not set",
        ),
        (
            {"auth": {"type": "bearer", "token": {"value": "x", "env": "y"}}},
            "apis[0].auth.token: needs exactly one of value, env and file",
        ),
        ({"timeout": "10m"}, "apis[0].timeout: must be more than 0 and at most 5m"),
        ({"drop_after": "9999y"}, "apis[0].drop_after: must be at most 10y, not 9999y"),
        ({"auth": "bearer"}, "apis[0].auth: must be a mapping with fields"),
        (
            {"auth": {"type": "header", "name": "X-Key:", "value": "x"}},
            "apis[0].auth.name: has characters that are not allowed here",
        ),
        ({"auth": {"type": "bearer", "token": " x"}}, "apis[0].auth.token: the secret begins or ends with a space"),
        (
            {"auth": {"type": "bearer", "token": {"env": "$TOKEN"}}},
            "apis[0].auth.token: the environment variable $TOKEN is not set; write TOKEN without the $",
        ),
        ({"url": "http://u:pa/ss@h:x/"}, "apis[0].url: is not a URL: its host or port cannot be read"),
        (
            {"url": "http://x/usage", "organisations": [{"id": "a"}, {"id": "b"}]},
            "apis[0].url: is the same for 'a' and 'b': put {organisation_id} into it, or give each its own auth",
        ),
        (
            {"organisations": [{"id": "a", "labels": {"team": "\ud800"}}]},
            "apis[0].organisations[0].labels.team: ",
        ),
        ({"tls": {"key_file": "config.yaml"}}, "apis[0].tls: has key_file without cert_file"),
        (
            {"static": {"period": "fortnight"}},
            "apis[0].static.period.every: must be 'month', 'week', 'day', 'hour' or 'none'",
        ),
        (
            {"static": {"period": {"every": "day", "anchor_day": 3}}},
            "apis[0].static.period: has anchor_day, which goes with every: month",
        ),
        (
            {"mapping": {"scopes": "s", "name": "n", "requests": "r"}},
            "apis[0]: has no limit: give mapping.limit or static.limit; without one, static.limit: unlimited",
        ),
        (
            {"mapping": {"scopes": "s", "name": "n", "limit": "l"}},
            "apis[0].mapping: needs exactly one of requests and remaining",
        ),
        (
            {"mapping": {"scopes": "s", "name": "n", "requests": "r", "limit": "l", "period": {"end": "e"}}},
            "apis[0].mapping.period: has only one end, so it needs length: month, or a duration such as 1h",
        ),
        (
            {"mapping": {"scopes": "s", "name": {"optional": True}, "requests": "r", "limit": "l"}},
            "apis[0].mapping.name: needs path, header or both",
        ),
        (
            {"mapping": {"scopes": [["data", "x"], 0], "requests": "r", "limit": "l"}},
            'apis[0].mapping.scopes: is a list; an expression that begins with [ stands in quotes: "[[data, x], 0]"',
        ),
    ],
)
def test_fields_that_are_refused(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    (line,) = refused_api(tmp_path, **api)
    assert line.split(": ", 1)[1].startswith(problem), line


MONITORING = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("alerts", "problem"),
    [
        ({}, "alerts: needs exactly one of alertmanager and prometheus, the URL of either"),
        (
            {"alertmanager": MONITORING, "prometheus": MONITORING},
            "alerts: needs exactly one of alertmanager and prometheus",
        ),
        ({"alertmanager": "alerts:9093"}, "alerts.alertmanager: must be"),
        ({"alertmanager": MONITORING, "interval": "0.5s"}, "alerts.interval: must be a duration such as 30s"),
        ({"alertmanager": MONITORING, "interval": "100ms"}, "alerts.interval: must be greater than or equal to 1"),
        ({"alertmanager": MONITORING, "auth": {"type": "bearer"}}, "alerts.auth.token: "),
        (
            {"alertmanager": MONITORING, "auth": {"type": "bearer", "token": {"env": "NOT_THERE"}}},
            "alerts.auth.token: ",
        ),
    ],
)
def test_an_alerts_source_that_is_refused(tmp_path: Path, alerts: dict[str, Any], problem: str) -> None:
    (line,) = refused(write_config(tmp_path / "config.yaml", {"url": URL}, alerts=alerts))
    assert line.split(": ", 1)[1].startswith(problem), line


def test_api_names_must_differ(tmp_path: Path) -> None:
    (line,) = refused(write_config(tmp_path / "config.yaml", {"url": URL}, {"url": URL}))
    assert line.endswith("apis[1].name: the name 'demo' is used by an earlier api; names must differ")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            {"Hour": {"counted_in": "Hour"}},
            "Hour.counted_in: is the scope itself; name the one whose count holds this",
        ),
        (
            {"Hour": {"counted_in": "Day"}, "d": {"name": "Day", "counted_in": "Month"}},
            "Hour.counted_in: names 'Day', which is counted in 'Month': name that",
        ),
    ],
)
def test_a_scope_is_counted_in_one_that_counts_itself(
    tmp_path: Path, overrides: dict[str, Any], problem: str
) -> None:
    (line,) = refused(write_config(tmp_path / "config.yaml", {"url": URL, "overrides": overrides}))
    assert f"apis[0].overrides.{problem}" in line


def test_merge_keys_and_anchors_work(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"apis:\n- &a {{name: one, preset: standard, url: '{URL}', organisations: [{{id: x}}]}}\n"
        "- {<<: *a, name: two}\n"
    )
    assert [target.key for target in load_config(file).targets] == [("one", "x"), ("two", "x")]


def test_an_api_needs_a_preset_or_a_mapping(tmp_path: Path) -> None:
    text = f"apis: [{{name: demo, url: '{URL}', organisations: [{{id: acme}}]}}]"
    assert refused_text(tmp_path, text) == ["config.yaml:1: apis[0]: needs a preset or a mapping"]


def test_fields_beside_a_preset_come_on_top_of_it(tmp_path: Path) -> None:
    api = {"url": URL, "mapping": {"filter": "enabled", "period": {"start": "begins"}}}
    (target,) = load(tmp_path / "c.yaml", api).targets
    mapping = target.api.mapping
    assert str(mapping.filter) == "expression 'enabled'"
    assert mapping.period is not None
    assert (str(mapping.period.start), str(mapping.period.end)) == ("expression 'begins'", "expression 'period.end'")
    assert str(mapping.requests) == "expression 'requests'"


def test_presets_of_one_s_own_come_first(tmp_path: Path) -> None:
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "ours.yaml").write_text(
        "description: x\ndocumentation: y\napi:\n  url: http://127.0.0.1:9/ours\n"
        "  mapping: {scopes: s, name: n, requests: r, limit: l}\n"
    )
    file = tmp_path / "config.yaml"
    file.write_text("preset_folders: [presets]\napis: [{name: a, preset: ours, organisations: [{id: x}]}]")
    (target,) = load_config(file).targets
    assert target.api.url == "http://127.0.0.1:9/ours"
    file.write_text("preset_folders: [presets]\napis: [{name: a, preset: our, organisations: [{id: x}]}]")
    assert "unknown preset 'our'; did you mean ours?" in refused(file)[0]
    (folder / "ours.yaml").write_text("description: x\n")
    file.write_text("preset_folders: [presets]\napis: [{name: a, preset: ours, organisations: [{id: x}]}]")
    assert [line.split(": ", 1)[1] for line in refused(file)] == ["documentation: is missing", "api: is missing"]


def test_an_unknown_preset_hides_no_other_mistake_and_makes_nothing_missing(tmp_path: Path) -> None:
    unknown = "config.yaml:1: apis[0].preset: unknown preset 'githb'; did you mean github?"
    refusals = refused_text(tmp_path, "apis: [{name: a, preset: githb, organisations: [{id: x}]}]")
    assert refusals == [unknown]
    refusals = refused_text(tmp_path, "apis: [{name: a, preset: githb, timeot: 5s, organisations: [{name: x}]}]")
    assert refusals == [
        unknown,
        "config.yaml:1: apis[0].organisations[0].id: is missing",
        "config.yaml:1: apis[0].timeot: is not a known field; did you mean timeout?",
    ]


def test_preset_folders_that_are_no_list(tmp_path: Path) -> None:
    api = "{name: a, preset: standard, url: http://x/, organisations: [{id: x}]}"
    for folders in ("5", "presets"):
        refusals = refused_text(tmp_path, f"preset_folders: {folders}\napis: [{api}]")
        assert refusals == [
            "config.yaml:1: preset_folders: must be a list: its members in brackets, or each behind a hyphen on a line of "
            "its own"
        ]


@pytest.mark.parametrize("written", ["04712", "0471", "47:12", "0x1F", "4712"])
def test_ids_are_taken_as_they_are_written(tmp_path: Path, written: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"apis: [{{name: demo, preset: standard, url: '{URL}', organisations: [{{id: {written}}}]}}]")
    assert load_config(file).targets[0].organisation.id == written


def test_a_misspelt_field_is_not_told_as_missing_too(tmp_path: Path) -> None:
    text = f"apis: [{{nme: demo, preset: standard, url: '{URL}', organisations: [{{id: a}}]}}]"
    assert refused_text(tmp_path, text) == ["config.yaml:1: apis[0].nme: is not a known field; did you mean name?"]


def test_secrets_are_not_in_any_text_of_the_config(tmp_path: Path) -> None:
    config = load(tmp_path / "c.yaml", {"url": URL, "auth": {"type": "basic", "username": "u", "password": "s3cr3t"}})
    assert "s3cr3t" not in repr(config)
    problems = refused_api(tmp_path, auth={"type": "bearer", "token": {"valu": "s3cr3t"}})
    assert "s3cr3t" not in "".join(problems)


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ({"organisations": [{"id": "a", "secrets": {"K-1": "abc"}}]}, "apis[0].organisations[0].secrets.K-1: "),
        ({"params": {"k": {"env": "HOME", "secret": False}}}, "apis[0].params.k: has secret: false, but what is read from env or file is always secret"),
        ({"auth": {"type": "bearer", "token": {"value": "x", "secret": False}}}, "apis[0].auth.token.secret: is not a known field"),
    ],
)  # fmt: skip
def test_secrets_that_are_declared_wrongly(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    assert any(problem in told for told in refused_api(tmp_path, **api)), refused_api(tmp_path, **api)


def test_secrets_of_their_own_tell_organisations_apart(tmp_path: Path) -> None:
    organisations = [{"id": name, "secrets": {"key": f"key-of-{name}"}} for name in ("acme", "globex")]
    file = write_config(tmp_path / "config.yaml", {"url": "http://v/{secret_key}", "organisations": organisations})
    assert len(load_config(file).targets) == 2


def test_the_account_that_is_stored_holds_no_secret_of_the_url(tmp_path: Path) -> None:
    (target,) = load_config(write_config(tmp_path / "config.yaml", {"url": f"{URL}?appid=planted"})).targets
    assert target.account[3] == f"{URL}?appid=<secret>"


@pytest.mark.parametrize(("content", "message"), [("", "is empty"), ("a\nb\n", "contains a line break")])
def test_secret_files_are_checked_at_once(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "token").write_text(content)
    (line,) = refused_api(tmp_path, auth={"type": "bearer", "token": {"file": "token"}})
    assert message in line
    assert "apis[0].auth.token" in line


def test_a_secret_file_may_end_with_a_line_break_and_lies_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    (target,) = load(
        tmp_path / "c.yaml", {"url": URL, "auth": {"type": "bearer", "token": {"file": "token"}}}
    ).targets
    assert target.auth is not None
    assert target.auth.type == "bearer"
    assert target.auth.token.reveal() == "abc"


def test_a_secret_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DEMO_TOKEN", "abc")
    auth = {"type": "header", "name": "X-Key", "value": {"env": "DEMO_TOKEN"}}
    (target,) = load(tmp_path / "c.yaml", {"url": URL, "auth": auth}).targets
    assert target.auth is not None
    assert target.auth.type == "header"
    assert target.auth.value.reveal() == "abc"


def test_an_organisation_s_own_auth_comes_first(tmp_path: Path) -> None:
    own = {"type": "bearer", "token": "own"}
    api = {
        "url": URL,
        "auth": {"type": "bearer", "token": "api"},
        "organisations": [{"id": "a", "auth": own}, {"id": "b"}],
    }
    first, second = load(tmp_path / "c.yaml", api).targets
    assert first.auth is not None
    assert first.auth.type == "bearer"
    assert first.auth.token.reveal() == "own"
    assert second.auth == second.api.auth


def test_an_api_s_other_organisations_do_not_make_a_target_look_changed(tmp_path: Path) -> None:
    (before,) = load(tmp_path / "c.yaml", {"url": URL, "organisations": [{"id": "a"}]}).targets
    after, _ = load(tmp_path / "c.yaml", {"url": URL, "organisations": [{"id": "a"}, {"id": "b"}]}).targets
    assert before == after
    (other,) = load(tmp_path / "c.yaml", {"url": URL, "timeout": "3s", "organisations": [{"id": "a"}]}).targets
    assert before != other


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("30s", 30), ("1h30m", 5400), ("1d", 86_400), ("250ms", 0.25), ("1w", 604_800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@given(st.integers(0, 10**10))
def test_durations_survive_being_written(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid(name: str) -> None:
    assert load_preset(name).documentation


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=10,
    )
)
def test_whatever_a_file_holds_the_answer_is_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    file.write_text(yaml.safe_dump({"apis": [data]}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert caught.value.problems


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    from exporter.generate import ROOT, generated  # noqa: PLC0415

    for path, content in generated().items():
        assert (ROOT / path).read_text(encoding="utf-8") == content, f"{path} is old; run: make generate"


def test_the_json_schema_accepts_the_demo_s_config() -> None:
    import jsonschema  # noqa: PLC0415

    root = Path(__file__).parents[2]
    schema = json.loads((root / "docs/config.schema.json").read_text())
    text = (root / "exporter/demo/config.yaml").read_text().replace("http://vendor:8080", "http://127.0.0.1")
    jsonschema.validate(yaml.safe_load(text), schema)
    organisations = [{"id": 4712, "name": 365}]
    jsonschema.validate(
        {"apis": [{"name": 1, "preset": "standard", "drop_after": 0, "organisations": organisations}]}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"apis": [{"nme": "x"}]}, schema)
