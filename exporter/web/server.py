"""The HTTP server: uvicorn, on uvloop where there is one (why these: docs/dependencies.md)."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from exporter.web.asgi import App
from exporter.web.connections import IDLE_SECONDS, MOST, Connection, Connections, Handshake
from exporter.web.live_config import LiveWebConfig

_GRACE_SECONDS = 3


class Server(uvicorn.Server):
    """Serves until SIGINT or SIGTERM; answers under way get a few seconds to end.

    live: TLS, and which clients' certificates are let in. on_start: called once it answers.
    """

    def __init__(
        self, app: App, live: LiveWebConfig | None = None, on_start: Callable[[], None] = lambda: None
    ) -> None:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            # uvicorn says that it wants a class, and calls it.
            http=_protocol(Connections(_most_connections()), live),  # type: ignore[arg-type]
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            # A client could name itself anything: whom to trust is not ours to guess.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_keep_alive=int(IDLE_SECONDS),
        )
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()


def serve(
    app: App,
    sockets: list[socket.socket],
    live: LiveWebConfig | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    Server(app, live, on_start).run(sockets)


def _most_connections() -> int:
    """Raise the limit on open files to what the system allows, as Go programs do; half of it is left to the polls."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if allowed == resource.RLIM_INFINITY else min(MOST, allowed // 2)


def _protocol(register: Connections, live: LiveWebConfig | None) -> Callable[..., asyncio.Protocol]:
    """What uvicorn makes for each new connection."""

    def connected(**more: Any) -> asyncio.Protocol:
        def connection() -> Connection:
            return Connection(register, lambda transport: _is_allowed(transport, live), **more)

        # A renewed certificate counts from the next connection on.
        context = live.context() if live else None
        return Handshake(register, context, connection) if context else connection()

    return connected


def _is_allowed(transport: asyncio.Transport, live: LiveWebConfig | None) -> bool:
    """Whether the client's certificate bears a name that is let in."""
    tls = live.config().tls_server_config if live else None
    if tls is None or not tls.client_allowed_sans:
        return True
    names = (transport.get_extra_info("peercert") or {}).get("subjectAltName", ())
    return any(name in tls.client_allowed_sans for _, name in names)
