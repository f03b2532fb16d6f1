"""The alerts on what burns too fast, over traces that the exporter's own code publishes and promtool evaluates."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from exporter.model import BillingPeriod
from tests.alert_rules.traces import Burst, Trace, nightly, office, published, steady
from tests.support.factories import load
from tests.support.promtool import groups, run_rules_test

RUNS_OUT, BURNING = "ApiUsageRunsOutSoon", "ApiUsageBurningFast"
# A day's share of the limit of 100,000 a month is 3,333, or 2.3 a minute; of most traces 20,000 are left on the 17th.
BASE = 2.0
YEAR = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Fires:
    """It fires first in these minutes, and last at `until` at the latest; None: to the end."""

    first: int
    by: int
    until: int | None = None


@dataclass(frozen=True)
class Case:
    """A trace, and what is to fire on it: alerts that are not named are silent."""

    trace: Trace
    fires: dict[str, Fires] = field(default_factory=dict)


def runaway(
    name: str, to_go: float, *, start: int = 30, end: int = 10_000, rest: float = 20_000, **more: object
) -> Trace:
    """From minute 30 on, usage that alone exhausts the rest in `to_go` hours."""
    burst = Burst(start, end, rest / to_go / 60)
    return Trace(name, **{"rate": steady(BASE), "rest": rest, "bursts": (burst,), **more})  # type: ignore[arg-type]


def pages(by: int, until: int | None = None, first: int = 31) -> dict[str, Fires]:
    return {RUNS_OUT: Fires(first, by, until)}


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


CASES = (
    # A page within 15 minutes at polls of 5 minutes or less, whenever these fall; two polls where they are rarer.
    Case(runaway("20 hours to go, polls of 1 minute", 20, poll=1), pages(45)),
    Case(runaway("20 hours to go, polls of 5 minutes", 20), pages(45)),
    Case(runaway("20 hours to go, polls of 5 minutes, 1 later", 20, phases=(1,)), pages(45)),
    Case(runaway("20 hours to go, polls of 5 minutes, 4 later", 20, phases=(4,)), pages(45)),
    Case(runaway("20 hours to go, polls of 10 minutes", 20, poll=10, phases=(5,)), pages(60)),
    Case(runaway("20 hours to go, polls of 20 minutes", 20, poll=20, phases=(10,)), pages(90)),
    Case(runaway("23 hours to go", 23), pages(45)),
    Case(runaway("an hour to go", 1), {**pages(45, until=95), BURNING: Fires(60, 75, until=95)}),
    Case(runaway("26 hours to go, 24 after two", 26, rate=steady(0)), pages(160, first=145)),
    Case(runaway("from nothing", 10, rate=steady(0)), pages(45)),
    Case(runaway("from a request every half hour", 10, rate=steady(1 / 30)), pages(45)),
    Case(runaway("two replicas", 10, phases=(0, 3)), pages(45)),
    Case(runaway("the first hours of a period", 20, rest=99_900, begins=at(1, 1)), {**pages(45), BURNING: Fires(100, 150)}),
    # A burst that stops.
    Case(runaway("half an hour of it", 6, end=60), pages(45, until=90)),
    Case(runaway("two hours of it", 6, end=150), pages(45, until=180)),
    Case(runaway("half an hour of it, polls of 1 minute", 6, end=60, poll=1), pages(45, until=90)),
    Case(runaway("two hours of it, polls of 20 minutes", 6, end=150, poll=20), pages(90, until=180)),
    Case(runaway("a limit raised tenfold", 10, raised=(100, 1_000_000)), pages(45, until=110)),
    Case(runaway("five minutes of it", 1, end=35)),
    # What is no runaway.
    Case(Trace("80 % used, 90 % of the period gone", steady(80_000 / 27 / 1440), 20_000, begins=at(28))),
    Case(Trace("office hours, 8 % left", office(9.0), 8_000, begins=at(26, 8), hours=6)),
    Case(Trace("a new period", steady(BASE), 3_000, begins=at(30, 22))),
    Case(Trace("one correction down, and back", steady(BASE), 20_000, corrections=((60, -4_000), (70, 4_000)))),
    Case(Trace("one correction up", steady(BASE), 20_000, corrections=((60, 4_000),))),
    Case(Trace("an outage of two hours", steady(BASE), 20_000, outage=range(60, 180))),
    # A nightly batch near the period's end, and one that does not end.
    Case(Trace("a batch each night, 8 % left", nightly(50, 30), 8_000, begins=at(26, 22), hours=53)),
    Case(
        Trace("a batch that does not end", nightly(50, 30), 9_000, begins=at(27, 1), bursts=(Burst(90, 9999, 50),)),
        pages(140, first=100),
    ),
    # Vendors that count seldom.
    Case(runaway("figures every 45 minutes", 20, update=45)),
    Case(runaway("figures every 45 minutes, newly watched", 20, update=45, watched=0, hours=6)),
    Case(Trace("figures every 45 minutes, polls of 20", steady(BASE), 20_000, update=45, poll=20)),
    Case(Trace("figures once a day", steady(BASE), 20_000, update=1440, begins=at(17, 22))),
    Case(runaway("figures every 15 minutes", 20, update=15), pages(75)),
    # An outage in a runaway, and a day of four times its share.
    Case(runaway("an outage in a runaway", 6, outage=range(80, 180)), {**pages(45), BURNING: Fires(150, 240)}),
    Case(
        Trace("four times its share for a day", steady(BASE), 60_000, bursts=(Burst(-1200, 10_000, 7.5),)),
        {BURNING: Fires(0, 200)},
    ),
    # A year's plan that lasts for 40 days: said on the fourth.
    Case(
        Trace("a year used in 40 days", steady(100_000 / 40 / 1440), 92_500, begins=at(4), period=YEAR),
        {BURNING: Fires(0, 20)},
    ),
    Case(
        Trace("a year used in 40 days, in office hours", office(100_000 / 29 / 480), 91_000, begins=at(4, 12), period=YEAR),
        {BURNING: Fires(0, 20)},
    ),
)  # fmt: skip


def samples_of(case: Case, organisation: str) -> dict[tuple[str, str], dict[str, float]]:
    """What promtool is asked about a trace at its end, and what it is to answer."""
    minutes = case.trace.hours * 60 - 1
    asked: dict[tuple[str, str], dict[str, float]] = {}
    for alert in (RUNS_OUT, BURNING):
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing",organisation="{organisation}"}}'
        window = f"[{minutes}m:1m]"
        fires = case.fires.get(alert)
        if fires is None:
            asked[f"max_over_time(timestamp({firing}){window}) / 60", f"{minutes}m"] = {}
            continue
        first = f"min_over_time(timestamp({firing}){window}) / 60"
        last = f"max_over_time(timestamp({firing}){window}) / 60"
        until = minutes if fires.until is None else fires.until
        asked[f"count({fires.first} <= ({first}) <= {fires.by})", f"{minutes}m"] = {"{}": 1}
        asked[f"count(({last}) <= {until})", f"{minutes}m"] = {"{}": 1}
        if fires.until is None:
            asked[f"count({firing})", f"{minutes}m"] = {"{}": 1}
    return asked


@pytest.mark.parametrize("long", [False, True], ids=["hours", "days"])
def test_what_burns_too_fast_pages_and_nothing_else_does(long: bool, tmp_path: Path) -> None:
    cases = [case for case in CASES if (case.trace.hours > 6) is long]
    names = [{"id": f"o{number}", "name": case.trace.name} for number, case in enumerate(cases)]
    targets = load(
        tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/{organisation_id}", "organisations": names}
    ).targets
    series: dict[str, str] = {}
    samples: dict[tuple[str, str], dict[str, float]] = {}
    for case, target in zip(cases, targets, strict=True):
        series |= published(case.trace, target)
        samples |= samples_of(case, case.trace.name)
    alerts = [
        group
        for group in groups()
        if group["name"]
        in ("api-usage-recording", "api-usage-recording-slow", "api-usage-burning", "api-usage-forecast")
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": alerts}), encoding="utf-8")
    run_rules_test(tmp_path, series, samples=samples, files=[tmp_path / "rules.yaml"])
