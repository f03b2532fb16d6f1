"""The exporter's own metrics: how its polls and its config fare, its build, process and Python."""

import platform
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from exporter import metrics
from exporter.metrics import Metric

# A time of creation beside every histogram would double what is to be read, and nothing here uses it.
disable_created_metrics()


class ProcessMetrics:
    """The exporter's own metrics: poll durations, config reloads, build, process, Python."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._poll_duration = Histogram(
            metrics.POLL_DURATION.name,
            metrics.POLL_DURATION.help,
            metrics.POLL_DURATION.labels,
            registry=self.registry,
        )
        self._apis: set[str] = set()
        self._reload_ok = self._gauge(metrics.CONFIG_RELOAD_OK)
        self._reload_time = self._gauge(metrics.CONFIG_RELOAD_TIME)
        build = self._gauge(metrics.BUILD_INFO)
        build.labels(version("api-usage-exporter"), platform.python_version()).set(1)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def observe_poll(self, api: str, seconds: float) -> None:
        self._apis.add(api)
        self._poll_duration.labels(api).observe(seconds)

    def config_loaded(self, now: datetime, apis: Iterable[str]) -> None:
        """Note a config in use since `now`; series of apis that are not in it go away."""
        for api in self._apis - set(apis):
            self._poll_duration.remove(api)
        self._apis &= set(apis)
        self._reload_ok.set(1)
        self._reload_time.set(now.timestamp())

    def config_refused(self) -> None:
        self._reload_ok.set(0)
