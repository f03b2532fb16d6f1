"""The HTTP server: uvicorn over the Flask app (why uvicorn: docs/dependencies.md)."""

import os
import socket
from dataclasses import dataclass

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask

from exporter.errors import StartError

_WORKERS = 16
_GRACE_SECONDS = 3
_BACKLOG = 2048


@dataclass(frozen=True)
class Address:
    """Where to listen. host "": on every address of the machine, IPv4 and IPv6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT, :PORT or [IPV6]:PORT. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
            raise ValueError(f"must be HOST:PORT or :PORT, such as :10190, not {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"must have an IPv6 address in brackets, such as [::1]:10190, not {text!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises StartError, in one line, where the address cannot be had."""
    try:
        if not address.host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # create_server adds the address once more to strerror.
        known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno) if known and error.errno else "the host is not known"
        raise StartError(f"cannot listen on {address}: {reason}; --web.listen-address chooses another") from None


def serve(app: Flask, sockets: list[socket.socket]) -> None:
    """Serve until SIGINT or SIGTERM; answers under way get a few seconds to end."""
    config = uvicorn.Config(
        WSGIMiddleware(app, workers=_WORKERS),  # type: ignore[arg-type]  # a2wsgi has its own names for ASGI's types
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run(sockets=sockets)
