"""The usage page: which organisation the URL asks for, and the templates that show it."""

from collections.abc import Sequence
from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from exporter.clock import Clock
from exporter.state.store import OrganisationState, Store
from exporter.thresholds import HISTORY_DAYS
from exporter.view import forecast_words, words
from exporter.view.cards import OrganisationCards, organisation_cards
from exporter.web.beside import Beside, alert_texts
from exporter.web.chart import chart_of, series_of
from exporter.web.choices import choices_of

# How often the page asks for news, in seconds: as often as polls bring any; no open page asks more often than every
# few seconds, and none leaves the state of the last poll unseen for long.
_REFRESH_LEAST = 3.0
_REFRESH_MOST = 30.0


def usage_page(store: Store, clock: Clock, beside: Beside) -> Blueprint:
    page = Blueprint("page", __name__)

    @page.get("/")
    def usage() -> ResponseReturnValue:
        """api, organisation: what to show; daily: a Series' value; find: a search; fragment: without the frame."""
        states = store.states()
        api, organisation = request.args.get("api", ""), request.args.get("organisation", "")
        if len(states) == 1 and not request.args:
            return redirect(organisation_url(states[0]))
        state = _asked_for(states, api, organisation)
        if state is None:
            status = HTTPStatus.NOT_FOUND if organisation else HTTPStatus.OK
            return _answer("choose.html", status, unknown=organisation, choices=_choices())
        cards = organisation_cards(state, clock.now())
        series = series_of(cards.scopes)
        chosen = next(
            (one for one in series if one.value == request.args.get("daily")), series[0] if series else None
        )
        return _answer(
            "usage.html",
            HTTPStatus.OK,
            cards=cards,
            next_poll=beside.next_poll(state.target.key),
            alerts=alert_texts(state, cards, beside.alerts(), clock.now()),
            choices=None if "fragment" in request.args else choices_of(states, clock.now()),
            elsewhere=[other for other in states if _same_organisation(other, state)],
            zone=ZoneInfo(cards.time_zone),
            series=series,
            chosen=chosen,
            chart=chart_of(chosen) if chosen else None,
            refresh=_refresh_seconds(cards),
        )

    def _choices() -> object:
        return choices_of(
            store.states(),
            clock.now(),
            api=request.args.get("api", ""),
            find=request.args.get("find", "") or request.args.get("organisation", ""),
        )

    def _answer(template: str, status: HTTPStatus, **context: object) -> ResponseReturnValue:
        html = render_template(
            template,
            fragment="fragment" in request.args,
            now=clock.now(),
            words=words,
            will_last=forecast_words,
            history_days=HISTORY_DAYS,
            organisation_url=organisation_url,
            **{"refresh": _REFRESH_MOST, **context},
        )
        response = make_response(html, status)
        response.headers["Cache-Control"] = "no-store"
        return response

    return page


def organisation_url(state: OrganisationState) -> str:
    return url_for("page.usage", api=state.target.api.name, organisation=state.target.organisation.display_name)


def _asked_for(states: Sequence[OrganisationState], api: str, organisation: str) -> OrganisationState | None:
    """The organisation of that name or id; without an api, the first."""
    named = [state for state in states if api in ("", state.target.api.name)]
    for key in ("display_name", "id"):
        for state in named:
            if getattr(state.target.organisation, key) == organisation:
                return state
    return None


def _same_organisation(other: OrganisationState, state: OrganisationState) -> bool:
    return other is not state and other.target.organisation.display_name == state.target.organisation.display_name


def _refresh_seconds(cards: OrganisationCards) -> float:
    if cards.last_poll is None:
        return _REFRESH_LEAST
    return min(max(cards.poll_interval_seconds, _REFRESH_LEAST), _REFRESH_MOST)
