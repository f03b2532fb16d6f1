"""Store -> exposition text, rendered when a poll changes it, not when a scrape asks.

Each organisation's sample lines are rendered when its state changes and kept; a body is put together from them and
compressed by one renderer, and a scrape is handed the finished bytes. Formats:
https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4 and OpenMetrics 1.0.0). Sample lines are the
same in both; headers, and the end, differ.
"""

import gzip
import platform
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from types import MappingProxyType

import structlog
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.gc_collector import GCCollector
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

from exporter import metrics
from exporter.clock import Clock
from exporter.errors import REASONS
from exporter.metrics import CATALOGUE, Metric
from exporter.model import FetchedScope
from exporter.store import Key, OrganisationState, Store

log = structlog.get_logger()

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_GZIP_LEVEL = 3
_OPENMETRICS_END = b"# EOF\n"

# A time of creation beside every histogram would double what is to be read, and nothing here uses it.
disable_created_metrics()

# The families that come from organisations' states; the others are the process's own.
_FAMILIES: tuple[Metric, ...] = tuple(metric for metric in CATALOGUE if metrics.ORGANISATION in metric.labels)


@dataclass(frozen=True)
class Body:
    """A finished answer to a scrape."""

    plain: bytes
    gzipped: bytes


@dataclass(frozen=True)
class _Rendered:
    """An organisation's sample lines by family, the state they show, and until when they hold."""

    state: OrganisationState
    until: datetime | None
    lines: dict[str, bytes]

    def holds(self, state: OrganisationState, now: datetime) -> bool:
        return self.state is state and (self.until is None or now < self.until)


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


class Exposition:
    """Holds the bodies of /metrics. `refresh` renders what has changed; `body` is what a scrape gets."""

    def __init__(self, store: Store, process: ProcessMetrics, clock: Clock) -> None:
        self._store = store
        self._process = process
        self._clock = clock
        self._rendered: dict[Key, _Rendered] = {}
        self._bodies: dict[str, Body] = {}
        self._refreshing = threading.Lock()
        self.refresh()

    def body(self, content_type: str) -> Body:
        """The finished body; content_type: TEXT or OPENMETRICS."""
        return self._bodies[content_type]

    def shows_all_tried(self) -> bool:
        """Whether every organisation has been asked for once, and the bodies show it."""
        rendered = self._rendered.values()
        return self._store.all_tried() and all(item.state.last_poll is not None for item in rendered)

    def refresh(self) -> None:
        """Render what has changed since the last time, and swap the bodies in together."""
        with self._refreshing:
            now = self._clock.now()
            states = self._store.states()
            known = self._rendered
            self._rendered = {state.target.key: _current(known.get(state.target.key), state, now) for state in states}
            lines = [rendered.lines for rendered in self._rendered.values()]
            text = b"".join(_families(lines, openmetrics=False)) + generate_text(self._process.registry)
            open_text = b"".join(_families(lines, openmetrics=True)) + generate_openmetrics(self._process.registry)
            self._bodies = {TEXT: _finished(text), OPENMETRICS: _finished(open_text)}


class Renderer:
    """Refreshes an exposition after changes, at most once in `pause` seconds, and at least every `longest`."""

    def __init__(self, exposition: Exposition, *, pause: float = 1.0, longest: float = 5.0) -> None:
        self._exposition = exposition
        self._pause = pause
        self._longest = longest
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def changed(self) -> None:
        self._changed.set()

    def stop(self) -> None:
        self._stopped.set()
        self._changed.set()

    def run(self) -> None:
        """Refresh until `stop`. Meant as a thread's target."""
        while not self._stopped.is_set():
            # Time alone makes data stale and lets it drop, so that a body is never older than `longest`.
            self._changed.wait(self._longest)
            self._changed.clear()
            try:
                self._exposition.refresh()
            except Exception:
                log.exception("metrics could not be rendered; the ones before stay")
            self._stopped.wait(self._pause)


def _finished(plain: bytes) -> Body:
    # mtime 0: the same samples give the same bytes.
    return Body(plain, gzip.compress(plain, _GZIP_LEVEL, mtime=0))


def _current(known: _Rendered | None, state: OrganisationState, now: datetime) -> _Rendered:
    if known is not None and known.holds(state, now):
        return known
    return _Rendered(state, state.next_change(now), render_organisation(state, now))


def _families(organisations: list[dict[str, bytes]], *, openmetrics: bool) -> Iterator[bytes]:
    for metric in _FAMILIES:
        samples = [lines[metric.name] for lines in organisations if metric.name in lines]
        if samples:
            yield _header(metric, openmetrics=openmetrics)
            yield from samples


def _header(metric: Metric, *, openmetrics: bool) -> bytes:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n".encode()


def render_organisation(state: OrganisationState, now: datetime) -> dict[str, bytes]:
    """An organisation's sample lines as of `now`, by metric name; a metric without samples is absent."""
    lines: dict[str, list[str]] = {}
    for metric, labels, value in _samples(state, now):
        lines.setdefault(metric.name, []).append(f"{metric.name}{{{labels}}} {floatToGoString(value)}\n")
    return {name: "".join(samples).encode() for name, samples in lines.items()}


Sample = tuple[Metric, str, float]


def _samples(state: OrganisationState, now: datetime) -> Iterator[Sample]:
    api, organisation = state.target.key
    own = {name: value for name, value in sorted(state.target.organisation.labels.items()) if value}
    labels = _labels({metrics.API: api, metrics.ORGANISATION: organisation, **own})
    yield from _poll_samples(state, labels, now)
    for scope in state.shown_scopes(now):
        yield from _scope_samples(state, scope, labels)


def _poll_samples(state: OrganisationState, labels: str, now: datetime) -> Iterator[Sample]:
    if state.last_poll is not None:
        yield metrics.UP, labels, 0 if state.failure else 1
    for reason in REASONS:
        with_reason = f"{labels},{_labels({metrics.REASON: reason})}"
        yield metrics.POLL_FAILING, with_reason, bool(state.failure and state.failure.reason == reason)
        yield metrics.POLL_FAILURES, with_reason, state.failures[reason]
    yield metrics.STALE, labels, state.is_stale(now)
    if state.last_success is not None:
        yield metrics.LAST_SUCCESS, labels, state.last_success.timestamp()
    yield metrics.POLL_INTERVAL, labels, state.target.api.poll_interval
    yield metrics.STALE_AFTER, labels, state.target.api.stale_after_seconds
    yield metrics.POLLS, labels, state.polls


def _scope_samples(state: OrganisationState, scope: FetchedScope, labels: str) -> Iterator[Sample]:
    usage = scope.usage
    labels = f"{labels},{_labels({metrics.SCOPE: usage.name})}"
    yield metrics.REQUESTS, labels, usage.requests
    for metric, value in (
        (metrics.LIMIT, usage.limit),
        (metrics.RATE_LIMIT, usage.rate_limit_per_minute),
        (metrics.REJECTED, usage.rejected),
    ):
        if value is not None:
            yield metric, labels, value
    if usage.period is not None:
        yield metrics.PERIOD_START, labels, usage.period.start.timestamp()
        yield metrics.PERIOD_END, labels, usage.period.end.timestamp()
    for day in usage.last_days(state.target.api.daily_history_days):
        yield metrics.DAILY, f'{labels},{metrics.DATE}="{day.date.isoformat()}"', day.requests
    info = {
        metrics.ORGANISATION_ID: state.target.organisation.id,
        metrics.SCOPE_ID: usage.id,
        metrics.PLAN: usage.plan,
        metrics.UNIT: usage.unit,
        metrics.DAILY_SOURCE: usage.daily_source,
    }
    yield metrics.SCOPE_INFO, f"{labels},{_labels(info)}", 1


_ESCAPES = MappingProxyType(str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""}))


def _labels(values: dict[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in values.items())
