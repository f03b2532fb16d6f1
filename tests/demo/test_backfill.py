"""The demo's past, as Prometheus sees it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.demo.backfill import BackfillError, Published, backfill, openmetrics, published_by
from exporter.demo.meter import Meter
from exporter.local.files import localised
from exporter.local.processes import required
from exporter.metrics import CATALOGUE
from tests.support.programs import ROOT

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    scrapes = [
        {"job_name": "other", "static_configs": [{"targets": ["127.0.0.1:1"]}]},
        {"job_name": "usage", "static_configs": [{"targets": ["127.0.0.1:2"]}]},
    ]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": scrapes}))
    config = localised(
        ROOT / "exporter/demo/config.yaml", {"http://vendor:8080": "http://127.0.0.1:3"}, tmp_path / "config.yaml"
    )
    return published_by(config, tmp_path / "prometheus.yml", "127.0.0.1:2")


@pytest.fixture
def lines(published: Published) -> Iterator[str]:
    return openmetrics(Meter(clock=lambda: NOON).records(timedelta(hours=6)), published)


def test_series_are_named_and_labelled_as_the_exporter_publishes_and_prometheus_scrapes_them(
    lines: Iterator[str],
) -> None:
    labels = {metric.name: set(metric.labels) for metric in CATALOGUE}
    families = list(text_string_to_metric_families("".join(lines)))
    assert {family.name for family in families} <= set(labels)
    seen = {}
    for family in families:
        for sample in family.samples:
            assert set(sample.labels) - {"team", "job", "instance"} == labels[family.name]
            assert (sample.labels["job"], sample.labels["instance"]) == ("usage", "127.0.0.1:2")
            seen[sample.name, sample.labels["organisation"], sample.labels.get("scope")] = sample
    last = seen["api_usage_requests", 'O\'Brien & "Söhne" (EU)', "Import\\Export"]
    assert (last.value, last.labels["team"]) == (90_010, "eu")
    assert float(last.timestamp) == NOON.timestamp()
    assert ("api_usage_limit_requests", "Example Logistics", "Status Pages") not in seen  # unlimited
    assert not [key for key in seen if key[2] == "Sandbox"]  # a new account


def test_what_promtool_refuses_is_told_and_nothing_is_left_behind(published: Published, tmp_path: Path) -> None:
    records = list(Meter(clock=lambda: NOON).records(timedelta(hours=6)))
    wrong = Published({"job\n": "x"}, published.targets)
    with pytest.raises(BackfillError, match="parse|invalid|expected"):
        backfill(required("promtool"), records, wrong, tmp_path / "tsdb")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".openmetrics"] == []
