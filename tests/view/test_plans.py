"""Which plan would have been right, of what was watched: the document, and what is said of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.model import BillingPeriod, DailySource, ScopeUsage
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
    assert present == {"Tiles": 95_000, "Routing": 20_000}
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
    assert ([one.name for one in found.periods], found.left_out) == (
        ["2026-09"],
        {"2026-08": "its end was not watched"},
    )
    assert "Left out: 2026-08 (its end was not watched)." in advice(found)


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
    assert found.not_compared == {"Search": "no plan lists it"}
    assert list(advice(found)) == ["Not compared: Search (no plan lists it)."]


def test_a_limit_of_an_hour_is_no_billing_period(months: Months) -> None:
    now = months.watched.clock.now()
    hour = BillingPeriod(now.replace(minute=0), now.replace(minute=0) + timedelta(hours=1))
    months.watched.reads(
        "Acme",
        scope("Tiles", 95_000, 1e6, period=month(11)),
        scope("Routing", 100, 1000, period=hour),
        api="maps",
    )
    found = planned(months)
    assert found.periods[-1].usage == {"Tiles": 95_000}
    assert found.not_compared == {"Routing": "its billing period is of another length"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"growth": -100}, "growth must be over -100 and at most 10000, in percent, not -100"),
        ({"growth": float("nan")}, "growth must be over -100 and at most 10000, in percent, not nan"),
        ({"growth": 1e9}, "growth must be over -100 and at most 10000, in percent, not 1000000000"),
        ({"organisations": ["Nobody"]}, "no organisation of that name or id, and api, is watched"),
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
    clock = months.watched.clock
    clock.advance(seconds=(month(11).end - clock.now()).total_seconds() - 60)
    months.watched.reads("Acme", scope("Tiles", 1e20, None, period=month(11)), api="maps")
    found = planned(months)
    assert found.options[0].total == f"1{'0' * 32}.00"


FREE, PRO = (
    {"price": 0, "scopes": {"Tiles": 10_000}},
    {"price": 29, "scopes": {"Tiles": 300_000, "Routing": 300_000}},
)
TWO: dict[str, Any] = {"currency": "EUR", "plans": {"Free": FREE, "Pro": PRO}}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (scope("routing", 500_000, 1e6, period=month(9)), "no plan lists it"),
        (scope("Routing", 500_000, 1e6, period=None), "it has no billing period"),
        (replace(scope("Routing", 1, None, period=month(9)), requests=None), "its usage is not told"),
        (
            scope("Routing", 1, 1e6, period=BillingPeriod(month(9).start, month(9).start + timedelta(days=7))),
            "its billing period is of another length",
        ),
        (
            scope(
                "Routing",
                1,
                1e6,
                period=BillingPeriod(month(9).start + timedelta(days=14), month(9).end + timedelta(days=14)),
            ),
            "its billing period begins at another time",
        ),
    ],
)
def test_scopes_that_cannot_be_compared_are_named(tmp_path: Path, other: ScopeUsage, reason: str) -> None:
    months = Months(tmp_path, TWO)
    months.goes(9, Tiles=5_000, Search=5)
    tiles = scope("Tiles", 5_000, 1e6, period=month(9))
    months.watched.reads("Acme", tiles, replace(tiles, name="Search"), other, api="maps")
    found = planned(months)
    assert found.not_compared == {"Search": "no plan lists it", other.name: reason}
    assert f"({reason})" in " ".join(advice(found))


def test_scopes_that_once_began_at_different_times_leave_those_periods_out(tmp_path: Path) -> None:
    months = Months(tmp_path, TWO)
    clock, shift = months.watched.clock, timedelta(days=14)
    shifted = [BillingPeriod(month(each).start + shift, month(each).end + shift) for each in (7, 8)]
    steps = [(month(7), shifted[0]), (month(8), shifted[0]), (month(8), shifted[1]), (month(9), month(9))]
    for tiles, routing in steps:
        begun = max(tiles.start, routing.start)
        for at in (begun + timedelta(minutes=1), min(tiles.end, routing.end) - timedelta(minutes=2)):
            clock.advance(seconds=(at - clock.now()).total_seconds())
            of_tiles = (at - tiles.start).total_seconds() // 1000
            of_routing = (at - routing.start).total_seconds() // 1000
            months.watched.reads(
                "Acme",
                scope("Tiles", of_tiles, 1e6, period=tiles),
                scope("Routing", of_routing, 1e6, period=routing),
                api="maps",
            )
    found = planned(months)
    assert [one.name for one in found.periods] == ["2026-09"]
    assert set(found.left_out) == {"2026-07", "2026-07-15", "2026-08", "2026-08-15"}


def test_a_count_that_began_again_within_the_month_is_added_up(tmp_path: Path) -> None:
    """As after a change of the plan, on the 20th; in October, which is over, and in November, which goes on."""
    months = Months(tmp_path, TWO)
    clock = months.watched.clock
    clock.advance(seconds=(month(10).start - clock.now()).total_seconds())
    for _ in range((31 + 24) * 24):
        clock.advance(hours=1)
        period = month(10) if clock.now() < month(10).end else month(11)
        since = (clock.now() - period.start) // timedelta(hours=1)
        count = 100 * (since if since < 20 * 24 else since - 20 * 24)
        # The exporter counts the days itself.
        tiles = scope("Tiles", count, 1e6, period=period, daily=None, daily_source=DailySource.OBSERVED)
        months.watched.reads("Acme", tiles, api="maps")
    october, november = planned(months).periods
    assert (october.name, november.name, november.is_present) == ("2026-10", "2026-11", True)
    assert october.usage["Tiles"] == pytest.approx(100 * 31 * 24, rel=0.01)
    assert november.usage["Tiles"] == pytest.approx(100 * 30 * 24, rel=0.05)


def test_a_period_of_which_nobody_knows_how_it_ends_is_left_out(tmp_path: Path) -> None:
    months = Months(tmp_path, TWO)
    months.goes(9, Tiles=90_000)
    months.watched.clock.advance(hours=1)
    months.watched.reads("Acme", scope("Tiles", 90, 1e6, period=month(10)), api="maps")
    found = planned(months)
    assert [(one.name, one.usage, one.is_present) for one in found.periods] == [("2026-09", {"Tiles": 90_000}, False)]
    assert found.left_out == {"2026-10": "how it will end is not known yet"}


def test_an_organisation_that_is_down_keeps_its_past_periods(tmp_path: Path) -> None:
    months = Months(tmp_path, TWO)
    months.goes(9, Tiles=90_000)
    months.goes(10, Tiles=95_000, before_end=timedelta(days=10))
    months.watched.clock.advance(days=20)
    found = planned(months)
    assert [one.name for one in found.periods] == ["2026-09"]
    assert found.left_out == {"2026-10": "its end was not watched"}


def test_a_year_is_no_month(tmp_path: Path) -> None:
    months = Months(tmp_path, TWO)
    year = BillingPeriod(month(9).start - timedelta(days=365), month(9).start)
    for at, count in ((year.start + timedelta(minutes=1), 0), (year.end - timedelta(minutes=1), 900_000)):
        months.watched.clock.advance(seconds=(at - months.watched.clock.now()).total_seconds())
        months.watched.reads("Acme", scope("Tiles", count, 1e6, period=year), api="maps")
    months.goes(9, Tiles=9_000)
    found = planned(months)
    assert ([one.name for one in found.periods], list(found.left_out.values())) == (
        ["2026-09"],
        ["it was longer than the present one"],
    )


def test_hours_of_a_day_are_not_mixed_up(tmp_path: Path) -> None:
    months = Months(tmp_path, TWO)
    for hour in range(3):
        start = month(9).start + timedelta(hours=hour)
        period = BillingPeriod(start, start + timedelta(hours=1))
        for at, count in ((start + timedelta(minutes=1), 0), (period.end - timedelta(minutes=1), 70 + hour)):
            months.watched.clock.advance(seconds=(at - months.watched.clock.now()).total_seconds())
            months.watched.reads("Acme", scope("Tiles", count, 1e6, period=period), api="maps")
    assert [(one.name, one.usage["Tiles"]) for one in planned(months).periods] == [
        ("2026-09-01T00:00", 70),
        ("2026-09-01T01:00", 71),
        ("2026-09-01T02:00", 72),
    ]


def test_between_two_equally_cheap_plans_the_one_in_use_is_right(tmp_path: Path) -> None:
    plans = {"A": FREE, "B": FREE}
    months = Months(tmp_path, {"currency": "EUR", "plans": plans, "current": "B"})
    months.goes(9, Tiles=5)
    assert list(advice(planned(months))) == ["B, the plan in use, is the cheapest that refuses nothing."]
