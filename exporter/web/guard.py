"""What every request passes before the Flask app: its form, basic authentication and the configured headers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

from exporter.web.basic_auth import BasicAuth, Verdict
from exporter.web.web_config import WebConfig

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%\[\]:-]*")


class Guard:
    """An ASGI app around another. `config` is asked at every request, so that changed users count at once."""

    def __init__(self, app: App, config: Callable[[], WebConfig]) -> None:
        self._app = app
        self._config = config
        self._auth = BasicAuth()
        self._changing = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        config = self._config()
        headers = [
            (name.lower().encode(), value.encode()) for name, value in config.http_server_config.headers.items()
        ]
        sending = _with_headers(send, headers) if headers else send
        refusal = await self._refusal(scope, config)
        if refusal is not None:
            await _answer(sending, *refusal)
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, sending)
        else:
            # Reloads wait for each other here rather than in the threads that answer scrapes.
            async with self._changing:
                await self._app(scope, receive, sending)

    async def _refusal(self, scope: Scope, config: WebConfig) -> tuple[HTTPStatus, Headers] | None:
        if _is_malformed(scope):
            return HTTPStatus.BAD_REQUEST, [(b"connection", b"close")]
        if not config.basic_auth_users:
            return None
        given = b",".join(value for name, value in scope["headers"] if name == b"authorization")
        client = (scope.get("client") or ("",))[0]
        verdict = await self._auth.judge(given.decode("latin-1"), config.basic_auth_users, client)
        if verdict is Verdict.BUSY:
            return HTTPStatus.TOO_MANY_REQUESTS, [(b"retry-after", b"1")]
        if verdict is Verdict.OUT:
            return HTTPStatus.UNAUTHORIZED, [(b"www-authenticate", b'Basic realm="api-usage-exporter"')]
        return None


def _is_malformed(scope: Scope) -> bool:
    """What h11 lets pass: versions to come, and hosts that are none (RFC 9112, section 3.2)."""
    hosts = (value for name, value in scope["headers"] if name == b"host")
    return scope["http_version"] not in ("1.0", "1.1") or not all(map(_HOST.fullmatch, hosts))


def _with_headers(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    names = {name for name, _ in headers}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name, value) for name, value in message["headers"] if name not in names]
            message = {**message, "headers": [*own, *headers]}
        await send(message)

    return sending


async def _answer(send: Send, status: HTTPStatus, headers: Headers) -> None:
    body = f"{status.phrase}\n".encode()
    named = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status.value, "headers": named})
    await send({"type": "http.response.body", "body": body})
