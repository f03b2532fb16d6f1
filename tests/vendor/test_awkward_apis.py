"""APIs whose answers take more than one plain request: parameters, pages, joins, tokens, shared answers."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.wrappers import Request, Response

from exporter.config.api import Api
from exporter.config.load import Target
from exporter.config.templates import Values, check, expand
from exporter.errors import ConfigError
from exporter.model import BillingPeriod, DailyUsage, UsageSnapshot
from exporter.periods import calendar_period
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import Outcome, poll
from exporter.vendor.poller import Poller
from tests.support.asking import failure, read
from tests.support.clock import FakeClock
from tests.support.factories import load, make_target
from tests.support.http import Vendor

MAPPING = {"scopes": "scopes", "name": "name", "requests": "used", "limit": "limit"}
SCOPE = {"name": "A", "used": 1, "limit": 10}


def target_of(tmp_path: Path, vendor: Vendor, **api: Any) -> Target:
    mapping = {**MAPPING, **api.pop("mapping", {})}
    return make_target(tmp_path, **{"base_url": vendor.url, "url": "/usage", "mapping": mapping, **api})


def by_path(**answers: Any) -> Any:
    """A vendor that answers each path with its JSON, or with what a function makes of the request."""

    def answer(request: Request) -> Response:
        made = answers[request.path.strip("/").replace("/", "_")]
        made = made(request) if callable(made) else made
        return made if isinstance(made, Response) else Response(json.dumps(made))

    return answer


# --- parameters -----------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def expanded(template: str, zone: str = "UTC") -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    period = calendar_period("month", 15, ZoneInfo(zone), NOW)
    assert period is not None
    return expand(template, Values("7", "Acme & Co", NOW, ZoneInfo(zone), period))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{today}", "2026-11-22"),
        ("{yesterday}..{tomorrow}", "2026-11-21..2026-11-23"),
        ("{days_ago[30]}", "2026-10-23"),
        ("{history_start}", "2026-10-24"),
        ("{period_start} {period_end:%Y%m%d}", "2026-11-15 20261215"),
        ("{period_start:unix}", "1794700800"),
        ("{today:unix_ms}", "1795305600000"),
        ("{now:iso}", "2026-11-22T23:30:00Z"),
        ("{seconds_since_period_start}", "689400"),
        ("{organisation_id}/{organisation_name}", "7/Acme & Co"),
        ("query { me } {unknown}", "query { me } {unknown}"),
    ],
)
def test_placeholders(template: str, text: str) -> None:
    assert expanded(template) == text


def test_dates_are_those_of_the_vendor_s_time_zone() -> None:
    assert expanded("{today} {period_start:iso}", "Asia/Tokyo") == "2026-11-23 2026-11-14T15:00:00Z"


@pytest.mark.parametrize(
    "template", ["{", "}", "{organisation}", "{today[3]}", "{days_ago}", "{organisation_id:x}", "{a.b}"]
)
def test_bad_placeholders(template: str) -> None:
    with pytest.raises(ValueError, match="placeholder|form"):
        check(template, is_url=True)


@given(st.text())
def test_any_template_is_refused_or_expanded(template: str) -> None:
    try:
        check(template, is_url=True)
    except ValueError:
        return
    assert "{" not in expanded(template)


def test_parameters_headers_and_bodies_are_filled_in(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage={"scopes": [SCOPE]})
    (tmp_path / "key").write_text("s3cr3t\n")
    read(
        target_of(
            tmp_path,
            vendor,
            params={"from": "{period_start}", "to": "{today}", "key": {"file": "key"}, "org": "{organisation_name}"},
            headers={"X-Version": "2", "X-Account": {"file": "key"}},
            body={
                "query": "query($o: ID!) { usage(org: $o) { used } }",
                "variables": {"o": "{organisation_id}", "n": 5},
            },
            organisations=[{"id": "a/b", "name": "A & B"}],
        )
    )
    asked = vendor.requests[0]
    assert asked.method == "POST"
    assert asked.args.to_dict() == {"from": "2026-11-01", "to": "2026-11-22", "key": "s3cr3t", "org": "A & B"}
    assert (asked.headers["X-Version"], asked.headers["X-Account"]) == ("2", "s3cr3t")
    assert asked.get_json() == {
        "query": "query($o: ID!) { usage(org: $o) { used } }",
        "variables": {"o": "a/b", "n": 5},
    }


def test_secret_parameters_are_in_no_error(tmp_path: Path, vendor: Vendor) -> None:
    url = vendor.url
    for response in (
        Response(status=500),
        Response("nonsense"),
        Response(status=302, headers={"Location": "/?key=s3cr3t"}),
    ):
        vendor.answer = lambda _, made=response: made  # type: ignore[misc]
        assert "s3cr3t" not in str(failure(target_of(tmp_path, vendor, params={"key": "s3cr3t"})))
    vendor.url = "http://127.0.0.1:9"
    assert "s3cr3t" not in str(failure(target_of(tmp_path, vendor, params={"key": "s3cr3t"})))
    vendor.url = url


# --- pages ----------------------------------------------------------------------------------------------------------


def scopes(*names: str) -> list[dict[str, Any]]:
    return [{**SCOPE, "name": name} for name in names]


def linked(request: Request) -> Response:
    page = int(request.args.get("page", 1))
    response = Response(json.dumps({"scopes": scopes(f"s{page}")}))
    if page < 3:
        response.headers["Link"] = f'</usage?page={page + 1}>; rel="next", </usage?page=1>; rel="first"'
    return response


def cursored(request: Request) -> dict[str, Any]:
    place = request.args.get("after", "1")
    return {"scopes": scopes(f"s{place}"), "next": {"1": "2", "2": "3"}.get(place)}


def numbered(request: Request) -> dict[str, Any]:
    page = int(request.args["p"])
    return {"scopes": scopes(f"s{page}") if page <= 3 else []}


def posted(request: Request) -> dict[str, Any]:
    after = request.get_json()["variables"].get("after") or "1"
    return {"scopes": scopes(f"s{after}"), "next": {"1": "2", "2": "3"}.get(after)}


def links(written: str) -> Any:
    """A vendor of three pages, whose Link header is written in some way; {n} is the next page's number."""

    def answer(request: Request) -> Response:
        page = int(request.args.get("page", 1))
        fields = {"Link": written.replace("{n}", str(page + 1))} if page < 3 else {}
        return Response(json.dumps({"scopes": scopes(f"s{page}")}), headers=fields)

    return answer


def urls(written: str) -> Any:
    """The same, with the URL in the body."""

    def answer(request: Request) -> dict[str, Any]:
        page = int(request.args.get("page", 1))
        url = written.replace("{n}", str(page + 1)).replace("{root}", request.host_url)
        return {"scopes": scopes(f"s{page}"), "nextLink": url if page < 3 else None}

    return answer


def offset(request: Request) -> dict[str, Any]:
    start = int(request.args["skip"])
    return {"scopes": scopes("s1", "s2", "s3")[start : start + 2]}


LINK = {"by": "link", "items": "scopes"}
URL = {"by": "url", "next_url": "nextLink", "items": "scopes"}
OFFSET = {"by": "offset", "parameter": "skip", "items": "scopes"}
CURSOR = {"by": "cursor", "cursor": "next", "parameter": "after", "items": "scopes"}
PAGE = {"by": "page", "parameter": "p", "items": "scopes"}


@pytest.mark.parametrize(
    ("answer", "api"),
    [
        (linked, {"paging": LINK}),
        (cursored, {"paging": CURSOR}),
        (numbered, {"paging": PAGE}),
        (links('</usage?page={n}>; rel="next last"'), {"paging": LINK}),
        (links("</usage?page={n}>; REL=Next"), {"paging": LINK}),
        (
            links('</usage?page={n}>;rel = \'x\';rel=next, <?page={n}>;title="a,\\"<b>; rel=next" ; rel=NEXT'),
            {"paging": LINK},
        ),
        (links('</other>; rel=next; anchor="/about", <?page={n}>; rel="up  next"; rel=last'), {"paging": LINK}),
        (urls("{root}usage?page={n}"), {"paging": URL}),
        (urls("?page={n}"), {"paging": URL}),
        (urls("/usage?page={n}"), {"paging": URL}),
        (offset, {"paging": OFFSET}),
        (posted, {"paging": CURSOR, "body": {"query": "q", "variables": {"org": 1}}}),
    ],
)
def test_pages_are_read_to_the_end(tmp_path: Path, vendor: Vendor, answer: Any, api: dict[str, Any]) -> None:
    vendor.answer = by_path(usage=answer)
    assert [scope.name for scope in read(target_of(tmp_path, vendor, **api)).scopes] == ["s1", "s2", "s3"]


@pytest.mark.parametrize(
    ("answer", "paging", "message"),
    [
        (linked, {**LINK, "max_pages": 2}, "paging: there are more than max_pages (2) pages"),
        (lambda _: {"scopes": scopes("a"), "next": "1"}, CURSOR, "paging: page 2 leads back to a page before it"),
        (
            lambda _: {"scopes": scopes("a"), "next": [1]},
            CURSOR,
            "paging: the cursor 'next' on page 1 is no text or number",
        ),
        (lambda _: {"scope": []}, PAGE, "paging: page 1 has no list or object at 'scopes'"),
        (
            lambda _: Response('{"scopes": []}', headers={"Link": '<http://elsewhere.example/>; rel="next"'}),
            LINK,
            "paging: the page after page 1 is at another host, elsewhere.example",
        ),
        (
            urls("http://127.0.0.1:9/usage?page={n}"),
            URL,
            "paging: the page after page 1 is at another host, 127.0.0.1:9",
        ),
        (urls("//elsewhere.example/"), URL, "paging: the page after page 1 is at another host, elsewhere.example"),
        (urls("http://[/"), URL, "paging: the link to the page after page 1 is no URL"),
        (urls("{root}usage"), URL, "paging: page 2 leads back to a page before it"),
        (lambda _: {"scopes": [], "nextLink": 2}, URL, "paging: the URL 'nextLink' on page 1 is no text"),
        (
            links("/usage?page={n}; rel=next"),
            LINK,
            "paging: the Link header of page 1 is malformed: it has no <URL> at character 1",
        ),
        (
            links('</usage>; rel="next'),
            LINK,
            "paging: the Link header of page 1 is malformed: it cannot be read from character 15 on",
        ),
    ],
)
def test_pages_that_do_not_end_well_fail_the_poll(
    tmp_path: Path, vendor: Vendor, answer: Any, paging: dict[str, Any], message: str
) -> None:
    vendor.answer = by_path(usage=answer)
    assert str(failure(target_of(tmp_path, vendor, paging=paging))) == message


def test_a_page_that_fails_fails_the_poll(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage=lambda r: Response(status=500) if "after" in r.args else cursored(r))
    assert failure(target_of(tmp_path, vendor, paging=CURSOR)).reason == "server_error"


# --- several requests -----------------------------------------------------------------------------------------------

JOINED = {
    "url": "/usage",
    "requests": {"limits": {"url": "/limits"}, "history": {"url": "/history"}},
    "mapping": {
        "limit": {"request": "limits", "path": "most"},
        "plan": "answer('limits').plan",
        "daily": {"entries": {"request": "history", "path": "@", "optional": True}},
        "joins": {"limits": {"scopes": "products", "name": "code"}, "history": {"scopes": "@"}},
    },
}


def test_answers_are_joined_by_scope(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(
        usage={"scopes": [{"name": "A", "used": 1}, {"name": "B", "used": 2}]},
        limits={"plan": "Gold", "products": [{"code": "B", "most": 20}, {"code": "A", "most": 10}]},
        history={"A": {"2026-11-21": 5}},
    )
    first, second = read(target_of(tmp_path, vendor, **JOINED)).scopes
    assert (first.name, first.limit, first.plan, first.daily) == (
        "A",
        10,
        "Gold",
        (DailyUsage(date(2026, 11, 21), 5),),
    )
    assert (second.name, second.limit, second.daily) == ("B", 20, None)


def test_a_scope_that_another_answer_lacks_is_a_misfit_that_names_the_request(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(
        usage={"scopes": [{"name": "A", "used": 1}]}, limits={"plan": "Gold", "products": []}, history={}
    )
    assert "limit: expression 'most' of request 'limits' gave null" in str(
        failure(target_of(tmp_path, vendor, **JOINED))
    )


def test_one_request_of_several_that_fails_fails_the_poll(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage={"scopes": []}, limits=lambda _: Response(status=503), history={})
    assert failure(target_of(tmp_path, vendor, **JOINED)).reason == "server_error"


@pytest.mark.parametrize(
    ("api", "message"),
    [
        ({"requests": {"main": {"url": "/x"}}}, "requests must not hold 'main': that is the api's own url"),
        ({"mapping": {"limit": {"request": "x", "path": "y"}}}, "the mapping names the request 'x', which is not among requests"),
        ({"paging": {"by": "page"}}, "by: page needs parameter"),
        ({"paging": {"by": "url"}}, "by: url needs next_url"),
        ({"paging": {"by": "offset"}}, "by: offset needs parameter"),
        ({"method": "POST", "paging": URL}, "paging by: url goes with method: GET"),
        ({"method": "HEAD"}, "method: HEAD brings no body; it goes with read: rate_limit_headers"),
        ({"mapping": {"organisations": "a"}, "url": "/{organisation_id}"}, "needs a url that is for all"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(tmp_path: Path, vendor: Vendor, api: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        target_of(tmp_path, vendor, **api)
    assert message in str(caught.value)


# --- values ---------------------------------------------------------------------------------------------------------


def test_values_from_headers(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response('{"name": "A"}', headers={"X-Used": "12", "X-Quota": "100", "X-Plan": "Gold"})
    mapping = {
        "scopes": "[@]",
        "requests": {"header": "x-used"},
        "limit": {"header": "X-Quota"},
        "plan": {"header": "X-Plan"},
    }
    (scope,) = read(target_of(tmp_path, vendor, mapping=mapping)).scopes
    assert (scope.requests, scope.limit, scope.plan) == (12, 100, "Gold")


def test_scopes_are_filtered_and_overridden(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage={"scopes": [{**SCOPE, "on": True}, {**SCOPE, "name": "B", "on": False}]})
    override = {"name": "Alpha", "limit": "unlimited", "rate_limit_per_minute": 5, "unit": "tokens", "period": "day"}
    (scope,) = read(target_of(tmp_path, vendor, mapping={"filter": "on"}, overrides={"A": override})).scopes
    assert (scope.name, scope.limit, scope.rate_limit_per_minute, scope.unit) == ("Alpha", None, 5, "tokens")
    assert scope.period == BillingPeriod(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def test_hours_are_summed_to_days_of_the_vendor_s_zone(tmp_path: Path, vendor: Vendor) -> None:
    hours = [{"at": f"2026-11-20T{hour:02}:00:00Z", "n": 1} for hour in range(24)]
    vendor.answer = by_path(usage={"scopes": [{**SCOPE, "hours": hours}]})
    daily = {"entries": "hours", "date": "at", "requests": "n", "finer": True}
    (scope,) = read(target_of(tmp_path, vendor, mapping={"daily": daily}, time_zone="Europe/Berlin")).scopes
    assert scope.daily == (DailyUsage(date(2026, 11, 20), 23), DailyUsage(date(2026, 11, 21), 1))


def test_a_period_told_by_its_remaining_seconds(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage={"scopes": [{**SCOPE, "left": 3600}]})
    (scope,) = read(target_of(tmp_path, vendor, mapping={"period": {"ends_in": "left", "length": "1d"}})).scopes
    assert scope.period == BillingPeriod(
        datetime(2026, 11, 21, 13, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC)
    )


# --- one answer for many organisations ------------------------------------------------------------------------------


def test_one_answer_serves_many_organisations_with_one_call(tmp_path: Path, vendor: Vendor, clock: FakeClock) -> None:
    vendor.answer = by_path(
        usage={
            "accounts": [
                {"id": 1, "scopes": scopes("A")},
                {"id": 2, "scopes": scopes("B", "C")},
                {"id": 9, "scopes": []},
            ]
        }
    )
    api = {
        "url": f"{vendor.url}/usage",
        "mapping": {**MAPPING, "organisations": "accounts", "organisation_id": "id"},
        "organisations": [{"id": 1}, {"id": 2, "name": "Two"}, {"id": 3}],
    }
    outcomes: dict[str, Outcome] = {}
    poller = Poller(lambda target, outcome: outcomes.update({target.organisation.display_name: outcome}), clock)
    poller.set_targets(load(tmp_path / "c.yaml", api).targets)
    poller.run_due()
    assert poller.wait_idle(10)
    assert len(vendor.requests) == 1
    found = {
        name: [scope.name for scope in outcome.scopes] if isinstance(outcome, UsageSnapshot) else str(outcome)
        for name, outcome in outcomes.items()
    }
    missing = "organisations: expression 'accounts' holds none with the id '3'"
    assert found == {"1": ["A"], "Two": ["B", "C"], "3": missing}
    clock.advance(seconds=460)
    poller.run_due()
    assert poller.wait_idle(10)
    assert len(vendor.requests) == 2
    vendor.answer = lambda _: Response(status=500)
    clock.advance(seconds=320)
    poller.run_due()
    assert poller.wait_idle(10)
    assert [getattr(outcome, "reason", None) for outcome in outcomes.values()] == ["server_error"] * 3
    poller.stop()


# --- OAuth 2 --------------------------------------------------------------------------------------------------------


class TokenVendor:
    """Gives out tokens t1, t2, …; its usage endpoint takes only the newest."""

    def __init__(self, expires_in: int = 3600) -> None:
        self.given = 0
        self.expires_in = expires_in

    def token(self, request: Request) -> Any:
        assert request.form["grant_type"] == "client_credentials"
        if request.authorization is None or request.authorization.password != "s3cr3t":
            return Response('{"error": "invalid_client"}', 401)
        self.given += 1
        return {"access_token": f"t{self.given}", "token_type": "Bearer", "expires_in": self.expires_in}

    def usage(self, request: Request) -> Any:
        if request.headers.get("Authorization") != f"Bearer t{self.given}":
            return Response(status=401)
        return {"scopes": [SCOPE]}


def oauth_target(tmp_path: Path, vendor: Vendor, **more: Any) -> Target:
    auth = {
        "type": "oauth2",
        "token_url": f"{vendor.url}/token",
        "client_id": "me",
        "client_secret": "s3cr3t",
        **more,
    }
    return target_of(tmp_path, vendor, auth=auth)


def test_a_token_is_fetched_kept_and_fetched_again_when_refused(tmp_path: Path, vendor: Vendor) -> None:
    tokens = TokenVendor()
    vendor.answer = by_path(token=tokens.token, usage=tokens.usage)
    target, clock = oauth_target(tmp_path, vendor, scope="read", audience="usage"), FakeClock()
    client = VendorClient(target, clock)
    for _ in range(3):
        assert isinstance(poll(target, client, clock), UsageSnapshot)
    assert tokens.given == 1
    asked = vendor.requests[0]
    assert (asked.path, asked.form["scope"], asked.form["audience"]) == ("/token", "read", "usage")
    tokens.given += 1  # the vendor forgets the token that we hold
    assert isinstance(poll(target, client, clock), UsageSnapshot)
    assert tokens.given == 3


def test_a_token_that_has_expired_is_renewed_without_a_refusal(tmp_path: Path, vendor: Vendor) -> None:
    tokens = TokenVendor(expires_in=1)
    vendor.answer = by_path(token=tokens.token, usage=tokens.usage)
    target, clock = oauth_target(tmp_path, vendor), FakeClock()
    client = VendorClient(target, clock)
    for _ in range(2):
        assert isinstance(poll(target, client, clock), UsageSnapshot)
    assert tokens.given == 2
    assert [request.path for request in vendor.requests] == ["/token", "/usage"] * 2


@pytest.mark.parametrize(
    ("token", "reason", "message"),
    [
        (
            lambda _: Response('{"error": "invalid_client"}', 401),
            "auth",
            "the token endpoint refused: invalid_client",
        ),
        (lambda _: Response("<html>", 200), "auth", "the token endpoint's answer is no token"),
        (lambda _: Response("{}", 200), "auth", "the token endpoint's answer is no token"),
        (lambda _: Response(status=503), "server_error", "the token endpoint answered 503"),
    ],
)
def test_token_endpoints_that_fail(tmp_path: Path, vendor: Vendor, token: Any, reason: str, message: str) -> None:
    vendor.answer = by_path(token=token, usage={"scopes": []})
    error = failure(oauth_target(tmp_path, vendor))
    assert (error.reason, str(error)) == (reason, message)


def service_account(vendor: Vendor, private: Any) -> str:
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "usage@project.iam.gserviceaccount.com",
            "private_key": pem,
            "private_key_id": "k1",
            "token_uri": f"{vendor.url}/token",
        }
    )


def test_a_google_service_account_exchanges_an_assertion_for_a_token(tmp_path: Path, vendor: Vendor) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = tmp_path / "key.json"
    key.write_text(service_account(vendor, private), encoding="utf-8")
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    given = []

    def token(request: Request) -> Any:
        assert request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        signed = jwt.decode(request.form["assertion"], RSAKey.import_key(public), algorithms=["RS256"])
        assert signed.header["kid"] == "k1"
        claims = signed.claims
        assert claims["iss"] == "usage@project.iam.gserviceaccount.com"
        assert (claims["aud"], claims["scope"]) == (
            f"{vendor.url}/token",
            "https://www.googleapis.com/auth/monitoring.read",
        )
        assert 0 < claims["exp"] - claims["iat"] <= 3600
        given.append(request)
        return {"access_token": "g1", "token_type": "Bearer", "expires_in": 3599}

    vendor.answer = by_path(
        token=token,
        usage=lambda request: (
            {"scopes": [SCOPE]} if request.headers["Authorization"] == "Bearer g1" else Response(status=401)
        ),
    )
    auth = {"type": "google", "key": {"file": str(key)}, "scope": "https://www.googleapis.com/auth/monitoring.read"}
    target, clock = target_of(tmp_path, vendor, auth=auth), FakeClock()
    client = VendorClient(target, clock)
    for _ in range(2):
        assert isinstance(poll(target, client, clock), UsageSnapshot)
    assert len(given) == 1


@pytest.mark.parametrize("key", ["no JSON", "[]", '{"client_email": "a", "private_key": "no key", "token_uri": "u"}'])
def test_what_is_no_service_account_s_key(tmp_path: Path, vendor: Vendor, key: str) -> None:
    error = failure(target_of(tmp_path, vendor, auth={"type": "google", "key": key}))
    assert error.reason == "auth"
    assert "the key is no service account's key file" in str(error)
    assert "no key" not in str(error).replace("is no service", "")


def test_a_token_endpoint_that_is_down(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = by_path(usage={"scopes": []})
    auth = {"type": "oauth2", "token_url": "http://127.0.0.1:9/token", "client_id": "me", "client_secret": "s3cr3t"}
    error = failure(target_of(tmp_path, vendor, auth=auth))
    assert (error.reason, str(error)) == ("connection", "connection to 127.0.0.1:9 failed: Connection refused")


# --- any answer -----------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_any_answers_to_joined_requests_are_read_or_refused(main: Any, limits: Any, history: Any) -> None:
    from exporter.errors import ResponseError  # noqa: PLC0415
    from exporter.model import Answer  # noqa: PLC0415
    from exporter.vendor.reading import map_answers  # noqa: PLC0415

    mapping = {**MAPPING, **JOINED["mapping"]}  # type: ignore[dict-item]
    api = Api.model_validate(
        {"name": "x", "base_url": "http://x", "organisations": [{"id": "a"}], **JOINED, "mapping": mapping}
    )
    answers = {"main": Answer({"scopes": main}), "limits": Answer({"products": limits}), "history": Answer(history)}
    try:
        snapshot = map_answers(answers, api=api, organisation="a", now=NOW)
    except ResponseError:
        return
    assert all((scope.requests or 0) >= 0 for scope in snapshot.scopes)
