"""Since when a card is red and to whom its alert goes; when a vendor that fails is asked again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.errors import ServerError
from exporter.model import Alert, AlertsSeen, AlertState
from exporter.web.app import create_pages
from exporter.web.beside import Beside
from tests.support.html import seen
from tests.support.watched import Watched, scope, targets_of

SINCE = datetime(2026, 11, 21, 20, 33, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    watched = Watched(targets_of(tmp_path, {"vendor": ["Acme", "Bolt"]}))
    for count in (880, 910):
        watched.reads("Acme", scope("Maps", count), scope("Mail", 10))
        watched.clock.advance(minutes=5)
    return watched


def page(watched: Watched, beside: Beside | None = None) -> str:
    client = create_pages(watched.store, watched.clock, None, beside).test_client()
    return seen(client.get("/?api=vendor&organisation=Acme").text)


def up(state: AlertState = AlertState.FIRING, scope: str = "Maps", **fields: object) -> Alert:
    alert = {"name": "ApiUsageCritical", "severity": "critical", "api": "vendor", "organisation": "Acme"}
    return Alert(**{**alert, "scope": scope, "since": SINCE, "state": state, **fields})  # type: ignore[arg-type]


def having(*alerts: Alert, failure: str = "", at: datetime | None = NOON) -> Beside:
    return Beside(alerts=lambda: AlertsSeen("Alertmanager", at, alerts, failure))


def test_without_a_source_by_the_exporters_own_thresholds(watched: Watched) -> None:
    text = page(watched)
    assert "Critical since 12:05 UTC, by the exporter's own thresholds" in text
    assert text.count("since") == 1


@pytest.mark.parametrize(
    ("alert", "text"),
    [
        (up(receivers=("page",)), "Critical since 21 Nov, 20:33 UTC: ApiUsageCritical, goes to page"),
        (up(receivers=("a", "b")), "ApiUsageCritical, goes to a and b"),
        (up(since=NOON), "Critical since 12:00 UTC: ApiUsageCritical, firing"),
        (up(since=SINCE - timedelta(days=365)), "Critical since 21 Nov 2025, 20:33 UTC: ApiUsageCritical"),
        (up(AlertState.SILENCED, receivers=("page",)), "ApiUsageCritical, silenced"),
        (up(AlertState.INHIBITED), "ApiUsageCritical, inhibited by another alert"),
        (up(AlertState.PENDING, severity="", name="Mine"), "Alert since 21 Nov, 20:33 UTC: Mine, pending"),
    ],
)
def test_the_alerts_of_a_scope(watched: Watched, alert: Alert, text: str) -> None:
    shown = page(watched, having(alert, up(organisation="Bolt"), up(api="other"), up(scope="Other")))
    assert text in shown
    assert "own thresholds" not in shown
    assert shown.count("ApiUsageCritical" if alert.severity else "Mine") == 1


def test_the_gravest_comes_first_and_those_of_the_organisation_stand_above(watched: Watched) -> None:
    shown = page(watched, having(up(name="B", severity="warning"), up(name="A"), up(scope="", name="ApiUsageStale")))
    places = [shown.index(text) for text in ("ApiUsageStale", ": A,", ": B,")]
    assert places == sorted(places)


def test_a_source_without_an_alert_about_it(watched: Watched) -> None:
    assert "Critical since 12:05 UTC, by the exporter's own thresholds; no alert is up" in page(watched, having())


def test_a_source_that_does_not_answer(watched: Watched) -> None:
    shown = page(watched, having(up(), failure="connection to alerts:9093 failed: refused"))
    assert (
        "Alertmanager does not answer: connection to alerts:9093 failed: refused; alerts are those of 10 minutes ago."
        in shown
    )
    assert "ApiUsageCritical, firing" in shown
    never = page(watched, having(failure="refused", at=None))
    assert "Alertmanager does not answer: refused." in never
    assert "own thresholds Rate limit" in never.replace("  ", " ")


def test_when_a_vendor_that_fails_is_asked_again(watched: Watched) -> None:
    asked: list[tuple[str, str]] = []

    def in_forty(key: tuple[str, str]) -> float:
        asked.append(key)
        return 40.4

    assert "Tried again" not in page(watched, Beside(next_poll=in_forty))
    watched.fails("Acme", ServerError("the vendor answered 500"))
    assert "the vendor answered 500. Tried again in 40 seconds. The cards show" in page(watched, Beside(in_forty))
    assert asked[-1] == ("vendor", "Acme")
    assert "Tried again now." in page(watched, Beside(lambda _: 0.0))
    assert "Tried again" not in page(watched)
