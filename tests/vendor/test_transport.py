"""One way to every vendor: names, proxies, authorities, time and size are bounded alike for polls, tokens and clouds."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.config.load import load_config
from exporter.errors import AuthError, ConnectionFailed, PollError, PollTimeoutError, ResponseError
from exporter.vendor.client import VendorClient
from tests.support.factories import make_target, write_config
from tests.support.http import Vendor, serve
from tests.support.raw import raw_server

OAUTH = {"type": "oauth2", "client_id": "me", "client_secret": "s3cr3t-of-the-client"}
AWS = {"type": "aws", "region": "eu-central-1"}
IMDS = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture(autouse=True)
def _plain_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if (
            name.lower().endswith("_proxy")
            or name.startswith("AWS_")
            or name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))


def client(tmp_path: Path, url: str, **api: Any) -> VendorClient:
    return VendorClient(make_target(tmp_path, url=url, **api), SystemClock())


def json_answer(value: Any, **headers: str) -> Response:
    return Response(json.dumps(value), mimetype="application/json", headers=headers)


def silent(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(65536)
    stop.wait(30)


def failing_within(seconds: float, client: VendorClient) -> PollError:
    began = time.monotonic()
    with pytest.raises(PollError) as caught:
        client.fetch()
    assert time.monotonic() - began < seconds
    return caught.value


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The system's resolver hangs on names that end in .slow, and has every other at 127.0.0.1."""
    stop, asked = threading.Event(), []
    really = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        asked.append(host)
        if str(host).endswith(".slow"):
            stop.wait(20)
        return really("127.0.0.1", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield asked
    stop.set()


@pytest.mark.usefixtures("slow_names")
def test_a_name_that_is_not_resolved_ends_at_the_timeout(tmp_path: Path) -> None:
    error = failing_within(3, client(tmp_path, "http://vendor.slow/", timeout="300ms"))
    assert isinstance(error, PollTimeoutError)
    assert str(error) == "the name vendor.slow was not resolved within the timeout of 0.3 s"


def test_polls_of_one_slow_name_share_a_lookup(tmp_path: Path, slow_names: list[str]) -> None:
    asking = [client(tmp_path, "http://many.slow/", timeout="300ms") for _ in range(10)]
    before = threading.active_count()
    with ThreadPoolExecutor(10) as pool:
        assert {type(error) for error in pool.map(lambda one: failing_within(5, one), asking)} == {PollTimeoutError}
    assert slow_names.count("many.slow") == 1
    assert threading.active_count() <= before + 1


@pytest.mark.usefixtures("slow_names")
def test_host_and_port_are_sent_as_named(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: json_answer({"a": 1})
    port = vendor.url.rpartition(":")[2]
    assert client(tmp_path, f"http://vendor.test:{port}/").fetch()["main"].body == {"a": 1}
    assert vendor.requests[0].host == f"vendor.test:{port}"


def test_every_address_of_a_name_is_tried_within_the_timeout(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has a full queue and drops what comes, as a firewall does."""
    vendor.answer = lambda _: json_answer({"a": 1})
    port = int(vendor.url.rpartition(":")[2])
    with socket.socket() as full, socket.socket() as filler, socket.socket() as filler_2:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (filler, filler_2):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            for address in (full.getsockname(), ("127.0.0.1", port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert client(tmp_path, f"http://vendor.test:{port}/", timeout="4s").fetch()["main"].body == {"a": 1}


def test_all_pages_share_the_timeout(tmp_path: Path, vendor: Vendor) -> None:
    def page(_: Request) -> Response:
        time.sleep(0.25)
        return json_answer([1], Link=f'<{vendor.url}/{len(vendor.requests)}>; rel="next"')

    vendor.answer = page
    error = failing_within(3, client(tmp_path, vendor.url, paging={"by": "link"}, timeout="1s"))
    assert isinstance(error, PollTimeoutError)
    assert "page 4 was not complete within the timeout of 1 s, which all pages share" in str(error)


def test_a_hung_token_endpoint_ends_at_the_timeout(tmp_path: Path, vendor: Vendor) -> None:
    with raw_server(silent) as url:
        error = failing_within(3, client(tmp_path, vendor.url, auth={**OAUTH, "token_url": url}, timeout="300ms"))
    assert isinstance(error, PollTimeoutError)
    assert "token endpoint" in str(error)


@pytest.mark.parametrize("where", ["instance", "container", "roles", "process"])
def test_hung_cloud_credentials_end_at_the_timeout(
    tmp_path: Path, vendor: Vendor, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(silent) as url:
        if where == "instance":
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
            monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "20")
        elif where == "container":
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/creds")
        elif where == "roles":
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
            monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/usage")
            (tmp_path / "identity").write_text("an-identity-token")
            monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
        else:
            (tmp_path / "aws").write_text("[default]\ncredential_process = sleep 20\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
        auth = {**AWS, "service": f"hung-{where}"}
        error = failing_within(5, client(tmp_path, vendor.url, auth=auth, timeout="1s"))
    assert isinstance(error, PollTimeoutError)
    assert str(error) == "no AWS credentials came within the timeout of 1 s"


# --- size -----------------------------------------------------------------------------------------------------------


def test_all_pages_share_the_cap_on_bytes(tmp_path: Path, vendor: Vendor) -> None:
    def page(_: Request) -> Response:
        link = f'<{vendor.url}/{len(vendor.requests)}>; rel="next"' if len(vendor.requests) < 8 else ""
        return Response("[" + "0," * 1_500_000 + "0]", headers={"Link": link})

    vendor.answer = page
    with pytest.raises(
        ResponseError, match=r"the answers of this poll are larger than max_response_bytes \(10000000\)"
    ):
        client(tmp_path, vendor.url, paging={"by": "link"}).fetch()
    assert len(vendor.requests) == 4


# --- credentials ----------------------------------------------------------------------------------------------------


def clients(tmp_path: Path, url: str, count: int, **api: Any) -> list[VendorClient]:
    organisations = [{"id": f"org-{number}"} for number in range(count)]
    file = write_config(
        tmp_path / "config.yaml", {"url": f"{url}/{{organisation_id}}", "organisations": organisations, **api}
    )
    return [VendorClient(target, SystemClock()) for target in load_config(file).targets]


def test_a_token_is_fetched_once_for_all_organisations_of_an_auth(tmp_path: Path, vendor: Vendor) -> None:
    def answer(request: Request) -> Response:
        if request.path != "/token":
            return (
                json_answer({}) if request.headers["Authorization"] == "Bearer shared-token" else Response(status=401)
            )
        time.sleep(0.2)
        return json_answer({"access_token": "shared-token", "token_type": "Bearer", "expires_in": 3600})

    vendor.answer = answer
    asking = clients(tmp_path, vendor.url, 12, auth={**OAUTH, "token_url": f"{vendor.url}/token"})
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(VendorClient.fetch, asking))
    assert [request.path for request in vendor.requests].count("/token") == 1


def test_a_refused_token_is_renewed_once_for_all_who_hold_it(tmp_path: Path, vendor: Vendor) -> None:
    given = [0]

    def answer(request: Request) -> Response:
        if request.path == "/token":
            given[0] += 1
            time.sleep(0.1)
            return json_answer({"access_token": f"token-{given[0]}", "token_type": "Bearer"})
        return (
            json_answer({})
            if request.headers["Authorization"] == f"Bearer token-{max(wanted, given[0])}"
            else Response(status=401)
        )

    wanted = 0
    vendor.answer = answer
    asking = clients(tmp_path, vendor.url, 6, auth={**OAUTH, "token_url": f"{vendor.url}/token"})
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(VendorClient.fetch, asking))
        wanted = 2  # the vendor forgets the first
        list(pool.map(VendorClient.fetch, asking))
    assert given[0] == 2


def test_a_refusal_of_the_token_endpoint_is_everybody_s(tmp_path: Path, vendor: Vendor) -> None:
    def refuse(_: Request) -> Response:
        time.sleep(0.3)
        return Response('{"error": "invalid_client"}', 401)

    vendor.answer = refuse
    asking = clients(tmp_path, vendor.url, 5, auth={**OAUTH, "token_url": f"{vendor.url}/token"})
    with ThreadPoolExecutor(5) as pool:
        errors = list(pool.map(lambda one: failing_within(5, one), asking))
    assert {str(error) for error in errors} == {"the token endpoint refused: invalid_client"}
    assert len(vendor.requests) == 1


def test_a_client_secret_can_be_posted(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda request: json_answer({"access_token": "posted-token"} if request.path == "/token" else {})
    auth = {**OAUTH, "token_url": f"{vendor.url}/token", "token_endpoint_auth_method": "client_secret_post"}
    client(tmp_path, vendor.url, auth=auth).fetch()
    asked = vendor.requests[0]
    assert (asked.form["client_id"], asked.form["client_secret"]) == ("me", OAUTH["client_secret"])
    assert "Authorization" not in asked.headers


class InstanceMetadata:
    """EC2's instance metadata service, version 2: what it gives out, and what it was asked for."""

    def __init__(self, expires: str = "2099-01-01T00:00:00Z") -> None:
        self.asked: list[str] = []
        self.expires = expires
        self.given = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.asked.append(request.path)
        time.sleep(0.05)
        if request.path == "/latest/api/token":
            return Response("metadata-session")(environ, start_response)
        if request.path == IMDS:
            return Response("usage-role")(environ, start_response)
        self.given += 1
        credentials = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": f"AKIA{self.given}",
            "SecretAccessKey": "a-secret-access-key-of-the-role",
            "Token": f"a-session-token/of+the=role-{self.given}",
            "Expiration": self.expires,
        }
        return json_answer(credentials)(environ, start_response)


def test_aws_credentials_are_fetched_once_for_all_organisations_of_an_auth(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.answer = lambda request: (
        json_answer({}) if "X-Amz-Security-Token" in request.headers else Response(status=403)
    )
    metadata = InstanceMetadata()
    with serve(metadata) as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        asking = clients(tmp_path, vendor.url, 8, auth={**AWS, "service": "once"})
        for _ in range(2):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(VendorClient.fetch, asking))
    assert metadata.given == 1
    assert len(vendor.requests) == 16


def test_aws_credentials_that_are_refused_are_read_anew(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.answer = lambda request: (
        json_answer({}) if f"{wanted}/" in request.headers["Authorization"] else Response(status=403)
    )
    file = tmp_path / "aws-credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    asking = client(tmp_path, vendor.url, auth={**AWS, "service": "anew"})
    for wanted in ("AKIAOLD", "AKIANEW"):
        file.write_text(f"[default]\naws_access_key_id = {wanted}\naws_secret_access_key = secret-of-{wanted}\n")
        asking.fetch()
    wanted = "AKIANEVER"
    with pytest.raises(AuthError, match="403"):
        asking.fetch()


# --- proxies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_tokens_and_polls_go_by_the_proxy(
    tmp_path: Path, vendor: Vendor, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.answer = lambda request: json_answer(
        {"access_token": "token-by-way-of-a-proxy"} if request.path == "/token" else {}
    )
    monkeypatch.setenv(variable, vendor.url.replace("//", "//user:proxy-passw0rd@"))
    auth = {**OAUTH, "token_url": "http://id.invalid/token"}
    client(tmp_path, "http://vendor.invalid/usage", auth=auth).fetch()
    assert [request.environ["REQUEST_URI"] for request in vendor.requests] == [
        "http://id.invalid/token",
        "http://vendor.invalid/usage",
    ]
    assert all(request.headers["Proxy-Authorization"].startswith("Basic ") for request in vendor.requests)


def test_no_proxy_holds_for_tokens_and_polls(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.answer = lambda request: json_answer(
        {"access_token": "token-asked-for-directly"} if request.path == "/token" else {}
    )
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client(tmp_path, vendor.url, auth={**OAUTH, "token_url": f"{vendor.url}/token"}).fetch()
    assert len(vendor.requests) == 2


def test_a_proxy_that_hangs_ends_at_the_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(silent) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = failing_within(3, client(tmp_path, "https://vendor.invalid/", timeout="300ms"))
    assert isinstance(error, PollTimeoutError)


def test_socks_is_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(ConnectionFailed, match="SOCKS proxies are not supported; name an http:// or https:// proxy"):
        client(tmp_path, "http://vendor.invalid/").fetch()
