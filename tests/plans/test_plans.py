"""Price lists: what a period costs, to the cent, which add-ons a plan needs, and how plans compare."""

import time
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.plans import AddOn, Allowance, Period, Plan, PriceList, Tier, compare, grown, outcome
from exporter.plans.cost import of_scope, over_cost


def dec(text: str | int) -> Decimal:
    return Decimal(text)


def plan(name: str, price: str, **scopes: Allowance | str) -> Plan:
    allowances = {
        scope: one if isinstance(one, Allowance) else Allowance(Decimal(one)) for scope, one in scopes.items()
    }
    return Plan(name, Decimal(price), allowances)


SMALL, LARGE = (
    plan("Small", "49", Tiles="100000", Routing="50000"),
    plan("Large", "310", Tiles="1000000", Routing="500000"),
)
MORE = AddOn("Tiles +25,000", dec(40), "Tiles", dec(25_000))


def period(name: str, **usage: int) -> Period:
    return Period(name, {scope: Decimal(count) for scope, count in usage.items()})


# --- one period


@pytest.mark.parametrize(
    ("over", "cost", "refused"),
    [
        (0, "0", "0"),
        (1, "0.005", "0"),
        (100_000, "500", "0"),
        (100_001, "500.004", "0"),
        (500_000, "2100", "0"),
        (600_000, "2100", "100000"),
    ],
)
def test_what_is_over_is_counted_tier_by_tier(over: int, cost: str, refused: str) -> None:
    """5.00 for each 1,000 of the first 100,000, then 4.00 up to 500,000, by the request."""
    tiers = (Tier(dec(5), 1000, dec(100_000)), Tier(dec(4), 1000, dec(500_000)))
    assert over_cost(tiers, Decimal(over)) == (Decimal(cost), Decimal(refused))


@pytest.mark.parametrize(("over", "cost"), [(1, "0.50"), (1000, "0.50"), (1001, "1.00"), (2500, "1.50")])
def test_a_block_that_is_begun_is_paid_for(over: int, cost: str) -> None:
    assert over_cost((Tier(dec("0.50"), 1000, whole=True),), Decimal(over)) == (Decimal(cost), dec(0))


def test_cents_are_no_floats() -> None:
    tenths = Plan("T", dec("0.1"), {"A": Allowance(dec(0), (Tier(dec("0.1")),))})
    assert outcome(tenths, (), {"A": dec(2)}).cost == dec("0.3")


def test_a_scope_that_is_not_part_of_a_plan_is_refused() -> None:
    found = outcome(SMALL, (), {"Tiles": dec(100_000), "Search": dec(3)})
    assert (found.cost, dict(found.refused)) == (dec(49), {"Search": dec(3)})


def test_add_ons_add_and_cost() -> None:
    found = outcome(SMALL, (MORE, MORE), {"Tiles": dec(150_001)})
    assert (found.cost, dict(found.refused)) == (dec(129), {"Tiles": dec(1)})


# --- many


def test_an_add_on_before_a_larger_plan_until_that_is_cheaper() -> None:
    prices = PriceList("EUR", (SMALL, LARGE), (MORE,))
    best, *_ = compare(prices, [period("2026-09", Tiles=90_000), period("2026-10", Tiles=120_000)])
    assert (best.plan.name, [one.name for one in best.add_ons], best.total, best.hits) == (
        "Small",
        ["Tiles +25,000"],
        dec(178),
        (),
    )
    best, *_ = compare(prices, [period("2026-10", Tiles=300_000)])
    assert (best.plan.name, best.add_ons, best.total) == ("Large", (), dec(310))


def test_what_refuses_comes_last_and_says_where() -> None:
    *_, worst = compare(
        PriceList("EUR", (SMALL, LARGE)), [period("2026-09", Tiles=1), period("2026-10", Routing=60_000)]
    )
    (hit,) = worst.hits
    assert (worst.plan.name, hit.period, hit.scope, hit.refused) == ("Small", "2026-10", "Routing", dec(10_000))
    assert worst.headroom == dec("-0.2")


def test_overage_is_weighed_against_add_ons() -> None:
    billed = Plan("Billed", dec(10), {"Tiles": Allowance(dec(0), (Tier(dec(1), 1000),))})
    best, *_ = compare(PriceList("EUR", (billed,), (MORE,)), [period("2026-10", Tiles=25_000)])
    assert (len(best.add_ons), best.total) == (0, dec(35))
    best, *_ = compare(PriceList("EUR", (billed,), (MORE,)), [period("2026-10", Tiles=60_000)])
    assert (len(best.add_ons), best.total) == (0, dec(70))
    best, *_ = compare(
        PriceList("EUR", (billed,), (AddOn("Cheap", dec(20), "Tiles", dec(25_000)),)), [period("x", Tiles=60_000)]
    )
    assert (len(best.add_ons), best.total) == (2, dec(60))


def test_growth_is_of_everything() -> None:
    (one,) = grown([period("2026-10", Tiles=100, Routing=10)], dec(20))
    assert one.usage == {"Tiles": 120, "Routing": 12}


def test_two_add_ons_are_combined_as_cheaply_as_can_be() -> None:
    offered = (MORE, AddOn("Tiles +100,000", dec(100), "Tiles", dec(100_000)))
    best, *_ = compare(PriceList("EUR", (SMALL,), offered), [period("2026-10", Tiles=220_000)])
    assert sorted(one.name for one in best.add_ons) == ["Tiles +100,000", "Tiles +25,000"]


def test_an_add_on_is_paid_for_in_every_period() -> None:
    """It is needed in one of four, and billing what is over is cheaper."""
    billed = Plan("S", dec(10), {"x": Allowance(dec(10)), "y": Allowance(dec(0), (Tier(dec(1)),))})
    flat = plan("L", "30", x="100", y="100")
    offered = (AddOn("x+", dec(5), "x", dec(100)), AddOn("y+", dec(40), "y", dec(100)))
    periods = [period(str(number), x=50) for number in range(3)]
    best, *_ = compare(PriceList("EUR", (billed, flat), offered), [*periods, period("3", x=50, y=50)])
    assert ([one.name for one in best.add_ons], best.total) == (["x+"], dec(110))


def test_what_refuses_in_fewer_periods_comes_first_then_what_refuses_less() -> None:
    once = plan("Once", "1", a="10", b="10", c="10")
    twice = plan("Twice", "1", a="4", b="99", c="99")
    used = [period("1", a=11, b=11, c=11), period("2", a=5)]
    ranked = compare(PriceList("EUR", (twice, once)), used)
    assert [one.plan.name for one in ranked] == ["Once", "Twice"]
    free, big = plan("Free", "0", a="10"), plan("Big", "100", a="1000")
    ranked = compare(PriceList("EUR", (free, big)), [period("1", a=1001)])
    assert [one.plan.name for one in ranked] == ["Big", "Free"]


def test_what_is_billed_without_an_end_has_no_headroom() -> None:
    billed = Plan("B", dec(0), {"a": Allowance(dec(0), (Tier(dec(1)),))})
    ending = Plan("E", dec(0), {"a": Allowance(dec(10), (Tier(dec(1), 1, dec(30)),))})
    found = {one.plan.name: one.headroom for one in compare(PriceList("EUR", (billed, ending)), [period("1", a=20)])}
    assert found == {"B": None, "E": dec("0.5")}


def test_an_odd_price_list_takes_no_longer_than_people_wait() -> None:
    offered = tuple(AddOn(str(step), dec(13**step), "a", dec(13**step)) for step in range(7))
    began = time.monotonic()
    best, *_ = compare(PriceList("EUR", (plan("P", "1", a="0"),), offered), [period("1", a=13**7 - 1)] * 13)
    assert time.monotonic() - began < 5
    assert best.hits == ()


# --- for all

COUNTS = st.integers(0, 10**9).map(Decimal)
PRICES = st.integers(0, 10**6).map(lambda cents: Decimal(cents) / 100)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    ends = sorted(draw(st.sets(st.integers(1, 10**6), max_size=3)))
    bounded = tuple(Tier(draw(PRICES), draw(st.sampled_from([1, 100, 1000])), Decimal(end)) for end in ends)
    return (*bounded, Tier(draw(PRICES), 1000))


@given(tiers(), COUNTS)
def test_tiers_are_continuous(steps: tuple[Tier, ...], over: Decimal) -> None:
    """One request more costs no more than the dearest tier's price of one."""
    before, after = over_cost(steps, over)[0], over_cost(steps, over + 1)[0]
    assert 0 <= after - before <= max(tier.price / tier.per for tier in steps)


@given(COUNTS, COUNTS, COUNTS)
def test_a_larger_limit_never_refuses_more(included: Decimal, more: Decimal, requests: Decimal) -> None:
    assert (
        of_scope(Allowance(included + more), Decimal(0), requests)[1]
        <= of_scope(Allowance(included), Decimal(0), requests)[1]
    )


@given(st.lists(COUNTS, min_size=1, max_size=4), PRICES, st.integers(1, 10**8).map(Decimal), tiers())
def test_a_plan_with_add_ons_never_costs_more_than_without_where_neither_refuses(
    counts: list[Decimal], price: Decimal, adds: Decimal, over: tuple[Tier, ...]
) -> None:
    billed = Plan("P", Decimal(1), {"A": Allowance(Decimal(1000), over)})
    periods = [Period(str(number), {"A": count}) for number, count in enumerate(counts)]
    found = compare(PriceList("EUR", (billed,), (AddOn("more", price, "A", adds),)), periods)
    bare = next(each for each in found if not each.add_ons)
    assert found[0].total <= bare.total


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=3),
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
    st.booleans(),
)
def test_no_other_choice_of_add_ons_is_better(
    offered: list[tuple[int, int]], counts: list[int], is_billed: bool
) -> None:
    """Beside every other choice, one by one."""
    base = Plan("P", Decimal(1), {"A": Allowance(Decimal(5), (Tier(Decimal(1), 10),) if is_billed else ())})
    add_ons = [AddOn(str(index), Decimal(price), "A", Decimal(adds)) for index, (price, adds) in enumerate(offered)]
    periods = [period(str(number), A=count) for number, count in enumerate(counts)]
    (best, *_) = compare(PriceList("EUR", (base,), tuple(add_ons)), periods)

    def judged(times: tuple[int, ...]) -> tuple[int, Decimal]:
        bought = [add_on for add_on, count in zip(add_ons, times, strict=True) for _ in range(count)]
        outcomes = [outcome(base, bought, each.usage) for each in periods]
        return sum(1 for each in outcomes if each.refused), sum((each.cost for each in outcomes), Decimal(0))

    choices = product(range(13), repeat=len(add_ons))
    assert (len(best.hits), best.total) == min(map(judged, choices))
