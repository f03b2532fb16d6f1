"""ASGI's types, and answers made of bytes that are finished: shared between all who ask, sent as they are taken.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

TEXT = (b"content-type", b"text/plain; charset=utf-8")

# Enough for a scrape of some 50,000 samples in one write; what a client is slow to take is not copied further.
_PIECE = 256 * 1024
# Joined from shared parts for each client anew, so it is what a client that does not read costs.
_JOINED = 64 * 1024


def header(scope: Scope, name: bytes) -> bytes:
    """A header's values, with commas between them; b"" without it."""
    return b",".join(value for known, value in scope["headers"] if known == name)


async def answer(send: Send, status: HTTPStatus, body: bytes, headers: Iterable[Header] = ()) -> None:
    """A short answer."""
    await start(send, status, len(body), headers)
    await send({"type": "http.response.body", "body": body})


async def start(send: Send, status: HTTPStatus, size: int, headers: Iterable[Header]) -> None:
    length = (b"content-length", b"%d" % size)
    await send({"type": "http.response.start", "status": status.value, "headers": [length, *headers]})


async def send_whole(scope: Scope, send: Send, body: bytes) -> None:
    """A body of one piece of bytes, without copying it; large ones as they are taken."""
    if len(body) <= _PIECE or _is_kept_uncopied(scope):
        await send({"type": "http.response.body", "body": body})
        return
    view = memoryview(body)
    for begin in range(0, len(body), _PIECE):
        more = begin + _PIECE < len(body)
        await send({"type": "http.response.body", "body": view[begin : begin + _PIECE], "more_body": more})


def _is_kept_uncopied(scope: Scope) -> bool:
    """Whether what a client is slow to take costs nothing, and is sent on without Python's lock, for which every
    further piece would wait: by uvloop, without TLS."""
    return scope["scheme"] == "http" and type(asyncio.get_running_loop()).__module__ == "uvloop"


class Lane:
    """Sends what is large a little of it at a time, for all clients together, so that scrapes find a gap."""

    def __init__(self, at_once: int = 2) -> None:
        self._turns = asyncio.Semaphore(at_once)

    async def send(self, send: Send, parts: Iterable[bytes]) -> None:
        """A body of many shared parts."""
        for piece in _pieces(parts):
            # Sends nothing: waits until the client has taken what was sent before, and not in anybody's way.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            async with self._turns:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _JOINED:
            # Of a single part it is that part itself, of any size.
            view = memoryview(b"".join(gathered))
            yield from (view[begin : begin + _PIECE] for begin in range(0, size, _PIECE))
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
