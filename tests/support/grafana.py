"""A real Grafana with the project's own provisioning, and a real browser on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, sync_playwright

from exporter.demo.bundle import PROVISIONING, localised, project_folder
from exporter.demo.processes import Processes, free_port
from tests.support.programs import required

DASHBOARDS = project_folder("dashboards") / "json"


def start_grafana(processes: Processes, home: Path, prometheus: str, folder: Path) -> str:
    """Start the Grafana that is installed or built in `home`, open to anyone as admin; returns its base URL."""
    port = free_port(0, "")
    config = folder / "grafana.ini"
    config.write_text(_settings(folder, _provisioning(prometheus, folder / "provisioning"), port), encoding="utf-8")
    program = next(path for path in (home / "bin" / "grafana", home / "bin" / "grafana-server") if path.exists())
    command = [str(program), *(["server"] if program.name == "grafana" else [])]
    processes.start("grafana", [*command, "--homepath", str(home), "--config", str(config)])
    url = f"http://127.0.0.1:{port}"
    processes.wait_ready("grafana", f"{url}/api/health")
    return url


def _provisioning(prometheus: str, folder: Path) -> Path:
    source = project_folder(PROVISIONING) / "grafana"
    replacements = {
        "datasources/prometheus.yml": {"http://prometheus:9090": prometheus},
        "dashboards/api-usage.yml": {"/var/lib/grafana/dashboards/api-usage": str(DASHBOARDS)},
    }
    for name, local in replacements.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        localised(source / name, local, folder / name)
    return folder


def _settings(folder: Path, provisioning: Path, port: int) -> str:
    return f"""\
[paths]
data = {folder / "data"}
logs = {folder / "logs"}
plugins = {folder / "plugins"}
provisioning = {provisioning}
[server]
http_addr = 127.0.0.1
http_port = {port}
[auth.anonymous]
enabled = true
org_role = Admin
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[news]
news_feed_enabled = false
"""


def dashboard_url(grafana: str, uid: str, **parameters: str) -> str:
    """A dashboard; `organisation="x"` sets a variable, `theme="dark"` the theme."""
    known = {"theme": parameters.pop("theme", "light")}
    variables = {f"var-{name}": value for name, value in parameters.items()}
    return f"{grafana}/d/{uid}?{urlencode({**known, **variables}, quote_via=quote)}"


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=required("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
