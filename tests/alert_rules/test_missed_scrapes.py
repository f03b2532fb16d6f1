"""How long an alert outlives what it stands on: each is made to fire as in its unit test, and then nothing is scraped."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.alert_rules.test_notifications import firing_tests, seconds
from tests.support.promtool import promtool, rules, rules_tests

# These are about what is not scraped, or about an hour or a day.
OTHERS = {
    *("ApiUsageExporterDown", "ApiUsageShardMissing", "ApiUsageReplicaDown", "ApiUsageMetricsNotRendered"),
    *("ApiUsagePollsPutOff", "ApiUsageStateNotSaved", "ApiUsageLimitLowered"),
}
STANDS, ENDS = 9, 11  # minutes after the last scrape
_VALUES = re.compile(r"(?P<start>_|stale|-?[\d.e]+)(?:(?P<step>[+-][\d.e]+))?(?:x(?P<times>\d+))?")


def expanded(values: str) -> Iterator[str]:
    """Samples of promtool's notation, such as 1+2x3 for 1 3 5 7."""
    for part in values.split():
        match = _VALUES.fullmatch(part)
        assert match, part
        times = int(match["times"] or 0)
        if match["start"] in ("_", "stale"):
            yield from [match["start"]] * max(1, times)
            continue
        for number in range(times + 1):
            yield f"{float(match['start']) + number * float(match['step'] or 0):.15g}"


def cut(test: dict[str, Any], alert: str) -> dict[str, Any]:
    """The test with a last scrape when the alert fires."""
    (case,) = test["alert_rule_test"]
    scrapes = int(seconds(case["eval_time"]) / 60) + 1
    given = [
        {"series": one["series"], "values": " ".join([*list(expanded(one["values"]))[:scrapes], "stale"])}
        for one in test["input_series"]
    ]
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0 or vector(0)'
    expected = [
        {"expr": firing, "eval_time": f"{scrapes - 1 + minutes}m", "exp_samples": [{"labels": "{}", "value": fires}]}
        for minutes, fires in ((0, 1), (STANDS, 1), (ENDS, 0))
    ]
    return {"name": alert, "interval": "1m", "input_series": given, "promql_expr_test": expected}


def test_an_alert_stands_for_ten_minutes_without_a_scrape_and_no_longer(tmp_path: Path) -> None:
    by_alert = {test["alert_rule_test"][0]["alertname"]: test for test in firing_tests()}
    assert by_alert.keys() == rules("alert").keys()
    tests = [cut(test, alert) for alert, test in by_alert.items() if alert not in OTHERS]
    file = tmp_path / "test.yaml"
    file.write_text(rules_tests(tests), encoding="utf-8")
    promtool("test", "rules", str(file))


@pytest.mark.parametrize(
    ("values", "samples"),
    [("1x2", "1 1 1"), ("0+60x2 5", "0 60 120 5"), ("_x2 stale 3-1x1", "_ _ stale 3 2"), ("-1.5", "-1.5")],
)
def test_promtool_s_notation(values: str, samples: str) -> None:
    assert " ".join(expanded(values)) == samples
