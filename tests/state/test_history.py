"""Days counted from polls: across midnights, gaps, rollovers and corrections."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import BillingPeriod, ScopeUsage
from exporter.state.history import ObservedHistory, observe

ZONE = ZoneInfo("UTC")
NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DECEMBER = BillingPeriod(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

Poll = tuple[datetime, float, BillingPeriod | None]


def at(day: int, hour: int = 0, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def after(*polls: Poll, zone: ZoneInfo = ZONE) -> ObservedHistory:
    history: ObservedHistory | None = None
    for now, requests, period in polls:
        history = observe(history, ScopeUsage("Maps", requests, None, period=period), now, zone)
    assert history is not None
    return history


def days(*polls: Poll, zone: ZoneInfo = ZONE) -> dict[str, float]:
    """Requests by MM-DD; a ~ marks a day that is not exact."""
    history = after(*polls, zone=zone)
    return {f"{day.date:%m-%d}{'' if day.exact else '~'}": day.requests for day in history.days}


def test_the_first_poll_tells_nothing_of_a_day() -> None:
    assert days((at(10, 12), 500, NOVEMBER)) == {}


def test_a_period_that_began_today_tells_today_in_full() -> None:
    assert days((at(1, 12), 500, NOVEMBER)) == {"11-01": 500}
    assert days((at(1, 12), 500, NOVEMBER), (at(1, 13), 520, NOVEMBER)) == {"11-01": 520}


def test_the_first_day_is_marked_as_partly_seen() -> None:
    assert days((at(10, 12), 500, NOVEMBER), (at(10, 12, 5), 510, NOVEMBER)) == {"11-10~": 10}


def test_differences_add_up_per_day() -> None:
    polls = [(at(10, 12), 500, NOVEMBER), (at(10, 23, 55), 600, NOVEMBER), (at(11), 610, NOVEMBER)]
    assert days(*polls, (at(11, 0, 5), 613, NOVEMBER)) == {"11-10~": 110, "11-11": 3}


def test_a_difference_across_midnight_is_shared_by_time_in_whole_requests() -> None:
    polls = [(at(9, 0), 0, NOVEMBER), (at(10, 23, 58), 100, NOVEMBER), (at(11, 0, 3), 107, NOVEMBER)]
    assert days(*polls)["11-10~"] + days(*polls)["11-11"] == 7 + round(100 * (24 * 60 - 2) / (48 * 60 - 2))
    assert days(*polls)["11-11"] == 4


def test_days_are_those_of_the_api_s_time_zone() -> None:
    polls = [(at(10, 12), 0, NOVEMBER), (at(10, 14, 55), 0, NOVEMBER), (at(10, 15, 5), 10, NOVEMBER)]
    assert days(*polls, zone=ZoneInfo("Asia/Tokyo")) == {"11-10~": 5, "11-11": 5}


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
    assert days(*polls) == {"11-30": 20, "12-01": 10}


def test_a_new_period_after_a_gap_counts_from_its_own_start_even_if_it_has_used_more() -> None:
    polls = [(at(30, 12), 100, NOVEMBER), (at(3, 0, month=12), 300, DECEMBER)]
    assert days(*polls) == {"12-01~": 150, "12-02~": 150}


def test_a_vendor_that_tells_the_new_period_before_it_sets_its_count_to_0() -> None:
    polls = [
        (at(30, 0), 880, NOVEMBER),
        (at(30, 23, 59), 900, NOVEMBER),
        (at(1, 0, 4, month=12), 900, DECEMBER),
        (at(1, 0, 9, month=12), 5, DECEMBER),
        (at(1, 0, 14, month=12), 8, DECEMBER),
    ]
    assert days(*polls) == {"11-30": 20, "12-01": 8}


def test_a_vendor_that_sets_its_count_to_0_before_it_tells_the_new_period() -> None:
    polls = [
        (at(30, 0), 880, NOVEMBER),
        (at(30, 23, 59), 900, NOVEMBER),
        (at(1, 0, 4, month=12), 5, NOVEMBER),
        (at(1, 0, 9, month=12), 8, DECEMBER),
    ]
    assert days(*polls) == {"11-30": 20, "12-01": 8}


def day_of(moment: datetime) -> BillingPeriod:
    start = moment.replace(hour=0, minute=0)
    return BillingPeriod(start, start + timedelta(days=1))


def hour_of(moment: datetime) -> BillingPeriod:
    start = moment.replace(minute=0)
    return BillingPeriod(start, start + timedelta(hours=1))


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
    assert days(*polls) == {"11-30": 20, "12-01": 29 + 5}


def test_without_a_known_period_a_steep_fall_is_a_reset() -> None:
    assert days((at(10, 0), 900, None), (at(10, 1), 950, None), (at(10, 2), 20, None)) == {"11-10": 70}


def test_a_correction_is_taken_off_the_latest_days() -> None:
    polls = [(at(10, 0), 0, NOVEMBER), (at(11, 0), 100, NOVEMBER), (at(11, 1), 130, NOVEMBER)]
    assert days(*polls, (at(11, 2), 120, NOVEMBER)) == {"11-10": 100, "11-11": 20}
    assert days(*polls, (at(11, 2), 90, NOVEMBER)) == {"11-10": 90, "11-11": 0}


def test_a_moving_window_is_no_row_of_new_periods() -> None:
    def window(now: datetime) -> BillingPeriod:
        return BillingPeriod(now - timedelta(days=30), now)

    polls: list[Poll] = [(at(10, hour), 1000 - hour, window(at(10, hour))) for hour in range(5)]
    assert days(*polls) == {}


def test_a_plan_change_within_a_period_goes_on_counting() -> None:
    later = BillingPeriod(at(5), NOVEMBER.end)
    assert days((at(10, 0), 500, NOVEMBER), (at(10, 1), 520, later)) == {"11-10": 20}


def test_a_clock_set_back_loses_nothing() -> None:
    polls = [
        (at(10, 0), 0, NOVEMBER),
        (at(10, 5), 50, NOVEMBER),
        (at(10, 3), 60, NOVEMBER),
        (at(10, 6), 70, NOVEMBER),
    ]
    assert days(*polls) == {"11-10": 70}


def test_only_30_days_are_kept() -> None:
    polls: list[Poll] = [(at(1) + timedelta(days=day), 10 * day, None) for day in range(60)]
    history = after(*polls)
    assert len(history.days) <= 30
    assert history.days[0].date > date(2026, 11, 28)


@given(st.lists(st.tuples(st.integers(1, 3 * 86_400), st.integers(0, 10**6)), min_size=1, max_size=20))
def test_growth_within_a_period_is_counted_once_and_in_whole_requests(steps: list[tuple[int, int]]) -> None:
    period = BillingPeriod(at(1), at(1) + timedelta(days=365))
    now, total = at(2, 7, 13), 1000
    history = observe(None, ScopeUsage("Maps", total, None, period=period), now, ZONE)
    for seconds, used in steps:
        now, total = now + timedelta(seconds=seconds), total + used
        history = observe(history, ScopeUsage("Maps", total, None, period=period), now, ZONE)
    counted = [day.requests for day in history.days]
    assert all(count >= 0 and float(count).is_integer() for count in counted)
    if now - at(2) < timedelta(days=29):
        assert sum(counted) == total - 1000
    else:
        assert sum(counted) <= total - 1000
