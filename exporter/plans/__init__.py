"""Which plan would have been right: price lists, past billing periods, and what each plan would have cost. Pure.

    price list (model) -> what a period costs (cost) -> which add-ons a plan needs -> how the plans compare (compare)

Amounts are decimals, of one currency a price list; nothing is ever converted.
"""

from exporter.plans.compare import Compared, Hit, Period, compare, grown
from exporter.plans.cost import Outcome, included, outcome
from exporter.plans.model import AddOn, Allowance, Plan, PriceList, Tier

__all__ = [
    "AddOn",
    "Allowance",
    "Compared",
    "Hit",
    "Outcome",
    "Period",
    "Plan",
    "PriceList",
    "Tier",
    "compare",
    "grown",
    "included",
    "outcome",
]
