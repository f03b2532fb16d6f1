"""Ports of this machine. Standard library only: `make demo` looks at its ports before it sets anything up."""

import os
import socket

from exporter.errors import StartError


def free_port(port: int, flag: str) -> int:
    """The port, or any free one for 0. Raises StartError where it is taken, which names the flag."""
    try:
        with socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise StartError(
            f"port {port}: {os.strerror(error.errno or 0)}; choose another with {flag}=PORT (0: any free)"
        ) from None
