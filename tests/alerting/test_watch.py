"""The alerts as a real Alertmanager has them, and sources that do not answer."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from exporter.alerting.watch import AlertsWatch, alerts_of
from exporter.config.alerts import AlertsSource
from exporter.errors import AuthError, PollError
from exporter.local.processes import Processes, eventually
from exporter.model import Alert, AlertState
from tests.support.clock import FakeClock
from tests.support.http import Vendor
from tests.support.programs import ALERTMANAGER_CONFIG, start_alertmanager

ABOUT = {"job": "usage", "api": "vendor", "organisation": "Acme"}


@pytest.fixture
def watch(clock: FakeClock) -> Iterator[AlertsWatch]:
    watch = AlertsWatch(clock)
    thread = threading.Thread(target=watch.run)
    thread.start()
    yield watch
    watch.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_states_and_receivers_of_a_real_alertmanager(processes: Processes, tmp_path: Path, clock: FakeClock) -> None:
    url = start_alertmanager(processes, ALERTMANAGER_CONFIG, tmp_path / "alertmanager")
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    labels = [
        {"alertname": "ApiUsageHigh", "severity": "warning", **ABOUT, "scope": "Maps"},
        {"alertname": "ApiUsageCritical", "severity": "critical", **ABOUT, "scope": "Maps"},
        {"alertname": "ApiUsageCritical", "severity": "critical", **ABOUT, "scope": "Mail"},
        {"alertname": "ApiUsageStale", "severity": "warning", **ABOUT},
    ]
    posted = [{"labels": one, "startsAt": since.isoformat()} for one in labels]
    assert requests.post(f"{url}/api/v2/alerts", json=posted, timeout=5).ok
    silence = {
        "matchers": [{"name": "scope", "value": "Mail", "isRegex": False, "isEqual": True}],
        "startsAt": since.isoformat(),
        "endsAt": (since + timedelta(days=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    assert requests.post(f"{url}/api/v2/silences", json=silence, timeout=5).ok

    def found() -> dict[tuple[str, str], Alert]:
        return {(one.name, one.scope): one for one in alerts_of(AlertsSource(alertmanager=url), clock)}

    def states() -> dict[tuple[str, str], AlertState]:
        return {key: one.state for key, one in found().items()}

    eventually(
        lambda: (
            states()
            == {
                ("ApiUsageHigh", "Maps"): AlertState.INHIBITED,
                ("ApiUsageCritical", "Maps"): AlertState.FIRING,
                ("ApiUsageCritical", "Mail"): AlertState.SILENCED,
                ("ApiUsageStale", ""): AlertState.FIRING,
            }
        )
    )
    critical = found()["ApiUsageCritical", "Maps"]
    assert critical == Alert(
        "ApiUsageCritical", "critical", "vendor", "Acme", "Maps", since, AlertState.FIRING, ("page",)
    )


def prometheus_answer(*alerts: dict[str, Any]) -> Response:
    return Response(json.dumps({"status": "success", "data": {"alerts": alerts}}))


FIRING = {
    "labels": {"alertname": "ApiUsageHigh", "severity": "warning", **ABOUT, "scope": "Maps"},
    "annotations": {},
    "state": "pending",
    "activeAt": "2026-11-22T11:00:00.123456789Z",
    "value": "1e+00",
}


def test_what_fails_later_keeps_the_alerts_of_before(
    vendor: Vendor, watch: AlertsWatch, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.answer = lambda _: prometheus_answer(FIRING)
    assert watch.seen() is None
    source = AlertsSource(prometheus=vendor.url)
    watch.set_source(source)
    eventually(lambda: watch.seen() is not None)
    seen = watch.seen()
    assert seen is not None
    assert (seen.source, seen.at, seen.failure) == ("Prometheus", clock.now(), "")
    assert [(one.name, one.state) for one in seen.alerts] == [("ApiUsageHigh", AlertState.PENDING)]

    vendor.answer = lambda _: Response("no", 503)
    clock.advance(minutes=2)
    watch.ask(source)
    watch.ask(source)
    failed = watch.seen()
    assert failed is not None
    assert (failed.at, failed.alerts) == (seen.at, seen.alerts)
    assert failed.failure == f"{vendor.url}/api/v1/alerts answered 503 SERVICE UNAVAILABLE"
    assert capsys.readouterr().out.count("alerts are not known") == 1

    watch.set_source(None)
    assert watch.seen() is None


def test_it_signs_in(vendor: Vendor, clock: FakeClock) -> None:
    def answer(request: Request) -> Response:
        right = request.authorization is not None and request.authorization.token == "sesame-sesame"
        return Response("[]" if right else "no", 200 if right else 401)

    vendor.answer = answer
    right = AlertsSource.model_validate(
        {"alertmanager": f"{vendor.url}/am/", "auth": {"type": "bearer", "token": "sesame-sesame"}}
    )
    assert alerts_of(right, clock) == ()
    assert vendor.requests[-1].path == "/am/api/v2/alerts"
    with pytest.raises(AuthError, match=r"/api/v2/alerts answered 401"):
        alerts_of(AlertsSource(alertmanager=vendor.url), clock)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("alertmanager", "{}", "the answer is not that of an Alertmanager: the whole: Input should be a valid list"),
        ("alertmanager", '[{"labels": {}}]', r"not that of an Alertmanager: 0\.startsAt: Field required"),
        ("prometheus", "[]", "the answer is not that of a Prometheus: the whole: "),
        ("prometheus", '{"data": {"alerts": [{}]}}', r"a Prometheus: data\.alerts\.0\.labels: Field required"),
        ("prometheus", "<!doctype html>", "the answer is an HTML page"),
    ],
)
def test_other_answers_are_named(vendor: Vendor, clock: FakeClock, kind: str, body: str, message: str) -> None:
    vendor.answer = lambda _: Response(body)
    with pytest.raises(PollError, match=message):
        alerts_of(AlertsSource.model_validate({kind: vendor.url}), clock)


def test_nobody_there(clock: FakeClock) -> None:
    with pytest.raises(PollError, match=r"connection to 127\.0\.0\.1:9 failed: .*refused"):
        alerts_of(AlertsSource(alertmanager="http://127.0.0.1:9"), clock)
