"""How the plans of a price list compare over billing periods: what each would have cost, with which add-ons, and what
it would have refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from exporter.plans.cost import adds_of, allowance_of, of_scope, outcome
from exporter.plans.model import AddOn, Allowance, Plan, PriceList

_NOTHING = Decimal(0)
# Nobody buys more of one add-on; a larger plan is there for that.
_MOST_OF_ONE = 12
_MOST_BUNDLES = 500


@dataclass(frozen=True, slots=True)
class Period:
    """name: such as 2026-10. usage: requests by scope; a scope that nobody watched is not there."""

    name: str
    usage: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Hit:
    """A limit that would have been reached: refused is how many requests lay beyond it."""

    period: str
    scope: str
    refused: Decimal


@dataclass(frozen=True, slots=True)
class Compared:
    """A plan over all periods. add_ons: as often as they are bought, each period. total: of all periods.

    headroom: the part of the tightest limit that its fullest period left; None where nothing is refused ever.
    """

    plan: Plan
    add_ons: tuple[AddOn, ...]
    total: Decimal
    hits: tuple[Hit, ...]
    headroom: Decimal | None

    def average(self, periods: int) -> Decimal:
        return self.total / periods if periods else _NOTHING


def grown(periods: Iterable[Period], percent: Decimal) -> tuple[Period, ...]:
    """The same with so many percent more of everything."""
    factor = 1 + percent / 100
    return tuple(
        replace(period, usage={scope: requests * factor for scope, requests in period.usage.items()})
        for period in periods
    )


def compare(
    prices: PriceList, periods: Sequence[Period], in_use: tuple[Plan, tuple[AddOn, ...]] | None = None
) -> tuple[Compared, ...]:
    """Each plan as it is, and with the cheapest add-ons that keep it from refusing anything, where that is another.

    in_use: compared as well, with its add-ons by name.

    What refuses nothing comes first, the cheapest of it before the others; then by in how many periods a limit is
    reached, then by how much is refused.
    """
    counts = _by_scope(periods)
    offered: dict[str, list[AddOn]] = {}
    for add_on in prices.add_ons:
        offered.setdefault(add_on.scope, []).append(add_on)
    choices = [
        (plan, add_ons)
        for plan in prices.plans
        for add_ons in dict.fromkeys(((), _add_ons(plan, offered, counts, len(periods))))
    ]
    if in_use is not None and in_use not in choices:
        choices.append(in_use)
    most = {scope: max(each) for scope, each in counts.items()}
    return tuple(sorted((_compared(*choice, periods, most) for choice in choices), key=_rank))


def _by_scope(periods: Iterable[Period]) -> dict[str, list[Decimal]]:
    """The counts of the periods in which a scope was there."""
    counts: dict[str, list[Decimal]] = {}
    for period in periods:
        for scope, requests in period.usage.items():
            counts.setdefault(scope, []).append(requests)
    return counts


def _rank(found: Compared) -> tuple[int, Decimal, Decimal, Decimal, int]:
    periods = len({hit.period for hit in found.hits})
    refused = sum((hit.refused for hit in found.hits), _NOTHING)
    return periods, refused, found.total, found.plan.price, len(found.add_ons)


def _compared(
    plan: Plan, add_ons: tuple[AddOn, ...], periods: Sequence[Period], most: Mapping[str, Decimal]
) -> Compared:
    total, hits = _NOTHING, []
    for period in periods:
        found = outcome(plan, add_ons, period.usage)
        total += found.cost
        hits += [Hit(period.name, scope, refused) for scope, refused in found.refused.items()]
    return Compared(plan, add_ons, total, tuple(hits), _headroom(plan, add_ons, most))


def _headroom(plan: Plan, add_ons: Sequence[AddOn], most: Mapping[str, Decimal]) -> Decimal | None:
    left, more = [], adds_of(add_ons)
    for scope, requests in most.items():
        limit = allowance_of(plan, scope).limit
        if limit is not None:
            allowed = limit + more.get(scope, _NOTHING)
            left.append(1 - requests / allowed if allowed else -Decimal(bool(requests)))
    return min(left, default=None)


def _add_ons(
    plan: Plan, offered: Mapping[str, Sequence[AddOn]], counts: Mapping[str, Sequence[Decimal]], periods: int
) -> tuple[AddOn, ...]:
    """The cheapest by scope, each for itself: what it refuses counts before what it costs."""
    chosen = [
        add_on
        for scope, of_it in offered.items()
        for add_on in _cheapest(allowance_of(plan, scope), of_it, counts.get(scope, ()), periods)
    ]
    return tuple(sorted(chosen, key=lambda add_on: add_on.name))


def _cheapest(
    allowance: Allowance, offered: Sequence[AddOn], counts: Sequence[Decimal], periods: int
) -> tuple[AddOn, ...]:
    """counts: of the periods in which the scope was there; paid for is in all."""
    most = max(counts, default=_NOTHING)
    needed = _NOTHING if allowance.included is None else max(most - allowance.included, _NOTHING)

    def judged(bundle: _Bundle) -> tuple[int, Decimal]:
        outcomes = [of_scope(allowance, bundle.adds, count) for count in counts]
        over = sum((cost for cost, _ in outcomes), _NOTHING)
        return sum(1 for _, refused in outcomes if refused), bundle.price * periods + over

    return min(_bundles(offered, needed), key=judged).add_ons


@dataclass(frozen=True, slots=True)
class _Bundle:
    adds: Decimal = _NOTHING
    price: Decimal = _NOTHING
    add_ons: tuple[AddOn, ...] = ()

    def with_(self, add_on: AddOn, times: int) -> "_Bundle":
        return _Bundle(
            self.adds + add_on.adds * times, self.price + add_on.price * times, self.add_ons + (add_on,) * times
        )


def _bundles(offered: Iterable[AddOn], needed: Decimal) -> list[_Bundle]:
    """Those that are worth buying, ascending, none first: each adds more than all that cost no more than it does."""
    found = [_Bundle()]
    for add_on in offered:
        enough = min(_MOST_OF_ONE, int((needed / add_on.adds).to_integral_value(ROUND_CEILING)))
        wider = [bundle.with_(add_on, times) for bundle in found for times in range(enough + 1)]
        found = _worthwhile(wider, needed)
    return found


def _worthwhile(bundles: Iterable[_Bundle], needed: Decimal) -> list[_Bundle]:
    kept: list[_Bundle] = []
    for bundle in sorted(bundles, key=lambda each: (each.price, -each.adds, len(each.add_ons))):
        # What goes beyond the need is worth nothing.
        if not kept or min(bundle.adds, needed) > kept[-1].adds:
            kept.append(bundle)
    # A list with more choices than that is weighed in steps.
    step = -(-len(kept) // _MOST_BUNDLES)
    return kept[::step] if step <= 1 else [*kept[:-1:step], kept[-1]]
