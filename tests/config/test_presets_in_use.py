"""Presets under an api's own fields: what replaces what, and where a preset's own mistakes are reported."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.factories import load
from tests.support.refusals import refused_text

HEAD = "description: x\ndocumentation: y\n"
GOOD = HEAD + "api:\n  url: http://127.0.0.1:9/\n  mapping: {scopes: s, name: n, requests: r, limit: l}\n"


def refused_preset(tmp_path: Path, preset: str, api: str = "") -> list[str]:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets/ours.yaml").write_text(preset)
    return refused_text(
        tmp_path, f"preset_folders: [presets]\napis:\n- name: a\n  preset: ours\n  organisations: [{{id: x}}]\n{api}"
    )


@pytest.mark.parametrize(
    ("preset", "problems"),
    [
        (GOOD + "  timeot: 3s\n", ["presets/ours.yaml:6: api.timeot: is not a known field; did you mean timeout?"]),
        (
            HEAD
            + "api:\n  url: http://x/\n  mapping:\n    scopes: s\n    name: a-b\n    requests: r\n    limit: l\n",
            ["presets/ours.yaml:7: api.mapping.name.path: is not JMESPath: Bad jmespath expression"],
        ),
        (
            HEAD + "api:\n  url: http://x/\n  mapping:\n    scopes: s\n    name: n\n    limit: l\n",
            ["presets/ours.yaml:5: api.mapping: needs exactly one of requests and remaining"],
        ),
        (
            GOOD + "  params: {d: '{toady}'}\n",
            ["presets/ours.yaml:6: api.params.d: has the unknown placeholder {toady}"],
        ),
        (
            "description: x\n",
            ["presets/ours.yaml:1: documentation: is missing", "presets/ours.yaml:1: api: is missing"],
        ),
        ("a: [", ["presets/ours.yaml:1: is not YAML: "]),
    ],
)
def test_a_mistake_in_a_preset_is_reported_there(tmp_path: Path, preset: str, problems: list[str]) -> None:
    lines = refused_preset(tmp_path, preset)
    assert [line[: len(problem)] for line, problem in zip(lines, problems, strict=True)] == problems


def test_a_preset_that_is_no_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets/ours.yaml").write_bytes(b"\xff\xfe\xfa")
    text = "preset_folders: [presets]\napis: [{name: a, preset: ours, organisations: [{id: x}]}]"
    assert refused_text(tmp_path, text) == ["presets/ours.yaml: is not UTF-8 text"]


def test_a_wrong_preset_hides_no_mistake_beside_it(tmp_path: Path) -> None:
    lines = refused_preset(tmp_path, "description: x\n", "  timeot: 3s\n")
    assert lines == [
        "presets/ours.yaml:1: documentation: is missing",
        "presets/ours.yaml:1: api: is missing",
        "config.yaml:6: apis[0].timeot: is not a known field; did you mean timeout?",
    ]


def test_what_the_file_itself_writes_is_reported_in_the_file(tmp_path: Path) -> None:
    lines = refused_preset(tmp_path, GOOD, "  mapping: {limit: null}\n  timeout: 3\n")
    assert [line.split(": ")[:2] for line in lines] == [["config.yaml:7", "apis[0].timeout"]]


@pytest.mark.parametrize(
    ("preset", "mapping", "field", "written"),
    [
        ("aws-api-gateway", {"limit": {"path": "quota"}}, "limit", "expression 'quota'"),
        ("aws-api-gateway", {"rate_limit": {"header": "X-Rate"}}, "rate_limit", "header 'X-Rate'"),
        ("rate-limit-headers", {"remaining": None, "requests": "root().a"}, "requests", "expression 'root().a'"),
        ("standard", {"plan": "root().plan"}, "plan", "expression 'root().plan'"),
    ],
)
def test_an_expression_is_replaced_whole(
    tmp_path: Path, preset: str, mapping: dict[str, Any], field: str, written: str
) -> None:
    api = {
        "preset": preset,
        "base_url": "http://127.0.0.1:9",
        "url": "/{organisation_id}",
        "mapping": mapping,
    }
    (target,) = load(tmp_path / "config.yaml", api).targets
    expression = getattr(target.api.mapping, field)
    assert str(expression) == written
    assert expression.optional is False


def test_a_secret_and_a_static_period_are_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file")
    (tmp_path / "ours.yaml").write_text(
        GOOD
        + "  params: {key: {env: NO_SUCH_VARIABLE}, kept: a}\n  static: {period: {every: month, anchor_day: 5}}\n"
    )
    api = {"preset": "ours", "params": {"key": {"file": "key"}}, "static": {"period": {"every": "week"}}}
    (target,) = load(tmp_path / "config.yaml", api, preset_folders=["."]).targets
    assert target.api.params["key"].text() == "from-file"
    assert target.api.params["kept"].text() == "a"
    assert target.api.static.period is not None
    assert target.api.static.period.every == "week"
