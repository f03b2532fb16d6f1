"""Where a server listens, as flags and messages write it."""

import ipaddress
from dataclasses import dataclass

_UNIX = "unix:"
_HIGHEST_PORT = 65_535  # ports are 16 bits wide, in TCP as in UDP


@dataclass(frozen=True)
class Address:
    """A host and port, or a Unix socket's path. host "": every address of the machine, IPv4 and IPv6."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT, :PORT, [IPV6]:PORT or unix:PATH. Raises ValueError."""
        if text.startswith(_UNIX):
            path = text.removeprefix(_UNIX).removeprefix("//")
            if not path.startswith("/"):
                raise ValueError(f"must have a whole path, such as unix:/run/exporter.sock, not {text!r}")
            return cls(path=path)
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > _HIGHEST_PORT:
            raise ValueError(f"must be HOST:PORT, :PORT or unix:PATH, such as :10190, not {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"must have an IPv6 address in brackets, such as [::1]:10190, not {text!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written, is this machine for itself alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
