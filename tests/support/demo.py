"""The demo's vendor without traffic, watched by exporters and by Prometheus with 30 days of history."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from exporter.demo.accounts import ACCOUNTS, OrganisationAccount, ScopeAccount
from exporter.demo.backfill import backfill, published_by
from exporter.demo.faults import Faults
from exporter.demo.meter import Meter, ScopeRecord
from exporter.demo.vendor import create_app
from exporter.local.processes import Processes, eventually, required
from exporter.local.prometheus import query, start_prometheus
from tests.support.http import serve
from tests.support.programs import ROOT, start_exporter

# Names with all that has a meaning in PromQL, in regular expressions, in URLs and in HTML; a limit of 0 that is used.
HOSTILE = OrganisationAccount(
    "hostile",
    'A "B" \\ [C] {D} <b>E</b> & F=G?#%25 $scope',
    (
        ScopeAccount("quoted", 'Say "hi" \\d+ (x|y) [z] $1', "P", 1_000, 740, 60),
        ScopeAccount("nothing", "Nothing", "P", 0, 5, None, hard_limit=False),
    ),
)
# Coarser than in the demo, to save time.
_STEP = timedelta(minutes=40)
_RULES = {
    "groups": [
        {
            "name": "any",
            "rules": [
                {
                    "alert": "ApiUsageHigh",
                    "expr": "max by (api, organisation, scope) (api_usage_requests / api_usage_limit_requests) >= 0.75",
                    "labels": {"severity": "warning"},
                }
            ],
        }
    ]
}


@dataclass(frozen=True)
class WatchedDemo:
    """prometheus, replicated: base URLs of one that scrapes one exporter, and of one that scrapes every replica."""

    meter: Meter
    faults: Faults
    prometheus: str
    replicated: str


@contextmanager
def watched_demo(folder: Path, *, replicas: int) -> Iterator[WatchedDemo]:
    """Runs it. The organisation New Labs fails from the start; its vendor answers 500."""
    meter = Meter([*ACCOUNTS, HOSTILE])
    faults = Faults([organisation.id for organisation in meter.organisations])
    faults.set("500", "new-labs")
    with serve(create_app(meter, faults)) as vendor, Processes(folder) as processes:
        config = exporter_config(vendor, folder)
        addresses = [start_exporter(processes, config).removeprefix("http://") for _ in range(replicas)]
        (folder / "rules.yml").write_text(yaml.safe_dump(_RULES))
        past = tuple(meter.records(_STEP))
        one = _start_prometheus(processes, folder / "one", config, addresses[:1], past)
        replicated = _start_prometheus(processes, folder / "replicas", config, addresses, past)
        eventually(lambda: _is_scraped(one, 1) and _is_scraped(replicated, replicas))
        yield WatchedDemo(meter, faults, one, replicated)
    faults.close()


def exporter_config(vendor: str, folder: Path) -> Path:
    config = yaml.safe_load((ROOT / "exporter/demo/config.yaml").read_text(encoding="utf-8"))
    (api,) = config["apis"]
    api |= {"url": api["url"].replace("http://vendor:8080", vendor), "poll_interval": "1s", "stale_after": "5s"}
    api["organisations"].append({"id": HOSTILE.id, "name": HOSTILE.name})
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _start_prometheus(
    processes: Processes, storage: Path, exporter_config: Path, targets: list[str], past: tuple[ScopeRecord, ...]
) -> str:
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "usage", "static_configs": [{"targets": targets}]}],
    }
    path = storage.with_suffix(".yml")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    published = published_by(exporter_config, path, targets[0])
    backfill(required("promtool"), past, published, storage)
    return start_prometheus(processes, path, storage)


def _is_scraped(prometheus: str, targets: int) -> bool:
    scraped = query(prometheus, "count(count_over_time(api_usage_exporter_build_info[1m]) >= 4)")
    fired = query(prometheus, 'ALERTS{alertstate="firing"}')
    return bool(fired and scraped and float(scraped[0]["value"][1]) == targets)
