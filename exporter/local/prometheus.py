"""A real Prometheus on a free port, and what it answers."""

from pathlib import Path
from typing import Any

import requests

from exporter.local.ports import free_port
from exporter.local.processes import Processes, required


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


def query(prometheus: str, promql: str, **parameters: Any) -> list[dict[str, Any]]:
    """The result of an instant query. Raises ValueError with Prometheus' answer where that is an error."""
    response = requests.get(f"{prometheus}/api/v1/query", params={"query": promql, **parameters}, timeout=10)
    answer = response.json()
    if answer["status"] != "success":
        raise ValueError(f"{promql}: {answer}")
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result
