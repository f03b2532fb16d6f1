"""Samples in which every part of a rule makes a difference: what is scraped, and what other rules record of it.

A scope, an organisation or a job is named for what it is there for.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from exporter import metrics
from exporter.metrics import Metric
from tests.answers.samples import DAY, HOUR, MINUTE, NOON, Replica, Series, Values

# When the rules are asked, in seconds before NOON.
TIMES = {"noon": 0, "without any exporter": 30 * HOUR, "7 minutes after the only one": 50 * HOUR - 7 * MINUTE}
# Of what a window of 10 minutes sees, and one of 5 does not.
MISSED = 7 * MINUTE


def _replica(
    name: str, job: str = "usage", cluster: str = "eu", namespace: str = "prod", ahead: float = 0
) -> Replica:
    pod, container, endpoint = f"{name}-0", f"{name}-c", f"{name}-e"
    return Replica(f"{name}:9102", ahead, job, cluster, namespace, pod, container, endpoint)


A, B = _replica("a"), _replica("b")
MAPS = {"api": "maps", "organisation": "Acme"}


def _gauge(name: str) -> Metric:
    """What a rule records, or Prometheus."""
    return Metric(name=name, kind="gauge", labels=(), help="")


UP = _gauge("up")


def _of(by: Replica, metric: Metric | str, value: float | Values, until: float = 0, /, **labels: str) -> Series:
    known = _gauge(metric) if isinstance(metric, str) else metric
    return replace(by.series(known, value, **labels), until=until)


def _recorded(metric: str, value: float, **labels: str) -> Series:
    """By a rule that took the replicas together."""
    everywhere = {"job": "usage", "cluster": "eu", "namespace": "prod", **MAPS, **labels}
    return Series(_gauge(metric), everywhere, lambda _: float(value))


FRESHEST = "instance_scope:api_usage_read:timestamp_seconds_freshest"
AHEAD = "instance:api_usage_exporter_clock:seconds_ahead"
USED, ALLOWED = "scope:api_usage_requests:freshest", "scope:api_usage_limit_requests:freshest"
RATIO, NEAR = "scope:api_usage_requests_per_limit:ratio", "scope:api_usage_requests_per_limit:ratio_near"
BAND, SHORT = "scope:api_usage_requests_per_limit:band", "scope:api_usage_billing_period:short"
OWN = "scope:api_usage_threshold:ratio_{}"
SHORTFALL = "scope:api_usage_limit_shortfall:requests"


def series() -> Iterator[Series]:
    for part in (
        _clocks,
        _readings,
        _published,
        _ladder,
        _rates,
        _forecasts,
        _plans,
        _scopes_gone,
        _exporters_gone,
        _shards,
        _polls,
        _exporters,
    ):
        yield from part()


# --- which replica read last


def _clocks() -> Iterator[Series]:
    """By how much clocks are ahead; 30 seconds are none."""
    for name, seconds in (("right", 0), ("30s", 30), ("31s", 31), ("hour", HOUR)):
        by = _replica(name)
        yield _of(by, metrics.LAST_RENDER_TIME, lambda ago, seconds=seconds: NOON - ago + seconds)  # type: ignore[misc]


def _readings() -> Iterator[Series]:
    """Scopes that several replicas read: the first named read it last."""
    right, ahead, missed = _replica("r"), _replica("h", ahead=HOUR), _replica("m", ahead=HOUR)
    # Recorded of a pod that was replaced at the same address as well.
    yield _of(ahead, AHEAD, HOUR)
    yield _of(replace(ahead, pod="h-1"), AHEAD, 40)
    yield _of(missed, AHEAD, HOUR, MISSED)
    for job, cluster, namespace in (("canary", "eu", "prod"), ("usage", "us", "prod"), ("usage", "eu", "staging")):
        yield _of(_replica("h", job, cluster, namespace), AHEAD, 7000)
    older, oldest = _replica("o"), _replica("p")
    for scope, replicas in (
        ("Right before ahead", ((right, 20, 5), (ahead, 40, 6))),
        ("Ahead before right", ((ahead, 20, 5), (right, 40, 6))),
        ("Right before missed", ((right, 20, 5), (missed, 40, 6))),
        ("Missed alone", ((missed, 500, 5),)),
        ("Missed alone, clock right", ((_replica("n"), 500, 5),)),
        ("Right before older", ((right, 600, 5), (older, None, 6))),
        ("Highest of older", ((older, None, 6), (oldest, None, 5))),
    ):
        for by, read, used in replicas:
            until = MISSED if "issed alone" in scope or by is missed else 0
            if read is not None:
                said = NOON - read + by.ahead
                yield _of(by, metrics.READ_TIME, said, until, **MAPS, scope=scope)
            yield _of(by, metrics.REQUESTS, used, until, **MAPS, scope=scope)
    yield _of(older, metrics.REQUESTS, 7, MISSED, **MAPS, scope="Older, missed")
    # Of these it is recorded who read last: a.
    for scope, until in (("Read by a", 0), ("Read by a, missed", MISSED)):
        yield _of(A, FRESHEST, NOON, **MAPS, scope=scope)
        yield _of(A, metrics.REQUESTS, 100, until, **MAPS, scope=scope)
        yield _of(B, metrics.REQUESTS, 200, until, **MAPS, scope=scope)


# --- what replicas say of scopes


def _published() -> Iterator[Series]:
    """What is published of a scope only where it means something, by a, which read last, and by b."""
    yield from (_of(by, metrics.LAST_SUCCESS, NOON - 25, **MAPS) for by in (A, B))
    missed = {**MAPS, "organisation": "Missed"}
    yield from (_of(by, metrics.LAST_SUCCESS, NOON - 25, MISSED, **missed) for by in (A, B))
    of_organisation = (
        (MAPS, "Now", 0),
        (MAPS, "No longer", MISSED),
        (missed, "Missed", MISSED),
        (MAPS, "Short period", 0),
    )
    for labels, scope, until in of_organisation:
        yield _of(A, FRESHEST, NOON, **labels, scope=scope)
        for metric, value in (
            (metrics.LIMIT, 1000),
            (metrics.PERIOD_SHORT, 1),
            (metrics.LIMIT_SHORTFALL, 250),
            (metrics.RUNS_OUT_TIME, NOON + 1800),
            (metrics.BURN_RATE, 14.4),
        ):
            yield _of(A, metric, value, until, **labels, scope=scope)
            yield _of(B, metric, value * 2, until, **labels, scope=scope)
    yield _of(A, FRESHEST, NOON, **MAPS, scope="Ran out")
    yield _of(A, metrics.RUNS_OUT_TIME, NOON - 60, **MAPS, scope="Ran out")
    yield _of(A, metrics.RUNS_OUT_TIME, NOON + 60, **MAPS, scope="Nobody knows who read last")
    yield _recorded(SHORT, 1, scope="Short period")


# --- the ladder

_RATIOS = (
    0.74,
    0.742,
    0.7425,
    0.745,
    0.7499,
    0.75,
    0.8,
    0.82,
    0.8905,
    0.8915,
    0.8999,
    0.9,
    0.9001,
    0.98,
    0.989,
    0.99,
    0.995,
    1,
    1.01,
)
_OWN_THRESHOLDS: tuple[dict[str, float], ...] = ({}, {"warning": 0.6, "critical": 0.8}, {"warning": 0.8})


def _ladder() -> Iterator[Series]:
    for ratio, band, own in product(_RATIOS, (None, 0, 1, 2, 3), _OWN_THRESHOLDS):
        wanted = " ".join(f"{severity} {at}" for severity, at in own.items()) or "usual"
        scope = f"{ratio}, band {band}, {wanted}"
        yield _recorded(NEAR, ratio, scope=scope)
        if band is not None:
            yield _recorded(BAND, band, scope=scope)
        for severity, at in own.items():
            yield _recorded(OWN.format(severity), at, scope=scope)
    for ratio in (0.5, 0.53, 0.5346, 0.55, 0.594, 0.6, 0.66, 0.7, 0.7425, 0.75, 0.81):
        yield _recorded(RATIO, ratio, scope=f"ratio {ratio}")
        yield _recorded(RATIO, ratio, scope=f"ratio {ratio} of 0.6")
        yield _recorded(OWN.format("warning"), 0.6, scope=f"ratio {ratio} of 0.6")
    for used, limit in ((75, 100), (5, 0), (1, 0), (0, 0), (0.5, 1), (7, None), (0, 50)):
        scope = f"{used} of {limit}"
        yield _recorded(USED, used, scope=scope)
        if limit is not None:
            yield _recorded(ALLOWED, limit, scope=scope)
    for scope in ("Short period", "Short period, nothing allowed"):
        yield _recorded(NEAR, 1.2, scope=scope)
        yield _recorded(USED, 12, scope=scope)
        yield _recorded(ALLOWED, 0, scope=scope)
    yield _recorded(SHORT, 1, scope="Short period, nothing allowed")
    # A limit of 0 that is used: in a band, and without a ratio.
    yield _recorded(BAND, 3, scope="5 of 0")
    yield from _own_thresholds()


def _own_thresholds() -> Iterator[Series]:
    for warning, critical in ((0.75, 0.9), (0.6, 0.8), (0.8, 0.95), (0.825, 0.99), (0.675, 0.81)):
        for until in (0, MISSED):
            scope = f"from {warning} and {critical}, until {until} s ago"
            yield _of(A, FRESHEST, NOON, **MAPS, scope=scope)
            for by, factor in ((A, 1), (B, 1.01)):
                for severity, ratio in (("warning", warning), ("critical", critical)):
                    labels = {**MAPS, "scope": scope, "severity": severity}
                    yield _of(by, metrics.THRESHOLD_RATIO, factor * ratio, until, **labels)


# --- rates, forecasts, plans


def _rates() -> Iterator[Series]:
    for scope, until in (("Paced", 0), ("Paced, missed", MISSED)):
        yield _of(A, FRESHEST, NOON, **MAPS, scope=scope)
        for by, factor in ((A, 1), (B, 2)):
            yield _of(by, metrics.PACE, factor * 50, until, **MAPS, scope=scope, window="1h")
            yield _of(by, metrics.PACE, factor * 70, until, **MAPS, scope=scope, window="1d")
            yield _of(by, metrics.RATE_LIMIT, factor * 60, until, **MAPS, scope=scope)
        yield _recorded("scope:api_usage_requests_per_minute:rate1h", 55, scope=scope)
    for scope, allowed in (("No rate allowed", 0), ("One a minute", 1)):
        yield _of(A, FRESHEST, NOON, **MAPS, scope=scope)
        yield _of(A, metrics.RATE_LIMIT, allowed, **MAPS, scope=scope)
        yield _recorded("scope:api_usage_requests_per_minute:rate1h", 2, scope=scope)
    for ratio in (0.8, 0.85, 0.9, 0.95, 1.2):
        yield _recorded("scope:api_usage_requests_per_rate_limit:ratio_rate1h", ratio, scope=f"rate {ratio}")
    for scope, ago, by_how_much, until in (
        ("Rejected one", 5 * MINUTE, 1, 0),
        ("Rejected two 40 minutes ago", 40 * MINUTE, 2, 0),
        ("Rejected two, missed", 15 * MINUTE, 2, MISSED),
        ("Rejected none", 0, 0, 0),
    ):
        values = _stepped(ago, 10, 10 + by_how_much)
        yield _of(A, metrics.REJECTED, values, until, **MAPS, scope=scope)
        yield _of(B, metrics.REJECTED, 3, until, **MAPS, scope=scope)
    for scope, ago, term, direction, until in (
        ("Lowered a day ago", DAY, "limit", "lowered", 0),
        ("Lowered less than a day ago", DAY - 600, "limit", "lowered", 0),
        ("Lowered more than a day ago", DAY + 600, "limit", "lowered", 0),
        ("Lowered now, missed", HOUR, "limit", "lowered", MISSED),
        ("Raised", HOUR, "limit", "raised", 0),
        ("Other term", HOUR, "rate_limit", "lowered", 0),
    ):
        labels = {**MAPS, "scope": scope, "term": term, "direction": direction, "previous": "5"}
        yield _of(A, metrics.LIMIT_CHANGED, NOON - ago, until, **labels)
        yield _of(B, metrics.LIMIT_CHANGED, NOON - ago - 300, until, **labels)


def _stepped(ago: float, before: float, since: float) -> Values:
    """Another value since so many seconds ago."""
    return lambda at: before if at > ago else since


def _forecasts() -> Iterator[Series]:
    """Of a period of 30 days, of which 20 % are 6 days."""
    probabilities = (0.46, 0.5, 0.54, 0.6, 0.64, 0.7, 0.75, 0.8)
    for probability, days, firing in product(probabilities, (5.5, 6, 6.5), (False, True)):
        scope = f"probability {probability} in {days} days{', firing' if firing else ''}"
        yield from _forecast(scope, probability, days, firing=firing)
    for missing in (
        metrics.FORECAST_PROBABILITY,
        metrics.FORECAST_LIMIT_REACHED,
        metrics.PERIOD_START,
        metrics.PERIOD_END,
    ):
        yield from _forecast(f"missed {missing.name}", 0.8, 5, firing=False, missed=missing)
    yield from _forecast("missed, firing", 0.6, 5, firing=True, missed=metrics.FORECAST_PROBABILITY)
    for ratio in (0.95, 1, 1.05):
        yield from _forecast(f"used {ratio}", 0.8, 5, firing=False)
        yield _recorded(RATIO, ratio, scope=f"used {ratio}")
    yield from _forecast("Short period, forecast", 0.8, 5, firing=False)
    yield _recorded(SHORT, 1, scope="Short period, forecast")
    for scope, firing in (("Nobody read last", False), ("Nobody read last, firing", True)):
        yield from _forecast(scope, 0.8, 5, firing=firing, read=False)
    yield from _forecast("Pending", 0.6, 5, firing=False)
    yield from _firing("Pending", alertstate="pending")
    yield from _forecast("Other alert", 0.6, 5, firing=False)
    yield from _firing("Other alert", alertname="ApiUsageHigh")


def _forecast(
    scope: str, probability: float, days: float, *, firing: bool, missed: Metric | None = None, read: bool = True
) -> Iterator[Series]:
    labels = {**MAPS, "scope": scope}
    if read:
        yield _of(A, FRESHEST, NOON, **labels)
    for by, later in ((A, 0), (B, 1)):
        for metric, value in (
            (metrics.FORECAST_PROBABILITY, probability + 0.01 * later),
            (metrics.PERIOD_START, NOON - 15 * DAY + later),
            (metrics.PERIOD_END, NOON + 15 * DAY + later),
        ):
            yield _of(by, metric, value, MISSED if metric is missed else 0, **labels)
        for estimate, at in (("earliest", days - 3), ("likely", days), ("latest", days + 3)):
            until = MISSED if missed is metrics.FORECAST_LIMIT_REACHED else 0
            yield _of(by, metrics.FORECAST_LIMIT_REACHED, NOON + at * DAY, until, **labels, estimate=estimate)
    if firing:
        yield from _firing(scope)


def _firing(
    scope: str, alertname: str = "ApiUsageProjectedOverLimit", alertstate: str = "firing"
) -> Iterator[Series]:
    yield _recorded("ALERTS", 1, scope=scope, alertname=alertname, alertstate=alertstate, severity="warning")


def _plans() -> Iterator[Series]:
    for number in (1, 2, 3):
        for scope in ("One", "Two", "Three")[:number]:
            yield _recorded(SHORTFALL, 100 * number, organisation=f"{number} short", scope=scope)


# --- what is gone


def _scopes_gone() -> Iterator[Series]:
    for scope, missing, until in (("Gone", 1, 0), ("Gone, missed", 1, MISSED), ("Twice gone", 2, 0), ("Here", 0, 0)):
        yield _of(A, FRESHEST, NOON, **MAPS, scope=scope)
        yield _of(A, metrics.SCOPE_MISSING, missing, until, **MAPS, scope=scope)
        yield _of(B, metrics.SCOPE_MISSING, 1 - missing, until, **MAPS, scope=scope)
    yield _of(A, metrics.SCOPE_MISSING, 1, **MAPS, scope="Gone, nobody read last")


def _shard(
    by: Replica, up: float | None, last: float = 0, shard: str = "0", shards: str = "1", **labels: str
) -> Iterator[Series]:
    """An exporter that was scraped last so many seconds ago, and whether its target answers: None where it is gone."""
    info = by.series(metrics.SHARD_INFO, 1, shards=shards, **({"shard": shard} | labels))
    yield replace(info, since=last + 20 * MINUTE, until=last)
    if up is not None:
        yield _of(by, UP, up)


def _exporters_gone() -> Iterator[Series]:
    """By their jobs. Of those at eu and prod some are there."""
    hours, days = 2 * HOUR, 5 * DAY
    yield from _shard(_replica("a", "down"), 0, hours)
    yield from _shard(_replica("a", "down for days"), 0, days)
    for job, last in (("one of two", hours), ("one of two for days", days)):
        yield from _shard(_replica("a", job), 1)
        yield from _shard(_replica("b", job), 0, last)
    yield from _shard(_replica("a", "one of three"), 1)
    yield from _shard(_replica("b", "one of three"), 0, hours)
    yield from _shard(_replica("c", "one of three"), 0, hours)
    # No longer among the targets, within a day and for longer.
    yield from _shard(_replica("a", "gone"), None, 18 * HOUR)
    yield from _shard(_replica("a", "gone for days"), None, 4 * DAY)
    yield from _shard(_replica("a", "one of two gone"), 1)
    yield from _shard(_replica("b", "one of two gone"), None, 4 * DAY)
    for job, name in (("gone for days", "a"), ("one of two gone", "b")):
        yield _of(_replica(name, f"not {job}"), UP, 0)
        yield _of(_replica("never an exporter", job), UP, 0)
        yield _of(_replica(name, job, "us"), UP, 0)
        yield _of(_replica(name, job, namespace="staging"), UP, 0)
    # Elsewhere, of jobs that are down or there.
    for cluster, namespace in (("asia", "prod"), ("eu", "test")):
        for job in ("down", "one of two"):
            yield from _shard(_replica("a", job, cluster, namespace), None, hours)
    # In shards, of which one is there: which one is missing says another alert. Elsewhere none is.
    yield from _shard(_replica("s0", "shards"), 1, 0, "0", "2")
    yield from _shard(_replica("s1", "shards"), 0, hours, "1", "2")
    for cluster, namespace in (("us", "prod"), ("eu", "staging")):
        yield from _shard(_replica("s1", "shards", cluster, namespace), 0, days, "1", "2")
    for cluster, namespace in (("africa", "prod"), ("eu", "next")):
        yield from _shard(_replica("s1", "shards", cluster, namespace), None, hours, "1", "2")
    # Down, and there with other labels.
    yield from _shard(_replica("a", "was in shards", "solo"), 1)
    yield from _shard(_replica("b", "was in shards", "solo"), 0, hours, "0", "2")
    yield from _shard(_replica("a", "other shard", "solo"), 1, shard="0")
    yield from _shard(_replica("b", "other shard", "solo"), 0, hours, shard="1")
    yield from _shard(_replica("a", "renamed", "solo"), 1, exported_shard="0")
    yield from _shard(_replica("b", "renamed", "solo"), 0, hours, exported_shard="1")
    # One that does not say which shard it is: the only one at its time.
    build = _replica("a", "alone").series(metrics.BUILD_INFO, 1, version="1", pythonversion="3.13")
    yield replace(build, since=51 * HOUR, until=50 * HOUR)


def _shards() -> Iterator[Series]:
    """What there is to be, by what one says and the others are. In places of their own."""

    def expected(by: Replica, shards: int, until: float = 0, **labels: str) -> Iterator[Series]:
        for index in range(shards):
            yield _of(by, metrics.SHARD_EXPECTED, 1, until, index=str(index), shards=str(shards), **labels)

    one = _replica("x", "split", "c1")
    yield from expected(one, 2)
    yield from _shard(one, 1, 0, "0", "2")
    yield from expected(_replica("x", "stopped", "c2"), 3, 3 * MINUTE)
    yield from expected(_replica("x", "single", "c3"), 1)
    # Each a job and a service of its own: all are there.
    for index, shard in enumerate(("0", "1")):
        by = _replica(f"x{index}", f"job {index}", "c4")
        yield from expected(by, 2, service=f"service {index}", shard=shard)
        yield from _shard(by, 1, 0, shard, "2", service=f"service {index}")
        by = _replica(f"y{index}", "labelled", "c5")
        yield from expected(by, 2)
        yield from _shard(by, 1, 0, f"pool-{index}", "2", exported_shard=shard)


# --- the exporter itself


def _polls() -> Iterator[Series]:
    def failing(
        organisation: str, reason: str, a: float | Values, b: float | Values, until: float = 0
    ) -> Iterator[Series]:
        labels = {"api": "maps", "organisation": organisation, "reason": reason}
        yield _of(A, metrics.POLL_FAILING, a, until, **labels)
        yield _of(B, metrics.POLL_FAILING, b, until, **labels)

    yield from failing("Times out", "timeout", 1, 0)
    yield from failing("Times out", "auth", 0, 0)
    yield from failing("Refused", "auth", 1, 0)
    yield from failing("Refused lately", "auth", _stepped(15 * MINUTE, 0, 1), 0)
    yield from failing("Times out, missed", "timeout", 1, 1, MISSED)
    yield from failing("Refused, missed", "auth", 1, 1, MISSED)
    yield from failing("Well", "auth", 0, 0)
    yield from failing("Well", "timeout", 0, 0)
    yield from failing("Refused and times out", "auth", 1, 1)
    yield from failing("Refused and times out", "timeout", 0, 1)
    for organisation, a, b, until in (("Stale", 1, 1, 0), ("Stale, missed", 1, 1, MISSED), ("One is fresh", 0, 1, 0)):
        yield _of(A, metrics.STALE, a, until, api="maps", organisation=organisation)
        yield _of(B, metrics.STALE, b, until, api="maps", organisation=organisation)
    for api, field, until in (("drifts", 2, 0), ("drifts once", 1, 0), ("drifts, missed", 2, MISSED), ("well", 0, 0)):
        yield _of(A, metrics.ANSWER_DRIFT, field, until, api=api, field="limit")
        yield _of(B, metrics.ANSWER_DRIFT, 0, until, api=api, field="limit")
    for api, ago, more in (
        ("put off once", 5 * MINUTE, 1),
        ("put off 45 minutes ago", 45 * MINUTE, 3),
        ("on time", 0, 0),
    ):
        yield _of(A, metrics.POLLS_PUT_OFF, _stepped(ago, 10, 10 + more), api=api)
        yield _of(B, metrics.POLLS_PUT_OFF, 20, api=api)


def _exporters() -> Iterator[Series]:
    """By their jobs, two replicas of each."""

    def pair(job: str) -> tuple[Replica, Replica]:
        return _replica("a", job), _replica("b", job)

    for job, values, until in (
        ("one refused", (0, 1), 0),
        ("none refused", (1, 1), 0),
        ("one refused, missed", (0, 1), MISSED),
    ):
        for by, value in zip(pair(job), values, strict=True):
            yield _of(by, metrics.CONFIG_RELOAD_OK, value, until)
    yield from _rendered_by(pair)
    for job, failures, saved, until in (
        ("saves nothing", 1, None, 0),
        ("saved long ago", 3, 310, 0),
        ("saved exactly 300 s ago", 3, 300, 0),
        ("saved 280 s ago", 3, 280, 0),
        ("saved 280 s ago, missed", 3, 280, 290),
        ("fails no more", 0, 310, 0),
    ):
        a, b = pair(job)
        for reason, share in (("disk", 1), ("locked", 2)):
            counted = _stepped(8 * MINUTE, 5, 5 + share * failures)
            yield _of(a, metrics.SAVE_FAILURES, counted if reason == "disk" or failures > 1 else 5, reason=reason)
            yield _of(
                b, metrics.SAVE_FAILURES, _stepped(8 * MINUTE, 5, 6) if job == "saved long ago" else 5, reason=reason
            )
        if saved is not None:
            yield _of(a, metrics.SAVED_TIME, NOON - saved, until)


def _rendered_by(pair: Callable[[str], tuple[Replica, Replica]]) -> Iterator[Series]:
    for job, age, up, until in (
        ("rendered 63 s ago", 63, 1.0, 0),
        ("rendered 60 s ago", 60, 1.0, 0),
        ("rendered 57 s ago", 57, 1.0, 0),
        ("down since 4 minutes", 500, _stepped(4 * MINUTE, 1, 0), 0),
        ("down since 8 minutes", 500, _stepped(8 * MINUTE, 1, 0), 0),
        ("rendered long ago, missed", 500, 1.0, MISSED),
        ("elsewhere up", 500, 0.0, 0),
        ("both rendered long ago", 500, 1.0, 0),
    ):
        a, b = pair(job)
        yield _of(a, metrics.LAST_RENDER_TIME, NOON - age, until)
        yield _of(b, metrics.LAST_RENDER_TIME, NOON - (400 if job.startswith("both") else 5))
        yield _of(a, UP, up)
        yield _of(b, UP, 1)
    for by in (
        _replica("a", "not elsewhere up"),
        _replica("a", "elsewhere up", "us"),
        _replica("a", "elsewhere up", namespace="staging"),
    ):
        yield _of(by, UP, 1)
    for job, missing, until in (("lacks one", 1, 0), ("lacks two, missed", 2, MISSED), ("lacks none", 0, 0)):
        a, b = pair(job)
        yield _of(a, metrics.NOT_RENDERED, missing, until)
        yield _of(b, metrics.NOT_RENDERED, 0, until)
