"""Asks for the alerts again and again, in a thread of its own, so that no page waits for whom it asks."""

import threading
from urllib.parse import urlsplit

import requests
import structlog

from exporter.alerting.answers import ALERTMANAGER_PATH, PROMETHEUS_PATH, of_alertmanager, of_prometheus
from exporter.clock import Clock
from exporter.config.alerts import AlertsSource
from exporter.errors import AuthError, PollError, ResponseError
from exporter.model import Alert, AlertsSeen
from exporter.redaction import redact
from exporter.vendor.deadline import Deadline
from exporter.vendor.foreign_errors import FOREIGN_ERRORS, translated
from exporter.vendor.sign_in import SignIn
from exporter.vendor.strict_json import parse_json
from exporter.vendor.transport import TooLarge, body_of, opened

log = structlog.get_logger()

_TIMEOUT = 10.0
# Some 20,000 alerts.
_MOST_BYTES = 32_000_000
_REFUSED = (401, 403)


class AlertsWatch:
    """What the alerts' source said last. Thread-safe."""

    def __init__(self, clock: Clock, source: AlertsSource | None = None) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._source = source
        self._seen: AlertsSeen | None = None
        self._stopped = False

    def seen(self) -> AlertsSeen | None:
        """None where the config names no source, or none was asked yet."""
        with self._changed:
            return self._seen

    def set_source(self, source: AlertsSource | None) -> None:
        """Take over a config; a new source is asked at once."""
        with self._changed:
            if source != self._source:
                self._source, self._seen = source, None
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Ask until `stop`. Meant as a thread's target."""
        while (source := self._next()) is not None:
            self.ask(source)
            with self._changed:
                if self._source is source and not self._stopped:
                    self._changed.wait(source.interval)

    def _next(self) -> AlertsSource | None:
        """The source in use, as soon as there is one; None once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._source is not None)
            return None if self._stopped else self._source

    def ask(self, source: AlertsSource) -> None:
        """Ask once. What fails leaves the alerts of before, which are shown with their age and the error."""
        try:
            seen = AlertsSeen(source.name, self._clock.now(), alerts_of(source, self._clock))
        except Exception as error:
            if not isinstance(error, PollError):
                log.error("alerts could not be read", exc_info=error)
            message = redact(str(error)) if isinstance(error, PollError) else type(error).__name__
            before = self.seen()
            seen = AlertsSeen(
                source.name, before.at if before else None, before.alerts if before else (), failure=message
            )
            if before is None or not before.failure:
                log.warning("alerts are not known", source=source.name, error=message)
        with self._changed:
            if source == self._source:
                self._seen = seen


def alerts_of(source: AlertsSource, clock: Clock) -> tuple[Alert, ...]:
    """The alerts that a source has now. Raises PollError."""
    base, path, read = (
        (source.prometheus, PROMETHEUS_PATH, of_prometheus)
        if source.alertmanager is None
        else (source.alertmanager, ALERTMANAGER_PATH, of_alertmanager)
    )
    url = f"{(base or '').rstrip('/')}{path}"
    deadline = Deadline(_TIMEOUT, clock.monotonic)
    try:
        with opened(requests.Session(), source.tls, deadline) as session:
            signature = SignIn(source.auth, source.tls).within(deadline)
            with session.get(url, auth=signature, stream=True, allow_redirects=False) as response:
                _refuse(response, url)
                return read(parse_json(body_of(response, _MOST_BYTES)))
    except TooLarge:
        raise ResponseError(f"the answer is larger than {_MOST_BYTES} bytes") from None
    except FOREIGN_ERRORS as error:
        raise translated(error, host=urlsplit(url).netloc, timeout=_TIMEOUT) from None


def _refuse(response: requests.Response, url: str) -> None:
    if response.status_code == requests.codes.ok:
        return
    message = f"{url} answered {response.status_code} {response.reason or ''}".rstrip()
    raise AuthError(message) if response.status_code in _REFUSED else ResponseError(message)
