from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.periods import calendar_period

BERLIN = ZoneInfo("Europe/Berlin")


def month(anchor: int, *now: int) -> tuple[str, str]:
    period = calendar_period("month", anchor, ZoneInfo("UTC"), datetime(*now, tzinfo=UTC))  # type: ignore[arg-type,misc]
    assert period is not None
    return period.start.date().isoformat(), period.end.date().isoformat()


@pytest.mark.parametrize(
    ("anchor", "now", "period"),
    [
        (1, (2026, 11, 22), ("2026-11-01", "2026-12-01")),
        (1, (2026, 11, 1), ("2026-11-01", "2026-12-01")),
        (15, (2026, 11, 14, 23, 59, 59), ("2026-10-15", "2026-11-15")),
        (15, (2026, 11, 15), ("2026-11-15", "2026-12-15")),
        (31, (2027, 2, 27), ("2027-01-31", "2027-02-28")),
        (31, (2027, 2, 28), ("2027-02-28", "2027-03-31")),
        (31, (2027, 3, 30), ("2027-02-28", "2027-03-31")),
        (30, (2028, 2, 29), ("2028-02-29", "2028-03-30")),
        (1, (2026, 12, 31), ("2026-12-01", "2027-01-01")),
    ],
)
def test_months_begin_on_the_anchor_day(anchor: int, now: tuple[int, ...], period: tuple[str, str]) -> None:
    assert month(anchor, *now) == period


def test_days_follow_the_zone_s_calendar_through_a_change_of_clocks() -> None:
    period = calendar_period("day", 1, BERLIN, datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert period is not None
    assert (period.end - period.start).total_seconds() == 25 * 3600
    assert period.start == datetime(2026, 10, 24, 22, tzinfo=UTC)


def test_hours_follow_zones_with_half_hours() -> None:
    period = calendar_period("hour", 1, ZoneInfo("Asia/Kolkata"), datetime(2026, 1, 1, 12, 10, tzinfo=UTC))
    assert period is not None
    assert period.start == datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


def test_none_is_no_period() -> None:
    assert calendar_period("none", 1, BERLIN, datetime(2026, 1, 1, tzinfo=UTC)) is None


@given(
    st.sampled_from(["month", "week", "day", "hour"]),
    st.integers(1, 31),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Apia"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001 - hypothesis wants naive bounds
)
def test_a_period_holds_its_moment_and_the_next_begins_where_it_ends(
    every: Literal["month", "week", "day", "hour"], anchor: int, zone: str, moment: datetime
) -> None:
    now = moment.replace(tzinfo=UTC)
    period = calendar_period(every, anchor, ZoneInfo(zone), now)
    assert period is not None
    assert period.start <= now < period.end
    following = calendar_period(every, anchor, ZoneInfo(zone), period.end)
    assert following is not None
    assert following.start == period.end
