"""What stands on /metrics, held against prometheus_client's own parser and writer."""

import re
import threading
import zlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import metrics
from exporter.config.api import Api, Organisation
from exporter.config.load import Target
from exporter.config.preset import load_preset
from exporter.errors import REASONS, ResponseError, ServerError
from exporter.exposition.bodies import OPENMETRICS, TEXT, Refresher
from exporter.exposition.process import ProcessMetrics
from exporter.exposition.samples import family_header
from exporter.local.processes import eventually, required
from exporter.metrics import CATALOGUE
from exporter.model import (
    LARGEST_COUNT,
    LEAST_LIMIT,
    BillingPeriod,
    DailyUsage,
    Misfit,
    PollCounts,
    ScopeUsage,
    UsageSnapshot,
)
from exporter.state.database import Database
from exporter.state.saved import Saved
from exporter.state.sharding import Shard
from exporter.turns import COMPUTING
from exporter.web.http_metrics import HttpMetrics, WebConfigMetrics
from tests.support.factories import load
from tests.support.watched import NOVEMBER, Watched, scope, targets_of

MAPS = ScopeUsage(
    name="Maps (v2.1)",
    requests=750,
    limit=1000,
    id="maps",
    plan='Pro "XL"',
    rate_limit_per_minute=60,
    rejected=3,
    period=BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    daily=tuple(DailyUsage(date(2026, 10, 24) + timedelta(days=day), day) for day in range(30)),
)
HOSTILE = 'O\'Brien & "Söhne" (EU)\\'

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Exporter(Watched):
    """With one target."""

    def __init__(self, directory: Path, **api: object) -> None:
        organisations = [{"id": "acme", "name": HOSTILE, "labels": {"team": "a\\b"}}]
        config = load(
            directory / "c.yaml",
            {"url": "http://x/", "organisations": organisations, **api},
            organisation_labels=["team"],
        )
        super().__init__(config.targets)
        self.target: Target = config.targets[0]

    def poll(self, *scopes: ScopeUsage) -> None:
        self.store.record(self.target, UsageSnapshot(self.clock.now(), scopes))

    def fail(self) -> None:
        self.store.record(self.target, ServerError("500"))

    def samples(self) -> Samples:
        return samples(self.text())

    def value(self, metric: metrics.Metric, **labels: str) -> float | None:
        """The one sample of the metric that has these labels."""
        found = [
            value
            for (name, own), value in self.samples().items()
            if name == metric.name and labels.items() <= dict(own).items()
        ]
        assert len(found) <= 1
        return found[0] if found else None


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path)


def test_a_scope_s_samples(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    own = {"api": "demo", "organisation": HOSTILE, "team": "a\\b", "scope": "Maps (v2.1)"}
    found = exporter.samples()

    def value(metric: metrics.Metric, **labels: str) -> float:
        return found[metric.name, frozenset({**own, **labels}.items())]

    assert value(metrics.REQUESTS) == 750
    assert value(metrics.LIMIT) == 1000
    assert value(metrics.RATE_LIMIT) == 60
    assert value(metrics.REJECTED) == 3
    assert value(metrics.PERIOD_START) == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    assert value(metrics.PERIOD_END) == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert [value(metrics.DAILY, date=f"2026-11-{day:02}") for day in (1, 22)] == [8, 29]
    info = {"organisation_id": "acme", "scope_id": "maps", "plan": 'Pro "XL"', "unit": "requests"}
    assert value(metrics.SCOPE_INFO, **info, daily_source="vendor", counted_in="") == 1


def test_unlimited_and_unreported_are_absent_and_a_limit_of_0_is_not(exporter: Exporter) -> None:
    exporter.poll(ScopeUsage("A", 1, None), ScopeUsage("B", 1, 0))
    assert exporter.value(metrics.LIMIT, scope="A") is None
    assert exporter.value(metrics.LIMIT, scope="B") == 0
    for metric in (metrics.RATE_LIMIT, metrics.REJECTED, metrics.PERIOD_START, metrics.PERIOD_END, metrics.DAILY):
        assert exporter.value(metric) is None


# A day, one of 23 hours as clocks are set forward, and each as told by its last second.
@pytest.mark.parametrize(
    ("hours", "seconds", "short"),
    [(1, 0, 1), (12, 0, 1), (22, -1, 1), (22, 0, None), (23, -1, None), (24, -1, None), (24, 0, None)],
)
def test_a_period_that_is_too_short_to_page_for_is_marked(
    exporter: Exporter, hours: int, seconds: int, short: int | None
) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    period = BillingPeriod(start, start + timedelta(hours=hours, seconds=seconds))
    exporter.poll(ScopeUsage("A", 1, 10, period=period))
    assert exporter.value(metrics.PERIOD_SHORT, scope="A") == short


def test_before_the_first_poll_counters_stand_at_0_and_what_is_unknown_is_absent(exporter: Exporter) -> None:
    assert exporter.value(metrics.UP) is None
    assert exporter.value(metrics.LAST_SUCCESS) is None
    assert exporter.value(metrics.POLLS) == 0
    for reason in REASONS:
        assert exporter.value(metrics.POLL_FAILURES, reason=reason) == 0
        assert exporter.value(metrics.POLL_FAILING, reason=reason) is None


def test_a_failing_vendor(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    exporter.clock.advance(minutes=15)
    exporter.fail()
    assert exporter.value(metrics.UP) == 0
    assert exporter.value(metrics.POLL_FAILING, reason="server_error") == 1
    assert exporter.value(metrics.POLL_FAILING, reason="auth") == 0
    assert exporter.value(metrics.POLL_FAILURES, reason="server_error") == 1
    assert exporter.value(metrics.STALE) == 1
    assert exporter.value(metrics.REQUESTS) == 750
    exporter.poll(MAPS)
    assert exporter.value(metrics.UP) == 1
    assert exporter.value(metrics.POLL_FAILING, reason="server_error") == 0
    assert exporter.value(metrics.STALE) == 0


def test_time_alone_makes_stale_and_drops(exporter: Exporter) -> None:
    exporter.poll(ScopeUsage("A", 1, 2))
    assert exporter.value(metrics.STALE) == 0
    exporter.clock.advance(minutes=15)
    assert exporter.value(metrics.STALE) == 1
    exporter.clock.advance(hours=24)
    assert exporter.value(metrics.REQUESTS) is None
    assert exporter.value(metrics.STALE) == 1


def test_the_period_before_is_published_once_its_end_was_watched(exporter: Exporter) -> None:
    december = BillingPeriod(NOVEMBER.end, NOVEMBER.end + timedelta(days=31))
    exporter.poll(scope(HOSTILE, 600))
    exporter.clock.advance(days=8, hours=11, minutes=58)
    exporter.poll(scope(HOSTILE, 700))
    assert exporter.value(metrics.PREVIOUS_PERIOD) is None
    exporter.clock.advance(minutes=5)
    exporter.poll(scope(HOSTILE, 3, period=december))
    assert exporter.value(metrics.PREVIOUS_PERIOD) == 700
    # A period before that is not the one before.
    exporter.clock.advance(minutes=5)
    later = BillingPeriod(december.start + timedelta(days=9), december.end + timedelta(days=9))
    exporter.poll(scope(HOSTILE, 4, period=later))
    assert exporter.value(metrics.PREVIOUS_PERIOD) is None


class TestForecast:
    """The forecast, made at each poll: 10 requests a minute, polled every 5 minutes for 2 hours."""

    @pytest.fixture(autouse=True)
    def polled(self, exporter: Exporter) -> None:
        history = tuple(DailyUsage(date(2026, 10, 24) + timedelta(days=day), 14_400) for day in range(29))
        for number in range(25):
            today = DailyUsage(date(2026, 11, 22), 7200 - 50 * (24 - number))
            self.poll(exporter, daily=(*history, today), requests=302_400 + today.requests)
            exporter.clock.advance(minutes=5)

    def poll(self, exporter: Exporter, **fields: Any) -> None:
        exporter.poll(replace(MAPS, limit=400_000, **fields))

    def values(self, exporter: Exporter, metric: metrics.Metric, label: str) -> dict[str, float]:
        return {
            dict(labels)[label]: value for (name, labels), value in exporter.samples().items() if name == metric.name
        }

    def test_all_of_it_is_published(self, exporter: Exporter) -> None:
        requests = self.values(exporter, metrics.FORECAST_REQUESTS, "estimate")
        assert requests["low"] < requests["middle"] < requests["high"]
        assert requests["middle"] == pytest.approx(30 * 14_400, rel=0.02)
        reached = self.values(exporter, metrics.FORECAST_LIMIT_REACHED, "estimate")
        assert reached["earliest"] < reached["likely"] < reached["latest"]
        assert reached["likely"] == pytest.approx(datetime(2026, 11, 28, 18, tzinfo=UTC).timestamp(), abs=43_200)
        assert exporter.value(metrics.FORECAST_PROBABILITY) == pytest.approx(1, abs=0.01)
        paces = self.values(exporter, metrics.PACE, "window")
        assert paces == pytest.approx({"recent": 10, "1h": 10, "7d": 10}, rel=0.02)
        assert exporter.value(metrics.DAYS_NEAR_LIMIT) == 29

    def test_a_scope_that_is_not_read_any_more_has_no_pace_but_what_is_forecast_stands(
        self, exporter: Exporter
    ) -> None:
        before = exporter.value(metrics.FORECAST_PROBABILITY)
        exporter.fail()
        assert self.values(exporter, metrics.PACE, "window")
        exporter.clock.advance(minutes=15)
        assert not self.values(exporter, metrics.PACE, "window")
        exporter.clock.advance(seconds=5 * 86_400)
        assert exporter.value(metrics.FORECAST_PROBABILITY) == before
        exporter.clock.advance(seconds=30 * 86_400)
        for metric in (metrics.FORECAST_PROBABILITY, metrics.FORECAST_REQUESTS, metrics.FORECAST_LIMIT_REACHED):
            assert exporter.value(metric) is None

    def test_nothing_is_forecast_of_a_suspect_count(self, exporter: Exporter) -> None:
        self.poll(exporter, requests=10)
        assert exporter.value(metrics.SUSPECT, reason="fall") == 1
        assert exporter.value(metrics.REQUESTS) == 309_600
        for metric in (metrics.FORECAST_PROBABILITY, metrics.FORECAST_REQUESTS, metrics.PACE):
            assert exporter.value(metric) is None

    def test_at_the_limit_it_is_certain_and_no_moment_is_ahead(self, exporter: Exporter) -> None:
        self.poll(exporter, requests=400_000)
        assert exporter.value(metrics.FORECAST_PROBABILITY) == 1
        assert not self.values(exporter, metrics.FORECAST_LIMIT_REACHED, "estimate")

    def test_a_changed_limit_counts_at_once(self, exporter: Exporter) -> None:
        exporter.poll(replace(MAPS, limit=1e9, requests=309_650))
        assert exporter.value(metrics.FORECAST_PROBABILITY) == 0
        exporter.poll(replace(MAPS, limit=None, requests=309_650))
        assert exporter.value(metrics.FORECAST_PROBABILITY) is None


def test_each_scope_says_when_it_was_read_itself(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path)
    first = exporter.clock.now().timestamp()
    exporter.poll(MAPS, ScopeUsage("Routes", 1, 2))
    exporter.clock.advance(minutes=5)
    unread = Misfit("scope 'Maps (v2.1)': requests: it is a text", None)
    routes = ScopeUsage("Routes", 2, 2)
    exporter.store.record(exporter.target, UsageSnapshot(exporter.clock.now(), (routes,), (unread,)))
    exporter.fail()
    assert exporter.value(metrics.READ_TIME, scope="Maps (v2.1)") == first
    assert exporter.value(metrics.READ_TIME, scope="Routes") == exporter.value(metrics.LAST_SUCCESS) == first + 300


@pytest.mark.parametrize(
    ("shard", "labels"), [(None, {"shard": "0", "shards": "1"}), (Shard(2, 4), {"shard": "2", "shards": "4"})]
)
def test_an_exporter_says_which_shard_it_is(shard: Shard | None, labels: dict[str, str]) -> None:
    registry = ProcessMetrics(shard).registry
    assert registry.get_sample_value(metrics.SHARD_INFO.name, labels) == 1
    (family,) = [found for found in registry.collect() if found.name == metrics.SHARD_EXPECTED.name]
    assert [sample.labels for sample in family.samples] == [
        {"index": str(index), "shards": labels["shards"]} for index in range(int(labels["shards"]))
    ]


@pytest.mark.parametrize(("days", "expected"), [(0, []), (2, ["2026-11-21", "2026-11-22"])])
def test_fewer_days_where_the_config_says_so(tmp_path: Path, days: int, expected: list[str]) -> None:
    exporter = Exporter(tmp_path, daily_history_days=days)
    exporter.poll(MAPS)
    dates = sorted(dict(labels)["date"] for name, labels in exporter.samples() if name == metrics.DAILY.name)
    assert dates == expected


def polled(exporter: Exporter) -> None:
    """Let the process's own metrics have something of every kind to show."""
    exporter.process.config_loaded(exporter.clock.now(), [("demo", "acme")])
    exporter.process.watch_polls(lambda: {"demo": PollCounts(waiting=3, running=2, late=1)})
    exporter.process.poll_ended("demo", 0.2)
    exporter.process.poll_put_off("demo")
    exporter.process.vendor_called("demo")


def test_promtool_finds_nothing_to_say(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    polled(exporter)
    checked = run(
        [required("promtool"), "check", "metrics"], input=exporter.text(), text=True, capture_output=True, check=False
    )
    # It takes the days that are counted for the unit of a time.
    excused = f'{metrics.DAYS_NEAR_LIMIT.name} use base unit "seconds" instead of "days"\n'
    assert (checked.returncode, checked.stdout, checked.stderr) == (3, "", excused)


def test_both_formats_parse_to_the_same_samples(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    polled(exporter)
    open_samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_openmetrics(exporter.text(OPENMETRICS))
        for sample in family.samples
    }
    ours = {key: value for key, value in open_samples.items() if key[0].startswith("api_usage_")}
    assert ours == {key: value for key, value in exporter.samples().items() if key[0].startswith("api_usage_")}
    assert exporter.text(OPENMETRICS).endswith("# EOF\n")


def test_every_metric_of_the_catalogue_is_published_with_its_type_help_and_labels(
    exporter: Exporter, tmp_path: Path
) -> None:
    fast = scope("Fast", 0, limit=120_000, period=NOVEMBER)
    for _ in range(25 * 4):  # a day and an hour
        exporter.clock.advance(minutes=15)
        fast = replace(fast, requests=(fast.requests or 0) + 1000)
        exporter.poll(fast)
    now = exporter.clock.now()
    hour = BillingPeriod(now - timedelta(minutes=50), now + timedelta(minutes=10))
    exporter.poll(MAPS, scope("Hourly", 10, limit=7, period=hour), fast)
    for requests in (755, 760):
        exporter.clock.advance(minutes=15)
        hourly = scope(
            "Hourly", requests - 754, limit=7, period=BillingPeriod(hour.end, hour.end + timedelta(hours=1))
        )
        fast = replace(fast, requests=(fast.requests or 0) + 1000)
        exporter.poll(replace(MAPS, requests=requests, limit=800), hourly, fast)
    database = Database(tmp_path / "data")
    database.save(("a", "o", "i", "u"), Saved(None, ()))
    database.close()
    exporter.process.watch_saves(database)
    polled(exporter)
    exporter.process.answered("demo", ("acme",), frozenset({"data.limit"}))
    HttpMetrics(exporter.process.registry).answered("/metrics", 200)
    WebConfigMetrics(exporter.process.registry).loaded(exporter.clock.now(), exporter.clock.now())
    families = {family.name: family for family in parse_text(exporter.text())}
    for metric in CATALOGUE:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        extra = {"le"} if metric.kind == "histogram" else {"team"} if metrics.ORGANISATION in metric.labels else set()
        assert set(family.samples[0].labels) == {*metric.labels, *extra}
    ours = {name for name in families if name.startswith("api_usage_")}
    assert ours == {metric.name.removesuffix("_total") for metric in CATALOGUE}


def test_gzip_is_one_member_with_the_same_text(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    exporter.exposition.refresh()
    body = exporter.exposition.body(TEXT)
    assert one_member(body.gzipped) == body.plain


def one_member(gzipped: bytes) -> bytes:
    """The text of a single gzip member; curl and browsers would cut off a second one."""
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = member.decompress(gzipped)
    assert member.eof
    assert member.unused_data == b""
    return text


def test_a_clock_that_is_set_back_leaves_nothing_stale_behind(exporter: Exporter) -> None:
    exporter.poll(MAPS)
    exporter.clock.advance(seconds=366 * 86_400)
    assert "api_usage_requests{" not in exporter.text()
    exporter.clock.advance(seconds=-366 * 86_400)
    assert "api_usage_requests{" in exporter.text()


def test_it_is_not_ready_until_the_bodies_show_whom_a_reload_added(exporter: Exporter, tmp_path: Path) -> None:
    exporter.poll(MAPS)
    exporter.exposition.refresh()
    assert exporter.exposition.shows_all_tried()
    added = load(
        tmp_path / "more.yaml", {"url": "http://x/{organisation_id}", "organisations": [{"id": "new"}]}
    ).targets
    exporter.store.set_targets((*(state.target for state in exporter.store.states()), *added))
    exporter.store.record(added[0], ResponseError("no"))
    assert not exporter.exposition.shows_all_tried()
    exporter.exposition.refresh()
    assert exporter.exposition.shows_all_tried()


def test_a_body_shows_who_changed_among_many(tmp_path: Path) -> None:
    ids = [f"o{number}" for number in range(40)]
    config = load(
        tmp_path / "c.yaml", {"url": "http://x/{organisation_id}", "organisations": [{"id": each} for each in ids]}
    )
    watched = Watched(config.targets)
    clock, store, exposition = watched.clock, watched.store, watched.exposition
    store.on_change(exposition.update_lines)
    expected = dict.fromkeys(ids, 750.0)
    for target in config.targets:
        store.record(target, UsageSnapshot(clock.now(), (MAPS,)))
    for changed in (None, 0, 17, 39):
        if changed is not None:
            expected[f"o{changed}"] = 800 + changed
            read = UsageSnapshot(clock.now(), (replace(MAPS, requests=800 + changed),))
            store.record(config.targets[changed], read)
        exposition.refresh()
        for content_type, parse in ((TEXT, parse_text), (OPENMETRICS, parse_openmetrics)):
            body = exposition.body(content_type)
            assert one_member(body.gzipped) == body.plain
            assert body.size == len(body.plain)
            (family,) = (one for one in parse(body.plain.decode()) if one.name == metrics.REQUESTS.name)
            assert {one.labels["organisation"]: one.value for one in family.samples} == expected
        store.set_targets(config.targets)
    store.set_targets(config.targets[5:])
    exposition.refresh()
    assert exposition.body(TEXT).plain.count(b"\napi_usage_requests{") == 35


class _Fixed:
    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> tuple[Metric, ...]:
        return self.families


label_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.floats(0, LARGEST_COUNT) | st.integers(0, 10**18).map(float)
limits = st.just(0.0) | st.floats(LEAST_LIMIT, LARGEST_COUNT) | st.integers(0, 10**18).map(float)


@given(label_values, label_values, label_values, counts)
def test_escaping_grouping_and_numbers_are_prometheus_client_s(
    organisation: str, scope: str, label: str, count: float
) -> None:
    api = Api.model_validate(
        {"name": "demo", "url": "http://x/", "organisations": [{"id": "acme"}], **load_preset("standard").api}
    )
    owner = Organisation.model_construct(id="acme", name=organisation, labels={"region": label})
    target = Target(api, owner)
    watched = Watched([target])
    watched.reads(organisation, replace(MAPS, name=scope, requests=count, daily=None), api="demo")

    names = ("api", "organisation", *(("region",) if label else ()))
    values = ("demo", organisation, *((label,) if label else ()))
    requests = GaugeMetricFamily(metrics.REQUESTS.name, metrics.REQUESTS.help, labels=(*names, "scope"))
    requests.add_metric((*values, scope), count)
    polls = CounterMetricFamily(metrics.POLLS.name, metrics.POLLS.help, labels=names)
    polls.add_metric(values, 1)
    registry = CollectorRegistry()
    registry.register(_Fixed(requests, polls))
    for content_type, generate in ((TEXT, generate_text), (OPENMETRICS, generate_openmetrics)):
        written = generate(registry).removesuffix(b"# EOF\n")
        body = watched.text(content_type).encode()
        for family in (
            written[: written.index(b"# HELP api_usage_polls")],
            written[written.index(b"# HELP api_usage_polls") :],
        ):
            assert family in body


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
histories = st.none() | st.lists(counts, min_size=30, max_size=30).map(
    lambda found: tuple(
        DailyUsage(date(2026, 10, 24) + timedelta(days=day), count) for day, count in enumerate(found)
    )
)
scopes = st.builds(
    ScopeUsage,
    name=names,
    requests=counts,
    limit=st.none() | limits,
    id=label_values,
    plan=label_values,
    unit=names,
    rate_limit_per_minute=st.none() | limits,
    rejected=st.none() | counts,
    daily=histories,
)


def in_order(body: bytes) -> list[list[str]]:
    """The lines, with labels in the order of their names: prometheus_client sorts them, and it means nothing."""
    return [
        re.split(r"[{}]", line)[:1] + sorted(LABEL.findall(line)) + [line.rpartition(" ")[2]]
        for line in body.decode().split("\n")
    ]


LABEL = re.compile(r'\w+="(?:[^"\\]|\\.)*"')


@settings(max_examples=25)
@given(
    st.dictionaries(
        names, st.lists(scopes, max_size=3, unique_by=lambda scope: scope.name) | st.none(), min_size=1, max_size=20
    )
)
def test_a_whole_body_is_what_prometheus_client_writes_of_it(
    organisations: dict[str, list[ScopeUsage] | None],
) -> None:
    """None: an organisation whose poll failed."""
    api = Api.model_validate(
        {"name": "demo", "url": "http://x/", "organisations": [{"id": "acme"}], **load_preset("standard").api}
    )
    targets = [Target(api, Organisation.model_construct(id="acme", name=name, labels={})) for name in organisations]
    watched = Watched(targets)
    for name, found in organisations.items():
        if found is None:
            watched.fails(name, ServerError("500"), api="demo")
        else:
            watched.reads(name, *found, api="demo")
    for content_type, parse, generate in (
        (TEXT, parse_text, generate_text),
        (OPENMETRICS, parse_openmetrics, generate_openmetrics),
    ):
        body = watched.text(content_type).encode()
        ours = body[: body.index(b"# HELP python_info")]
        families = [family for family in parse(ours.decode() + "# EOF\n") if family.samples]
        registry = CollectorRegistry()
        registry.register(_Fixed(*families))
        assert in_order(generate(registry).removesuffix(b"# EOF\n")) == in_order(ours)
        shown = {
            (one.labels["organisation"], one.labels["scope"]): one.value
            for family in families
            for one in family.samples
            if one.name == metrics.REQUESTS.name
        }
        reported = {(name, one.name): one.requests for name, found in organisations.items() for one in found or ()}
        assert shown == reported


@given(label_values)
def test_help_is_escaped_as_prometheus_client_does(text: str) -> None:
    requests, polls = replace(metrics.REQUESTS, help=text), replace(metrics.POLLS, help=text)
    registry = CollectorRegistry()
    registry.register(_Fixed(GaugeMetricFamily(requests.name, text), CounterMetricFamily(polls.name, text)))
    for openmetrics, generate in ((False, generate_text), (True, generate_openmetrics)):
        ours = family_header(requests, openmetrics=openmetrics) + family_header(polls, openmetrics=openmetrics)
        assert ours == generate(registry).removesuffix(b"# EOF\n")


def test_the_refresher_works_after_a_change_and_stops(exporter: Exporter) -> None:
    import threading  # noqa: PLC0415

    refresher = Refresher(exporter.exposition, pause=0.01, longest=60)
    exporter.store.on_change(refresher.changed)
    thread = threading.Thread(target=refresher.run)
    thread.start()
    exporter.poll(MAPS)
    eventually(lambda: b'scope="Maps' in exporter.exposition.body(TEXT).plain)
    refresher.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_bodies_are_put_together_while_nobody_else_computes(exporter: Exporter) -> None:
    before = exporter.exposition.body(TEXT)
    refreshing = threading.Thread(target=exporter.exposition.refresh)
    with COMPUTING:
        refreshing.start()
        refreshing.join(0.05)
        assert exporter.exposition.body(TEXT) is before
    refreshing.join(10)
    assert exporter.exposition.body(TEXT) is not before


def test_an_organisation_that_cannot_be_written_keeps_the_others_from_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt", "Coil"]}))
    watched.store.on_change(watched.exposition.update_lines)
    for name in ("Acme", "Bolt"):
        watched.reads(name, scope(requests=1))
    unwritable: Any = 7
    for name in ("Bolt", "Coil"):
        watched.reads(name, scope(requests=1, plan=unwritable))
    watched.reads("Acme", scope(requests=2))

    def shown() -> dict[str, float]:
        found = samples(watched.text())
        return {
            dict(labels)["organisation"]: value
            for (name, labels), value in found.items()
            if name == metrics.REQUESTS.name
        }

    assert shown() == {"Acme": 2, "Bolt": 1}
    assert watched.exposition.shows_all_tried()
    assert samples(watched.text())[metrics.NOT_RENDERED.name, frozenset()] == 2
    assert capsys.readouterr().out.count("an organisation's metrics could not be written") == 2
    for name in ("Bolt", "Coil"):
        watched.reads(name, scope(requests=3))
    assert shown() == {"Acme": 2, "Bolt": 3, "Coil": 3}
    assert samples(watched.text())[metrics.NOT_RENDERED.name, frozenset()] == 0


def test_the_metrics_say_when_they_were_put_together(exporter: Exporter) -> None:
    assert exporter.value(metrics.LAST_RENDER_TIME) == exporter.clock.now().timestamp()
    exporter.clock.advance(seconds=61)
    assert exporter.exposition.age() == 61
    assert exporter.value(metrics.LAST_RENDER_TIME) == exporter.clock.now().timestamp()
    assert exporter.exposition.age() == 0
    assert exporter.value(metrics.LAST_RENDER_DURATION) == 0  # by a clock that stands still


def test_a_suspect_count_is_a_flag_beside_the_last_trusted_one(exporter: Exporter) -> None:
    def flags() -> dict[str, float]:
        found = samples(exporter.text())
        return {
            dict(labels)["reason"]: value for (name, labels), value in found.items() if name == metrics.SUSPECT.name
        }

    exporter.poll(MAPS)
    assert flags() == {"fall": 0, "jump": 0}
    for count in (0, 375, 0):
        exporter.clock.advance(minutes=5)
        exporter.poll(replace(MAPS, requests=count))
        assert flags() == {"fall": 1, "jump": 0}
        assert exporter.value(metrics.REQUESTS) == 750
    exporter.poll(replace(MAPS, requests=751))
    assert flags() == {"fall": 0, "jump": 0}
    assert exporter.value(metrics.REQUESTS) == 751


def test_the_last_change_of_each_term_is_published_with_what_it_was_before(exporter: Exporter) -> None:
    for limit in (1000, 500, 800):
        exporter.poll(replace(MAPS, limit=limit, plan=f"Plan {limit == 800}"))
        exporter.clock.advance(minutes=5)
    changed = {
        (dict(labels)["term"], dict(labels)["direction"], dict(labels)["previous"]): value
        for (name, labels), value in samples(exporter.text()).items()
        if name == metrics.LIMIT_CHANGED.name
    }
    at = exporter.clock.now().timestamp() - 300
    assert changed == {("limit", "raised", "500"): at, ("plan", "changed", "Plan False"): at}
