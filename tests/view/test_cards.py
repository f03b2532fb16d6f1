"""What a card shows: percentages that do not contradict their colour, advice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.forecast import forecast
from exporter.model import BillingPeriod, DailyUsage, FetchedScope, ScopeUsage
from exporter.state.outlooks import known
from exporter.thresholds import (
    DEFAULT_BANDS,
    HISTORY_DAYS,
    NEAR_LIMIT_RATIO,
    Band,
    Bands,
    clean_ratio,
)
from exporter.view import words
from exporter.view.cards import Card, card_of, percentage
from exporter.web.chart import Chart, chart_of, daily_total, series_of, short
from tests.support.watched import TODAY, days, scope

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def card(
    usage: ScopeUsage, *, age: timedelta = timedelta(), bands: Bands = DEFAULT_BANDS, days: int = HISTORY_DAYS
) -> Card:
    fetched = FetchedScope(usage, NOW - age)
    made = forecast(known(fetched, None, UTC_ZONE))
    return card_of(fetched, made, NOW, stale_after=timedelta(minutes=15), days=days, bands=bands)


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (0.0, "0.00%"),
        (0.7499, "74.99%"),
        (0.75, "75.00%"),
        (0.90, "90.00%"),
        (0.9001, "90.01%"),
        (1.04, "104.00%"),
        (12.345678, "1,234.57%"),
        # The nearest would tell another story than the colour, or than whether there is any or none left.
        (0.749_99, "74.99%"),
        (0.900_001, "90.01%"),
        (0.999_99, "99.99%"),
        (0.000_001, "0.01%"),
        # Here it does not: 90.00 % is amber like 89.999 %.
        (0.899_99, "90.00%"),
        (float("inf"), ">100%"),
    ],
)
def test_percentage(ratio: float, shown: str) -> None:
    assert percentage(ratio, Bands()) == shown


def bands_of(boundaries: set[int]) -> Bands:
    warning, critical = sorted(boundaries)
    return Bands(warning / 10_000, critical / 10_000)


# Between 99.99% and 100% no percentage of two decimals is left to be red.
BANDS = st.sets(st.integers(10, 10_000).filter(lambda one: one != 9_999), min_size=2, max_size=2).map(bands_of)


@given(st.floats(0, 20), st.just(Bands()) | BANDS)
@example(0.9 + 1e-16, Bands())
@example(0.75 - 1e-16, Bands())
@example(0.333, Bands(0.333, 0.955))  # 33.3 / 100 is less than 0.333
@example(0.500_05, Bands(0.5, 0.5001))
def test_a_percentage_never_contradicts_its_colour(ratio: float, bands: Bands) -> None:
    shown = float(Decimal(percentage(ratio, bands).removesuffix("%").replace(",", "")) / 100)
    assert bands.band_of(shown) is bands.band_of(ratio)
    assert (shown >= 1) == (clean_ratio(ratio) >= 1)
    assert shown == pytest.approx(ratio, abs=0.000_1)


@given(BANDS)
def test_a_boundary_shows_as_it_was_written(bands: Bands) -> None:
    """The warning's belongs to the higher band, the critical one's to the lower, as with the defaults."""
    warning, critical = bands.thresholds
    assert bands.band_of(warning.ratio) is Band.WARNING
    assert bands.band_of(critical.ratio) is Band.WARNING
    assert percentage(warning.ratio, bands) == f"{warning.percent:.2f}%"
    assert percentage(critical.ratio, bands) == f"{critical.percent:.2f}%"
    assert Decimal(f"{warning.percent:g}") == Decimal(f"{warning.ratio:.4f}") * 100


@given(BANDS, st.integers(1, 10**6), st.sampled_from([1, 0.1, 0.01, 0.001, 1 / 3, 1e-6]))
@example(Bands(), 3, 0.001)  # 0.27 of 0.3
def test_boundaries_hold_whatever_the_scale(bands: Bands, limit: int, scale: float) -> None:
    warning, critical = bands.thresholds
    for threshold, beside, band in (
        (warning, -1, Band.NORMAL),
        (warning, 0, Band.WARNING),
        (critical, 0, Band.WARNING),
        (critical, 1, Band.CRITICAL),
    ):
        requests = round(threshold.ratio * 10_000) * limit + beside
        used = card(scope(requests=requests * scale, limit=10_000 * limit * scale), bands=bands)
        assert used.band is band
        assert beside or used.used_ratio == threshold.ratio


def test_27_of_30_at_a_scale_is_amber_and_exactly_90_percent() -> None:
    used = card(scope(requests=27 * 0.01, limit=30 * 0.01))
    assert (used.used_percentage, used.band, words.status(used)) == ("90.00%", Band.WARNING, "Nearing the limit")
    full = card(scope(requests=0.1 + 0.2, limit=0.3))
    assert (full.used_percentage, full.band, words.status(full)) == ("100.00%", Band.CRITICAL, "Limit reached")


@pytest.mark.parametrize(
    ("warning", "critical", "message"),
    [
        (75, 0.9, "warning must be a part of the limit, at least 0.001 and at most 1, not 75; 75 % is 0.75"),
        (0.75, 90, "critical must be a part of the limit, at least 0.001 and at most 1, not 90; 90 % is 0.9"),
        (0, 0.9, "warning must be a part of the limit, at least 0.001 and at most 1, not 0"),
        (float("nan"), 0.9, "warning must be a part of the limit, at least 0.001 and at most 1, not nan"),
        (0.9, 0.9, r"warning \(0.9\) must be less than critical \(0.9\)"),
        (0.33333, 0.9, "warning must have at most 4 decimals, since percentages show two, not 0.33333"),
    ],
)
def test_thresholds_that_do_not_fit(warning: float, critical: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Bands(warning, critical)


@pytest.mark.parametrize(
    ("usage", "band", "filled", "status"),
    [
        (scope(requests=749, limit=1000), Band.NORMAL, 0.749, "Within the limit"),
        (scope(requests=750, limit=1000), Band.WARNING, 0.75, "Nearing the limit"),
        (scope(requests=900, limit=1000), Band.WARNING, 0.9, "Nearing the limit"),
        (scope(requests=901, limit=1000), Band.CRITICAL, 0.901, "Almost used up"),
        (scope(requests=1000, limit=1000), Band.CRITICAL, 1.0, "Limit reached"),
        (scope(requests=1040, limit=1000), Band.CRITICAL, 1.0, "Over the limit by 40"),
        (scope(requests=0, limit=0), Band.NORMAL, 0.0, "Not part of the plan: the limit is 0"),
        (scope(requests=3, limit=0), Band.CRITICAL, 1.0, "Over: the limit is 0"),
        (scope(requests=3, limit=None), None, None, "No limit"),
    ],
)
def test_colour_bar_and_words(usage: ScopeUsage, band: Band | None, filled: float | None, status: str) -> None:
    shown = card(usage)
    assert (shown.band, shown.filled, words.status(shown)) == (band, filled, status)


def test_unlimited_has_no_percentage() -> None:
    assert card(scope(requests=430, limit=None)).used_percentage is None


# --- advice


def test_days_near_the_limit_are_counted_whichever_are_published() -> None:
    share = NEAR_LIMIT_RATIO * 3000 / 30
    usage = scope(limit=3000, daily=days(*[share - 0.5] * 10, *[share] * 20))
    shown = card(usage, days=5)
    assert (len(shown.daily), shown.days_near_limit) == (5, 20)
    for fields in ({"limit": None}, {"limit": 0}, {"period": None}):
        assert card(replace(usage, **fields)).days_near_limit is None


@pytest.mark.parametrize(
    ("fields", "advised"),
    [
        ({}, False),
        ({"rejected": 0}, False),
        ({"rejected": 1}, True),
        ({"rate_limit_per_minute": 10, "daily": days(9 * 1440 - 1)}, False),
        ({"rate_limit_per_minute": 10, "daily": days(9 * 1440)}, True),
        ({"rate_limit_per_minute": 0, "daily": days(0)}, False),
    ],
)
def test_rate_limit_advice(fields: dict[str, object], advised: bool) -> None:
    assert card(scope(**fields)).near_rate_limit is advised  # type: ignore[arg-type]


def test_stale_from_its_allowed_age_on() -> None:
    fresh = card(scope(), age=timedelta(minutes=15) - timedelta(microseconds=1))
    stale = card(scope(), age=timedelta(minutes=15))
    assert fresh.stale_since is None
    assert words.stale(stale, NOW, UTC_ZONE) == "Stale since 22 Nov 2026, 12:00 UTC: last read 15 minutes ago"


# --- words


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(seconds=0.4), "less than a second"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=1, seconds=59), "1 minute"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(hours=48), "2 days"),
    ],
)
def test_spans(length: timedelta, told: str) -> None:
    assert words.span(length) == told


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), "1–30 Nov 2026"),
        (datetime(2026, 10, 15, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC), "15 Oct – 14 Nov 2026"),
        (datetime(2026, 12, 15, tzinfo=UTC), datetime(2027, 1, 15, tzinfo=UTC), "15 Dec 2026 – 14 Jan 2027"),
        (
            datetime(2026, 11, 1, 10, tzinfo=UTC),
            datetime(2026, 11, 1, 11, tzinfo=UTC),
            "1 Nov 2026, 10:00 UTC – 1 Nov 2026, 11:00 UTC",
        ),
    ],
)
def test_periods(start: datetime, end: datetime, told: str) -> None:
    assert words.period(BillingPeriod(start, end), UTC_ZONE) == told


def test_a_period_is_told_in_the_apis_time_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start, end = (datetime(2026, month, 1, tzinfo=berlin).astimezone(UTC) for month in (11, 12))
    assert words.period(BillingPeriod(start, end), berlin) == "1–30 Nov 2026"


@pytest.mark.parametrize(
    ("value", "told"), [(31250, "31,250"), (0, "0"), (12.5, "12.5"), (0.125, "0.12"), (1e15, "1,000,000,000,000,000")]
)
def test_numbers(value: float, told: str) -> None:
    assert words.number(value) == told


# --- the daily chart


def chart(value: Card) -> Chart | None:
    return chart_of(series_of([value])[0], NOW, ZoneInfo("UTC"))


def test_units_are_not_summed_with_each_other() -> None:
    cards = [card(scope("A", unit="tokens")), card(scope("B")), card(scope("C"))]
    series = series_of(cards)
    assert [(one.label, [card.scope for card in one.scopes]) for one in series] == [
        ("A", ["A"]),
        ("B", ["B"]),
        ("C", ["C"]),
        ("Total of requests", ["B", "C"]),
        ("Total of tokens", ["A"]),
    ]


def test_a_total_is_exact_where_all_scopes_of_then_are() -> None:
    long, new = card(scope("A", daily=days(1, 2, 3, 4))), card(scope("B", daily=days(10, 20)))
    gap = card(scope("C", daily=(days(100, 0, 0)[0], days(5)[0])))
    silent = card(scope("D", daily=None))
    assert [(day.requests, day.exact) for day in daily_total([long, new, silent])] == [
        (1, True),
        (2, True),
        (13, True),
        (24, True),
    ]
    assert [(day.requests, day.exact) for day in daily_total([long, gap])] == [
        (1, True),
        (102, True),
        (3, False),
        (9, True),
    ]


def test_thirty_bars_up_to_the_newest_day() -> None:
    daily = (DailyUsage(TODAY - timedelta(days=2), 4, exact=False), DailyUsage(TODAY, 0))
    found = chart(card(scope(daily=daily)))
    assert found is not None
    assert len(found.bars) == HISTORY_DAYS
    assert [(bar.text, bar.known, bar.exact) for bar in found.bars[-3:]] == [
        ("4 requests (partly seen)", True, False),
        ("not known", False, False),
        ("0 requests", True, True),
    ]
    assert found.bars[-1].label == "Sunday, 22 November 2026"
    assert chart(card(scope(daily=()))) is None


@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=30))
def test_bars_stay_within_the_chart(counts: list[float]) -> None:
    found = chart(card(scope(daily=days(*counts))))
    assert found is not None
    for bar, count in zip(found.bars[-len(counts) :], counts, strict=True):
        assert found.readout_height <= bar.top
        assert bar.top + bar.height == pytest.approx(found.height, abs=0.02)
        assert (bar.height > 0) == (count > 0)
        assert bar.left >= 0
        assert bar.left + bar.width <= 100
        assert bar.expected is None or found.readout_height <= bar.expected <= bar.top
    assert found.grid[0].label == "0"


@pytest.mark.parametrize(("value", "label"), [(0, "0"), (1.5, "1.5"), (1200, "1.2k"), (2.5e6, "2.5M"), (3e9, "3G")])
def test_axis_labels(value: float, label: str) -> None:
    assert short(value) == label
