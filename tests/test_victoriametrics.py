"""VictoriaMetrics behind Prometheus' remote_write answers the dashboards as Prometheus does, and vmalert records for it."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from exporter.demo.accounts import ACCOUNTS
from exporter.demo.backfill import STEP, backfill, openmetrics, published_by
from exporter.demo.processes import Processes
from exporter.demo.vendor import Faults, Meter, ScopeRecord, create_app
from tests.support.demo import HOSTILE, exporter_config
from tests.support.http import serve
from tests.support.panels import BOARDS, Question, answered, questions, server_time
from tests.support.programs import (
    eventually,
    query,
    required,
    start_exporter,
    start_prometheus,
    start_victoria_metrics,
    start_vmalert,
)
from tests.support.promtool import RULES

NAMES = [one.name for one in (*ACCOUNTS, HOSTILE)]
PAST = timedelta(hours=6)


@dataclass(frozen=True)
class Stores:
    """Base URLs. at: a time whose samples both have."""

    prometheus: str
    victoria: str
    at: float


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("victoria")
    meter = Meter([*ACCOUNTS, HOSTILE])
    faults = Faults([organisation.id for organisation in meter.organisations])
    faults.set("500", "example-labs")
    with serve(create_app(meter, faults)) as vendor, Processes(folder) as processes:
        config = exporter_config(vendor, folder)
        address = start_exporter(processes, config).removeprefix("http://")
        victoria = start_victoria_metrics(processes, folder / "victoria")
        prometheus_config = config_of(folder, address, victoria)
        published = published_by(config, prometheus_config, address)
        past = [since(record, datetime.now(UTC) - PAST) for record in meter.records(STEP)]
        lines = list(openmetrics(past, published))
        backfill(required("promtool"), past, published, folder / "prometheus")
        import_into(victoria, lines)
        prometheus = start_prometheus(processes, prometheus_config, folder / "prometheus")
        start_vmalert(processes, victoria, folder / "rules", victoria)
        eventually(lambda: query(prometheus, "count_over_time(api_usage_exporter_build_info[1m]) >= 10"))
        at = math.floor(server_time(prometheus))
        eventually(lambda: newest(victoria) > at)
        yield Stores(prometheus, victoria, at)
    faults.close()
