"""`make screenshots`: the pictures in docs/images, of the demo in a real Grafana."""

import base64
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser

from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query
from tests.support.grafana import View, chromium, dashboard_url, start_grafana
from tests.support.programs import ROOT

IMAGES = ROOT / "docs/images"
_QUALITY = 70
_FREE_PORTS = [f"--{name}.port=0" for name in ("exporter", "vendor", "prometheus", "alertmanager")]


@dataclass(frozen=True)
class Picture:
    """width, height: of the window, in pixels."""

    name: str
    uid: str
    height: int
    width: int = 1280
    theme: str = "light"
    variables: dict[str, str] = field(default_factory=dict)


PICTURES = (
    Picture("grafana-usage", "api-usage", 3480, variables={"organisation": "Example Logistics"}),
    Picture(
        "grafana-usage-dark", "api-usage", 700, theme="dark", variables={"organisation": 'O\'Brien & "Söhne" (EU)'}
    ),
    Picture("grafana-overview", "api-usage-overview", 1190),
    Picture("grafana-exporter", "api-usage-exporter", 1540),
)


def main(home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name, Processes(Path(name)) as processes:
        folder = Path(name)
        processes.start("demo", [sys.executable, "-u", "-m", "exporter.demo", *_FREE_PORTS])
        prometheus = eventually(lambda: _prometheus(folder / "demo.log"), 60)
        eventually(lambda: query(prometheus, "count_over_time(api_usage_exporter_build_info[5m]) >= 18"), 360)
        grafana = start_grafana(processes, home, prometheus, folder)
        IMAGES.mkdir(exist_ok=True)
        with chromium() as browser:
            for picture in PICTURES:
                (IMAGES / f"{picture.name}.webp").write_bytes(_taken(browser, grafana, picture))


def _prometheus(log: Path) -> str:
    found = re.search(r"^prometheus:\s+(\S+)$", log.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _taken(browser: Browser, grafana: str, picture: Picture) -> bytes:
    url = dashboard_url(grafana, picture.uid, theme=picture.theme, **picture.variables)
    with View(browser, url, picture.width, picture.height) as view:
        session = view.page.context.new_cdp_session(view.page)
        taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": _QUALITY})
        return base64.b64decode(taken["data"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
