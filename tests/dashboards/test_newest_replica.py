"""Which replica the dashboards believe: the one that read a scope last, whatever the others still hold."""

from pathlib import Path

import pytest

from dashboards import queries
from dashboards.promql import Selection, equal
from exporter import metrics
from exporter.metrics import Metric
from tests.support.promtool import run_rules_test, selector

EVERYWHERE: Selection = {}
SCOPE = {"api": "maps", "organisation": "Acme", "scope": "Tiles"}
NAME = '{api="maps", organisation="Acme", scope="Tiles"}'


def replica(instance: str, read: int | None, requests: int, limit: int | None) -> dict[str, str]:
    """Its series, as promtool takes them. read: when, in seconds; None from an exporter that does not publish it."""
    values: dict[Metric, int | None] = {
        metrics.READ_TIME: read,
        metrics.REQUESTS: requests,
        metrics.LIMIT: limit,
        metrics.PERIOD_END: 1000 + requests,
    }
    labels = {"job": "usage", "instance": instance, **SCOPE}
    found = {selector(metric.name, **labels): f"{value}x5" for metric, value in values.items() if value is not None}
    day = selector(metrics.DAILY.name, **labels, date="1970-01-01")
    pace = selector(metrics.PACE.name, **labels, window="1h")
    return {**found, day: f"{requests}x5", pace: f"{requests}x5"}


@pytest.mark.parametrize(
    ("newer", "older", "percent"),
    [
        (("b", 200, 95, 1000), ("a", 100, 95, 100), 9.5),
        (("b", 200, 95, 100), ("a", 100, 95, 1000), 95),
        (("b", 200, 40, 100), ("a", 100, 95, 100), 40),
        (("b", 200, 95, None), ("a", 100, 95, 100), queries.Mark.UNLIMITED),
        (("b", 200, 95, 100), ("a", 100, 95, None), 95),
        (("a", 200, 1, 100), ("b", None, 95, 100), 1),
        (("a", None, 96, 100), ("b", None, 95, 1000), 96),
    ],
    ids=[
        "a raised limit",
        "a lowered limit",
        "a correction, or a new period",
        "limited to unlimited",
        "unlimited to limited",
        "beside an exporter that does not publish when it reads",
        "only such exporters: the highest usage",
    ],
)
def test_the_replica_that_read_last_is_shown(
    newer: tuple[str, int | None, int, int | None],
    older: tuple[str, int | None, int, int | None],
    percent: float,
    tmp_path: Path,
) -> None:
    used = newer[2]
    shown = {
        queries.used_percent(EVERYWHERE): percent,
        queries.requests(EVERYWHERE): used,
        queries.period_ends_at(EVERYWHERE): 1000 * (1000 + used),
        queries.pace(EVERYWHERE, "1h"): used,
    }
    samples = {(query, "5m"): {NAME: float(value)} for query, value in shown.items()}
    # A replica that has just begun counted but a part of its days.
    samples[queries.daily_total(EVERYWHERE), "5m"] = {'{date="1970-01-01"}': float(max(used, older[2]))}
    run_rules_test(tmp_path, {**replica(*older), **replica(*newer)}, samples=samples)


def test_the_age_of_a_scope_is_its_own(tmp_path: Path) -> None:
    series = replica("a", 60, 1, 2)
    series[selector(metrics.LAST_SUCCESS.name, job="usage", instance="a", api="maps", organisation="Acme")] = "300x5"
    run_rules_test(tmp_path, series, samples={(queries.data_age(EVERYWHERE), "5m"): {NAME: 240}})


def test_a_replica_whose_clock_is_ahead_reads_no_later_for_it(tmp_path: Path) -> None:
    series = {**replica("ahead", 3900, 95, 100), **replica("right", 240, 95, 1000)}
    series[selector(metrics.LAST_RENDER_TIME.name, job="usage", instance="ahead")] = "3600+60x5"
    series[selector(metrics.LAST_RENDER_TIME.name, job="usage", instance="right")] = "0+60x5"
    # 3900 by a clock that is an hour ahead is 300; it reads no more, and the other one does.
    series[selector(metrics.READ_TIME.name, job="usage", instance="right", **SCOPE)] = "0+62x5"
    run_rules_test(tmp_path, series, samples={(queries.used_percent(EVERYWHERE), "5m"): {NAME: 9.5}})


def test_numbers_are_of_the_cluster_and_namespace_that_are_chosen(tmp_path: Path) -> None:
    def moved(series: dict[str, str], place: str) -> dict[str, str]:
        return {name.replace('job="usage"', f'job="usage",{place}'): values for name, values in series.items()}

    prod = moved(replica("a", 100, 12, 100), 'cluster="eu",namespace="prod"')
    staging = moved(replica("a", 200, 95, 100), 'cluster="eu",namespace="staging"')
    elsewhere = replica("a", 300, 50, 100)
    chosen = {"cluster": equal("eu"), "namespace": equal("prod")}
    nowhere = {"cluster": equal(""), "namespace": equal("")}
    samples = {
        (queries.used_percent(chosen), "5m"): {NAME: 12.0},
        (queries.used_percent(nowhere), "5m"): {NAME: 50.0},
    }
    run_rules_test(tmp_path, {**prod, **staging, **elsewhere}, samples=samples)
