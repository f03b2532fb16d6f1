"""Numbers, times and states in words for people: one wording for the page and the terminal. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from exporter.model import BillingPeriod, DailySource, DailyUsage
from exporter.state.ledger import Change, Term
from exporter.state.trust import Suspicion
from exporter.thresholds import (
    LIMIT_REACHED_RATIO,
    Band,
)
from exporter.view.cards import UNLIMITED, Advice, AdviceKind, Card, OrganisationCards

MISSING_MEANS = (
    "Shown is what was read last. Alerts stand on it until the scope returns, its period ends, or the config's "
    "retired_scopes names it."
)

_STATUS = {
    Band.NORMAL: "Within the limit",
    Band.WARNING: "Nearing the limit",
    Band.CRITICAL: "Almost used up",
}

RATE_LIMIT_ADVICE = (
    "Retry with exponential backoff: wait longer after each refusal, and as long as Retry-After says.",
    "Cache responses, so that the same question is not asked twice.",
    "Spread requests evenly over the minute instead of sending them in bursts.",
)

GROWTH_ADVICE = MappingProxyType(
    {
        AdviceKind.ADD_ON: "An add-on raises this scope's limit and leaves the plan as it is.",
        AdviceKind.PLAN_UPGRADE: "A larger plan raises the limits of all of them at once.",
    }
)


def number(value: float) -> str:
    """31250 -> "31,250"; fractions with two decimals at most."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0").rstrip(".")


def about(value: float) -> str:
    """An estimate, to three digits and one decimal at most: 42613.6 -> "42,600"."""
    return number(round(float(f"{value:.3g}"), 1))


def count(value: float, unit: str) -> str:
    """ "1 request", "1,200 requests"; other units as the vendor writes them."""
    return f"{number(value)} {'request' if value == 1 and unit == 'requests' else unit}"


def some(names: Sequence[str], most: int) -> str:
    """ "a, b and 3 more"."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def used(card: Card) -> str:
    return "?" if card.requests is None else number(card.requests)


def limit(card: Card) -> str:
    return UNLIMITED if isinstance(card.limit, str) else number(card.limit)


def status(card: Card) -> str:
    """What the bar's colour says, without the colour."""
    if card.requests is None:
        return "No limit; the vendor does not say what is used"
    if card.band is None or isinstance(card.limit, str):
        return "No limit"
    if card.limit == 0:
        return "Not part of the plan: the limit is 0" if card.requests == 0 else "Over: the limit is 0"
    if card.used_ratio == LIMIT_REACHED_RATIO:
        return "Limit reached"
    if card.requests > card.limit:
        return f"Over the limit by {number(card.requests - card.limit)}"
    return "Nothing used yet" if card.requests == 0 else _STATUS[card.band]


def after_limit(card: Card, zone: ZoneInfo) -> str:
    """What happens to requests now that the limit is reached: "refused until 1 Dec"; "" before, or where the config
    does not say."""
    if (card.used_ratio is not None and card.used_ratio < LIMIT_REACHED_RATIO) or isinstance(card.limit, str):
        return ""
    if card.after_limit == "billed":
        return "billed as overage"
    if card.after_limit != "refused":
        return ""
    return f"refused until {_short_end(card.period, zone)}" if card.period is not None else "refused"


def _short_end(value: BillingPeriod, zone: ZoneInfo) -> str:
    """When the next period begins: "1 Dec", of shorter periods "13:00 UTC"."""
    end = value.end.astimezone(zone)
    short = value.end - value.start < timedelta(days=2)
    return f"{end:%H:%M} {end.tzname()}" if short else f"{end.day} {end:%b}"


def bands(card: Card) -> str:
    """ "amber from 75%, red over 90%"."""
    warning, critical = card.thresholds.thresholds
    return f"amber from {warning.percent:g}%, red over {critical.percent:g}%"


def rate_limit(card: Card) -> str:
    rate = card.rate_limit_per_minute
    return "not reported" if rate is None else f"{number(rate)} per minute"


def sign(card: Card) -> str:
    """The name of its icon: as its band, or unlimited, also where nothing is used yet; refusals of the last hour make
    a warning of a check mark."""
    band = card.band.value if card.band else UNLIMITED
    if band == Band.NORMAL.value and card.requests == 0:
        band = UNLIMITED
    refusing = bool(card.rejected_in_last_hour) and band in (Band.NORMAL.value, UNLIMITED)
    return Band.WARNING.value if refusing else band


def rejected(card: Card) -> str:
    """What was refused over the rate limit; "" where nothing was, or the vendor does not report it."""
    return f"{number(card.rejected)} refused" if card.rejected else ""


def refused_lately(card: Card) -> str:
    """What is refused over the rate limit now; "" where nothing is, or nobody knows."""
    lately = card.rejected_in_last_hour
    return f"{number(lately)} refused in the last hour" if lately else ""


def day(value: date) -> str:
    """22 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def day_and_weekday(value: date) -> str:
    return f"{value:%A}, {value.day} {value:%B %Y}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """22 Nov 2026, 12:03 UTC."""
    local = value.astimezone(zone)
    return f"{day(local)}, {local:%H:%M} {local.tzname()}"


def span(length: timedelta) -> str:
    """A length of time in its largest unit, rounded down: "8 days", "1 hour", "12 seconds"."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        amount = seconds // size
        # One day and a bit is given in hours, since half of it may lie in the bit.
        if amount >= 2 or (amount == 1 and unit != "day"):  # noqa: PLR2004
            return f"{amount} {unit}{'s' if amount != 1 else ''}"
    return "less than a second"


def ago(value: datetime, now: datetime) -> str:
    return f"{span(now - value)} ago" if (now - value) >= timedelta(seconds=1) else "just now"


def time_left(period: BillingPeriod | None, now: datetime) -> str:
    if period is None:
        return "no billing period reported"
    if now >= period.end:
        return "period has ended; the next one comes with the next poll"
    return f"{span(period.end - now)} left"


def period(value: BillingPeriod, zone: ZoneInfo) -> str:
    """The first and the last day, or the times of a period under two days."""
    if value.end - value.start < timedelta(days=2):
        return f"{moment(value.start, zone)} – {moment(value.end, zone)}"
    first, last = (at.astimezone(zone) for at in (value.start, value.end - timedelta(microseconds=1)))
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    return f"{f'{first.day} {first:%b}' if first.year == last.year else day(first)} – {day(last)}"


def stale(card: Card, now: datetime, zone: ZoneInfo) -> str:
    """ "" while fresh."""
    if card.stale_since is None:
        return ""
    return f"Stale since {moment(card.stale_since, zone)}: last read {ago(card.fetched_at, now)}"


def missing(card: Card, zone: ZoneInfo) -> str:
    """That the vendor no longer reports the scope; "" while it does."""
    if card.missing_since is None:
        return ""
    return f"Missing from the vendor's answers since {moment(card.missing_since, zone)}"


def suspect(card: Card, zone: ZoneInfo) -> str:
    """Why the figures are not the vendor's newest; "" where they are."""
    if card.suspect is None or card.suspect_since is None:
        return ""
    how = "far less than before" if card.suspect == Suspicion.FALL else "far more than is likely"
    return (
        f"Since {moment(card.suspect_since, zone)} the vendor answers {how}, and nothing explains it. "
        "Shown is the last trusted count; what stays for an hour is believed."
    )


_TERMS = MappingProxyType(
    {Term.LIMIT: "Limit", Term.RATE_LIMIT: "Rate limit per minute", Term.PLAN: "Plan", Term.PERIOD: "Billing period"}
)


def last_change(card: Card, zone: ZoneInfo) -> str:
    """The newest change that the vendor made to the terms; "" where none was seen."""
    if not card.changes:
        return ""
    return change(card.changes[0], zone)


def change(value: Change, zone: ZoneInfo) -> str:
    """ "Limit raised from 10,000 to 20,000 on 22 Nov 2026, 12:03 UTC"."""
    old, new = _term(value.old), _term(value.new)
    return f"{_TERMS[value.term]} {value.direction} from {old} to {new} on {moment(value.at, zone)}"


def _term(text: str) -> str:
    try:
        return number(float(text))
    except ValueError:
        return text


def data_age(cards: OrganisationCards, now: datetime) -> str:
    if cards.last_success is not None:
        return f"Updated {ago(cards.last_success, now)}"
    return "Waiting for the first answer" if cards.last_poll is None else "No data yet"


def failure(cards: OrganisationCards, now: datetime) -> str:
    """The last poll's error; "" where it worked."""
    if cards.failure is None:
        return ""
    return f"The last poll failed {ago(cards.failure.at, now)}: {cards.failure.message}."


def next_poll(seconds: float) -> str:
    """When a vendor that failed is asked again: "Tried again in 40 seconds."."""
    return "Tried again now." if seconds < 1 else f"Tried again in {span(timedelta(seconds=seconds))}."


def no_cards(cards: OrganisationCards) -> str:
    """Why an organisation has no card."""
    if cards.last_poll is None:
        return (
            f"The exporter has just started and is asking {cards.api} for the usage of {cards.organisation}. "
            "The cards appear with the first answer, usually within seconds."
        )
    if cards.last_success is None:
        return "No poll has brought data yet; the exporter keeps trying."
    if cards.failure is not None:
        return "The last data is too old to be shown; the exporter keeps trying."
    return f"{cards.api} reports no scopes for {cards.organisation}."


def day_count(value: DailyUsage, unit: str) -> str:
    """A day's exact count: "1,204 requests", marked where only part of the day was seen."""
    return count(value.requests, unit) + ("" if value.exact else " (partly seen)")


def no_days(scopes: Sequence[Card]) -> str:
    """Why there is no daily chart."""
    if any(card.daily_source == DailySource.OBSERVED for card in scopes):
        return "The vendor reports no daily history; the exporter counts the days itself, from the next polls on."
    return "The vendor has reported no day's usage yet, or the config's daily_history_days is 0."


def advice_title(advice: Advice) -> str:
    match advice.kind:
        case AdviceKind.RATE_LIMIT:
            return "Stay under the rate limit"
        case AdviceKind.ADD_ON:
            return "Consider an add-on"
        case AdviceKind.PLAN_UPGRADE:
            return "Consider a plan upgrade"


def advice_reason(advice: Advice) -> str:
    names = _listed(advice.scopes)
    one = len(advice.scopes) == 1
    if advice.kind == AdviceKind.RATE_LIMIT:
        return f"{names} {'runs' if one else 'run'} into the requests allowed per minute."
    return (
        f"{names} {'reaches its' if one else 'reach their'} warning in this billing period, as it is likely to end, "
        "and did in the last."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
