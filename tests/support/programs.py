"""The exporter and the programs around Prometheus as real processes."""

import sys
from pathlib import Path

from exporter.local.ports import free_port
from exporter.local.processes import Processes, required

ROOT = Path(__file__).parents[2]
ALERTMANAGER_CONFIG = ROOT / "provisioning/alertmanager/alertmanager.yml"


def start_exporter(processes: Processes, config: Path, *flags: str) -> str:
    """Start an exporter on a free port and wait until every organisation was tried; returns its base URL."""
    port = free_port(0, "")
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    processes.start(f"exporter-{port}", [*command, *flags])
    processes.wait_ready(f"exporter-{port}", f"{url}/-/ready")
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
