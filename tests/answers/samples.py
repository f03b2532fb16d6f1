"""Samples for a Prometheus of long ago: plain data, written in OpenMetrics."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from exporter.metrics import Metric

NOON = 1_773_748_800  # 2026-03-17 12:00 UTC
MINUTE, HOUR, DAY = 60, 3600, 86_400

# By the seconds before NOON.
Values = Callable[[float], float]


@dataclass(frozen=True)
class Series:
    """since, until: seconds before NOON; a sample a minute."""

    metric: Metric
    labels: Mapping[str, str]
    values: Values
    suffix: str = ""
    since: float = 2 * HOUR
    until: float = 0

    @property
    def family(self) -> str:
        return self.metric.name.removesuffix("_total")

    @property
    def name(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items() if value)
        return f"{self.metric.name}{self.suffix}{{{labels}}}"

    def lines(self) -> Iterator[str]:
        name = self.name
        for ago in range(int(self.since), int(self.until) - 1, -MINUTE):
            yield f"{name} {self.values(ago)!r} {NOON - ago}\n"


_OF_TARGET = ("job", "instance", "cluster", "namespace", "pod", "container", "endpoint")


@dataclass(frozen=True)
class Replica:
    """One exporter as Prometheus scrapes it. ahead: of its clock, in seconds."""

    instance: str
    ahead: float = 0
    job: str = "usage"
    cluster: str = "eu"
    namespace: str = "prod"
    pod: str = ""
    container: str = ""
    endpoint: str = ""

    def series(self, metric: Metric, value: float | Values, /, suffix: str = "", **labels: str) -> Series:
        target = {name: getattr(self, name) for name in _OF_TARGET}
        values = value if callable(value) else lambda _: float(value)
        return Series(metric, {**target, **labels}, values, suffix)


def openmetrics(every: Iterable[Series]) -> Iterator[str]:
    """All of it in OpenMetrics with times: a family at a time, as the format wants it. ValueError for one that is twice."""
    every = list(every)
    twice = [name for name, times in Counter(series.name for series in every).items() if times > 1]
    if twice:
        raise ValueError(f"twice: {twice}")
    for family, members in groupby(sorted(every, key=lambda series: series.family), key=lambda series: series.family):
        yield f"# TYPE {family} unknown\n"
        for series in members:
            yield from series.lines()
    yield "# EOF\n"
