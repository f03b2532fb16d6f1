"""`make bench`: all measurements in one run, or those that are named; writes docs/performance-results.md."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    capacity,
    cost,
    drift,
    forecast,
    init,
    panels,
    plans,
    polling,
    rendering,
    rules,
    scrape,
    serving,
    state,
)
from benchmarks.figures import Report

BENCHMARKS: dict[str, Callable[[], Report]] = {
    "scrape": scrape.measure,
    "serving": serving.measure,
    "size": scrape.measure_sizes,
    "rendering": rendering.measure,
    "capacity": capacity.measure,
    "state": state.measure,
    "polling": polling.measure,
    "poll": polling.measure_cpu,
    "reload": polling.measure_running,
    "panels": panels.measure,
    "rules": rules.measure,
    "cost": cost.measure,
    "forecast": forecast.measure,
    "drift": drift.measure,
    "init": init.measure,
    "plans": plans.measure,
}
DOCS = Path(__file__).parents[1] / "docs"
_HEAD = """\
# Performance: results

Written by `make bench` on {day}, in one run on {cores} cores, {system}, Python {python}, at a load of {load:.1f}
before it began. Only ratios mean something on another machine. What was done for them, and why:
[performance](performance.md).

"""


def main(names: list[str]) -> int:
    """Run the benchmarks of these names, or all, which also writes the docs; 1 where a target is not met."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
        return 2
    console = Console(width=118)
    load, began = os.getloadavg()[0], time.monotonic()
    reports = []
    for number, name in enumerate(names or BENCHMARKS, start=1):
        with console.status(f"{name} ({number} of {len(names or BENCHMARKS)})"):
            reports.append(BENCHMARKS[name]())
        _print(console, reports[-1])
    console.print(f"{time.monotonic() - began:.0f} s in all")
    if not names:
        _write(reports, load)
    missed = [figure.what for report in reports for figure in report.figures if figure.met is False]
    for what in missed:
        console.print(f"[red]not met:[/red] {what}")
    for summary in (report.summary for report in reports if report.summary):
        print(json.dumps(summary))
    return int(bool(missed))


def _print(console: Console, report: Report) -> None:
    table = Table("", "measured", "wanted", "met", title=report.title, title_justify="left")
    for figure in report.figures:
        table.add_row(*figure.cells, style="red" if figure.met is False else None)
    console.print(table)


def _write(reports: list[Report], load: float) -> None:
    head = _HEAD.format(
        day=datetime.now(UTC).date().isoformat(),
        cores=os.cpu_count(),
        system=platform.system(),
        python=platform.python_version(),
        load=load,
    )
    body = "\n".join(report.markdown for report in reports)
    (DOCS / "performance-results.md").write_text(head + body, encoding="utf-8")
    for report in reports:
        for chart in report.charts:
            (DOCS / "images" / chart.file).write_text(chart.svg(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
