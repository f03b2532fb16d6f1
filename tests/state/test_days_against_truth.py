"""Days derived from polls against a scope whose use is known: whatever the vendor, the zone and the polls are like."""

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from exporter.state.days import day_of, day_start
from exporter.state.trust import Seen, Watched, observe
from tests.state.truth import DAY, HOUR, Glitch, Truth, poll_times, profile, span_of

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Sao_Paulo")
# Days around which clocks change somewhere, and a month's end.
STARTS = tuple(
    datetime(2026, *day, tzinfo=UTC).timestamp() for day in ((3, 6), (3, 27), (10, 22), (10, 30), (11, 10))
)


@dataclass(frozen=True)
class Case:
    """A scope, its vendor, and who polls it.

    reported: how the billing period comes: answered right; answered, but the count starts again `late` seconds after
        it; configured right; configured at midnight while the vendor resets elsewhere; not at all.
    """

    truth: Truth
    zone: ZoneInfo
    times: list[float] = field(repr=False)
    length: float
    first: float
    reported: str
    glitches: tuple[Glitch, ...]

    def seen(self) -> list[Seen]:
        limit = 1.5 * max(self.truth.count(moment) for moment in self.times)
        found = []
        for number, moment in enumerate(self.times):
            count: float = self.truth.count(moment)
            for glitch in self.glitches:
                if glitch.start <= moment < glitch.end:
                    count = glitch.distort(count, number)
            right = span_of(moment, self.first, self.length)
            midnight = span_of(moment, self.truth.start - 30 * DAY, self.length)
            answered = right if self.reported in ("answered", "late") else None
            configured = {"configured": right, "elsewhere": midnight}.get(self.reported)
            found.append(Seen(moment, count, answered, configured, "m", limit))
        return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = random.Random(draw(st.integers(0, 2**32)))
    start = draw(st.sampled_from(STARTS))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    days = draw(st.integers(2, 6))
    interval = draw(st.sampled_from((60, 300, 300, 600, 900, 3600)))
    length = draw(st.sampled_from((DAY, DAY, 7 * DAY, 30 * DAY, 6 * HOUR)))
    # Use is even around a reset: what is used between the last poll and the reset is seen by nobody.
    offset = draw(st.integers(0, 23)) * HOUR + draw(st.integers(min(2 * interval, 3000), 3299))
    first = start - length + offset % length
    reported = draw(st.sampled_from(("answered", "late", "configured", "elsewhere", "none")))
    late = min(draw(st.sampled_from((300, 3600, 7200))), length / 6) if reported == "late" else 0
    resets = tuple(first + number * length + late for number in range(int(days * DAY / length) + 3))
    rates = profile(draw(st.sampled_from(("flat", "office", "bursts", "wild"))), (days + 1) * 24, rng)
    truth = Truth(start, rates, resets)
    begin, end = start + rng.uniform(0, DAY), start + days * DAY
    gaps = []
    if draw(st.booleans()):
        gap = rng.uniform(begin, end)
        gaps.append((gap, gap + draw(st.sampled_from((1200.0, 4000.0, 5 * HOUR, 30 * HOUR)))))
    if draw(st.booleans()):
        moment = rng.uniform(begin, end)
        today = truth.used(moment) - truth.used(max(begin, day_start(day_of(moment, zone), zone)))
        less = min(int(truth.count(moment) * rng.uniform(0, 0.05)), today)
        if all(abs(moment - reset) > 2 * interval for reset in resets):  # nobody could see one beside a reset
            truth = Truth(start, rates, resets, ((moment, less),))
    glitches: tuple[Glitch, ...] = ()
    if draw(st.booleans()):
        moment = rng.uniform(begin + HOUR, end)
        kind = draw(st.sampled_from(("zero", "half", "flap", "huge")))
        glitches = (Glitch(kind, moment, moment + rng.uniform(60, 3000)),)
    times = list(poll_times(begin, end, interval, gaps, rng)) or [begin]
    return Case(truth, zone, times, length, first, reported, glitches)


def watched(seen: list[Seen], zone: ZoneInfo) -> Watched:
    known: Watched | None = None
    for poll in seen:
        known = observe(known, poll, zone)
    assert known is not None
    return known


@settings(max_examples=100)
@given(cases())
def test_every_exact_day_is_right_to_1_percent(case: Case) -> None:
    known = watched(case.seen(), case.zone).known
    assert known.tally is not None
    truth = case.truth.days(known.tally.since, known.at, case.zone)
    for day in known.tally.days:
        if day.exact:  # counts are whole: one request may fall on either side of a midnight, and of each reset
            edges = 1 + sum(day_of(reset, case.zone) == day.date for reset in case.truth.resets)
            assert day.requests == pytest.approx(truth.get(day.date, 0), rel=0.01, abs=1.01 * edges)


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(cases())
def test_the_days_add_up_to_what_was_seen(case: Case) -> None:
    """Growth between polls, and the whole of each new count: no more, no less, whatever vendors answer meanwhile."""
    glitches, resets = case.glitches, case.truth.resets
    trusted = [at for at in case.times if not any(glitch.start <= at < glitch.end for glitch in glitches)]
    pairs = list(itertools.pairwise(trusted))
    total = 0
    for before, moment in pairs:
        begins = any(before < reset <= moment for reset in resets)
        total += case.truth.count(moment) - (0 if begins else case.truth.count(before))
        # A count that grew beyond where it was before the next poll cannot be told from one that went on.
        assume(not begins or case.truth.count(moment) < case.truth.count(before) / 2)
    assume(case.reported == "answered")
    assume(
        all(
            abs(reset - edge) > 2 * HOUR
            for glitch in glitches
            for reset in resets
            for edge in (glitch.start, glitch.end)
        )
    )
    assume(all(glitch.end < case.times[-1] - 2 * HOUR for glitch in glitches))
    known = watched(case.seen(), case.zone).known
    assert known.tally is not None
    assert sum(day.requests for day in known.tally.days) - _before(known.tally.since, case) == pytest.approx(total)


def _before(since: float, case: Case) -> int:
    """What a period that began with the first day brought along."""
    return case.truth.count(case.times[0]) if since < case.times[0] else 0


@pytest.mark.parametrize(
    ("length", "offset", "reported"),
    [(30 * DAY, 0, "answered"), (DAY, 0, "answered"), (DAY, 8 * HOUR, "none"), (DAY, 22 * HOUR, "elsewhere")],
)
@pytest.mark.parametrize("kind", ["flat", "office"])
def test_whole_days_of_ordinary_use_are_exact(length: float, offset: float, reported: str, kind: str) -> None:
    """What is never marked as exact is never wrong either: at polls of a minute, quiet days are."""
    start = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    rng = random.Random(3)
    first = start - length + offset
    resets = tuple(first + number * length for number in range(int(9 * DAY / length) + 3))
    truth = Truth(start, profile(kind, 24 * 9, rng, 1000), resets)
    times = list(poll_times(start + 5 * HOUR, start + 8 * DAY - 1, 60, [], rng))
    known = watched(Case(truth, ZoneInfo("UTC"), times, length, first, reported, ()).seen(), ZoneInfo("UTC")).known
    assert known.tally is not None
    assert [day.date.day for day in known.tally.days] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sum(day.exact for day in known.tally.days) >= 5
