"""Secrets are found in whatever encoding they come back in, and nothing else is hidden."""

import base64
import html
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.config.load import load_config
from exporter.exposition.bodies import TEXT
from exporter.log_setup import set_up_logging
from exporter.redaction import HIDDEN, message, redact, redact_value, remember, remember_header, without_secrets
from exporter.service import Service
from exporter.state.database import Database
from exporter.terminal.once import poll_once
from exporter.view.usage_json import to_json
from exporter.web.app import create_pages
from tests.support.factories import answer, write_config
from tests.support.http import Vendor


def percent_of_all(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def in_small_hex(text: str) -> str:
    return "".join(f"%{byte:02x}" if byte % 2 else f"%{byte:02X}" for byte in text.encode())


def entities(text: str) -> str:
    return "".join(f"&#x{ord(char):X};" if ord(char) % 2 else f"&#{ord(char)};" for char in text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, but for what a path may hold": quote,
    "percent of all": percent_of_all,
    "small hex": in_small_hex,
    "plus": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of user:password": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 of password:": lambda text: base64.b64encode(f"{text}:".encode()).decode(),
    "url-safe base64 in more": lambda text: (
        base64.urlsafe_b64encode(f'{{"k":"{text}"}}'.encode()).decode().rstrip("=")
    ),
    "json": lambda text: json.dumps(text)[1:-1],
    "json in full": lambda text: "".join(f"\\u{ord(char):04X}" for char in text),
    "json with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "python": lambda text: repr(text)[1:-1],
    "html": html.escape,
    "html of all": entities,
}
# What is sent in headers and URLs is printable, and begins and ends with no space.
# Its end keeps it apart from what other tests write.
SECRETS = (
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=40)
    | st.tuples(*[st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, blacklist_categories=["Cc", "Zs"]), min_size=2, max_size=20)] * 2).map(" ".join)
).map(lambda text: f"{text}-zQ7")  # fmt: skip
# Around it stands what is no part of an encoding.
AROUND = st.sampled_from(["", " ", "key=", '{"a": "', "<b>", "Invalid token: ", "?x=1&token=", "'"])


def left_of(secret: str, written: str) -> bool:
    """Whether the secret can be read in what was written."""
    readings = {written}
    for _ in range(3):
        for reading in set(readings):
            readings |= {html.unescape(reading)}
            with_out = json_or_none(reading)
            readings |= {with_out} if with_out is not None else set()
    return any(secret in reading for reading in readings)


def json_or_none(text: str) -> str | None:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return None


@given(SECRETS, st.lists(st.sampled_from(sorted(ENCODINGS)), min_size=1, max_size=2), AROUND, AROUND)
@example("p%41\\\"q'12/+", ["json", "percent"], "", "")
@example("correct horse battery", ["plus", "json in full"], "?x=1&token=", "'")
def test_a_secret_is_hidden_in_any_encoding(secret: str, encodings: list[str], before: str, after: str) -> None:
    remember(secret)
    encoded = secret
    for name in encodings:
        encoded = ENCODINGS[name](encoded)
    written = redact(f"{before}{encoded}{after}")
    assert HIDDEN in written
    assert encoded not in written
    assert not left_of(secret, written)


def test_three_encodings_within_each_other() -> None:
    remember("three-times-w/rapped")
    text = html.escape(json.dumps(quote_plus(base64.b64encode(b"me:three-times-w/rapped").decode())))
    assert redact(text) == f"&quot;{HIDDEN}&quot;"


def test_what_stands_around_a_secret_stays() -> None:
    remember("planted/secret+1")
    assert redact("a%20b: planted%2fsecret%2B1 &amp; more") == f"a%20b: {HIDDEN} &amp; more"
    assert redact("planted/secret+1 twice planted/secret+1") == f"{HIDDEN} twice {HIDDEN}"


@given(st.text(max_size=60))
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    remember("a-secret-that-no-text-here-holds")
    assert redact(text) == text


def test_short_secrets_do_not_blank_everything() -> None:
    for secret in ("q", "qz", "qzx", "qzxj", "qzxjv"):
        remember(secret)
    text = "a qz and a qzx, uqzxj, qzxju, qzxjvu"
    assert redact(text) == text
    assert redact("key=qzxj&x=qzxjv") == f"key={HIDDEN}&x={HIDDEN}"


def test_a_header_s_parts_are_secret_too() -> None:
    remember_header("Bearer inline-token-71")
    remember_header("session=cookie-value-93; theme=dark")
    remember_header("Basic " + base64.b64encode(b"user:inline-password-55").decode())
    text = redact("Bearer: inline-token-71, cookie-value-93, inline-password-55, dark theme")
    assert text == f"Bearer: {HIDDEN}, {HIDDEN}, {HIDDEN}, dark theme"


@pytest.mark.parametrize("name", ["api_key", "Ocp-Apim-Subscription-Key", "accessKey", "X-Api-Key", "key", "x-functions-key", "password", "X-Amz-Signature"])  # fmt: skip
def test_names_that_sound_like_secrets(name: str) -> None:
    assert redact_value({name: "v", "list": [{name: "w"}]}) == {name: HIDDEN, "list": [{name: HIDDEN}]}


@pytest.mark.parametrize("name", ["keyId", "monkey", "turkey", "code", "keys", "plan", "appid"])
def test_names_that_do_not(name: str) -> None:
    assert redact_value({name: "v"}) == {name: "v"}


SENT = {
    "bearer": "planted-bearer/7f+3a=91",
    "appid": "planted appid & 52",
    "Subscription-Key": "planted<subscription>'66",
    "access_key": 'planted"access"70',
    "sig": "planted%2Fsig%3D88",
    "code": "planted\\\\code#12",
    "declared": "planted;declared,44",
    "env": "planted-env:90",
    "path": "planted/path?22",
    "header": "planted-header!31",
    "url": "planted-url-17",
    "body": "planted$body@63",
}


def sending_all(vendor: Vendor) -> dict[str, Any]:
    """An api that sends each of SENT as what it is named after."""
    inline = {name: SENT[name] for name in ("appid", "access_key", "sig", "code")}
    return {
        "url": f"{vendor.url}/{{organisation_id}}/{{secret_path}}?api_key={SENT['url']}",
        "auth": {"type": "bearer", "token": SENT["bearer"]},
        "params": {**inline, "plain": {"value": SENT["declared"], "secret": True}, "other": {"env": "PLANTED"}},
        "headers": {"Subscription-Key": SENT["Subscription-Key"], "Authentication": f"Token {SENT['header']}"},
        "body": {"query": "x", "variables": {"apiKey": SENT["body"]}},
        "secrets": {"path": {"value": SENT["path"]}},
    }


@pytest.fixture
def logging_to_stderr() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging("debug", "json")
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("logging_to_stderr")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secret=st.sampled_from(sorted(SENT)),
    encodings=st.lists(st.sampled_from(sorted(ENCODINGS)), min_size=1, max_size=2),
    place=st.sampled_from(["name", "plan", "id", "requests", "status", "page", "key"]),
)
def test_what_was_sent_as_a_secret_is_nowhere_in_what_is_written(
    secret: str, encodings: list[str], place: str, tmp_path: Path, vendor: Vendor, capfd: pytest.CaptureFixture[str]
) -> None:
    encoded = SENT[secret]
    for encoding in encodings:
        encoded = ENCODINGS[encoding](encoded)
    good = answer({"name": f"for {encoded}"[:190] if place == "name" else "Maps", "plan": "Pro"})
    if place in ("plan", "id", "requests"):
        good["scopes"][0][place] = encoded
    elif place == "key":
        good = {encoded: encoded}

    def answering(_: Request) -> Response:
        if place == "status":
            return Response("", f"400 {encoded.encode('ascii', 'replace').decode()}")
        return Response(f"<!doctype html>{encoded}" if place == "page" else json.dumps(good))

    vendor.answer = answering
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PLANTED", SENT["env"])
        file = write_config(tmp_path / "config.yaml", sending_all(vendor))
        service = Service(file, SystemClock(), Database(tmp_path / "data"))
        service.poller.run_due()
        assert service.poller.wait_idle(10)
        service.exposition.refresh()
        targets = load_config(file).targets
        document, troubles = poll_once(targets, SystemClock())
        service.stop()
    page = create_pages(service.store, SystemClock()).test_client().get("/?api=demo&organisation=acme").text
    stored = "".join(one.read_text("utf-8", "replace") for one in (tmp_path / "data").iterdir() if one.is_file())
    written = [
        service.exposition.body(TEXT).plain.decode(),
        to_json(document).decode(),
        *[f"{one.message} {one.part}" for one in troubles],
        page,
        stored,
        "".join(capfd.readouterr()),
    ]
    for text in written:
        assert encoded not in text
        assert SENT[secret] not in text
        assert not left_of(SENT[secret], text)


def test_many_secrets_cost_no_more_than_few() -> None:
    """Ten thousand organisations with a token each; counted against a text scanned for one by one."""
    for number in range(10_000):
        remember(f"github_pat_common_beginning_{number:08}")
    began = time.process_time()
    for _ in range(1000):
        redact("Geocoding and Directions API")
    assert time.process_time() - began < 2  # looking for each of them takes 100 s
    assert redact("x github_pat_common_beginning_00007777 y") == f"x {HIDDEN} y"


def test_a_text_made_to_cost_much_is_cut_off() -> None:
    remember("a-secret-to-look-for")
    began = time.process_time()
    redact("%25&amp;\\u0041+QUJD " * 100_000)
    message("\\u002525" * 2_000)
    assert time.process_time() - began < 5


def test_urls_are_stored_without_the_secrets_in_them() -> None:
    url = "https://v.example/{organisation_id}/usage?appid=planted&from={today}&sig=x%2Fy#end"
    assert (
        without_secrets(url)
        == f"https://v.example/{{organisation_id}}/usage?appid={HIDDEN}&from={{today}}&sig={HIDDEN}#end"
    )
