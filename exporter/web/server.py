"""The HTTP server: uvicorn over the Flask app (why uvicorn: docs/dependencies.md)."""

import asyncio
import contextlib
import os
import resource
import socket

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.address import Address
from exporter.errors import StartError
from exporter.web.guard import Guard
from exporter.web.live_config import LiveContext, LiveWebConfig
from exporter.web.web_config import WebConfig

# Threads for Flask: its bodies are whole, so that each is held for milliseconds, and no slow reader holds one.
_WORKERS = 16
# Answers take far less, and what supervises the process kills after 10 s (Docker) or later.
_GRACE_SECONDS = 3
# As uvicorn's own default; the system cuts it to its net.core.somaxconn.
_BACKLOG = 2048
# From the first byte of a request, or the connection, to the last of the answer.
_EXCHANGE_SECONDS = 60


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises StartError, in one line, where the address cannot be had."""
    try:
        listening = _listening(address)
    except OSError as error:
        # create_server adds the address once more to strerror.
        known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno) if known and error.errno else "the host is not known"
        raise StartError(f"cannot listen on {address}: {reason}; --web.listen-address chooses another") from None
    # Accepted sockets inherit it. asyncio sets it only where it sees the protocol, which create_server leaves open;
    # without it the end of a short answer waits some 40 ms for the client's delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _listening(address: Address) -> socket.socket:
    if not address.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)


def serve(app: Flask, sockets: list[socket.socket], live: LiveWebConfig | None = None) -> None:
    """Serve until SIGINT or SIGTERM; answers under way get a few seconds to end. live: TLS, users, headers."""
    _allow_many_connections()
    without = WebConfig()
    # a2wsgi has its own names for ASGI's types.
    guarded = Guard(WSGIMiddleware(app, workers=_WORKERS), live.config if live else lambda: without)  # type: ignore[arg-type]
    config = uvicorn.Config(
        guarded,
        http=_protocol(live),
        loop="asyncio",  # others may not make connections with wrap_bio
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=75,
        ssl_context_factory=(lambda *_: LiveContext.of(live)) if live and live.context() else None,
    )
    uvicorn.Server(config).run(sockets=sockets)


def _allow_many_connections() -> None:
    """Raise the limit on open files to what the system allows us, as Go programs do at their start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _protocol(live: LiveWebConfig | None) -> type[asyncio.Protocol]:
    """uvicorn's HTTP/1.1, with an end to requests that are never completed and answers that are never read."""

    class Protocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if not _is_allowed(transport, live):
                transport.abort()
            self._begin()

        def data_received(self, data: bytes) -> None:
            if self._deadline is None:
                self._begin()
            super().data_received(data)

        def on_response_complete(self) -> None:
            self._end()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            self._deadline = self.loop.call_later(_EXCHANGE_SECONDS, self.transport.abort)

        def _end(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Protocol


def _is_allowed(transport: asyncio.Transport, live: LiveWebConfig | None) -> bool:
    """Whether the client's certificate bears a name that is let in."""
    tls = live.config().tls_server_config if live else None
    if tls is None or not tls.client_allowed_sans:
        return True
    names = (transport.get_extra_info("peercert") or {}).get("subjectAltName", ())
    return any(name in tls.client_allowed_sans for _, name in names)
