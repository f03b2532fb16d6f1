"""/try: paste a vendor's answer, and see the config that reads it, the numbers that this gives, and what is not sure.

Off by default, and on loopback addresses alone: whoever reaches it makes this process work.
"""

from http import HTTPStatus
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from exporter.address import is_loopback
from exporter.clock import Clock
from exporter.drafting.model import NothingFoundError
from exporter.errors import ConfigError, PollError
from exporter.vendor.strict_json import parse_json
from exporter.view import words
from exporter.view.tried import LARGEST_ANSWER, Trial, tried

_CHOSEN = "set-"
_UTC = ZoneInfo("UTC")


def try_page(clock: Clock) -> Blueprint:
    page = Blueprint("try", __name__)

    @page.before_request
    def on_this_machine() -> ResponseReturnValue | None:
        """A name of somebody else's may be resolved to this machine's address."""
        request.max_content_length = request.max_form_memory_size = LARGEST_ANSWER
        if is_loopback(urlsplit(request.host_url).hostname or ""):
            return None
        return "Try an answer at localhost.\n", HTTPStatus.FORBIDDEN

    @page.get("/try")
    def ask() -> ResponseReturnValue:
        return _rendered("", {}, None, "")

    @page.post("/try")
    def answer() -> ResponseReturnValue:
        """answer: JSON. set-FIELD: what was chosen of a question."""
        text = request.form.get("answer", "")
        chosen = {
            name.removeprefix(_CHOSEN): value
            for name, value in request.form.items()
            if name.startswith(_CHOSEN) and value.strip()
        }
        try:
            return _rendered(text, chosen, tried(parse_json(text.encode()), chosen, clock), "")
        except (NothingFoundError, PollError, ConfigError) as error:
            return _rendered(text, chosen, None, str(error))

    def _rendered(text: str, chosen: dict[str, str], trial: Trial | None, error: str) -> ResponseReturnValue:
        html = render_template(
            "try.html",
            fragment=False,
            answer=text,
            chosen=chosen,
            trial=trial,
            error=error,
            questions=trial.draft.questions if trial else (),
            cards=[
                card
                for one in (trial.document.organisations if trial and trial.document else ())
                for card in one.scopes
            ],
            words=words,
            zone=_UTC,
        )
        response = make_response(html, HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK)
        response.headers["Cache-Control"] = "no-store"
        return response

    return page
