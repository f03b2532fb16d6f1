"""The whole web surface: Flask's pages, the answers for machines in front of them, and the guard before both."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import urlsplit

from flask import Flask, render_template, request

from exporter.clock import Clock
from exporter.config.load import Config
from exporter.exposition.bodies import Exposition
from exporter.exposition.process import ProcessMetrics
from exporter.state.store import Store
from exporter.web.asgi import App
from exporter.web.beside import Beside
from exporter.web.config_in_use import ConfigInUse
from exporter.web.digest_page import digest_page
from exporter.web.front import PAGES, Front
from exporter.web.guard import Guard
from exporter.web.http_metrics import HttpMetrics
from exporter.web.page import usage_page
from exporter.web.plan_page import plan_page
from exporter.web.rate_limit import RateLimits
from exporter.web.security import secured
from exporter.web.try_page import try_page
from exporter.web.usage_bodies import UsageBodies
from exporter.web.web_config import WebConfig
from exporter.web.why_page import why_page
from exporter.web.wsgi import wsgi

# The telemetry path may not stand in their way.
RESERVED_PATHS = ("/-/", "/api/", "/static/", *PAGES)


@dataclass(frozen=True)
class Paths:
    """telemetry: of the metrics. external_url: by which browsers reach us, "" for the address that they ask.
    route_prefix: what our routes stand below; None: external_url's path."""

    telemetry: str = "/metrics"
    external_url: str = ""
    route_prefix: str | None = None

    @property
    def prefix(self) -> str:
        return self.external_path if self.route_prefix is None else self.route_prefix.rstrip("/")

    @property
    def external_path(self) -> str:
        """What stands before our paths in a browser's URLs."""
        if not self.external_url:
            return (self.route_prefix or "").rstrip("/")
        return urlsplit(self.external_url).path.rstrip("/")

    @property
    def hosts(self) -> frozenset[bytes]:
        host = urlsplit(self.external_url).netloc.lower()
        return frozenset({host.encode()} if host else ())


def create_pages(
    store: Store, clock: Clock, paths: Paths | None = None, beside: Beside | None = None, *, with_try: bool = False
) -> Flask:
    """What people look at: the usage page and its files. with_try: /try too."""
    paths = paths or Paths()
    app = Flask(__name__)
    app.after_request(secured)
    app.register_blueprint(usage_page(store, clock, beside or Beside()))
    app.register_blueprint(digest_page(store, clock))
    app.register_blueprint(why_page(store, clock))
    app.register_blueprint(plan_page(store, clock))
    if with_try:
        app.register_blueprint(try_page(clock))
    app.register_error_handler(HTTPStatus.NOT_FOUND, _not_found)
    links = {
        "Metrics": paths.telemetry,
        "Usage as JSON": "/api/v1/usage",
        "Usage as CSV": "/api/v1/usage.csv",
        "Health": "/-/healthy",
        "Readiness": "/-/ready",
        "Config": "/api/v1/status/config",
        **({"Try an answer": "/try"} if with_try else {}),
    }
    app.jinja_env.globals.update(
        links={name: paths.external_path + path for name, path in links.items()},
        version=version("api-usage-exporter"),
    )
    return app


def _not_found(_: Exception) -> tuple[str, HTTPStatus]:
    return render_template("not_found.html", fragment=False, path=request.path), HTTPStatus.NOT_FOUND


def create_app(
    *,
    store: Store,
    exposition: Exposition,
    process: ProcessMetrics,
    config: Callable[[], Config],
    reload: Callable[[], None] | None,
    clock: Clock,
    is_alive: Callable[[], bool] = lambda: True,
    web_config: Callable[[], WebConfig] | None = None,
    paths: Paths | None = None,
    beside: Beside | None = None,
    with_try: bool = False,
) -> App:
    """The ASGI app over a running exporter.

    config: the one in use. reload: reads the config file anew; raises ConfigError. None closes /-/reload. is_alive:
    whether polling goes on and metrics are put together. with_try: /try, for loopback addresses only.
    """
    paths = paths or Paths()
    front = Front(
        wsgi(create_pages(store, clock, paths, beside, with_try=with_try)),
        store=store,
        clock=clock,
        exposition=exposition,
        usage=UsageBodies(store, exposition, clock),
        reload=reload,
        config_in_use=ConfigInUse(config).text,
        is_alive=is_alive,
        telemetry_path=paths.telemetry,
        route_prefix=paths.prefix,
        external_path=paths.external_path,
    )
    without = WebConfig()
    return Guard(
        front,
        web_config or (lambda: without),
        metrics=HttpMetrics(process.registry),
        limits=RateLimits(clock.monotonic),
        route_of=front.route_of,
        origins=paths.hosts,
    )
