"""30 days of history for the demo's Prometheus, from the vendor's own record.

What panels draw over time, as the exporter would have published it: every series at a step under the 5 minutes for
which Prometheus sees a sample.
"""

import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml

from exporter import metrics
from exporter.config.load import Target, load_config
from exporter.demo.meter import RecordPoint, ScopeRecord
from exporter.metrics import Metric

STEP = timedelta(minutes=4)  # under 5 minutes: see above
# promtool takes a few seconds for it; a hanging one must not hang the demo.
_TIMEOUT_SECONDS = 120
# promtool reads the whole file once for each block that it writes; this makes it a few large ones.
_MAX_BLOCK = "--max-block-duration=486h"


class BackfillError(Exception):
    """promtool could not write the blocks."""


@dataclass(frozen=True)
class Published:
    """How series are labelled. scrape: `job` and `instance`; targets: the config's, by the organisation's id."""

    scrape: Mapping[str, str]
    targets: Mapping[str, Target]


def published_by(config: Path, prometheus_config: Path, address: str) -> Published:
    """As the exporter at host:port publishes by its config, and Prometheus scrapes by its own."""
    scrapes = yaml.safe_load(prometheus_config.read_text(encoding="utf-8"))["scrape_configs"]
    job = next(
        scrape["job_name"]
        for scrape in scrapes
        if any(address in static["targets"] for static in scrape["static_configs"])
    )
    targets = {target.organisation.id: target for target in load_config(config).targets}
    return Published({"job": job, "instance": address}, targets)


def backfill(promtool: str, records: Iterable[ScopeRecord], published: Published, storage: Path) -> None:
    """Write the records as blocks into a Prometheus' storage, before it starts. Raises BackfillError."""
    storage.mkdir(parents=True, exist_ok=True)
    source = storage.with_suffix(".openmetrics")
    try:
        with source.open("w", encoding="utf-8") as file:
            file.writelines(openmetrics(records, published))
        _create_blocks(promtool, source, storage)
    finally:
        source.unlink(missing_ok=True)


def _create_blocks(promtool: str, source: Path, storage: Path) -> None:
    subcommand = ["tsdb", "create-blocks-from", "openmetrics", _MAX_BLOCK, "--quiet"]
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours
            [promtool, *subcommand, str(source), str(storage)],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackfillError(str(error)) from error
    if done.returncode:
        raise BackfillError((done.stderr or done.stdout).strip())


def openmetrics(records: Iterable[ScopeRecord], published: Published) -> Iterator[str]:
    """The records in OpenMetrics, with times: a family at a time, as the format wants it."""
    known = [record for record in records if record.points]
    for metric, value_of in _OF_SCOPE:
        yield f"# TYPE {metric.name} {metric.kind}\n"
        for record in known:
            labels = _labels(published, record, {metrics.SCOPE: record.scope.name})
            yield from _samples(metric, labels, ((point, value_of(record, point)) for point in record.points))
    # The record knows of no failed polls: data was always fresh.
    for metric in (metrics.LAST_SUCCESS, metrics.POLL_INTERVAL):
        yield f"# TYPE {metric.name} {metric.kind}\n"
        for record in {record.organisation.id: record for record in known}.values():
            interval = published.targets[record.organisation.id].api.poll_interval
            values = (
                (point, point.at.timestamp() if metric is metrics.LAST_SUCCESS else interval)
                for point in record.points
            )
            yield from _samples(metric, _labels(published, record, {}), values)
    yield "# EOF\n"


_OF_SCOPE: tuple[tuple[Metric, Callable[[ScopeRecord, RecordPoint], float | None]], ...] = (
    (metrics.REQUESTS, lambda _, point: point.requests),
    (metrics.LIMIT, lambda _, point: point.limit),
    (metrics.RATE_LIMIT, lambda record, _: record.scope.rate_limit_per_minute),
    (metrics.PERIOD_START, lambda _, point: point.period.start.timestamp()),
    (metrics.PERIOD_END, lambda _, point: point.period.end.timestamp()),
)


def _samples(metric: Metric, labels: str, values: Iterable[tuple[RecordPoint, float | None]]) -> Iterator[str]:
    for point, value in values:
        if value is not None:
            yield f"{metric.name}{{{labels}}} {value} {point.at.timestamp():.3f}\n"


def _labels(published: Published, record: ScopeRecord, own: Mapping[str, str]) -> str:
    target = published.targets[record.organisation.id]
    api, organisation = target.key
    of_target = {metrics.API: api, metrics.ORGANISATION: organisation, **target.organisation.labels}
    labels = {**of_target, **own, **published.scrape}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
