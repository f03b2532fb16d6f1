"""Vendors over TLS: own CAs, client certificates, and certificates that must not be trusted."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporter.clock import SystemClock
from exporter.errors import ConnectionFailed
from exporter.vendor.client import VendorClient
from tests.support.factories import make_target


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"a": 1}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


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
    with pytest.raises(ConnectionFailed, match="TLS to localhost:.* failed: .*certificate verify failed"):
        client(tmp_path, vendor).fetch()


def test_an_authority_of_one_s_own(tmp_path: Path, vendor: str, ca_file: str) -> None:
    assert client(tmp_path, vendor, ca_file=ca_file).fetch()["main"].body == {"a": 1}


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, vendor: str, ca_file: str) -> None:
    with pytest.raises(ConnectionFailed, match="TLS to 127.0.0.1"):
        client(tmp_path, vendor.replace("localhost", "127.0.0.1"), ca_file=ca_file).fetch()


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
