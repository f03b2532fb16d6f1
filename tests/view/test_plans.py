"""Which plan would have been right, of what was watched: the document, and what is said of it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.model import BillingPeriod
from exporter.view.plan_words import advice, headline, hits, name
from exporter.view.plans import OrganisationPlans, PlanQuestionError, from_json, plan_document, to_json
from tests.support.months import Months, month
from tests.support.watched import Watched, scope, targets_of

PRICES: dict[str, Any] = {
    "currency": "EUR",
    "plans": {
        "Small": {"price": 49, "scopes": {"Tiles": 100_000, "Routing": 50_000}},
        "Large": {
            "price": 310, "scopes": {"Tiles": 1_000_000, "Routing": "unlimited"}, "link": "https://maps.test/large",
        },
    },
    "add_ons": {"Tiles +25,000": {"price": "40.00", "scope": "Tiles", "adds": 25_000}},
}  # fmt: skip


def planned(months: Months, **asked: Any) -> OrganisationPlans:
    document = plan_document(months.watched.store.states(), months.watched.clock.now(), apis=["maps"], **asked)
    assert from_json(to_json(document)) == document
    (found,) = document.organisations
    return found


@pytest.fixture
def months(tmp_path: Path) -> Months:
    months = Months(tmp_path, {**PRICES, "current": "Small"})
    months.goes(9, Tiles=90_000, Routing=10_000)
    months.goes(10, Tiles=120_000, Routing=20_000)
    months.goes(11, Tiles=95_000, Routing=20_000)
    return months


def test_periods_that_were_watched_to_their_ends_and_the_present_one(months: Months) -> None:
    found = planned(months)
    assert [(one.name, one.is_present) for one in found.periods] == [
        ("2026-09", False), ("2026-10", False), ("2026-11", True),
    ]  # fmt: skip
    before, last, present = (one.usage for one in found.periods)
    assert before == {"Tiles": 90_000, "Routing": 10_000}
    assert last == {"Tiles": 120_000, "Routing": 20_000}
    # Of the last two minutes it is not known yet what comes.
    assert present == pytest.approx({"Tiles": 95_000, "Routing": 20_000}, rel=0.001)
    assert headline(found, 0) == "Acme (maps): 3 billing periods, 2026-09 to 2026-11"


def test_what_each_plan_would_have_cost(months: Months) -> None:
    found = planned(months)
    assert [(name(one), one.total, one.average, one.is_current, hits(one)) for one in found.options] == [
        ("Small + Tiles +25,000", "267.00", "89.00", False, "none"),
        ("Large", "930.00", "310.00", False, "none"),
        ("Small", "147.00", "49.00", True, "1 period: Tiles by 20,000 (2026-10)"),
    ]
    assert [one.headroom for one in found.options] == pytest.approx([0.04, 0.88, -0.2])
    assert found.options[1].link == "https://maps.test/large"
    assert list(advice(found)) == [
        "Small, the plan in use, refuses requests; Small + Tiles +25,000 at 89.00 EUR is enough."
    ]


def test_with_growth_the_larger_plan_is_right(months: Months) -> None:
    assert name(planned(months, growth=50).options[0]) == "Small + 4 × Tiles +25,000"
    found = planned(months, growth=150)
    assert name(found.options[0]) == "Large"
    assert headline(found, 150) == "Acme (maps): 3 billing periods, 2026-09 to 2026-11, with 150% more of everything"
    assert found.periods == planned(months).periods


def test_where_every_plan_refuses_it_says_so_and_calls_none_enough(months: Months) -> None:
    found = planned(months, growth=1150)
    assert list(advice(found)) == [
        "Every plan would have refused requests; Large + 8 × Tiles +25,000 in the fewest periods: 1."
    ]


def test_add_ons_in_use_count_to_the_plan_in_use(tmp_path: Path) -> None:
    months = Months(tmp_path, {**PRICES, "current": "Small", "bought": {"Tiles +25,000": 3}})
    months.goes(9, Tiles=120_000, Routing=10_000)
    found = planned(months)
    assert [(name(one), one.total, one.is_current) for one in found.options] == [
        ("Small + Tiles +25,000", "89.00", False),
        ("Small + 3 × Tiles +25,000", "169.00", True),
        ("Large", "310.00", False),
        ("Small", "49.00", False),
    ]
    assert list(advice(found)) == [
        "Small + 3 × Tiles +25,000, the plan in use, costs 169.00 EUR a period; "
        "Small + Tiles +25,000 at 89.00 EUR is enough."
    ]
    months = Months(tmp_path, {**PRICES, "current": "Small", "bought": {"Tiles +25,000": 1}})
    months.goes(9, Tiles=120_000, Routing=10_000)
    assert [name(one) for one in planned(months).options if one.is_current] == ["Small + Tiles +25,000"]


def test_a_downgrade_is_found(tmp_path: Path) -> None:
    months = Months(tmp_path, {**PRICES, "current": "Large"})
    months.goes(9, Tiles=90_000, Routing=10_000)
    assert list(advice(planned(months))) == [
        "Large, the plan in use, costs 310.00 EUR a period; Small at 49.00 EUR is enough."
    ]


def test_the_plan_in_use_may_be_the_right_one(tmp_path: Path) -> None:
    months = Months(tmp_path, {**PRICES, "current": "Small"})
    months.goes(9, Tiles=90_000)
    assert list(advice(planned(months))) == ["Small, the plan in use, is the cheapest that refuses nothing."]


def test_the_plan_in_use_as_the_vendor_names_it(tmp_path: Path) -> None:
    months = Months(tmp_path, PRICES)
    months.goes(9, Tiles=90_000)
    assert planned(months).current is None
    assert list(advice(planned(months))) == [
        "The cheapest that refuses nothing: Small, 49.00 EUR a period.",
        "Which plan is in use is not known: prices.current in the config says it.",
    ]
    months.watched.reads("Acme", scope("Tiles", 90_001, 1e6, period=month(9), plan="Large"), api="maps")
    assert planned(months).current == "Large"


def test_a_month_whose_end_nobody_saw_is_not_compared(tmp_path: Path) -> None:
    months = Months(tmp_path, PRICES)
    months.goes(8, Tiles=80_000, before_end=timedelta(days=3))
    months.goes(9, Tiles=90_000)
    found = planned(months)
    assert ([one.name for one in found.periods], found.left_out) == (["2026-09"], ("2026-08",))
    assert "Left out, since its end was not watched: 2026-08." in advice(found)


def test_the_present_period_as_it_is_likely_to_end(tmp_path: Path) -> None:
    months = Months(tmp_path, PRICES)
    for day in range(1, 16):
        at = month(9).start + timedelta(days=day)
        months.watched.clock.advance(seconds=(at - months.watched.clock.now()).total_seconds())
        months.watched.reads("Acme", scope("Tiles", 5_000 * day, 1e6, period=month(9)), api="maps")
    (period,) = planned(months).periods
    assert period.usage["Tiles"] == pytest.approx(150_000, rel=0.02)


def test_scopes_that_no_plan_has_are_left_out(tmp_path: Path) -> None:
    months = Months(tmp_path, PRICES)
    months.goes(9, Search=5)
    found = planned(months)
    assert (found.periods, found.options) == ((), ())
    assert headline(found, 0) == "Acme (maps): no billing period of a scope that its plans have is known yet"
    assert list(advice(found)) == []


def test_a_limit_of_an_hour_is_no_billing_period(months: Months) -> None:
    now = months.watched.clock.now()
    hour = BillingPeriod(now.replace(minute=0), now.replace(minute=0) + timedelta(hours=1))
    months.watched.reads(
        "Acme",
        scope("Tiles", 95_000, 1e6, period=month(11)),
        scope("Routing", 100, 1000, period=hour),
        api="maps",
    )
    assert planned(months).periods[-1].usage == pytest.approx({"Tiles": 95_000}, rel=0.001)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"growth": -100}, "growth must be over -100 and at most 10000, in percent, not -100"),
        ({"growth": float("nan")}, "growth must be over -100 and at most 10000, in percent, not nan"),
        ({"growth": 1e9}, "growth must be over -100 and at most 10000, in percent, not 1e+09"),
        ({"organisations": ["Nobody"]}, "no organisation of that name or id is watched"),
    ],
)
def test_questions_that_cannot_be_answered(months: Months, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanQuestionError) as refused:
        planned(months, **asked)
    assert str(refused.value) == said


def test_without_prices_it_says_where_to_write_them(tmp_path: Path) -> None:
    watched = Watched(targets_of(tmp_path, {"b": ["Acme"], "a": ["Acme"]}))
    with pytest.raises(PlanQuestionError) as refused:
        plan_document(watched.store.states(), watched.clock.now())
    assert str(refused.value) == "the config has no prices for a, b; docs/planning.md says how to write them"


def test_no_count_is_too_large_to_be_priced(tmp_path: Path) -> None:
    billed = {"price": 0, "scopes": {"Tiles": {"included": 0, "over": [{"price": "1e12"}]}}}
    months = Months(tmp_path, {"currency": "EUR", "plans": {"Billed": billed}})
    months.watched.reads("Acme", scope("Tiles", 1e20, None, period=month(11)), api="maps")
    found = planned(months)
    assert float(found.options[0].total) == pytest.approx(found.periods[0].usage["Tiles"] * 1e12)
