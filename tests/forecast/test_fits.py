"""Whether a job fits: what is not known is never yes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.forecast import Answer, Known, Why, fits, forecast
from exporter.model import BillingPeriod, DailyUsage

NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
FRIDAY = datetime(2026, 11, 28, tzinfo=UTC)
# 100 a day: 2,000 so far, 1,000 still to come, 700 of it until Friday's end.
STEADY = Known(
    NOW,
    ZoneInfo("UTC"),
    2000,
    4000,
    NOVEMBER,
    tuple(DailyUsage((NOW - timedelta(days=back)).date(), 100) for back in range(30, 0, -1)),
)


@pytest.mark.parametrize(
    ("requests", "by", "answer", "why"),
    [
        (500, None, Answer.YES, Why.LIKELY),
        (1200, None, Answer.NO, Why.TOO_UNSURE),
        (1200, FRIDAY, Answer.NO, Why.RUNS_OUT),
        (1500, FRIDAY, Answer.NO, Why.TOO_UNSURE),
        (2001, FRIDAY, Answer.NO, Why.TOO_LARGE),
        (500, datetime(2026, 12, 3, tzinfo=UTC), Answer.YES, Why.LIKELY),
        (1500, datetime(2026, 12, 3, tzinfo=UTC), Answer.NOT_KNOWN, Why.NEXT_PERIOD),
        (2001, datetime(2026, 12, 3, tzinfo=UTC), Answer.NOT_KNOWN, Why.NEXT_PERIOD),
    ],
)
def test_answers(requests: float, by: datetime | None, answer: Answer, why: Why) -> None:
    found = fits(STEADY, requests, by)
    assert (found.answer, found.why) == (answer, why)
    assert found.left == 2000
    assert found.by == min(by or NOVEMBER.end, NOVEMBER.end)


def test_the_probability_after_the_job_is_that_of_so_much_less_limit() -> None:
    found = fits(STEADY, 950, FRIDAY)
    assert found.over_limit_probability == forecast(replace(STEADY, limit=3050)).over_limit_probability
    assert found.without_job == forecast(STEADY).over_limit_probability == 0
    assert found.fits_probability == 1


@pytest.mark.parametrize(
    ("fields", "answer", "why"),
    [
        ({"limit": None}, Answer.YES, Why.UNLIMITED),
        ({"limit": None, "suspect": True}, Answer.NOT_KNOWN, Why.SUSPECT),
        ({"suspect": True}, Answer.NOT_KNOWN, Why.SUSPECT),
        ({"period": None}, Answer.NOT_KNOWN, Why.NO_FORECAST),
        ({"period": None, "limit": 2400}, Answer.NO, Why.TOO_LARGE),
        ({"requests": 4000}, Answer.NO, Why.TOO_LARGE),
        ({"requests": 0, "limit": 0}, Answer.NO, Why.TOO_LARGE),
        (
            {"days": (), "requests": 3, "period": BillingPeriod(NOW - timedelta(hours=1), NOVEMBER.end)},
            Answer.NOT_KNOWN,
            Why.NO_FORECAST,
        ),
    ],
)
def test_what_is_special(fields: dict[str, object], answer: Answer, why: Why) -> None:
    found = fits(replace(STEADY, **fields), 500, FRIDAY)  # type: ignore[arg-type]
    assert (found.answer, found.why) == (answer, why)


def test_old_data_says_nothing() -> None:
    assert fits(STEADY, 1, None, old=True).answer is Answer.NOT_KNOWN


@given(st.floats(1, 3000), st.floats(1.01, 3), st.integers(1, 14))
def test_a_larger_or_later_job_never_fits_better(requests: float, factor: float, days: int) -> None:
    by = NOW + timedelta(days=days)
    one = fits(STEADY, requests, by)
    for other in (fits(STEADY, requests * factor, by), fits(STEADY, requests, by + timedelta(days=1))):
        if one.fits_probability is not None and other.fits_probability is not None:
            assert other.fits_probability <= one.fits_probability + 1e-3
