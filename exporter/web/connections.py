"""Connections: uvicorn's HTTP/1.1 over httptools, each bounded in time and size, and all of them in number.

uvicorn bounds none of this: a request that never ends, an answer that is never taken, requests sent in advance,
headers without end. Time counts from a connection's last progress, which is an exchange that came to its end: the
request was there, and the whole answer taken.
"""

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from exporter.web.asgi import Receive, Scope, Send


@dataclass(frozen=True)
class Bounds:
    """What a connection may take.

    exchange: seconds from a request's first byte, or the connection, to the last byte of the answer.
    idle: seconds between exchanges. handshake: seconds until TLS is there. most: open connections in all.
    request: bytes of request line, headers and body; nothing of the exporter's needs a body.
    """

    exchange: float = 60.0
    idle: float = 75.0
    handshake: float = 10.0
    most: int = 512
    request: int = 64 * 1024


_MOST_IN_ADVANCE = 16
_MOST_PASSED_OVER = 16 * 1024 * 1024
# An answer's beginning waits for the body, to be written with it; of anything larger it is known when it was taken.
_UNWRITTEN_BYTES = 1024


class _Open(Protocol):
    """What is in the register. since: of its last progress, by the loop's clock; seconds: how long it may last."""

    since: float

    @property
    def seconds(self) -> float: ...

    def abort(self) -> None: ...


class Connections:
    """The register of open connections, the one without progress for the longest time first.

    Beyond the most allowed that one goes: a newcomer, say the scraper, always gets in.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._open: OrderedDict[_Open, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: _Open) -> None:
        if len(self._open) >= self.bounds.most:
            oldest = next(iter(self._open))
            self.leave(oldest)
            oldest.abort()
        self._open[connection] = None
        if self._timer is None:
            self._look()

    def progressed(self, connection: _Open) -> None:
        with contextlib.suppress(KeyError):  # it had to go
            self._open.move_to_end(connection)

    def leave(self, connection: _Open) -> None:
        self._open.pop(connection, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        shortest = min(self.bounds.exchange, self.bounds.handshake)
        late = []
        for connection in self._open:
            if now - connection.since < shortest:
                break
            if now - connection.since >= connection.seconds:
                late.append(connection)
        for connection in late:
            connection.abort()
        self._timer = loop.call_later(shortest / 10, self._look) if self._open else None


_TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 27\r\nconnection: close\r\n\r\nThe request is too large.\r\n"
)


class _RefusedError(Exception):
    """More than is let in. httptools ends its parsing, and uvicorn answers 400 and closes."""


class Connection(HttpToolsProtocol):
    """One client's, once TLS is done."""

    def __init__(self, register: Connections, is_allowed: Callable[[asyncio.Transport], bool], **more: Any) -> None:
        super().__init__(**more)
        self._register = register
        self._is_allowed = is_allowed
        self._received = 0
        self._in_body = False
        self._in_exchange = True
        self._answered = False
        self._answering: RequestResponseCycle | None = None
        self._refused = False
        self.since = self.loop.time()

    @property
    def seconds(self) -> float:
        bounds = self._register.bounds
        return bounds.exchange if self._in_exchange else bounds.idle

    def abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNWRITTEN_BYTES, low=0)
        self._register.enter(self)
        if not self._is_allowed(transport):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._register.leave(self)
        if self._answering is not None:
            self._answering.disconnected = True  # uvicorn says so to the last of several requests alone
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whoever sends no more may still read: what it asked is answered first. TLS has no such state."""
        if self.scheme == "https" or self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._refused:
            # The rest of what it was sending: unread, it would take the answer with it.
            self._received += len(data)
            if self._received > _MOST_PASSED_OVER:
                self.transport.abort()
            return
        if not self._in_exchange:
            self._progress(in_exchange=True)
        self._received += len(data)
        super().data_received(data)
        if self._received > self._register.bounds.request and not self._refused:
            if self._in_body:
                self._refuse_body()
            else:
                self.send_400_response("The request is too large.")

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MOST_IN_ADVANCE:
            raise _RefusedError
        if _announced(self.headers) > self._register.bounds.request:
            self._refuse_body()
            raise _RefusedError
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._received = 0
        self._in_body = False
        super().on_message_complete()

    def _refuse_body(self) -> None:
        """Answer 413, unless this request has had its answer, and take no more."""
        own = self.cycle if self._in_body else None
        answered = own is not None and own.response_complete
        if not answered and self._is_answering_another(own):
            self.transport.abort()
            return
        self._refused = True
        self.flow.resume_reading()  # up to its end, which ends the connection
        if own is not None and not answered:
            own.disconnected = True  # so that the app's answer is dropped
            own.message_event.set()
        if self.transport.is_closing():
            return
        if not answered:
            self.transport.write(_TOO_LARGE)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _is_answering_another(self, own: RequestResponseCycle | None) -> bool:
        """Whether an answer is under way that a 413 would get into."""
        if own is not None:
            return own.response_started or bool(self.pipeline)
        return self.cycle is not None and not self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        if self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # in the midst of another answer
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def shutdown(self) -> None:
        """The server ends. To close takes TLS a round trip, which a client that is idle need not answer."""
        if self._in_exchange and not self._refused:
            super().shutdown()
        else:
            self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle

        async def until_the_end(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:  # the server ends, and says so itself; uvicorn would log it as a fault
                cycle.disconnected = True
                self.transport.abort()

        super()._start_asgi_task(cycle, until_the_end)  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.flow.write_paused:
            self._answered = True
        else:
            self._taken()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._answered:
            self._taken()

    def _taken(self) -> None:
        self._answered = False
        self._progress(in_exchange=bool(self.pipeline) or not self.cycle.response_complete)

    def _progress(self, *, in_exchange: bool) -> None:
        self._in_exchange = in_exchange
        self.since = self.loop.time()
        self._register.progressed(self)


def _announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """The body's bytes, by its Content-Length; 0 without one. What is no number httptools has refused."""
    return max((int(value) for name, value in headers if name == b"content-length"), default=0)


class Accepted:
    """A connection from its being accepted until its TLS is there; counted and bounded as all are."""

    def __init__(self, accepted: socket.socket, seconds: float) -> None:
        self.seconds = seconds
        self._socket = accepted
        self.since = asyncio.get_running_loop().time()

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # gone already
            self._socket.shutdown(socket.SHUT_RDWR)
