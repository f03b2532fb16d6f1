"""Store -> the bodies of /metrics, finished when a poll changes them, not when a scrape asks.

Each organisation's sample lines are written when its state changes, and kept. One thread puts them together, at most
once a second, and a scrape is handed what it finished. Sample lines are the same in both formats, and so is what they
compress to; headers, and the end, differ.

Organisations are compressed some at a time, in blocks, and a block again only when one of its organisations changed.
The blocks' compressed parts, one after another, are one gzip member: deflate allows for that where each part is
flushed to a whole byte and refers to nothing before it (RFC 1951, section 3.2; RFC 1952, section 2.3).
"""

import operator
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter import metrics
from exporter.clock import Clock
from exporter.exposition.process import ProcessMetrics
from exporter.exposition.samples import family_header, sample_lines
from exporter.metrics import CATALOGUE, Metric
from exporter.state.store import Key, OrganisationState, Store
from exporter.turns import COMPUTING

log = structlog.get_logger()

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# Repetitive text: a higher level takes several times as long and saves a few percent.
_GZIP_LEVEL = 3
# No name, time 0, an unknown system: the same samples give the same bytes.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty block that is the last one, and ends the deflated data.
_DEFLATE_END = b"\x03\x00"
# Few, so that a change costs little; enough that there is something to compress in families of one line a scope.
_BLOCK_ORGANISATIONS = 16

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
class _OrganisationLines:
    """An organisation's sample lines by metric, the state they show, and from when until when they hold."""

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

    organisations: tuple[_OrganisationLines, ...]
    parts: dict[str, _Part]


class Exposition:
    """Holds the bodies of /metrics: `update_lines` takes in what a poll changed, `refresh` makes bodies of it."""

    def __init__(
        self,
        store: Store,
        process: ProcessMetrics,
        clock: Clock,
        put_off: Callable[[], frozenset[Key]] = frozenset,
    ) -> None:
        """put_off: organisations that are not asked for now, so that readiness does not wait for them."""
        self._put_off = put_off
        self._store = store
        self._process = process
        self._clock = clock
        self._lines: dict[Key, _OrganisationLines] = {}
        self._blocks: list[_Block] = []
        self._bodies: dict[str, Body] = {}
        self._refreshing = threading.Lock()
        # By organisation, the state that could not be written: logged once each.
        self._unwritten: dict[Key, OrganisationState] = {}
        self.refresh()

    def body(self, content_type: str) -> Body:
        """The finished body; content_type: TEXT or OPENMETRICS."""
        return self._bodies[content_type]

    def shows_all_tried(self) -> bool:
        """Whether every organisation that may be asked for now has been, and the bodies show it."""
        shown = {
            item.state.target.key
            for block in self._blocks
            for item in block.organisations
            if item.state.last_poll is not None
        }
        put_off = self._put_off()
        return all(
            (state.last_poll is not None and state.target.key in shown) or state.target.key in put_off
            for state in self._store.states()
        )

    def update_lines(self, states: Iterable[OrganisationState]) -> None:
        """Write the lines of these organisations anew. Bodies show them from the next `refresh`."""
        now = self._clock.now()
        for state in states:
            self._lines[state.target.key] = self._written(state, now, self._lines.get(state.target.key))

    def age(self) -> float:
        """Seconds since the bodies were put together."""
        return self._clock.monotonic() - self._refreshed_at

    def refresh(self) -> None:
        """Put the lines together and swap the bodies in together; write anew what time alone has changed."""
        with self._refreshing, COMPUTING:
            now, began = self._clock.now(), self._clock.monotonic()
            known = self._lines
            lines = {
                state.target.key: self._up_to_date(known.get(state.target.key), state, now)
                for state in self._store.states()
            }
            for key in list(self._unwritten):
                if key not in lines:
                    self._unwritten.pop(key, None)
            self._process.rendering(now, len(self._unwritten))
            # What `update_lines` puts into the one before until here is lost, and made up for the next time.
            self._lines = dict(lines)
            blocks = _blocks(list(lines.values()), self._blocks)
            registry = self._process.registry
            self._bodies = {
                TEXT: _body(_parts(blocks, generate_text(registry), openmetrics=False)),
                OPENMETRICS: _body(_parts(blocks, generate_openmetrics(registry), openmetrics=True)),
            }
            self._blocks = blocks
            self._refreshed_at = self._clock.monotonic()
            self._process.rendered(self._refreshed_at - began)

    def _up_to_date(
        self, known: _OrganisationLines | None, state: OrganisationState, now: datetime
    ) -> _OrganisationLines:
        """The known lines where they still hold, else new ones."""
        if known is not None and known.holds(state, now):
            return known
        return self._written(state, now, known)

    def _written(
        self, state: OrganisationState, now: datetime, before: _OrganisationLines | None
    ) -> _OrganisationLines:
        """New lines; where they cannot be written, those before, until the next time: others must not wait for it."""
        key = state.target.key
        try:
            lines = _written(state, now, before)
        except Exception:
            if self._unwritten.get(key) is not state:
                log.exception("an organisation's metrics could not be written", api=key[0], organisation=key[1])
            self._unwritten[key] = state
            return _OrganisationLines(state, now, now, before.lines if before else {})
        self._unwritten.pop(key, None)
        return lines


class Refresher:
    """Refreshes an exposition after changes, at most once in `pause` seconds, and at least every `longest`."""

    def __init__(self, exposition: Exposition, *, pause: float = 1.0, longest: float = 5.0) -> None:
        self._exposition = exposition
        self._pause = pause
        self._longest = longest
        self._changed = threading.Event()
        self._stopped = threading.Event()

    def changed(self, states: Sequence[OrganisationState]) -> None:
        """Take in states that are new: their lines are written here, by the thread that polled. () for other news."""
        self._exposition.update_lines(states)
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


def _written(state: OrganisationState, now: datetime, before: _OrganisationLines | None) -> _OrganisationLines:
    """Families that are as they were stay the same objects, which need no comparing and stay where they are."""
    lines = sample_lines(state, now)
    if before is not None:
        known = before.lines
        lines = {name: known[name] if known.get(name) == text else text for name, text in lines.items()}
    return _OrganisationLines(state, now, state.next_change(now), lines)


def _blocks(organisations: list[_OrganisationLines], known: Sequence[_Block]) -> list[_Block]:
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


def _block(members: tuple[_OrganisationLines, ...], before: _Block | None) -> _Block:
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
