"""What the web server says of itself on /metrics."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from exporter import metrics
from exporter.metrics import Metric


class HttpMetrics:
    """Requests by route and code, refused passwords, and what is known of the web config."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = _counter(metrics.HTTP_REQUESTS, registry)
        self._by_route: dict[tuple[str, int], Counter] = {}
        self._refused = _counter(metrics.PASSWORDS_REFUSED, registry)

    def answered(self, route: str, code: int) -> None:
        """route: one of few, never what a client made up."""
        child = self._by_route.get((route, code))
        if child is None:
            child = self._by_route[route, code] = self._requests.labels(route, str(code))
        child.inc()

    def refused_password(self) -> None:
        self._refused.inc()


class WebConfigMetrics:
    """The last reload of the web config, and when its certificate expires; without a web config there are none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ok = _gauge(metrics.WEB_CONFIG_RELOAD_OK, registry)
        self._time = _gauge(metrics.WEB_CONFIG_RELOAD_TIME, registry)
        self._registry = registry
        self._expiry: Gauge | None = None

    def loaded(self, now: datetime, certificate_expires: datetime | None) -> None:
        self._ok.set(1)
        self._time.set(now.timestamp())
        if certificate_expires is not None:
            self._expiry = self._expiry or _gauge(metrics.CERTIFICATE_EXPIRY, self._registry)
            self._expiry.set(certificate_expires.timestamp())

    def refused(self) -> None:
        self._ok.set(0)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)
