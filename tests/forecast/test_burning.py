"""When something burns too fast to wait for a forecast. Over whole traces: tests/alert_rules/test_burn_rates.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter import thresholds
from exporter.forecast import NOT_BURNING, Basis, Burning, Forecast, LimitState, Paces, Reached, burning
from exporter.model import BillingPeriod, ScopeUsage

NOW = datetime(2026, 11, 11, tzinfo=UTC)
NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
# 60,000 are left: 41.7 a minute exhaust them in a day. 100,000 in 30 days are 2.31 a minute.
USAGE = ScopeUsage("Tiles", 40_000, 100_000, period=NOVEMBER)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def made(
    *,
    recent: float | None = None,
    hour: float | None = None,
    day: float | None = None,
    probability: float | None = 0.9,
    earliest: datetime | None = None,
) -> Forecast:
    return Forecast(
        LimitState.AHEAD,
        Basis(),
        Paces(recent, hour, day),
        over_limit_probability=probability,
        reached=Reached(earliest=earliest),
    )


def ends_in(time: timedelta) -> ScopeUsage:
    return replace(USAGE, period=BillingPeriod(NOVEMBER.start, NOW + time))


@pytest.mark.parametrize(
    ("forecast", "hours"),
    [
        (made(recent=50, hour=7), 20),
        (made(recent=50, hour=50), 20),
        (made(recent=500, hour=500, probability=None), 2),
        (made(recent=50, hour=50, probability=thresholds.RUNS_OUT_LIKELY_PROBABILITY, earliest=NOW + DAY), 20),
        # Of the hour a sixth is enough, and less is not.
        (made(recent=60_000 / 1440, hour=60_000 / 1440 / thresholds.RUNS_OUT_HOUR_TIMES), 24),
        (made(recent=50, hour=6.9), None),
        (made(recent=41.6, hour=41.6), None),
        # The forecast holds it for over before.
        (made(recent=50, hour=50, probability=0.24), None),
        (made(recent=50, hour=50, earliest=NOW + DAY + timedelta(seconds=1)), None),
        # Nobody knows.
        (made(recent=50), None),
        (made(hour=50), None),
        (made(recent=0, hour=0), None),
    ],
)
def test_it_runs_out_soon_at_the_pace_of_the_minutes_and_the_hour(forecast: Forecast, hours: float | None) -> None:
    at = burning(USAGE, forecast, NOW).runs_out_at
    assert at == (None if hours is None else NOW + timedelta(hours=hours))


def test_nothing_runs_out_after_its_period() -> None:
    fast = made(recent=50, hour=50)
    assert burning(ends_in(20 * HOUR), fast, NOW).runs_out_at == NOW + 20 * HOUR
    assert burning(ends_in(19 * HOUR), fast, NOW).runs_out_at is None
    # The hour is held against what is left of the period too.
    assert burning(ends_in(20 * HOUR), made(recent=50, hour=8), NOW).runs_out_at is None


def test_what_was_found_stands_without_the_hour_but_not_at_a_slower_pace() -> None:
    before = Burning(runs_out_at=NOW + HOUR)
    assert burning(USAGE, made(recent=50), NOW, before).runs_out_at == NOW + 20 * HOUR
    assert burning(USAGE, made(recent=41.6), NOW, before).runs_out_at is None
    assert burning(USAGE, made(recent=50, probability=0.1), NOW, before).runs_out_at is None
    assert burning(USAGE, made(), NOW, before).runs_out_at is None


@pytest.mark.parametrize(
    ("forecast", "rate"),
    [
        (made(day=7), 7 * 43_200 / 100_000),
        (made(day=7, recent=2.4), 7 * 43_200 / 100_000),
        (made(day=6.9), None),  # 2.98 times
        (made(day=7, recent=2.3), None),  # the last minutes are down to their share
        (made(recent=50, hour=50), None),
    ],
)
def test_a_day_that_uses_three_times_its_share(forecast: Forecast, rate: float | None) -> None:
    assert burning(USAGE, forecast, NOW).burn_rate == (None if rate is None else pytest.approx(rate))


def test_a_day_of_three_shares_is_none_where_the_rest_lasts() -> None:
    assert burning(replace(USAGE, requests=20_000), made(day=7), NOW).burn_rate is not None
    assert burning(replace(USAGE, requests=20_000), made(day=7), NOW + 13 * DAY).burn_rate is None


@pytest.mark.parametrize(
    "usage",
    [
        replace(USAGE, limit=None),
        replace(USAGE, limit=0),
        replace(USAGE, requests=100_000),
        replace(USAGE, period=None),
    ],
)
def test_nothing_burns_without_a_limit_a_period_or_a_rest(usage: ScopeUsage) -> None:
    assert burning(usage, made(recent=500, hour=500, day=500), NOW) == NOT_BURNING


def test_a_pace_near_0_is_no_overflow() -> None:
    assert burning(USAGE, made(recent=1e-300, hour=1e-300, day=1e-300), NOW) == NOT_BURNING
