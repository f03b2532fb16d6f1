"""What is made of a count, point by point: days across midnights, gaps, rollovers, corrections; and what is suspect."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.state.trust import Seen, Span, Suspicion, Watched, observe

ZONE = ZoneInfo("UTC")
Poll = tuple[datetime, float, Span | None]


def at(day: int, hour: int = 0, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def span(start: datetime, end: datetime) -> Span:
    return Span(start.timestamp(), end.timestamp())


NOVEMBER = span(at(1), at(1, month=12))
DECEMBER = span(at(1, month=12), datetime(2027, 1, 1, tzinfo=UTC))


def after(*polls: Poll, zone: ZoneInfo = ZONE, configured: bool = False, limit: float | None = None) -> Watched:
    """configured: the periods are the config's, not the vendor's."""
    known: Watched | None = None
    for now, count, period in polls:
        answered, calendar = (None, period) if configured else (period, None)
        known = observe(known, Seen(now.timestamp(), count, answered, calendar, "mapping", limit), zone)
    assert known is not None
    return known


def days_of(watched: Watched) -> dict[str, float]:
    """Requests by MM-DD; a ~ marks a day that is not exact."""
    assert watched.known.tally is not None
    return {f"{day.date:%m-%d}{'' if day.exact else '~'}": day.requests for day in watched.known.tally.days}


def days(*polls: Poll, zone: ZoneInfo = ZONE, configured: bool = False) -> dict[str, float]:
    return days_of(after(*polls, zone=zone, configured=configured))


def every(minutes: int, start: datetime, *counts: float, period: Span | None = NOVEMBER) -> list[Poll]:
    return [(start + timedelta(minutes=minutes * step), count, period) for step, count in enumerate(counts)]


# Days


def test_the_first_poll_says_nothing_of_a_day() -> None:
    assert days((at(10, 12), 500, NOVEMBER)) == {}


def test_a_period_that_began_today_says_all_of_today() -> None:
    assert days((at(1, 12), 500, NOVEMBER)) == {"11-01": 500}
    assert days((at(1, 12), 500, NOVEMBER), (at(1, 13), 520, NOVEMBER)) == {"11-01": 520}


def test_a_configured_period_does_not_say_that_the_count_began_with_it() -> None:
    assert days((at(1, 12), 500, NOVEMBER), (at(1, 13), 520, NOVEMBER), configured=True) == {"11-01~": 20}


def test_the_first_day_is_marked_as_partly_seen() -> None:
    assert days((at(10, 12), 500, NOVEMBER), (at(10, 12, 5), 510, NOVEMBER)) == {"11-10~": 10}


def test_differences_add_up_per_day() -> None:
    polls = [(at(10, 12), 500, NOVEMBER), (at(10, 23, 55), 600, NOVEMBER), (at(11), 610, NOVEMBER)]
    assert days(*polls, (at(11, 0, 5), 613, NOVEMBER)) == {"11-10~": 110, "11-11": 3}


def test_a_difference_across_midnight_is_shared_by_time_in_whole_requests() -> None:
    polls = [(at(9, 0), 0, NOVEMBER), (at(10, 23, 58), 100, NOVEMBER), (at(11, 0, 3), 107, NOVEMBER)]
    found = days(*polls)
    assert found["11-10~"] + found["11-11~"] == 7 + round(100 * (24 * 60 - 2) / (48 * 60 - 2))
    assert found["11-11~"] == 4


def test_a_day_is_exact_once_what_midnight_left_open_is_1_percent_of_it() -> None:
    polls = [(at(9, 0), 0, NOVEMBER), (at(10, 23, 58), 100, NOVEMBER), (at(11, 0, 3), 107, NOVEMBER)]
    assert "11-11~" in days(*polls, (at(11, 12), 440, NOVEMBER))
    assert "11-11" in days(*polls, (at(11, 12), 540, NOVEMBER))


def test_days_are_those_of_the_api_s_time_zone() -> None:
    polls = [(at(10, 12), 0, NOVEMBER), (at(10, 14, 55), 0, NOVEMBER), (at(10, 15, 5), 10, NOVEMBER)]
    assert days(*polls, zone=ZoneInfo("Asia/Tokyo")) == {"11-10~": 5, "11-11~": 5}


def test_a_long_gap_is_shared_out_and_marked() -> None:
    polls = [
        (at(9, 0), 0, NOVEMBER),
        (at(10, 0), 0, NOVEMBER),
        (at(12, 0), 200, NOVEMBER),
        (at(12, 1), 201, NOVEMBER),
    ]
    assert days(*polls) == {"11-09": 0, "11-10~": 100, "11-11~": 100, "11-12": 1}


def test_a_new_period_counts_from_0() -> None:
    polls = [(at(30, 0), 880, NOVEMBER), (at(30, 23, 55), 900, NOVEMBER), (at(1, 0, 5, month=12), 10, DECEMBER)]
    assert days(*polls) == {"11-30": 20, "12-01~": 10}


def test_a_new_period_after_a_gap_counts_from_its_own_start_even_if_it_has_used_more() -> None:
    polls = [(at(30, 12), 100, NOVEMBER), (at(3, 0, month=12), 300, DECEMBER)]
    assert days(*polls) == {"12-01~": 150, "12-02~": 150}


def test_a_vendor_that_says_the_new_period_before_it_sets_its_count_to_0() -> None:
    polls = [
        (at(30, 0), 880, NOVEMBER),
        (at(30, 23, 59), 900, NOVEMBER),
        (at(1, 0, 4, month=12), 900, DECEMBER),
        (at(1, 0, 9, month=12), 5, DECEMBER),
        (at(1, 0, 14, month=12), 8, DECEMBER),
    ]
    assert days(*polls) == {"11-30": 20, "12-01~": 8}


def test_a_vendor_that_sets_its_count_to_0_before_it_says_the_new_period() -> None:
    polls = [
        (at(30, 0), 880, NOVEMBER),
        (at(30, 23, 59), 900, NOVEMBER),
        (at(1, 0, 4, month=12), 5, NOVEMBER),
        (at(1, 0, 9, month=12), 8, DECEMBER),
        (at(1, 3, month=12), 20, DECEMBER),
    ]
    assert days(*polls) == {"11-30": 20, "12-01": 20}


def day_of(moment: datetime) -> Span:
    start = moment.replace(hour=0, minute=0)
    return span(start, start + timedelta(days=1))


def hour_of(moment: datetime) -> Span:
    start = moment.replace(minute=0)
    return span(start, start + timedelta(hours=1))


def test_a_batch_job_that_uses_its_day_s_limit_just_after_midnight_is_counted_every_day() -> None:
    moments = [at(10) + timedelta(minutes=5 * step) for step in range(1, 4 * 288)]
    assert days(*((moment, 1000.0, day_of(moment)) for moment in moments)) == {
        "11-10": 1000,
        "11-11": 1000,
        "11-12": 1000,
        "11-13": 1000,
    }


def test_batches_that_grow_from_day_to_day_are_counted_in_full() -> None:
    moments = [at(10) + timedelta(minutes=5 * step) for step in range(1, 4 * 288)]
    polls = [(moment, 1000.0 + 100 * (moment.day - 10), day_of(moment)) for moment in moments]
    assert days(*polls) == {"11-10": 1000, "11-11": 1100, "11-12": 1200, "11-13": 1300}


def test_hourly_periods_that_are_used_up_at_once_add_up_to_their_day() -> None:
    moments = [at(10) + timedelta(minutes=5 * step) for step in range(1, 2 * 288)]
    polls = [(moment, 60.0, hour_of(moment)) for moment in moments]
    assert days(*polls)["11-11"] == 24 * 60


def test_a_vendor_that_sets_its_count_to_0_half_an_hour_late() -> None:
    polls: list[Poll] = [(at(30), 880, NOVEMBER), (at(30, 23, 59), 900, NOVEMBER)]
    polls += [(at(1, 0, minute, month=12), 900 + minute, DECEMBER) for minute in range(4, 30, 5)]
    polls += [(at(1, 0, 34, month=12), 3, DECEMBER), (at(1, 0, 39, month=12), 5, DECEMBER)]
    found = days(*polls)
    assert sum(found.values()) == 20 + 29 + 5
    assert found["11-30~"] == 21  # one of the four between 23:59 and 00:04


def test_a_correction_is_taken_off_the_latest_days() -> None:
    polls = [(at(10, 0), 0, NOVEMBER), (at(11, 0), 100, NOVEMBER), (at(11, 1), 130, NOVEMBER)]
    assert days(*polls, (at(11, 2), 120, NOVEMBER)) == {"11-10": 100, "11-11~": 20}
    assert days(*polls, (at(11, 2), 118, NOVEMBER), (at(11, 3), 107, NOVEMBER), (at(11, 4), 97, NOVEMBER)) == {
        "11-10~": 97,
        "11-11~": 0,
    }


def test_a_moving_window_is_no_row_of_new_periods() -> None:
    def window(now: datetime) -> Span:
        return span(now - timedelta(days=30), now)

    polls: list[Poll] = [(at(10, hour), 1000 - 150 * hour, window(at(10, hour))) for hour in range(5)]
    assert days(*polls) == {"11-10~": 0}
    assert after(*polls).known.count == 400


def test_a_plan_change_within_a_period_goes_on_counting() -> None:
    later = Span(at(5).timestamp(), NOVEMBER.end)
    assert days((at(10, 0), 500, NOVEMBER), (at(10, 1), 520, later)) == {"11-10": 20}


def test_a_clock_set_back_loses_nothing() -> None:
    polls = [
        (at(10, 0), 0, NOVEMBER),
        (at(10, 5), 50, NOVEMBER),
        (at(10, 3), 60, NOVEMBER),
        (at(10, 6), 70, NOVEMBER),
    ]
    assert days(*polls) == {"11-10": 70}


def test_a_clock_that_was_a_year_ahead_begins_anew() -> None:
    assert after((at(10), 0, None), (at(10) - timedelta(days=365), 50, None)).known.at < at(10).timestamp()


def test_only_30_days_are_kept() -> None:
    tally = after(*((at(1) + timedelta(days=day), 10 * day, None) for day in range(60))).known.tally
    assert tally is not None
    assert len(tally.days) <= 30
    assert tally.days[0].date > date(2026, 11, 28)


@given(st.lists(st.tuples(st.integers(1, 3 * 86_400), st.integers(0, 10**5)), min_size=1, max_size=20))
def test_growth_within_a_period_is_counted_once_and_in_whole_requests(steps: list[tuple[int, int]]) -> None:
    period = span(at(1), at(1) + timedelta(days=365))
    now, total = at(2, 7, 13), 1000
    polls: list[Poll] = [(now, total, period)]
    for seconds, used in steps:
        now, total = now + timedelta(seconds=seconds), total + used
        polls.append((now, total, period))
    counted = days(*polls).values()
    assert all(count >= 0 and float(count).is_integer() for count in counted)
    if now - at(2) < timedelta(days=29):
        assert sum(counted) == total - 1000
    else:
        assert sum(counted) <= total - 1000


# Defects that days had once


def test_a_reset_two_hours_before_the_configured_boundary_is_no_correction() -> None:
    polls: list[Poll] = []
    for step in range(3 * 288):  # resets at 22:00; the config says midnight
        now = at(10) + timedelta(minutes=5 * step)
        since = (now - at(9, 22)).total_seconds() % 86_400
        polls.append((now, since // 60 * 10, day_of(now)))
    found = days(*polls, configured=True)
    assert set(found) == {"11-10", "11-11", "11-12"}
    assert all(abs(count - 14_400) < 144 for count in found.values())


@pytest.mark.parametrize("late", [5, 60, 14 * 60], ids=["5 min", "an hour", "sign-up hour"])
@pytest.mark.parametrize("configured", [True, False])
def test_a_reset_long_after_the_boundary_never_shows_the_whole_month_as_a_day(late: int, configured: bool) -> None:
    watched: Watched | None = None
    reset = at(1, month=12) + timedelta(minutes=late)
    for step in range(4 * 288):
        now = at(29) + timedelta(minutes=5 * step)
        count = 4000 + step if now < reset else (now - reset).total_seconds() // 300
        period = NOVEMBER if now < at(1, month=12) else DECEMBER
        answered, calendar = (None, period) if configured else (period, None)
        watched = observe(watched, Seen(now.timestamp(), count, answered, calendar), ZONE)
        assert all(used <= 290 for used in days_of(watched).values()), now
    assert watched is not None
    assert sum(days_of(watched).values()) >= 4 * 288 - 3


def test_a_first_poll_before_a_late_reset_is_put_right_by_it() -> None:
    polls = every(5, at(1, 1, month=12), *(4000.0 + step for step in range(20)), period=DECEMBER)
    fallen = every(5, at(1, 2, 40, month=12), *(float(step) for step in range(6)), period=DECEMBER)
    assert days(*polls, *fallen) == {"12-01~": 24}


def test_one_poll_that_answers_0_leaves_nothing_behind() -> None:
    watched = after(*every(5, at(10), 100, 100, 100, 0, 301))
    assert days_of(watched) == {"11-10": 201}
    assert watched.held is None


@pytest.mark.parametrize("answers", [[0.0] * 11, [500.0] * 11, [0.0, 1180.0] * 5, [0.0, 505.0, 300.0] * 3])
def test_an_hour_of_wrong_answers_changes_nothing_but_the_flag(answers: list[float]) -> None:
    right = every(5, at(10), *(1000.0 + 10 * step for step in range(24)))
    wrong = [*right[:12], *((now, count, NOVEMBER) for (now, _, _), count in zip(right[12:], answers, strict=False))]
    for end in range(13, len(wrong) + 1):
        watched = after(*wrong[:end])
        assert watched.known.count >= 1000
        assert sum(days_of(watched).values()) >= 110
    assert days(*wrong, *right[23:]) == days(*right)


def test_a_wrong_answer_for_longer_is_believed_and_undone_when_the_count_is_back() -> None:
    right = every(5, at(10, 6), *(1000.0 + 10 * step for step in range(48)))
    wrong = [
        (now, 0.0, NOVEMBER) if 12 <= step < 40 else (now, count, NOVEMBER)
        for step, (now, count, _) in enumerate(right)
    ]
    believed = after(*wrong[:39])
    assert believed.known.count == 0
    assert believed.held is None
    watched = after(*wrong)
    assert days_of(watched) == {"11-10~": 470}
    assert [count for _, count in watched.points] == [count for _, count, _ in (*right[:12], *right[40:])]


def test_a_gap_over_a_rollover_is_not_exact() -> None:
    polls = [(at(30, 0), 880, NOVEMBER), (at(30, 20), 900, NOVEMBER), (at(1, 2, month=12), 10, DECEMBER)]
    assert days(*polls) == {"11-30~": 20, "12-01": 10}


def test_hourly_periods_after_three_hours_are_not_exact() -> None:
    polls = every(5, at(10), *(float(minute) for minute in range(5, 60, 5)), period=None)
    polls = [(now, count, hour_of(now)) for now, count, _ in polls]
    assert "11-10~" in days(*polls, (at(10, 3, 55), 55, hour_of(at(10, 3, 55))))


# What is suspect


def test_a_steep_fall_is_held_for_an_hour_and_then_believed() -> None:
    polls = every(5, at(10), 1000, 1010, *(float(5 * step) for step in range(14)))
    held = after(*polls[:13])
    assert held.held is not None
    assert held.held.reason is Suspicion.FALL
    assert held.known.count == 1010
    believed = after(*polls)
    assert believed.held is None
    assert believed.known.count == 65
    assert days_of(believed) == {"11-10~": 75}


def test_a_fall_that_the_vendor_s_period_explains_is_believed_at_once() -> None:
    polls = [(at(30, 23, 55), 900, NOVEMBER), (at(1, 0, 0, month=12), 0, DECEMBER)]
    assert after(*polls).known.count == 0


def test_a_fall_near_a_configured_boundary_is_believed_at_once_and_undone_if_the_count_is_back() -> None:
    polls = [(at(30, 12), 900, NOVEMBER), (at(30, 23, 20), 900, NOVEMBER), (at(30, 23, 25), 0, NOVEMBER)]
    assert after(*polls, configured=True).known.count == 0
    assert days(*polls, (at(30, 23, 30), 902, NOVEMBER), configured=True) == {"11-30~": 2}


def test_a_jump_to_many_times_the_limit_is_held_and_a_runaway_is_not() -> None:
    steady = every(5, at(10), *(1000.0 + step for step in range(12)))
    jump = after(*steady, (at(10, 1), 5_000_000, NOVEMBER), limit=10_000)
    assert jump.held is not None
    assert jump.held.reason is Suspicion.JUMP
    assert jump.known.count == 1011
    assert after(*steady, (at(10, 1), 19_000, NOVEMBER), limit=10_000).known.count == 19_000
    assert after(*steady, (at(10, 1), 150_000, NOVEMBER)).known.count == 150_000


def test_a_jump_while_a_new_period_s_start_is_awaited_is_held_as_well() -> None:
    """The vendor says its new period an hour before it sets its count to 0, and answers nonsense in between."""
    old, new = span(at(10), at(10, 6)), span(at(10, 6), at(10, 12))
    polls = every(5, at(10), *range(0, 7_200, 100), period=old) + every(
        5, at(10, 6), *range(7_200, 8_400, 100), period=new
    )
    wrong = every(5, at(10, 7), 1_000_000, 1_500_000, 2_000_000, period=new)
    right = every(5, at(10, 7, 15), *range(300, 5_000, 100), period=new)
    found = after(*polls, *wrong, *right, limit=20_000)
    assert found.known.count == right[-1][1]
    assert days_of(found)["11-10~"] == 8_300 + right[-1][1]


def test_use_behind_a_wrong_0_that_a_reset_follows_is_in_doubt() -> None:
    """300 an hour. From 11:40 the vendor answers 0, and at 12:10 the count starts again: nobody saw what was used
    in between."""
    before = every(5, at(9), *range(0, 10_700, 25), period=None)
    wrong = every(5, at(10, 11, 40), 0, 0, 0, 0, 0, 0, period=None)
    right = every(5, at(10, 12, 10), *range(0, 3_600, 25), period=None)
    assert list(days(*before, *wrong, *right)) == ["11-09", "11-10~", "11-11"]


def test_a_jump_that_stays_is_believed_after_an_hour() -> None:
    polls = [*every(5, at(10), 1000, 1001), *every(5, at(10, 0, 10), *(9_000_000.0 + step for step in range(13)))]
    assert after(*polls, limit=100).known.count == 9_000_012


def test_a_short_period_holds_for_a_quarter_of_it_only() -> None:
    polls = [(at(10, 0, minute), 1000.0, hour_of(at(10))) for minute in range(0, 20, 5)]
    polls += [(at(10, 0, minute), 3.0, hour_of(at(10))) for minute in range(20, 40, 5)]
    assert after(*polls).known.count == 3


def test_what_is_undone_takes_its_past_period_along() -> None:
    right = every(5, at(10, 6), *(1000.0 + step for step in range(12)))
    fallen = every(5, at(10, 7), *(float(step) for step in range(13)))
    believed = after(*right, *fallen)
    assert [(period.requests, period.limit) for period in believed.known.past] == [(1011, None)]
    assert after(*right, *fallen, (at(10, 8, 10), 1014, NOVEMBER)).known.past == ()


@pytest.mark.parametrize(("last", "is_whole"), [(59, True), (57, True), (56, False), (20, False)])
def test_a_past_period_is_whole_if_its_end_was_watched(last: int, is_whole: bool) -> None:
    """Of an hour at most 3 minutes may be missing."""
    polls = [(at(10, 9, minute), float(minute), hour_of(at(10, 9))) for minute in range(10, last + 1)]
    (past,) = after(*polls, (at(10, 10, 2), 1.0, hour_of(at(10, 10)))).known.past
    assert (past.requests, past.seen_until, past.is_whole) == (last, at(10, 9, last).timestamp(), is_whole)


def test_segments_of_one_period_that_began_again_start_where_each_did() -> None:
    first = every(5, at(10, 6), *(1000.0 + step for step in range(12)))
    second = every(5, at(10, 7), *(float(step) for step in range(13)))
    december = (at(1, month=12) + timedelta(minutes=5), 1.0, DECEMBER)
    before, last = after(*first, *second, december).known.past
    assert (before.start, last.end) == (NOVEMBER.start, NOVEMBER.end)
    assert before.start < last.start == before.end


def test_past_periods_are_kept_13_deep() -> None:
    polls = [
        (at(10) + timedelta(minutes=5 * step), float(step % 12), hour_of(at(10) + timedelta(minutes=5 * step)))
        for step in range(12 * 20)
    ]
    past = after(*polls).known.past
    assert len(past) == 13
    assert {period.requests for period in past} == {11.0}
    assert [period.end - period.start for period in past] == [3600.0] * 13
