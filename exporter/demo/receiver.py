"""A page that shows what Alertmanager has sent: for the demo, and for trying out routes and texts.

POST /alerts            Alertmanager's webhook
GET  /                  the notifications, newest first
GET  /runbooks/<file>   the runbooks that alerts link to, as they are
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response, abort, render_template, request, send_from_directory

from exporter.bundle.files import RULES, project_folder

KEPT = 200  # more than anybody scrolls through


@dataclass(frozen=True)
class Alert:
    """One alert of a notification. labels: without alertname and severity. links: text -> URL."""

    name: str
    severity: str
    resolved: bool
    labels: Mapping[str, str]
    summary: str
    description: str
    links: Mapping[str, str]


@dataclass(frozen=True)
class Notification:
    """What one receiver was sent at one time."""

    received_at: datetime
    receiver: str
    alerts: tuple[Alert, ...]


class Inbox:
    """The newest notifications. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self._notifications: deque[Notification] = deque(maxlen=kept)
        self._lock = threading.Lock()

    def add(self, notification: Notification) -> None:
        with self._lock:
            self._notifications.appendleft(notification)

    def newest_first(self) -> tuple[Notification, ...]:
        with self._lock:
            return tuple(self._notifications)


def create_app(inbox: Inbox, runbooks: Path | None = None, usage_page: str = "") -> Flask:
    """runbooks: the folder that /runbooks/ shows; the project's own if left out.

    usage_page: the exporter's URL, where there is no Grafana; alerts then link to it instead of a dashboard.
    """
    app = Flask(__name__)
    folder = runbooks or project_folder(RULES) / "runbooks"

    def receive() -> Response:
        notification = parse(request.get_json(silent=True), datetime.now(UTC), usage_page)
        if notification is None:
            abort(400, "this is not a message of Alertmanager's webhook")
        inbox.add(notification)
        return Response(status=204)

    def index() -> str:
        return render_template("receiver.html", notifications=inbox.newest_first())

    def runbook(name: str) -> Response:
        return send_from_directory(folder, name, mimetype="text/plain")

    app.add_url_rule("/alerts", view_func=receive, methods=["POST"])
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/runbooks/<name>", view_func=runbook)
    app.add_url_rule("/-/ready", view_func=lambda: Response("ready\n"), endpoint="ready")
    return app


def parse(payload: object, received_at: datetime, usage_page: str = "") -> Notification | None:
    """Alertmanager's webhook message, version 4; None where it is none.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("alerts"), list):
        return None
    return Notification(
        received_at,
        str(payload.get("receiver", "")),
        tuple(_alert(alert, usage_page) for alert in payload["alerts"] if isinstance(alert, dict)),
    )


def _alert(alert: Mapping[str, object], usage_page: str) -> Alert:
    labels, annotations = _texts(alert.get("labels")), _texts(alert.get("annotations"))
    overview = (
        {"Usage page": _on_page(usage_page, labels)}
        if usage_page
        else {"Dashboard": annotations.get("dashboard_url", "")}
    )
    links = {**overview, "Runbook": annotations.get("runbook_url", "")}
    return Alert(
        name=labels.pop("alertname", ""),
        severity=labels.pop("severity", ""),
        resolved=alert.get("status") == "resolved",
        labels=labels,
        summary=annotations.get("summary", ""),
        description=annotations.get("description", ""),
        # Whatever is not a web address, such as javascript:, is no link.
        links={text: url for text, url in links.items() if url.startswith(("http://", "https://"))},
    )


def _on_page(usage_page: str, labels: Mapping[str, str]) -> str:
    """The page of the alert's organisation, or the list of all where it is about none."""
    shown = {name: labels[name] for name in ("api", "organisation") if name in labels}
    return f"{usage_page}/?{urlencode(shown)}" if "organisation" in shown else f"{usage_page}/"


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}
