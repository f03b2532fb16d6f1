"""Samples in which every part of a panel's query makes a difference.

Organisations of the api `maps` in the place PLACE, each there for something; the same names with other numbers in
other places, apis and jobs, which must not be mixed in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from dashboards.promql import ALERTS, CPU, MEMORY, SCRAPE_DURATION, SCRAPE_SAMPLES, TARGET_UP
from exporter import metrics
from exporter.metrics import Metric
from tests.answers.samples import DAY, HOUR, MINUTE, NOON, Replica, Series, Values

API, MAIL, CALM = "maps", "mail", "calm"
PLACE = {"cluster": ["eu"], "namespace": ["prod"]}
ORGANISATIONS = ("Acme", "Initech", "Globex", "Hooli", "Umbrella", "Pied", "Empty")


RIGHT = Replica("a:9102")
BEHIND = Replica("b:9102")
# 30 seconds are still taken as they are; 31 are not.
THIRTY_AHEAD, MORE_AHEAD, AN_HOUR_AHEAD = Replica("c:9102", 30), Replica("d:9102", 31), Replica("e:9102", HOUR)
# Its address, in other places and another job.
ELSEWHERE = (
    Replica("e:9102", 5000, cluster="us"),
    Replica("e:9102", 6000, namespace="staging"),
    Replica("e:9102", 9000, cluster="", namespace=""),
    Replica("e:9102", 7200, job="canary"),
)


@dataclass(frozen=True)
class Scope:
    """What a replica says of a scope. read: seconds ago in truth; None where it does not say. more: of other metrics.

    a_minute: by so much requests grow. forecast, reached: low, middle, high; earliest, likely, latest, in hours ahead.
    pace: recent, 1h, 1d, 7d. days: requests of the last days, the newest first.
    """

    name: str
    used: float
    limit: float | None = None
    read: float | None = 20
    a_minute: float = 0
    period: tuple[float, float] = (-16.5 * DAY, 14.5 * DAY)
    began: Values | None = None
    forecast: tuple[float, float, float] | None = None
    reached: tuple[float, float, float] | None = None
    pace: tuple[float, ...] = ()
    days: tuple[float, ...] = ()
    more: Mapping[Metric, float] = field(default_factory=dict)
    counted_in: str = ""

    def series(self, by: Replica, organisation: str, api: str = API) -> Iterator[Series]:
        def of(metric: Metric, value: float | Values, **labels: str) -> Series:
            return by.series(metric, value, api=api, organisation=organisation, scope=self.name, **labels)

        yield of(metrics.REQUESTS, lambda ago: self.used - self.a_minute * ago / MINUTE)
        if self.limit is not None:
            yield of(metrics.LIMIT, self.limit)
        if self.read is not None:
            read = self.read
            yield of(metrics.READ_TIME, lambda ago: NOON - ago - read + by.ahead)
        start, end = (NOON + each for each in self.period)
        yield of(metrics.PERIOD_START, self.began or start)
        yield of(metrics.PERIOD_END, end)
        for metric, value in self.more.items():
            yield of(metric, value)
        for estimate, value in zip(("low", "middle", "high"), self.forecast or (), strict=False):
            yield of(metrics.FORECAST_REQUESTS, value, estimate=estimate)
        for estimate, hours in zip(("earliest", "likely", "latest"), self.reached or (), strict=False):
            yield of(metrics.FORECAST_LIMIT_REACHED, NOON + hours * HOUR, estimate=estimate)
        for window, value in zip(("recent", "1h", "1d", "7d"), self.pace, strict=False):
            yield of(metrics.PACE, value, window=window)
        yield of(metrics.SCOPE_INFO, 1, counted_in=self.counted_in)
        for day, value in enumerate(self.days):
            yield of(metrics.DAILY, value, date=f"2026-03-{17 - day:02}")


RATE, NEAR, SHORT = metrics.RATE_LIMIT, metrics.DAYS_NEAR_LIMIT, metrics.LIMIT_SHORTFALL
PROBABILITY = metrics.FORECAST_PROBABILITY


def _full(name: str, used: float, limit: float | None, read: float | None, *, short: bool) -> Scope:
    """A scope of which everything is known, all of it other than with another usage."""
    return Scope(
        name,
        used,
        limit,
        read,
        a_minute=used / 500,
        period=(-20 * DAY + used, 10 * DAY + used),
        forecast=(1.01 * used, 1.1 * used, 2 * used),
        reached=(used / 10, used / 5, used / 2) if limit is not None else None,
        pace=(used / 100, used / 110, used / 120, used / 130),
        days=(used / 10, used / 11),
        more={
            RATE: 7 + used / 20,
            NEAR: used // 100,
            **({PROBABILITY: used / 1234} if limit is not None else {}),
            **({SHORT: used / 5} if short else {}),
        },
    )


# A replica, and how many seconds ago it read.
_Reader = tuple[Replica, float | None]


_RIVALS: tuple[tuple[str, _Reader, _Reader], ...] = (
    ("Read by a", (RIGHT, 20), (BEHIND, 40)),
    ("Read by b", (BEHIND, 20), (RIGHT, 40)),
    ("Clock an hour ahead", (RIGHT, 20), (AN_HOUR_AHEAD, 40)),
    ("Clock an hour ahead, newest", (AN_HOUR_AHEAD, 20), (RIGHT, 40)),
    ("Clock 30 s ahead", (THIRTY_AHEAD, 40), (RIGHT, 20)),
    ("Clock 31 s ahead", (RIGHT, 20), (MORE_AHEAD, 40)),
    # Of exporters that do not say when they read.
    ("An older exporter", (RIGHT, 100), (BEHIND, None)),
    ("Older exporters", (BEHIND, None), (RIGHT, None)),
)


def _rivals() -> Iterator[Series]:
    """Scopes of which two replicas say different things: whichever is believed, each count of scopes shows it."""
    for name, (first, read), (second, read_by_second) in _RIVALS:
        used, other = (850, 950) if name == "Read by b" else (950, 850)
        yield from _full(name, used, 1000, read, short=True).series(first, "Acme")
        yield from _full(name, other, 1000, read_by_second, short=False).series(second, "Acme")
        unlimited = f"{name} (unlimited)"
        yield from _full(unlimited, 300, 1000, read, short=False).series(first, "Acme")
        yield from _full(unlimited, 800, None, read_by_second, short=False).series(second, "Acme")
        # Of these one is short, and if another replica is believed, a second one.
        yield from _full(name, 700, 1000, read, short=False).series(first, "Pied")
        yield from _full(name, 650, 1000, read_by_second, short=True).series(second, "Pied")


def _acme() -> Iterator[Series]:
    yield from _rivals()
    # What of a limit is used.
    for name, used in (("75 %", 7500), ("Nearly 75 %", 7499), ("90 %", 9000), ("Over 90 %", 9001), ("95 %", 9500)):
        yield from Scope(name, used, 10_000).series(RIGHT, "Acme")
    for name, used in (("70 %", 7000), ("78 %", 7800), ("85 %", 8500)):
        yield from Scope(name, used, 10_000, more={SHORT: 5}).series(RIGHT, "Acme")
    yield from Scope("Falling", 700, 1000, a_minute=-1, more={RATE: 60}).series(RIGHT, "Acme")
    yield from Scope("Just fits", 850, 1000, forecast=(900, 1000, 1100), more={PROBABILITY: 0.5}).series(
        RIGHT, "Acme"
    )
    yield from Scope("Counted in Falling", 5, 100, days=(5000, 6000), counted_in="Falling").series(RIGHT, "Acme")
    yield from Scope("Reached", 1000, 1000, more={PROBABILITY: 1}).series(RIGHT, "Acme")
    yield from Scope("Over", 1040, 1000, reached=(-5, -4, -3), more={PROBABILITY: 1}).series(RIGHT, "Acme")
    yield from Scope("Unused", 0, 1000, more={PROBABILITY: 0}).series(RIGHT, "Acme")
    yield from Scope("Little", 5, 1000).series(RIGHT, "Acme")
    yield from Scope("One allowed", 1, 1).series(RIGHT, "Acme")
    yield from Scope("None allowed", 5, 0, forecast=(6, 7, 8), more={PROBABILITY: 1}).series(RIGHT, "Acme")
    yield from Scope("None allowed, none used", 0, 0).series(RIGHT, "Acme")
    yield from Scope("Unlimited", 4321, None, forecast=(5000, 6000, 7000)).series(RIGHT, "Acme")
    yield from Scope("Unlimited, unused", 0).series(RIGHT, "Acme")
    yield from Scope("Unlimited, little used", 3).series(RIGHT, "Acme")
    # Of which the period began anew within the hour.
    began = Scope("New period", 50, 1000, a_minute=1, more={RATE: 10})
    yield from replace(began, began=lambda ago: NOON - (HOUR if ago < 45 * MINUTE else 30 * DAY)).series(
        RIGHT, "Acme"
    )
    for term, direction, previous, ago in (("limit", "up", "500", 5 * HOUR), ("plan", "down", "pro", 9 * HOUR)):
        for replica, late in ((RIGHT, 0), (BEHIND, 60)):
            changed = NOON - ago + late
            scope = {"api": API, "organisation": "Acme", "scope": "Tiles"}
            terms = {"term": term, "direction": direction, "previous": previous}
            yield replica.series(metrics.LIMIT_CHANGED, changed, **scope, **terms)


def _polled(
    by: Replica,
    organisation: str,
    *,
    api: str = API,
    up: float = 1,
    interval: float = 60,
    last: float | Values = 25,
    why: str = "auth",
) -> Iterator[Series]:
    """The organisation's own series. last: seconds before NOON of the last success, or when it was by those."""

    def of(metric: Metric, value: float | Values, **labels: str) -> Series:
        return by.series(metric, value, api=api, organisation=organisation, **labels)

    success = last if callable(last) else lambda ago: NOON - ago - last
    yield of(metrics.UP, up)
    for reason in ("auth", "timeout"):
        yield of(metrics.POLL_FAILING, 1 - up if reason == why else 0, reason=reason)
    yield of(metrics.LAST_SUCCESS, success)
    yield of(metrics.POLL_INTERVAL, interval)
    yield of(metrics.STALE_AFTER, 3 * interval)
    yield of(metrics.STALE, float(NOON - success(0) > 3 * interval))
    calls = {"api": api, "organisation": organisation}
    yield replace(by.series(metrics.POLLS, _faster(1 / interval), **calls), since=26 * HOUR)
    for reason, each in (("auth", 1 / interval), ("timeout", 0.005), ("config", 0)):
        yield replace(by.series(metrics.POLL_FAILURES, _faster(each), reason=reason, **calls), since=26 * HOUR)


def _faster(each_second: float) -> Values:
    """A counter that went twice as fast until three minutes ago."""
    return lambda ago: each_second * (2 * (26 * HOUR - max(ago, 3 * MINUTE)) + max(3 * MINUTE - ago, 0))


def _others() -> Iterator[Series]:
    calls = Scope("Calls", 500, 1000, a_minute=2, more={RATE: 30, SHORT: 40})
    yield from calls.series(RIGHT, "Initech")
    yield from replace(calls, used=950, more={RATE: 30}).series(RIGHT, "Globex")
    yield from Scope("Short", 650, 1000, more={SHORT: 2}).series(RIGHT, "Pied")
    yield from calls.series(RIGHT, "Hooli")
    yield from replace(calls, used=250, read=None).series(BEHIND, "Hooli")
    for name, used, limit in (("Over", 99, 100), ("85 %", 85, 100), ("Little", 5, 100), ("Unlimited", 5, None)):
        short = {SHORT: 3.0} if limit and used > 80 else {}
        yield from Scope(name, used, limit, None, more=short).series(RIGHT, "Umbrella")
    for organisation in ("Acme", "Pied", "Umbrella", "Empty"):
        yield from _polled(RIGHT, organisation)
    yield from _polled(BEHIND, "Acme", up=0, last=900)
    # The rate wants polls every 20 minutes at least.
    yield from _polled(RIGHT, "Initech", up=0, interval=1200, last=3599)
    yield from _polled(RIGHT, "Initech", api=MAIL)
    yield from _polled(RIGHT, "Globex", interval=1210, last=3630)
    # Nothing was read for an hour.
    yield from _polled(RIGHT, "Hooli", up=0, last=lambda _: NOON - 3 * HOUR)
    yield from _polled(BEHIND, "Hooli", up=0, why="timeout", last=lambda _: NOON - 4 * HOUR)
    yield from _elsewhere()


def _elsewhere() -> Iterator[Series]:
    """The same names in other places and at another api."""
    for place in ELSEWHERE:
        if place.job != "usage":
            continue
        for name in ("Read by a", "Read by b", "Older exporters", "Over", "Only elsewhere"):
            yield from _full(name, 333, 1000, 1, short=True).series(place, "Acme")
        yield from _polled(place, "Acme", up=0, interval=77)
        yield from _polled(place, "Hooli", interval=77)
        yield from _polled(place, "Only elsewhere", interval=77)
    for organisation in ("Acme", "Umbrella", "Only of mail"):
        for name, used, limit in (("Over", 99, 100), ("85 %", 85, 100), ("Little", 5, 100), ("Unlimited", 5, None)):
            scope = Scope(name, used, limit, 5, more={RATE: 5, SHORT: 1})
            yield from scope.series(RIGHT, organisation, MAIL)
        yield from _polled(RIGHT, organisation, api=MAIL, interval=300)
    yield from _polled(RIGHT, "Hooli", api=MAIL, up=0, last=DAY)
    yield from _polled(RIGHT, "Only of mail")
    # At which nothing is amiss.
    yield from _polled(MORE_AHEAD, "Calm", api=CALM)


def _exporters() -> Iterator[Series]:
    replicas = (RIGHT, BEHIND, THIRTY_AHEAD, MORE_AHEAD, AN_HOUR_AHEAD, *ELSEWHERE)
    for number, by in enumerate(replicas, start=1):
        build = by.series(metrics.BUILD_INFO, 1, version="1.2.3", pythonversion="3.13")
        yield build
        yield _rendered(by)
        yield by.series(TARGET_UP, 1)
        yield by.series(metrics.CONFIG_RELOAD_OK, number % 2)
        yield by.series(metrics.CONFIG_RELOAD_TIME, NOON - number * DAY)
        for metric in (metrics.POLLS_RUNNING, metrics.POLLS_WAITING, metrics.POLLS_LATE):
            yield by.series(metric, number, api=API)
            yield by.series(metric, 10 * number, api=MAIL)
        for metric in (metrics.VENDOR_CALLS, metrics.POLLS_PUT_OFF):
            yield replace(by.series(metric, _faster(number / 100), api=API), since=26 * HOUR)
            yield replace(by.series(metric, _faster(number / 30), api=MAIL), since=26 * HOUR)
        for api, share in ((API, 0.9), (MAIL, 0.4)):
            # The quick ones, half of them or less, at one pace all the time.
            quick = share / (1 + number)
            yield by.series(metrics.POLL_DURATION, lambda ago, n=quick: n * (DAY - ago), "_bucket", api=api, le="0.1")  # type: ignore[misc]
            for bucket, part, slow in (
                ("0.5", share, 0),
                ("1.0", 0.98 - number / 200, 0),
                ("2.0", 1, number),
                ("+Inf", 1, number),
            ):
                counted = _counted(part * number, slow / 50)
                yield by.series(metrics.POLL_DURATION, counted, "_bucket", api=api, le=bucket)
        yield from _of_process(by, number)
    # What else is scraped there, other exporters' jobs, and one that is gone.
    for by in (
        replace(RIGHT, job="node"),
        Replica("z:9102"),
        replace(RIGHT, cluster="us"),
        replace(RIGHT, namespace="x"),
    ):
        yield by.series(TARGET_UP, 1)
        yield from _of_process(by, 50)
    gone = Replica("gone:9102")
    yield gone.series(TARGET_UP, 1)
    build = gone.series(metrics.BUILD_INFO, 1, version="1.2.2", pythonversion="3.13")
    yield replace(build, since=19 * HOUR, until=18 * HOUR)
    polled = gone.series(metrics.POLL_INTERVAL, 60, api=API, organisation="Gone")
    yield replace(polled, since=19 * HOUR, until=18 * HOUR)
    for label in ("api", "cluster", "namespace"):
        other = {"api": API, "organisation": "Acme", label: f"gone {label}"}
        yield replace(gone.series(metrics.POLL_INTERVAL, 60, **other), since=19 * HOUR, until=18 * HOUR)
    scope = {"api": API, "organisation": "Acme", "scope": "Gone"}
    yield replace(gone.series(metrics.REQUESTS, 60, **scope), since=19 * HOUR, until=18 * HOUR)

    # A pod that was replaced at the same address.
    yield _rendered(replace(AN_HOUR_AHEAD, ahead=40, pod="e-1"))


def _rendered(by: Replica) -> Series:
    return by.series(metrics.LAST_RENDER_TIME, lambda ago: NOON - ago + by.ahead)


def _counted(faster: float, evenly: float) -> Values:
    return lambda ago: _faster(faster)(ago) + evenly * (DAY - ago)


def _of_process(by: Replica, number: int) -> Iterator[Series]:
    yield by.series(SCRAPE_DURATION, number / 100)
    yield by.series(SCRAPE_SAMPLES, 100 * number)
    yield by.series(MEMORY, number * 1e6)
    yield by.series(CPU, _faster(number / 1000))


def _alerts() -> Iterator[Series]:
    scope = {"api": API, "organisation": "Acme", "scope": "Over"}
    for name, state, severity, value in (
        ("ApiUsageCritical", "firing", "critical", 1),
        ("ApiUsageHigh", "pending", "warning", 1),
        ("ApiRateLimitHigh", "firing", "warning", 1),
        ("ApiRequestsRejected", "firing", "info", 1),
        ("NodeDown", "firing", "critical", 1),
    ):
        labels = {"alertname": name, "alertstate": state, "severity": severity, **scope}
        yield RIGHT.series(ALERTS, value, **labels)
        yield BEHIND.series(ALERTS, value + 1, **labels)


def series() -> Iterator[Series]:
    yield from _acme()
    yield from _others()
    yield from _exporters()
    yield from _alerts()
