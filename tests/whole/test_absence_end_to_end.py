"""A vendor leaves a scope out, and a real exporter and Prometheus say so: no alert on it ends as if all were well."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from werkzeug.wrappers import Response

from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus
from tests.support.alerting import quick_rules
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.programs import start_exporter

PERIOD = {
    name: (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    for name, days in (("start", -10), ("end", 20))
}
TILES, ROUTES = (
    {"name": name, "requests": count, "period": PERIOD} for name, count in (("Tiles", 970), ("Routes", 1))
)


def firing(prometheus: str) -> set[tuple[str, str]]:
    found = query(prometheus, 'ALERTS{alertstate="firing",organisation="acme"}')
    return {(one["metric"]["alertname"], one["metric"]["scope"]) for one in found}


def test_a_scope_that_vanishes_alerts_and_its_usage_alert_stands(tmp_path: Path, vendor: Vendor) -> None:
    answers = [TILES, ROUTES]
    vendor.answer = lambda _: Response(json.dumps(answer(*answers)))
    config = write_config(tmp_path / "config.yaml", {"url": vendor.url, "poll_interval": "1s"})
    critical, vanished = ("ApiUsageCritical", "Tiles"), ("ApiUsageScopeVanished", "Tiles")
    with Processes(tmp_path) as processes:
        exporter = start_exporter(processes, config, f"--storage.path={tmp_path / 'data'}")
        scrape = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{quick_rules(tmp_path)}/*.yaml"],
            "scrape_configs": [{"job_name": "usage", "static_configs": [{"targets": [exporter.split("//")[1]]}]}],
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(scrape), encoding="utf-8")
        prometheus = start_prometheus(processes, tmp_path / "prometheus.yml", tmp_path / "tsdb")
        eventually(lambda: critical in firing(prometheus), seconds=30)
        answers.remove(TILES)
        eventually(lambda: {critical, vanished} <= firing(prometheus), seconds=30)
        answers.append(TILES)
        eventually(lambda: vanished not in firing(prometheus), seconds=30)
        assert critical in firing(prometheus)
