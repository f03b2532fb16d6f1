"""--web.config.file: TLS, client certificates, passwords and headers, as a real Prometheus and attackers meet them."""

import asyncio
import itertools
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import trustme
import yaml
from werkzeug.wrappers import Response

from exporter.errors import ConfigError
from exporter.local.ports import free_port
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus
from exporter.web.basic_auth import BasicAuth, Verdict
from exporter.web.live_config import LiveWebConfig
from exporter.web.web_config import load_web_config
from tests.support.clock import FakeClock
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.loops import run_async
from tests.support.programs import start_exporter

PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def issue(authority: trustme.CA, folder: Path, *names: str, prefix: str = "") -> Path:
    """A certificate and key, as cert.pem and key.pem; returns the certificate's path."""
    issued = authority.issue_cert(*(names or ("127.0.0.1", "localhost")))
    issued.private_key_pem.write_to_path(str(folder / f"{prefix}key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / f"{prefix}cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / f"{prefix}cert.pem"


def write_web(folder: Path, **fields: Any) -> Path:
    file = folder / "web.yml"
    file.write_text(yaml.safe_dump(fields, sort_keys=False))
    return file


TLS = {"cert_file": "cert.pem", "key_file": "key.pem"}
CLIENT_TLS = {**TLS, "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.pem"}


@pytest.fixture
def config(tmp_path: Path, vendor: Vendor) -> Path:
    vendor.answer = lambda _: Response(json.dumps(answer()))
    return write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage", "poll_interval": "1s"})


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    (tmp_path / "logs").mkdir()
    with Processes(tmp_path / "logs") as running:
        yield running


def log_of(tmp_path: Path) -> str:
    return "".join(file.read_text() for file in (tmp_path / "logs").glob("exporter-*.log"))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tls_server_config": {"cert_file": "cert.pem"}}, "web.yml:1: tls_server_config.key_file: is missing"),
        ({"tls_server_config": {**TLS, "key_file": "none.pem"}}, "web.yml:3: tls_server_config.key_file: cannot read .*none.pem"),
        ({"tls_server_config": {**TLS, "key_file": "ca.pem"}}, "web.yml:1: tls_server_config: cannot be used"),
        ({"tls_server_config": {**TLS, "min_version": "SSL3"}}, "web.yml:4: tls_server_config.min_version: must be 'TLS13', 'TLS12'"),
        ({"tls_server_config": {**TLS, "min_version": "TLS13", "max_version": "TLS12"}}, "min_version above max_version"),
        ({"tls_server_config": {**TLS, "client_ca_file": "ca.pem"}}, "needs client_ca_file and a client_auth_type"),
        ({"tls_server_config": {**TLS, "client_auth_type": "RequireAnyClientCert"}}, "web.yml:4: tls_server_config.client_auth_type: must be 'NoClientCert'"),
        ({"tls_server_config": {**TLS, "cipher_suites": ["RC4"]}}, r"web.yml:5: tls_server_config.cipher_suites\[0\]: is not a cipher suite"),
        ({"tls_server_config": {**TLS, "client_allowed_sans": ["x"]}}, "client_allowed_sans, which goes with"),
        ({"basic_auth_users": {"anna": PASSWORD}}, "web.yml:2: basic_auth_users.anna: must be a bcrypt hash"),
        ({"http_server_config": {"headers": {"X-Frame-Options": "a\nb"}}}, "headers.X-Frame-Options: must be printable ASCII"),
        ({"http_server_config": {"headers": {"Set-Cookie": "a"}}}, "web.yml:3: http_server_config.headers"),
        ({"basic_auth_user": {}}, "web.yml:1: basic_auth_user: is not a known field; did you mean basic_auth_users?"),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_field(
    tmp_path: Path, authority: trustme.CA, fields: dict[str, Any], problem: str
) -> None:
    issue(authority, tmp_path)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_web_config(write_web(tmp_path, **fields))
    assert PASSWORD not in str(caught.value)


def test_an_empty_file_lets_nobody_in_by_mistake(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("")
    with pytest.raises(ConfigError, match="is empty; it needs at least: tls_server_config or basic_auth_users"):
        load_web_config(tmp_path / "web.yml")


def test_versions_suites_and_curves_reach_openssl(tmp_path: Path, authority: trustme.CA) -> None:
    issue(authority, tmp_path)
    suites = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]
    tls = load_web_config(
        write_web(
            tmp_path,
            tls_server_config={
                **TLS,
                "max_version": "TLS12",
                "cipher_suites": suites,
                "curve_preferences": ["CurveP384"],
            },
        )
    ).tls_server_config
    assert tls is not None
    context = tls.context()
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    assert [item["name"] for item in context.get_ciphers() if item["protocol"] != "TLSv1.3"] == [
        "ECDHE-RSA-AES256-GCM-SHA384"
    ]


def test_a_real_prometheus_scrapes_over_tls_with_a_password_and_a_client_certificate(
    tmp_path: Path, config: Path, processes: Processes, authority: trustme.CA
) -> None:
    issue(authority, tmp_path)
    issue(authority, tmp_path, "prometheus.example", prefix="client-")
    issue(authority, tmp_path, "stranger.example", prefix="stranger-")
    headers = {"headers": {"Strict-Transport-Security": "max-age=63072000"}}
    web = write_web(
        tmp_path,
        tls_server_config={**CLIENT_TLS, "min_version": "TLS13", "client_allowed_sans": ["prometheus.example"]},
        http_server_config=headers,
        basic_auth_users={"prometheus": HASH},
    )
    url = start_tls_exporter(processes, config, web, wait_as="client-", folder=tmp_path)
    (tmp_path / "password").write_text(PASSWORD)
    scrape = {
        "job_name": "usage",
        "scheme": "https",
        "basic_auth": {"username": "prometheus", "password_file": "password"},
        "tls_config": {"ca_file": "ca.pem", "cert_file": "client-cert.pem", "key_file": "client-key.pem"},
        "static_configs": [{"targets": [url.removeprefix("https://")]}],
    }
    (tmp_path / "prometheus.yml").write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]})
    )
    prometheus = start_prometheus(processes, tmp_path / "prometheus.yml", tmp_path / "tsdb")
    eventually(lambda: query(prometheus, 'api_usage_requests{scope="Maps"} == 750'))
    assert query(prometheus, "up")[0]["value"][1] == "1"

    client = session(tmp_path, "client-")
    for credentials, status in (
        ((), 401),
        (("prometheus", "wrong"), 401),
        (("nobody", PASSWORD), 401),
        (("prometheus", PASSWORD), 200),
    ):
        response = client.get(f"{url}/metrics", auth=credentials or None, timeout=10)
        assert response.status_code == status
        assert response.headers["Strict-Transport-Security"] == "max-age=63072000"
        assert ("WWW-Authenticate" in response.headers) == (status == 401)
    for path in ("/", "/-/healthy", "/-/ready", "/-/reload", "/api/v1/usage", "/none"):
        assert client.get(url + path, timeout=10).status_code == 401
    for prefix in ("", "stranger-"):
        with pytest.raises(requests.ConnectionError):
            session(tmp_path, prefix).get(f"{url}/metrics", auth=("prometheus", PASSWORD), timeout=10)
    old = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    host, port = url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port))) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname=host)
    assert PASSWORD not in log_of(tmp_path)


def session(folder: Path, prefix: str) -> requests.Session:
    client = requests.Session()
    client.trust_env = False
    client.verify = str(folder / "ca.pem")
    if prefix:
        client.cert = (str(folder / f"{prefix}cert.pem"), str(folder / f"{prefix}key.pem"))
    return client


def start_tls_exporter(
    processes: Processes, config: Path, web: Path, *, folder: Path, wait_as: str = "", flags: tuple[str, ...] = ()
) -> str:
    """Start an exporter with TLS and wait until it has polled; returns its base URL."""
    port = free_port(0, "")
    url = f"https://127.0.0.1:{port}"
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--web.config.file={web}"]
    processes.start(f"exporter-{port}", [*command, f"--web.listen-address=127.0.0.1:{port}", *flags])
    client = session(folder, wait_as)

    def ready() -> bool:
        processes.check()
        try:
            return client.get(f"{url}/-/ready", auth=("prometheus", PASSWORD), timeout=5).ok
        except requests.ConnectionError:
            return False

    eventually(ready)
    return url


def serial(url: str) -> bytes:
    host, port = url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port))).encode()


def test_a_renewed_certificate_is_served_and_a_wrong_one_is_not_taken(
    tmp_path: Path, config: Path, processes: Processes, authority: trustme.CA
) -> None:
    issue(authority, tmp_path)
    url = start_tls_exporter(processes, config, write_web(tmp_path, tls_server_config=TLS), folder=tmp_path)
    first = serial(url)
    assert first == (tmp_path / "cert.pem").read_bytes()
    issue(authority, tmp_path)
    eventually(lambda: serial(url) == (tmp_path / "cert.pem").read_bytes())
    second = serial(url)
    assert second != first
    (tmp_path / "cert.pem").write_text("damaged")
    eventually(lambda: serial(url) == second and "web config not loaded" in log_of(tmp_path))
    write_web(tmp_path, basic_auth_users={"prometheus": HASH})
    eventually(lambda: serial(url) == second and "turning TLS on or off takes a restart" in log_of(tmp_path))


def test_a_web_config_that_names_other_certificates_is_loaded_once(
    tmp_path: Path, clock: FakeClock, authority: trustme.CA
) -> None:
    for prefix in ("", "other-"):
        issue(authority, tmp_path, prefix=prefix)
    live = LiveWebConfig(write_web(tmp_path, tls_server_config=TLS), clock)
    before = live.context()
    write_web(tmp_path, tls_server_config={"cert_file": "other-cert.pem", "key_file": "other-key.pem"})
    clock.advance(seconds=2)
    loaded = live.context()
    assert loaded is not before
    clock.advance(seconds=2)
    assert live.context() is loaded
    issue(authority, tmp_path, prefix="other-")
    clock.advance(seconds=2)
    assert live.context() is not loaded


def test_users_change_without_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    live = LiveWebConfig(write_web(tmp_path, basic_auth_users={"a": HASH}), clock)
    write_web(tmp_path, basic_auth_users={"bb": HASH})
    assert list(live.config().basic_auth_users) == ["a"]
    clock.advance(seconds=2)
    assert list(live.config().basic_auth_users) == ["bb"]
    (tmp_path / "web.yml").unlink()
    clock.advance(seconds=2)
    assert list(live.config().basic_auth_users) == ["bb"]


def basic(user: str, password: str) -> str:
    return str(requests.auth._basic_auth_str(user.encode(), password.encode()))


async def judged(auth: BasicAuth, *headers: str, client: str = "192.0.2.1") -> list[Verdict]:
    return list(await asyncio.gather(*(auth.judge(header, {"anna": HASH}, client) for header in headers)))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that bcrypt was asked about."""
    asked: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        asked.append(password)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return asked


def test_bcrypt_is_asked_once_for_each_credential(checks: list[bytes]) -> None:
    async def scenario() -> None:
        auth = BasicAuth()
        right, wrong, stranger = basic("anna", PASSWORD), basic("anna", "x"), basic("bert", PASSWORD)
        assert await judged(auth, *[right] * 20) == [Verdict.IN] * 20
        assert await judged(auth, wrong, stranger) == [Verdict.OUT] * 2
        assert await judged(auth, right, wrong, stranger) == [Verdict.IN, Verdict.OUT, Verdict.OUT]

    run_async(scenario())
    # The stranger's costs one as well: who exists cannot be told by the time.
    assert checks == [PASSWORD.encode(), b"x", PASSWORD.encode()]


def test_a_flood_of_guesses_waits_in_a_short_queue_and_shuts_nobody_out(checks: list[bytes]) -> None:
    async def scenario() -> None:
        auth = BasicAuth()
        assert await judged(auth, basic("anna", PASSWORD)) == [Verdict.IN]
        flood = asyncio.create_task(judged(auth, *(basic("anna", str(number)) for number in range(500))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        begun = len(checks)
        assert await judged(auth, basic("anna", PASSWORD), client="192.0.2.1") == [Verdict.IN]
        assert begun <= 5
        verdicts = await flood
        assert verdicts.count(Verdict.OUT) == 16
        assert verdicts.count(Verdict.BUSY) == 484

    run_async(scenario())
    assert len(checks) == 17


def test_guesses_do_not_keep_a_scraper_out_after_a_start() -> None:
    """All from one address, say of a proxy, and always more of them than stand in line; the scraper comes again."""

    async def scenario() -> None:
        auth = BasicAuth()
        numbers = itertools.count()
        done = asyncio.Event()

        async def guess() -> None:
            while not done.is_set():
                await judged(auth, basic("anna", f"guess {next(numbers)}"))

        guessers = [asyncio.create_task(guess()) for _ in range(60)]
        await asyncio.sleep(0.1)
        verdicts = [(await judged(auth, basic("anna", PASSWORD)))[0] for _ in range(3)]
        done.set()
        await asyncio.gather(*guessers)
        assert verdicts[-2:] == [Verdict.IN, Verdict.IN]
        assert next(numbers) > 60

    run_async(scenario())


def test_a_check_that_nobody_waits_for_any_more_is_still_made() -> None:
    async def scenario() -> None:
        auth = BasicAuth()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(judged(auth, basic("anna", PASSWORD)), 0)
        impatient = asyncio.create_task(judged(auth, basic("anna", PASSWORD)))
        await asyncio.sleep(0)
        impatient.cancel()
        assert await judged(auth, basic("anna", PASSWORD)) == [Verdict.IN]

    run_async(scenario())


@pytest.mark.parametrize("header", ["", "Basic !", "Basic ÿ", "Bearer x", "Digest a=b", basic("anna", "p" * 5000)])
def test_other_headers_are_out_without_work(checks: list[bytes], header: str) -> None:
    assert run_async(judged(BasicAuth(), header)) == [Verdict.OUT]
    assert checks == []


def test_long_passwords_count_to_72_bytes_as_in_go() -> None:
    long = "p" * 72
    hashed = bcrypt.hashpw(long.encode(), bcrypt.gensalt(4)).decode()
    assert run_async(BasicAuth().judge(basic("a", long + "q"), {"a": hashed}, "")) is Verdict.IN


def test_silent_and_half_sent_connections_do_not_hold_up_a_scrape(
    tmp_path: Path, config: Path, processes: Processes, authority: trustme.CA
) -> None:
    issue(authority, tmp_path)
    web = write_web(tmp_path, tls_server_config=TLS, basic_auth_users={"prometheus": HASH})
    url = start_tls_exporter(processes, config, web, folder=tmp_path)
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    sockets = [socket.create_connection(address) for _ in range(33)]
    for _ in range(30):
        half = trusting.wrap_socket(socket.create_connection(address), server_hostname="127.0.0.1")
        half.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        sockets.append(half)
    try:
        begun = time.monotonic()
        assert session(tmp_path, "").get(f"{url}/metrics", auth=("prometheus", PASSWORD), timeout=10).ok
        assert time.monotonic() - begun < 5  # how long exactly: benchmarks/soak.py
    finally:
        for item in sockets:
            item.close()


def test_reloading_over_http_can_be_closed(config: Path, processes: Processes) -> None:
    url = start_exporter(processes, config, "--no-web.enable-lifecycle")
    refused = requests.post(f"{url}/-/reload", timeout=10)
    assert refused.status_code == 403
    assert "SIGHUP reloads" in refused.text


def test_reloads_wait_for_each_other_and_scrapes_do_not(config: Path, processes: Processes) -> None:
    url = start_exporter(processes, config)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(requests.post(f"{url}/-/reload", timeout=30).status_code))
        for _ in range(24)
    ]
    for thread in threads:
        thread.start()
    assert requests.get(f"{url}/metrics", timeout=10).ok
    for thread in threads:
        thread.join()
    assert statuses == [200] * 24


def test_no_secret_in_the_representation(tmp_path: Path) -> None:
    config = load_web_config(write_web(tmp_path, basic_auth_users={"anna": HASH}))
    assert not re.search(re.escape(HASH), repr(config))
