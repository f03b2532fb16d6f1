"""The one way to the outside for polls, tokens and cloud credentials: requests' sessions over connections of our own.

What is set here, below requests' API, holds for all of them: a deadline for everything together, proxies from the
environment, whose certificates are trusted, the client's certificate, and no redirects.
"""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError

from exporter import redaction
from exporter.config.tls import Tls
from exporter.errors import ConnectionFailed
from exporter.vendor.deadline import BoundedContext, Deadline, connected

Session = TypeVar("Session", bound=requests.Session)

# The first that is set names the authorities to trust, a file or a folder, where tls.ca_file does not.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_CHUNK_BYTES = 65_536
_PROXY_VARIABLES = tuple(
    cased for name in ("http_proxy", "https_proxy", "all_proxy") for cased in (name, name.upper())
)


@contextmanager
def opened(session: Session, tls: Tls, deadline: Deadline) -> Iterator[Session]:
    """The session, whose requests all end at the deadline; it is closed, its cookies are gone, when the block ends.

    A session a poll: at minutes between polls no server keeps a connection, and cookies must not live on.
    """
    session.trust_env = False  # a .netrc must not sign in with somebody else's credentials
    # Even where redirects are not allowed, requests looks where they lead, and reads the body of any size first.
    session.get_redirect_target = lambda _: None  # type: ignore[method-assign,assignment]
    adapter = _Adapter(tls, deadline)
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    with session:
        yield session


class TooLarge(Exception):  # noqa: N818 - it says all
    """A body is larger than it may be."""


def body_of(response: requests.Response, at_most: int) -> bytes:
    """The decoded body, read piece by piece so that its size is bounded. Raises TooLarge."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > at_most:
            raise TooLarge
    return bytes(body)


class _Adapter(HTTPAdapter):
    def __init__(self, tls: Tls, deadline: Deadline) -> None:
        self._tls = tls
        self._pools = {
            "http": partial(_PlainPool, deadline=deadline),
            "https": partial(_EncryptedPool, deadline=deadline),
        }
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        if proxy.lower().startswith("socks"):  # PySocks makes connections of its own, which nothing here bounds
            raise ConnectionFailed("SOCKS proxies are not supported; name an http:// or https:// proxy")
        if proxy.lower().startswith("https:"):
            more["proxy_ssl_context"] = tls_context(Tls())
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Whatever the session says: time-outs are the sockets' own business, and these settings hold for all."""
        proxies = _proxies(request.url or "")
        return super().send(request, stream=True, timeout=None, verify=self._tls.verify, proxies=proxies)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        proxied = any(proxy.startswith("https:") for proxy in _proxies(request.url or "").values())
        if host["scheme"] == "https" or proxied:
            # Our certificate is for the vendor, not for a proxy that hands on plain requests.
            tls = self._tls if host["scheme"] == "https" else Tls()
            # Nothing for urllib3 to load: to read the authorities takes longer than all the rest of a poll.
            pool = {"cert_reqs": "CERT_REQUIRED" if tls.verify else "CERT_NONE", "ssl_context": tls_context(tls)}
        return host, pool

    def cert_verify(self, *args: Any, **more: Any) -> None:
        """Nothing: the context knows."""


class _PlainConnection(HTTPConnection):
    deadline: Deadline

    def _new_conn(self) -> Any:
        try:
            # With a trailing dot a name is not looked for in the search domains; `host` has lost it.
            return connected(self._dns_host, self.port, self.deadline, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class _EncryptedConnection(_PlainConnection, HTTPSConnection):
    """The same, with TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection

    def __init__(self, *args: Any, deadline: Deadline, **more: Any) -> None:
        super().__init__(*args, **more)
        self._deadline = deadline

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        connection.deadline = self._deadline
        return connection


class _EncryptedPool(_PlainPool, HTTPSConnectionPool):
    ConnectionCls = _EncryptedConnection


def _proxies(url: str) -> dict[str, str]:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in small letters too."""
    # requests reads the whole environment twice for each request.
    if not any(name in os.environ for name in _PROXY_VARIABLES):
        return {}
    proxies: dict[str, str] = dict(requests.utils.get_environ_proxies(url))
    for proxy in proxies.values():
        password = urlsplit(proxy).password
        if password:
            redaction.remember(password)
            redaction.remember(unquote(password))
    return proxies


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for these settings, made once until one of the files changes.

    Raises ConnectionFailed that names the file which cannot be used.
    """
    named = tls.ca_file or next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
    trusted = str(named or DEFAULT_CA_BUNDLE_PATH) if tls.verify else None
    files = tuple(path and str(path) for path in (trusted, tls.cert_file, tls.key_file))
    return _context(files, tuple(path and _stamp(path) for path in files))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None  # what is wrong with it shows where it is read
    return found.st_mtime_ns, found.st_ino, found.st_size


@lru_cache(maxsize=64)
def _context(files: tuple[str | None, ...], _: tuple[Any, ...]) -> ssl.SSLContext:
    trusted, certificate, key = files
    context = BoundedContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        with _named("CA certificates", trusted):
            is_folder = Path(trusted).is_dir()
            context.load_verify_locations(**{"capath" if is_folder else "cafile": trusted})
    if certificate is not None:
        with _named("client certificate", certificate):
            context.load_cert_chain(certificate, key, password=_no_password)
    return context


@contextmanager
def _named(what: str, path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "not PEM"
        raise ConnectionFailed(f"the {what} {path} cannot be used: {reason}") from None


def _no_password() -> str:
    """OpenSSL would ask for one at the terminal, for ever."""
    raise ValueError("its key is encrypted")
