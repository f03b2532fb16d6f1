"""The usage page: which organisation the URL asks for, and the templates that show it."""

from collections.abc import Sequence
from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from exporter.clock import Clock
from exporter.forecast import Resolution
from exporter.state.store import OrganisationState, Store
from exporter.thresholds import HISTORY_DAYS
from exporter.view import forecast_words, urgency, words
from exporter.view.cards import Card, OrganisationCards, organisation_cards
from exporter.view.fleet import Flag, Fleet, Question, Standings, apis_of, fleet_of
from exporter.view.overview import in_order, overview_of
from exporter.view.period_before import period_before
from exporter.view.rate import busiest, rate_of
from exporter.web.beside import Beside, alert_texts
from exporter.web.chart import chart_of, opening, series_of
from exporter.web.reader import reader_zone
from exporter.web.until_limit import until_limit

# How often the page asks for news, in seconds: as often as polls bring any; no open page asks more often than every
# few seconds, and none leaves the state of the last poll unseen for long.
_REFRESH_LEAST = 3.0
_REFRESH_MOST = 30.0


def usage_page(store: Store, clock: Clock, beside: Beside) -> Blueprint:
    page = Blueprint("page", __name__)
    standings = Standings()

    @page.get("/")
    def usage() -> ResponseReturnValue:
        """Of one organisation, by api and organisation: daily: a Series' value; view: limit, for the chart up to it;
        order: vendor, for its own. Of all: find: a search; show: a flag; page: from 1; go: open a sole match.
        fragment: without the frame."""
        states = store.states()
        api, organisation = request.args.get("api", ""), request.args.get("organisation", "")
        if len(states) == 1 and not request.args:
            return redirect(organisation_url(states[0]))
        state = _asked_for(states, api, organisation)
        if state is None:
            unknown = organisation or (api if api not in apis_of(states) else "")
            status = HTTPStatus.NOT_FOUND if unknown else HTTPStatus.OK
            fleet = _fleet(states)
            if "go" in request.args and fleet.only is not None:
                only = fleet.only
                return redirect(url_for("page.usage", api=only.api, organisation=only.organisation))
            return _answer("fleet.html", status, unknown=organisation, unknown_api=unknown, fleet=fleet)
        return _answer("usage.html", HTTPStatus.OK, **_shown(state, states))

    def _shown(state: OrganisationState, states: Sequence[OrganisationState]) -> dict[str, object]:
        now = clock.now()
        cards = organisation_cards(state, now)
        days_zone = ZoneInfo(cards.time_zone)
        zone = reader_zone(days_zone)
        series = series_of(cards.scopes)
        chosen = next((one for one in series if one.value == request.args.get("daily")), opening(series))
        vendors = request.args.get("order") == "vendor"
        limited = [card for card in cards.scopes if card.rate_limit_per_minute]
        only = chosen.scopes[0] if chosen and len(chosen.scopes) == 1 else None
        up_to_limit = request.args.get("view") == "limit"
        return {
            "cards": cards,
            "placed": in_order(cards.scopes, vendors=vendors),
            "vendors_order": vendors,
            "overview": overview_of(state, cards, now, zone),
            "rates": {card.scope: rate_of(card, busiest(state, card.scope, now)) for card in limited},
            "next_poll": beside.next_poll(state.target.key) if cards.failure else None,
            "alerts": alert_texts(state, cards, beside.alerts(), now, zone),
            "asked": Question(),
            "apis": apis_of(states),
            "has_prices": state.target.api.prices is not None,
            "elsewhere": [other for other in states if _same_organisation(other, state)],
            "zone": zone,
            "days_zone": days_zone,
            "zone_of": lambda card: _forecast_zone(card, zone, days_zone),
            "series": series,
            "chosen": chosen,
            "compared": period_before(state, only, store.count_at) if only else "",
            "chart": chart_of(chosen, now, days_zone) if chosen and not up_to_limit else None,
            "until_limit": until_limit(only, days_zone) if only and up_to_limit else None,
            "up_to_limit": up_to_limit,
            "urgency": urgency,
            "refresh": _refresh_seconds(cards),
        }

    def _fleet(states: Sequence[OrganisationState]) -> Fleet:
        asked, now = request.args, clock.now()
        question = Question(
            api=asked.get("api", ""),
            find=asked.get("find", "") or asked.get("organisation", ""),
            show=next((flag for flag in Flag if flag == asked.get("show")), None),
            page=max(1, asked.get("page", 1, type=int)),
        )
        return fleet_of(standings.of(states, now), question, now, beside.alerts(), reader_zone)

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


def _forecast_zone(card: Card, zone: ZoneInfo, days_zone: ZoneInfo) -> ZoneInfo:
    """Days are the vendor's, times the reader's."""
    return zone if card.forecast.resolution in (Resolution.HOURS, Resolution.MINUTES) else days_zone


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
