"""VictoriaMetrics behind Prometheus' remote_write answers the dashboards as Prometheus does, and vmalert records for it."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml

from dashboards.questions import BOARDS, Question, questions
from exporter.demo.accounts import ACCOUNTS
from exporter.demo.backfill import STEP, backfill, openmetrics, published_by
from exporter.demo.faults import Faults
from exporter.demo.meter import Meter, ScopeRecord
from exporter.demo.vendor import create_app
from exporter.local.processes import Processes, eventually, required
from exporter.local.prometheus import query, start_prometheus
from tests.support.demo import HOSTILE, exporter_config
from tests.support.http import serve
from tests.support.panels import answered, server_time
from tests.support.programs import start_exporter, start_victoria_metrics, start_vmalert
from tests.support.promtool import RULES, rules

NAMES = [one.name for one in (*ACCOUNTS, HOSTILE)]
PAST = timedelta(hours=6)
RATE_INTERVAL = "5s"
SCRAPES = 8  # a second apart: more than RATE_INTERVAL
PROMETHEUS_LOOKS_BACK = 300
RECORDED = '{__name__=~".+:.+"}'


@dataclass(frozen=True)
class Stores:
    """Base URLs. first: when the exporter was scraped first; at: a time whose samples both have."""

    prometheus: str
    victoria: str
    first: float
    at: float


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("victoria")
    meter = Meter([*ACCOUNTS, HOSTILE])
    faults = Faults([organisation.id for organisation in meter.organisations])
    faults.set("500", "new-labs")
    with serve(create_app(meter, faults)) as vendor, Processes(folder) as processes:
        config = exporter_config(vendor, folder)
        address = start_exporter(processes, config).removeprefix("http://")
        victoria = start_victoria_metrics(processes, folder / "victoria")
        prometheus_config = config_of(folder, address, victoria)
        past = [since(datetime.now(UTC) - PAST, record) for record in meter.records(STEP)]
        published = published_by(config, prometheus_config, address)
        backfill(required("promtool"), past, published, folder / "prometheus")
        import_into(victoria, openmetrics(past, published))
        prometheus = start_prometheus(
            processes, prometheus_config, folder / "prometheus", "--storage.remote.flush-deadline=1s"
        )
        start_vmalert(processes, victoria, folder / "rules", victoria)
        first = eventually(
            lambda: value(prometheus, "min_over_time(timestamp(api_usage_exporter_build_info)[1m:1s])")
        )
        eventually(lambda: value(prometheus, "count_over_time(api_usage_exporter_build_info[1m])") >= SCRAPES)
        # vmalert reads what it recorded before, rule after rule, and new series are found some time after they came.
        recorded = f"count({RECORDED})"
        eventually(lambda: value(victoria, recorded) == value(prometheus, recorded) > 0, 90)
        at = math.floor(server_time(prometheus))
        for series in ("api_usage_exporter_build_info", RECORDED):
            eventually(lambda series=series: value(victoria, f"min(timestamp({series}))") > at)  # type: ignore[misc]
        yield Stores(prometheus, victoria, first, at)
    faults.close()


def value(server: str, promql: str) -> float:
    """Of the one series that there is; 0 for none."""
    found = query(server, promql)
    return float(found[0]["value"][1]) if found else 0.0


def since(first: datetime, record: ScopeRecord) -> ScopeRecord:
    return replace(record, points=tuple(point for point in record.points if point.at >= first))


def config_of(folder: Path, exporter: str, victoria: str) -> Path:
    """Both evaluate the recording rules for themselves: what Prometheus records is not sent on."""
    (folder / "rules").mkdir()
    recording = (RULES / "recording.yaml").read_text("utf-8")
    # All groups at the pace of the config below.
    recording = re.sub(r"^    interval: .*\n", "", recording, flags=re.MULTILINE)
    (folder / "rules/recording.yaml").write_text(recording, encoding="utf-8")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yaml"],
        "remote_write": [
            {
                "url": f"{victoria}/api/v1/write",
                "queue_config": {"batch_send_deadline": "1s"},
                "write_relabel_configs": [{"source_labels": ["__name__"], "regex": ".+:.+", "action": "drop"}],
            }
        ],
        "scrape_configs": [{"job_name": "usage", "static_configs": [{"targets": [exporter]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "prometheus.yml"


def import_into(victoria: str, lines: Iterable[str]) -> None:
    """OpenMetrics tells times in seconds, the text format in milliseconds."""
    samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    text = "".join(f"{sample} {float(time) * 1000:.0f}\n" for sample, _, time in samples)
    assert requests.post(f"{victoria}/api/v1/import/prometheus", data=text.encode(), timeout=20).ok


# What Prometheus extrapolates to the window's ends, VictoriaMetrics does not: over an hour, a request more or less.
EXTRAPOLATED = re.compile(r"\b(?:rate|delta)\(|:rate1h|_rate1h")
# It also takes a counter that begins within the window for one that began at 0.
FROM_ZERO = re.compile(r"\b(?:increase|histogram_quantile)\(")


@pytest.mark.parametrize("uid", BOARDS)
def test_every_panel_shows_the_same(stores: Stores, uid: str) -> None:
    every = questions(uid, NAMES if uid == "api-usage" else [""], rate_interval=RATE_INTERVAL)
    exactly = 0
    for question in every:
        prometheus, victoria = both(stores, question)
        assert victoria.keys() == prometheus.keys(), question
        if FROM_ZERO.search(question.expr):
            continue
        for labels, values in prometheus.items():
            assert same(question.expr, values, victoria[labels]), (question, labels, values, victoria[labels])
        exactly += bool(prometheus) and not EXTRAPOLATED.search(question.expr)
    assert exactly > len(every) / 2


def test_vmalert_records_what_prometheus_does(stores: Stores) -> None:
    prometheus, victoria = both(stores, Question("", "", RECORDED, instant=True))
    assert victoria.keys() == prometheus.keys()
    names = {labels: str(json.loads(labels)["__name__"]) for labels in prometheus}
    recorded = set(names.values())
    assert recorded <= set(rules("record"))
    # An exporter that has just begun knows no hour yet, and the demo has no thresholds of a scope's own, no period
    # under a day and none before the present one, and its clock is right.
    absent = re.compile("rate1h|threshold:ratio|period:short|shortfall|seconds_ahead")
    assert recorded >= {name for name in rules("record") if not absent.search(name)}
    for labels, values in prometheus.items():
        # Not evaluated in the same moment: what grows by the second differs a little.
        assert same(names[labels], values, victoria[labels], rel_tol=1e-4), (labels, values, victoria[labels])


Series = dict[str, dict[float, float]]


def both(stores: Stores, question: Question) -> tuple[Series, Series]:
    """What each answers, without the minutes before the first scrape: only Prometheus looks that far back in them."""
    one, other = (
        {
            labels: {
                time: value
                for time, value in values.items()
                if not stores.at - PROMETHEUS_LOOKS_BACK <= time < stores.first
            }
            for labels, values in answered(server, question, stores.at).items()
        }
        for server in (stores.prometheus, stores.victoria)
    )
    return one, other


def same(expr: str, one: Mapping[float, float], other: Mapping[float, float], *, rel_tol: float = 1e-9) -> bool:
    if EXTRAPOLATED.search(expr):
        last = max(one)
        return math.isclose(one[last], other[last], rel_tol=0.2, abs_tol=0.15)
    # VictoriaMetrics keeps times to the millisecond and values to some 15 digits.
    return one.keys() == other.keys() and all(
        math.isclose(value, other[time], rel_tol=rel_tol, abs_tol=1e-5) for time, value in one.items()
    )
