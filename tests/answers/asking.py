"""What a Prometheus that holds the samples answers, and the files in which its answers are kept."""

import math
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
import yaml

from dashboards.questions import Json
from exporter.local.processes import Processes, required
from exporter.local.prometheus import start_prometheus
from tests.answers.samples import NOON, Series, openmetrics

STEP, STEPS = 600, 3
# By series: one value, or one at each step.
Answer = dict[str, float | list[float]]


class _ALine(yaml.SafeDumper):
    """Each series on a line of its own."""


_ALine.add_representer(list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True))


@dataclass(frozen=True)
class Asked:
    """key: of the panel or rule. about: of whom, or when. at: in Unix seconds; not instant: at the steps before, too."""

    key: str
    about: str
    expr: str
    at: float = NOON
    instant: bool = True


@dataclass(frozen=True)
class Kept:
    """The answers to all that is asked of some series."""

    file: Path
    series: Callable[[], Iterable[Series]]
    asked: Callable[[], Iterable[Asked]]

    def read(self) -> dict[str, dict[str, Answer]]:
        """By what is asked, and about what. Without what has no answer."""
        answers: dict[str, dict[str, Answer]] = yaml.load(self.file.read_text("utf-8"), yaml.CSafeLoader)
        return answers

    @contextmanager
    def server(self) -> Iterator[str]:
        """A Prometheus that holds the series; its base URL."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            source = folder / "samples.openmetrics"
            source.write_text("".join(openmetrics(self.series())), encoding="utf-8")
            create = ("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=486h", "--quiet")
            subprocess.run([required("promtool"), *create, str(source), str(folder / "data")], check=True, timeout=60)
            (folder / "prometheus.yml").write_text("{}", encoding="utf-8")
            with Processes(folder) as processes:
                yield start_prometheus(
                    processes, folder / "prometheus.yml", folder / "data", "--storage.tsdb.retention.time=100y"
                )

    def write(self) -> None:
        answers: dict[str, dict[str, Answer]] = {}
        with self.server() as url:
            for asked in self.asked():
                found = answer(url, asked)
                assert found is not None, asked
                if found:
                    answers.setdefault(asked.key, {})[asked.about] = dict(sorted(found.items()))
        text = yaml.dump(answers, Dumper=_ALine, allow_unicode=True, sort_keys=False, width=10_000)
        self.file.write_text(text, encoding="utf-8")


def answer(server: str, asked: Asked) -> Answer | None:
    """None where Prometheus calls the question wrong."""
    parameters: Json = {"query": asked.expr, "time": asked.at}
    path = "query"
    if not asked.instant:
        path = "query_range"
        parameters = {"query": asked.expr, "start": asked.at - STEP * (STEPS - 1), "end": asked.at, "step": STEP}
    found = requests.post(f"{server}/api/v1/{path}", data=parameters, timeout=20).json()
    if found["status"] != "success":
        return None
    return {
        ", ".join(f"{name}={value}" for name, value in sorted(one["metric"].items())) or "no labels": (
            float(one["value"][1]) if asked.instant else [float(value) for _, value in one["values"]]
        )
        for one in found["data"]["result"]
    }


def same(one: Answer | None, other: Answer) -> bool:
    """But for the last digits of a float."""
    if one is None or one.keys() != other.keys():
        return False
    return all(_same_values(value, other[series]) for series, value in one.items())


def _same_values(one: float | list[float], other: float | list[float]) -> bool:
    values, others = ([value] if isinstance(value, float) else value for value in (one, other))
    return len(values) == len(others) and all(
        math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(value) and math.isnan(expected))
        for value, expected in zip(values, others, strict=True)
    )
