"""`make demo` as a user runs it, on free ports."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

from exporter.demo.ports import DEFAULTS
from exporter.local.processes import eventually, required
from exporter.local.prometheus import query
from tests.support.programs import ROOT

FREE = [f"--{name}.port=0" for name in ("exporter", "vendor", "prometheus", "alertmanager", "receiver")]


class Demo:
    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process, self._output = process, output

    def output(self) -> str:
        return self._output.read_text()

    def url(self, name: str) -> str:
        """The URL that the demo printed under this name."""
        (line,) = [line for line in self.output().splitlines() if line.startswith(f"{name}:")]
        return line.removeprefix(f"{name}:").split()[0]


def run_demo(tmp_path: Path, **environment: str) -> Demo:
    output = tmp_path / "demo.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter.demo", *FREE],
            stdout=file,
            stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path), **environment},
        )
    demo = Demo(process, output)

    def ready() -> bool:
        assert process.poll() is None, demo.output()
        return "Ctrl-C" in demo.output()

    try:
        eventually(ready, 60)
    except BaseException:
        process.kill()
        raise
    return demo


def children(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_the_demo_reaches_a_scraped_value_and_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    required("prometheus")
    required("alertmanager", "prometheus-alertmanager")
    demo = run_demo(tmp_path)
    try:
        prometheus = demo.url("prometheus")
        eventually(lambda: query(prometheus, 'api_usage_requests{scope="Routing"} == 75000'), 40)
        (scopes,) = query(prometheus, "count(api_usage_requests offset 29d)")
        assert scopes["value"][1] == "13"  # all but the new account
        status = requests.get(f"{demo.url('alertmanager')}/api/v2/status", timeout=5).json()
        assert f"{demo.url('paged')}/alerts" in status["config"]["original"]
        assert "What was paged" in requests.get(demo.url("paged"), timeout=5).text
        rules = requests.get(f"{prometheus}/api/v1/rules?type=alert", timeout=5).json()["data"]["groups"]
        runbooks = [rule["annotations"]["runbook_url"] for group in rules for rule in group["rules"]]
        assert len(runbooks) == len(list((ROOT / "alert_rules/runbooks").iterdir()))
        assert all(requests.get(runbook, timeout=5).ok for runbook in runbooks)
        assert 'scope="Routing"} 75000.0' in requests.get(demo.url("metrics"), timeout=5).text
        started = children(demo.process)
        assert len(started) == 3
    finally:
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(20) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.glob("api-usage-demo-*"))


def test_without_prometheus_the_rest_runs_and_it_is_told_how_to_get_it(tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    demo = run_demo(tmp_path, PATH=str(empty))
    try:
        assert (
            "prometheus is not on PATH, so the demo runs without it; to get it: apt-get install prometheus"
            in demo.output()
        )
        assert 'scope="Routing"} 75000.0' in requests.get(demo.url("metrics"), timeout=5).text
    finally:
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(20) == 0


def test_closing_the_terminal_ends_every_process_too(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, PATH=str(tmp_path))
    started = children(demo.process)
    assert started
    demo.process.send_signal(signal.SIGHUP)
    assert demo.process.wait(20) == 0
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, "-m", "exporter.demo", *FREE, f"--exporter.port={port}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert refused.returncode == 1
    assert (
        refused.stderr
        == f"demo: port {port}: Address already in use; choose another with --exporter.port=PORT (0: any free)\n"
    )


def test_make_looks_at_the_ports_before_it_sets_anything_up() -> None:
    """Without any package, and with the flag as it is written for make."""
    port = DEFAULTS["receiver"]
    with socket.create_server(("127.0.0.1", port)):
        refused = subprocess.run(
            [sys.executable, "-S", "-m", "exporter.demo.ports"],
            cwd=ROOT,
            env={"PATH": "", "DEMO_BY_MAKE": "1"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert refused.returncode == 1
    assert refused.stderr == (
        f"demo: port {port}: Address already in use; choose another with "
        "make demo DEMO_FLAGS=--receiver.port=PORT (0: any free)\n"
    )
