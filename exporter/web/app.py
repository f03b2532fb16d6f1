"""The Flask app: the usage page, /metrics, health, reload, and the usage as JSON."""

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version

from flask import Flask, Response, request

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.exposition.bodies import Exposition
from exporter.state.store import Store
from exporter.view.usage_json import selected, to_json, usage_document
from exporter.web.negotiation import exposition_format, wants_gzip
from exporter.web.page import usage_page
from exporter.web.security import secured

# The telemetry path may not stand in their way.
RESERVED_PATHS = ("/-/", "/api/", "/static/")

_TEXT = "text/plain; charset=utf-8"


def create_app(
    *,
    store: Store,
    exposition: Exposition,
    reload: Callable[[], None] | None,
    clock: Clock,
    is_alive: Callable[[], bool] = lambda: True,
    telemetry_path: str = "/metrics",
) -> Flask:
    """The app over a running exporter.

    reload: reads the config file anew; raises ConfigError. None closes /-/reload. is_alive: whether polling
    goes on and metrics are put together.
    """
    app = Flask(__name__)
    app.after_request(secured)
    app.register_blueprint(usage_page(store, clock))
    app.jinja_env.globals.update(telemetry_path=telemetry_path, version=version("api-usage-exporter"))

    @app.get(telemetry_path)
    def metrics() -> Response:
        content_type = exposition_format(request.accept_mimetypes)
        body = exposition.body(content_type)
        gzipped = wants_gzip(request.accept_encodings)
        # Whole: an iterator would hold a thread of the server for as long as a slow client takes to read.
        response = Response(body.gzipped if gzipped else body.plain, content_type=content_type)
        response.headers["Vary"] = "Accept, Accept-Encoding"
        if gzipped:
            response.headers["Content-Encoding"] = "gzip"
        return response

    @app.get("/-/healthy")
    def healthy() -> Response:
        if not is_alive():
            message = "The exporter has stopped polling, or putting its metrics together; its log says why.\n"
            return Response(message, HTTPStatus.INTERNAL_SERVER_ERROR, content_type=_TEXT)
        return Response("The exporter is healthy.\n", content_type=_TEXT)

    @app.get("/-/ready")
    def ready() -> Response:
        if exposition.shows_all_tried():
            return Response("Every organisation has been asked for at least once.\n", content_type=_TEXT)
        waiting = sum(state.last_poll is None for state in store.states())
        message = f"Organisations that have not been asked for yet: {waiting}; then their metrics are put together.\n"
        return Response(message, HTTPStatus.SERVICE_UNAVAILABLE, content_type=_TEXT)

    @app.route("/-/reload", methods=["POST", "PUT"])
    def reload_config() -> Response:
        if reload is None:
            message = "Reloading over HTTP is closed; SIGHUP reloads, and --web.enable-lifecycle opens it.\n"
            return Response(message, HTTPStatus.FORBIDDEN, content_type=_TEXT)
        try:
            reload()
        except ConfigError as error:
            message = f"The config was not loaded; the one before stays in use.\n{error}\n"
            return Response(message, HTTPStatus.INTERNAL_SERVER_ERROR, content_type=_TEXT)
        return Response("The config was loaded.\n", content_type=_TEXT)

    @app.get("/api/v1/usage")
    def usage() -> Response:
        """api, organisation (name or id): only these; each may be given several times."""
        wanted = selected(store.states(), request.args.getlist("api"), request.args.getlist("organisation"))
        return Response(to_json(usage_document(wanted, clock.now(), store.bands())), content_type="application/json")

    return app
