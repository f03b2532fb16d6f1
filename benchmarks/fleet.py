"""Organisations in any number, and a vendor that answers for them after a set time."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

SCOPES = 5
DAYS = 30


def answer(scopes: int = SCOPES, requests: int = 40_000) -> dict[str, Any]:
    """A whole answer in the standard contract, with 30 days for each scope."""
    now = datetime.now(UTC)
    today = now.date()
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = {"start": start.isoformat(), "end": (start + timedelta(days=32)).replace(day=1).isoformat()}
    days = [{"date": (today - timedelta(days=day)).isoformat(), "requests": 1_300 + day} for day in range(DAYS)]
    return {
        "scopes": [
            {
                "name": f"Scope {number}",
                "id": f"scope-{number}",
                "plan": "Business",
                "requests": requests + number,
                "limit": 100_000,
                "rate_limit_per_minute": 600,
                "rejected": 0,
                "period": period,
                "daily": days,
            }
            for number in range(scopes)
        ]
    }


def config(file: Path, organisations: int, url: str, **api: Any) -> Path:
    """A config file with so many organisations of one api."""
    document = {
        "min_poll_interval": "100ms",
        "apis": [
            {
                "name": "bench",
                "preset": "standard",
                "url": f"{url}/{{organisation_id}}",
                "organisations": [{"id": f"org-{number:05}"} for number in range(organisations)],
                **api,
            }
        ],
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


class _Vendor(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    body: bytes
    delay: float


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Vendor

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def vendor(delay: float = 0.0, scopes: int = SCOPES) -> Iterator[str]:
    """A vendor that answers every organisation after `delay` seconds; yields its URL."""
    server = _Vendor(("127.0.0.1", 0), _Handler)
    server.body, server.delay = json.dumps(answer(scopes)).encode(), delay
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
