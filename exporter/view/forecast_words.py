"""Will it last, in words for people: as sure as it is, and rounded so. Pure."""

from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from exporter.forecast import Estimates, Forecast, LimitState, Paces, Resolution, Unknown, rounded
from exporter.thresholds import PROJECTED_CLEARED_PROBABILITY
from exporter.view.cards import Card
from exporter.view.words import about, number, span

_WHY_UNKNOWN = MappingProxyType(
    {
        Unknown.NO_PERIOD: "not known: the vendor reports no billing period",
        Unknown.PERIOD_ENDED: "not known yet: the billing period has ended; the next one comes with the next poll",
        Unknown.NOT_BEGUN: "not known yet: the billing period has not begun",
        Unknown.TOO_LONG: "not known: the billing period takes more than three years",
        Unknown.TOO_EARLY: "not known yet: too little has been seen; a whole day of it is enough",
        Unknown.SUSPECT: "not known: the vendor's newest count contradicts those before",
        Unknown.NOT_MADE: "not known yet: the exporter has just started",
        Unknown.NOT_TOLD: "not known: the vendor does not say what is used",
    }
)
_LEAST_SAID, _MOST_SAID = 0.01, 0.99
# What 10 of 100 periods come to is worth a moment; what fewer do is not.
_WORTH_A_MOMENT = 0.1


def likely_to_reach(card: Card) -> bool:
    """Whether reaching the limit before the period ends is more likely than not."""
    return is_likely(card.forecast)


def is_likely(made: Forecast) -> bool:
    """The same, of a forecast."""
    probability = made.over_limit_probability
    ahead = made.limit_state is LimitState.AHEAD
    return ahead and probability is not None and probability >= PROJECTED_CLEARED_PROBABILITY


def requests(card: Card) -> str:
    """What the period ends with, and between what: "about 42,600 (40,100 to 45,900), 85% of the limit"."""
    made = card.forecast
    if made.unknown is not None:
        return _WHY_UNKNOWN[made.unknown]
    if made.requests is None or card.requests is None or made.limit_state is LimitState.NONE_ALLOWED:
        return "nothing, as none is allowed"
    if isinstance(card.limit, str) or card.limit == 0:
        return _range(made.requests, card)
    # A vendor that refuses what is over the limit will not count it.
    if card.requests == card.limit:
        return "the limit is reached; what is over it may be refused"
    if card.after_limit == "refused" and made.requests.middle > card.limit:
        return f"{number(card.limit)}, as more is refused; {_range(made.requests, card)} would be needed"
    needed = made.requests.middle > card.limit > card.requests
    share = f", {about(made.requests.middle / card.limit * 100)}% of the limit"
    return f"{_range(made.requests, card, ' needed' if needed else '')}{share}"


def _range(estimates: Estimates, card: Card, needed: str = "") -> str:
    low, middle, high = (_estimate(each, card) for each in (estimates.low, estimates.middle, estimates.high))
    return f"about {middle}{needed}" + ("" if low == high else f" ({low} to {high})")


def _estimate(value: float, card: Card) -> str:
    """Three digits; whole where the count is; and no less than the count is already."""
    count = card.requests or 0.0
    if float(count).is_integer():
        value = round(value)
    return about(value) if float(f"{value:.3g}") >= count else number(round(value, 1))


def limit(card: Card, now: datetime, zone: ZoneInfo) -> str:
    """Whether the limit is reached before the period ends, and when; "" where none lies ahead, or nobody knows."""
    made = card.forecast
    probability = made.over_limit_probability
    if made.limit_state is not LimitState.AHEAD or probability is None:
        return ""
    if made.reached.earliest is None or made.resolution is None:
        return f"Lasts: {chance(probability)} likely to reach the limit"
    earliest = moment(made.reached.earliest, made.resolution, zone)
    if made.reached.likely is None:
        return f"{_first_upper(chance(probability))} likely to reach the limit, not before {_without_on(earliest)}"
    likely = moment(made.reached.likely, made.resolution, zone)
    if made.reached.likely <= now:
        return f"Has probably reached the limit by now: likely {likely}"
    if made.reached.latest is None:
        before = "" if earliest == likely else f" (not before {_without_on(earliest)})"
        return f"{_first_upper(chance(probability))} likely to reach the limit: {likely}{before}"
    return f"Reaches the limit, likely {likely}{_between(made.reached.earliest, made.reached.latest, card, zone)}"


def chance(probability: float) -> str:
    """ "72%"; "under 1%" and "over 99%", since no more is known."""
    if probability < _LEAST_SAID:
        return f"under {_LEAST_SAID:.0%}"
    return f"over {_MOST_SAID:.0%}" if probability > _MOST_SAID else f"{probability:.0%}"


def moment(value: datetime, resolution: Resolution, zone: ZoneInfo) -> str:
    """ "on Thursday 27 November", "on Thursday 27 November around 21:00 UTC", "… at 21:11 UTC"."""
    local = rounded(value, resolution, zone)
    day = f"on {local:%A} {local.day} {local:%B}"
    if resolution is Resolution.DAYS:
        return day
    return f"{day} {'around' if resolution is Resolution.HOURS else 'at'} {local:%H:%M} {local.tzname()}"


def _between(earliest: datetime, latest: datetime, card: Card, zone: ZoneInfo) -> str:
    resolution = card.forecast.resolution or Resolution.DAYS
    first, last = rounded(earliest, resolution, zone), rounded(latest, resolution, zone)
    if first == last:
        return ""
    if resolution is Resolution.DAYS:
        if first.month != last.month:
            return f" (between {first.day} {first:%B} and {last.day} {last:%B})"
        return f" (between the {_ordinal(first.day)} and the {_ordinal(last.day)})"
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%H:%M} on the {_ordinal(last.day)}"
    return f" (between {first:%H:%M} and {until})"


def _ordinal(day: int) -> str:
    teens = range(11, 14)
    ending = "th" if day in teens else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _without_on(text: str) -> str:
    return text.removeprefix("on ")


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def pace(card: Card) -> str:
    """Over the windows for which it is known: "30 a minute in the last hour, 28 in the last day"."""
    paces = card.forecast.paces
    known = {name: value for name, value in _windows(paces).items() if value is not None}
    updates = card.forecast.basis.update_seconds
    seldom = f"the vendor updates its figures about every {span(timedelta(seconds=updates))}" if updates else ""
    if not known:
        return f"not known: {seldom}" if seldom else "not known yet"
    most = max(known.values())
    unit, minutes = next(
        ((name, size) for name, size in (("a minute", 1), ("an hour", 60)) if most * size >= 1), ("a day", 1440)
    )
    (first, value), *others = known.items()
    texts = [
        f"{about(value * minutes)} {unit} {first}",
        *(f"{about(each * minutes)} {name}" for name, each in others),
    ]
    return ", ".join(texts) + (f"; {seldom}" if seldom else "")


def _windows(paces: Paces) -> dict[str, float | None]:
    lately = paces.recent if paces.hour is None else None
    return {
        "lately": lately,
        "in the last hour": paces.hour,
        "in the last day": paces.day,
        "in the last 7 days": paces.week,
    }


def basis(card: Card) -> str:
    """On what the forecast rests; "" where there is none."""
    made = card.forecast
    if made.unknown is not None or made.limit_state is LimitState.NONE_ALLOWED or card.requests == card.limit:
        return ""
    rests = [f"{made.basis.days} whole day{'' if made.basis.days == 1 else 's'}" if made.basis.days else ""]
    if made.basis.last_hour or made.basis.last_day:
        rests.append(f"the pace of the last {'hour' if made.basis.last_hour else 'day'}, which leads")
    text = " and ".join(part for part in rests if part)
    return f"From {text}" if text else "From what has passed of the period"
