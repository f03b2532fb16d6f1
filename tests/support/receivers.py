"""Local stand-ins for whom Alertmanager notifies: they answer as the real ones do, and keep what they were sent."""

import email
import email.policy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from werkzeug.wrappers import Request, Response

from exporter.local.ports import free_port
from tests.support.http import serve
from tests.support.programs import ALERTMANAGER_CONFIG

# https://developer.pagerduty.com/docs/send-alert-event
_ACTIONS = {"trigger", "acknowledge", "resolve"}
_SEVERITIES = {"critical", "error", "warning", "info"}
_LONGEST_SUMMARY = 1024
_LONGEST_KEY = 255


@dataclass
class Recorder:
    """What was posted, as JSON, the oldest first; a webhook answers no more than that it was taken."""

    posted: list[Any] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.posted.append(Request(environ).get_json())
        return self.answer(self.posted[-1])(environ, start_response)

    def answer(self, _: Any) -> Response:
        return Response(status=204)


class Slack(Recorder):
    """An incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

    def answer(self, message: Any) -> Response:
        (attachment,) = message["attachments"]
        return Response("ok" if attachment["text"] or attachment["fallback"] else "no_text")


class PagerDuty(Recorder):
    """Events API v2. An event whose dedup_key belongs to an open incident is added to that, and pages nobody."""

    def answer(self, event: Any) -> Response:
        payload = event["payload"]
        valid = (
            event["routing_key"]
            and event["event_action"] in _ACTIONS
            and 0 < len(event["dedup_key"]) <= _LONGEST_KEY
            and 0 < len(payload["summary"]) <= _LONGEST_SUMMARY
            and payload["source"]
            and payload["severity"] in _SEVERITIES
        )
        if not valid:
            return Response(json.dumps({"status": "invalid event", "event": event}), 400)
        return Response(json.dumps({"status": "success", "dedup_key": event["dedup_key"]}), 202)

    @property
    def paged(self) -> list[str]:
        """The summaries of what somebody was paged for."""
        opened: set[str] = set()
        paged = []
        for event in self.posted:
            if event["event_action"] == "resolve":
                opened.discard(event["dedup_key"])
            elif event["dedup_key"] not in opened:
                opened.add(event["dedup_key"])
                paged.append(event["payload"]["summary"])
        return paged

    @property
    def open(self) -> set[str]:
        """The dedup keys of incidents that are still open."""
        keys: set[str] = set()
        for event in self.posted:
            (keys.discard if event["event_action"] == "resolve" else keys.add)(event["dedup_key"])
        return keys


class Mailbox:
    """A mail server; it takes no line of more than 998 characters, as RFC 5321 allows."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(bytes(envelope.content or b""), policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"


@dataclass(frozen=True)
class Receivers:
    """The stand-ins, and an Alertmanager config with every example in use that leads to them."""

    config: Path
    webhook: Recorder
    slack: Slack
    pagerduty: PagerDuty
    mailbox: Mailbox


@contextmanager
def receivers(folder: Path) -> Iterator[Receivers]:
    """Start them; `folder` gets the config, with waits of a second, and its secrets."""
    webhook, slack, pagerduty, mailbox = Recorder(), Slack(), PagerDuty(), Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port(0, ""))
    smtp.start()
    try:
        with serve(webhook) as webhook_url, serve(slack) as slack_url, serve(pagerduty) as pagerduty_url:
            (folder / "slack-url").write_text(f"{slack_url}/services/T0/B0/x\n")
            (folder / "pagerduty-routing-key").write_text("0123456789abcdef0123456789abcdef\n")
            (folder / "smtp-password").write_text("secret\n")
            replacements = {
                "http://receiver:8080": webhook_url,
                "/etc/alertmanager/secrets": str(folder),
                "smtp.example.com:587": f"127.0.0.1:{smtp.port}",
                "global:\n": f"global:\n  smtp_require_tls: false\n  pagerduty_url: {pagerduty_url}/v2/enqueue\n",
                "group_wait: 30s": "group_wait: 1s",
                "group_interval: 5m": "group_interval: 1s",
            }
            config = localised_config(folder, replacements)
            yield Receivers(config, webhook, slack, pagerduty, mailbox)
    finally:
        smtp.stop()


def localised_config(folder: Path, replacements: dict[str, str]) -> Path:
    """The project's Alertmanager config with its examples, in `folder`, beside its templates."""
    text = with_examples(ALERTMANAGER_CONFIG.read_text("utf-8"))
    for name, local in replacements.items():
        assert name in text, name
        text = text.replace(name, local)
    for template in ALERTMANAGER_CONFIG.parent.glob("*.tmpl"):
        (folder / template.name).write_bytes(template.read_bytes())
    file = folder / "alertmanager.yml"
    file.write_text(text, encoding="utf-8")
    return file


def with_examples(config: str) -> str:
    """The config with its examples uncommented: lines whose # is followed by no single space."""
    lines = (line.replace("#", "", 1) if _is_example(line) else line for line in config.splitlines(keepends=True))
    return "".join(lines)


def _is_example(line: str) -> bool:
    after = line.lstrip(" ").removeprefix("#")
    return line.lstrip(" ").startswith("#") and (not after.startswith(" ") or after.startswith("  "))
