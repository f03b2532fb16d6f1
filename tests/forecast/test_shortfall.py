"""Whether a limit is too small: by this billing period and the one before."""

from datetime import UTC, datetime

import pytest

from exporter.forecast import Basis, Estimates, Forecast, LimitState, shortfall
from exporter.model import BillingPeriod, ScopeUsage

NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def lacking(limit: float | None, likely: float | None, before: float | None, used: float = 0) -> float | None:
    requests = None if likely is None else Estimates(0.9 * likely, likely, 1.1 * likely)
    usage = ScopeUsage(name="Tiles", requests=used, limit=limit, period=NOVEMBER)
    return shortfall(usage, Forecast(LimitState.AHEAD, Basis(), requests=requests), before, 0.75)


@pytest.mark.parametrize(
    ("limit", "likely", "before", "missing"),
    [
        (1000, 750, 750, 0),
        (3000, 2700, 2400, 600),
        # 60 % of the limit, however busy its working days are; a month of growth, and a campaign in the last one.
        (3000, 1800, 1800, None),
        (1000, 749.9, 750, None),
        (1000, 750, 749.9, None),
        (1000, 750, None, None),
        (0, 750, 750, None),
        (None, 750, 750, None),
    ],
)
def test_both_periods_reach_the_warning(
    limit: float | None, likely: float, before: float | None, missing: float | None
) -> None:
    assert lacking(limit, likely, before) == (None if missing is None else pytest.approx(missing))


def test_boundaries_hold_within_the_error_of_floats() -> None:
    assert lacking(0.1, 0.07500000000000001, 0.075) is not None
    assert lacking(0.1, 0.07499999999999999, 0.075) is not None


def test_what_is_used_counts_where_nobody_knows_what_is_to_come() -> None:
    assert lacking(3000, None, 2400, used=2700) == pytest.approx(600)
    assert lacking(3000, None, 2400, used=2000) is None
