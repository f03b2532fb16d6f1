"""The simulated vendor API over HTTP: the meter's counts, in the trouble that the faults say.

Over the rate limit it answers 429 with Retry-After. Over a hard period limit: 403 without Retry-After, as Google's
APIs answer, because trying again in a minute does not help. Over a soft one: served, and counted as overage.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from exporter.demo.accounts import OrganisationAccount
from exporter.demo.faults import Fault, Faults
from exporter.demo.meter import (
    Accepted,
    LimitReached,
    Meter,
    Outcome,
    RateLimited,
    ScopeState,
    UnknownAccountError,
)

DEMO_TOKEN = "demo-token"  # noqa: S105  # opens nothing but the demo


def create_app(meter: Meter, faults: Faults | None = None, *, token: str = DEMO_TOKEN) -> Flask:
    """The vendor over HTTP. Every error is JSON: {"error": code, "message": sentence}.

    GET  /v1/organisations/<organisation>/usage   the usage, in the standard contract; Bearer token, ETag
    GET  /v1/<organisation>/<scope>               a call of the product, metered; Bearer token
    GET  /                                        what is here
    GET  /faults, POST /faults                    {"fault": "none|500|slow|garbage|401", "organisation": id or null}
    POST /usage/<organisation>/<scope>            {"requests": n}: set the period's usage

    The last two have no token: serve the demo to people whom you trust with it.
    """
    app = Flask(__name__)
    _add_vendor_routes(app, meter, faults or Faults([one.id for one in meter.organisations]), token)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(UnknownAccountError, _not_found)
    return app


def _add_vendor_routes(app: Flask, meter: Meter, faults: Faults, token: str) -> None:
    def usage(organisation_id: str) -> Response:
        if not _has_token(token):
            return _unauthorised()
        organisation = meter.organisation(organisation_id)
        fault = faults.of(organisation_id)
        if fault == "401":
            return _unauthorised()
        if fault == "500":
            return _error(500, "internal_error", "Something went wrong on our side.")
        body = _to_json(_usage_payload(organisation, meter.usage(organisation_id)))
        if fault == "garbage":
            # As from a proxy that lost its connection: a good status and half a body.
            return _json_response(body[: len(body) // 2])
        response = _json_response(body)
        response.set_etag(hashlib.sha256(body).hexdigest())
        response.make_conditional(request)
        return response

    def product(organisation_id: str, scope_id: str) -> Response:
        if not _has_token(token):
            return _unauthorised()
        return _outcome_response(meter.request(organisation_id, scope_id))

    def set_usage(organisation_id: str, scope_id: str) -> Response:
        requests = _json_object().get("requests")
        if not isinstance(requests, int) or isinstance(requests, bool):
            abort(400, "requests must be an integer")
        try:
            meter.set_usage(organisation_id, scope_id, requests)
        except ValueError as error:
            abort(400, str(error))
        return _json_response(_to_json(_scope_payload(meter.scope(organisation_id, scope_id))))

    def set_fault() -> Response:
        wanted = _json_object()
        fault, organisation_id = wanted.get("fault"), wanted.get("organisation")
        if not isinstance(fault, str) or not isinstance(organisation_id, str | None):
            abort(400, "fault must be a string, organisation an id or null")
        try:
            faults.set(fault, organisation_id)
        except ValueError as error:
            abort(400, str(error))
        return show_faults()

    def show_faults() -> Response:
        return _json_response(_to_json({"faults": faults.all(), "known": list(get_args(Fault))}))

    def index() -> Response:
        return _json_response(_to_json(_index_payload(meter.organisations)))

    app.add_url_rule("/v1/organisations/<organisation_id>/usage", view_func=usage)
    app.add_url_rule("/v1/<organisation_id>/<scope_id>", view_func=product)
    app.add_url_rule("/usage/<organisation_id>/<scope_id>", view_func=set_usage, methods=["POST"])
    app.add_url_rule("/faults", view_func=set_fault, methods=["POST"])
    app.add_url_rule("/faults", view_func=show_faults)
    app.add_url_rule("/", view_func=index)


def _usage_payload(organisation: OrganisationAccount, states: Sequence[ScopeState]) -> dict[str, object]:
    return {
        "organisation": {"id": organisation.id, "name": organisation.name},
        "scopes": [_scope_payload(state) for state in states],
    }


def _scope_payload(state: ScopeState) -> dict[str, object]:
    account = state.account
    return {
        "name": account.name,
        "id": account.id,
        "plan": account.plan,
        "unit": "requests",
        "requests": state.requests,
        "limit": "unlimited" if account.limit is None else account.limit,
        "rate_limit_per_minute": account.rate_limit_per_minute,
        "rejected": state.rejected,
        "period": {"start": _timestamp(state.period.start), "end": _timestamp(state.period.end)},
        "daily": [{"date": day.isoformat(), "requests": requests} for day, requests in state.daily],
    }


def _index_payload(organisations: Sequence[OrganisationAccount]) -> dict[str, object]:
    return {
        "about": "A simulated vendor for the demo of api-usage-exporter. Calls under /v1 take a Bearer token.",
        "endpoints": {
            "GET /v1/organisations/<organisation>/usage": "usage of every scope",
            "GET /v1/<organisation>/<scope>": "one metered call of the product",
            "GET /faults": "faults of the usage endpoint",
            "POST /faults": {"fault": " | ".join(get_args(Fault)), "organisation": "id, or null for all"},
            "POST /usage/<organisation>/<scope>": {"requests": "the period's usage from now on"},
        },
        "organisations": [
            {
                "id": organisation.id,
                "name": organisation.name,
                "usage": f"/v1/organisations/{organisation.id}/usage",
                "scopes": [f"/v1/{organisation.id}/{scope.id}" for scope in organisation.scopes],
            }
            for organisation in organisations
        ],
    }


def _outcome_response(outcome: Outcome) -> Response:
    match outcome:
        case RateLimited(rate_limit, retry_after):
            message = f"More than {rate_limit} requests in this minute. Try again in {retry_after} s."
            response = _error(429, "rate_limited", message)
            response.headers["Retry-After"] = str(retry_after)
            return response
        case LimitReached(limit, resets_at):
            message = f"All {limit} requests of the billing period are used. It ends at {_timestamp(resets_at)}."
            return _error(403, "period_limit_reached", message)
        case Accepted():
            return _json_response(_to_json({"ok": True}))


def _timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _to_json(payload: object) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def _json_response(body: bytes, status: int = 200) -> Response:
    return Response(body, status, content_type="application/json")


def _json_object() -> dict[str, object]:
    payload = request.get_json(silent=True)
    if not isinstance(payload, dict):
        abort(400, "the body must be a JSON object, sent as application/json")
    return payload


def _has_token(token: str) -> bool:
    sent = request.authorization
    if sent is None or sent.type != "bearer" or sent.token is None:
        return False
    return hmac.compare_digest(sent.token.encode(), token.encode())


def _error(status: int, code: str, message: str) -> Response:
    return _json_response(_to_json({"error": code, "message": message}), status)


def _unauthorised() -> Response:
    response = _error(401, "unauthorised", "Send the header Authorization: Bearer <token>, with a valid token.")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    return _error(status, error.name.lower().replace(" ", "_"), error.description or error.name)


def _not_found(error: UnknownAccountError) -> Response:
    return _error(404, "not_found", str(error))
