"""Traces of usage as a vendor would count it, and what the exporter's own code publishes of each, minute by minute."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import accumulate, groupby

from exporter.config.load import Target
from exporter.errors import PollTimeoutError
from exporter.exposition.samples import sample_lines
from exporter.model import BillingPeriod, DailyUsage, ScopeUsage, UsageSnapshot
from exporter.state.store import OrganisationState

MINUTE = timedelta(minutes=1)
_DAYS_BEFORE = 62
# Polls in the first days, which only have to show the days' shape.
_EARLY_POLL, _EARLY_UNTIL = 20, 240
NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))

Rate = Callable[[datetime], float]


def steady(a_minute: float) -> Rate:
    return lambda _: a_minute


def office(a_minute: float) -> Rate:
    """So many in each minute from 9 to 17 on working days."""
    return lambda at: a_minute if at.weekday() < 5 and 9 <= at.hour < 17 else 0.0


def nightly(a_minute: float, minutes: int, base: float = 0.0, hour: int = 2) -> Rate:
    """A batch from two at night on."""
    return lambda at: a_minute if at.hour * 60 + at.minute - hour * 60 in range(minutes) else base


@dataclass(frozen=True)
class Burst:
    """a_minute: requests on top, from minute `start` to minute `end` of the trace."""

    start: int
    end: int
    a_minute: float


@dataclass(frozen=True)
class Trace:
    """Usage around `begins`, minute 0; watched for two days before it, and `hours` from it on.

    rate: requests a minute at ordinary times. rest: requests left until the limit at minute 0.
    poll: minutes between polls. phases: from minute 0 to the first poll, of each replica. watched: hours before minute
    0 since which the exporter knows the scope. update: minutes between the vendor's updates of its figures; 0 is at
    once. corrections: (minute, amount) that the vendor adds to its count. outage: minutes in which it does not answer.
    raised: (minute, limit) from when on the limit is another.
    """

    name: str
    rate: Rate
    rest: float
    limit: float = 100_000
    begins: datetime = datetime(2026, 11, 17, 12, tzinfo=UTC)
    period: BillingPeriod = NOVEMBER
    hours: int = 4
    bursts: tuple[Burst, ...] = ()
    poll: int = 5
    phases: tuple[int, ...] = (0,)
    watched: int = 48
    update: int = 0
    corrections: tuple[tuple[int, float], ...] = ()
    outage: range = range(0)
    raised: tuple[int, float] | None = None

    @cached_property
    def _first(self) -> datetime:
        return datetime.combine(self.begins.date(), time(), UTC) - timedelta(days=_DAYS_BEFORE)

    @cached_property
    def _totals(self) -> list[float]:
        """Requests from _first until each minute."""
        minutes = (self.begins - self._first) // MINUTE
        rates = [self.rate(self._first + number * MINUTE) for number in range(minutes + self.hours * 60)]
        for burst in self.bursts:
            for number in range(minutes + burst.start, min(minutes + burst.end, len(rates))):
                rates[number] += burst.a_minute
        return [0.0, *accumulate(rates)]

    def _total(self, at: datetime) -> float:
        return self._totals[(at - self._first) // MINUTE]

    def period_at(self, at: datetime) -> BillingPeriod:
        length = self.period.end - self.period.start
        periods = (self.period.start - length, self.period.start, self.period.end)
        start = max(start for start in periods if start <= at)
        return BillingPeriod(start, start + length)

    def seen_at(self, at: datetime) -> datetime:
        """Up to when the vendor has counted."""
        if not self.update:
            return at
        step = timedelta(minutes=self.update)
        return self._first + (at - self._first) // step * step

    def usage_at(self, at: datetime) -> ScopeUsage:
        """As the vendor answers."""
        seen = self.seen_at(at)
        period = self.period_at(seen)
        count = self._total(seen) - self._total(period.start)
        if period == self.period:
            count = self.limit - self.rest + self._total(seen) - self._total(self.begins)
        minute = (at - self.begins) / MINUTE
        count += sum(amount for since, amount in self.corrections if since <= minute)
        limit = self.raised[1] if self.raised is not None and minute >= self.raised[0] else self.limit
        return ScopeUsage(self.name, max(0.0, round(count)), limit, period=period, daily=tuple(self._days(seen)))

    def _days(self, until: datetime) -> Iterator[DailyUsage]:
        for back in range(29, -1, -1):
            start = datetime.combine(until.date() - timedelta(days=back), time(), UTC)
            end = min(start + timedelta(days=1), until)
            yield DailyUsage(_date(start), round(self._total(end) - self._total(start)))


def _date(at: datetime) -> date:
    return at.date()


def published(trace: Trace, target: Target) -> dict[str, str]:
    """What Prometheus scrapes of it from minute 0 on, each minute, as promtool's values by series.

    Moments are shifted so that minute 0 is 1970-01-01 00:00.
    """
    return {
        series: values
        for number, phase in enumerate(trace.phases)
        for series, values in _published(trace, phase, target, f'job="usage",instance="{number}"').items()
    }


def _published(trace: Trace, phase: int, target: Target, labels: str) -> dict[str, str]:
    minutes = range(-trace.watched * 60, trace.hours * 60)
    state = OrganisationState(target, trace.begins + minutes.start * MINUTE)
    seen: list[Mapping[str, str]] = []
    samples: Mapping[str, str] = {}
    for minute in minutes:
        every = trace.poll if minute >= -_EARLY_UNTIL else max(trace.poll, _EARLY_POLL)
        now = trace.begins + minute * MINUTE
        polled = (minute - phase) % every == 0
        if polled:
            outcome = (
                PollTimeoutError("no answer")
                if minute in trace.outage
                else UsageSnapshot(now, (trace.usage_at(now),))
            )
            state = state.after(outcome, now)
        if minute >= 0:
            if polled or not samples or minute in trace.outage:
                samples = _samples(state, now, labels, trace.begins)
            seen.append(samples)
    names = dict.fromkeys(name for each in seen for name in each)
    return {name: _values([each.get(name, "_") for each in seen]) for name in names}


_UNUSED = ("api_usage_daily", "api_usage_poll", "api_usage_up", "api_usage_suspect", "api_usage_limit_changed")


def _samples(state: OrganisationState, now: datetime, labels: str, zero: datetime) -> dict[str, str]:
    found = {}
    for family, lines in sample_lines(state, now).items():
        if family.startswith(_UNUSED):
            continue
        for line in lines.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if family.endswith("_timestamp_seconds"):
                value = f"{float(value) - zero.timestamp():.0f}"
            found[series.replace("{", f"{{{labels},", 1)] = value
    return found


def _values(values: list[str]) -> str:
    """What a scrape lacks ends at once, by a marker of Prometheus' own."""
    runs = ((value, len(list(run))) for value, run in groupby(values))
    return " ".join(f"{value}x{count - 1}" if value != "_" else f"stale _x{count - 1}" for value, count in runs)
