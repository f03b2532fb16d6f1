"""/why: where a scope's numbers were read, on what its forecast rests, and what its vendor changed."""

from http import HTTPStatus

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from exporter.clock import Clock
from exporter.state.store import OrganisationState, Store
from exporter.view import forecast_words, words
from exporter.view.cards import organisation_cards
from exporter.view.origins import asked, origins


def why_page(store: Store, clock: Clock) -> Blueprint:
    page = Blueprint("why", __name__)

    @page.get("/why")
    def why() -> ResponseReturnValue:
        """api, organisation, scope: as the usage page names them."""
        wanted = tuple(request.args.get(name, "") for name in ("api", "organisation", "scope"))
        state = _state(store, wanted[:2])
        now = clock.now()
        cards = organisation_cards(state, now) if state is not None else None
        card = next((one for one in cards.scopes if one.scope == wanted[2]), None) if cards is not None else None
        if state is None or card is None:
            html = render_template("why.html", card=None, wanted=wanted, fragment=False)
            return make_response(html, HTTPStatus.NOT_FOUND)
        response = make_response(
            render_template(
                "why.html",
                fragment=False,
                cards=cards,
                card=card,
                asked=asked(state.target),
                origins=origins(state.target, card),
                changes=tuple(reversed(state.ledger.get(card.scope, ()))),
                now=now,
                zone=state.target.time_zone,
                words=words,
                will_last=forecast_words,
            )
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    return page


def _state(store: Store, key: tuple[str, ...]) -> OrganisationState | None:
    return next((state for state in store.states() if state.target.key == key), None)
