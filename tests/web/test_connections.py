"""Connections that do not behave: each is bounded in time and size, and none is in the way of others."""

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest
import requests
import uvloop

from exporter.web import asgi
from exporter.web.asgi import Message, Receive, Scope, Send
from exporter.web.connections import Bounds
from tests.support.asgi import serve_asgi
from tests.support.loops import run_async
from tests.support.watched import Watched, days, scope, targets_of

SHORT = Bounds(exchange=1, idle=1.5, handshake=1)
# More than the system keeps for a socket that nobody reads.
LARGE = b"x" * 16_000_000
GET_SMALL = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
GET_LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Scope, _: Receive, send: Send) -> None:
    if scope["path"] == "/large":
        await asgi.start(send, HTTPStatus.OK, len(LARGE), ())
        await asgi.send_whole(scope, send, LARGE)
    else:
        await asgi.answer(send, HTTPStatus.OK, b"small")


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serve_asgi(app, bounds=SHORT) as url:
        yield address_of(url)


def address_of(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def connect(address: tuple[str, int]) -> socket.socket:
    """A client that takes next to nothing by itself."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect(address)
    return client


def is_closed(client: socket.socket) -> bool:
    """Whether the other side has hung up, whatever it had sent before."""
    client.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        try:
            while client.recv(65536):
                pass
        except ConnectionError:
            pass
        return True
    return False


def seconds_until_closed(client: socket.socket, server: tuple[str, int]) -> float:
    """By the system's table of connections: to read would be progress."""
    begun = time.monotonic()
    while _is_open(client.getsockname()[1], server[1]) and time.monotonic() - begun < 10:
        time.sleep(0.02)
    return time.monotonic() - begun


def _is_open(ours: int, theirs: int) -> bool:
    """Whether the server's end is there still: established, or waiting to be closed (tcp(7), TCP_CLOSE_WAIT)."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(
        (int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16)) == (theirs, ours) and row[3] in ("01", "08")
        for row in rows
    )


@pytest.mark.parametrize(
    ("loop", "scheme", "writes"),
    [(uvloop.new_event_loop, "http", 1), (uvloop.new_event_loop, "https", 62), (asyncio.new_event_loop, "http", 62)],
)
def test_a_large_body_is_one_write_where_nothing_copies_what_a_client_is_slow_to_take(
    loop: Callable[[], asyncio.AbstractEventLoop], scheme: str, writes: int
) -> None:
    bodies: list[bytes] = []

    async def send(message: Message) -> None:
        bodies.append(message["body"])

    run_async(asgi.send_whole({"scheme": scheme}, send, LARGE), loop)
    assert b"".join(bodies) == LARGE
    assert len(bodies) == writes


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /small HTTP/1.1\r\nHost: x\r\n",
        GET_LARGE,
        GET_SMALL + GET_LARGE,
        GET_SMALL,
        GET_LARGE * 10,
        GET_LARGE + b"GET /sm",
    ],
    ids=[
        "silent",
        "half a request",
        "unread",
        "unread after a pipelined one",
        "idle",
        "many unread",
        "unread and half",
    ],
)
def test_every_connection_comes_to_an_end(address: tuple[str, int], sent: bytes) -> None:
    with connect(address) as client:
        client.sendall(sent)
        assert 0.5 < seconds_until_closed(client, address) < 5


def test_who_sends_no_more_and_does_not_read_comes_to_an_end(address: tuple[str, int]) -> None:
    with connect(address) as client:
        client.sendall(GET_LARGE)
        client.shutdown(socket.SHUT_WR)
        assert 0.5 < seconds_until_closed(client, address) < 5


def test_who_leaves_while_several_requests_are_answered_is_no_error(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with connect(address) as client:
            client.sendall(GET_LARGE * 3)
            client.recv(1)
    with connect(address) as client:
        for _ in range(20):  # so that the server has noticed
            client.sendall(GET_SMALL)
            client.recv(1000)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_an_answer_that_the_server_s_end_cuts_off_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    asked = threading.Event()

    async def never(_: Scope, __: Receive, ___: Send) -> None:
        asked.set()
        await asyncio.Event().wait()

    with serve_asgi(never) as url, connect(address_of(url)) as client:
        client.sendall(GET_SMALL)
        assert asked.wait(10)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_who_sends_no_more_is_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(GET_SMALL + GET_LARGE)
        client.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(partial(client.recv, 1 << 20), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.endswith(LARGE)


def test_dripping_is_no_progress(address: tuple[str, int]) -> None:
    begun = time.monotonic()
    with connect(address) as client, contextlib.suppress(ConnectionError):
        client.sendall(GET_SMALL)
        for byte in b"GET /small HTTP/1.1\r\nA: " + b"a" * 1000:
            client.sendall(bytes([byte]))
            time.sleep(0.02)
    assert time.monotonic() - begun < 8


def test_a_client_that_makes_progress_stays(address: tuple[str, int]) -> None:
    begun = time.monotonic()
    with connect(address) as client:
        while time.monotonic() - begun < 3:  # twice as long as any one thing may take
            client.sendall(GET_SMALL * 3)
            received = b""
            while received.count(b"small") < 3:
                received += client.recv(65536)
            time.sleep(0.2)


def test_requests_sent_far_in_advance_are_refused(address: tuple[str, int]) -> None:
    with connect(address) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(GET_LARGE + GET_SMALL * 500)
        assert seconds_until_closed(client, address) < 0.9  # not for its time


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /small HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000,
        b"GET /" + b"a" * 200_000,
        b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 200_000,
        b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: a\r\n" * 50_000,
    ],
    ids=["header", "path", "body", "trailers"],
)
def test_requests_without_end_are_refused(address: tuple[str, int], sent: bytes) -> None:
    with connect(address) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        assert seconds_until_closed(client, address) < 0.9


@pytest.mark.parametrize("size", [64 * 1024 + 1, 5_000_000])
def test_a_body_that_is_too_large_is_answered_so(size: int) -> None:
    with serve_asgi(app, bounds=Bounds(exchange=10)) as url:
        answer = requests.post(f"{url}/small", data=b"a" * size, timeout=10)
    assert (answer.status_code, answer.text) == (413, "The request is too large.\r\n")


def test_a_body_without_end_is_cut_off() -> None:
    """Long before its time is up."""
    head = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n"
    with serve_asgi(app) as url, socket.create_connection(address_of(url), timeout=10) as client:
        client.sendall(head)
        with pytest.raises(ConnectionError):
            client.sendall(bytes(100_000_000))


def test_chunks_that_become_too_large_leave_an_answer(address: tuple[str, int]) -> None:
    head = b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (50_000, b"a" * 50_000)
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(head + chunk * 3)
        client.sendall(chunk * 30)
        answer = b"".join(iter(partial(client.recv, 65_536), b""))
    # Which of the two depends on how much of it came at once; one, and whole.
    assert re.fullmatch(
        rb"HTTP/1.1 (200 OK\r\n.*\r\nsmall|413 .*\r\n\r\nThe request is too large.\r\n)", answer, re.DOTALL
    )
    assert answer.count(b"HTTP/1.1 ") == 1


def test_length_and_chunks_together_close_the_connection(address: tuple[str, int]) -> None:
    smuggled = (
        b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    with connect(address) as client:
        client.sendall(smuggled)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while received := client.recv(65536):
                answer += received
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


def test_beyond_the_most_the_one_without_progress_for_the_longest_time_goes() -> None:
    with serve_asgi(app, bounds=Bounds(most=20)) as url, contextlib.ExitStack() as stack:
        address = address_of(url)
        clients = [stack.enter_context(connect(address)) for _ in range(20)]
        with requests.Session() as scraper:
            for _ in range(3):
                assert scraper.get(f"{url}/small", timeout=5).text == "small"
                clients += [stack.enter_context(connect(address)) for _ in range(10)]
                assert scraper.get(f"{url}/small", timeout=5).text == "small"
        assert is_closed(clients[0])
        assert not is_closed(clients[-1])


def test_sixty_who_do_not_read_cost_little_memory(tmp_path: Path) -> None:
    """Of 6,000 scopes' plain text, their JSON, and half of them each; gzip as well."""
    watched = Watched(targets_of(tmp_path, {"vendor": [f"o{number}" for number in range(600)]}))
    for number in range(600):
        watched.reads(f"o{number}", *(scope(f"Scope {index}", daily=days(*range(30))) for index in range(10)))
    watched.exposition.refresh()
    with serve_asgi(watched.app) as url, contextlib.ExitStack() as stack:
        requests.get(f"{url}/api/v1/usage", timeout=30).raise_for_status()
        requests.get(f"{url}/metrics", timeout=30, headers={"Accept-Encoding": "identity"}).raise_for_status()
        before = resident_megabytes()
        for number in range(60):
            client = stack.enter_context(connect(address_of(url)))
            path = b"/metrics" if number % 2 else b"/api/v1/usage"
            coding = b"gzip" if number % 10 == 0 else b"identity"
            client.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n" % (path, coding))
            assert client.recv(1)
        assert requests.get(f"{url}/-/healthy", timeout=10).ok
        assert resident_megabytes() - before < 20


def resident_megabytes() -> float:
    found = re.search(r"^VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
