"""Vendors over TLS: own CAs, client certificates, and certificates that must not be trusted."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from werkzeug.wrappers import Response

from exporter.clock import SystemClock
from exporter.config.tls import Tls
from exporter.errors import ConnectionFailed, PollTimeoutError, ServerError
from exporter.vendor.client import VendorClient
from exporter.vendor.transport import CA_VARIABLES, tls_context
from tests.support.factories import make_target
from tests.support.http import serve
from tests.support.raw import raw_server


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"a": 1}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(context: ssl.SSLContext) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def vendor(authority: trustme.CA) -> Iterator[str]:
    yield from serving(context_of(authority))


@pytest.fixture
def strict_vendor(authority: trustme.CA) -> Iterator[str]:
    """Asks for a client certificate."""
    context = context_of(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    yield from serving(context)


@pytest.fixture
def ca_file(tmp_path: Path, authority: trustme.CA) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return "ca.pem"


def client(tmp_path: Path, url: str, **tls: Any) -> VendorClient:
    return VendorClient(make_target(tmp_path, url=url, tls=tls), SystemClock())


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path, vendor: str) -> None:
    with pytest.raises(
        ConnectionFailed,
        match="TLS to localhost:.* failed: .*certificate verify failed.*; name its authority in tls.ca_file",
    ):
        client(tmp_path, vendor).fetch()


def test_a_port_without_tls_says_that_it_has_none(tmp_path: Path) -> None:
    with serve(Response("{}")) as plain, pytest.raises(ConnectionFailed, match="begin with http://?"):
        client(tmp_path, plain.replace("http://", "https://")).fetch()


def test_an_authority_of_one_s_own(tmp_path: Path, vendor: str, ca_file: str) -> None:
    assert client(tmp_path, vendor, ca_file=ca_file).fetch()["main"].body == {"a": 1}


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, vendor: str, ca_file: str) -> None:
    with pytest.raises(ConnectionFailed, match="TLS to 127.0.0.1"):
        client(tmp_path, vendor.replace("localhost", "127.0.0.1"), ca_file=ca_file).fetch()


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authorities_from_the_environment(
    tmp_path: Path, vendor: str, ca_file: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / ca_file))
    assert client(tmp_path, vendor).fetch()["main"].body == {"a": 1}


def test_authorities_for_tokens_are_the_same(tmp_path: Path, vendor: str, ca_file: str) -> None:
    auth = {"type": "oauth2", "token_url": vendor, "client_id": "me", "client_secret": "a-client-secret"}
    target = make_target(tmp_path, url=vendor, tls={"ca_file": ca_file}, auth=auth)
    with pytest.raises(ServerError, match="the token endpoint answered 501"):  # no POST there; TLS worked
        VendorClient(target, SystemClock()).fetch()


def test_ca_file_comes_before_the_environment(
    tmp_path: Path, vendor: str, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    assert client(tmp_path, vendor, ca_file=ca_file).fetch()["main"].body == {"a": 1}


def test_authorities_that_cannot_be_read_are_named(
    tmp_path: Path, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConnectionFailed, match="the CA certificates .*gone.pem cannot be used: No such file"):
        client(tmp_path, vendor).fetch()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_over_tls(
    tmp_path: Path, vendor: str, ca_file: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / ca_file))
    monkeypatch.setenv(f"{scheme}_proxy", vendor)
    asking = client(tmp_path, f"{scheme}://vendor.invalid/usage")
    if scheme == "http":
        assert asking.fetch()["main"].body == {"a": 1}
    else:  # this one does not know CONNECT
        with pytest.raises(ConnectionFailed, match="the proxy on the way to vendor.invalid failed: .*501"):
            asking.fetch()


def test_a_proxy_over_tls_that_hangs_ends_at_the_timeout(
    tmp_path: Path, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(authority)

    def behave(connection: Any, stop: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.02):
                encrypted.sendall(b"a")

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / ca_file))
    with raw_server(behave) as url:
        monkeypatch.setenv("http_proxy", url.replace("http://127.0.0.1", "https://localhost"))
        target = make_target(tmp_path, url="http://vendor.invalid/", timeout="300ms")
        with pytest.raises(PollTimeoutError):
            VendorClient(target, SystemClock()).fetch()


def test_a_renewed_ca_file_is_read_without_a_reload(tmp_path: Path, vendor: str, authority: trustme.CA) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    asking = client(tmp_path, vendor, ca_file="ca.pem")
    with pytest.raises(ConnectionFailed, match="certificate verify failed"):
        asking.fetch()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert asking.fetch()["main"].body == {"a": 1}


def test_a_key_that_comes_to_be_encrypted_is_refused_and_its_passphrase_not_asked_for(
    tmp_path: Path, strict_vendor: str, authority: trustme.CA, ca_file: str
) -> None:
    certificate = authority.issue_cert("exporter@example.org")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    asking = client(tmp_path, strict_vendor, ca_file=ca_file, cert_file="cert.pem", key_file="key.pem")
    assert asking.fetch()["main"].body == {"a": 1}
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    (tmp_path / "key.pem").write_bytes(encrypted)
    with pytest.raises(
        ConnectionFailed, match="the client certificate .*cert.pem cannot be used: its key is encrypted"
    ):
        asking.fetch()


def test_one_context_serves_all_who_trust_the_same(tmp_path: Path, ca_file: str) -> None:
    tls = make_target(tmp_path, url="https://v.example/", tls={"ca_file": ca_file}).api.tls
    assert tls_context(tls) is tls_context(tls.model_copy())
    assert tls_context(tls) is not tls_context(Tls())


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_checking_can_be_turned_off(tmp_path: Path, vendor: str) -> None:
    assert client(tmp_path, vendor, verify=False).fetch()["main"].body == {"a": 1}


def test_a_client_certificate(tmp_path: Path, strict_vendor: str, authority: trustme.CA, ca_file: str) -> None:
    with pytest.raises(ConnectionFailed):
        client(tmp_path, strict_vendor, ca_file=ca_file).fetch()
    certificate = authority.issue_cert("exporter@example.org")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    asking = client(tmp_path, strict_vendor, ca_file=ca_file, cert_file="cert.pem", key_file="key.pem")
    assert asking.fetch()["main"].body == {"a": 1}
