"""Listening: on TCP addresses, on Unix sockets, and on sockets that systemd hands over."""

import contextlib
import os
import socket
import stat
from pathlib import Path

from exporter.address import Address
from exporter.errors import StartError

# As uvicorn's own default; the system cuts it to its net.core.somaxconn.
_BACKLOG = 2048
# sd_listen_fds(3)
_SYSTEMD_FIRST = 3


def listen(address: Address) -> socket.socket:
    """A listening socket. Raises StartError, in one line, where the address cannot be had."""
    try:
        return _listening_unix(address.path) if address.path else _listening(address)
    except (socket.gaierror, UnicodeError):  # a label of more than 63 characters is no Unicode
        reason = "the host is not known"
    except OSError as error:
        # create_server adds the address once more to strerror; a path that is too long has no number.
        reason = os.strerror(error.errno) if error.errno else str(error)
    raise StartError(f"cannot listen on {address}: {reason}; --web.listen-address chooses another")


def _listening(address: Address) -> socket.socket:
    if not address.host and socket.has_dualstack_ipv6():
        everywhere = ("", address.port)
        return _prompt(
            socket.create_server(everywhere, family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        )
    found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # Of a name with both, IPv4, as Go's exporters do.
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return _prompt(socket.create_server(where[:2], family=family, backlog=_BACKLOG))


def _prompt(listening: socket.socket) -> socket.socket:
    """Accepted sockets inherit it: the end of a short answer does not wait for the client's delayed acknowledgement,
    some 40 ms."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _listening_unix(path: str) -> socket.socket:
    """Who may write to the socket's folder decides who connects; a socket that nobody serves any more is replaced."""
    if _is_left_behind(path):
        Path(path).unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _is_left_behind(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # who serves it may be too busy to take one more
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def from_systemd() -> list[socket.socket]:
    """The sockets of our socket unit (sd_listen_fds(3)). Raises StartError where there are none."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or count == "0":
        raise StartError(
            "--web.systemd-socket: systemd has handed over no socket; it needs a .socket unit of the service's name"
        )
    return [_handed_over(_SYSTEMD_FIRST + number) for number in range(int(count))]


def _handed_over(number: int) -> socket.socket:
    try:
        listening = socket.socket(fileno=number)
        accepts = listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:  # not open, or a pipe
        accepts = 0
    if not accepts:
        raise StartError(f"--web.systemd-socket: file {number} is no socket that accepts streams; use ListenStream=")
    listening.set_inheritable(False)
    with contextlib.suppress(OSError):  # a Unix socket
        _prompt(listening)
    return listening


def address_of(listening: socket.socket) -> Address:
    """The address that a socket came to have: say, the port that the system chose for port 0."""
    name = listening.getsockname()
    return Address(path=os.fsdecode(name)) if isinstance(name, str | bytes) else Address(name[0], name[1])
