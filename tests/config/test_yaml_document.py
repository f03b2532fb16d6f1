"""YAML's anchors, aliases and merge keys."""

from pathlib import Path

import pytest

from exporter.config.load import load_config
from tests.support.refusals import refused_text


def keys(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return [target.key for target in load_config(file).targets]


def test_a_merged_mapping_may_be_used_again_by_its_alias(tmp_path: Path) -> None:
    text = """\
x-plain: &plain {type: bearer, token: abcdef}
x-auth: &auth {<<: *plain, token: ghijkl}
apis:
- &a
  <<: {preset: standard, poll_interval: 1m}
  name: one
  url: http://x/
  auth: *auth
  poll_interval: 2m
  organisations: [{id: x}]
- {<<: *a, name: two, auth: *auth}
- {<<: [*a], name: three}
- {<<: &b {<<: *a, name: four, poll_interval: 3m}}
- {<<: *b, name: five}
"""
    assert keys(tmp_path, text) == [("one", "x"), ("two", "x"), ("three", "x"), ("four", "x"), ("five", "x")]


def test_shared_anchors_stand_under_x_keys(tmp_path: Path) -> None:
    text = """\
x-shared:
  key: &key {type: header, value: abcdef}
x-more: [1, 2026-11-22]
apis: [{name: one, preset: standard, url: 'http://x/', auth: *key, organisations: [{id: x}]}]
"""
    assert keys(tmp_path, text) == [("one", "x")]


def test_a_problem_in_a_shared_part_names_its_line(tmp_path: Path) -> None:
    text = """\
x-auth: &auth
  type: bearer
  tokn: x
apis: [{name: one, preset: standard, url: 'http://x/', auth: *auth, organisations: [{id: x}]}]
"""
    assert refused_text(tmp_path, text) == [
        "config.yaml:3: apis[0].auth.tokn: is not a known field; did you mean token?"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x-a: {a: 1, a: 2}\napis: []", "config.yaml:1: x-a: has the key 'a' twice"),
        ("x-a: &a {b: 1}\nx-b: {<<: *a, c: 1, c: 2}\napis: []", "config.yaml:2: x-b: has the key 'c' twice"),
        ("x-a: {<<: {a: 1, a: 2}}\napis: []", "config.yaml:1: x-a: has the key 'a' twice"),
        ("y-a: 1\napis: []", "config.yaml:1: y-a: is not a known field"),
        ("x-a: &a {<<: *a}\napis: []", "config.yaml"),
        ("x-a: &a [*a]\napis: []", "config.yaml"),
    ],
)
def test_mistakes_in_them_are_found(tmp_path: Path, text: str, problem: str) -> None:
    assert refused_text(tmp_path, text)[0].startswith(problem)
