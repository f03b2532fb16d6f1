"""The functions of expressions: docs/functions.md shows them, and what does not fit is an error, not a guess."""

import json
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.config.expressions import Expression, compile_jmespath
from exporter.config.functions import Context, MappingFunctions
from exporter.model import Answer
from tests.support.programs import ROOT

PAGE = (ROOT / "docs/functions.md").read_text(encoding="utf-8")
# Each example is a block of lines of a word and what it stands for.
EXAMPLES = [dict(re.findall(r"^    (\w+) +(.*)$", block, re.MULTILINE)) for block in re.findall(r"(?:^    \w+  .*\n)+", PAGE, re.MULTILINE)]  # fmt: skip


def run(expression: str, value: Any, **context: Any) -> Any:
    return compile_jmespath(expression).search(value, Context(**context))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["expression"])
def test_examples_of_the_docs(example: dict[str, str]) -> None:
    value = json.loads(example["on"])
    others = {name: json.loads(text) for name, text in example.items() if name in ("root", "limits")}
    answers = {"main": Answer(others.get("root", value)), "limits": Answer(others.get("limits"))}
    found = run(example["expression"], value, answers=answers, key=example.get("key"))
    assert found == json.loads(example["gives"])


def test_every_function_of_ours_has_an_example() -> None:
    assert len(EXAMPLES) >= 11
    ours = {name.removeprefix("_func_") for name in vars(MappingFunctions) if name.startswith("_func_")}
    shown = " ".join(example["expression"] for example in EXAMPLES)
    assert {name for name in ours if f"{name}(" not in shown} == set()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sums(a)", "calls the unknown function sums(); did you mean sum()?"),
        ("[?frobnicate(a)]", "calls the unknown function frobnicate(); known are abs, add, answer, "),
        ("to_number(a, b)", "calls to_number() with 2 arguments; it takes 1"),
        ("to_time(a, b, c)", "calls to_time() with 3 arguments; it takes 1 or 2"),
        ("add(a)", "calls add() with 1 arguments; it takes 2 or more"),
        ("not_null()", "calls not_null() with 0 arguments; it takes 1 or more"),
        ("key('a')", "calls key() with 1 arguments; it takes 0"),
        ("answer(name)", "calls answer() without the name of a request in single quotes"),
        ("used-up", "is not JMESPath: "),
    ],
)
def test_what_is_no_call_is_refused_when_the_config_is_read(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        compile_jmespath(expression)


@pytest.mark.parametrize(
    ("expression", "value", "message"),
    [
        ("add(a, b)", {"a": 1, "b": "2"}, "add: takes numbers, not the text '2'; to_number(…) reads a text as one"),
        ("mul(a, b)", {"a": 1, "b": True}, "mul: takes numbers, not true"),
        ("div(a, b)", {"a": 1, "b": 0}, "div: the divisor is 0"),
        ("split(a, '')", {"a": "x"}, "split: the separator is empty"),
        ("trim(a)", {"a": 7}, "trim: takes texts, not the number 7"),
        ("to_time(a)", {"a": "11/12/2026"}, "to_time: '11/12/2026' is no time"),
        ("to_time(a, '%d/%m/%Y')", {"a": "soon"}, "time data 'soon' does not match format"),
        ("date_add(a, `1`, 'fortnight')", {"a": 1796083200}, "date_add: the unit is 'fortnight'; known are second, "),
        ("date_add(a, `0.5`, 'day')", {"a": 1796083200}, "date_add: takes whole numbers, not 0.5"),
        ("date_add(a, `90000`, 'year')", {"a": 1796083200}, "date_add: 90000 years lead out of the calendar"),
        ("group_by(a, &b)", {"a": [{"b": None}]}, "group_by: an element's key is null, not a text or number; not_null(…, 'other') gives"),
        ("group_by(a, &b)", {"a": [{"b": ["x"]}]}, "group_by: an element's key is a list, not a text or number"),
        ("unwind(a, 'b')", {"a": [{"c": []}]}, "unwind: an element has null at 'b', not a list"),
        ("answer('plan')", {}, "answer('plan'): there is no answer of that name here"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(expression: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        run(expression, value)


def test_calendars_are_those_of_the_api_s_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # Clocks go back in the night to 25 October 2026.
    assert run("date_add(a, `1`, 'day')", {"a": "2026-10-24T12:00:00"}, zone=berlin) == "2026-10-25T12:00:00+01:00"
    assert run("date_add(a, `24`, 'hours')", {"a": "2026-10-24T12:00:00"}, zone=berlin) == "2026-10-25T10:00:00+00:00"
    assert run("to_time(a, '%d.%m.%Y')", {"a": "01.12.2026"}, zone=berlin) == "2026-12-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("removed", "instead"),
    [
        ({"root": "account.plan"}, "has root, which is a function now; write root().account.plan"),
        ({"root": "a || b"}, "root() | a || b"),
        ({"root": "@"}, "write root()"),
        ({"key": True}, "has key, which is a function now; write key()"),
        ({"path": "granted", "minus": "left"}, "write sub(granted, left)"),
        ({"path": "granted", "minus": {"root": "left", "scale": 2}}, "write sub(granted, mul(root().left, `2`))"),
        ({"path": "used", "scale": 1000, "optional": True}, '{path: "mul(used, `1000`)", optional: true}'),
        ({"path": "a", "scale": 2, "minus": "b"}, "has minus and scale, which are functions now; write mul(sub(a, b), `2`)"),
        ({"request": "limits", "root": "plan.name"}, "write answer('limits').plan.name"),
        ({"request": "limits", "path": "quota", "scale": 60}, '{path: "mul(quota, `60`)", request: limits}'),
        ({"header": "X-Quota", "scale": 60}, '{path: "mul(@, `60`)", header: X-Quota}'),
    ],
)  # fmt: skip
def test_fields_that_went_say_what_to_write(removed: dict[str, Any], instead: str) -> None:
    with pytest.raises(ValueError, match=re.escape(instead)):
        Expression.model_validate(removed)
    compile_jmespath(re.sub(r'.*write (\{path: ")?([^"]*).*', r"\2", f"write {instead}"))
