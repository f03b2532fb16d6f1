"""What is changed of an expression, one thing at a time."""

import pytest

from tests.mutation.mutants import mutants
from tests.mutation.rules import rule_mutants


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a >= 0.5", ["a > 0.5", "a <= 0.5", "a >= 0.55", "a >= 0.45"]),
        ("1e-15 * a", ["1e15 * a", "1e-15 / a"]),
        ("a == 3", ["a != 3", "a == 4", "a == 2"]),
        ("a > bool 0", ["a >= bool 0", "a < bool 0", "a > bool 1"]),
        ("a and b", ["a unless b", "a or b"]),
        ("-a + b", ["-a - b"]),
        ("last_over_time(a[10m])", ["last_over_time(a[300s])"]),
        ("max without (x, y) (a)", ["min without (x, y) (a)", "max without (y) (a)", "max without (x) (a)"]),
        ('a{b="c > 1 and [5m]"}', ['a{b!="c > 1 and [5m]"}']),
        ("a * on (x) group_left () b", ["a / on (x) group_left () b", "a * on () group_left () b"]),
        ("and_or_max{sum=~`on (a)`}", ["and_or_max{sum!~`on (a)`}"]),
    ],
)
def test_each_change_is_one_of_its_own(expr: str, expected: list[str]) -> None:
    assert [mutant.expr for mutant in mutants(expr)] == expected


def test_a_change_that_is_no_promql_or_means_the_same_is_none() -> None:
    assert [mutant.expr for mutant in mutants("topk(1, a)")] == ["bottomk(1, a)", "topk(2, a)", "topk(0, a)"]


def test_rules_have_mutants_of_every_kind() -> None:
    found = list(rule_mutants())
    assert {mutant.field for mutant in found} == {"expr", "for", "labels"}
    assert len({mutant.name for mutant in found}) > 0.9 * len(found)
