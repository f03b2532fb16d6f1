"""The exporter and the Prometheus programs as real processes."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from exporter.demo.processes import Processes, free_port

ROOT = Path(__file__).parents[2]
ALERTMANAGER_CONFIG = ROOT / "provisioning/alertmanager/alertmanager.yml"
T = TypeVar("T")


def required(*names: str) -> str:
    """The path of an installed program; the test fails, and says how to get it, where there is none."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.fail(f"{names[0]} is not installed; `make test` installs it, or tells how")


def start_exporter(processes: Processes, config: Path, *flags: str) -> str:
    """Start an exporter on a free port and wait until every organisation was tried; returns its base URL."""
    port = free_port(0, "")
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    processes.start(f"exporter-{port}", [*command, *flags])
    processes.wait_ready(f"exporter-{port}", f"{url}/-/ready")
    return url


def start_prometheus(processes: Processes, config: Path, storage: Path, *flags: str) -> str:
    """Start a Prometheus on a free port and wait until it is ready; returns its base URL."""
    port = free_port(0, "")
    url = f"http://127.0.0.1:{port}"
    command = [
        required("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={storage}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
    ]
    processes.start(f"prometheus-{port}", [*command, *flags])
    processes.wait_ready(f"prometheus-{port}", f"{url}/-/ready")
    return url


def start_server(processes: Processes, command: list[str], listen_flag: str, ready: str) -> str:
    """Start a program that listens on --FLAG=HOST:PORT, on a free port, and wait until `ready` answers; its base URL."""
    port = free_port(0, "")
    name = f"{Path(command[0]).name}-{port}"
    processes.start(name, [*command, f"{listen_flag}=127.0.0.1:{port}"])
    processes.wait_ready(name, f"http://127.0.0.1:{port}{ready}")
    return f"http://127.0.0.1:{port}"


def start_alertmanager(processes: Processes, config: Path, storage: Path) -> str:
    """Start an Alertmanager on a free port and wait until it is ready; returns its base URL."""
    command = [
        required("alertmanager", "prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={storage}",
        "--cluster.listen-address=",
    ]
    return start_server(processes, command, "--web.listen-address", "/-/ready")


def start_victoria_metrics(processes: Processes, storage: Path) -> str:
    """Start a VictoriaMetrics that shows what it was sent at once; returns its base URL."""
    command = [
        required("victoria-metrics"),
        f"-storageDataPath={storage}",
        "-search.latencyOffset=0s",  # by default, the newest 30 seconds do not show
        "-search.disableCache",
    ]
    return start_server(processes, command, "-httpListenAddr", "/health")


def start_vmalert(processes: Processes, victoria: str, rules: Path, notifier: str) -> str:
    """Start a vmalert on the rule files of a folder, which reads from and records into VictoriaMetrics; its base URL."""
    command = [
        required("vmalert"),
        f"-rule={rules}/*.yaml",
        "-evaluationInterval=1s",
        f"-datasource.url={victoria}",
        f"-remoteWrite.url={victoria}",
        "-remoteWrite.flushInterval=1s",
        "-disableAlertgroupLabel",
        f"-notifier.url={notifier}",
    ]
    return start_server(processes, command, "-httpListenAddr", "/health")


def query(prometheus: str, promql: str, **parameters: Any) -> list[dict[str, Any]]:
    """The result of an instant query; fails the test on an error."""
    response = requests.get(f"{prometheus}/api/v1/query", params={"query": promql, **parameters}, timeout=10)
    answer = response.json()
    assert answer["status"] == "success", f"{promql}: {answer}"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def eventually(probe: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of the probe; fails with the last one where none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value or time.monotonic() > deadline:
            assert value, f"not within {seconds:g} s; last: {value!r}"
            return value
        time.sleep(0.05)
