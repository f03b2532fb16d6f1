"""What a vendor may try, on purpose or not: every attempt ends in time, in bounds, and as a failure with a name."""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.errors import AuthError, PollError, PollTimeoutError, RequestError, ResponseError
from exporter.exposition.bodies import TEXT
from exporter.model import Answer, UsageSnapshot
from exporter.service import Service
from exporter.state.database import Database
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import poll
from exporter.vendor.reading import map_answers
from exporter.vendor.strict_json import parse_json
from tests.support.clock import FakeClock
from tests.support.factories import answer, make_target, write_config
from tests.support.http import Vendor
from tests.support.raw import Behaviour, dripping, raw_server, sending
from tests.support.watched import store_of

TIMEOUT = "300ms"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(tmp_path: Path, url: str, **api: Any) -> Any:
    return VendorClient(make_target(tmp_path, url=url, **api), SystemClock()).fetch()["main"].body


def silent_tls(connection: Any, stop: threading.Event) -> None:
    connection.recv(65536)
    while not stop.wait(0.02):
        connection.sendall(b"\x16")  # a TLS record that never gets whole: type, then version and length byte by byte


@pytest.mark.parametrize(
    ("behave", "scheme"),
    [
        (dripping(b"", b"H"), "http"),
        (dripping(b"HTTP/1.1 200 OK\r\n", b"X-Header: a\r\n", 0.05), "http"),
        (dripping(b"HTTP/1.1 200 OK\r\nX-Header: ", b"a"), "http"),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "http"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "), "http"),
        (dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), "http"),
        (dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"), "http"),
        # Without a length the end that the deadline brings looks like the answer's own.
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n{}", b" "), "http"),
        (silent_tls, "https"),
    ],
    ids=["status", "headers", "header", "continue", "body", "chunks", "extension", "until-close", "handshake"],
)  # fmt: skip
def test_drips_end_at_the_timeout(tmp_path: Path, behave: Behaviour, scheme: str) -> None:
    begun = time.monotonic()
    with raw_server(behave) as url, pytest.raises((PollTimeoutError, PollError)) as caught:
        fetch(tmp_path, url.replace("http:", f"{scheme}:"), timeout=TIMEOUT)
    assert time.monotonic() - begun < 2
    if behave is not silent_tls:  # there OpenSSL may see that it is no TLS first
        assert str(caught.value) == "the answer was not complete within the timeout of 0.3 s"


def test_no_socket_or_thread_is_left_of_a_drip(tmp_path: Path) -> None:
    files = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    for _ in range(5):
        with raw_server(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a")) as url, pytest.raises(PollTimeoutError):
            fetch(tmp_path, url, timeout="100ms")
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


@pytest.fixture
def token_vendor(vendor: Vendor) -> Vendor:
    vendor.answer = lambda _: Response("{}")
    return vendor


@pytest.mark.parametrize(
    ("behave", "error", "words"),
    [
        (dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a"), PollTimeoutError, "not complete within the timeout"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 60_000, 0), AuthError, "larger than 100000 bytes"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b""), AuthError, "is no token"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n" + b'{"access_token": "x", "expires_in": [1, 2]}'[:42], b""), AuthError, "is no token"),
    ],
)  # fmt: skip
def test_a_token_endpoint_is_not_trusted_either(
    tmp_path: Path, token_vendor: Vendor, behave: Behaviour, error: type[PollError], words: str
) -> None:
    auth = {"type": "oauth2", "client_id": "me", "client_secret": "s3cr3t"}
    with raw_server(behave) as url, pytest.raises(error, match=words):
        fetch(tmp_path, token_vendor.url, auth={**auth, "token_url": url}, timeout=TIMEOUT)


def test_a_token_whose_life_is_no_number(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response('{"access_token": "x", "expires_in": [1]}', content_type="application/json")
    auth = {"type": "oauth2", "token_url": f"{vendor.url}/token", "client_id": "me", "client_secret": "s3cr3t"}
    with pytest.raises(AuthError, match="is no token"):
        fetch(tmp_path, vendor.url, auth=auth)


@pytest.mark.parametrize("depth", [101, 500, 990, 5000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_capped(depth: int, opening: str, closing: str) -> None:
    inner = "1" if opening != "[" else ""
    with pytest.raises(ResponseError, match=r"nested more than 100 deep|recursion"):
        parse_json((opening * depth + inner + closing * depth).encode())
    assert parse_json((opening * 50 + inner + closing * 50).encode())


@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/html", "application/octet-stream", "", "application/json; charset=latin1"]
)
def test_json_is_json_whatever_the_content_type_says(tmp_path: Path, vendor: Vendor, content_type: str) -> None:
    vendor.answer = lambda _: Response('{"a": 1}', content_type=content_type)
    assert fetch(tmp_path, vendor.url) == {"a": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "file:///etc/passwd", "//other", "/same", "\x7f", "http://[::1"])  # fmt: skip
def test_redirects_are_never_followed(tmp_path: Path, status: int, location: str) -> None:
    asked: list[bytes] = []

    def behave(connection: Any, _: threading.Event) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    with raw_server(behave) as url:
        target = make_target(tmp_path, url=url)
        outcome = poll(target, VendorClient(target, SystemClock()), SystemClock())
    assert isinstance(outcome, PollError)
    assert (outcome.reason, len(asked)) == ("request", 1)


@pytest.mark.parametrize(
    "line", ["500 " + "a" * 60_000, "500 \x1b[31mred\x07", "302 Go\r\nLocation: http://" + "a" * 60_000]
)
def test_status_lines_and_hosts_make_bearable_messages(tmp_path: Path, line: str) -> None:
    sent = f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(sending(sent)) as url, pytest.raises(PollError) as caught:
        fetch(tmp_path, url)
    assert len(str(caught.value)) < 1100
    assert str(caught.value).isprintable()


def test_a_redirect_s_body_is_not_read(tmp_path: Path) -> None:
    sent = [0]

    def behave(connection: Any, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 302 Go\r\nLocation: /b\r\n\r\n")
        while not stop.is_set():
            sent[0] += connection.send(b" " * 65536)

    with raw_server(behave) as url, pytest.raises(RequestError):
        fetch(tmp_path, url)
    assert sent[0] < 20_000_000  # what the kernel buffers


def mapped(tmp_path: Path, body: Any, clock: FakeClock, **api: Any) -> UsageSnapshot:
    target = make_target(tmp_path, **api)
    return map_answers({"main": Answer(body)}, api=target.api, organisation="acme", now=clock.now())


def test_scopes_beyond_the_cap_are_a_failure_and_the_first_come_through(tmp_path: Path, clock: FakeClock) -> None:
    body = answer(*({"name": f"s{number}"} for number in range(1500)))
    snapshot = mapped(tmp_path, body, clock)
    assert [scope.name for scope in snapshot.scopes] == [f"s{number}" for number in range(1000)]
    assert [misfit.message for misfit in snapshot.misfits] == ["scopes: there are more than max_scopes (1000)"]
    assert mapped(tmp_path, body, clock, max_scopes=1500).misfits == ()


def test_new_names_at_every_poll_do_not_fill_the_memory(tmp_path: Path, clock: FakeClock) -> None:
    store = store_of(clock, [make_target(tmp_path, max_scopes=10)])
    (state,) = store.states()
    for round_ in range(20):
        body = answer(*({"name": f"{round_}-{number}"} for number in range(8)), {"name": "broken", "requests": -1})
        store.record(state.target, mapped(tmp_path, body, clock, max_scopes=10))
        clock.advance(minutes=5)
    (state,) = store.states()
    assert len(state.scopes) == 10
    assert len(state.watched) == 10


def test_many_misfits_make_a_short_message(tmp_path: Path, clock: FakeClock) -> None:
    body = answer({}, *({"name": f"s{number}", "requests": "x" * 10_000} for number in range(900)))
    text = mapped(tmp_path, body, clock).misfit_text
    assert text.endswith("; and 890 more")
    assert len(text) < 3000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 1_000_000, "must be at most 200 characters long, not 1000000"),
        ("a\nb", "must not contain control characters"),
        ("a\x00b", "must not contain control characters"),
        ("a\ud800b", "must not contain control characters"),
        ("a\x1b[31mb", "must not contain control characters"),
        (" ", "must not be empty"),
    ],
)
def test_names_that_no_label_should_hold(tmp_path: Path, clock: FakeClock, name: str, words: str) -> None:
    snapshot = mapped(tmp_path, answer({"name": "Good"}, {"name": name}), clock)
    assert [scope.name for scope in snapshot.scopes] == ["Good"]
    assert words in snapshot.misfits[0].message
    assert len(snapshot.misfits[0].message) < 400
    assert snapshot.misfits[0].message.isprintable()


def test_daily_entries_without_end(tmp_path: Path, clock: FakeClock) -> None:
    entries = [{"date": "2026-11-22", "requests": 1}] * 50_000
    api = {"mapping": {"daily": {"entries": "daily", "date": "date", "requests": "requests", "finer": True}}}
    snapshot = mapped(
        tmp_path, answer({"name": "Good", "daily": entries[:1]}, {"name": "Many", "daily": entries}), clock, **api
    )
    assert [scope.name for scope in snapshot.scopes] == ["Good"]
    assert "has more than 44640 entries" in snapshot.misfits[0].message


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_days_at_the_calendar_s_ends(tmp_path: Path, clock: FakeClock, day: str) -> None:
    period = {"start": f"{day}T23:00:00-12:00", "end": f"{day}T23:30:00-12:00"}
    body = answer(
        {"name": "Good"},
        {"name": "Odd", "period": period, "daily": [{"date": f"{day}T00:00:00+14:00", "requests": 1}]},
    )
    try:
        names = [scope.name for scope in mapped(tmp_path, body, clock, time_zone="Pacific/Auckland").scopes]
    except ResponseError:
        return
    assert "Good" in names


def test_a_next_page_that_is_no_url(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response("[]", headers={"Link": '<http://[::1>; rel="next"'})
    with pytest.raises(ResponseError, match="is no URL"):
        fetch(tmp_path, vendor.url, paging={"by": "link"})


def test_a_clock_that_jumps_ahead_and_back_does_not_hide_an_outage(tmp_path: Path, clock: FakeClock) -> None:
    target = make_target(tmp_path)
    store = store_of(clock, [target], Database(tmp_path / "data"))
    clock.advance(days=365)
    store.record(target, mapped(tmp_path, answer(), clock))
    clock.set_back(days=365)
    store.record(target, PollTimeoutError("down"))
    (state,) = store.states()
    assert [scope.usage.requests for scope in state.shown_scopes(clock.now())] == [750]
    assert state.is_stale(clock.now())
    store.record(target, mapped(tmp_path, answer({"requests": 760}), clock))
    clock.advance(minutes=5)
    store.record(target, mapped(tmp_path, answer({"requests": 770}), clock))
    (state,) = store.states()
    assert not state.is_stale(clock.now())
    (scope,) = state.shown_scopes(clock.now())
    assert scope.usage.daily is not None
    assert [(day.date, day.requests) for day in scope.usage.daily] == [(clock.now().date(), 10)]


def test_a_small_step_back_is_no_outage(tmp_path: Path, clock: FakeClock) -> None:
    target = make_target(tmp_path)
    store = store_of(clock, [target])
    store.record(target, mapped(tmp_path, answer(), clock))
    clock.set_back(minutes=10)
    (state,) = store.states()
    assert not state.is_stale(clock.now())
    assert state.is_stale(clock.now() + timedelta(minutes=25))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["2026-11-22", "1e999", -1, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["scopes", "name", "requests", "limit", "period", "start", "end", "daily", "date", "a"]), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()) | st.lists(JSON, max_size=4).map(lambda scopes: json.dumps({"scopes": scopes}).encode()), scope=st.dictionaries(st.sampled_from(["name", "requests", "limit", "period", "daily", "plan", "id"]), JSON))  # fmt: skip
def test_any_answer_is_a_snapshot_or_a_failure_and_what_is_shown_can_be_parsed(
    tmp_path: Path, vendor: Vendor, body: bytes, scope: dict[str, Any]
) -> None:
    bodies = [body, json.dumps(answer({"name": "Good"}, scope)).encode()]

    def answering(_: Request) -> Response:
        return Response(bodies[0])

    vendor.answer = answering
    config = write_config(tmp_path / "config.yaml", {"url": vendor.url})
    for present in bodies:
        bodies[0] = present
        service = Service(config, SystemClock())
        service.poller.run_due()
        assert service.poller.wait_idle(10)
        service.exposition.refresh()
        (state,) = service.store.states()
        assert state.failure is None or "the exporter failed" not in state.failure.message, state.failure
        list(text_string_to_metric_families(service.exposition.body(TEXT).plain.decode()))
        service.stop()
