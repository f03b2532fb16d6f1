"""The soak's vendor: answers that fail at random; it remembers what it told whom and when."""

import asyncio
import json
import logging
import multiprocessing.connection
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

FAULT_RATIO = 0.1  # of all polls: hundreds of faults in a soak of 3 minutes
Reply = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass
class Told:
    """To one organisation. counts: the last told; polls: (Unix time, whether it was answered well)."""

    count: int = 0
    polls: list[tuple[float, bool]] = field(default_factory=list)


@dataclass
class Vendor:
    faulty: bool = True
    told: dict[str, Told] = field(default_factory=lambda: defaultdict(Told))
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            if path.startswith("/-/"):
                await self._control(path, writer)
            else:
                await self._usage(path.removeprefix("/"), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _control(self, path: str, writer: asyncio.StreamWriter) -> None:
        self.faulty = self.faulty and path != "/-/well"
        body = {name: {"count": told.count, "polls": told.polls} for name, told in self.told.items()}
        await _whole(writer, _http("200 OK", json.dumps(body).encode()))

    async def _usage(self, organisation: str, writer: asyncio.StreamWriter) -> None:
        told = self.told[organisation]
        count = told.count + 1
        body = _http("200 OK", json.dumps(_answer(count)).encode())
        well = not self.faulty or self.rng.random() > FAULT_RATIO
        told.polls.append((time.time(), well))
        if not well:
            await self.rng.choice(FAULTS)(writer, body)
            return
        told.count = count
        await _whole(writer, body)


def _answer(count: int) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    days = [{"date": (today - timedelta(days=back)).isoformat(), "requests": count} for back in range(30)]
    return {"scopes": [{"name": "Maps", "requests": count, "limit": 1_000_000, "daily": days}]}


def _http(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _whole(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(body)
    await writer.drain()


async def _error(writer: asyncio.StreamWriter, _: bytes) -> None:
    await _whole(writer, _http("500 Oops"))


async def _too_many(writer: asyncio.StreamWriter, _: bytes) -> None:
    await _whole(writer, _http("429 Slow").replace(b"\r\n", b"\r\nRetry-After: 1\r\n", 1))


async def _garbage(writer: asyncio.StreamWriter, _: bytes) -> None:
    await _whole(writer, _http("200 OK", b"<html>"))


async def _cut(writer: asyncio.StreamWriter, body: bytes) -> None:
    await _whole(writer, body[:-20])


async def _reset(writer: asyncio.StreamWriter, _: bytes) -> None:
    writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Longer than the soak's time-out of 1 s."""
    for byte in body[:40]:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.1)
        if writer.is_closing():
            return


FAULTS: tuple[Reply, ...] = (_error, _too_many, _garbage, _cut, _reset, _drip)


def run(port: multiprocessing.connection.Connection) -> None:
    """Serve for ever; tells its port first. Meant as a process's target."""

    async def serve() -> None:
        server = await asyncio.start_server(Vendor().serve, "127.0.0.1", 0, backlog=512)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients hang up, which is what is tested
    asyncio.run(serve())
