"""The ASGI app in front of Flask: what is asked for by machines, from finished bytes and without a thread.

/metrics, health, reload, the usage as JSON and the config in use. All else is the Flask app's.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import parse_qs

from werkzeug.datastructures import Accept, MIMEAccept
from werkzeug.http import parse_accept_header

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.exposition.bodies import Exposition
from exporter.state.store import Store
from exporter.view.fits import FitDocument, NothingReadError, QuestionError, fit_document, to_json
from exporter.view.plans import PlanQuestionError, growth_of, plan_document
from exporter.view.plans import to_json as plan_json
from exporter.view.usage_csv import Rows
from exporter.view.usage_json import json_schema
from exporter.web import asgi, security
from exporter.web.asgi import App, Header, Receive, Scope, Send
from exporter.web.negotiation import exposition_format, wants_gzip
from exporter.web.shared_reload import SharedReload
from exporter.web.usage_bodies import UsageBodies, UsageBody

_GZIP = (b"content-encoding", b"gzip")
_JSON = (b"content-type", b"application/json")
_LONGEST_CACHED = 512

Handler = Callable[[Scope, Send], Awaitable[None]]


class Front:
    """Routes by exact path, below route_prefix.

    config_in_use: its YAML without secrets. external_path: what stands before our paths in a browser's URLs.
    """

    def __init__(
        self,
        pages: App,
        *,
        store: Store,
        clock: Clock,
        exposition: Exposition,
        usage: UsageBodies,
        reload: Callable[[], None] | None,
        config_in_use: Callable[[], Awaitable[str]],
        is_alive: Callable[[], bool],
        telemetry_path: str,
        route_prefix: str = "",
        external_path: str = "",
    ) -> None:
        self._pages = pages
        self._store = store
        self._clock = clock
        self._exposition = exposition
        self._usage = usage
        self._reload = None if reload is None else SharedReload(reload)
        self._config_in_use = config_in_use
        self._is_alive = is_alive
        self._route_prefix = route_prefix
        self._external_path = external_path
        self._lane = asgi.Lane()
        self._was_ready = False
        self._routes: dict[str, tuple[frozenset[str], Handler]] = {
            telemetry_path: (_READ, self._metrics),
            "/-/healthy": (_READ, self._healthy),
            "/-/ready": (_READ, self._ready),
            "/-/reload": (_WRITE, self._reload_config),
            "/api/v1/usage": (_READ, self._usage_json),
            "/api/v1/usage.csv": (_READ, self._usage_csv),
            "/api/v1/usage.schema.json": (_READ, self._usage_schema),
            "/api/v1/fits": (_READ, self._fits_json),
            "/api/v1/plan": (_READ, self._plan_json),
            "/api/v1/status/config": (_READ, self._config_json),
        }

    def route_of(self, path: str) -> str:
        """The path's name in a count: itself where it is one of ours."""
        inner = self._inner(path)
        if inner in self._routes or inner in ("/", *PAGES):
            return inner
        return "/static/" if inner.startswith("/static/") else "other"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._inner(scope["path"])
        if not path:
            await self._outside(scope, send)
        elif (route := self._routes.get(path)) is None:
            below = {**scope, "path": self._external_path + path, "root_path": self._external_path}
            await self._pages(below, receive, send)
        elif scope["method"] in route[0]:
            await route[1](scope, send)
        else:
            status = HTTPStatus.OK if scope["method"] == "OPTIONS" else HTTPStatus.METHOD_NOT_ALLOWED
            await _text(send, status, "", [(b"allow", ", ".join(sorted(route[0] | {"OPTIONS"})).encode())])

    def _inner(self, path: str) -> str:
        """The path below the route prefix; "" where it is not below."""
        if not self._route_prefix:
            return path
        return path.removeprefix(self._route_prefix) if path.startswith(f"{self._route_prefix}/") else ""

    async def _outside(self, scope: Scope, send: Send) -> None:
        if scope["path"] in ("/", self._route_prefix):
            location = (b"location", f"{self._external_path}/".encode())
            await _text(send, HTTPStatus.FOUND, "", [location])
        else:
            await _text(send, HTTPStatus.NOT_FOUND, f"All paths are below {self._route_prefix}/.\n")

    async def _metrics(self, scope: Scope, send: Send) -> None:
        content_type, gzipped = _negotiated(asgi.header(scope, b"accept"), asgi.header(scope, b"accept-encoding"))
        body = self._exposition.body(content_type)
        headers = [(b"content-type", content_type.encode()), (b"vary", b"Accept, Accept-Encoding"), *_SECURE]
        if gzipped:
            await asgi.start(send, HTTPStatus.OK, len(body.gzipped), [_GZIP, *headers])
            await asgi.send_whole(scope, send, body.gzipped)
        else:
            await asgi.start(send, HTTPStatus.OK, body.size, headers)
            await self._lane.send(send, body.lines if scope["method"] != "HEAD" else ())

    async def _healthy(self, _: Scope, send: Send) -> None:
        if self._is_alive():
            await _text(send, HTTPStatus.OK, "The exporter is healthy.\n")
        else:
            message = "The exporter has stopped polling, or putting its metrics together; its log says why.\n"
            await _text(send, HTTPStatus.INTERNAL_SERVER_ERROR, message)

    async def _ready(self, _: Scope, send: Send) -> None:
        # Once it is, it stays so: a reload that brings new organisations must not take it from behind its service.
        self._was_ready = self._was_ready or self._exposition.shows_all_tried()
        if self._was_ready:
            await _text(send, HTTPStatus.OK, "Every organisation has been asked for at least once.\n")
            return
        waiting = sum(state.last_poll is None for state in self._store.states())
        message = f"Organisations that have not been asked for yet: {waiting}; then their metrics are put together.\n"
        await _text(send, HTTPStatus.SERVICE_UNAVAILABLE, message)

    async def _reload_config(self, _: Scope, send: Send) -> None:
        if self._reload is None:
            message = "Reloading over HTTP is closed; SIGHUP reloads, and --web.enable-lifecycle opens it.\n"
            await _text(send, HTTPStatus.FORBIDDEN, message)
            return
        try:
            await self._reload()
        except ConfigError as error:
            message = f"The config was not loaded; the one before stays in use.\n{error}\n"
            await _text(send, HTTPStatus.INTERNAL_SERVER_ERROR, message)
        else:
            await _text(send, HTTPStatus.OK, "The config was loaded.\n")

    async def _usage_json(self, scope: Scope, send: Send) -> None:
        """api, organisation (name or id): only these; each may be given several times."""
        asked = _asked(scope)
        apis, organisations = asked.get("api", []), asked.get("organisation", [])
        body = await (self._usage.part(apis, organisations) if apis or organisations else self._usage.whole())
        await self._body(scope, send, body, [_JSON])

    async def _usage_csv(self, scope: Scope, send: Send) -> None:
        """rows: scopes (by default), days or periods. api, organisation: as for the JSON."""
        asked = _asked(scope)
        name = asked.get("rows", [Rows.SCOPES.value])[-1]
        if name not in set(Rows):
            message = f"rows must be one of {', '.join(Rows)}, not {name!r}, such as ?rows=days\n"
            await _text(send, HTTPStatus.BAD_REQUEST, message)
            return
        body = await self._usage.csv(Rows(name), asked.get("api", []), asked.get("organisation", []))
        saved_as = f'attachment; filename="api-usage-{name}.csv"'.encode()
        content_type = (b"content-type", b"text/csv; charset=utf-8; header=present")
        await self._body(scope, send, body, [content_type, (b"content-disposition", saved_as)])

    async def _usage_schema(self, _: Scope, send: Send) -> None:
        headers = [(b"content-type", b"application/schema+json"), *_SECURE]
        await asgi.answer(send, HTTPStatus.OK, json.dumps(json_schema()).encode(), headers)

    async def _body(self, scope: Scope, send: Send, body: UsageBody, content: list[Header]) -> None:
        """What may be large and is often asked for again. content: headers that say what it is."""
        headers = [(b"etag", body.etag), (b"cache-control", b"no-cache"), (b"vary", b"Accept-Encoding"), *_SECURE]
        if _is_known(asgi.header(scope, b"if-none-match"), body.etag):
            await send({"type": "http.response.start", "status": HTTPStatus.NOT_MODIFIED.value, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        gzipped = _negotiated(b"", asgi.header(scope, b"accept-encoding"))[1]
        size, parts = (len(body.gzipped), (body.gzipped,)) if gzipped else (body.size, body.parts)
        await asgi.start(send, HTTPStatus.OK, size, [*content, *([_GZIP] if gzipped else []), *headers])
        await self._lane.send(send, parts if scope["method"] != "HEAD" else ())

    async def _fits_json(self, scope: Scope, send: Send) -> None:
        """scope, requests, by, api, organisation: as `api-usage-exporter fits` has them."""
        headers = [_JSON, (b"cache-control", b"no-store"), *_SECURE]
        try:
            body = to_json(self._fit(_asked(scope)))
        except (QuestionError, NothingReadError) as error:
            unread = isinstance(error, NothingReadError)
            status = HTTPStatus.SERVICE_UNAVAILABLE if unread else HTTPStatus.BAD_REQUEST
            await asgi.answer(send, status, json.dumps({"error": str(error)}).encode(), headers)
        else:
            await asgi.answer(send, HTTPStatus.OK, body, headers)

    def _fit(self, asked: dict[str, list[str]]) -> FitDocument:
        for name in ("scope", "requests"):
            if len(asked.get(name, [])) != 1:
                raise QuestionError(f"give {name} once, such as ?scope=Geocoding&requests=20000&by=friday")
        try:
            requests = float(asked["requests"][0])
        except ValueError:
            raise QuestionError(f"requests must be a number, not {asked['requests'][0]!r}") from None
        return fit_document(
            self._store.states(),
            self._clock.now(),
            scope=asked["scope"][0],
            requests=requests,
            by=asked.get("by", [""])[-1],
            apis=asked.get("api", []),
            organisations=asked.get("organisation", []),
        )

    async def _plan_json(self, scope: Scope, send: Send) -> None:
        """growth, api, organisation: as `api-usage-exporter plan` has them."""
        headers = [_JSON, (b"cache-control", b"no-store"), *_SECURE]
        asked = _asked(scope)
        try:
            growth = growth_of(asked.get("growth", ["0"])[-1])
            # A price list over thousands of scopes takes its time.
            document = await asyncio.to_thread(
                plan_document,
                self._store.states(),
                self._clock.now(),
                growth=growth,
                apis=asked.get("api", []),
                organisations=asked.get("organisation", []),
            )
        except PlanQuestionError as error:
            await asgi.answer(send, HTTPStatus.BAD_REQUEST, json.dumps({"error": str(error)}).encode(), headers)
        else:
            await asgi.answer(send, HTTPStatus.OK, plan_json(document), headers)

    async def _config_json(self, _: Scope, send: Send) -> None:
        """In the form of Prometheus' own /api/v1/status/config."""
        document = {"status": "success", "data": {"yaml": await self._config_in_use()}}
        await asgi.answer(send, HTTPStatus.OK, json.dumps(document).encode(), [_JSON, *_SECURE])


def _asked(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


# What people look at, beside the usage page itself.
PAGES = ("/digest", "/plan", "/try", "/why")
_READ = frozenset({"GET", "HEAD"})
_WRITE = frozenset({"POST", "PUT"})
_SECURE: list[Header] = [(name.lower().encode(), value.encode()) for name, value in security.HEADERS.items()]


async def _text(send: Send, status: HTTPStatus, text: str, headers: Iterable[Header] = ()) -> None:
    await asgi.answer(send, status, text.encode(), [asgi.TEXT, *headers, *_SECURE])


def _negotiated(accept: bytes, accept_encoding: bytes) -> tuple[str, bool]:
    """(content type of the exposition, whether it is to be gzipped)."""
    short = len(accept) + len(accept_encoding) <= _LONGEST_CACHED
    return (_cached if short else _cached.__wrapped__)(accept, accept_encoding)


@lru_cache(256)
def _cached(accept: bytes, accept_encoding: bytes) -> tuple[str, bool]:
    """Scrapers send the same two headers for ever, and to read them takes as long as to answer."""
    content_type = exposition_format(parse_accept_header(accept.decode("latin-1"), MIMEAccept))
    return content_type, wants_gzip(parse_accept_header(accept_encoding.decode("latin-1"), Accept))


def _is_known(if_none_match: bytes, etag: bytes) -> bool:
    """RFC 9110, section 13.1.2, by weak comparison."""
    tags = [tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")]
    return b"*" in tags or etag.removeprefix(b"W/") in tags
