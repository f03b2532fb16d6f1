"""What an answer is held against, what is made of a field that is not as documented, and what that costs nobody."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from werkzeug.wrappers import Response

from exporter.config.load import Target, load_config
from exporter.errors import PollError
from exporter.exposition.process import ProcessMetrics
from exporter.model import UsageSnapshot
from exporter.vendor.documented import answers_of
from exporter.vendor.drift import Expectation
from exporter.vendor.poller import Poller
from tests.support.asking import ask
from tests.support.clock import FakeClock
from tests.support.factories import write_config
from tests.support.http import Vendor

# A vendor whose accounts have plans with a limit or without, and keys that are counted together.
PRESET = """\
description: x
documentation: https://x.example.com/docs
api:
  url: /usage
  mapping:
    error_when: error
    scopes: plans
    name: name
    plan: {path: tier, optional: true}
    requests: sum(keys[].used)
    limit: limit
    unlimited_when: [null]
  static: {limit: unlimited}
"""


def plan(name: str, *used: float, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "tier": "gold",
        "limit": 100,
        "keys": [{"used": one, "label": "k"} for one in used],
        **fields,
    }


def documented(*plans: dict[str, Any]) -> str:
    return json.dumps(
        {
            "source": "https://x.example.com/docs",
            "read": "2026-11-20",
            "provenance": "documented",
            "at": "2026-11-22T12:00:00Z",
            "answers": {"main": {"body": {"plans": plans, "generated": "today"}}},
            "expected": {"scopes": []},
        }
    )


@pytest.fixture
def target(tmp_path: Path, vendor: Vendor) -> Target:
    return make(tmp_path, vendor)


def make(tmp_path: Path, vendor: Vendor, **api: Any) -> Target:
    folder = tmp_path / "presets/ours"
    folder.mkdir(parents=True)
    (folder / "preset.yaml").write_text(PRESET)
    (folder / "ok.json").write_text(documented(plan("a", 1, 2), plan("b", 3)))
    (folder / "unlimited.json").write_text(documented(plan("c", 5, limit=None)))
    api = {"name": "ours", "preset": "ours", "base_url": vendor.url, "poll_interval": "10s", **api}
    file = write_config(tmp_path / "c.yaml", api, preset_folders=["presets"])
    return load_config(file).targets[0]


def answers(vendor: Vendor, *plans: Any, **fields: Any) -> None:
    vendor.answer = lambda _: Response(json.dumps({"plans": plans, **fields}))


def names(outcome: object) -> set[str]:
    assert isinstance(outcome, UsageSnapshot), outcome
    return {scope.name for scope in outcome.scopes}


def drifts(target: Target, body: Any) -> list[str]:
    expectation = Expectation(target.documentation.good.values(), target.api)
    (known, *_) = target.documentation.good.values()
    documented = answers_of(known, target.api)
    assert documented is not None
    return [drift.message for drift in expectation.drifts({"main": type(documented["main"])(body, {})})]


def test_what_is_documented_and_what_nothing_reads_is_no_drift(target: Target, vendor: Vendor) -> None:
    answers(vendor, plan("a", 1, other="new"), plan("b", 1, limit=None, keys=[]), generated=7)
    assert names(ask(target)) == {"a", "b"}
    assert drifts(target, {"plans": []}) == []


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"plan": []}, ["plans is missing; documented is a list"]),
        ({"plans": {"a": {}}}, ["plans is an object; documented is a list"]),
        ([], ["the answer is a list; documented is an object"]),
        (
            {"plans": [plan("a", 1), {**plan("b", 2), "limit": "100"}]},
            ['plans[].limit is a number in a text, "100"; documented is a number or null'],
        ),
        (
            {"plans": [{**plan("a", 1), "keys": [{"used": 1}, {"requests": 2}]}]},
            ["plans[].keys[].used is missing; documented is a number"],
        ),
        ({"plans": [plan("a", -5)]}, ["plans[].keys[].used is -5, less than 0; documented is a number"]),
        ({"plans": [{**plan("a", 1), "tier": 3}]}, ["plans[].tier is a number, 3; documented is a text or null"]),
        (
            {"plans": [{name: value for name, value in plan("a", 1).items() if name != "tier"}]},
            [],  # the mapping says that it is optional
        ),
    ],
)
def test_what_differs_is_named_with_what_is_documented(target: Target, body: Any, messages: list[str]) -> None:
    assert drifts(target, body) == messages


def test_an_error_in_a_200_has_other_fields(target: Target, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response(json.dumps({"error": "the account is closed"}))
    with capture_logs() as lines:
        outcome = ask(target)
    assert isinstance(outcome, PollError)
    assert lines == []


def test_a_limit_that_went_does_not_become_unlimited(target: Target, vendor: Vendor) -> None:
    renamed = {"quota" if name == "limit" else name: value for name, value in plan("a", 90).items()}
    answers(vendor, renamed, plan("b", 3))
    outcome = ask(target)
    assert names(outcome) == {"b"}
    assert isinstance(outcome, UsageSnapshot)
    assert outcome.misfit_text == "scope 'a': plans[].limit is missing; documented is a number or null"


def test_of_a_thousand_scopes_each_is_held_back_that_depends_on_a_field_that_went(
    target: Target, vendor: Vendor
) -> None:
    renamed = [{"quota" if name == "limit" else name: one for name, one in plan("x", 9).items()} for _ in range(900)]
    answers(vendor, *({**one, "name": f"x{number}"} for number, one in enumerate(renamed)), plan("a", 1))
    outcome = ask(target)
    assert names(outcome) == {"a"}
    assert isinstance(outcome, UsageSnapshot)
    assert len(outcome.misfits) == 900


def test_a_sum_that_lost_a_part_is_held_back(target: Target, vendor: Vendor) -> None:
    answers(vendor, {**plan("a", 40), "keys": [{"used": 40}, {"requests": 50}]})
    outcome = ask(target)
    assert isinstance(outcome, PollError)
    assert (outcome.reason, str(outcome)) == (
        "response",
        "scope 'a': plans[].keys[].used is missing; documented is a number",
    )


def test_whoever_knows_better_than_the_documentation_may_say_so(tmp_path: Path, vendor: Vendor) -> None:
    answers(vendor, {**plan("a", 40), "limit": "100"})
    mapping = {"limit": "to_number(limit)"}
    held = ask(make(tmp_path, vendor, mapping=mapping))
    assert isinstance(held, PollError)
    own = tmp_path / "own"
    own.mkdir()
    assert names(ask(make(own, vendor, mapping=mapping, publish_drifted=True))) == {"a"}


def test_what_only_a_label_depends_on_costs_no_number(target: Target, vendor: Vendor) -> None:
    answers(vendor, {**plan("a", 4), "tier": ["gold"]})
    outcome = ask(target)
    assert names(outcome) == {"a"}
    assert drifts(target, {"plans": [{**plan("a", 4), "tier": ["gold"]}]}) != []


def test_a_field_is_named_once_in_the_log_however_often_it_is_met(tmp_path: Path, vendor: Vendor) -> None:
    target = make(tmp_path, vendor, name="once")
    with capture_logs() as lines:
        for limit in ("100", "101", "102"):
            answers(vendor, {**plan("a", 4), "limit": limit})
            ask(target)
    named = [line for line in lines if line["event"] == "an answer is not as it is documented"]
    assert [(line["api"], line["field"], line["log_level"]) for line in named] == [
        ("once", "plans[].limit", "warning")
    ]


@pytest.mark.usefixtures("target")
def test_fields_of_one_s_own_are_expected_instead(tmp_path: Path, vendor: Vendor) -> None:
    """Another endpoint than the documented one has other fields, which are no drift."""
    file = tmp_path / "own.yaml"
    file.write_text(
        f"preset_folders: [presets]\napis: [{{name: o, preset: ours, base_url: '{vendor.url}', organisations: [{{id: a}}], "
        "mapping: {scopes: '[@]', name: \"'all'\", requests: total, limit: most}}]"
    )
    (own,) = load_config(file).targets
    vendor.answer = lambda _: Response(json.dumps({"total": 5, "most": 10}))
    with capture_logs() as lines:
        assert names(ask(own)) == {"all"}
    assert lines == []


def test_the_metric_counts_organisations_and_goes_back(target: Target, vendor: Vendor) -> None:
    process, clock = ProcessMetrics(), FakeClock()
    process.config_loaded(clock.now(), [("ours", "acme")])
    poller = Poller(lambda *_: None, clock, observer=process)
    poller.set_targets([target])

    def drift() -> float | None:
        return process.registry.get_sample_value("api_usage_answer_drift", {"api": "ours", "field": "plans[].limit"})

    answers(vendor, plan("a", 1))
    _poll(poller)
    assert drift() is None
    answers(vendor, {**plan("a", 1), "limit": "100"})
    clock.advance(minutes=1)
    _poll(poller)
    assert drift() == 1
    answers(vendor, plan("a", 1))
    clock.advance(hours=1)
    _poll(poller)
    assert drift() == 0
    process.config_loaded(clock.now(), [("another", "acme")])
    assert drift() is None
    poller.stop()


def _poll(poller: Poller) -> None:
    poller.run_due()
    assert poller.wait_idle(20)
