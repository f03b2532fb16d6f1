"""What the rules cost a Prometheus that has two replicas of 10,000 scopes, beside the rules of a release before.

Scraping would take ten minutes until every window is full. Instead the samples of these minutes, and of those to
come while the rules are evaluated, are served once, each with its time.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from benchmarks.figures import Figure, Report, median
from exporter import metrics
from exporter.bundle.files import PROVISIONING, RULES, project_folder
from exporter.config.fields import parse_duration
from exporter.errors import REASONS
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus

SCOPES = 10_000
# The former ones count 30 days of every scope: more of those take a Prometheus minutes to load.
FORMER_SCOPES = 2_000
FORMER = Path(__file__).with_name("data") / "former_rules"
REPLICAS = ("a:10190", "b:10190")
IN_ORGANISATION = 5  # scopes
LIMIT = 10_000.0
# Parts of 1,000 scopes that have used so much of it: some are in each band of the ladder, most have room.
USED = ((10, 0.8), (5, 0.95), (5, 1.02))
USUAL = 0.5
EVERY, SELDOM = 30, 60  # seconds between samples: of what rules read of all scopes, and of the rest
POLL_INTERVAL, DAY = 300.0, 86_400.0
BEFORE, AFTER = 660, 420  # seconds of samples around the time at which they are written
INTERVAL = 20  # seconds between evaluations: groups are spread over them, and do not wait for each other
EVALUATIONS = 3
_SLICE = 250  # scopes that one scrape brings


@dataclass(frozen=True)
class Sampled:
    """A series. growth: from poll to poll; step: seconds between its samples."""

    series: str
    value: float
    growth: float = 0.0
    step: int = SELDOM


def measure() -> Report:
    present = project_folder(RULES)
    return _report(
        former=_evaluated(FORMER_SCOPES, FORMER, daily=True),
        few=_evaluated(FORMER_SCOPES, present, daily=True),
        many=_evaluated(SCOPES, present, daily=False),
    )


def _evaluated(scopes: int, rules: Path, *, daily: bool) -> dict[str, float]:
    """Seconds that an evaluation of each group takes. daily: whether there are 30 days of each scope."""
    with tempfile.TemporaryDirectory() as name, Processes(Path(name)) as processes:
        folder = Path(name)
        config = folder / "prometheus.yml"
        with _served(folder / "parts", scopes, daily) as targets:
            _write_config(config, targets=targets)
            prometheus = start_prometheus(processes, config, folder / "data")
            eventually(lambda: _is_loaded(prometheus, scopes), AFTER / 2)
        _write_config(config, rules=at_once(rules, folder / "rules"))
        requests.post(f"{prometheus}/-/reload", timeout=30).raise_for_status()
        return _group_seconds(prometheus)


def _is_loaded(prometheus: str, scopes: int) -> bool:
    time.sleep(2)
    try:
        return bool(query(prometheus, f"count({metrics.REQUESTS.name}) == {scopes * len(REPLICAS)}"))
    except requests.Timeout:  # it has both hands full
        return False


def _group_seconds(prometheus: str) -> dict[str, float]:
    """The median of some evaluations, without the first, in which nothing that is recorded is there yet."""
    seen: dict[str, dict[str, float]] = {}

    def all_evaluated() -> bool:
        time.sleep(INTERVAL / 4)
        groups = requests.get(f"{prometheus}/api/v1/rules", timeout=60).json()["data"]["groups"]
        failed = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
        if failed:
            raise RuntimeError(f"rules failed: {failed}")
        for group in groups:
            if group["evaluationTime"]:
                seen.setdefault(group["name"], {})[group["lastEvaluation"]] = group["evaluationTime"]
        return len(seen) == len(groups) and all(len(found) > EVALUATIONS for found in seen.values())

    eventually(all_evaluated, AFTER / 2)
    return {name: median(list(found.values())[1:]) for name, found in seen.items()}


def _write_config(file: Path, *, targets: Sequence[tuple[str, str]] = (), rules: Path | None = None) -> None:
    """targets: address and path of each."""
    config = {
        "global": {
            "scrape_interval": "15s",
            "scrape_timeout": "15s",
            "evaluation_interval": f"{INTERVAL}s",
        },
        "rule_files": [f"{rules}/*.yaml"] if rules else [],
        "scrape_configs": [
            {
                "job_name": path,
                "metrics_path": f"/{path}",
                "honor_labels": True,
                "static_configs": [{"targets": [address]}],
            }
            for address, path in targets
        ],
    }
    file.write_text(yaml.safe_dump(config), encoding="utf-8")


def at_once(rules: Path, folder: Path) -> Path:
    """A copy of the rules without intervals of their own, for which a benchmark need not wait."""
    folder.mkdir()
    for file in rules.glob("*.yaml"):
        document = yaml.safe_load(file.read_text("utf-8"))
        for group in document["groups"]:
            group.pop("interval", None)
        (folder / file.name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return folder


# What is served


@contextmanager
def _served(folder: Path, scopes: int, daily: bool) -> Iterator[list[tuple[str, str]]]:
    """The samples behind a web server, in parts; yields address and path of each."""
    folder.mkdir()
    names = _write_parts(folder, scopes, daily)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield [(f"127.0.0.1:{server.server_port}", name) for name in names]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def guess_type(self, path: Any) -> str:  # noqa: ARG002 - its signature
        return "text/plain; version=0.0.4"

    def log_message(self, *_: Any) -> None:
        pass


def _write_parts(folder: Path, scopes: int, daily: bool) -> list[str]:
    now = time.time()
    names = []
    for instance in REPLICAS:
        for begin in range(0, scopes, _SLICE):
            names.append(f"{instance[0]}-{begin}")
            with (folder / names[-1]).open("w", encoding="utf-8") as out:
                if begin == 0:
                    out.writelines(line for sampled in _of_target(instance, now) for line in _lines(sampled, now))
                for number in range(begin, begin + _SLICE):
                    for sampled in _published(number, instance, now, daily):
                        out.writelines(_lines(sampled, now))
    return names


def _lines(sampled: Sampled, now: float) -> Iterator[str]:
    first = int(now - BEFORE) // SELDOM * SELDOM
    for moment in range(first, int(now + AFTER), sampled.step):
        value = sampled.value + sampled.growth * ((moment - first) // POLL_INTERVAL)
        yield f"{sampled.series} {value:.15g} {moment}000\n"


def _of_target(instance: str, now: float) -> Iterator[Sampled]:
    """What an exporter publishes of itself."""
    labels = f'instance="{instance}",job="api-usage-exporter"'
    yield Sampled(f"{metrics.LAST_RENDER_TIME.name}{{{labels}}}", now)


def _published(number: int, instance: str, now: float, daily: bool) -> Iterator[Sampled]:
    """What an exporter publishes of a scope, and with the first one of an organisation, of that."""
    organisation = (
        f'instance="{instance}",job="api-usage-exporter",api="bench",organisation="{number // IN_ORGANISATION}"'
    )
    if number % IN_ORGANISATION == 0:
        yield from _of_organisation(organisation, now)
    scope = f'{organisation},scope="Scope {number % IN_ORGANISATION}"'
    used = _used(number) * LIMIT
    read = now - POLL_INTERVAL - (instance == REPLICAS[0])
    yield Sampled(f"{metrics.REQUESTS.name}{{{scope}}}", used, 1, EVERY)
    yield Sampled(f"{metrics.LIMIT.name}{{{scope}}}", LIMIT, step=EVERY)
    yield Sampled(f"{metrics.READ_TIME.name}{{{scope}}}", read, POLL_INTERVAL, EVERY)
    yield Sampled(f"{metrics.PERIOD_START.name}{{{scope}}}", now - 20 * DAY, step=EVERY)
    yield Sampled(f"{metrics.PERIOD_END.name}{{{scope}}}", now + 10 * DAY, step=EVERY)
    for metric, value in ((metrics.RATE_LIMIT, 600.0), (metrics.REJECTED, 5.0), (metrics.DAYS_NEAR_LIMIT, 3.0)):
        yield Sampled(f"{metric.name}{{{scope}}}", value)
    for name, further, value in _FURTHER:
        yield Sampled(f"{name}{{{scope}{further}}}", value)
    yield from _outlook(scope, used, now)
    info = 'organisation_id="o",scope_id="s",plan="p",unit="requests",daily_source="vendor"'
    yield Sampled(f"{metrics.SCOPE_INFO.name}{{{scope},{info}}}", 1)
    if daily:
        for day in range(1, 31):
            yield Sampled(f'{metrics.DAILY.name}{{{scope},date="2026-11-{day:02}"}}', used / 20)


def _outlook(scope: str, used: float, now: float) -> Iterator[Sampled]:
    """Its pace lasts for the period, but where it is nearly used up: there it does for some hours."""
    runs_out = 0.9 * LIMIT < used < LIMIT
    for window in ("recent", "1h", "1d", "7d"):
        yield Sampled(f'{metrics.PACE.name}{{{scope},window="{window}"}}', 1.0 if runs_out else 60 / POLL_INTERVAL)
    yield Sampled(f"{metrics.FORECAST_PROBABILITY.name}{{{scope}}}", 0.9 if runs_out else 0.1)
    if runs_out:
        for estimate, hours in (("earliest", 6), ("likely", 8), ("latest", 12)):
            name = f'{metrics.FORECAST_LIMIT_REACHED.name}{{{scope},estimate="{estimate}"}}'
            yield Sampled(name, now + hours * 3600)


def _used(number: int) -> float:
    place = number % 1000
    for scopes, ratio in USED:
        if place < scopes:
            return ratio
        place -= scopes
    return USUAL


_FURTHER = (
    ("api_usage_threshold_ratio", ',severity="warning"', 0.75),
    ("api_usage_threshold_ratio", ',severity="critical"', 0.9),
    ("api_usage_scope_missing", "", 0.0),
    *((metrics.FORECAST_REQUESTS.name, f',estimate="{one}"', 0.7 * LIMIT) for one in ("low", "middle", "high")),
)


def _of_organisation(labels: str, now: float) -> Iterator[Sampled]:
    for metric, value in (
        (metrics.UP, 1.0),
        (metrics.STALE, 0.0),
        (metrics.POLL_INTERVAL, POLL_INTERVAL),
        (metrics.STALE_AFTER, 3 * POLL_INTERVAL),
    ):
        yield Sampled(f"{metric.name}{{{labels}}}", value)
    yield Sampled(f"{metrics.LAST_SUCCESS.name}{{{labels}}}", now - POLL_INTERVAL, POLL_INTERVAL)
    for reason in REASONS:
        yield Sampled(f'{metrics.POLL_FAILING.name}{{{labels},reason="{reason}"}}', 0)


def _usual_interval() -> float:
    """Seconds between evaluations of groups that say nothing else, in the bundle's Prometheus."""
    config = yaml.safe_load((project_folder(PROVISIONING) / "prometheus/prometheus.yml").read_text("utf-8"))
    return parse_duration(config["global"]["evaluation_interval"])


def _intervals(rules: Path, usual: float) -> dict[str, float]:
    """Seconds between evaluations, by group."""
    documents = [yaml.safe_load(file.read_text("utf-8")) for file in rules.glob("*.yaml")]
    return {
        group["name"]: parse_duration(group["interval"]) if "interval" in group else usual
        for document in documents
        for group in document["groups"]
    }


def _report(former: dict[str, float], few: dict[str, float], many: dict[str, float]) -> Report:
    usual = _usual_interval()
    intervals = _intervals(project_folder(RULES), usual)

    def per_thousand(seconds: float, scopes: int) -> float:
        return seconds / scopes * 1e6

    def average(
        what: str, seconds: dict[str, float], scopes: int, every: dict[str, float], at_most: float | None = None
    ) -> Figure:
        """What groups cost in the time from one usual evaluation to the next."""
        spent = sum(each * usual / every[group] for group, each in seconds.items())
        name = f"{what}, {scopes:,} scopes, in {usual:g} seconds on average: for each 1,000"
        return Figure(name, per_thousand(spent, scopes), "ms", at_most=at_most)

    figures = (
        average("former rules", former, FORMER_SCOPES, _intervals(FORMER, usual)),
        average("these rules", few, FORMER_SCOPES, intervals),
        average("these rules", many, SCOPES, intervals, at_most=150),
        Figure(
            f"these rules, {SCOPES:,} scopes, all groups once: for each 1,000",
            per_thousand(sum(many.values()), SCOPES),
            "ms",
        ),
        *(
            Figure(
                f"group {name}, every {intervals[name]:g} seconds: for each 1,000",
                per_thousand(seconds, SCOPES),
                "ms",
            )
            for name, seconds in many.items()
        ),
    )
    about = (
        f"Two replicas, a sample every {EVERY} or {SELDOM} s, 2 % of the scopes in the bands of the ladder. Groups "
        f"with an interval count by it, the others by the {usual:g} s of the bundle's Prometheus; the median of "
        f"{EVALUATIONS} evaluations. The former rules are those before the exporter made the forecast itself "
        "(benchmarks/data/former_rules); windows of an hour find eleven minutes of samples, which favours them."
    )
    return Report("The rules at 10,000 scopes and two replicas", about, figures)
