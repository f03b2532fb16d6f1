"""What the charts compare days and periods with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from exporter.forecast import forecast
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.outlooks import known
from exporter.view.cards import Card, card_of
from exporter.web.chart import Chart, chart_of, opening, series_of
from exporter.web.until_limit import WIDTH, until_limit
from tests.support.watched import NOVEMBER, days, scope

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
ZONE = ZoneInfo("UTC")


def card(usage: ScopeUsage, after_limit: str | None = None) -> Card:
    found = FetchedScope(usage, NOON)
    made = card_of(found, forecast(known(found, None, ZONE)), NOON, stale_after=timedelta(minutes=15))
    return replace(made, after_limit=after_limit)  # type: ignore[arg-type]


def chart(*usages: ScopeUsage, show: int = 0) -> Chart:
    found = chart_of(series_of([card(usage) for usage in usages])[show], NOON, ZONE)
    assert found is not None
    return found


WEEKS = [100.0, 100, 100, 100, 100, 40, 40]  # from Monday on; the 24th of October is a Saturday
MONTH = days(*(WEEKS[(5 + index) % 7] for index in range(29)), 10)


def test_a_day_is_compared_with_the_others_of_its_weekday() -> None:
    daily = [*MONTH]
    daily[24] = replace(daily[24], requests=210)  # Tuesday, 17 November
    bars = chart(scope(daily=tuple(daily))).bars
    assert bars[24].compared == "2.1 × a usual Tuesday"
    assert bars[25].compared == "1.0 × a usual Wednesday"
    assert [bar.weekend for bar in bars[:9]] == [True, True, *[False] * 5, True, True]


def test_today_is_so_far_and_has_an_expected_end() -> None:
    found = chart(scope(daily=MONTH))
    today = found.bars[-1]
    assert (today.text, today.compared) == ("10 requests so far", "likely 30 by its end")
    assert today.expected is not None
    assert today.expected < today.top
    assert found.today is today
    assert [bar.expected for bar in found.bars[:-1]] == [None] * 29
    ended = chart_of(series_of([card(scope(daily=MONTH))])[0], NOON + timedelta(days=1), ZONE)
    assert ended is not None
    assert ended.today is None
    assert ended.bars[-1].text == "10 requests"


def test_a_first_week_has_no_usual_day() -> None:
    assert {bar.compared for bar in chart(scope(daily=days(*range(1, 8)))).bars} == {""}


def test_the_period_before_is_pale_and_the_new_one_has_a_rule() -> None:
    found = chart(scope(daily=MONTH))
    assert [bar.before for bar in found.bars] == [*[True] * 8, *[False] * 22]
    assert found.period_starts == pytest.approx(8 / 30 * 100)
    mixed = chart(scope("A", daily=MONTH), scope("B", daily=MONTH, period=None), show=2)
    assert mixed.period_starts is None
    assert not mixed.any_before


def test_a_days_share_of_the_limit() -> None:
    near = chart(scope(limit=3000, daily=MONTH))
    assert near.share is not None
    assert near.share_text == "100 requests a day use up the limit evenly"
    far = chart(scope(limit=300_000, daily=MONTH))
    assert far.share is None
    assert far.share_text == "10,000 requests a day use up the limit evenly"
    assert chart(scope(limit=None, daily=MONTH)).share_text == ""
    assert chart(scope("A", daily=MONTH), scope("B", daily=MONTH), show=2).share_text == ""


def test_it_opens_on_the_most_urgent_scope_of_which_days_are_known() -> None:
    cards = [card(scope("Fine", daily=MONTH)), card(scope("Red", 950, daily=MONTH)), card(scope("Over", 1100))]
    shown = opening(series_of(cards))
    assert shown is not None
    assert shown.label == "Red"
    without = opening(series_of([card(scope("Over", 1100))]))
    assert without is not None
    assert without.label == "Over"
    assert opening(series_of([])) is None


# --- until the limit


def test_the_line_goes_back_from_the_count_by_the_days() -> None:
    found = until_limit(card(scope(requests=1770, limit=3000, daily=MONTH)), ZONE)
    assert found is not None
    assert found.used[0] == (0.0, found.height)
    assert found.used[-1][0] == pytest.approx(21.5 / 30 * WIDTH, abs=0.1)
    assert found.rows[0] == ("22 Nov 2026, 12:00 UTC", "1,770")
    assert found.rows[1] == ("22 Nov 2026, 00:00 UTC", "1,760")
    assert found.rows[-1] == ("1 Nov 2026, 00:00 UTC", "0")
    assert found.even == ((0.0, found.height), (WIDTH, found.limit))
    assert (found.starts, found.ends) == ("1 Nov 2026", "30 Nov 2026")
    assert found.crossing is None


def test_days_with_a_gap_are_drawn_as_far_as_they_are_known() -> None:
    found = until_limit(card(scope(requests=900, limit=3000, daily=(MONTH[3], *MONTH[-2:]))), ZONE)
    assert found is not None
    assert [count for _, count in found.rows] == ["900", "890", "850"]


def test_where_the_forecast_meets_the_limit() -> None:
    found = until_limit(card(scope(requests=1770, limit=2000, daily=MONTH)), ZONE)
    assert found is not None
    assert found.crossing is not None
    assert found.used[-1][0] < found.crossing[0] < WIDTH
    assert found.crossing[1] == found.limit
    assert found.likely[-1][1] < found.limit  # beyond it, upwards


def test_no_line_goes_beyond_a_hard_limit() -> None:
    found = until_limit(card(scope(requests=1770, limit=2000, daily=MONTH), "refused"), ZONE)
    assert found is not None
    assert found.likely[1] == found.crossing
    assert min(y for _, y in (*found.likely, *found.range)) == found.limit
    over = until_limit(card(scope(requests=2100, limit=2000, daily=MONTH), "refused"), ZONE)
    assert over is not None
    assert {y for _, y in over.likely} == {over.used[-1][1]}


@pytest.mark.parametrize(
    "usage",
    [
        scope(limit=None),
        scope(limit=0),
        scope(period=None),
        scope(period=replace(NOVEMBER, start=NOON, end=NOON + timedelta(hours=1))),
    ],
)
def test_without_a_limit_or_a_period_there_is_none(usage: ScopeUsage) -> None:
    assert until_limit(card(usage), ZONE) is None


def test_what_is_counted_in_another_scope_is_in_no_total() -> None:
    month, hour = (card(scope(name, daily=days(5))) for name in ("Searches", "Searches this hour"))
    hour = replace(hour, counted_in="Searches")
    assert [one.value for one in series_of([month, hour])] == [
        "scope:Searches",
        "scope:Searches this hour",
        "total:requests",
    ]
    total = chart_of(series_of([month, hour])[-1], NOON, ZONE)
    assert total is not None
    assert total.total == 5
    # Where the other is not shown, it stands for itself.
    alone = chart_of(series_of([hour])[-1], NOON, ZONE)
    assert alone is not None
    assert alone.total == 5
