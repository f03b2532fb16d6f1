"""The HTTP server: uvicorn, on uvloop where there is one (why these: docs/dependencies.md)."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog
import uvicorn

from exporter.web.asgi import App
from exporter.web.connections import Accepted, Bounds, Connection, Connections
from exporter.web.live_config import LiveWebConfig

log = structlog.get_logger()

# Answers take far less, and what supervises the process kills after 10 s (Docker) or later.
_GRACE_SECONDS = 3
# Until some connection may have gone.
_PAUSE_SECONDS = 0.1


class Server(uvicorn.Server):
    """Serves until SIGINT or SIGTERM; answers under way get a few seconds to end.

    live: TLS, and which clients' certificates are let in. on_start: called once it answers. bounds: of connections.
    """

    def __init__(
        self,
        app: App,
        live: LiveWebConfig | None = None,
        on_start: Callable[[], None] = lambda: None,
        bounds: Bounds | None = None,
    ) -> None:
        bounds = bounds or Bounds()
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            # A client could name itself anything: whom to trust is not ours to guess.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_keep_alive=int(bounds.idle),
        )
        super().__init__(config)
        self._register = Connections(replace(bounds, most=_most_connections(bounds.most)))
        self._live = live
        self._on_start = on_start
        self._accepting: list[asyncio.Task[None]] = []
        self._connecting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Instead of uvicorn's, which knows nothing of a connection before its TLS is there."""
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(listening)) for listening in sockets or ()]
        self.started = True
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.wait(self._accepting)
        await super().shutdown(sockets)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, or one that has gone already
                log.warning("a connection could not be accepted", error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            connecting = loop.create_task(self._connect(accepted))
            self._connecting.add(connecting)
            connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        # As it is now: a renewed certificate counts from the next connection on.
        context = self._live.context() if self._live else None
        seconds = self._register.bounds.handshake
        pending = Accepted(accepted, seconds)
        self._register.enter(pending)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, accepted, ssl=context, ssl_handshake_timeout=seconds if context else None
            )
        except OSError:  # gone, or no TLS (ssl.SSLError is an OSError)
            pass
        finally:
            self._register.leave(pending)

    def _protocol(self) -> asyncio.Protocol:
        return Connection(
            self._register,
            partial(_is_allowed, self._live),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def serve(
    app: App,
    sockets: list[socket.socket],
    live: LiveWebConfig | None = None,
    on_start: Callable[[], None] = lambda: None,
    bounds: Bounds | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM."""
    Server(app, live, on_start, bounds).run(sockets)


def _most_connections(most: int) -> int:
    """Raise the limit on open files to what the system allows, as Go programs do; half of it is left to the polls."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if allowed == resource.RLIM_INFINITY else min(most, allowed // 2)


def _is_allowed(live: LiveWebConfig | None, transport: asyncio.Transport) -> bool:
    """Whether the client's certificate bears a name that is let in."""
    tls = live.config().tls_server_config if live else None
    if tls is None or not tls.client_allowed_sans:
        return True
    names = (transport.get_extra_info("peercert") or {}).get("subjectAltName", ())
    return any(name in tls.client_allowed_sans for _, name in names)
