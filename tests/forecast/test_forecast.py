"""Will it last: what is forecast of scopes of all kinds, and what is honestly not known."""

from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from exporter.forecast import (
    Forecast,
    Known,
    LimitState,
    Paces,
    Reached,
    Resolution,
    Unknown,
    days_near_limit,
    forecast,
    rounded,
)
from exporter.forecast.alert import Ticket, ticket_after
from exporter.forecast.days import Day, week_shape
from exporter.forecast.recent import Recent
from exporter.model import LARGEST_COUNT, LEAST_LIMIT, BillingPeriod, DailyUsage, ScopeUsage
from exporter.thresholds import NEAR_LIMIT_RATIO, PROJECTED_FOR_SECONDS

UTC_ZONE = ZoneInfo("UTC")
NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
Rate = Callable[[datetime], float]


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def steady(a_day: float) -> Rate:
    return lambda _moment: a_day / 1440


def watched(
    rate: Rate,
    now: datetime,
    *,
    limit: float | None = 1000.0,
    period: BillingPeriod = NOVEMBER,
    days: int = 30,
    zone: ZoneInfo = UTC_ZONE,
) -> Known:
    """A scope that uses rate(moment) requests a minute, polled every 5 minutes for 3 hours and hourly before."""

    def used(start: datetime, end: datetime) -> float:
        step = 15 * MINUTE
        total, moment = 0.0, start
        while moment < end:
            until = min(moment + step, end)
            total += rate(moment) * ((until - moment) / MINUTE)
            moment = until
        return total

    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [(midnight - back * DAY).astimezone(UTC) for back in range(days - 1, -1, -1)]
    ends = [*starts[1:], now][:days]
    daily = tuple(
        DailyUsage(start.astimezone(zone).date(), used(start, end)) for start, end in zip(starts, ends, strict=True)
    )
    moments = [now - hours * HOUR for hours in range(7 * 24, 3, -1)] + [
        now - back * MINUTE for back in range(180, -1, -5)
    ]
    count, points, last = used(NOVEMBER.start - 31 * DAY, moments[0]), [], moments[0]
    for moment in moments:
        count += used(last, moment)
        last = moment
        points.append((moment.timestamp(), count))
    so_far = used(period.start, now)
    # As the vendor counts them: from the period's start on.
    before = count - so_far
    start = period.start.timestamp()
    points = [(moment, count - before if moment >= start else count) for moment, count in points]
    return Known(now, zone, so_far, limit, period, daily if days else (), tuple(points))


def with_limit(known: Known, rest: float) -> Known:
    return replace(known, limit=known.requests + rest)


def made(known: Known) -> tuple[Forecast, float]:
    """A forecast that must be there, and its middle."""
    found = forecast(known)
    assert found.requests is not None, found.unknown
    return found, found.requests.middle


class TestWhatComes:
    def test_steady_usage_goes_on(self) -> None:
        found, middle = made(watched(steady(100), at(16), limit=2000))
        assert found.requests is not None
        assert middle == pytest.approx(3000, rel=0.02)
        assert 2800 < found.requests.low < middle < found.requests.high < 3250
        assert found.over_limit_probability == pytest.approx(1, abs=0.01)
        assert found.reached.likely is not None
        assert abs(found.reached.likely - at(21)) < DAY / 2
        assert found.basis.days == 29
        assert found.basis.weekdays == 7
        assert not found.basis.last_hour

    def test_far_below_its_limit(self) -> None:
        found = forecast(watched(steady(100), at(16), limit=6000))
        assert found.over_limit_probability is not None
        assert found.over_limit_probability < 0.001
        assert found.reached == Reached()
        assert found.resolution is None

    def test_quiet_weekends_are_foreseen(self) -> None:
        def rate(moment: datetime) -> float:
            return (20 if moment.weekday() >= 5 else 100) / 1440

        # The 28th and the 29th are a weekend; the pace so far would say over 3,800 at the end of the 27th.
        known = watched(rate, at(28))
        assert made(known)[1] - known.requests == pytest.approx(140, rel=0.15)
        known = watched(rate, at(2))
        assert made(known)[1] - known.requests == pytest.approx(21 * 100 + 8 * 20, rel=0.07)

    def test_one_mad_day_changes_little(self) -> None:
        def rate(moment: datetime) -> float:
            return (1000 if moment.date() == date(2026, 11, 9) else 100) / 1440

        for day in (11, 13, 16, 20):
            known = watched(rate, at(day))
            assert made(known)[1] - known.requests == pytest.approx(100 * (31 - day), rel=0.15), day

    @pytest.mark.parametrize(("factor", "days"), [(0.25, 7), (0.5, 5), (1.5, 4), (3, 4)])
    def test_a_step_is_taken_up_within_days(self, factor: float, days: int) -> None:
        def rate(moment: datetime) -> float:
            return 100 * (factor if moment >= at(10) else 1) / 1440

        known = watched(rate, at(10 + days))
        assert made(known)[1] - known.requests == pytest.approx(100 * factor * (21 - days), rel=0.25)

    def test_a_burst_at_the_start_is_no_new_level(self) -> None:
        def rate(moment: datetime) -> float:
            return (800 if at(1) <= moment < at(3) else 100) / 1440

        found, middle = made(watched(rate, at(6), limit=6000))
        assert middle == pytest.approx(1600 + 2800, rel=0.15)
        assert found.over_limit_probability is not None
        assert found.over_limit_probability < 0.1

    def test_nothing_was_ever_used(self) -> None:
        found, middle = made(watched(steady(0), at(16)))
        assert middle == 0
        assert found.over_limit_probability == 0

    def test_a_higher_limit_is_reached_later_and_less_likely(self) -> None:
        known = watched(steady(100), at(16))
        low, high = forecast(with_limit(known, 1200)), forecast(with_limit(known, 1500))
        assert low.over_limit_probability is not None
        assert high.over_limit_probability is not None
        assert low.over_limit_probability > 0.9
        assert high.over_limit_probability < 0.7
        assert low.reached.earliest is not None
        assert high.reached.earliest is not None
        assert low.reached.earliest < high.reached.earliest
        assert low.requests == high.requests

    def test_days_are_those_of_the_time_zone(self) -> None:
        sydney = ZoneInfo("Australia/Sydney")
        period = BillingPeriod(datetime(2026, 10, 31, 13, tzinfo=UTC), datetime(2026, 11, 30, 13, tzinfo=UTC))

        def rate(moment: datetime) -> float:
            return (20 if moment.astimezone(sydney).weekday() >= 5 else 100) / 1440

        known = watched(rate, at(27, 13), period=period, zone=sydney)
        # There it is Saturday: two quiet days and a Monday are left.
        assert made(known)[1] - known.requests == pytest.approx(140, rel=0.15)


class TestTheLastHours:
    def test_a_steady_pace_that_runs_out_within_the_hour_is_said_to_the_minute(self) -> None:
        known = with_limit(watched(steady(30 * 1440), at(24, 20, 41)), 900)
        found = forecast(known)
        assert found.reached.likely is not None
        assert found.resolution is Resolution.MINUTES
        assert abs(rounded(found.reached.likely, found.resolution, known.zone) - at(24, 21, 11)) <= MINUTE
        assert found.over_limit_probability == pytest.approx(1, abs=0.01)

    def test_a_pace_that_is_new_leads_too(self) -> None:
        def rate(moment: datetime) -> float:
            return 30 if moment >= at(24, 16) else 1

        known = with_limit(watched(rate, at(24, 20, 41)), 900)
        found = forecast(known)
        assert found.basis.last_hour
        assert found.reached.likely is not None
        assert abs(found.reached.likely - at(24, 21, 11)) <= 2 * MINUTE
        assert found.over_limit_probability is not None
        assert found.over_limit_probability > 0.9
        assert found.requests is not None
        assert known.limit is not None
        assert found.requests.middle >= known.limit

    def test_a_burst_that_has_stopped_does_not_lead(self) -> None:
        def rate(moment: datetime) -> float:
            return 30 if at(24, 19, 45) <= moment < at(24, 20, 15) else 1

        found = forecast(with_limit(watched(rate, at(24, 20, 41)), 900))
        assert not found.basis.last_hour

    def test_the_nightly_batch_is_known_to_end(self) -> None:
        def rate(moment: datetime) -> float:
            return 100 if moment.hour == 2 else 0.5

        known = with_limit(watched(rate, at(24, 2, 50)), 9000)
        found = forecast(known)
        assert not found.basis.last_hour
        assert found.reached.likely is not None
        # At the batch's pace it were the same morning; it takes the next night's.
        assert found.reached.likely > at(25)

    def test_ten_minutes_of_a_pace_lead_before_the_hour_s_average_does(self) -> None:
        def rate(moment: datetime) -> float:
            return 30 if moment >= at(24, 20, 30) else 1

        found = forecast(with_limit(watched(rate, at(24, 20, 45)), 20_000))
        assert found.paces.recent == pytest.approx(30)
        assert found.paces.hour == pytest.approx(1 + 29 / 4)
        assert found.basis.last_hour
        assert found.reached.earliest is not None
        assert found.reached.earliest < at(25, 8)

    def test_a_batch_that_lasts_longer_than_ever_leads(self) -> None:
        def rate(moment: datetime) -> float:
            return 100 if moment.hour == 2 or (moment.day == 24 and 2 <= moment.hour < 5) else 0.5

        assert not forecast(with_limit(watched(rate, at(24, 3, 10)), 9000)).basis.last_hour
        assert forecast(with_limit(watched(rate, at(24, 4, 10)), 9000)).basis.last_hour

    @pytest.mark.parametrize("returned", [0, 1], ids=["in the newer half", "in the older half"])
    def test_what_comes_at_once_is_no_pace_of_the_last_minutes(self, returned: int) -> None:
        known = watched(steady(1440), at(20, 12))
        points = [
            (point[0], point[1] + 5000 * (number >= len(known.points) - 1 - returned))
            for number, point in enumerate(known.points)
        ]
        assert forecast(replace(known, points=tuple(points))).paces.recent == pytest.approx(1)

    def test_usage_that_has_just_begun_is_no_staircase(self) -> None:
        def rate(moment: datetime) -> float:
            return 30 if moment >= at(24, 20, 30) else 1 if moment.minute < 15 and moment.hour % 2 else 0

        assert forecast(watched(rate, at(24, 20, 40))).paces.recent == pytest.approx(30)

    def test_a_days_pace_leads_where_it_exhausts_the_rest(self) -> None:
        def rate(moment: datetime) -> float:
            return 30 if moment >= at(23, 12) else 1

        found = forecast(with_limit(watched(rate, at(24, 12)), 30 * 60 * 10))
        assert found.reached.likely is not None
        assert abs(found.reached.likely - at(24, 22)) < 2 * HOUR
        assert found.resolution is not Resolution.DAYS

    def test_paces_of_three_windows(self) -> None:
        paces = forecast(watched(steady(1440), at(20, 12))).paces
        assert astuple(paces) == pytest.approx((1, 1, 1, 1))

    def test_a_correction_is_no_negative_pace(self) -> None:
        known = watched(steady(0), at(20, 12))
        *points, last = known.points
        found = forecast(replace(known, points=(*((moment, 500) for moment, _ in points), (last[0], 490))))
        assert found.paces == Paces(0, 0, 0, 0)

    def test_a_new_period_counts_from_nothing(self) -> None:
        found = forecast(watched(steady(1440), at(1, 0, 30)))
        assert found.paces.hour == pytest.approx(1, rel=0.1)
        assert found.paces.day == pytest.approx(1, rel=0.1)

    @pytest.mark.parametrize("every", [45 * MINUTE, DAY])
    def test_a_staircase_has_no_pace_of_its_last_step(self, every: timedelta) -> None:
        """A vendor that updates its figures once in 45 minutes, or once a day."""
        known = watched(steady(1440), at(20, 12, 1))
        start = at(1)

        def reported(moment: datetime) -> float:
            return ((moment - start) // every * every) / MINUTE + 100_000

        points = tuple((at, reported(datetime.fromtimestamp(at, UTC))) for at, _ in known.points)
        days = known.days if every < DAY else known.days[:-1]
        known = with_limit(replace(known, points=points, requests=points[-1][1], days=days), 1440 * 4)
        found = forecast(known)
        assert found.basis.update_seconds == pytest.approx(every / timedelta(seconds=1), rel=0.2)
        assert found.paces.hour is None
        assert not found.basis.last_hour
        assert found.paces.week == pytest.approx(1, rel=0.2)
        assert found.reached.likely is not None
        assert abs(found.reached.likely - at(24, 12)) < DAY

    def test_points_that_are_too_short_have_no_pace(self) -> None:
        known = watched(steady(1440), at(20, 12))
        bare = replace(known, days=())
        assert forecast(replace(bare, points=known.points[-3:])).paces == Paces(recent=1)
        assert forecast(replace(bare, points=known.points[-2:])).paces == Paces()
        assert forecast(replace(bare, points=())).paces == Paces()
        assert Recent((), None).paces == Paces()

    def test_a_week_s_pace_comes_from_the_days_where_points_do_not_reach(self) -> None:
        known = watched(steady(1440), at(20, 12))
        short = replace(known, points=known.points[-30:])
        assert forecast(short).paces.week == pytest.approx(1)
        without_today = replace(short, days=known.days[:-1])
        assert forecast(without_today).paces.week == pytest.approx(1)
        gap = tuple(day for day in known.days if day.date.day != 17)
        assert forecast(replace(short, days=gap)).paces.week is None
        begun = replace(known.days[-7], exact=False)
        assert forecast(replace(short, days=(begun, *known.days[-6:]))).paces.week is None

    def test_what_a_gap_hides_has_no_pace(self) -> None:
        """After two hours without an answer, nobody knows how much of it was used in the last one."""
        known = watched(steady(1440), at(20, 12))
        points = (*(point for point in known.points if point[0] <= at(20, 10).timestamp()), known.points[-1])
        paces = forecast(replace(known, points=points)).paces
        assert (paces.recent, paces.hour) == (None, None)
        assert paces.day == pytest.approx(1)

    @pytest.mark.parametrize(("minutes", "recent", "hour"), [(1, 1, 1), (20, 1, 1), (60, 1, 1), (90, 1, None)])
    def test_paces_at_rarer_polls(self, minutes: int, recent: float, hour: float | None) -> None:
        now = at(20, 12)
        moments = [now - step * minutes * MINUTE for step in range(2 * 24 * 60 // minutes, -1, -1)]
        points = tuple((moment.timestamp(), (moment - at(1)) / MINUTE) for moment in moments)
        paces = forecast(replace(watched(steady(1440), now), points=points)).paces
        assert paces.recent == pytest.approx(recent)
        assert paces.hour == (hour if hour is None else pytest.approx(hour))

    def test_a_vendor_that_updates_once_a_day_is_known_from_two_days_of_points(self) -> None:
        """Also at the first poll after its update, which would be a day's requests in one hour."""
        for now in (at(20, 6, 2), at(20, 6, 32), at(20, 23)):
            moments = [now - step * 5 * MINUTE for step in range(2 * 24 * 12, -1, -1)]
            points = tuple((each.timestamp(), 1440 * ((each - at(1, 6)) // DAY)) for each in moments)
            known = replace(watched(steady(1440), now), points=points)
            for newest in (len(points), 100):
                found = forecast(replace(known, points=points[-newest:]))
                assert (found.paces.recent, found.paces.hour) in ((None, None), (0, 0)), now
                assert now.hour > 20 or found.paces.hour is None


class TestWhatIsNotKnown:
    def test_without_a_period(self) -> None:
        found = forecast(replace(watched(steady(1440), at(16)), period=None))
        assert found.unknown is Unknown.NO_PERIOD
        assert found.requests is None
        assert found.over_limit_probability is None
        assert found.paces.hour == pytest.approx(1)

    def test_outside_the_period(self) -> None:
        known = watched(steady(100), at(16))
        assert forecast(replace(known, now=NOVEMBER.end)).unknown is Unknown.PERIOD_ENDED
        assert forecast(replace(known, now=NOVEMBER.start - HOUR)).unknown is Unknown.NOT_BEGUN

    def test_suspect_figures(self) -> None:
        found = forecast(replace(watched(steady(100), at(16)), suspect=True))
        assert found.unknown is Unknown.SUSPECT
        assert found.over_limit_probability is None
        assert found.paces == Paces()

    def test_the_first_hours_of_all(self) -> None:
        known = watched(steady(100), at(1, 6), days=0)
        assert forecast(replace(known, points=())).unknown is Unknown.TOO_EARLY

    def test_the_first_day_of_watching_within_a_period(self) -> None:
        """Of the days before, only their sum is known: the vendor's count. That is a level, without a week."""
        known = replace(watched(steady(100), at(16, 6)), days=(DailyUsage(date(2026, 11, 16), 3, exact=False),))
        found, middle = made(known)
        assert middle == pytest.approx(3000, rel=0.05)
        assert found.requests is not None
        assert found.basis.days == 0
        wide = found.requests.high - found.requests.low
        full = forecast(watched(steady(100), at(16, 6))).requests
        assert full is not None
        assert wide > 2 * (full.high - full.low)

    def test_unlimited(self) -> None:
        found, middle = made(watched(steady(100), at(16), limit=None))
        assert found.limit_state is LimitState.UNLIMITED
        assert middle == pytest.approx(3000, rel=0.02)
        assert found.over_limit_probability is None
        assert found.reached == Reached()

    def test_over_the_limit_already(self) -> None:
        for limit in (1500.0, 100.0, 0.0):
            found = forecast(watched(steady(100), at(16), limit=limit))
            assert found.limit_state is LimitState.REACHED
            assert found.over_limit_probability == 1
            assert found.reached == Reached()
            assert found.requests is not None

    def test_a_limit_of_zero_that_nobody_uses(self) -> None:
        found = forecast(watched(steady(0), at(16), limit=0))
        assert found.limit_state is LimitState.NONE_ALLOWED
        assert found.over_limit_probability is None

    def test_a_period_of_an_hour(self) -> None:
        period = BillingPeriod(at(16, 9), at(16, 10))
        found = forecast(watched(steady(1440), at(16, 9, 30), period=period, limit=50, days=0))
        assert found.requests is not None
        assert found.requests.middle == pytest.approx(60, rel=0.1)
        assert found.reached.likely is not None
        assert abs(found.reached.likely - at(16, 9, 50)) < 5 * MINUTE
        early = forecast(watched(steady(1440), at(16, 9, 3), period=period, limit=50, days=0))
        assert early.unknown is Unknown.TOO_EARLY

    def test_a_gap(self) -> None:
        """Days that are missing are unknown, and days that a gap was spread over give a level but no week."""
        known = watched(steady(100), at(16))
        missing = tuple(day for day in known.days if day.date.day not in (9, 10, 11))
        assert made(replace(known, days=missing))[1] == pytest.approx(3000, rel=0.03)
        spread = tuple(replace(day, exact=day.date.day not in (9, 10, 11)) for day in known.days)
        found, middle = made(replace(known, days=spread))
        assert middle == pytest.approx(3000, rel=0.03)
        assert found.basis.days == 26


@st.composite
def knowns(draw: st.DrawFn) -> Known:
    now = at(1) + draw(st.integers(1, 30 * 1440 - 1)) * MINUTE
    daily = draw(st.lists(st.one_of(st.just(0.0), st.floats(0, 1e6)), max_size=30))
    today = now.date()
    days = tuple(
        DailyUsage(today - back * DAY, requests, exact=draw(st.booleans()))
        for back, requests in zip(range(len(daily) - 1, -1, -1), daily, strict=True)
    )
    offsets = sorted(draw(st.sets(st.integers(0, 7 * 1440), max_size=60)), reverse=True)
    points = tuple(((now - offset * MINUTE).timestamp(), draw(st.floats(0, 1e6))) for offset in offsets)
    requests = draw(st.floats(0, 1e7))
    limit = draw(st.one_of(st.none(), st.floats(0, 1e8)))
    zone = ZoneInfo(draw(st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"])))
    return Known(now, zone, requests, limit, NOVEMBER, days, points)


counts = st.floats(0, LARGEST_COUNT) | st.floats(0, 1e-10) | st.integers(0, 1000).map(float)
limits = st.none() | st.just(0.0) | st.floats(LEAST_LIMIT, LARGEST_COUNT) | st.integers(1, 1000).map(float)


class TestAlways:
    @given(knowns())
    def test_it_is_in_order_and_contradicts_itself_nowhere(self, known: Known) -> None:
        found = forecast(known)
        assert (found.requests is None) == (found.unknown is not None)
        if found.requests is not None:
            assert known.requests <= found.requests.low <= found.requests.middle <= found.requests.high
        probability = found.over_limit_probability
        assert probability is None or 0 <= probability <= 1
        moments = [moment for moment in astuple(found.reached) if moment is not None]
        assert moments == sorted(moments)
        assert all(known.now <= moment <= NOVEMBER.end for moment in moments)
        assert (found.resolution is None) == (not moments)
        if found.limit_state is LimitState.AHEAD and probability is not None:
            said = [moment is not None for moment in astuple(found.reached)]
            assert said == [probability >= part for part in (0.1, 0.5, 0.9)]

    @given(knowns(), counts, limits, st.integers(1, 10**8), st.integers(1, 10**8))
    def test_no_count_and_no_period_is_too_large_or_too_small(
        self, known: Known, requests: float, limit: float | None, passed: int, left: int
    ) -> None:
        """A forecast that fails would cost the poll."""
        period = BillingPeriod(known.now - timedelta(seconds=passed), known.now + timedelta(seconds=left))
        days = tuple(replace(day, requests=day.requests * requests % LARGEST_COUNT) for day in known.days)
        found = forecast(replace(known, requests=requests, limit=limit, period=period, days=days))
        assert (found.requests is None) == (found.unknown is not None)
        if found.requests is not None:
            assert requests <= found.requests.low <= found.requests.middle <= found.requests.high

    @given(knowns(), st.floats(1.01, 10))
    def test_a_higher_limit_is_never_likelier_reached(self, known: Known, factor: float) -> None:
        assume(known.limit)
        assert known.limit is not None
        low, high = forecast(known), forecast(replace(known, limit=known.limit * factor))
        if low.over_limit_probability is not None and high.over_limit_probability is not None:
            assert high.over_limit_probability <= low.over_limit_probability + 1e-6

    @given(st.lists(st.integers(0, 10_000), min_size=14, max_size=30), st.integers(0, 6))
    def test_a_weeks_shape_has_mean_one(self, counts: list[int], first: int) -> None:
        shape = week_shape([Day((first + number) % 7, float(count)) for number, count in enumerate(counts)])
        assert sum(shape) == pytest.approx(7)
        assert min(shape) >= 0


class TestTheTicket:
    NOW = at(10)

    def judged(self, probability: float, likely: datetime | None, ticket: Ticket | None = None) -> Ticket:
        known = watched(steady(100), at(10), limit=2000)
        found = replace(forecast(known), over_limit_probability=probability, reached=Reached(likely, likely, None))
        return ticket_after(ticket or Ticket(), found, NOVEMBER, self.NOW)

    FIRING = Ticket(at(9), firing=True)

    def test_what_is_likely_and_near_becomes_one(self) -> None:
        assert self.judged(0.8, at(15)).pending_since == self.NOW
        assert self.judged(0.8, at(17)) == Ticket()
        assert self.judged(0.999, at(28)) == Ticket()
        assert self.judged(0.6, at(15)) == Ticket()

    def test_it_fires_once_it_has_held(self) -> None:
        held = timedelta(seconds=PROJECTED_FOR_SECONDS)
        assert not self.judged(0.8, at(15), Ticket(self.NOW - held + MINUTE)).firing
        assert self.judged(0.8, at(15), Ticket(self.NOW - held)).firing

    def test_it_stands_while_it_is_more_likely_than_not(self) -> None:
        assert self.judged(0.55, at(28), self.FIRING).firing
        assert self.judged(0.45, None, self.FIRING) == Ticket()
        # What is only pending has no such patience.
        assert self.judged(0.55, at(28), Ticket(self.NOW - MINUTE)) == Ticket()

    def test_it_is_silent_at_the_limit(self) -> None:
        found = forecast(watched(steady(100), at(16), limit=1500))
        assert ticket_after(self.FIRING, found, NOVEMBER, at(16)) == Ticket()

    def test_what_is_not_known_makes_none(self) -> None:
        found = forecast(replace(watched(steady(100), at(16)), suspect=True))
        assert ticket_after(Ticket(), found, NOVEMBER, at(16)) == Ticket()


def test_days_near_the_limit() -> None:
    heavy = NEAR_LIMIT_RATIO * 3000 / 30
    daily = tuple(DailyUsage(date(2026, 11, day), heavy if day % 2 else heavy - 1) for day in range(1, 30))
    usage = ScopeUsage("search", 1000, 3000, period=NOVEMBER, daily=daily)
    assert days_near_limit(usage) == 15
    assert days_near_limit(replace(usage, limit=None)) is None
    assert days_near_limit(replace(usage, limit=0)) is None
    assert days_near_limit(replace(usage, period=None)) is None
    assert days_near_limit(replace(usage, daily=None)) == 0
