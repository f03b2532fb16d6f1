"""The bodies of /api/v1/usage and usage.csv: the JSON made once a refresh, however many ask, and shared by all.

An organisation's part is made anew when its state changes, as the exposition does it.
"""

import asyncio
import secrets
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import TypeAdapter

from exporter.clock import Clock
from exporter.exposition.bodies import TEXT, Exposition
from exporter.state.store import Key, OrganisationState, Store
from exporter.view.cards import OrganisationCards, organisation_cards
from exporter.view.usage_csv import Rows, to_csv
from exporter.view.usage_json import VERSION, selected

_AT_ONCE = 2
# Parts of the document that are kept for others who ask for the same, and for how long: as long as a refresh lasts.
_PARTS = 8
_PART_SECONDS = 5
_GZIP_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS
# What a card says of the present moment may be as old as this.
_LONGEST = timedelta(seconds=30)

_ORGANISATION = TypeAdapter(OrganisationCards)
_TIME = TypeAdapter(datetime)


@dataclass(frozen=True)
class UsageBody:
    """parts: the document in many small parts; size: its bytes; etag: the same while nothing but `time` differs."""

    parts: tuple[bytes, ...]
    size: int
    gzipped: bytes
    etag: bytes


@dataclass(frozen=True, slots=True)
class _Made:
    """An organisation's part of the document, what it shows, and from when until when it holds."""

    state: OrganisationState
    since: datetime
    until: datetime
    text: bytes

    def holds(self, state: OrganisationState, now: datetime) -> bool:
        return self.state is state and self.since <= now < self.until


class UsageBodies:
    """For one event loop; bodies are made in threads, two at a time."""

    def __init__(self, store: Store, exposition: Exposition, clock: Clock) -> None:
        self._store = store
        self._exposition = exposition
        self._clock = clock
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="usage")
        self._whole: asyncio.Future[UsageBody] | None = None
        self._refresh: object = None
        self._made: dict[Key, _Made] = {}
        self._texts: tuple[bytes, ...] = ()
        self._start = secrets.token_hex(4)
        self._changes = 0
        self._part_of = lru_cache(_PARTS)(self._make_part)

    async def whole(self) -> UsageBody:
        """The document of every organisation, as of the last refresh of /metrics."""
        refresh = self._exposition.body(TEXT)
        if self._whole is None or refresh is not self._refresh:
            # One after another, since each builds on the one before.
            self._whole = asyncio.ensure_future(self._after(self._whole))
            self._refresh = refresh
        return await asyncio.shield(self._whole)

    async def part(self, apis: Sequence[str], organisations: Sequence[str]) -> UsageBody:
        """The document of these apis and organisations (names or ids); nothing named is all."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._part, apis, organisations)

    async def csv(self, rows: Rows, apis: Sequence[str], organisations: Sequence[str]) -> UsageBody:
        """The scopes, days or periods of these apis and organisations as CSV."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._csv, rows, apis, organisations)

    def _csv(self, rows: Rows, apis: Sequence[str], organisations: Sequence[str]) -> UsageBody:
        now = self._clock.now()
        states = selected(self._store.states(), apis, organisations)
        text = to_csv(((organisation_cards(state, now), state.watched) for state in states), rows).encode()
        return _usage_body([text], f'W/"{zlib.crc32(text):08x}-{len(text)}"')

    async def _after(self, before: asyncio.Future[UsageBody] | None) -> UsageBody:
        if before is not None:
            await asyncio.wait([before])
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._make_whole)

    def _make_whole(self) -> UsageBody:
        now = self._clock.now()
        self._made = self._up_to_date(self._store.states(), now)
        texts = tuple(made.text for made in self._made.values())
        if texts != self._texts:
            self._texts = texts
            self._changes += 1
        return _body(texts, now, f'W/"{self._start}-{self._changes}"')

    def _part(self, apis: Sequence[str], organisations: Sequence[str]) -> UsageBody:
        now = self._clock.now()
        made = self._up_to_date(selected(self._store.states(), apis, organisations), now)
        self._made.update(made)
        return self._part_of(tuple(one.text for one in made.values()), now.timestamp() // _PART_SECONDS)

    def _make_part(self, texts: tuple[bytes, ...], _: float) -> UsageBody:
        return _body(texts, self._clock.now(), f'W/"{zlib.crc32(b"".join(texts)):08x}-{sum(map(len, texts))}"')

    def _up_to_date(self, states: Iterable[OrganisationState], now: datetime) -> dict[Key, _Made]:
        known = self._made
        return {state.target.key: _current(known.get(state.target.key), state, now) for state in states}


def _current(known: _Made | None, state: OrganisationState, now: datetime) -> _Made:
    if known is not None and known.holds(state, now):
        return known
    text = _text(state, now)
    if known is not None and known.text == text:
        text = known.text
    changes = state.next_change(now)
    until = now + _LONGEST
    return _Made(state, now, until if changes is None else min(changes, until), text)


def _text(state: OrganisationState, now: datetime) -> bytes:
    return _ORGANISATION.dump_json(organisation_cards(state, now))


def _body(texts: Iterable[bytes], now: datetime, etag: str) -> UsageBody:
    parts = [b'{"time":' + _TIME.dump_json(now) + b',"organisations":[']
    for text in texts:
        parts += (b",", text) if len(parts) > 1 else (text,)
    parts.append(b'],"version":%d}' % VERSION)
    return _usage_body(parts, etag)


def _usage_body(parts: Sequence[bytes], etag: str) -> UsageBody:
    gzip = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)
    compressed = [gzip.compress(part) for part in parts]
    return UsageBody(tuple(parts), sum(map(len, parts)), b"".join([*compressed, gzip.flush()]), etag.encode())
