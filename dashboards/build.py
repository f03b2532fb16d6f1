"""`python -m dashboards.build`: writes every dashboard's JSON, byte for byte the same each time."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from grafanalib._gen import DashboardEncoder

from exporter.links import RUNBOOKS_URL

from . import exporter_health, overview, usage
from .theme import Bands

OUTPUT = Path(__file__).with_name("json")

# Of what grafanalib writes, what Grafana 8 and later no longer read.
_OBSOLETE = frozenset({"__inputs", "gnetId", "hideControls", "id", "rows", "sharedCrosshair", "style"})
_MODULES = (usage, overview, exporter_health)


def rendered(bands: Bands | None = None, runbooks: str = RUNBOOKS_URL) -> dict[str, str]:
    """JSON by file name. runbooks: URL under which the runbooks can be read."""
    made = [module.dashboard(bands or Bands(), runbooks) for module in _MODULES]
    return {f"{one.uid}.json": _text(one) for one in made}


def _text(dashboard: Any) -> str:
    content = json.loads(json.dumps(dashboard, cls=DashboardEncoder))
    kept = {key: value for key, value in content.items() if key not in _OBSOLETE}
    kept["timepicker"] = {"hidden": False, "refresh_intervals": content["timepicker"]["refresh_intervals"]}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description="Write the dashboards' JSON.")
    default = Bands()
    parser.add_argument("--warning", type=float, default=default.warning, help="ratio from which bars are amber")
    parser.add_argument("--critical", type=float, default=default.critical, help="ratio over which bars are red")
    parser.add_argument("--runbooks", default=RUNBOOKS_URL, metavar="URL", help="where the alerts' runbooks are")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="folder to write to")
    options = parser.parse_args(arguments)
    try:
        files = rendered(Bands(options.warning, options.critical), options.runbooks.rstrip("/"))
        options.output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (options.output / name).write_text(text, encoding="utf-8")
    except (ValueError, OSError) as error:
        sys.exit(f"dashboards.build: {error}")


if __name__ == "__main__":
    main()
