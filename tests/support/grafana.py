"""A real Grafana with the project's own provisioning, and a real browser on it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, Locator, Request, Response, sync_playwright

from exporter.bundle.files import PROVISIONING, project_folder
from exporter.local.files import localised
from exporter.local.ports import free_port
from exporter.local.processes import Processes, required

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


class View:
    """A dashboard in a browser tab so high that every panel is drawn. Entering waits until all have their data."""

    def __init__(self, browser: Browser, url: str, width: int, height: int = 4000) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self._url = url
        self._pending = 0
        self._asked = 0
        self._refused: list[str] = []
        self.page.on("request", lambda request: self._count(request, 1))
        self.page.on("requestfinished", lambda request: self._count(request, -1))
        self.page.on("requestfailed", lambda request: self._count(request, -1))
        self.page.on("response", self._check)

    def __enter__(self) -> Self:
        self.page.goto(self._url)
        self._settle()
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()

    def _count(self, request: Request, by: int) -> None:
        if "/api/" in request.url:
            self._pending += by
            self._asked += by > 0 and _QUERY in request.url

    def _check(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST and "/api/" in response.url:
            self._refused.append(f"{response.status} {response.url} {response.text()[:300]}")

    def _settle(self) -> None:
        """Wait until no query has been under way for some time."""
        quiet, waited = 0, 0
        while quiet < _QUIET_MILLISECONDS:
            assert waited < _LONGEST_MILLISECONDS, f"{self._pending} requests are still under way"
            self.page.wait_for_timeout(100)
            waited += 100
            quiet = quiet + 100 if self._asked and not self._pending else 0

    def reload_until(self, text: str, attempts: int = 20) -> None:
        """Ask anew until the text is to be seen."""
        for _ in range(attempts):
            if self.page.get_by_text(text).count():
                return
            self.page.goto(self._url)
            self._settle()
        raise AssertionError(f"never saw {text!r}")

    def errors(self) -> list[str]:
        """What Grafana refused, and the titles of panels that show an error."""
        marked = self.page.locator(".panel-info-corner--error, [data-testid*='Panel status error']")
        broken = self.page.get_by_text(re.compile("Cannot visualize data|Data is missing|Panel plugin not found"))
        found = [*marked.all(), *broken.all()]
        return [*self._refused, *(one.locator("xpath=ancestor::*[6]").inner_text()[:80] for one in found)]

    def panel(self, title: str) -> Locator:
        """The panels of this title."""
        if not title:
            return self.page.locator(_PANEL)
        return self.page.locator(_PANEL).filter(has=self.page.get_by_text(title, exact=True))

    def gauge_values(self) -> list[Locator]:
        """The values beside the cards' bars."""
        values = "[data-testid='data-testid Bar gauge value'], [aria-label='Bar gauge value']"
        return self.panel("Used of the limit").locator(values).all()

    def cut_off(self) -> list[str]:
        """Texts that end in an ellipsis, or stand out of their panel."""
        found: list[str] = self.page.evaluate(_CUT_OFF, _PANEL)
        return found

    def hovered(self, panel: Locator, count: int) -> list[str]:
        """What the chart tells, as the pointer moves over `count` places from left to right."""
        area = panel.locator(".u-over").first
        box = area.bounding_box()
        assert box
        self.page.mouse.move(box["x"], box["y"] - 100)
        told: list[str] = []
        for index in range(count):
            x, y = box["x"] + (index + 0.5) * box["width"] / count, box["y"] + box["height"] - 4
            told.append(self._told_at(x, y, told[-1] if told else ""))
        return told

    def _told_at(self, x: float, y: float, before: str) -> str:
        """The tooltip of a place; `before` is that of the last one, which stays for a moment."""
        rows = self.page.locator("#grafana-portal-container table tr, [data-viz-tooltip-wrapper] [class*=row]")
        for wiggle in range(20):
            self.page.mouse.move(x + wiggle % 3, y, steps=3)
            self.page.wait_for_timeout(50)
            told = ", ".join(" ".join(row.inner_text().split()) for row in rows.all())
            if told not in ("", before):
                return told
        return "nothing new"


_QUERY = "/api/ds/query"
_QUIET_MILLISECONDS = 1_000
_LONGEST_MILLISECONDS = 40_000
_PANEL = ".panel-container, section[data-testid^='data-testid Panel header']"

_CUT_OFF = """
panels => {
  const found = [];
  for (const panel of document.querySelectorAll(panels)) {
    const edge = panel.getBoundingClientRect();
    const scrolls = panel.querySelector("table, [role=table], .markdown-html") !== null;
    for (const element of panel.querySelectorAll("*")) {
      const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
      if (!own || element.closest(".u-legend, style, svg")) continue;
      const at = element.getBoundingClientRect();
      if (!at.width) continue;
      const clipped = ["hidden", "clip"].includes(getComputedStyle(element).overflowX);
      const shortened = clipped && element.scrollWidth > element.clientWidth + 1;
      const outside = at.right > edge.right + 1 || (!scrolls && at.bottom > edge.bottom + 1);
      if (shortened || outside) found.push(element.textContent);
    }
  }
  return found;
}
"""
