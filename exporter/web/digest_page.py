"""/digest: the mails of `api-usage-exporter digest`, as they would be written now."""

from http import HTTPStatus

from flask import Blueprint, Response, request, url_for

from exporter.clock import Clock
from exporter.state.store import Store
from exporter.view.digest import as_html, digests
from exporter.view.usage_json import usage_document


def digest_page(store: Store, clock: Clock) -> Blueprint:
    page = Blueprint("digest", __name__)

    @page.get("/digest")
    def digest() -> Response:
        """team: whose, the first without it; label: that names teams."""
        document = usage_document(store.states(), clock.now())
        written = {one.team: one for one in digests(document, request.args.get("label", "team"))}
        team = request.args.get("team") or next(iter(written), "")
        if team not in written:
            known = ", ".join(written) or "none"
            text = f"No team is called {team!r}; there are: {known}. ?team=NAME chooses.\n"
            return Response(text, HTTPStatus.NOT_FOUND, mimetype="text/plain")
        icon = url_for("static", filename="favicon-normal.svg")
        html = as_html(written[team], url_for("page.usage", _external=True), icon)
        return Response(html, headers={"Cache-Control": "no-store"})

    return page
