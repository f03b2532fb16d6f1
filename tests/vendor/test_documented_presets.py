"""Every preset against a local server that answers as the vendor documents. One table: a preset is data, and so is its
proof. tests/vendor/test_presets.py has what beyond that needs a vendor of its own."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from exporter.config.load import Target
from exporter.config.preset import (
    DocumentedAnswer,
    Provenance,
    VendorAnswer,
    documentation,
    load_preset,
    preset_names,
)
from exporter.errors import PollError
from exporter.vendor.documented import answers_of, scope_as_json
from exporter.vendor.drift import Expectation
from exporter.vendor.one_poll import Outcome
from tests.support.documented import SECRET, DocumentedVendor, ask_documented, preset_target
from tests.support.http import serve
from tests.support.programs import ROOT

PRESETS = preset_names()
CASES = [(preset, case) for preset in PRESETS for case in documentation(preset).answers]
GOOD = [(preset, case) for preset in PRESETS for case in documentation(preset).good]


@dataclass(frozen=True)
class Vendors:
    """The vendor, and each preset's target that asks it."""

    vendor: DocumentedVendor
    targets: dict[str, Target]

    def ask(self, preset: str, documented: DocumentedAnswer) -> Outcome:
        return ask_documented(self.targets[preset], self.vendor, documented)


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendors]:
    vendor, folder = DocumentedVendor(), tmp_path_factory.mktemp("presets")
    with pytest.MonkeyPatch.context() as patch, serve(vendor) as url:
        for name in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *_environment(PRESETS)}:
            patch.setitem(os.environ, name, SECRET)
        vendor.url = url
        yield Vendors(vendor, {preset: preset_target(folder, preset, url) for preset in PRESETS})


def _environment(presets: list[str]) -> set[str]:
    return {name for preset in presets for name in re.findall(r"'env': '(\w+)'", str(load_preset(preset).example))}


def outcome_as_json(outcome: Outcome) -> Any:
    """As documented answers expect it; what could be read only in part says so."""
    if isinstance(outcome, PollError):
        return {"failure": outcome.reason.value}
    scopes = [scope_as_json(scope) for scope in outcome.scopes]
    return {"scopes": scopes, **({"misfits": outcome.misfit_text} if outcome.misfits else {})}


@pytest.mark.parametrize(("preset", "case"), CASES)
def test_documented_answers_come_to_what_is_expected(vendors: Vendors, preset: str, case: str) -> None:
    documented = documentation(preset).answers[case]
    expected = documented.expected.model_dump(mode="json", exclude_none=True)
    outcome = outcome_as_json(vendors.ask(preset, documented))
    assert outcome == (expected if documented.is_good else {"failure": expected["failure"]})


FAILURES: dict[str, tuple[VendorAnswer, str]] = {
    "401": (VendorAnswer(status=401, body={"message": "Bad credentials"}), "auth"),
    "403": (VendorAnswer(status=403, body={"message": "Forbidden"}), "auth"),
    "404": (VendorAnswer(status=404, body={"message": "Not found"}), "request"),
    "429": (VendorAnswer(status=429, body={"status": {"error_code": 429}}), "rate_limited"),
    "500": (VendorAnswer(status=500, body=""), "server_error"),
    "503": (VendorAnswer(status=503, body="<html>down for maintenance</html>"), "server_error"),
    "nothing": (VendorAnswer(body=""), "response"),
    "an empty object": (VendorAnswer(body={}), "response"),
    "an empty list": (VendorAnswer(body=[]), "response"),
    "null": (VendorAnswer(body=None), "response"),
    "a page": (VendorAnswer(body="<html>sign in</html>"), "response"),
    "an error in a 200": (
        VendorAnswer(body={"message": "x", "error": "x", "status": {"error_message": "x"}}),
        "response",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("preset", PRESETS)
def test_failures_are_named_for_every_preset(vendors: Vendors, preset: str, failure: str) -> None:
    answer, reason = FAILURES[failure]
    documented = next(iter(documentation(preset).answers.values()))
    outcome = vendors.ask(preset, documented.model_copy(update={"answers": {"main": answer}}))
    assert outcome_as_json(outcome) == {"failure": reason}


@pytest.mark.parametrize(("preset", "case"), GOOD)
def test_each_number_counts_or_is_not_read(vendors: Vendors, preset: str, case: str) -> None:
    """A number that nothing reads changes nothing; each number that is published comes from one that is read."""
    documented = documentation(preset).answers[case]
    target = vendors.targets[preset]
    expected = documented.expected.model_dump(mode="json")["scopes"]
    answers = answers_of(documented, target.api)
    assert answers is not None
    read = {(place.request, place.path) for place in Expectation([documented], target.api).places(answers)}
    still = {(index, field) for index, scope in enumerate(expected) for field in _numbers_from(scope, target)}
    for request, path, value in _numbers(documented):
        changed = _changed(documented, request, path, str(int(value) + 1) if isinstance(value, str) else value + 1)
        outcome = outcome_as_json(vendors.ask(preset, changed))
        if (request, path) not in read and target.api.read == "body":
            assert outcome == {"scopes": expected}, f"{path} is not read, and counts"
        for index, field in list(still):
            scopes = outcome.get("scopes", [])
            if len(scopes) != len(expected) or scopes[index].get(field) != expected[index].get(field):
                still.remove((index, field))
    assert still == set() or target.api.read != "body", "published, whatever the answer says"


def _numbers_from(scope: dict[str, Any], target: Target) -> list[str]:
    """The fields of a scope whose numbers have to come from the answer."""
    static, override = target.api.static, target.api.overrides.get(scope["name"])
    given = {
        name for one in (static, override) if one for name in ("limit", "rate_limit_per_minute") if getattr(one, name)
    }
    fields = ("requests", "limit", "rate_limit_per_minute", "rejected")
    # Nothing used may be what is left of the least that there can be.
    return [name for name in fields if isinstance(scope.get(name), int | float) and scope[name] and name not in given]


def _numbers(documented: DocumentedAnswer) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    for request, answer in documented.answers.items():
        for path, value in _leaves(answer.body, ()):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number or (isinstance(value, str) and re.fullmatch(r"\d{1,15}", value)):
                yield request, path, value


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield (*path, name), member
        yield from _leaves(member, (*path, name))


def _put(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with the new value at the path."""
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: _put(value[path[0]], path[1:], new)}
    return [_put(one, path[1:], new) if index == path[0] else one for index, one in enumerate(value)]


def _changed(documented: DocumentedAnswer, request: str, path: tuple[str | int, ...], new: Any) -> DocumentedAnswer:
    answer = documented.answers[request]
    answer = answer.model_copy(update={"body": _put(answer.body, path, new)})
    return documented.model_copy(update={"answers": {**documented.answers, request: answer}})


def test_a_preset_says_where_it_comes_from() -> None:
    for preset in PRESETS:
        documented = documentation(preset)
        assert documented.good, preset
        for case, answer in documented.answers.items():
            assert answer.source.startswith(("https://", "docs/")), (preset, case)
        assert documented.provenance is not Provenance.ASSUMED, preset


def test_every_preset_has_a_page_and_no_other_has() -> None:
    found = {page.stem for page in (ROOT / "docs/presets").iterdir()}
    assert found == {"README", *PRESETS}
