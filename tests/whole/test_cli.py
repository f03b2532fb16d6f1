"""The command as a user runs it: a process of its own, its flags, signals, log and exit codes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Response

from exporter.address import Address
from exporter.local.ports import free_port
from exporter.local.processes import eventually
from tests.support.factories import answer, write_config
from tests.support.http import Vendor

COMMAND = [sys.executable, "-m", "exporter"]


def run(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *flags], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )


class Started:
    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10)

    def log(self) -> str:
        return self._log.read_text()

    def metrics(self) -> str:
        return self.get("/metrics").text


@contextmanager
def started(tmp_path: Path, config: Path, *flags: str, **environment: str) -> Iterator[Started]:
    port = free_port(0, "")
    log = tmp_path / "exporter.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*COMMAND, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", *flags],
            env={**os.environ, **environment},
            stderr=stderr,
            text=True,
        )
    running = Started(process, f"http://127.0.0.1:{port}", log)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return running.get("/-/ready").ok
        except requests.ConnectionError:
            return False

    try:
        eventually(answers)
        yield running
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def config(tmp_path: Path, vendor: Vendor) -> Path:
    vendor.answer = lambda _: Response(json.dumps(answer()))
    return write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage", "poll_interval": "1s"})


def test_help_names_every_flag_its_environment_variable_and_an_example() -> None:
    text = run("--help").stdout
    for flag in (
        "config.file",
        "config.check",
        "web.listen-address",
        "web.telemetry-path",
        "web.config.file",
        "web.systemd-socket",
        "web.external-url",
        "web.route-prefix",
        "web.enable-lifecycle",
        "storage.path",
        "log.level",
        "log.format",
    ):
        assert f"--{flag}" in text
        assert f"API_USAGE_EXPORTER_{flag.replace('.', '_').replace('-', '_').upper()}" in text.replace(
            "\n", ""
        ).replace(" ", "")
    assert "curl http://localhost:10190/metrics" in text


def test_version() -> None:
    assert run("--version").stdout.startswith("api-usage-exporter, version ")


def test_a_good_config_checks_out(config: Path) -> None:
    checked = run(f"--config.file={config}", "--config.check")
    assert (checked.returncode, checked.stdout) == (0, f"{config}: fine, 1 organisation to watch\n")


def test_a_bad_config_is_told_line_by_line(config: Path) -> None:
    config.write_text(config.read_text() + "a: 1\nb: 2\n")
    for flags in ([f"--config.file={config}", "--config.check"], [f"--config.file={config}"]):
        checked = run(*flags)
        assert checked.returncode == 1
        assert [line.split(": ")[1] for line in checked.stderr.splitlines()] == ["a", "b"]
        assert "Traceback" not in checked.stderr


def test_flags_come_from_the_environment_too(config: Path) -> None:
    checked = run(API_USAGE_EXPORTER_CONFIG_FILE=str(config), API_USAGE_EXPORTER_CONFIG_CHECK="1")
    assert checked.returncode == 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--web.listen-address=10190", "must be HOST:PORT, :PORT or unix:PATH, such as :10190, not '10190'"),
        ("--web.telemetry-path=metrics", "must be a path such as /metrics, not 'metrics'"),
        ("--web.telemetry-path=/-/healthy", "'/-/healthy' is an address of the exporter's own"),
        ("--web.telemetry-path=/a//b", "must be a path such as /metrics, not '/a//b'"),
        ("--web.route-prefix=usage", "must be a path such as /usage, or /, not 'usage'"),
        (
            "--web.external-url=example.org",
            "and a path of letters, digits and ._~- without user, query or fragment; not 'example.org'",
        ),
        ("--web.external-url=https://u:p@example.org/", "must be a URL such as"),
        ("--web.external-url=https://example.org/a?b", "must be a URL such as"),
        ("--web.external-url=http://[", "must be a URL such as"),
        ("--web.external-url=https://:secret@example.org/", "must be a URL such as"),
        ("--web.external-url=https://example.org/a/../b", "must be a URL such as"),
        ("--web.external-url=https://exa mple.org/", "must be a URL such as"),
        ("--web.external-url=https://example.org:99999/", "must be a URL such as"),
        ("--web.external-url=https://example.org:/", "must be a URL such as"),
        ("--web.external-url=https://example.org?", "must be a URL such as"),
        ("--web.external-url=https://example.org/#", "must be a URL such as"),
        ("--web.external-url=https://<example>.org/", "must be a URL such as"),
        ("--web.external-url=https://-example.org/", "must be a URL such as"),
        ("--web.external-url=https://example.org/\n", "must be a URL such as"),
        ("--web.route-prefix=/a/..", "must be a path such as /usage, or /, not '/a/..'"),
        ("--web.telemetry-path=/./metrics", "must be a path such as /metrics, not '/./metrics'"),
        ("--log.level=loud", "'loud' is not one of"),
        ("--no-such-flag", "No such option"),
    ],
)
def test_bad_flags(config: Path, flag: str, message: str) -> None:
    refused = run(f"--config.file={config}", flag)
    assert refused.returncode == 2
    assert message in refused.stderr


def test_a_port_in_use_is_one_line(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = run(f"--config.file={config}", f"--web.listen-address={address}")
    assert refused.returncode == 1
    assert (
        refused.stderr
        == f"cannot listen on {address}: Address already in use; --web.listen-address chooses another\n"
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("no-such-host.invalid:80", "the host is not known"),
        (f"{'a' * 64}.invalid:80", "the host is not known"),
        (f"unix:/{'a' * 200}", "AF_UNIX path too long"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(config: Path, address: str, reason: str) -> None:
    refused = run(f"--config.file={config}", f"--web.listen-address={address}")
    assert refused.stderr == f"cannot listen on {address}: {reason}; --web.listen-address chooses another\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_just_after_the_start_is_not_lost(config: Path, number: int) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [*COMMAND, f"--config.file={config}", "--web.listen-address=127.0.0.1:0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "serving" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(5) == 0
        process.stderr.close()


def test_the_log_names_the_port_that_the_system_chose(tmp_path: Path, config: Path) -> None:
    with started(tmp_path, config, "--web.listen-address=127.0.0.1:0") as exporter:
        (port,) = re.findall(r'addresses="\S+ 127\.0\.0\.1:(\d+)"', exporter.log())
        assert requests.get(f"http://127.0.0.1:{port}/-/healthy", timeout=10).ok


# The exporter in a network whose name service knows six.test, by an AAAA record alone.
ONLY_AAAA = """
import socket
from exporter.cli import main
real = socket.getaddrinfo
def lookup(host, port, family=0, *args, **more):
    if host != "six.test":
        return real(host, port, family, *args, **more)
    if family == socket.AF_INET:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return real("::1", port, family, *args, **more)
socket.getaddrinfo = lookup
main()
"""


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_a_name_with_an_ipv6_address_alone(config: Path) -> None:
    command = [sys.executable, "-c", ONLY_AAAA, f"--config.file={config}", "--web.listen-address=six.test:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        (port,) = re.findall(r"addresses=six\.test:(\d+)", process.stderr.readline())
        assert requests.get(f"http://[::1]:{port}/-/healthy", timeout=10).ok
        process.kill()


def test_a_unix_socket(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "exporter.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with started(tmp_path, config, f"--web.listen-address=unix:{path}") as exporter:
        assert f"unix:{path}" in exporter.log()
        assert get_over(path).startswith(b"HTTP/1.1 200 OK")
        refused = run(f"--config.file={config}", f"--web.listen-address=unix:{path}")
        assert f"cannot listen on unix:{path}: Address already in use" in refused.stderr


def test_a_unix_socket_whose_server_is_busy_is_not_taken(tmp_path: Path, config: Path) -> None:
    path = str(tmp_path / "busy.sock")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        refused = run(f"--config.file={config}", f"--web.listen-address=unix:{path}")
    assert f"cannot listen on unix:{path}: Address already in use" in refused.stderr


def get_over(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        return client.recv(1000)


# What systemd does for a service with a socket unit.
WITH_SOCKETS = """
import os, sys
first, second = map(int, sys.argv[1:3])
os.dup2(first, 3), os.dup2(second, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")
os.execv(sys.executable, [sys.executable, "-m", "exporter", *sys.argv[3:]])
"""


def test_sockets_that_systemd_hands_over(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "exporter.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        for one in (tcp, unix):
            os.set_inheritable(one.fileno(), True)
        port = tcp.getsockname()[1]
        numbers = [str(one.fileno()) for one in (tcp, unix)]
        command = [sys.executable, "-c", WITH_SOCKETS, *numbers, f"--config.file={config}", "--web.systemd-socket"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, close_fds=False) as process:
            assert process.stderr is not None
            assert f'addresses="127.0.0.1:{port} unix:{path}"' in process.stderr.readline()
            assert requests.get(f"http://127.0.0.1:{port}/-/healthy", timeout=10).ok
            assert get_over(path).startswith(b"HTTP/1.1 200 OK")
            process.terminate()
            assert process.wait(10) == 0


def test_without_a_socket_unit_there_is_no_socket(config: Path) -> None:
    refused = run(f"--config.file={config}", "--web.systemd-socket")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "systemd has handed over no socket" in refused.stderr


@pytest.mark.parametrize("kind", ["datagrams", "not listening", "no socket"])
def test_what_systemd_hands_over_must_accept_connections(config: Path, kind: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket() as silent, config.open() as file:
        numbers = {"datagrams": datagrams.fileno(), "not listening": silent.fileno(), "no socket": file.fileno()}
        number = numbers[kind]
        os.set_inheritable(number, True)
        flags = [f"--config.file={config}", "--web.systemd-socket"]
        command = [sys.executable, "-c", WITH_SOCKETS, str(number), str(number), *flags]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, close_fds=False) as process:
            _, logged = process.communicate(timeout=20)
    assert process.returncode == 1
    assert logged == "--web.systemd-socket: file 3 is no socket that accepts streams; use ListenStream=\n"


def test_systemd_is_notified(tmp_path: Path, config: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        with started(tmp_path, config, NOTIFY_SOCKET=str(tmp_path / "notify")) as exporter:
            assert manager.recv(100) == b"READY=1"
            exporter.process.terminate()
            assert exporter.process.wait(10) == 0
        assert manager.recv(100) == b"STOPPING=1"


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal (proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    caught = re.search(r"^SigCgt:\s+(\w+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def has_loaded_little(pid: int) -> bool:
    """Whether the process is at its very beginning: of Flask's or pydantic's world nothing is there yet."""
    return "pydantic" not in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [COMMAND, [str(Path(sys.executable).with_name("api-usage-exporter"))]])
def test_signals_count_from_the_first_instant(config: Path, command: list[str]) -> None:
    for number, early in ((signal.SIGHUP, True), (signal.SIGTERM, True), (signal.SIGHUP, False)):
        flags = [f"--config.file={config}", "--web.listen-address=127.0.0.1:0"]
        with subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            eventually(lambda pid=process.pid: handles(pid, signal.SIGHUP) and handles(pid, signal.SIGTERM))  # type: ignore[misc]
            assert has_loaded_little(process.pid)
            if not early:
                eventually(lambda pid=process.pid: not has_loaded_little(pid))  # type: ignore[misc]
            process.send_signal(number)
            if number == signal.SIGHUP:
                logged = [process.stderr.readline(), process.stderr.readline()]
                assert {"config loaded" in line or "serving" in line for line in logged} == {True}
                process.terminate()
            assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/a.sock", Address(path="/run/a.sock")),
        (":10190", Address("", 10190)),
        ("[::1]:80", Address("::1", 80)),
        ("localhost:1", Address("localhost", 1)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "x", ":", "x:", "::1:80", "x:70000", "x:-1", "x:٣", "unix:a.sock", "unix:"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        Address.parse(text)


def test_it_polls_serves_and_ends_on_sigterm(tmp_path: Path, config: Path) -> None:
    with started(tmp_path, config, "--log.format=json") as exporter:
        eventually(
            lambda: "api_usage_polls_total" in exporter.metrics() and 'scope="Maps"} 750.0' in exporter.metrics()
        )
        begun = time.monotonic()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(10) == 0
        assert time.monotonic() - begun < 5
    events = [json.loads(line) for line in exporter.log().splitlines()]
    assert [event["event"] for event in events] == ["serving", "stopped"]


def test_it_ends_within_5_s_even_while_a_vendor_is_silent(tmp_path: Path, config: Path, vendor: Vendor) -> None:
    with started(tmp_path, config) as exporter:
        asked, ended = threading.Event(), threading.Event()

        def silent(_: Any) -> Response:
            asked.set()
            ended.wait(9)
            return Response("{}")

        vendor.answer = silent
        assert asked.wait(10)
        begun = time.monotonic()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(10) == 0
        assert time.monotonic() - begun < 5
        ended.set()


def test_what_clients_send_wrong_fills_no_log(tmp_path: Path, config: Path) -> None:
    upgrade = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with started(tmp_path, config) as exporter:
        address = ("127.0.0.1", int(exporter.url.rpartition(":")[2]))
        for sent, status in ((b"nonsense\r\n\r\n", b"400"), (upgrade, b"200")):
            with socket.create_connection(address, timeout=10) as client:
                client.sendall(sent)
                assert client.recv(1000).startswith(b"HTTP/1.1 " + status)
        assert "level=warning" not in exporter.log()


def test_several_addresses_another_path_and_ipv6(tmp_path: Path, config: Path) -> None:
    port = free_port(0, "")
    flags = (f"--web.listen-address=:{port}", "--web.telemetry-path=/usage-metrics")
    with started(tmp_path, config, *flags) as exporter:
        hosts = ["127.0.0.1", "[::1]"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
        for url in (exporter.url, *(f"http://{host}:{port}" for host in hosts)):
            assert requests.get(f"{url}/usage-metrics", timeout=10).ok
            assert requests.get(f"{url}/metrics", timeout=10).status_code == 404


def test_sighup_reloads_the_config(tmp_path: Path, config: Path) -> None:
    with started(tmp_path, config) as exporter:
        good = config.read_text()
        config.write_text(good.replace("id: acme", "id: other"))
        exporter.process.send_signal(signal.SIGHUP)
        eventually(lambda: 'organisation="other"' in exporter.metrics())
        config.write_text("apis: []")
        exporter.process.send_signal(signal.SIGHUP)
        eventually(lambda: "config_last_reload_successful 0.0" in exporter.metrics())
        assert 'organisation="other"' in exporter.metrics()
        assert "apis: must not be empty" in exporter.log()


def write_once_read(fifo: Path, content: bytes) -> bool:
    """Write to who reads the named pipe, or return False where nobody does."""
    try:
        number = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    os.write(number, content)
    os.close(number)
    return True


def test_hang_ups_that_come_while_a_reload_runs_share_the_next(tmp_path: Path, config: Path) -> None:
    content = config.read_bytes()
    with started(tmp_path, config) as exporter:
        config.unlink()
        os.mkfifo(config)  # takes as long to read as we like
        for _ in range(50):
            exporter.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        for count in (1, 2):
            eventually(lambda: write_once_read(config, content))
            eventually(lambda count=count: exporter.log().count("config loaded") == count)  # type: ignore[misc]
        time.sleep(0.2)
        assert not write_once_read(config, content)


def test_values_come_back_after_kill_9_while_the_vendor_is_down(tmp_path: Path, config: Path, vendor: Vendor) -> None:
    storage = f"--storage.path={tmp_path / 'data'}"
    with started(tmp_path, config, storage) as exporter:
        eventually(lambda: 'scope="Maps"} 750.0' in exporter.metrics())
        # What was read in the last second may be lost.
        eventually(lambda: "\napi_usage_exporter_state_saved_timestamp_seconds " in exporter.metrics())
        exporter.process.kill()
        exporter.process.wait()
    vendor.answer = lambda _: Response(status=500)
    with started(tmp_path, config, storage) as exporter:
        eventually(lambda: 'api_usage_up{api="demo",organisation="acme"} 0.0' in exporter.metrics())
        assert 'scope="Maps"} 750.0' in exporter.metrics()


def test_the_log_names_api_organisation_and_expression(tmp_path: Path, config: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response(json.dumps(answer({"requests": "many"})))
    with started(tmp_path, config) as exporter:
        eventually(lambda: "poll failed" in exporter.log())
    line = next(line for line in exporter.log().splitlines() if "poll failed" in line)
    assert (
        'level=warning event="poll failed" api=demo organisation=acme reason=response error="scope \'Maps\': requests: '
        in line
    )
    assert "expression 'requests' gave" in line
