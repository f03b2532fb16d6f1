"""What is said of plans, for people. Pure."""

from collections.abc import Iterator, Mapping

from exporter.view.plans import OrganisationPlans, PlanOption
from exporter.view.words import number, some

_MANY = 100
_NAMED = 5


def headline(found: OrganisationPlans, growth: float) -> str:
    """ "Acme (maps): 3 billing periods, 2026-09 to 2026-11, with 20% more of everything"."""
    count = len(found.periods)
    more = f", with {abs(growth):.15g}% {'more' if growth > 0 else 'less'} of everything" if growth else ""
    if not count:
        return f"{found.organisation} ({found.api}): no billing period of a scope that its plans have is known yet"
    span = found.periods[0].name if count == 1 else f"{found.periods[0].name} to {found.periods[-1].name}"
    return f"{found.organisation} ({found.api}): {count} billing period{'' if count == 1 else 's'}, {span}{more}"


def name(option: PlanOption) -> str:
    """ "Small + 2 × Tiles +25,000"."""
    bought = (f"{count} × {add_on}" if count > 1 else add_on for add_on, count in option.add_ons.items())
    return " + ".join((option.plan, *bought))


def requests(count: float) -> str:
    """In whole ones where there are many: growth and forecasts make fractions."""
    return number(round(count) if count >= _MANY else count)


def price(option: PlanOption, currency: str) -> str:
    return f"{option.average} {currency}"


def hits(option: PlanOption) -> str:
    """ "none", or in how many periods which scopes are over: "2 periods: Tiles by 20,000 (2026-10), …"."""
    if not option.hits:
        return "none"
    periods = {hit.period for hit in option.hits}
    worst = max(option.hits, key=lambda hit: hit.refused)
    more = ", …" if len(option.hits) > 1 else ""
    count = f"{len(periods)} period{'' if len(periods) == 1 else 's'}"
    return f"{count}: {worst.scope} by {requests(worst.refused)} ({worst.period}){more}"


def headroom(option: PlanOption) -> str:
    # Adding 0 makes 0 of -0.
    return "no limit" if option.headroom is None else f"{round(option.headroom, 2) + 0.0:.0%}"


def advice(found: OrganisationPlans) -> Iterator[str]:
    """What follows from it, a sentence each."""
    if found.left_out:
        yield f"Left out: {_with_reasons(found.left_out)}."
    if found.not_compared:
        yield f"Not compared: {_with_reasons(found.not_compared)}."
    if not found.options:
        return
    best = found.options[0]
    current = next((option for option in found.options if option.is_current), None)
    if best.hits:
        periods = len({hit.period for hit in best.hits})
        yield f"Every plan would have refused requests; {name(best)} in the fewest periods: {periods}."
    elif current is not None and not current.hits and current.total == best.total:
        yield f"{name(current)}, the plan in use, is the cheapest that refuses nothing."
    elif current is not None:
        reason = "refuses requests" if current.hits else f"costs {price(current, found.currency)} a period"
        yield f"{name(current)}, the plan in use, {reason}; {name(best)} at {price(best, found.currency)} is enough."
    else:
        yield f"The cheapest that refuses nothing: {name(best)}, {price(best, found.currency)} a period."
    if found.current is None:
        yield "Which plan is in use is not known: prices.current in the config says it."


def _with_reasons(what: Mapping[str, str]) -> str:
    """ "2026-08 (its end was not watched), …"; many of a reason are counted."""
    named: dict[str, list[str]] = {}
    for each, reason in what.items():
        named.setdefault(reason, []).append(each)
    return ", ".join(f"{some(each, _NAMED)} ({reason})" for reason, each in named.items())
