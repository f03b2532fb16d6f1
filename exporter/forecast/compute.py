"""Will it last: the forecast of one scope, from what is known of it at a poll. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import exp, floor, log

from exporter.forecast.days import NOTHING, Day, Level, Outlook, outlook
from exporter.forecast.days import WEEK as _WEEK
from exporter.forecast.model import (
    Basis,
    Estimates,
    Forecast,
    Known,
    LimitState,
    Paces,
    Reached,
    Resolution,
    Unknown,
)
from exporter.forecast.recent import HOUR, Recent, significant
from exporter.forecast.spread import Part, Spread
from exporter.model import BillingPeriod

_QUANTILES = (0.1, 0.5, 0.9)
_A_DAY = timedelta(days=1)
# Days are no yardstick for a period that is hardly longer than one.
_SHORTEST_BY_DAYS = timedelta(hours=20)
_SHORT = timedelta(days=2)
# Three years; some vendors write the end of all time where there is none.
_LONGEST = timedelta(days=1100)
# Without days, what has passed of the period must be at least this part of it.
_LEAST_ELAPSED = 0.1
# Today counts once this part of its requests has usually come.
_LEAST_OF_TODAY = 0.1
# A vendor that updates less often than this is behind by most of a day.
_UPDATES_BY_THE_DAY = 6 * 3600.0
# The last hour or day leads where it alone would exhaust the rest within so many minutes.
_LEADS_WITHIN = 24 * 60.0
# The pace of an hour is so much off, as a part of it; and one that is under this part of a day's has stopped.
_PACE_OFF = 0.1
# What has lasted this many times as long as ever before is not expected to end as it did then.
_OUTLASTS = 1.5
_STOPPED = 0.25
# As noisy as a scope is at first, where no day says.
_UNSEEN_NOISE, _UNSEEN_FORGETS = 0.06**2, 0.37
# From the earliest moment to the likely one: up to so much, hours or minutes mean something.
_MINUTES_MEAN, _HOURS_MEAN = timedelta(minutes=30), timedelta(hours=12)
_HALVINGS = 24
# Steps of a probability; finer than anything of it is known.
_STEPS = 10_000


def forecast(known: Known) -> Forecast:
    """Whether the allowance lasts until the period's end; Forecast.unknown says why that cannot be said."""
    blank, ahead = _prepared(known)
    if ahead is None or known.period is None:
        return blank
    if blank.limit_state is not LimitState.AHEAD or known.limit is None:
        certain = 1.0 if blank.limit_state is LimitState.REACHED else None
        requests = _estimates(known.requests, ahead.spread(known.period.end))
        return replace(blank, requests=requests, over_limit_probability=certain)
    return _against_limit(_Race(known, known.limit - known.requests, ahead), blank)


def reached_by(known: Known, moment: datetime) -> float | None:
    """The probability that the limit is reached by a moment of the period; None where that is not known.

    ValueError without a limit.
    """
    if known.limit is None:
        raise ValueError("without a limit there is nothing to reach")
    blank, ahead = _prepared(known)
    if ahead is None:
        return None
    if blank.limit_state is LimitState.REACHED:
        return 1.0
    return _probability(_Race(known, known.limit - known.requests, ahead).by(min(moment, ahead.end)))


def _prepared(known: Known) -> tuple[Forecast, "_Ahead | None"]:
    """What can be said without looking at the limit, and what comes; None where the one says why it is not known."""
    state = limit_state(known.requests, known.limit)
    if known.suspect:
        return Forecast(state, Basis(), unknown=Unknown.SUSPECT), None
    recent = Recent(known.points, known.period)
    basis = Basis(update_seconds=recent.update_seconds)
    blank = Forecast(state, basis, _paces(known, recent))
    unknown = _no_period(known)
    if known.period is None or unknown is not None:
        return replace(blank, unknown=unknown), None
    seen = _days(known, known.period, recent)
    basis = replace(basis, days=_whole(seen), weekdays=len({day.weekday for day in seen if day.exact}))
    expected = _expected(known, known.period, seen)
    if expected is None:
        return replace(blank, basis=basis, unknown=Unknown.TOO_EARLY), None
    return replace(blank, basis=basis), _Ahead(known, known.period, expected, recent)


def limit_state(requests: float, limit: float | None) -> LimitState:
    if limit is None:
        return LimitState.UNLIMITED
    if limit == 0 and requests == 0:
        return LimitState.NONE_ALLOWED
    return LimitState.REACHED if requests >= limit else LimitState.AHEAD


def rounded(moment: datetime, resolution: Resolution, zone: tzinfo) -> datetime:
    """As exactly as it is known, in the scope's time zone: the day's midnight, the nearest hour or minute."""
    local = moment.astimezone(zone)
    match resolution:
        case Resolution.DAYS:
            return local.replace(hour=0, minute=0, second=0, microsecond=0)
        case Resolution.HOURS:
            return (local + timedelta(minutes=30)).replace(minute=0, second=0, microsecond=0)
        case Resolution.MINUTES:
            return (local + timedelta(seconds=30)).replace(second=0, microsecond=0)


def _paces(known: Known, recent: Recent) -> Paces:
    """From the points; the week's from the days where points do not reach so far."""
    paces = recent.paces
    return paces if paces.week is not None else replace(paces, week=_pace_of_week(known, recent))


def _pace_of_week(known: Known, recent: Recent) -> float | None:
    """Of today so far and the six days before, or of these if today is not counted yet; None where one is unknown."""
    today = known.now.astimezone(known.zone).date()
    behind = _a_day_behind(known, recent) or all(day.date != today for day in known.days)
    last = today - _A_DAY if behind else today
    first = today - (_WEEK - 1) * _A_DAY
    # In the first of all days, watching began.
    counts = [day.requests for day in known.days[0 if _is_whole(known) else 1 :] if first <= day.date <= last]
    if len(counts) <= (last - first).days:
        return None
    until = _midnight(today, known) if behind else known.now
    return significant(sum(counts) / ((until - _midnight(first, known)) / timedelta(minutes=1)))


def _is_whole(known: Known) -> bool:
    """Whether the first of the days was watched from its start."""
    return not known.days or known.days[0].exact


def _no_period(known: Known) -> Unknown | None:
    if known.period is None:
        return Unknown.NO_PERIOD
    if known.now >= known.period.end:
        return Unknown.PERIOD_ENDED
    if known.period.end - known.period.start > _LONGEST:
        return Unknown.TOO_LONG
    return Unknown.NOT_BEGUN if known.now < known.period.start else None


def _days(known: Known, period: BillingPeriod, recent: Recent) -> list[Day]:
    """The days that are known, and what is known of those between the period's start and the first of them."""
    today = known.now.astimezone(known.zone).date()
    # Watching began somewhere in the first that is not whole.
    days = known.days[0 if _is_whole(known) else 1 :]
    found = {day.date: Day(day.date.weekday(), day.requests, exact=day.exact) for day in days if day.date < today}
    found |= _days_between(known, period, {**found, **{day.date: day for day in days}}, today)
    part = recent.part_of_day(known.now, known.zone)
    for day in days:
        if day.date == today and part >= _LEAST_OF_TODAY and not _a_day_behind(known, recent):
            found[today] = Day(today.weekday(), day.requests, min(part, 1.0), day.exact)
    return [found[key] for key in sorted(found)]


def _days_between(known: Known, period: BillingPeriod, found: dict[date, object], today: date) -> dict[date, Day]:
    """The period's days of which only their sum is known: what the period's count has beyond the other days."""
    local = period.start.astimezone(known.zone)
    first = local.date() if local.time() == time() else local.date() + _A_DAY
    dates = [first + timedelta(days=number) for number in range((today - first).days)]
    missing = [each for each in dates if each not in found]
    beyond = known.requests - sum(day.requests for day in known.days if first <= day.date and day.date not in missing)
    if not missing or beyond < 0:
        return {}
    return {each: Day(each.weekday(), beyond / len(missing), exact=False) for each in missing}


def _a_day_behind(known: Known, recent: Recent) -> bool:
    """Whether the vendor updates once a day, and counts nothing of today before tomorrow."""
    today = known.now.astimezone(known.zone).date()
    nothing_yet = bool(known.days) and not any(day.requests for day in known.days if day.date >= today)
    return nothing_yet and (recent.update_seconds or 0.0) >= _UPDATES_BY_THE_DAY


def _whole(days: Sequence[Day]) -> int:
    return sum(day.exact and day.part == 1 for day in days)


def _expected(known: Known, period: BillingPeriod, days: Sequence[Day]) -> Outlook | None:
    """By days where there are some; else by what has passed of the period, where that is enough; else None."""
    length, elapsed = period.end - period.start, known.now - period.start
    if length >= _SHORTEST_BY_DAYS and sum(day.part for day in days) >= 1:
        return outlook(days)
    if elapsed < _LEAST_ELAPSED * length or length >= _SHORT:
        return None
    if known.requests < NOTHING:
        return Outlook((1.0,) * 7, (), 0.0)
    # The less has passed, the less it says of the rest; and few requests come by chance.
    noise = _UNSEEN_NOISE * (length / elapsed) + 1 / known.requests
    level = Level(1.0, known.requests / (elapsed / _A_DAY), noise, _UNSEEN_FORGETS)
    return Outlook((1.0,) * 7, (level,), 0.0)


class _Ahead:
    """What comes from now on.

    moments: now, each midnight, the period's end. weights, lengths: of the days from now until then, added up.
    """

    def __init__(self, known: Known, period: BillingPeriod, expected: Outlook, recent: Recent) -> None:
        self.expected, self.recent = expected, recent
        self.start, self.end = known.now, period.end
        part = recent.part_of_day(known.now, known.zone)
        if _a_day_behind(known, recent):
            # All of today is still to be counted.
            today = _midnight(known.now.astimezone(known.zone).date(), known)
            self.start, part = max(period.start, today), 0.0
        self.moments, self.weights, self.lengths = [self.start], [0.0], [0.0]
        local = self.start.astimezone(known.zone)
        day = local.date()
        midnight = _midnight(day, known)
        while self.moments[-1] < period.end:
            following = _midnight(day + _A_DAY, known)
            begins = self.moments[-1]
            until = min(following, period.end)
            rest = 1 - part if begins == self.start else 1.0
            reached = (until - begins) / (following - begins)
            self.moments.append(until)
            self.weights.append(self.weights[-1] + rest * reached * expected.weight(day.weekday()))
            self.lengths.append(self.lengths[-1] + (until - begins) / (following - midnight))
            day, midnight = day + _A_DAY, following

    def spread(self, moment: datetime) -> Spread:
        """Requests until then."""
        after = bisect_left(self.moments, moment)
        if after == 0:
            return Spread(())
        part = (moment - self.moments[after - 1]) / (self.moments[after] - self.moments[after - 1])
        weight = self.weights[after - 1] + part * (self.weights[after] - self.weights[after - 1])
        length = self.lengths[after - 1] + part * (self.lengths[after] - self.lengths[after - 1])
        return self.expected.requests(weight, length)


def _midnight(day: date, known: Known) -> datetime:
    return datetime.combine(day, time(), known.zone).astimezone(UTC)


@dataclass(frozen=True)
class _Lead:
    """A pace of the last hour or day that alone exhausts the rest within 24 hours.

    minutes: until it has. believed: how likely it goes on for so long.
    """

    minutes: float
    believed: float
    by_hour: bool

    def exhausted_by(self, minutes: float) -> float:
        """The probability that the rest is exhausted within so many minutes, if the pace goes on."""
        if minutes <= 0:
            return 0.0
        return Spread((Part(1.0, log(minutes), _PACE_OFF),)).at_least(self.minutes)


def _lead(rest: float, recent: Recent) -> _Lead | None:
    paces = recent.paces
    by_hour = _lead_of(rest, paces.hour, HOUR, recent) if recent.still_going else None
    # What has just begun is not in the hour's average yet.
    begun = (paces.recent or 0.0) > (paces.hour or 0.0) and recent.minutes < HOUR
    lead = by_hour or (_lead_of(rest, paces.recent, recent.minutes, recent) if begun else None)
    if lead is not None:
        return lead
    stopped = paces.hour is not None and paces.day is not None and paces.hour < _STOPPED * paces.day
    if paces.day and not stopped and rest / paces.day <= _LEADS_WITHIN:
        minutes = rest / paces.day
        return _Lead(minutes, 0.5 + 0.5 * 24 / (24 + minutes / 60), by_hour=False)
    return None


def _lead_of(rest: float, pace: float | None, window: float, recent: Recent) -> _Lead | None:
    """Of a pace over the last `window` seconds; None where that does not exhaust the rest within 24 hours, or is
    expected to end before, as a batch that ended on other days."""
    if not pace or rest / pace > _LEADS_WITHIN:
        return None
    minutes = rest / pace
    run = recent.run(pace, window)
    if run.hours + minutes / 60 <= run.longest_before:
        return _Lead(minutes, 0.9, by_hour=True)
    if run.longest_before and run.hours <= _OUTLASTS * run.longest_before:
        return None
    # What has lasted for so long, nobody knows for how long, lasts as long again in half of all cases.
    return _Lead(minutes, 0.5 + 0.5 * run.hours / (run.hours + minutes / 60), by_hour=True)


class _Race:
    """Usage on its way through the rest of the limit."""

    def __init__(self, known: Known, rest: float, ahead: _Ahead) -> None:
        self.known, self.rest, self.ahead = known, rest, ahead
        lead = _lead(rest, ahead.recent)
        ends_before = lead is not None and known.now + timedelta(minutes=lead.minutes) < ahead.end
        self.lead = lead if ends_before else None

    def by(self, moment: datetime) -> float:
        """The probability that the rest is used up by then."""
        by_days = self.ahead.spread(moment).at_least(self.rest)
        if self.lead is None:
            return by_days
        by_pace = self.lead.exhausted_by((moment - self.known.now).total_seconds() / 60)
        return self.lead.believed * by_pace + (1 - self.lead.believed) * by_days

    def requests(self) -> Estimates:
        """At the period's end."""
        spread = self.ahead.spread(self.ahead.end)
        if self.lead is not None:
            spread = _after_lead(spread, self.lead, self.rest, self.ahead.end - self.known.now)
        return _estimates(self.known.requests, spread)


def _against_limit(race: _Race, blank: Forecast) -> Forecast:
    lead, end = race.lead, race.ahead.end
    reached = Reached(*(_when(race.by, part, race.known.now, race.ahead.moments) for part in _QUANTILES))
    basis = replace(
        blank.basis,
        last_hour=lead is not None and lead.by_hour,
        last_day=lead is not None and not lead.by_hour,
    )
    return replace(
        blank,
        basis=basis,
        requests=race.requests(),
        over_limit_probability=_probability(race.by(end)),
        reached=reached,
        resolution=_resolution(reached, end, basis),
    )


def _probability(exactly: float) -> float:
    """Rounded down, so that it agrees with which moments are known: 0.09999 is not 10 of 100 periods."""
    return floor(min(1.0, exactly) * _STEPS) / _STEPS


def _estimates(so_far: float, spread: Spread) -> Estimates:
    return Estimates(*(max(so_far, significant(so_far + spread.quantile(part))) for part in _QUANTILES))


def _after_lead(spread: Spread, lead: _Lead, rest: float, left: timedelta) -> Spread:
    """The rest is used up by the leading pace, as far as that is believed; then it goes on as usual."""
    after = 1 - timedelta(minutes=lead.minutes) / left
    usual = [Part(weight * (1 - lead.believed), middle, wide) for weight, middle, wide in spread.parts]
    led = []
    for weight, middle, wide in spread.parts or (Part(1.0, log(rest) - 1, _PACE_OFF),):
        amount = exp(middle) * after
        led.append(Part(weight * lead.believed, log(rest + amount), wide * amount / (rest + amount)))
    return Spread((*usual, *led))


def _when(
    by: Callable[[datetime], float], part: float, now: datetime, moments: Sequence[datetime]
) -> datetime | None:
    """When the limit is reached with this probability; None where it is not until the last of the moments."""
    if by(moments[-1]) < part:
        return None
    low, high = now, moments[-1]
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        if by(middle) < part:
            low = middle
        else:
            high = middle
        if high - low < timedelta(seconds=30):
            break
    return max(now, high.replace(microsecond=0))


def _resolution(reached: Reached, end: datetime, basis: Basis) -> Resolution | None:
    if reached.earliest is None:
        return None
    width = (reached.likely or end) - reached.earliest
    if (basis.update_seconds or 0.0) >= _UPDATES_BY_THE_DAY or width > _HOURS_MEAN:
        return Resolution.DAYS
    return Resolution.MINUTES if width <= _MINUTES_MEAN else Resolution.HOURS
