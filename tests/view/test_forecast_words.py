"""A forecast in words: no surer than it is, and rounded so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from exporter.forecast import Basis, Estimates, Forecast, LimitState, Paces, Reached, Resolution, Unknown
from exporter.model import FetchedScope
from exporter.view import forecast_words
from exporter.view.cards import Card, card_of
from tests.support.watched import scope

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
AHEAD = Forecast(
    LimitState.AHEAD, Basis(days=29, weekdays=7), requests=Estimates(900, 950, 990), over_limit_probability=0.04
)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


def card(made: Forecast, *, requests: float = 600, limit: float | None = 1000) -> Card:
    return card_of(
        FetchedScope(scope(requests=requests, limit=limit), NOW), made, NOW, stale_after=timedelta(hours=1)
    )


def said(probability: float, reached: Reached, resolution: Resolution | None) -> str:
    made = replace(AHEAD, over_limit_probability=probability, reached=reached, resolution=resolution)
    return forecast_words.limit(card(made), NOW, BERLIN)


@pytest.mark.parametrize(
    ("probability", "reached", "resolution", "text"),
    [
        (0.04, Reached(), None, "Lasts: 4% likely to reach the limit"),
        (0.0, Reached(), None, "Lasts: under 1% likely to reach the limit"),
        (
            0.23,
            Reached(at(26)),
            Resolution.DAYS,
            "23% likely to reach the limit, not before Thursday 26 November",
        ),
        (
            0.72,
            Reached(at(26, 3), at(27, 21)),
            Resolution.DAYS,
            "72% likely to reach the limit: on Friday 27 November (not before Thursday 26 November)",
        ),
        (
            0.97,
            Reached(at(26), at(27), at(29)),
            Resolution.DAYS,
            "Reaches the limit, likely on Friday 27 November (between the 26th and the 29th)",
        ),
        (
            0.97,
            Reached(at(29), at(30), datetime(2026, 12, 2, tzinfo=UTC)),
            Resolution.DAYS,
            "Reaches the limit, likely on Monday 30 November (between 29 November and 2 December)",
        ),
        (
            0.99,
            Reached(at(27), at(27, 8), at(27, 23)),
            Resolution.DAYS,
            "Reaches the limit, likely on Friday 27 November",
        ),
        (
            0.99,
            Reached(at(22, 18, 10), at(22, 20, 40), at(23, 2)),
            Resolution.HOURS,
            "Reaches the limit, likely on Sunday 22 November around 21:00 CET (between 18:00 and 02:00 on the 23rd)",
        ),
        (
            0.99,
            Reached(at(22, 21, 5), at(22, 21, 11), at(22, 21, 19)),
            Resolution.MINUTES,
            "Reaches the limit, likely on Sunday 22 November at 21:11 CET (between 21:05 and 21:19)",
        ),
        (
            0.99,
            Reached(at(21), at(21), at(25)),
            Resolution.DAYS,
            "Has probably reached the limit by now: likely on Saturday 21 November",
        ),
    ],
)
def test_when_the_limit_is_reached(
    probability: float, reached: Reached, resolution: Resolution | None, text: str
) -> None:
    assert said(probability, reached, resolution) == text


@pytest.mark.parametrize("state", [LimitState.REACHED, LimitState.NONE_ALLOWED, LimitState.UNLIMITED])
def test_nothing_is_ahead(state: LimitState) -> None:
    assert forecast_words.limit(card(replace(AHEAD, limit_state=state)), NOW, BERLIN) == ""


@pytest.mark.parametrize(
    ("made", "fields", "text"),
    [
        (AHEAD, {}, "about 950 (900 to 990), 95% of the limit"),
        (replace(AHEAD, requests=Estimates(950, 1180, 1300)), {}, "about 1,180 needed (950 to 1,300), 118% of the limit"),
        (replace(AHEAD, requests=Estimates(600, 600, 600)), {}, "about 600, 60% of the limit"),
        (replace(AHEAD, requests=Estimates(31_246, 31_400, 31_500)), {"requests": 31_246, "limit": None},
         "about 31,400 (31,246 to 31,500)"),
        (replace(AHEAD, limit_state=LimitState.REACHED), {"requests": 1000},
         "the limit is reached; what is over it may be refused"),
        (replace(AHEAD, limit_state=LimitState.REACHED, requests=Estimates(1100, 1200, 1300)), {"requests": 1050},
         "about 1,200 (1,100 to 1,300), 120% of the limit"),
        (replace(AHEAD, limit_state=LimitState.NONE_ALLOWED), {"requests": 0, "limit": 0},
         "nothing, as none is allowed"),
        (Forecast(LimitState.AHEAD, Basis(), unknown=Unknown.TOO_EARLY), {},
         "not known yet: too little has been seen; a whole day of it is enough"),
    ],
)  # fmt: skip
def test_what_the_period_ends_with(made: Forecast, fields: dict[str, float | None], text: str) -> None:
    assert forecast_words.requests(card(made, **fields)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", Unknown)
def test_every_reason_has_words(reason: Unknown) -> None:
    assert forecast_words.requests(card(Forecast(LimitState.AHEAD, Basis(), unknown=reason))).startswith("not known")


@pytest.mark.parametrize(
    ("paces", "updates", "text"),
    [
        (Paces(31, 30, 28, 25.25), None, "30 a minute in the last hour, 28 in the last day, 25.2 in the last 7 days"),
        (Paces(recent=120, week=0.25), None, "120 a minute lately, 0.2 in the last 7 days"),
        (Paces(day=0.5, week=0.25), None, "30 an hour in the last day, 15 in the last 7 days"),
        (Paces(0, 0, 0, 0), None, "0 a day in the last hour, 0 in the last day, 0 in the last 7 days"),
        (Paces(day=2), 2700.0, "2 a minute in the last day; the vendor updates its figures about every 45 minutes"),
        (Paces(), 86_400.0, "not known: the vendor updates its figures about every 24 hours"),
        (Paces(), None, "not known yet"),
    ],
)
def test_paces(paces: Paces, updates: float | None, text: str) -> None:
    made = replace(AHEAD, paces=paces, basis=replace(AHEAD.basis, update_seconds=updates))
    assert forecast_words.pace(card(made)) == text


@pytest.mark.parametrize(
    ("basis", "text"),
    [
        (Basis(days=29), "From 29 whole days"),
        (Basis(days=1, last_hour=True), "From 1 whole day and the pace of the last hour, which leads"),
        (Basis(), "From what has passed of the period"),
    ],
)
def test_what_it_rests_on(basis: Basis, text: str) -> None:
    assert forecast_words.basis(card(replace(AHEAD, basis=basis))) == text


@pytest.mark.parametrize(("probability", "text"), [(0.001, "under 1%"), (0.5, "50%"), (0.9951, "over 99%")])
def test_chances(probability: float, text: str) -> None:
    assert forecast_words.chance(probability) == text
