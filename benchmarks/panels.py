"""What the dashboards and the rules cost a Prometheus that holds 30 days of 1,000 organisations."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from benchmarks import fleet, history
from benchmarks.chart import Bar, Chart
from benchmarks.figures import Figure, Report, median
from benchmarks.history import DAY, HOUR, SCRAPE_INTERVAL, Series, Window
from benchmarks.rules import at_once
from dashboards.questions import BOARDS, Question, questions, variable_questions
from exporter.bundle.files import RULES, project_folder
from exporter.config.fields import parse_duration
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus

ORGANISATIONS = 1000
LOOKED_AT = "org-00500"  # in the middle of them
JOB = "api-usage-exporter"
TIMES = 3  # the least that has a median which one hiccup does not move
SLOWEST = 10  # so many are listed
# As docs/performance.md advises for so many.
EVALUATION_INTERVAL = "60s"
_KEEP = "--storage.tsdb.retention.time=60d"


@dataclass(frozen=True)
class Asked:
    """A query and what it took. seconds: median; first: the first time; series: how many it gave."""

    key: str
    seconds: float
    first: float
    series: int


def measure() -> Report:
    with tempfile.TemporaryDirectory() as name, Processes(Path(name)) as processes, fleet.vendor() as vendor:
        folder = Path(name)
        config = fleet.config(folder / "c.yaml", ORGANISATIONS, vendor, poll_interval=f"{history.POLL_INTERVAL}s")
        exporter = fleet.start(processes, config)
        exporter.until_complete()
        address = exporter.url.removeprefix("http://")
        samples = _write_blocks(folder, address)
        prometheus = start_prometheus(processes, _prometheus_config(folder, address), folder / "data", _KEEP)
        # Each group has been evaluated, and those that read recorded series found some.
        eventually(
            lambda: query(prometheus, "count_over_time(scope:api_usage_requests_per_limit:ratio[5m]) >= 2"), 200
        )
        eventually(lambda: min(_rule_seconds(prometheus).values()) > 0, 100)
        at = time.time()
        asked = sorted(_ask_all(prometheus, at), key=lambda one: one.seconds, reverse=True)
        rules = _rule_seconds(prometheus)
        scrape = float(query(prometheus, f'scrape_duration_seconds{{job="{JOB}"}}')[0]["value"][1])
        series = requests.get(f"{prometheus}/api/v1/status/tsdb", timeout=30).json()["data"]["headStats"]["numSeries"]
    return _report(asked, samples, rules, scrape, series)


def _write_blocks(folder: Path, address: str) -> int:
    now = time.time()
    scrape = f'job="{JOB}",instance="{address}"'

    def found() -> Iterator[tuple[Series, tuple[Window, ...]]]:
        for number in range(ORGANISATIONS):
            organisation = f"org-{number:05}"
            for one in history.series(organisation, scrape, now):
                yield one, history.windows_of(one, now, deep=organisation == LOOKED_AT)

    file = folder / "history.openmetrics"
    samples = history.write(file, found())
    history.create_blocks(file, folder / "data")
    file.unlink()
    return samples


def _prometheus_config(folder: Path, address: str) -> Path:
    config = {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL}s", "evaluation_interval": EVALUATION_INTERVAL},
        "rule_files": [f"{at_once(project_folder(RULES), folder / 'rules')}/*.yaml"],
        "scrape_configs": [
            {"job_name": JOB, "static_configs": [{"targets": [address]}]},
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def _ask_all(prometheus: str, at: float) -> Iterator[Asked]:
    """Every panel's query and every variable's, as Grafana asks them with the dashboard's own time range."""
    for uid in BOARDS:
        for question in questions(uid, [LOOKED_AT], api="bench", rate_interval="1m"):
            yield _ask(prometheus, question, at)
        for question in variable_questions(uid, LOOKED_AT, {"api": ["bench"], "organisation": [LOOKED_AT]}):
            yield _ask(prometheus, question, at)


def _ask(prometheus: str, question: Question, at: float) -> Asked:
    parameters: dict[str, Any] = {"query": question.expr}
    if question.instant:
        path = "query"
        parameters["time"] = at
    else:
        path = "query_range"
        length, step = _range(question)
        parameters |= {"start": at - length, "end": at, "step": step}
    seconds = []
    series = 0
    for _ in range(TIMES):
        began = time.monotonic()
        answer = requests.post(f"{prometheus}/api/v1/{path}", data=parameters, timeout=60)
        seconds.append(time.monotonic() - began)
        answer.raise_for_status()
        series = len(answer.json()["data"]["result"])
    return Asked(question.key, median(seconds), seconds[0], series)


def _range(question: Question) -> tuple[int, int]:
    """(the dashboard's time range, seconds between points): about a point for each pixel."""
    if BOARDS[question.key.partition("/")[0]]["time"]["from"] == "now-1h":
        return HOUR, max(SCRAPE_INTERVAL, int(parse_duration(question.least_step or "0")))
    return 30 * DAY, HOUR // 2


def _rule_seconds(prometheus: str) -> dict[str, float]:
    """How long the last evaluation of each group took."""
    groups = requests.get(f"{prometheus}/api/v1/rules", timeout=30).json()["data"]["groups"]
    failed = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
    if failed:
        raise RuntimeError(f"rules failed: {failed}")
    return {group["name"]: group["evaluationTime"] for group in groups}


def _report(asked: list[Asked], samples: int, rules: dict[str, float], scrape: float, series: float) -> Report:
    thousands = ORGANISATIONS * fleet.SCOPES / 1000
    silent = [one.key for one in asked if not one.series]
    figures = [
        Figure("the slowest panel's query, median of 3", asked[0].seconds * 1e3, "ms", at_most=1000),
        Figure("the slowest panel's query, first time", max(one.first for one in asked) * 1e3, "ms"),
        Figure("queries in all", len(asked)),
        Figure("queries without any result", len(silent)),
        Figure("rules, one evaluation: for each 1,000 scopes", sum(rules.values()) / thousands * 1e3, "ms"),
        *(
            Figure(f"rules of {group}: for each 1,000 scopes", took / thousands * 1e3, "ms")
            for group, took in rules.items()
        ),
        Figure("scrape of all of it by Prometheus", scrape * 1e3, "ms"),
        Figure("series in Prometheus' head", series),
        *(Figure(_named(one.key), one.seconds * 1e3, "ms") for one in asked[:SLOWEST]),
    ]
    about = (
        f"{ORGANISATIONS:,} organisations of {fleet.SCOPES} scopes; {samples / 1e6:.0f} million samples of 30 days "
        "in real blocks, and a running exporter that Prometheus scrapes. What queries read is there at the scrape "
        "interval of 15 s (benchmarks/history.py tells how). The usage dashboard is on one organisation, the others "
        "are on all."
    )
    bars = tuple(Bar(_named(one.key), one.seconds, f"{one.seconds * 1e3:.0f} ms") for one in asked[:SLOWEST])
    chart = Chart("performance-panels.svg", "The slowest queries of all dashboards", bars, 1.0, "1 s")
    return Report("The dashboards at 1,000 organisations", about, tuple(figures), (chart,))


def _named(key: str) -> str:
    """api-usage/7 Forecast/A -> api-usage: Forecast (A)"""
    board, _, rest = key.partition("/")
    panel, _, reference = rest.partition("/")
    title = panel.partition(" ")[2]
    return f"{board}: {title} ({reference})" if reference else f"{board}: {panel}"
