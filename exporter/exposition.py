"""Store -> exposition text, rendered when a poll changes it, not when a scrape asks.

Each organisation's sample lines are rendered when its state changes and kept. One renderer puts them together, at
most once a second, and a scrape is handed what it finished. Formats:
https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4 and OpenMetrics 1.0.0). Sample lines are the
same in both, and so is what they compress to; headers, and the end, differ.

Organisations are compressed some at a time, in blocks, and a block again only when one of its organisations changed.
The blocks' compressed parts, one after another, are one gzip member: deflate allows for that where each part is
flushed to a whole byte and refers to nothing before it (RFC 1951, section 3.2; RFC 1952, section 2.3).
"""

import operator
import platform
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
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
# No name, time 0, an unknown system: the same samples give the same bytes.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty block that is the last one, and ends the deflated data.
_DEFLATE_END = b"\x03\x00"
# Few, so that a change costs little; enough that there is something to compress in families of one line a scope.
_BLOCK_ORGANISATIONS = 16

# A time of creation beside every histogram would double what is to be read, and nothing here uses it.
disable_created_metrics()

# The families that come from organisations' states; the others are the process's own.
_FAMILIES: tuple[Metric, ...] = tuple(metric for metric in CATALOGUE if metrics.ORGANISATION in metric.labels)


@dataclass(frozen=True)
class Body:
    """A finished answer to a scrape. lines: the text in many small parts; size: its bytes; gzipped: one member."""

    lines: tuple[bytes, ...]
    size: int
    gzipped: bytes

    @property
    def plain(self) -> bytes:
        """The whole text. Large: kept by nobody."""
        return b"".join(self.lines)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """An organisation's sample lines by family, the state they show, and from when until when they hold."""

    state: OrganisationState
    since: datetime
    until: datetime | None
    lines: dict[str, bytes]

    def holds(self, state: OrganisationState, now: datetime) -> bool:
        # A clock that is set back must not leave us with what was stale in its future.
        return self.state is state and self.since <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a body: lines, and what they are compressed to."""

    lines: tuple[bytes, ...]
    deflated: bytes

    @classmethod
    def of(cls, *lines: bytes) -> "_Part":
        # Raw deflate by a compressor of its own, so that it refers to nothing before it, and flushed to a whole byte.
        deflate = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return cls(lines, deflate.compress(b"".join(lines)) + deflate.flush(zlib.Z_FULL_FLUSH))


@dataclass(frozen=True, slots=True)
class _Block:
    """Some organisations, and their parts by family."""

    organisations: tuple[_Rendered, ...]
    parts: dict[str, _Part]


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
    """Holds the bodies of /metrics: `render` what a poll changed, `refresh` puts together what a scrape gets."""

    def __init__(self, store: Store, process: ProcessMetrics, clock: Clock) -> None:
        self._store = store
        self._process = process
        self._clock = clock
        self._rendered: dict[Key, _Rendered] = {}
        self._blocks: list[_Block] = []
        self._bodies: dict[str, Body] = {}
        self._refreshing = threading.Lock()
        self.refresh()

    def body(self, content_type: str) -> Body:
        """The finished body; content_type: TEXT or OPENMETRICS."""
        return self._bodies[content_type]

    def shows_all_tried(self) -> bool:
        """Whether every organisation has been asked for once, and the bodies show it."""
        shown = {
            item.state.target.key
            for block in self._blocks
            for item in block.organisations
            if item.state.last_poll is not None
        }
        return all(state.last_poll is not None and state.target.key in shown for state in self._store.states())

    def render(self, states: Iterable[OrganisationState]) -> None:
        """Render the text of these organisations. Bodies show it from the next `refresh`."""
        now = self._clock.now()
        for state in states:
            self._rendered[state.target.key] = _render(state, now, self._rendered.get(state.target.key))

    def refresh(self) -> None:
        """Put the texts together and swap the bodies in together; render what time alone has changed."""
        with self._refreshing:
            now = self._clock.now()
            known = self._rendered
            rendered = {
                state.target.key: _current(known.get(state.target.key), state, now) for state in self._store.states()
            }
            # What `render` puts into the one before until here is lost, and made up for the next time.
            self._rendered = dict(rendered)
            blocks = _blocks(list(rendered.values()), self._blocks)
            registry = self._process.registry
            self._bodies = {
                TEXT: _body(_parts(blocks, generate_text(registry), openmetrics=False)),
                OPENMETRICS: _body(_parts(blocks, generate_openmetrics(registry), openmetrics=True)),
            }
            self._blocks = blocks


class Renderer:
    """Refreshes an exposition after changes, at most once in `pause` seconds, and at least every `longest`."""

    def __init__(self, exposition: Exposition, *, pause: float = 1.0, longest: float = 5.0) -> None:
        self._exposition = exposition
        self._pause = pause
        self._longest = longest
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def changed(self, states: Sequence[OrganisationState]) -> None:
        """Take in the states that are new: their text is made here, by the thread that polled. () for other news."""
        self._exposition.render(states)
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


def _current(known: _Rendered | None, state: OrganisationState, now: datetime) -> _Rendered:
    if known is not None and known.holds(state, now):
        return known
    return _render(state, now, known)


def _render(state: OrganisationState, now: datetime, before: _Rendered | None) -> _Rendered:
    """Families that are as they were stay the same objects, which need no comparing and stay where they are."""
    lines = render_organisation(state, now)
    if before is not None:
        known = before.lines
        lines = {name: known[name] if known.get(name) == text else text for name, text in lines.items()}
    return _Rendered(state, now, state.next_change(now), lines)


def _blocks(organisations: list[_Rendered], known: Sequence[_Block]) -> list[_Block]:
    """The organisations in blocks; a known one is taken as it is where nothing in it changed."""
    blocks = []
    for number, start in enumerate(range(0, len(organisations), _BLOCK_ORGANISATIONS)):
        members = tuple(organisations[start : start + _BLOCK_ORGANISATIONS])
        before = known[number] if number < len(known) else None
        same = before is not None and len(before.organisations) == len(members)
        if before is not None and same and all(map(operator.is_, before.organisations, members)):
            blocks.append(before)
        else:
            blocks.append(_block(members, before))
    return blocks


def _block(members: tuple[_Rendered, ...], before: _Block | None) -> _Block:
    """A family whose lines did not change with the others keeps its part."""
    parts = {}
    for metric in _FAMILIES:
        lines = tuple(member.lines[metric.name] for member in members if metric.name in member.lines)
        known = before.parts.get(metric.name) if before else None
        if lines:
            parts[metric.name] = known if known is not None and known.lines == lines else _Part.of(*lines)
    return _Block(members, parts)


def _parts(blocks: Sequence[_Block], process: bytes, *, openmetrics: bool) -> Iterator[_Part]:
    """A whole body; process: the process's own metrics, and the body's end."""
    for metric in _FAMILIES:
        parts = [block.parts[metric.name] for block in blocks if metric.name in block.parts]
        if parts:
            yield _Part.of(family_header(metric, openmetrics=openmetrics))
            yield from parts
    yield _Part.of(process)


def _body(parts: Iterable[_Part]) -> Body:
    parts = tuple(parts)
    lines = tuple(line for part in parts for line in part.lines)
    checksum = 0
    for line in lines:
        checksum = zlib.crc32(line, checksum)
    size = sum(map(len, lines))
    deflated = b"".join(part.deflated for part in parts)
    trailer = struct.pack("<LL", checksum, size % 2**32)
    return Body(lines, size, b"".join((_GZIP_HEADER, deflated, _DEFLATE_END, trailer)))


def family_header(metric: Metric, *, openmetrics: bool) -> bytes:
    """The lines that begin a family in either format."""
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
