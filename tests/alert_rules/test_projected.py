"""ApiUsageProjectedOverLimit in PromQL decides as exporter/forecast/alert.py, with which the backtest measures it."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import yaml

from exporter import metrics
from exporter.forecast import Basis, Forecast, LimitState, Reached
from exporter.forecast.alert import Ticket, ticket_after
from exporter.metrics import Metric
from tests.support.promtool import groups, run_rules_test, selector
from tests.support.watched import NOVEMBER

BEGINS = NOVEMBER.start + timedelta(days=14)
MINUTES = 1200
POLL = 5
NAME = "ApiUsageProjectedOverLimit"


def forecasts(seed: int) -> Iterator[Forecast]:
    """At each minute, as of the last poll: a probability and a likely moment that wander about the thresholds."""
    chance = random.Random(seed)
    probability, ahead = 0.65, timedelta(days=6)
    made = Forecast(LimitState.AHEAD, Basis())
    for minute in range(MINUTES):
        if minute % POLL == 0:
            probability = min(1.0, max(0.0, probability + chance.gauss(0, 0.04)))
            ahead = max(timedelta(hours=1), ahead + timedelta(hours=chance.gauss(0, 5)))
            likely = BEGINS + timedelta(minutes=minute) + ahead if probability >= 0.5 else None
            reached = chance.random() < 0.01
            made = Forecast(
                LimitState.REACHED if reached else LimitState.AHEAD,
                Basis(),
                over_limit_probability=1.0 if reached else round(probability, 4),
                reached=Reached() if reached else Reached(likely=likely),
            )
        yield made


def moment(at: datetime) -> str:
    """In seconds from minute 0, which is promtool's 0."""
    return f"{(at - BEGINS).total_seconds():.0f}"


def test_promql_decides_as_the_backtest(tmp_path: Path) -> None:
    series: dict[str, str] = {}
    samples: dict[tuple[str, str], dict[str, float]] = {}
    fired: list[bool] = []
    for seed in range(6):

        def of_scope(metric: Metric, **labels: str) -> str:
            scope = {"api": "maps", "organisation": "Acme", "scope": f"scope {seed}"}  # noqa: B023 - used at once
            return selector(metric.name, instance="a", **scope, **labels)

        made = list(forecasts(seed))
        over = [each.limit_state is LimitState.REACHED for each in made]
        series |= {
            of_scope(metrics.READ_TIME): f"0+60x{MINUTES}",
            of_scope(metrics.LIMIT): f"1000x{MINUTES}",
            of_scope(metrics.PERIOD_START): f"{moment(NOVEMBER.start)}x{MINUTES}",
            of_scope(metrics.PERIOD_END): f"{moment(NOVEMBER.end)}x{MINUTES}",
            of_scope(metrics.REQUESTS): " ".join("1000" if each else "999" for each in over),
            of_scope(metrics.FORECAST_PROBABILITY): " ".join(str(each.over_limit_probability) for each in made),
            of_scope(metrics.FORECAST_LIMIT_REACHED, estimate="likely"): " ".join(
                "_" if each.reached.likely is None else moment(each.reached.likely) for each in made
            ),
        }
        ticket, expected = Ticket(), []
        for minute, each in enumerate(made):
            ticket = ticket_after(ticket, each, NOVEMBER, BEGINS + timedelta(minutes=minute))
            expected.append(ticket.firing)
        fired += expected
        wanted = selector("expected", scope=f"scope {seed}")
        series[wanted] = " ".join(str(int(each)) for each in expected)
        firing = selector("ALERTS", alertname=NAME, alertstate="firing", scope=f"scope {seed}")
        differs = f"(count by (scope) ({firing}) or sum by (scope) ({wanted}) * 0) != sum by (scope) ({wanted})"
        samples[f"count_over_time(({differs})[{MINUTES - 1}m:1m])", f"{MINUTES - 1}m"] = {}
        samples[f"sum(count_over_time({firing}[{MINUTES - 1}m]))", f"{MINUTES - 1}m"] = (
            {"{}": sum(expected)} if any(expected) else {}
        )
    assert 0.1 < sum(fired) / len(fired) < 0.9
    assert sum(before < after for before, after in pairwise(fired)) > 5  # tickets
    rules = [
        group
        for group in groups()
        if group["name"]
        in ("api-usage-recording", "api-usage-recording-slow", "api-usage-burning", "api-usage-forecast")
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rules}), encoding="utf-8")
    run_rules_test(tmp_path, series, samples=samples, files=[tmp_path / "rules.yaml"])
