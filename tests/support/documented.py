"""A vendor that answers as a preset's documentation shows, over HTTP."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from exporter.config.load import Target, load_config
from exporter.config.preset import EXAMPLE_ORGANISATIONS, DocumentedAnswer, VendorAnswer, load_preset
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import Outcome, poll
from tests.support.clock import FakeClock
from tests.support.factories import write_config

SECRET = "not-a-secret-of-anybody"


class DocumentedVendor:
    """Answers the requests of a poll in their order, and gives out tokens to whoever asks."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[VendorAnswer] = []
        self.requests: list[Request] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        if request.path.endswith("/token"):
            token = {"access_token": SECRET, "token_type": "Bearer", "expires_in": 3600}
            return Response(json.dumps(token), content_type="application/json")(environ, start_response)
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        response = Response(body, answer.status, content_type="application/json")
        response.headers.update(answer.headers)
        return response(environ, start_response)


def preset_target(folder: Path, preset: str, vendor_url: str) -> Target:
    """The preset as its example uses it, with the vendor's addresses turned to this one. Secrets of the environment
    have to be there."""
    example = load_preset(preset).example
    api = {"name": preset, "preset": preset, "organisations": list(EXAMPLE_ORGANISATIONS), **example}
    api = {**_turned(api, vendor_url), "base_url": vendor_url, "poll_interval": "1h"}
    if urlsplit(str(api.get("url", ""))).scheme:
        del api["base_url"]
    (target,) = load_config(write_config(folder / f"{preset}.yaml", api)).targets
    return target


def _turned(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {name: _turned(member, url) for name, member in value.items()}
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        parts = urlsplit(value)
        return value.replace(f"{parts.scheme}://{parts.netloc}", url, 1)
    return value


def ask_documented(target: Target, vendor: DocumentedVendor, documented: DocumentedAnswer) -> Outcome:
    """One poll, at the time at which the answer is documented to come."""
    names = [name for name in target.api.all_requests if name in documented.answers]
    vendor.answers, vendor.requests = [documented.answers[name] for name in names], []
    clock = FakeClock(documented.at)
    return poll(target, VendorClient(target, clock), clock)
