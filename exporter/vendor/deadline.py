"""A deadline for a whole poll, whatever it waits for: sockets, the system's resolver, or another thread.

The time-outs of requests count from byte to byte, so that a server which drips its handshake or headers would hold
a poll for ever. Here every wait for a socket gets what is left of the deadline; what cannot be interrupted runs in a
thread of its own.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from urllib3.util.connection import allowed_gai_family

from exporter.errors import PollTimeoutError

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class Deadline:
    """When something has to have ended. seconds: from now on; monotonic: the clock, in seconds."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self.seconds = seconds
        self.monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises PollTimeoutError where none are left."""
        left = self._end - self.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def is_over(self) -> bool:
        return self.monotonic() >= self._end

    def missed(self, what: str = "the answer was not complete") -> PollTimeoutError:
        """The error that says so."""
        return PollTimeoutError(f"{what} within the timeout of {self.seconds:g} s")


class Shared(Generic[Key, Result]):
    """Work done once for all who ask for it at the same time, each of whom waits no longer than its own deadline.

    It runs in a daemon thread, which goes on when nobody waits any more: so what hangs, such as a lookup of a name,
    holds one thread, and no poll.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Key, Future[Result]] = {}

    def result(self, key: Key, work: Callable[[], Result], deadline: Deadline, missed: str) -> Result:
        """What the work returned or raised. missed: what a PollTimeoutError says did not come to pass."""
        with self._lock:
            future = self._running.get(key)
            if future is None:
                future = Future()
                threading.Thread(target=self._run, args=(key, work, future), daemon=True, name="shared-wait").start()
                self._running[key] = future
        try:
            return future.result(deadline.left())
        except TimeoutError:
            if future.done():
                raise
            raise deadline.missed(missed) from None

    def _run(self, key: Key, work: Callable[[], Result], future: "Future[Result]") -> None:
        try:
            result, error = work(), None
        except BaseException as caught:
            result, error = None, caught
        with self._lock:
            self._running.pop(key, None)
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)


_lookups: Shared[tuple[str, int], Sequence[Any]] = Shared()
# An api's organisations are asked for at the same host, one after another; names mostly live longer than this.
_FRESH_SECONDS = 5.0
_MOST_FRESH = 1000
_fresh: dict[tuple[str, int], tuple[float, Sequence[Any]]] = {}


def connected(host: str, port: int, deadline: Deadline, options: Sequence[Any] | None) -> socket.socket:
    """A connection to the first of the host's addresses that takes one, each tried for its share of what is left.

    options: as of setsockopt. Raises OSError as the last of them did, and PollTimeoutError.
    """
    addresses = _addresses(host, port, deadline)
    failure = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        bounded = _Bounded(family, kind, protocol)
        bounded.deadline = deadline
        try:
            for option in options or ():
                bounded.setsockopt(*option)
            bounded.settimeout(deadline.left() / (len(addresses) - number))
            bounded.connect(address)
        except OSError as error:
            bounded.close()
            failure = error
        except PollTimeoutError:
            bounded.close()
            raise
        else:
            return bounded
    if isinstance(failure, TimeoutError):
        raise deadline.missed(f"no connection to {host}:{port} was made")
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> Sequence[Any]:
    def look_up() -> Sequence[Any]:
        try:
            return socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
        except UnicodeError:  # a label of more than 63 characters
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    host = host.strip("[]")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return look_up()  # nothing to wait for
    known = _fresh.get((host, port))
    if known is not None and 0 <= time.monotonic() - known[0] < _FRESH_SECONDS:
        return known[1]
    found = _lookups.result((host, port), look_up, deadline, f"the name {host} was not resolved")
    if len(_fresh) > _MOST_FRESH:
        _fresh.clear()
    _fresh[host, port] = (time.monotonic(), found)
    return found


class _Bounded(socket.socket):
    """A socket whose every wait ends at the deadline."""

    deadline: Deadline

    def recv_into(self, *args: Any) -> int:
        return _waited(self, super().recv_into, *args)

    def recv(self, *args: Any) -> bytes:
        return _waited(self, super().recv, *args)

    def send(self, *args: Any) -> int:
        return _waited(self, super().send, *args)

    def sendall(self, *args: Any) -> None:
        return _waited(self, super().sendall, *args)


class _BoundedTls(_Bounded, ssl.SSLSocket):
    """The same of what TLS reads and writes."""


def _waited(bounded: _Bounded, wait: Callable[..., Result], *args: Any) -> Result:
    bounded.settimeout(bounded.deadline.left())
    try:
        return wait(*args)
    except TimeoutError:
        raise bounded.deadline.missed() from None


class BoundedContext(ssl.SSLContext):
    """Makes TLS of bounded sockets: the handshake ends at their deadline, and so does what comes after it."""

    sslsocket_class = _BoundedTls

    def wrap_socket(self, sock: socket.socket, *args: Any, **more: Any) -> _BoundedTls:
        assert isinstance(sock, _Bounded)  # noqa: S101 - `connected` makes them all
        sock.settimeout(sock.deadline.left())
        try:
            wrapped = super().wrap_socket(sock, *args, **more)
        except TimeoutError:
            raise sock.deadline.missed() from None
        assert isinstance(wrapped, _BoundedTls)  # noqa: S101
        wrapped.deadline = sock.deadline
        return wrapped
