"""`python -m dashboards.build`: writes every dashboard's JSON, byte for byte the same each time.

With a site's own thresholds and runbooks: `api-usage-exporter bundle`.
"""

import json
from pathlib import Path
from typing import Any

from grafanalib._gen import DashboardEncoder

from exporter.links import RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS, Bands

from . import exporter_health, overview, usage

OUTPUT = Path(__file__).with_name("json")

# Of what grafanalib writes, what Grafana 8 and later no longer read.
_OBSOLETE = frozenset({"__inputs", "gnetId", "hideControls", "id", "rows", "sharedCrosshair", "style"})
_MODULES = (usage, overview, exporter_health)


def rendered(bands: Bands = DEFAULT_BANDS, runbooks: str = RUNBOOKS_URL) -> dict[str, str]:
    """JSON by file name. runbooks: URL under which the runbooks can be read."""
    made = [module.dashboard(bands, runbooks) for module in _MODULES]
    return {f"{one.uid}.json": _text(one) for one in made}


def _text(dashboard: Any) -> str:
    content = json.loads(json.dumps(dashboard, cls=DashboardEncoder))
    kept = {key: value for key, value in content.items() if key not in _OBSOLETE}
    kept["timepicker"] = {"hidden": False, "refresh_intervals": content["timepicker"]["refresh_intervals"]}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    for name, text in rendered().items():
        (OUTPUT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
