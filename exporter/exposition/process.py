"""The exporter's own metrics: how its polls and its config fare, its build, process and Python."""

import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from exporter import metrics
from exporter.metrics import Metric
from exporter.model import PollCounts
from exporter.state.database import Database
from exporter.state.sharding import Shard

_OfApi = TypeVar("_OfApi", Histogram, Counter)

# A time of creation beside every histogram would double what is to be read, and nothing here uses it.
disable_created_metrics()


class _Saves(Collector):
    """How saving fares, asked of the database at each refresh."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[MetricFamily]:
        name = metrics.SAVE_FAILURES.name
        failures = CounterMetricFamily(name, metrics.SAVE_FAILURES.help, labels=metrics.SAVE_FAILURES.labels)
        for reason, count in self._database.failures.items():
            failures.add_metric([reason], count)
        yield failures
        if self._database.saved_at is not None:
            yield GaugeMetricFamily(metrics.SAVED_TIME.name, metrics.SAVED_TIME.help, self._database.saved_at)


class ProcessMetrics:
    """The exporter's own metrics: polls, calls and config reloads, rendering, build, process, Python. Thread-safe."""

    def __init__(self, shard: Shard | None = None) -> None:
        """shard: this exporter's part of the organisations; all of them if left out."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._poll_duration = self._of_api(Histogram, metrics.POLL_DURATION)
        self._put_off = self._of_api(Counter, metrics.POLLS_PUT_OFF)
        self._vendor_calls = self._of_api(Counter, metrics.VENDOR_CALLS)
        self._by_api = (self._poll_duration, self._put_off, self._vendor_calls)
        self._drift = self._gauge(metrics.ANSWER_DRIFT)
        self._drifted: dict[tuple[str, str], set[str]] = {}
        self._changing = threading.Lock()
        self._apis: frozenset[str] = frozenset()
        self._last_render = self._gauge(metrics.LAST_RENDER_TIME)
        self._render_duration = self._gauge(metrics.LAST_RENDER_DURATION)
        self._not_rendered = self._gauge(metrics.NOT_RENDERED)
        self._reload_ok = self._gauge(metrics.CONFIG_RELOAD_OK)
        self._reload_time = self._gauge(metrics.CONFIG_RELOAD_TIME)
        build = self._gauge(metrics.BUILD_INFO)
        build.labels(version("api-usage-exporter"), platform.python_version()).set(1)
        shard = shard or Shard(0, 1)
        self._gauge(metrics.SHARD_INFO).labels(shard.index, shard.count).set(1)
        expected = self._gauge(metrics.SHARD_EXPECTED)
        for index in range(shard.count):
            expected.labels(index, shard.count).set(1)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _of_api(self, kind: type[_OfApi], metric: Metric) -> _OfApi:
        return kind(metric.name, metric.help, metric.labels, registry=self.registry)

    def watch_saves(self, database: Database) -> None:
        """Publish how saving state fares."""
        self.registry.register(_Saves(database))

    def watch_polls(self, counts: Callable[[], Mapping[str, PollCounts]]) -> None:
        """Publish how polls stand; counts: by api, at any moment."""
        self.registry.register(_Polls(counts))

    def poll_ended(self, api: str, seconds: float) -> None:
        with self._changing:
            if api in self._apis:
                self._poll_duration.labels(api).observe(seconds)

    def vendor_called(self, api: str) -> None:
        with self._changing:
            if api in self._apis:
                self._vendor_calls.labels(api).inc()

    def poll_put_off(self, api: str) -> None:
        with self._changing:
            if api in self._apis:
                self._put_off.labels(api).inc()

    def answered(self, api: str, organisations: tuple[str, ...], drifted: frozenset[str]) -> None:
        """Note which fields of the organisations' last answer are not as their preset documents them."""
        with self._changing:
            if api not in self._apis:
                return
            for field in drifted:
                self._drifted.setdefault((api, field), set())
            for (of, field), having in self._drifted.items():
                if of == api:
                    (having.update if field in drifted else having.difference_update)(organisations)
                    self._drift.labels(api, field).set(len(having))

    def rendering(self, now: datetime, not_rendered: int) -> None:
        """Note that metrics are being put together, and of how many organisations the lines could not be written."""
        self._last_render.set(now.timestamp())
        self._not_rendered.set(not_rendered)

    def rendered(self, seconds: float) -> None:
        self._render_duration.set(seconds)

    def config_loaded(self, now: datetime, keys: Iterable[tuple[str, str]]) -> None:
        """Note a config in use since `now`; keys: (api, organisation) of all that it watches. Series of apis that are
        not in it go away, and do not come back when a poll of the config before ends."""
        with self._changing:
            watched = frozenset(keys)
            before, self._apis = self._apis, frozenset(api for api, _ in watched)
            for metric in self._by_api:
                for api in before - self._apis:
                    metric.remove(api)
                for api in self._apis:
                    metric.labels(api)  # from 0 on
            self._forget_drift(watched)
        self._reload_ok.set(1)
        self._reload_time.set(now.timestamp())

    def _forget_drift(self, watched: frozenset[tuple[str, str]]) -> None:
        for (api, field), having in list(self._drifted.items()):
            having.intersection_update(organisation for of, organisation in watched if of == api)
            if api in self._apis:
                self._drift.labels(api, field).set(len(having))
            else:
                del self._drifted[api, field]
                self._drift.remove(api, field)

    def config_refused(self) -> None:
        self._reload_ok.set(0)


class _Polls(Collector):
    """The polls of each api, counted as the metrics are put together."""

    def __init__(self, counts: Callable[[], Mapping[str, PollCounts]]) -> None:
        self._counts = counts

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield from (self._family(metric) for metric in _POLL_GAUGES)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = self._counts()
        for metric, count in _POLL_GAUGES.items():
            family = self._family(metric)
            for api, polls in sorted(counts.items()):
                family.add_metric([api], count(polls))
            yield family

    def _family(self, metric: Metric) -> GaugeMetricFamily:
        return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


_POLL_GAUGES: dict[Metric, Callable[[PollCounts], int]] = {
    metrics.POLLS_WAITING: lambda polls: polls.waiting,
    metrics.POLLS_RUNNING: lambda polls: polls.running,
    metrics.POLLS_LATE: lambda polls: polls.late,
}
