"""What every request passes before it is answered: its form, the password, the rate limit, whose site it comes from.

And what is put on every answer: the configured headers, and a count.
"""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from exporter.web import asgi
from exporter.web.asgi import App, Header, Message, Receive, Scope, Send
from exporter.web.basic_auth import BasicAuth, Verdict
from exporter.web.http_metrics import HttpMetrics
from exporter.web.rate_limit import RateLimits
from exporter.web.web_config import WebConfig

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%\[\]:-]*")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Refusal = tuple[HTTPStatus, Iterable[Header]]

_UNAUTHORIZED: Refusal = (HTTPStatus.UNAUTHORIZED, [(b"www-authenticate", b'Basic realm="api-usage-exporter"')])


class Guard:
    """An ASGI app around another. `config` is asked at every request, so that changed users count at once.

    route_of: a path's name in the count of requests; one of few. origins: hosts that count as ours beside the Host
    header's, say behind a proxy.
    """

    def __init__(
        self,
        app: App,
        config: Callable[[], WebConfig],
        *,
        metrics: HttpMetrics,
        limits: RateLimits,
        route_of: Callable[[str], str] = lambda path: path,
        origins: frozenset[bytes] = frozenset(),
    ) -> None:
        self._app = app
        self._config = config
        self._metrics = metrics
        self._limits = limits
        self._route_of = route_of
        self._origins = origins
        self._auth = BasicAuth()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        config = self._config()
        sending = self._sending(scope, send, config)
        refusal = await self._refusal(scope, config)
        if refusal is None:
            await self._app(scope, receive, sending)
        else:
            status, headers = refusal
            await asgi.answer(sending, status, f"{status.phrase}\n".encode(), [asgi.TEXT, *headers])

    def _sending(self, scope: Scope, send: Send, config: WebConfig) -> Send:
        extra = [(name.lower().encode(), value.encode()) for name, value in config.http_server_config.headers.items()]
        names = {name for name, _ in extra}
        route = self._route_of(scope["path"])

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(route, message["status"])
                if extra:
                    own = [(name, value) for name, value in message["headers"] if name not in names]
                    message = {**message, "headers": [*own, *extra]}
            await send(message)

        return sending

    async def _refusal(self, scope: Scope, config: WebConfig) -> Refusal | None:
        if _is_malformed(scope):
            return HTTPStatus.BAD_REQUEST, [(b"connection", b"close")]
        users = config.basic_auth_users if scope["path"] not in config.auth_excluded_paths else {}
        given = asgi.header(scope, b"authorization").decode("latin-1") if users else ""
        # Guesses are held to the line before bcrypt: a rate of theirs would be that of a scraper not known yet, too.
        if given and (refusal := await self._refused_password(scope, given, users)):
            return refusal
        if not self._limits.allow(config.rate_limit, known=bool(given)):
            return HTTPStatus.TOO_MANY_REQUESTS, [(b"retry-after", b"1")]
        if users and not given:
            return _UNAUTHORIZED
        if scope["method"] not in _SAFE_METHODS and self._is_cross_site(scope):
            return HTTPStatus.FORBIDDEN, []
        return None

    async def _refused_password(self, scope: Scope, given: str, users: dict[str, str]) -> Refusal | None:
        client = (scope.get("client") or ("",))[0]
        verdict = await self._auth.judge(given, users, client)
        if verdict is Verdict.IN:
            return None
        self._metrics.refused_password()
        if verdict is Verdict.BUSY:
            return HTTPStatus.TOO_MANY_REQUESTS, [(b"retry-after", b"1")]
        return _UNAUTHORIZED

    def _is_cross_site(self, scope: Scope) -> bool:
        """Whether a browser says that a page of another site asks, by the rules of Go's CrossOriginProtection
        (https://pkg.go.dev/net/http#CrossOriginProtection). Without either header it is no browser."""
        site = asgi.header(scope, b"sec-fetch-site")
        if site:
            return site not in (b"same-origin", b"none")
        origin = asgi.header(scope, b"origin")
        # Behind a proxy that has another name for us, ours is the one that browsers know.
        return bool(origin) and _host_of(origin) not in (asgi.header(scope, b"host").lower(), *self._origins)


def _host_of(origin: bytes) -> bytes:
    """The host, with its port where there is one; b"" where there is none."""
    try:
        return urlsplit(origin.decode("ascii")).netloc.lower().encode()
    except ValueError:  # UnicodeDecodeError is one
        return b""


def _is_malformed(scope: Scope) -> bool:
    """What httptools lets pass: versions to come, no Host or several, hosts that are none (RFC 9112, section 3.2)."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if scope["http_version"] not in ("1.0", "1.1") or len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
        return True
    return not hosts and scope["http_version"] == "1.1"
