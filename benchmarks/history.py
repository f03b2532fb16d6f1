"""30 days of what Prometheus would have scraped, as real blocks made by promtool.

Every 15 s for 30 days would be 36 thousand million samples for 1,000 organisations. What panels and rules read is
there as it would be, the rest only so that its series are in the index:

- 30 days of the series that are drawn over time, of one organisation, every 15 s;
- the newest hour of what is read over an hour, of every scope, every 15 s;
- the newest 10 minutes of everything, every 15 s; of the daily history, of which one sample is read, every minute;
- the newest day of what variables are read from, every minute;
- 30 days of everything, once a day: with all the dates that came and went.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import fleet
from benchmarks.load import tool
from exporter import metrics
from exporter.errors import REASONS
from exporter.metrics import Metric

SCRAPE_INTERVAL = 15  # as Prometheus' example config has it
POLL_INTERVAL = 300  # the default
MINUTE, HOUR, DAY = 60, 3600, 86_400
_BLOCK = "--max-block-duration=1458h"
OVER_AN_HOUR = (metrics.REQUESTS, metrics.PERIOD_START, metrics.LAST_SUCCESS)
OVER_A_DAY = (metrics.POLL_INTERVAL,)
DRAWN = (
    metrics.REQUESTS,
    metrics.LIMIT,
    metrics.RATE_LIMIT,
    metrics.PERIOD_START,
    metrics.PERIOD_END,
    metrics.LAST_SUCCESS,
    metrics.POLL_INTERVAL,
)


@dataclass(frozen=True)
class Series:
    """One series. labels: as in the exposition; value: at its start, growing by `slope` a second from poll to poll;
    first, last: Unix times between which it was published; wanders: by so much from one poll to another."""

    metric: Metric
    labels: str
    value: float
    slope: float = 0.0
    first: float = 0.0
    last: float = float("inf")
    wanders: float = 0.0

    def at(self, moment: float) -> float:
        polled = moment - moment % POLL_INTERVAL
        if self.wanders:
            return round(self.value + self.wanders * (_by_chance(polled) - 0.5), 1)
        return max(0.0, self.value + int(self.slope * polled)) if self.slope else self.value


def _by_chance(moment: float) -> float:
    """0 to 1, the same for the same moment: Knuth's multiplicative hash of its number."""
    return int(moment // POLL_INTERVAL) * 2_654_435_761 % 2**32 / 2**32


def series(organisation: str, scrape: str, now: float, days: int = 30) -> Iterator[Series]:
    """All that is published of an organisation within so many days before `now`. scrape: `job` and `instance`."""
    own = f'api="bench",organisation="{organisation}",{scrape}'
    for reason in REASONS:
        for metric in (metrics.POLL_FAILING, metrics.POLL_FAILURES):
            yield Series(metric, f'{own},reason="{reason}"', 0)
    of_polls: tuple[tuple[Metric, float, float], ...] = (
        (metrics.UP, 1, 0),
        (metrics.STALE, 0, 0),
        (metrics.LAST_SUCCESS, 0, 1),
        (metrics.POLL_INTERVAL, POLL_INTERVAL, 0),
        (metrics.STALE_AFTER, 3 * POLL_INTERVAL, 0),
        (metrics.POLLS, 0, 1 / POLL_INTERVAL),
    )
    for metric, value, slope in of_polls:
        yield Series(metric, own, value, slope)
    for scope in fleet.answer(organisation)["scopes"]:
        labels = f'{own},scope="{scope["name"]}"'
        usual = scope["limit"] / 45
        start, end = (datetime.fromisoformat(scope["period"][key]).timestamp() for key in ("start", "end"))
        slope = usual / DAY
        yield Series(metrics.REQUESTS, labels, scope["requests"] - int(slope * now), slope)
        for metric, value in (
            (metrics.LIMIT, scope["limit"]),
            (metrics.RATE_LIMIT, scope["rate_limit_per_minute"]),
            (metrics.REJECTED, scope["rejected"]),
            (metrics.PERIOD_START, start),
            (metrics.PERIOD_END, end),
            (metrics.DAYS_NEAR_LIMIT, 4),
            (metrics.FORECAST_PROBABILITY, 1),
        ):
            yield Series(metric, labels, value)
        yield Series(metrics.READ_TIME, labels, 0, 1)
        for suspicion in ("fall", "jump"):
            yield Series(metrics.SUSPECT, f'{labels},reason="{suspicion}"', 0)
        yield from _forecast(labels, usual, end)
        info = f'organisation_id="{organisation}",scope_id="{scope["id"]}",plan="Business",unit="requests"'
        yield Series(metrics.SCOPE_INFO, f'{labels},{info},daily_source="vendor"', 1)
        yield from _daily(labels, [day["requests"] for day in scope["daily"]], usual, now, days)


def _forecast(labels: str, usual: float, end: float) -> Iterator[Series]:
    """A forecast is another at each poll."""
    for number, estimate in enumerate(("low", "middle", "high")):
        requests = usual * (28 + number)
        yield Series(metrics.FORECAST_REQUESTS, f'{labels},estimate="{estimate}"', requests, wanders=usual / 50)
    for number, estimate in enumerate(("earliest", "likely", "latest")):
        moment = end - (4 - number) * DAY
        yield Series(metrics.FORECAST_LIMIT_REACHED, f'{labels},estimate="{estimate}"', moment, wanders=HOUR)
    for window in ("recent", "1h", "1d", "7d"):
        pace = usual / (DAY / MINUTE)
        yield Series(metrics.PACE, f'{labels},window="{window}"', pace, wanders=pace / 10)


def _daily(labels: str, counts: list[float], usual: float, now: float, days: int) -> Iterator[Series]:
    """A series for each date, published from that day on for 30 days; on its own day it grows."""
    today = now - now % DAY
    for back in range(fleet.DAYS + days):
        begins = today - back * DAY
        labels_of_day = f'{labels},date="{datetime.fromtimestamp(begins, UTC).date().isoformat()}"'
        count = counts[back % len(counts)] if back else usual
        slope = count / DAY
        yield Series(metrics.DAILY, labels_of_day, -int(slope * begins), slope, begins, min(now, begins + DAY))
        yield Series(metrics.DAILY, labels_of_day, count, 0, begins + DAY, begins + fleet.DAYS * DAY)


Window = tuple[float, float, float]


def write(file: Path, found: Iterator[tuple[Series, tuple[Window, ...]]]) -> int:
    """Samples of each series in its windows of (start, end, step), in OpenMetrics; returns how many."""
    samples = 0
    metric = ""
    by_family = sorted(found, key=lambda pair: pair[0].metric.name)
    with file.open("w", encoding="utf-8") as out:
        for one, windows in by_family:
            if one.metric.name != metric:
                metric = one.metric.name
                out.write(f"# TYPE {metric.removesuffix('_total')} {one.metric.kind}\n")
            name = f"{metric}{{{one.labels}}} "
            lines = [
                f"{name}{one.at(moment):.17g} {moment:.0f}\n"
                for start, end, step in windows
                for moment in _moments(max(start, one.first), min(end, one.last), step)
            ]
            out.writelines(lines)
            samples += len(lines)
        out.write("# EOF\n")
    return samples


def _moments(start: float, end: float, step: float) -> range:
    first = int(-(-start // step) * step)
    return range(first, int(end) if end > first else first, int(step))


def create_blocks(file: Path, storage: Path) -> None:
    """promtool reads the whole file once for each block, so that a few large ones are much sooner made."""
    command = [
        tool("promtool"),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        _BLOCK,
        "--quiet",
        str(file),
        str(storage),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)


def windows_of(one: Series, now: float, *, deep: bool) -> tuple[Window, ...]:
    """When a series has samples, as the module tells. deep: of the organisation that is looked at over 30 days."""
    month, newest = now - 30 * DAY, now - 10 * MINUTE
    if deep and one.metric in DRAWN:
        return ((month, now, SCRAPE_INTERVAL),)
    dense, step = newest, SCRAPE_INTERVAL
    if one.metric in OVER_AN_HOUR:
        dense = now - HOUR
    elif one.metric in OVER_A_DAY:
        dense, step = now - DAY, MINUTE
    elif one.metric is metrics.DAILY:
        step = MINUTE
    return ((month, dense, DAY), (dense, now, step))
