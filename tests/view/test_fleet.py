"""All organisations: their order, filters, search and pages."""

from datetime import timedelta
from pathlib import Path

import pytest

from exporter.errors import ServerError
from exporter.model import Alert, AlertsSeen, AlertState
from exporter.view.fleet import Flag, Fleet, Question, Standings, fleet_of
from tests.support.factories import load
from tests.support.watched import Watched, days, scope

STEADY = days(*[1] * 30)
ORGANISATIONS = {
    "Fine": {"team": "maps"},
    "Amber": {"team": "maps"},
    "Red": {"team": "payments"},
    "Over": {},
    "Refusing": {},
    "Waiting": {},
    "Failing": {},
}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    organisations = [{"id": f"id-{name}", "name": name, "labels": labels} for name, labels in ORGANISATIONS.items()]
    api = {"name": "vendor", "url": "http://127.0.0.1:9/{organisation_id}", "organisations": organisations}
    other = {"name": "other", "url": "http://127.0.0.1:9/", "organisations": [{"id": "elsewhere"}]}
    watched = Watched(load(tmp_path / "c.yaml", api, other, organisation_labels=["team"]).targets)
    for refused in (3, 9):
        watched.reads("Fine", scope("Maps", 10, daily=STEADY), scope("Free", 9e9, None))
        watched.reads("Amber", scope("Maps", 10, daily=STEADY), scope("Mail", 800, daily=STEADY))
        watched.reads("Red", scope("Maps", 950, daily=STEADY))
        watched.reads("Over", scope("Maps", 1040), scope("Mail", 10))
        watched.reads("Refusing", scope("Maps", 20, rejected=refused, daily=STEADY))
        watched.reads("Failing", scope("Maps", 30, daily=STEADY))
        watched.clock.advance(minutes=5)
    watched.fails("Failing", ServerError("no"))
    return watched


def fleet(watched: Watched, question: Question | None = None, alerts: AlertsSeen | None = None) -> Fleet:
    now = watched.clock.now()
    return fleet_of(Standings().of(watched.store.states(), now), question or Question(), now, alerts)


def names(found: Fleet) -> list[str]:
    return [row.organisation for row in found.rows]


def test_the_most_urgent_first(watched: Watched) -> None:
    found = fleet(watched)
    assert names(found) == ["Over", "Refusing", "Red", "Waiting", "elsewhere", "Amber", "Failing", "Fine"]
    assert [(row.worst.scope if row.worst else None, row.verdict) for row in found.rows[:4]] == [
        ("Maps", "Over the limit by 40"),
        ("Maps", "Within the limit; 6 refused in the last hour"),
        ("Maps", "Almost used up"),
        (None, "Waiting for data"),
    ]
    assert found.counts == {Flag.OVER: 1, Flag.RED: 2, Flag.AMBER: 1, Flag.FAILING: 1, Flag.UNKNOWN: 2}
    assert found.apis == ("vendor", "other")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(show=Flag.RED), ["Over", "Red"]),
        (Question(show=Flag.FAILING), ["Failing"]),
        (Question(show=Flag.UNKNOWN), ["Waiting", "elsewhere"]),
        (Question(api="other"), ["elsewhere"]),
        (Question(find="mail"), ["Over", "Amber"]),
        (Question(find="MAPS team=maps"), ["Amber", "Fine"]),
        (Question(find="payments"), ["Red"]),
        (Question(find="id-over"), ["Over"]),
        (Question(find="mail", show=Flag.AMBER), ["Amber"]),
        (Question(find="nobody"), []),
    ],
)
def test_what_is_found(watched: Watched, question: Question, expected: list[str]) -> None:
    found = fleet(watched, question)
    assert names(found) == expected
    assert found.matching == len(expected)


def test_counts_are_of_what_the_words_find(watched: Watched) -> None:
    assert fleet(watched, Question(find="mail", show=Flag.AMBER)).counts[Flag.OVER] == 1
    assert fleet(watched, Question(find="payments")).counts[Flag.OVER] == 0


def test_a_sole_match_of_a_search(watched: Watched) -> None:
    only = fleet(watched, Question(find="payments")).only
    assert only is not None
    assert only.organisation == "Red"
    assert fleet(watched, Question(show=Flag.FAILING)).only is None
    assert fleet(watched, Question(find="mail")).only is None


def test_alerts_that_fire_are_counted(watched: Watched) -> None:
    def alert(organisation: str, scope: str, state: AlertState = AlertState.FIRING) -> Alert:
        return Alert("ApiUsageHigh", "warning", "vendor", organisation, scope, watched.clock.now(), state)

    up = (alert("Red", "Maps"), alert("Red", ""), alert("Fine", "Maps", AlertState.SILENCED), alert("Fine", "Maps"))
    rows = {row.organisation: row for row in fleet(watched, alerts=AlertsSeen("x", None, up)).rows}
    assert {name: len(row.alerts) for name, row in rows.items() if row.alerts} == {"Red": 2, "Fine": 1}


def test_pages_of_fifty(tmp_path: Path) -> None:
    organisations = [{"id": f"o{index:03}"} for index in range(120)]
    api = {"url": "http://127.0.0.1:9/{organisation_id}", "organisations": organisations}
    watched = Watched(load(tmp_path / "c.yaml", api).targets)
    for index in range(120):
        watched.reads(f"o{index:03}", scope("Maps", index, daily=STEADY), api="demo")
    assert names(fleet(watched))[:2] == ["o119", "o118"]
    assert names(fleet(watched, Question(page=3)))[-1] == "o000"
    beyond = fleet(watched, Question(page=99))
    assert (beyond.page, beyond.pages, len(beyond.rows)) == (3, 3, 20)
    filtered = fleet(watched, Question(find="nothing", page=4))
    assert (filtered.page, filtered.pages, filtered.rows) == (1, 1, ())


def test_standings_are_made_anew_when_a_poll_or_time_changes_them(watched: Watched) -> None:
    standings = Standings()

    def of(name: str) -> frozenset[Flag]:
        found = standings.of(watched.store.states(), watched.clock.now())
        return next(one.flags for one in found if one.state.target.key == ("vendor", name))

    assert of("Fine") == set()
    before = standings.of(watched.store.states(), watched.clock.now())
    after = standings.of(watched.store.states(), watched.clock.now() + timedelta(seconds=1))
    assert all(one is other for one, other in zip(before, after, strict=True))
    watched.reads("Fine", scope("Maps", 800, daily=STEADY))
    assert of("Fine") == {Flag.AMBER}
    watched.clock.advance(minutes=20)
    assert of("Fine") == {Flag.AMBER, Flag.UNKNOWN}
