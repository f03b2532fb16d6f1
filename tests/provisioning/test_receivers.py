"""What each receiver of provisioning/alertmanager is sent, with its examples in use: a real Alertmanager, and local
stand-ins for a webhook, Slack, PagerDuty and a mail server."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests
import yaml

from exporter.local.processes import Processes, eventually
from tests.support.programs import start_alertmanager
from tests.support.promtool import rules
from tests.support.receivers import Receivers, receivers

ALERTS = rules("alert")
FIRING = r"\[firing, since \d{4}-\d\d-\d\d \d\d:\d\d UTC\]"
HOSTILE = "<!channel> & <https://evil.example|Maps> <b>{{ 1 }}</b> *x*"


class Sending:
    """An Alertmanager, its receivers, and what it is sent."""

    def __init__(self, alertmanager: str, to: Receivers) -> None:
        self.to = to
        self._url = f"{alertmanager}/api/v2/alerts"

    def fire(self, name: str, *labels: dict[str, str]) -> None:
        """An alert with each of these labels, which now fires."""
        self.post([alert(name, one) for one in labels])

    def end(self, name: str, *labels: dict[str, str]) -> None:
        self.post([alert(name, one, ended=True) for one in labels])

    def post(self, alerts: list[dict[str, Any]]) -> None:
        requests.post(self._url, json=alerts, timeout=5).raise_for_status()


def alert(name: str, labels: dict[str, str], *, ended: bool = False) -> dict[str, Any]:
    """As Prometheus would send it, with annotations like the rules'."""
    labels = {"job": "usage", "api": "maps", "organisation": "Acme", **labels}
    scope, organisation = labels.get("scope", ""), labels["organisation"]
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": name, "severity": ALERTS[name]["labels"]["severity"], **labels},
        "annotations": {
            "summary": f"{organisation}: {name} of {scope} (maps)",
            "description": f"{organisation} has used 95 of 100 requests of {scope} at maps: 95%. Do something.",
            "runbook_url": f"https://runbooks.example.com/{name}.md",
            "dashboard_url": "http://localhost:3000/d/api-usage?var-api=maps"
            f"&var-organisation={quote_plus(organisation)}&var-scope={quote_plus(scope)}",
        },
        # Not earlier: a group whose first alert is older than group_wait is sent at once, whatever else comes.
        "startsAt": now.isoformat(),
        "endsAt": (now if ended else now + timedelta(hours=1)).isoformat(),
    }


@pytest.fixture
def sending(processes: Processes, tmp_path: Path) -> Iterator[Sending]:
    with receivers(tmp_path) as to:
        yield Sending(start_alertmanager(processes, to.config, tmp_path / "alertmanager"), to)


# --- PagerDuty


CRITICAL, REACHED = "ApiUsageCritical", "ApiUsageLimitReached"


def test_no_page_is_swallowed_by_the_incident_of_another(sending: Sending) -> None:
    pages = [
        (CRITICAL, {"scope": "Tiles"}),
        (REACHED, {"scope": "Tiles"}),
        (REACHED, {"scope": "Routes"}),
        (REACHED, {"scope": "Routes", "cluster": "staging"}),
        (REACHED, {"scope": "Routes", "namespace": "staging"}),
        (REACHED, {"scope": "Routes", "job": "usage-2"}),
        (REACHED, {"scope": "Routes", "organisation": "Bolt"}),
    ]
    for index, (name, labels) in enumerate(pages):
        sending.fire(name, labels)
        paged = eventually(lambda index=index: found if len(found := sending.to.pagerduty.paged) > index else [])  # type: ignore[misc]
        scope, organisation = labels["scope"], labels.get("organisation", "Acme")
        assert paged[-1].startswith(f"{organisation}: {name} of {scope} (maps)")
    assert len(sending.to.pagerduty.open) == len(pages)

    for name, labels in reversed(pages):
        sending.end(name, labels)
    eventually(lambda: not sending.to.pagerduty.open)


def test_the_end_of_every_band_is_sent_though_higher_ones_held_it_back(sending: Sending) -> None:
    tiles = {"scope": "Tiles"}
    for count, name in enumerate((CRITICAL, REACHED), start=1):
        sending.fire(name, tiles)
        eventually(lambda count=count: len(sending.to.pagerduty.open) == count)  # type: ignore[misc]
    sending.end(REACHED, tiles)
    sending.end(CRITICAL, tiles)
    eventually(lambda: not sending.to.pagerduty.open)
    assert len(sending.to.pagerduty.paged) == 2


def test_a_page_says_what_it_is_about_and_where_to_look(sending: Sending) -> None:
    sending.fire(CRITICAL, {"scope": HOSTILE})
    (event,) = eventually(lambda: sending.to.pagerduty.posted)
    payload = event["payload"]
    assert payload["severity"] == "critical"
    assert (payload["class"], payload["component"], payload["group"]) == (CRITICAL, HOSTILE, "Acme")
    assert payload["summary"] == f"Acme: {CRITICAL} of {HOSTILE} (maps)"
    said = re.escape(f"Acme has used 95 of 100 requests of {HOSTILE} at maps: 95%.")
    assert re.search(rf"{FIRING} {said}", payload["custom_details"]["text"])
    # By versions that read details as YAML, it must be left as it is.
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(payload["custom_details"]["text"])
    links = {link["text"]: link["href"] for link in event["links"]}
    assert links["Dashboard"].endswith(f"&var-scope={quote_plus(HOSTILE)}")
    assert links["Runbook"] == f"https://runbooks.example.com/{CRITICAL}.md"


def test_a_page_about_the_exporter_is_taken_too(sending: Sending) -> None:
    sending.fire("ApiUsageExporterDown", {"api": "", "organisation": ""})
    assert eventually(lambda: sending.to.pagerduty.paged)


# --- Slack


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def test_nothing_in_a_name_is_markup_to_slack(sending: Sending) -> None:
    sending.fire("ApiUsageHigh", {"scope": HOSTILE, "organisation": "A&B <!here>"})
    (message,) = eventually(lambda: sending.to.slack.posted)
    links = 0
    for text in strings(message):
        # What Slack takes for markup: https://docs.slack.dev/messaging/formatting-message-text
        for markup in re.findall(r"<[^>]*>?", text):
            assert re.fullmatch(r"<https?://[^|<>]+\|(Dashboard|Runbook)>", markup), text
            links += 1
        assert re.search(r"&(?!amp;|lt;|gt;)", text) is None, text
    assert links == 2
    (attachment,) = message["attachments"]
    shown = "&lt;!channel&gt; &amp; &lt;https://evil.example|Maps&gt;"
    assert attachment["title"].startswith(f"[firing] A&amp;B &lt;!here&gt;: ApiUsageHigh of {shown}")
    assert f"requests of {shown}" in attachment["text"]
    assert "&amp;var-scope=" in attachment["text"]


def test_slack_has_the_end_and_every_alert_of_a_group_up_to_twenty(sending: Sending) -> None:
    scopes = [{"scope": f"Scope {number:02}"} for number in range(25)]
    sending.fire("ApiUsageHigh", *scopes)
    (message,) = eventually(lambda: sending.to.slack.posted)
    (attachment,) = message["attachments"]
    assert attachment["title"] == "[firing] Acme: ApiUsageHigh of Scope 00 (maps), and more: 25 alerts"
    assert attachment["text"].count("|Runbook>") == 20
    assert "25 alerts in all" in attachment["text"]
    sending.end("ApiUsageHigh", *scopes)
    eventually(lambda: sending.to.slack.posted[-1]["attachments"][0]["title"].startswith("[resolved] "))


def test_the_end_of_stale_figures_is_sent_while_the_exporter_is_down(sending: Sending) -> None:
    sending.fire("ApiUsageExporterDown", {"api": "", "organisation": ""})
    sending.fire("ApiUsageStale", {})
    assert eventually(lambda: sending.to.slack.posted)
    sending.end("ApiUsageStale", {})
    eventually(lambda: sending.to.slack.posted[-1]["attachments"][0]["title"].startswith("[resolved] "))


# --- email


def test_an_email_has_one_subject_and_shows_names_as_they_are(sending: Sending) -> None:
    sending.fire("ApiUsageAddOnAdvised", {"scope": HOSTILE, "organisation": "Söhne\r\nBcc: x@example.org"})
    (mail,) = eventually(lambda: sending.to.mailbox.mails)
    assert mail["To"] == "api-owners@example.com"
    assert mail["Bcc"] is None
    assert mail["Subject"] == f"Söhne Bcc: x@example.org: ApiUsageAddOnAdvised of {HOSTILE} (maps)"
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert f"requests of {HOSTILE} at maps" in plain.get_content()
    assert "https://runbooks.example.com/ApiUsageAddOnAdvised.md" in plain.get_content()
    text = html.get_content()
    assert "<b>{{" not in text
    assert re.search(rf"<h3>{FIRING} ", text)
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|Maps&gt; &lt;b&gt;" in text
    assert f'var-scope={quote_plus(HOSTILE)}">Dashboard</a>' in unescape(text)


def test_an_email_about_many_scopes_is_taken(sending: Sending) -> None:
    sending.fire("ApiUsageAddOnAdvised", *({"scope": f"Scope {number:02}"} for number in range(60)))
    (mail,) = eventually(lambda: sending.to.mailbox.mails)
    assert mail["Subject"] == "Acme: ApiUsageAddOnAdvised of Scope 00 (maps), and more: 60 alerts"
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().count("Do something.") == 60


def test_a_long_name_fits_wherever_it_stands(sending: Sending) -> None:
    long = "Ü" * 500
    for name in (CRITICAL, "ApiUsageHigh", "ApiUsageAddOnAdvised"):
        sending.fire(name, {"scope": long, "organisation": name})
    (mail,) = eventually(lambda: sending.to.mailbox.mails)
    assert len(mail["Subject"]) <= 200
    assert eventually(lambda: sending.to.pagerduty.paged)
    assert eventually(lambda: sending.to.slack.posted)


# --- whatever else a site sends there


def test_an_alert_without_annotations_is_taken_by_every_receiver(sending: Sending) -> None:
    for severity in ("critical", "warning", "info"):
        sending.post([{"labels": {"alertname": "Disk<Full>", "severity": severity}}])
    assert eventually(lambda: sending.to.pagerduty.paged) == ["Disk<Full>"]
    (event,) = sending.to.pagerduty.posted
    assert re.fullmatch(rf"\* {FIRING} Disk<Full>", event["payload"]["custom_details"]["text"].strip())
    assert not event.get("links")
    (message,) = eventually(lambda: sending.to.slack.posted)
    (attachment,) = message["attachments"]
    assert attachment["title"] == "[firing] Disk&lt;Full&gt;"
    assert re.fullmatch(rf"{FIRING} Disk&lt;Full&gt;", attachment["text"].strip())
    (mail,) = eventually(lambda: sending.to.mailbox.mails)
    assert mail["Subject"] == "Disk<Full>"
    html = mail.get_body(("html",))
    assert html is not None
    assert "href" not in html.get_content()


# --- webhook


def test_a_webhook_has_each_alert_with_its_labels_and_annotations(sending: Sending) -> None:
    for name in (CRITICAL, "ApiUsageHigh", "ApiUsageAddOnAdvised"):
        sending.fire(name, {"scope": HOSTILE, "organisation": name})
    posted = eventually(lambda: found if len(found := sending.to.webhook.posted) == 3 else [])
    by_receiver = {message["receiver"]: message for message in posted}
    assert set(by_receiver) == {"page", "ticket", "info"}
    (page,) = by_receiver["page"]["alerts"]
    assert page["labels"] == alert(CRITICAL, {"scope": HOSTILE, "organisation": CRITICAL})["labels"]
    assert HOSTILE in page["annotations"]["summary"]
    assert {"alertname", "scope"} <= set(by_receiver["page"]["groupLabels"])
