"""A deadline for a whole exchange over requests, kept by shutting the sockets.

The time-outs of requests count from byte to byte, so that a server which drips its handshake or headers would hold a
poll for ever. Name resolution and connecting come before there is a socket: the system's resolver and requests' own
time-out end those.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class DeadlineExceeded(Exception):  # noqa: N818 - it says all
    """An exchange took longer than it may."""


class Watchdog:
    """Knows the sockets of one session, which one thread uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._expired = False

    @contextlib.contextmanager
    def session(self, session: requests.Session) -> Iterator[None]:
        """Watch every connection that the session makes meanwhile in this thread; and let it follow no redirect."""
        # Even where redirects are not allowed, requests looks where they lead, and reads the body of any size first.
        session.get_redirect_target = lambda _: None  # type: ignore[method-assign,assignment]
        self._expired = False
        around = _watching.watchdog  # a sign-in comes within the poll that needs it
        _watching.watchdog = self
        adapter = _Adapter()
        for scheme in ("http://", "https://"):
            session.mount(scheme, adapter)
        try:
            yield
        finally:
            _watching.watchdog = around
            with self._lock:
                for item in self._sockets:
                    item.close()
                self._sockets.clear()

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Shut the sockets unless the block ends in time, and raise DeadlineExceeded in place of whatever came of it:
        to those who read, a shut socket is an error, or only the end of what seems a whole answer."""
        timer = threading.Timer(seconds, self._shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if not self._expired:
                raise
        finally:
            timer.cancel()
        if self._expired:
            raise DeadlineExceeded

    def watch(self, connection: socket.socket) -> None:
        # A duplicate, since TLS takes the original over, and its handshake needs watching as well.
        with self._lock:
            if self._expired:  # connecting took all the time that there was
                connection.close()
                raise TimeoutError
            self._sockets.append(connection.dup())

    def _shut(self) -> None:
        with self._lock:
            self._expired = True
            for item in self._sockets:
                with contextlib.suppress(OSError):
                    item.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(*args, **more)
        if type(manager) is ProxyManager:  # SOCKS has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Watching(threading.local):
    """The watchdog of the session that this thread uses. Connections find it here, since urllib3 makes them from
    classes; classes made for each poll would be a fifth of its work, and garbage that is slow to be found."""

    watchdog: Watchdog | None = None


_watching = _Watching()


def _watched(connection: socket.socket) -> socket.socket:
    if _watching.watchdog is None:
        connection.close()
        raise RuntimeError("a connection of a session that is no longer watched")
    _watching.watchdog.watch(connection)
    return connection


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _Encrypted(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


_POOLS = {"http": _PlainPool, "https": _EncryptedPool}
