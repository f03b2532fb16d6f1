"""The rules: loaded, evaluated by promtool, and held against the thresholds, metrics, links and runbooks of the project.

alert_rules/tests/*.yaml are the cases to read. Those that repeat for each boundary come from tables here.
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.wrappers import Response

from alert_rules import alerts, build, recording
from dashboards import queries
from exporter import metrics, thresholds
from exporter.config.api import Api
from exporter.config.fields import parse_duration
from exporter.errors import AuthError, PollError, ResponseError
from exporter.links import EXPORTER_DASHBOARD, GRAFANA_URL, RUNBOOKS_URL, USAGE_DASHBOARD
from exporter.local.processes import required
from exporter.metrics import CATALOGUE, LAST_RENDER_TIME
from exporter.thresholds import CRITICAL, WARNING, Band, Threshold
from exporter.vendor.next_poll import next_delay
from exporter.vendor.poller import Poller
from tests.support.alerting import amtool
from tests.support.factories import answer, load
from tests.support.http import Vendor
from tests.support.programs import ROOT
from tests.support.promtool import RULE_FILES, RULES, groups, in_kubernetes, promtool, rules, run_rules_test, selector
from tests.support.watched import Watched

UNIT_TESTS = sorted((RULES / "tests").glob("*.yaml"))
ALERTS, RECORDED = rules("alert"), rules("record")
SCOPE = {"job": "usage", "instance": "a", "api": "maps", "organisation": "Acme", "scope": "Tiles"}
DAY = 86_400


def series(metric: metrics.Metric, **labels: str) -> str:
    """A series of the metric for one scope, or one organisation where the metric has no scope."""
    known = {name: value for name, value in SCOPE.items() if name != "scope" or "scope" in metric.labels}
    return selector(metric.name, **{**known, **labels})


def period(start: int, end: int) -> dict[str, str]:
    return {series(metrics.PERIOD_START): f"{start}x120", series(metrics.PERIOD_END): f"{end}x120"}


def firing(alert: str, at: str) -> tuple[str, str]:
    return f'count(ALERTS{{alertname="{alert}",alertstate="firing",scope="Tiles"}})', at


# promtool and vmalert


def test_the_rules_load_without_a_complaint() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULE_FILES))


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_the_rules_load_in_vmalert(file: Path) -> None:
    vmalert = [required("vmalert"), "-dryRun", f"-rule={file}"]
    ran = subprocess.run(vmalert, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_the_rules_do_what_their_unit_tests_say(file: Path, tmp_path: Path) -> None:
    test = tmp_path / file.name
    test.write_text(in_kubernetes(file.read_text("utf-8")).replace("../", f"{RULES}/"), encoding="utf-8")
    promtool("test", "rules", str(test))


# Boundaries


@pytest.mark.parametrize("percent", ["74.99", "75", "75.01", "89.99", "90", "90.01", "99.99", "100", "104"])
def test_each_band_begins_where_the_thresholds_say_and_after_its_for(percent: str, tmp_path: Path) -> None:
    ratio = float(percent) / 100
    reached = {
        "ApiUsageHigh": WARNING.reached_by(ratio),
        "ApiUsageCritical": CRITICAL.reached_by(ratio),
        "ApiUsageLimitReached": ratio >= thresholds.LIMIT_REACHED_RATIO,
    }
    check_ladder(percent, "100", reached, tmp_path)


@pytest.mark.parametrize(
    ("alert", "boundary", "over"),
    [("ApiUsageHigh", 0.75, 0.76), ("ApiUsageCritical", 0.9, 0.91), ("ApiUsageLimitReached", 1.0, 1.01)],
)
def test_an_alert_ends_a_hundredth_below_where_it_began(
    alert: str, boundary: float, over: float, tmp_path: Path
) -> None:
    """What has fallen to just above that stays, and what comes there for the first time does not fire."""
    end = boundary * (1 - thresholds.HYSTERESIS_RATIO)
    stays, leaves = round(end + 0.0002, 4), round(end - 0.0002, 4)
    samples: dict[tuple[str, str], dict[str, float]] = {
        (f'count(ALERTS{{alertname="{alert}",alertstate="firing",scope="Falls"}})', "40m"): {"{}": 1},
        (f'ALERTS{{alertname="{alert}",scope="Falls"}}', "41m"): {},
        (f'ALERTS{{alertname="{alert}",scope="Comes"}}', "60m"): {},
    }
    used = {"Falls": f"{over}x20 {stays}x19 {leaves}x20", "Comes": f"{stays}x60"}
    given = {series(metrics.REQUESTS, scope=name): values for name, values in used.items()}
    limits = {series(metrics.LIMIT, scope=name): "1x60" for name in used}
    run_rules_test(tmp_path, {**given, **limits}, samples=samples)


# As floats 0.27 / 0.3 is over 0.9, and the others are beside their ratios too.
@pytest.mark.parametrize(
    ("used", "limit", "highest"),
    [
        ("0.27", "0.3", "ApiUsageHigh"),
        ("0.09", "0.1", "ApiUsageHigh"),
        ("0.30000000000000004", "0.4", "ApiUsageHigh"),
        ("0.21000000000000002", "0.28", "ApiUsageHigh"),
        ("1.05", "1.4000000000000001", "ApiUsageHigh"),
        ("0.30000000000000004", "0.3", "ApiUsageLimitReached"),
        ("0.3", "0.30000000000000004", "ApiUsageLimitReached"),
        ("0.270000000003", "0.3", "ApiUsageCritical"),
    ],
)
def test_boundaries_hold_within_the_error_of_floats(used: str, limit: str, highest: str, tmp_path: Path) -> None:
    ladder = ["ApiUsageHigh", "ApiUsageCritical", "ApiUsageLimitReached"]
    ratio = thresholds.clean_ratio(float(used) / float(limit))
    assert thresholds.DEFAULT_BANDS.band_of(ratio).value == ALERTS[highest]["labels"]["severity"]
    reached = {alert: ladder.index(alert) <= ladder.index(highest) for alert in ladder}
    check_ladder(used, limit, reached, tmp_path)


@pytest.mark.parametrize("scale", [1, 0.01, 0.1, 1e-6])
def test_a_quotient_is_the_ratio_that_a_site_writes(scale: float, tmp_path: Path) -> None:
    """In the recorded ratio as in the dashboards: every threshold of three decimals, in requests of some scale."""
    used: dict[str, str] = {}
    for thousandth in range(1, 1001):
        of = {"api": "a", "organisation": "o", "scope": str(thousandth)}
        used[selector(metrics.REQUESTS.name, **of)] = f"{thousandth * scale!r}x2"
        used[selector(metrics.LIMIT.name, **of)] = f"{1000 * scale!r}x2"
        used[selector("ratio", **of)] = f"{thousandth / 1000!r}x2"
        used[selector("percent", **of)] = f"{Threshold(Band.WARNING, thousandth / 1000, inclusive=True).percent!r}x2"
    equal = {
        "count(scope:api_usage_requests_per_limit:ratio == on (scope) ratio)": 1000.0,
        f"count({queries.used_percent({})} == on (scope) percent)": 1000.0,
    }
    run_rules_test(tmp_path, used, samples={(query, "1m"): {"{}": count} for query, count in equal.items()})


def check_ladder(requests: str, limit: str, reached: Mapping[str, bool], tmp_path: Path) -> None:
    """Each alert fires after its `for`, or does not."""
    used = {series(metrics.REQUESTS): f"{requests}x120", series(metrics.LIMIT): f"{limit}x120", **period(0, 30 * DAY)}
    samples: dict[tuple[str, str], dict[str, float]] = {}
    for alert, expected in reached.items():
        wait = parse_duration(ALERTS[alert]["for"])
        samples[firing(alert, f"{wait - 60:g}s")] = {}
        samples[firing(alert, f"{wait:g}s")] = {"{}": 1} if expected else {}
    run_rules_test(tmp_path, used, samples=samples)


@pytest.mark.parametrize(("percent", "fires"), [(89, False), (91, True)])
def test_the_rate_alert_begins_at_its_ratio_and_after_its_for(percent: int, fires: bool, tmp_path: Path) -> None:
    rate = {
        series(metrics.READ_TIME): "0+60x120",
        series(metrics.PACE, window="1h"): f"{percent}x120",
        series(metrics.RATE_LIMIT): "100x120",
    }
    wait = parse_duration(ALERTS["ApiRateLimitHigh"]["for"])
    samples: dict[tuple[str, str], dict[str, float]] = {
        firing("ApiRateLimitHigh", f"{wait - 60:g}s"): {},
        firing("ApiRateLimitHigh", f"{wait:g}s"): {"{}": 1} if fires else {},
    }
    run_rules_test(tmp_path, rate, samples=samples)


# An exporter that is gone


@pytest.mark.parametrize("found", ["refuses connections", "lost from service discovery"])
@pytest.mark.parametrize("scrape", [15, 60])
@pytest.mark.parametrize("phase", range(4))
def test_a_usage_alert_does_not_end_before_it_is_said_that_the_exporter_is_down(
    found: str, scrape: int, phase: int, tmp_path: Path
) -> None:
    """Rules are evaluated every 15 seconds; the last scrape is at each of the moments between two evaluations of a
    minute, and the first that fails a scrape interval and a time-out of 15 seconds later."""
    slots = scrape // 15
    alive = 4 * 15 + phase

    def scraped(value: str, after: str) -> str:
        """alive, every so many slots; then `after`, once or for ever."""
        times = [value if (slot - alive + 1) % slots == 0 else "_" for slot in range(alive)]
        return " ".join([*times, *["_"] * slots, *([after] * 80 if after == "0" else [after])])

    gone = scraped("1", "stale")
    run_rules_test(
        tmp_path,
        {
            'up{job="usage",instance="a"}': scraped("1", "0") if found == "refuses connections" else gone,
            'api_usage_exporter_shard_info{job="usage",instance="a",shard="0",shards="1"}': gone,
            'api_usage_exporter_build_info{job="usage",instance="a"}': gone,
            series(metrics.REQUESTS): gone.replace("1", "97"),
            series(metrics.LIMIT): gone.replace("1", "100"),
            series(metrics.READ_TIME): gone,
            **{
                name: scraped(value, "stale")
                for name, value in ((series(metrics.PERIOD_START), "0"), (series(metrics.PERIOD_END), str(30 * DAY)))
            },
        },
        samples={
            (
                'min_over_time((count(ALERTS{alertname=~"ApiUsageCritical|ApiUsageExporterDown",'
                'alertstate="firing"}) or vector(0))[25m:15s])',
                "35m",
            ): {"{}": 1}
        },
        interval="15s",
    )


# The example beside them


def test_failed_notifications_and_a_watchdog(tmp_path: Path) -> None:
    failed = selector("alertmanager_notifications_failed_total", instance="am", integration="slack", reason="other")
    fine = selector("alertmanager_notifications_failed_total", instance="am", integration="email", reason="other")
    alerts_at = 'ALERTS{alertstate="firing"}'
    failing = '{__name__="ALERTS",alertname="AlertmanagerNotificationsFailing",alertstate="firing",instance="am",'
    watchdog = '{__name__="ALERTS",alertname="Watchdog",alertstate="firing",severity="info"}'
    run_rules_test(
        tmp_path,
        {failed: "0x9 1x60", fine: "5x70"},
        samples={
            (alerts_at, "0m"): {watchdog: 1},
            (alerts_at, "16m"): {watchdog: 1, f'{failing}integration="slack",severity="critical"}}': 1},
            (alerts_at, "60m"): {watchdog: 1},
        },
        files=[RULES / "examples/watching.yaml"],
    )


def test_the_route_to_a_dead_man_s_switch_is_one(tmp_path: Path) -> None:
    (config,) = re.findall(r"```yaml\n(route:.*?)```", (ROOT / "docs/alerts.md").read_text("utf-8"), re.DOTALL)
    file = tmp_path / "alertmanager.yml"
    file.write_text(config, encoding="utf-8")
    for alert, receiver in (("Watchdog", "dead-mans-switch"), ("ApiUsageHigh", "ticket")):
        assert amtool("config", "routes", "test", f"--config.file={file}", f"alertname={alert}").strip() == receiver


# The rules and the rest of the project

_COMMENT = re.compile(r"#.*")
_NUMBER = re.compile(r"(?<![\w:.$])\d+(?:\.\d+)?(?![\w:.])")


def numbers(promql: str) -> list[float]:
    """The numbers in an expression, ascending; durations and names are none."""
    return sorted(float(number) for number in _NUMBER.findall(_COMMENT.sub("", promql)))


# Of each band: its number, where it begins, and how far below that it ends; a limit of 0; and of no band.
BAND_NUMBERS = sorted(
    [
        *(number for band in (1, 2, 3) for number in (0, 0, 1, band, thresholds.HYSTERESIS_RATIO)),
        *(WARNING.ratio, WARNING.ratio, CRITICAL.ratio, CRITICAL.ratio, thresholds.LIMIT_REACHED_RATIO),
        *(0, 0, 0, 0, 3),
    ]
)
STILL_IN_WARNING = 1 - thresholds.HYSTERESIS_RATIO
EXPECTED_NUMBERS: dict[str, list[float]] = {
    "ApiUsageHigh": [1],
    "ApiUsageCritical": [2],
    "ApiUsageLimitReached": [3],
    "ApiUsageRunsOutSoon": [0],
    "ApiUsageBurningFast": [],
    "ApiUsageProjectedOverLimit": [
        thresholds.PROJECTED_NEAR_RATIO,
        thresholds.PROJECTED_CLEARED_PROBABILITY,
        thresholds.PROJECTED_LIKELY_PROBABILITY,
        thresholds.LIMIT_REACHED_RATIO,
    ],
    "ApiRateLimitHigh": [thresholds.RATE_LIMIT_HIGH_RATIO],
    "ApiRequestsRejected": [0],
    "ApiUsageLimitLowered": [DAY],
    "instance:api_usage_exporter_clock:seconds_ahead": [thresholds.CLOCK_AHEAD_SECONDS],
    "instance_scope:api_usage_read:timestamp_seconds_freshest": [1],
    "scope:api_usage_requests:freshest": [],
    "scope:api_usage_limit_requests:freshest": [],
    "scope:api_usage_requests_per_limit:ratio": [0],
    "scope:api_usage_billing_period:short": [],
    "scope:api_usage_requests_per_limit:ratio_near": [round(WARNING.ratio * STILL_IN_WARNING, 12), STILL_IN_WARNING],
    "scope:api_usage_threshold:ratio_warning": [WARNING.ratio],
    "scope:api_usage_threshold:ratio_critical": [CRITICAL.ratio],
    "scope:api_usage_requests_per_limit:band": BAND_NUMBERS,
    "scope:api_usage_limit_shortfall:requests": [],
    "ApiUsageAddOnAdvised": [1],
    "ApiUsagePlanUpgradeAdvised": [2],
    "ApiUsagePollFailing": [1, 1],
    "ApiUsageAuthFailing": [1],
    "ApiUsageStale": [1],
    "ApiUsageExporterDown": [0, 1, 1],
    "ApiUsageScopeVanished": [1],
    "ApiUsageShardMissing": [1],
    "ApiUsageReplicaDown": [0],
    "ApiUsageConfigReloadFailed": [0],
    "ApiUsageMetricsNotRendered": [0, 1, thresholds.RENDERED_MAX_AGE_SECONDS],
    "ApiUsageAnswerDrift": [0],
    "ApiUsagePollsPutOff": [0],
    "ApiUsageStateNotSaved": [0, thresholds.SAVED_MAX_AGE_SECONDS],
    "instance_scope:api_usage_requests_per_limit:ratio": [0],
    "scope:api_usage_billing_period:seconds": [],
    "scope:api_usage_requests_per_minute:rate1h": [],
    "scope:api_usage_requests_per_rate_limit:ratio_rate1h": [0],
}


@pytest.mark.parametrize("name", [*ALERTS, *RECORDED])
def test_every_number_is_one_of_the_thresholds(name: str) -> None:
    rule = ALERTS.get(name) or RECORDED[name]
    assert numbers(rule["expr"]) == EXPECTED_NUMBERS[name]


@pytest.mark.parametrize(
    ("alert", "step", "threshold"), [("ApiUsageHigh", 1, WARNING), ("ApiUsageCritical", 2, CRITICAL)]
)
def test_the_boundary_falls_on_the_side_that_the_thresholds_say(
    alert: str, step: int, threshold: thresholds.Threshold
) -> None:
    own = f"scope:api_usage_threshold:ratio_{threshold.band.value}"
    usual = f"clamp(scope:api_usage_requests_per_limit:ratio_near, {threshold.ratio:g}, {threshold.ratio:g})"
    begins = f"scope:api_usage_requests_per_limit:ratio_near {threshold.operator} bool ({own} or {usual}) * "
    assert begins in RECORDED["scope:api_usage_requests_per_limit:band"]["expr"]
    assert ALERTS[alert]["expr"].endswith(f"and scope:api_usage_requests_per_limit:band >= {step}\n")
    assert ALERTS[alert]["labels"] == {"severity": threshold.band.value}


def test_percentages_in_texts_and_runbooks_are_the_thresholds() -> None:
    texts = [text for alert in ALERTS.values() for text in alert["annotations"].values()]
    assert not re.findall(r"\b\d+(?= ?%(?:[ .,]))", " ".join(texts))
    runbooks = {
        "ApiUsageHigh": f"{WARNING.ratio * 100:g} % or more",
        "ApiUsageCritical": f"More than {CRITICAL.ratio * 100:g} %",
        "ApiRateLimitHigh": f"{thresholds.RATE_LIMIT_HIGH_RATIO * 100:g} % or more",
        "ApiUsageProjectedOverLimit": f"{thresholds.PROJECTED_LIKELY_PROBABILITY * 100:g} % likely or more",
        "ApiUsageRunsOutSoon": f"within {thresholds.RUNS_OUT_WITHIN_SECONDS / 3600:g} hours",
    }
    for name, words in runbooks.items():
        assert words in (RULES / "runbooks" / f"{name}.md").read_text("utf-8"), name


METRIC_NAMES = {metric.name for metric in CATALOGUE}
TARGET_LABELS = {
    *("job", "instance", "pod", "container", "endpoint", "service", "namespace", "cluster"),
    "exported_shard",  # where the target has a label `shard` of its own
}
LABELS_OF_ALERTS = {"alertname", "alertstate", "severity"}
LABELS = {label for metric in CATALOGUE for label in metric.labels} | TARGET_LABELS | LABELS_OF_ALERTS


def promql_texts() -> Iterator[str]:
    for rule in (*ALERTS.values(), *RECORDED.values()):
        yield _COMMENT.sub("", rule["expr"])
        yield from rule.get("annotations", {}).values()


def test_every_metric_recorded_series_and_label_exists() -> None:
    for text in promql_texts():
        assert set(re.findall(r"(?<![\w:/])api_usage_[a-z_]+", text)) <= METRIC_NAMES, text
        assert set(re.findall(r"\w+:api_usage_\w+:\w+", text)) <= set(RECORDED), text
        grouped = re.findall(r"\b(?:without|by|on|ignoring|group_left|group_right) \(([^)]*)\)", text)
        assert {label for labels in grouped for label in re.findall(r"\w+", labels)} <= LABELS, text
        assert set(re.findall(r"\b(\w+)!?=~?(?:%q|['\"])", text)) <= LABELS, text
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= LABELS, text


def test_every_recorded_series_is_used() -> None:
    used = " ".join(promql_texts())
    for name in RECORDED:
        assert re.search(rf"{re.escape(name)}(?![\w:])", used), name


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_series_are_named_level_metric_operations(name: str) -> None:
    assert re.fullmatch(r"(instance|(instance_)?scope):api_usage_[a-z_]+:[a-z0-9_]+", name)
    reads = set(re.findall(r"(?:instance_)?scope:|(?<![\w:])api_usage_", RECORDED[name]["expr"]))
    aggregated = re.search(
        r"(max|min) without \(instance, pod, container, endpoint(, severity)?\)", RECORDED[name]["expr"]
    )
    assert (aggregated is not None or reads == {"scope:"}) == name.startswith("scope:")


class Longest(random.Random):
    """Random delays at their longest."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@pytest.mark.parametrize(
    ("alert", "failure"), [("ApiUsagePollFailing", ResponseError("?")), ("ApiUsageAuthFailing", AuthError("no"))]
)
def test_one_failed_poll_is_over_before_its_alert_fires(alert: str, failure: PollError) -> None:
    interval = parse_duration(Api.model_fields["poll_interval"].default)
    assert parse_duration(ALERTS[alert]["for"]) > next_delay(
        failure, 1, interval=interval, first=False, rng=Longest()
    )


@pytest.mark.parametrize(("refusals", "alerts"), [(1, []), (3, ["ApiUsageAuthFailing", "ApiUsageStale"])])
def test_one_refused_poll_alerts_nobody(tmp_path: Path, vendor: Vendor, refusals: int, alerts: list[str]) -> None:
    """At the longest that the jitter may take: the data is as old as it ever is when the good poll comes."""
    answers = iter([200] + [403] * refusals)
    vendor.answer = lambda _: Response(json.dumps(answer()), status=next(answers, 200))
    exporter = Watched(load(tmp_path / "c.yaml", {"url": vendor.url}).targets)
    poller = Poller(exporter.store.record, exporter.clock, rng=Longest())
    poller.set_targets(exporter.targets.values())
    series: dict[str, list[str]] = {}
    for _ in range(90):
        poller.run_due()
        assert poller.wait_idle(10)
        for line in exporter.text().splitlines():
            if line.startswith(("api_usage_stale{", "api_usage_poll_failing{")):
                name, _, value = line.rpartition(" ")
                series.setdefault(name, []).append(value)
        exporter.clock.advance(minutes=1)
    poller.stop()
    fired = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing",organisation="acme"}[90m]))'
    run_rules_test(
        tmp_path,
        {name: " ".join(values) for name, values in series.items()},
        samples={(fired, "90m"): {f'{{alertname="{alert}"}}': 1 for alert in alerts}},
    )


_WHERE_PUBLISHED = re.compile(
    r"\((api_usage_[a-z_]+) or last_over_time\(\1\[10m\]\)"
    r" unless ignoring \(scope\) api_usage_last_success_timestamp_seconds\)"
)


def test_every_series_of_the_exporter_is_read_over_ten_minutes_or_more() -> None:
    for whole in promql_texts():
        text = _WHERE_PUBLISHED.sub("", whole)
        for metric, window in re.findall(r"(?<![\w:])(api_usage_[a-z_]+)(?:\{[^}]*\})?(\[\w+\])?", text):
            # What is not there, such as a limit or a whole target, is for the newest sample to say; what time a
            # target has, as well.
            if not metric.startswith("api_usage_exporter_shard") and metric != LAST_RENDER_TIME.name:
                assert window in ("[10m]", "[20m]", "[1h]", "[7d]"), (metric, text)


def test_values_stand_in_annotations_and_nothing_is_kept_firing() -> None:
    for alert in ALERTS.values():
        assert "keep_firing_for" not in alert
        assert set(alert["labels"]) == {"severity"}
        assert alert["labels"]["severity"] in ("critical", "warning", "info")


def test_the_ladder_is_one_group_with_the_highest_band_first() -> None:
    (ladder,) = [group for group in groups() if group["name"] == "api-usage"]
    names = [rule["alert"] for rule in ladder["rules"]]
    assert names[:3] == ["ApiUsageLimitReached", "ApiUsageCritical", "ApiUsageHigh"]


# What every alert needs

PLACE = "".join(
    f'{{{{ with index $labels "{label}" }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}'
    for label in ("cluster", "namespace")
)
URL = f"{GRAFANA_URL}/d/{USAGE_DASHBOARD}?var-api={{{{ $labels.api | urlquery }}}}{PLACE}"
OF_ORGANISATION = f"{URL}&var-organisation={{{{ $labels.organisation | urlquery }}}}&var-scope="
DASHBOARDS = (
    f"{OF_ORGANISATION}{{{{ $labels.scope | urlquery }}}}",
    f"{OF_ORGANISATION}$__all",
    f"{GRAFANA_URL}/d/{EXPORTER_DASHBOARD}",
)
CHAPTERS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def cases_by_alert() -> dict[str, set[bool]]:
    """For each alert that the unit tests name: whether one expects it, and whether one expects it to be silent."""
    found: dict[str, set[bool]] = {}
    for file in UNIT_TESTS:
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                found.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    return found


def complaints(alert: dict[str, Any], runbooks: Path, tests: dict[str, set[bool]]) -> list[str]:
    """What the alert lacks, in words."""
    name, annotations = alert["alert"], alert.get("annotations", {})
    runbook = runbooks / f"{name}.md"
    chapters = re.findall(r"(?m)^## (.+)$", runbook.read_text("utf-8")) if runbook.exists() else []
    checks = {
        "is not tested to fire and to be silent": tests.get(name) == {True, False},
        "has no summary": bool(annotations.get("summary")),
        "has no description": bool(annotations.get("description")),
        "has no link to its runbook": annotations.get("runbook_url") == f"{RUNBOOKS_URL}/{name}.md",
        "has no link to a dashboard": annotations.get("dashboard_url") in DASHBOARDS,
        "has no whole runbook": chapters == CHAPTERS,
        "has no `for`": "for" in alert,
        "has no severity": "severity" in alert.get("labels", {}),
    }
    return [complaint for complaint, fine in checks.items() if not fine]


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_what_a_person_needs(name: str) -> None:
    assert complaints(ALERTS[name], RULES / "runbooks", cases_by_alert()) == []


@pytest.mark.parametrize(
    ("lacking", "complaint"),
    [
        ("summary", "has no summary"),
        ("description", "has no description"),
        ("runbook_url", "has no link to its runbook"),
        ("dashboard_url", "has no link to a dashboard"),
    ],
)
def test_an_alert_that_lacks_an_annotation_is_found(lacking: str, complaint: str) -> None:
    alert = deepcopy(ALERTS["ApiUsageHigh"])
    del alert["annotations"][lacking]
    assert complaints(alert, RULES / "runbooks", cases_by_alert()) == [complaint]


def test_an_alert_without_test_or_runbook_is_found(tmp_path: Path) -> None:
    untested = {name: cases for name, cases in cases_by_alert().items() if name != "ApiUsageHigh"}
    assert complaints(ALERTS["ApiUsageHigh"], tmp_path, untested) == [
        "is not tested to fire and to be silent",
        "has no whole runbook",
    ]


def test_the_docs_list_every_alert_and_recorded_series() -> None:
    page = (ROOT / "docs/alerts.md").read_text("utf-8")
    for name, alert in ALERTS.items():
        assert f"| `{name}` | {alert['labels']['severity']} | {alert['for']} | " in page
    assert set(re.findall(r"\| `(scope:[^`]+)` \|", page)) == {name for name in RECORDED if name.startswith("scope:")}
    assert RUNBOOKS_URL in page
    assert GRAFANA_URL in page


def test_the_readme_lists_the_alerts_as_the_docs_do() -> None:
    row = re.compile(
        r"^\| \[?`(\w+)`(?:\]\(alert_rules/runbooks/\w+\.md\))? \| (\w+) \| (?:\w+ \| )?(.+) \|$", re.MULTILINE
    )
    told = row.findall((ROOT / "README.md").read_text("utf-8"))
    alerts = [found for found in told if found[0] in ALERTS]
    assert len(alerts) == len(ALERTS)
    assert alerts == row.findall((ROOT / "docs/alerts.md").read_text("utf-8"))[: len(ALERTS)]


def test_there_is_no_runbook_or_link_of_something_else() -> None:
    assert {file.stem for file in (RULES / "runbooks").iterdir()} == set(ALERTS)
    for file in RULE_FILES:
        for link in re.findall(r"https?://[^\s\"?]+", file.read_text("utf-8")):
            assert link.startswith((f"{GRAFANA_URL}/d/", f"{RUNBOOKS_URL}/")), link


# The rules as Python


def test_what_the_yaml_holds_is_what_the_python_says() -> None:
    """Of the site's own addresses and thresholds too: nothing that is put in changes what is read around it."""
    bands = thresholds.Bands(0.333, 0.955)
    texts = build.rendered(bands, "https://grafana.example.org/a%20b/~c", "http://[::1]:8080/runbooks")
    held = {
        rule["alert"]: rule for group in yaml.safe_load(texts["alerts.yaml"])["groups"] for rule in group["rules"]
    }
    written = [alert for group in alerts.groups(bands) for alert in group.alerts]
    assert list(held) == [alert.name for alert in written]
    for alert in written:
        rule = held[alert.name]
        assert rule["expr"] == f"{cleandoc(alert.expr)}\n"
        assert (rule["for"], rule["labels"]) == (alert.for_, {"severity": alert.severity})
        for name, text in (("summary", alert.summary), ("description", alert.description)):
            assert rule["annotations"][name] == text.replace("\n", " ")
        assert rule["annotations"]["runbook_url"] == f"http://[::1]:8080/runbooks/{alert.name}.md"
        assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example.org/a%20b/~c/d/api-usage")
    records = [rule for group in yaml.safe_load(texts["recording.yaml"])["groups"] for rule in group["rules"]]
    recorded = [rule for group in recording.groups(bands) for rule in group.rules]
    assert records == [{"record": rule.record, "expr": f"{cleandoc(rule.expr)}\n"} for rule in recorded]


def test_every_template_of_a_runbook_is_of_an_alert() -> None:
    found = {file.name for file in (RULES / "templates/runbooks").iterdir()}
    assert found == {f"{name}.md.jinja" for name in ALERTS}


def test_no_runbook_holds_a_site_s_threshold_but_by_its_name() -> None:
    for file in (RULES / "templates/runbooks").iterdir():
        assert set(re.findall(r"\d+ ?%", file.read_text("utf-8"))) <= {"100 %"}, file.name
