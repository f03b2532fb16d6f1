"""Points: packed, thinned by age, and what must survive the thinning."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from exporter.state.points import DAY, HOUR, Points, kept_places


def filled(seconds: int, interval: int, start: int = 1_790_000_000) -> Points:
    points = Points()
    for step in range(seconds // interval):
        points = points.add(start + step * interval, float(step))
    return points


def size(points: Points) -> int:
    return sum(map(len, points.parts)) + len(points.tail)


def test_every_poll_of_3_hours_is_there_and_one_in_10_minutes_of_48() -> None:
    points = filled(3 * DAY, 300)
    kept = list(points)
    steps = [later - at for (at, _), (later, _) in itertools.pairwise(kept)]
    assert set(steps) == {300, 600}
    assert set(steps[-3 * HOUR // 300 :]) == {300}
    assert 2 * DAY <= kept[-1][0] - kept[0][0] <= 3 * DAY
    assert size(points) <= 8 * (2 * DAY // 600 + 144)


def test_memory_does_not_grow_with_the_pace_of_polls() -> None:
    fast = filled(3 * DAY, 20)
    assert size(fast) <= 4 * size(filled(3 * DAY, 300))
    recent = fast.since(fast.last[0] - 2 * HOUR) if fast.last else []
    assert len(recent) == 2 * HOUR // 20 + 1
    times = [at for at, _ in fast]
    assert max(later - at for at, later in itertools.pairwise(times)) <= 1200
    assert times[-1] - times[0] >= 2 * DAY


def test_a_second_point_in_a_second_replaces_the_first() -> None:
    assert list(Points().add(10.2, 1).add(10.9, 2).add(11, 3)) == [(10, 2), (11, 3)]


@given(st.lists(st.integers(1, 10_000), max_size=200), st.integers(0, 400_000), st.sampled_from((1.0, 0.01, 1e12)))
def test_since_until_and_earlier_agree_with_a_list(steps: list[int], cut: int, scale: float) -> None:
    points, expected, at = Points(), [], 1000
    for step in steps:
        at += step
        points = points.add(at, step * scale)
        expected.append((at, step * scale))
    expected = [point for point in expected if point in list(points)]
    moment = 1000 + cut
    assert points.since(moment) == [point for point in expected if point[0] >= moment]
    before = [point for point in expected if point[0] <= moment]
    assert list(points.until(moment)) == before
    assert points.until(moment).revision == points.revision + 1
    later = Points()
    for point in points.since(moment):
        later = later.add(*point)
    assert list(later.with_earlier(expected)) == expected


def test_what_periods_and_days_are_derived_from_is_kept() -> None:
    points = [(300.0 * step, float(step if step < 100 else step - 100)) for step in range(600)]
    kept = kept_places(points, HOUR, breaks=[333], midnight_after=lambda at: at // DAY * DAY + DAY)
    assert {0, 99, 100, 287, 288, 332, 333, 575, 576, 599} <= set(kept)
    assert len(kept) < 600 / 12 + 12
    assert kept_places([], HOUR) == []
