"""How long it takes to compare the plans of a price list over the billing periods of many scopes."""

import time
from decimal import Decimal
from random import Random
from statistics import median

from benchmarks.figures import Figure, Report
from exporter.plans import AddOn, Allowance, Period, Plan, PriceList, Tier, compare

_SCOPES, _PERIODS, _PLANS, _ROUNDS = 1_000, 13, 10, 5
_OVER = (Tier(Decimal(5), 1000, Decimal(100_000)), Tier(Decimal(4), 1000))


def measure() -> Report:
    random = Random(22)
    names = [f"scope-{number}" for number in range(_SCOPES)]
    periods = [
        Period(f"period-{number}", {name: Decimal(random.randint(0, 200_000)) for name in names})
        for number in range(_PERIODS)
    ]
    # Every other plan refuses, and each scope has an add-on.
    plans = tuple(
        Plan(
            f"plan-{number}",
            Decimal(49 * number),
            {name: Allowance(Decimal(20_000 * number), _OVER if number % 2 else ()) for name in names},
        )
        for number in range(1, _PLANS + 1)
    )
    prices = PriceList(
        "EUR", plans, tuple(AddOn(f"{name} +25,000", Decimal(40), name, Decimal(25_000)) for name in names)
    )
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        compare(prices, periods)
        seconds.append(time.perf_counter() - began)
    return Report(
        "Comparing plans",
        f"{_SCOPES:,} scopes with {_PERIODS} billing periods under {_PLANS} plans and an add-on for each scope; the "
        f"median of {_ROUNDS} rounds.",
        (Figure("one comparison", median(seconds), "s", at_most=2),),
    )
