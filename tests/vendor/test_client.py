"""Asking a vendor over real HTTP: sign-in, conditional requests, and every failure by its name."""

import gzip
import socket
from base64 import b64encode
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.errors import (
    AuthError,
    ConnectionFailed,
    PollError,
    PollTimeoutError,
    RateLimitedError,
    RequestError,
    ResponseError,
    ServerError,
)
from exporter.model import MAIN_REQUEST
from exporter.redaction import redact
from exporter.vendor.client import VendorClient, retry_after
from tests.support import raw
from tests.support.asking import failure
from tests.support.clock import FakeClock
from tests.support.factories import make_target
from tests.support.http import Vendor

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def client(tmp_path: Path, vendor: Vendor | str, **api: Any) -> VendorClient:
    url = vendor if isinstance(vendor, str) else f"{vendor.url}/usage"
    return VendorClient(make_target(tmp_path, **{"url": url, **api}), SystemClock())


def fetched(client: VendorClient) -> Any:
    """The body of the main request's answer."""
    return client.fetch()["main"].body


def answering(status: int = 200, body: str | bytes = "{}", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(body, status, headers=named)


def raw_server(*chunks: bytes, pause: float = 0.0) -> AbstractContextManager[str]:
    """A server that sends these bytes as they are, pausing between them, and hangs up."""
    return raw.raw_server(raw.sending(*chunks, pause=pause))


def test_the_answer_is_parsed_json(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(body='{"a": 1}')
    assert fetched(client(tmp_path, vendor)) == {"a": 1}
    assert vendor.requests[0].headers["User-Agent"].startswith("api-usage-exporter/")
    assert "Authorization" not in vendor.requests[0].headers


def test_ids_are_percent_encoded_into_the_path(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering()
    organisations = [{"id": "a/../b c", "name": "N"}]
    client(tmp_path, f"{vendor.url}/{{organisation_id}}/{{organisation_name}}", organisations=organisations).fetch()
    assert vendor.requests[0].environ["REQUEST_URI"] == "/a%2F..%2Fb%20c/N"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t0ken"}, "Authorization", "Bearer t0ken"),
        ({"type": "header", "value": "k3y"}, "X-API-Key", "k3y"),
        ({"type": "header", "name": "X-Other", "value": "k3y"}, "X-Other", "k3y"),
        ({"type": "basic", "username": "üser", "password": "pä:ss"}, "Authorization", "Basic w7xzZXI6cMOkOnNz"),
    ],
)
def test_signing_in(tmp_path: Path, vendor: Vendor, auth: Any, header: str, value: str) -> None:
    vendor.answer = answering()
    client(tmp_path, vendor, auth=auth).fetch()
    assert vendor.requests[0].headers[header] == value


def test_a_key_as_user_name_with_no_password(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.answer = answering()
    monkeypatch.setenv("KEY", "a-key-as-user-name")
    client(tmp_path, vendor, auth={"type": "basic", "username": {"env": "KEY"}}).fetch()
    assert vendor.requests[0].headers["Authorization"] == "Basic " + b64encode(b"a-key-as-user-name:").decode()
    assert redact("a-key-as-user-name") == "<secret>"


def test_secrets_of_an_organisation_in_path_parameters_headers_and_body(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering()
    (tmp_path / "key").write_text("file/key of acme\n")
    api = {
        "url": f"{vendor.url}/bot{{secret_key}}/usage",
        "params": {"k": "{secret_key}"},
        "headers": {"X-Of-All": "v {secret_all}"},
        "body": {"k": "{secret_key}"},
        "secrets": {"all": "secret-of-all", "key": "not-used-by-acme"},
        "organisations": [{"id": "acme", "secrets": {"key": {"file": "key"}}}],
    }
    client(tmp_path, vendor, **api).fetch()
    (asked,) = vendor.requests
    assert asked.environ["REQUEST_URI"] == "/botfile%2Fkey%20of%20acme/usage?k=file%2Fkey+of+acme"
    assert (asked.headers["X-Of-All"], asked.json) == ("v secret-of-all", {"k": "file/key of acme"})
    assert redact("file/key of acme, secret-of-all") == "<secret>, <secret>"


def test_a_secret_file_that_is_gone_is_a_failure_of_the_sign_in(tmp_path: Path, vendor: Vendor) -> None:
    (tmp_path / "key").write_text("a-key-in-a-file")
    asking = client(tmp_path, f"{vendor.url}/{{secret_key}}", secrets={"key": {"file": "key"}})
    (tmp_path / "key").unlink()
    with pytest.raises(AuthError, match="cannot be used: cannot read .*key: No such file"):
        asking.fetch()


def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering()
    token = tmp_path / "token"
    token.write_text("old\n")
    asking = client(tmp_path, vendor, auth={"type": "bearer", "token": {"file": "token"}})
    asking.fetch()
    token.write_text("new\n")
    asking.fetch()
    assert [request.headers["Authorization"] for request in vendor.requests] == ["Bearer old", "Bearer new"]
    token.unlink()
    with pytest.raises(AuthError, match="the credentials cannot be used: cannot read .*: No such file or directory"):
        asking.fetch()


def test_a_secret_that_no_header_can_hold(tmp_path: Path, vendor: Vendor) -> None:
    asking = client(tmp_path, vendor, auth={"type": "bearer", "token": "schlüssel"})
    with pytest.raises(AuthError, match="characters that a header cannot hold") as caught:
        asking.fetch()
    assert "schl" not in str(caught.value)


def test_headers_that_come_with_an_unchanged_answer_are_new(tmp_path: Path, vendor: Vendor) -> None:
    used = iter(["100", "200", "300"])

    def answer(request: Request) -> Response:
        status = 304 if "If-None-Match" in request.headers else 200
        return Response("{}", status=status, headers={"ETag": '"v1"', "X-Used": next(used), "X-Plan": "Pro"})

    vendor.answer = answer
    asking = client(tmp_path, vendor)
    assert [asking.fetch()[MAIN_REQUEST].headers["x-used"] for _ in range(3)] == ["100", "200", "300"]


def test_an_unchanged_answer_is_not_sent_again(tmp_path: Path, vendor: Vendor) -> None:
    def answer(request: Request) -> Response:
        if request.headers.get("If-None-Match") == '"v1"':
            assert request.headers["If-Modified-Since"] == "Sun, 22 Nov 2026 00:00:00 GMT"
            return Response(status=304)
        return Response('{"a": 1}', headers={"ETag": '"v1"', "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT"})

    vendor.answer = answer
    asking = client(tmp_path, vendor)
    assert fetched(asking) == {"a": 1}
    assert fetched(asking) == {"a": 1}
    vendor.answer = answering(body='{"a": 2}')
    assert fetched(asking) == {"a": 2}
    vendor.answer = answering(body='{"a": 3}')
    assert fetched(asking) == {"a": 3}
    assert "If-None-Match" not in vendor.requests[-1].headers


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, AuthError, "the vendor answered 401 UNAUTHORIZED: check the credentials"),
        (403, AuthError, "the vendor answered 403 FORBIDDEN"),
        (429, RateLimitedError, "the vendor answered 429 TOO MANY REQUESTS"),
        (500, ServerError, "the vendor answered 500 INTERNAL SERVER ERROR"),
        (503, ServerError, "the vendor answered 503 SERVICE UNAVAILABLE"),
        (404, RequestError, "the vendor answered 404 NOT FOUND"),
        (400, RequestError, "the vendor answered 400 BAD REQUEST"),
        (304, ResponseError, "the vendor answered 304 NOT MODIFIED, to a request that set no condition"),
        (204, ResponseError, "the vendor answered 204 NO CONTENT, which is no usage answer"),
    ],
)
def test_failures_by_status(tmp_path: Path, vendor: Vendor, status: int, error: type[PollError], words: str) -> None:
    vendor.answer = answering(status)
    with pytest.raises(error) as caught:
        client(tmp_path, vendor).fetch()
    assert str(caught.value).startswith(words)


def test_redirects_are_not_followed(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(302, Location="http://elsewhere.example/steal?token=x")
    with pytest.raises(RequestError, match="a redirect to elsewhere.example; put the final address into url"):
        client(tmp_path, vendor, auth={"type": "bearer", "token": "t0ken"}).fetch()
    assert len(vendor.requests) == 1


def test_a_redirect_s_location_may_be_nonsense_and_its_body_without_end(tmp_path: Path) -> None:
    header = b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 1000000000\r\n\r\n"
    with (
        raw_server(header, *[b"x" * 1000] * 1000, pause=0.05) as url,
        pytest.raises(RequestError, match="302 Found, a redirect; put the final address into url"),
    ):
        client(tmp_path, url, timeout="5s").fetch()


def test_a_proxy_that_refuses_is_named_as_the_cause(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.answer = lambda _: Response(status=407)
    monkeypatch.setenv("https_proxy", vendor.url)
    with pytest.raises(ConnectionFailed, match="the proxy on the way to vendor.invalid failed: .*407"):
        client(tmp_path, "https://vendor.invalid/usage").fetch()


@pytest.mark.parametrize(
    ("status", "error", "waited"), [(429, RateLimitedError, 120), (503, ServerError, 120), (500, ServerError, None)]
)
def test_retry_after_is_told(
    tmp_path: Path, vendor: Vendor, status: int, error: type[PollError], waited: float | None
) -> None:
    vendor.answer = answering(status, Retry_After="120")
    with pytest.raises(error) as caught:
        client(tmp_path, vendor).fetch()
    assert caught.value.retry_after == waited


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("90", 90),
        (format_datetime(NOW.replace(minute=5), usegmt=True), 300),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0),
        ("99999999999", 86_400),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_nothing_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}/secret-path?key=s3cr3t"
    with pytest.raises(ConnectionFailed, match=r"connection to 127.0.0.1:\d+ failed: Connection refused") as caught:
        client(tmp_path, url).fetch()
    assert "secret" not in str(caught.value)


def test_an_unknown_host(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="connection to no-such-host.invalid failed"):
        client(tmp_path, "http://no-such-host.invalid/").fetch()


def test_plain_http_where_tls_is_expected(tmp_path: Path, vendor: Vendor) -> None:
    with pytest.raises(ConnectionFailed, match="TLS to 127.0.0.1"):
        client(tmp_path, vendor.url.replace("http:", "https:")).fetch()


def test_a_connection_cut_midway(tmp_path: Path) -> None:
    with (
        raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b'{"a":') as url,
        pytest.raises(ConnectionFailed, match="connection to .* failed: IncompleteRead"),
    ):
        client(tmp_path, url).fetch()


def test_an_answer_that_is_no_http(tmp_path: Path) -> None:
    with raw_server(b"220 mail.example ESMTP\r\n") as url, pytest.raises(ConnectionFailed):
        client(tmp_path, url).fetch()


def test_a_vendor_that_does_not_answer(tmp_path: Path) -> None:
    with raw_server(b"", b"", pause=5) as url, pytest.raises(PollTimeoutError, match=r"within the timeout of 0.2 s"):
        client(tmp_path, url, timeout="200ms").fetch()


def test_a_slow_drip_ends_at_the_timeout(tmp_path: Path) -> None:
    header = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with (
        raw_server(header, *[b" "] * 100, pause=0.05) as url,
        pytest.raises(PollTimeoutError, match="was not complete within the timeout of 0.3 s"),
    ):
        client(tmp_path, url, timeout="300ms").fetch()


def test_a_drip_after_a_sign_in_ends_at_the_timeout_too(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response(
        '{"access_token": "t0ken-1", "token_type": "bearer"}', mimetype="application/json"
    )
    auth = {"type": "oauth2", "token_url": f"{vendor.url}/token", "client_id": "me", "client_secret": "s3cr3t"}
    with (
        raw_server(b"HTTP/1.1 200 OK\r\n", *[b"X: a\r\n"] * 100, pause=0.05) as url,
        pytest.raises(PollTimeoutError, match="was not complete within the timeout of 1 s"),
    ):
        client(tmp_path, url, timeout="1s", auth=auth).fetch()


def test_an_answer_over_the_size_cap(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(body="[" + "0," * 100_000 + "0]")
    with pytest.raises(ResponseError, match=r"larger than max_response_bytes \(1000\)"):
        client(tmp_path, vendor, max_response_bytes=1000).fetch()


def test_a_decompression_bomb_meets_the_same_cap(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(body=gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(ResponseError, match="larger than max_response_bytes"):
        client(tmp_path, vendor).fetch()


def test_compressed_answers(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(body=gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")
    assert fetched(client(tmp_path, vendor)) == {"a": 1}
    vendor.answer = answering(body=b"no gzip", Content_Encoding="gzip")
    with pytest.raises(ResponseError, match="the answer's compression is damaged"):
        client(tmp_path, vendor).fetch()


def test_an_html_page_instead_of_json(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = answering(body="<!DOCTYPE html><p>Sign in")
    with pytest.raises(ResponseError, match="the answer is an HTML page .* it begins"):
        client(tmp_path, vendor).fetch()


def test_a_fake_clock_decides_on_the_deadline(tmp_path: Path, vendor: Vendor) -> None:
    clock = FakeClock()

    def late(_: Request) -> Response:
        clock.advance(seconds=11)
        return Response("{}")

    vendor.answer = late
    with pytest.raises(PollTimeoutError):
        VendorClient(make_target(tmp_path, url=vendor.url), clock).fetch()


@pytest.mark.parametrize(
    ("response", "ends"),
    [
        (Response('{"error": "key s3cr3t-key revoked"}', 401), '; sent was the environment variable VENDOR_KEY; the vendor says "{\\"error\\": \\"key <secret> revoked\\"}"'),
        (Response("no such plan\n", 404), '; the vendor says "no such plan"'),
        (Response("<html>Forbidden</html>", 403), "; sent was the environment variable VENDOR_KEY"),
        (Response("x" * 20_000, 400), "400 BAD REQUEST"),
    ],
)  # fmt: skip
def test_a_refusal_has_the_vendor_s_words_and_the_secret_s_name(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, response: Response, ends: str
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "s3cr3t-key")
    vendor.answer = lambda _: response
    auth = {"type": "header", "name": "X-Key", "value": {"env": "VENDOR_KEY"}}
    message = str(failure(make_target(tmp_path, url=vendor.url, auth=auth)))
    assert message.endswith(ends), message
