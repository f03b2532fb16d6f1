"""A vendor's answer becomes usage, or a misfit that says where; never a wrong number."""

import json
import math
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jmespath
import jmespath.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from werkzeug.wrappers import Response

from exporter.config.api import Api
from exporter.config.expressions import compile_jmespath
from exporter.config.preset import load_preset
from exporter.errors import AuthError, RateLimitedError, ResponseError
from exporter.forecast import forecast
from exporter.model import Answer, BillingPeriod, DailySource, DailyUsage, FetchedScope, ScopeUsage, UsageSnapshot
from exporter.state.outlooks import known
from exporter.vendor.reading import map_answers
from exporter.vendor.strict_json import parse_json
from exporter.view import forecast_words, words
from exporter.view.cards import Card, card_of
from tests.support.asking import ask
from tests.support.factories import STANDARD_SCOPE, answer, make_target
from tests.support.http import Vendor

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINIMAL = {"scopes": "scopes", "name": "name", "requests": "used", "limit": "limit"}


def read(data: Any, *, answers: dict[str, Answer] | None = None, **api: Any) -> UsageSnapshot:
    """What an answer is read as, by the preset standard or by a mapping."""
    preset = {} if "mapping" in api else load_preset("standard").api
    settings = Api.model_validate(
        {"name": "demo", "url": "http://x/", "organisations": [{"id": "acme"}], **preset, **api}
    )
    return map_answers({"main": Answer(data), **(answers or {})}, api=settings, organisation="acme", now=NOW)


def read_scope(scope: dict[str, Any], **settings: Any) -> ScopeUsage:
    snapshot = read({"scopes": [scope]}, **settings)
    assert snapshot.misfits == ()
    return snapshot.scopes[0]


def mapping(**fields: Any) -> dict[str, Any]:
    return {**MINIMAL, **fields}


def misfit(data: Any, **settings: Any) -> str:
    with pytest.raises(ResponseError) as caught:
        read(data, **settings)
    return str(caught.value)


def misfit_scope(**fields: Any) -> str:
    """Why a scope in the standard contract, with these fields, is not read."""
    return misfit(answer(fields)).removeprefix("scope 'Maps': ")


def test_a_whole_scope_of_the_standard_contract() -> None:
    snapshot = read(
        answer(
            {
                "name": "Maps (v2.1)",
                "id": "maps",
                "plan": "Growth",
                "unit": "credits",
                "requests": 750,
                "limit": 1000,
                "rate_limit_per_minute": 600,
                "rejected": 12,
                "period": {"start": "2026-11-01T00:00:00+01:00", "end": "2026-12-01T00:00:00+01:00"},
                "daily": [{"date": "2026-11-22", "requests": 5}, {"date": "2026-11-21", "requests": 3}],
            }
        )
    )
    assert snapshot == UsageSnapshot(
        NOW,
        (
            ScopeUsage(
                name="Maps (v2.1)",
                id="maps",
                plan="Growth",
                unit="credits",
                requests=750,
                limit=1000,
                rate_limit_per_minute=600,
                rejected=12,
                period=BillingPeriod(
                    datetime(2026, 10, 31, 23, 0, tzinfo=UTC), datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
                ),
                daily=(DailyUsage(date(2026, 11, 21), 3), DailyUsage(date(2026, 11, 22), 5)),
                daily_source=DailySource.VENDOR,
            ),
        ),
    )


def test_what_the_standard_contract_leaves_out_is_unknown() -> None:
    scope = read_scope({"name": "Maps", "requests": 1, "limit": 2})
    assert (scope.rate_limit_per_minute, scope.rejected, scope.period, scope.daily) == (None, None, None, None)
    assert scope.daily_source == "observed"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"requests": "750"}, "requests: expression 'requests' gave \"750\", not a number; to_number(requests) reads a text as one"),
        ({"requests": -1}, "requests: expression 'requests' gave -1.0, not a number of 0 or more"),
        ({"requests": True}, "requests: expression 'requests' gave true, not a number"),
        ({"requests": None}, "requests: expression 'requests' gave null, not a number"),
        ({"requests": [1]}, "requests: expression 'requests' gave [1], not a number"),
        ({"requests": 10**400}, "requests: expression 'requests' gave a number too large to be a count"),
        ({"requests": math.nan}, "requests: expression 'requests' gave a number too large to be a count"),
        ({"limit": None}, "limit: expression 'limit' gave null, not a number; where that means no limit: unlimited_when: [null]"),
        ({"limit": False}, "limit: expression 'limit' gave false, not a number"),
        ({"limit": "none"}, "limit: expression 'limit' gave \"none\", not a number; to_number(limit) reads a text as one"),
        ({"rate_limit_per_minute": "fast"}, "rate_limit: expression 'rate_limit_per_minute' gave \"fast\", not a number; to_number(rate_limit_per_minute) reads a text as one"),
        ({"rejected": -3}, "rejected: expression 'rejected' gave -3.0, not a number of 0 or more"),
        ({"requests": 1.7e308}, "requests: expression 'requests' gave a number too large to be a count"),
        ({"limit": 1e-300}, "limit: must be 0, or at least 1e-20, not 1e-300"),
        ({"period": {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}}, "period: the period ends in the year 9999, which is no year of a billing period"),
        ({"period": {"start": "1970-01-01T00:00:00Z", "end": "1970-02-01T00:00:00Z"}}, "period: the period from 1970-01-01T00:00:00+00:00 to 1970-02-01T00:00:00+00:00 is far from now, 2026-11-22"),
        ({"period": {"start": "2026-11-01", "end": "2046-11-01"}}, "period: the period from 2026-11-01T00:00:00+00:00 to 2046-11-01T00:00:00+00:00 is 20 years long, more than 10"),
        ({"period": {"start": "2026-09-01", "end": "2026-10-01"}}, "period: the period from 2026-09-01T00:00:00+00:00 to 2026-10-01T00:00:00+00:00 is far from now, 2026-11-22"),
        ({"period": {"start": "11/01/2026", "end": "12/01/2026"}}, "period.start: expression 'period.start' gave \"11/01/2026\", not an ISO 8601 time, an RFC 2822 date, or Unix seconds or milliseconds"),
        ({"period": {"start": "soon", "end": "2026-12-01T00:00:00Z"}}, "period.start: expression 'period.start' gave \"soon\", not an ISO 8601 time, an RFC 2822 date, or Unix seconds or milliseconds"),
        ({"period": {"end": "2026-12-01T00:00:00Z"}}, "period: the answer gives only its end"),
        ({"period": {"start": 1_796_000_000, "end": 1_795_000_000}}, "period: the period starts at 2026-11-30T00:53:20+00:00, not before its end 2026-11-18T11:06:40+00:00"),
        ({"daily": 5}, "daily.entries: expression 'daily' gave 5, not a list or an object"),
        ({"daily": [{"date": "yesterday", "requests": 1}]}, "daily.date: expression 'date' gave \"yesterday\", not a date (YYYY-MM-DD) or a time"),
        ({"daily": [{"date": "2026-02-30", "requests": 1}]}, "daily.date: expression 'date' gave \"2026-02-30\", not a date (YYYY-MM-DD) or a time"),
        ({"daily": [{"date": "2026-11-20", "requests": None}]}, "daily.requests: expression 'requests' gave null, not a number"),
        ({"daily": [{"date": "2026-11-20", "requests": 1}] * 2}, "daily.date: expression 'date' gave 2026-11-20 twice; finer: true sums hours to days"),
        ({"daily": [{"date": "2026-11-24", "requests": 1}]}, "daily.date: 2026-11-24 lies in the future; today is 2026-11-22"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    assert misfit_scope(**fields) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"scope": []}, "scopes: expression 'scopes' gave null, not a list or an object"),
        ({"scopes": "none"}, "scopes: expression 'scopes' gave \"none\", not a list or an object"),
        ([], "scopes: expression 'scopes' gave null, not a list or an object"),
        ({"error": "no such plan"}, "the answer holds an error: expression 'error' gave \"no such plan\""),
        ({"error": {"code": 7}, "scopes": []}, "the answer holds an error: expression 'error' gave {\"code\": 7}"),
        ({"scopes": [7]}, "scope 1: name: expression 'name' gave null, not a text"),
        ({"scopes": [{"name": ""}]}, "scope 1: name: expression 'name' gave \"\", which must not be empty"),
        ({"scopes": [{"name": "\ud800"}]}, "scope 1: name: expression 'name' gave \"\\ud800\", which must not contain control characters"),
        ({"scopes": [{"name": "x" * 201}]}, f"scope 1: name: expression 'name' gave \"{'x' * 79}…, which must be at most 200 characters long, not 201"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit(data: Any, message: str) -> None:
    assert misfit(data) == message


def test_an_account_without_scopes_is_fine() -> None:
    assert read({"scopes": []}) == UsageSnapshot(NOW, ())


def test_a_scope_that_does_not_fit_leaves_the_others_alone() -> None:
    snapshot = read(answer({"name": "A"}, {"name": "B", "requests": "x"}, {"name": "C"}))
    assert [scope.name for scope in snapshot.scopes] == ["A", "C"]
    assert len(snapshot.misfits) == 1
    assert snapshot.misfits[0].message.startswith("scope 'B': requests: expression 'requests' gave \"x\"")


def test_a_misfit_has_the_part_that_it_was_met_on() -> None:
    broken = {"name": "B", "requests": "x"}
    assert [misfit.part for misfit in read(answer({"name": "A"}, broken)).misfits] == [{**STANDARD_SCOPE, **broken}]
    twice = answer({"name": "A", "requests": 1}, {"name": "B"}, {"name": "A", "requests": 2})
    assert [misfit.part for misfit in read(twice).misfits] == [[twice["scopes"][0], twice["scopes"][2]]]
    many = answer({"name": "A"}, {"name": "B"})
    assert [misfit.part for misfit in read(many, max_scopes=1).misfits] == [many]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"items": []}, [{"items": []}]),
        ({"scopes": [7, None]}, [7, None]),
        (
            {"scopes": [{"name": "A", "requests": 1, "limit": 2}] * 2},
            [[{"name": "A", "requests": 1, "limit": 2}] * 2],
        ),
    ],
)
def test_an_answer_of_which_nothing_fits_is_an_error_with_its_misfits(data: Any, parts: list[Any]) -> None:
    with pytest.raises(ResponseError) as caught:
        read(data)
    assert [misfit.part for misfit in caught.value.misfits] == parts
    assert str(caught.value) == "; ".join(misfit.message for misfit in caught.value.misfits)


def test_of_two_scopes_with_one_name_neither_is_trusted() -> None:
    snapshot = read(answer({"name": "A", "requests": 1}, {"name": "B"}, {"name": "A", "requests": 2}))
    assert [scope.name for scope in snapshot.scopes] == ["B"]
    assert [misfit.message for misfit in snapshot.misfits] == ["scope 'A': the name comes 2 times"]


@pytest.mark.parametrize(
    ("declared", "told", "limit"),
    [
        (["unlimited"], "unlimited", None),
        ([-1], -1, None),
        ([None], None, None),
        ([True], True, None),
        ([-1], 0, 0),
        ([1], 1, None),
    ],
)
def test_unlimited_only_where_the_mapping_declares_the_value(
    declared: list[Any], told: Any, limit: float | None
) -> None:
    scope = read_scope({"name": "A", "used": 1, "limit": told}, mapping=mapping(unlimited_when=declared))
    assert scope.limit == limit


def test_true_is_not_1_in_unlimited_when() -> None:
    assert "gave true, not a number" in misfit(
        {"scopes": [{"name": "A", "used": 1, "limit": True}]}, mapping=mapping(unlimited_when=[1])
    )


def test_remaining_is_taken_off_the_limit() -> None:
    remaining = mapping(requests=None, remaining="left", unlimited_when=["none"])
    assert read_scope({"name": "A", "left": 30, "limit": 100}, mapping=remaining).requests == 70
    more = {"scopes": [{"name": "A", "left": 101, "limit": 100}]}
    assert "gave 101, more than the limit of 100" in misfit(more, mapping=remaining)
    unlimited = {"scopes": [{"name": "A", "left": 101, "limit": "none", "plan": "Pro", "rate": 60}]}
    snapshot = read(unlimited, mapping={**remaining, "plan": "plan", "rate_limit": "rate"})
    (scope,) = snapshot.scopes
    assert (scope.requests, scope.limit, scope.plan, scope.rate_limit_per_minute) == (None, None, "Pro", 60)
    assert snapshot.remarks == (
        "scope 'A': has no limit, and expression 'left' says only what is left: what is used is not known",
    )


@pytest.mark.parametrize("value", [0, 0.0, 1, "x", True, {"a": 1}])
def test_a_filter_keeps_all_that_jmespath_calls_true(value: Any) -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "kept": value}
    assert len(read({"scopes": [scope]}, mapping=mapping(filter="kept")).scopes) == 1


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_a_filter_leaves_out_what_jmespath_calls_false(value: Any) -> None:
    out, kept = ({"name": name, "used": 1, "limit": 2, "kept": one} for name, one in (("A", value), ("B", 0)))
    assert [scope.name for scope in read({"scopes": [out, kept]}, mapping=mapping(filter="kept")).scopes] == ["B"]


def test_a_filter_that_leaves_out_every_scope_is_reported() -> None:
    scopes = {"scopes": [{"name": "A", "used": 1, "limit": 2}, {"name": "B", "used": 1, "limit": 2}]}
    found = misfit(scopes, mapping=mapping(filter="kept"))
    assert (
        found
        == "filter: expression 'kept' left out all 2 scopes, since it gave null for each; the key of a scope is key()"
    )
    snapshot = read(scopes, mapping=mapping(filter="name == 'C'"))
    assert snapshot.remarks == ("filter: expression \"name == 'C'\" left out all 2 scopes",)
    keyed = {"scopes": {"DailyCalls": {"used": 1, "limit": 2}, "Disk": {"used": 1, "limit": 2}}}
    named = read(keyed, mapping=mapping(name=None, filter="starts_with(key(), 'Daily')"))
    assert [scope.name for scope in named.scopes] == ["DailyCalls"]


def test_the_whole_answer_is_the_scope_where_none_is_mapped() -> None:
    flat = {"requests": "used", "limit": "limit"}
    for fields, name in (({}, "demo"), ({"scope": "Credits"}, "Credits"), ({"name": "'Calls'"}, "Calls")):
        (scope,) = read({"used": 3, "limit": 9}, mapping={**flat, **fields}).scopes
        assert (scope.name, scope.requests, scope.limit) == (name, 3, 9)


def test_an_override_is_found_by_name_or_id_and_an_unmatched_one_is_reported() -> None:
    data = {"scopes": [{"name": "Maps", "id": "m-1", "used": 1, "limit": 2}]}
    for called in ("Maps", "m-1"):
        snapshot = read(data, mapping=mapping(id="id"), overrides={called: {"limit": 50}})
        assert (snapshot.scopes[0].limit, snapshot.remarks) == (50, ())
    snapshot = read(data, mapping=mapping(id="id"), overrides={"maps": {"limit": 50}})
    assert snapshot.remarks == ("overrides.maps: no scope of the answer has that name or id; did you mean Maps?",)
    snapshot = read(data, mapping=mapping(id="id"), overrides={"Maps": {"counted_in": "Tiles"}})
    assert snapshot.remarks == ("overrides.Maps.counted_in: no scope is shown as 'Tiles'",)


def test_an_error_inside_an_answer_has_its_reason() -> None:
    reasons = {"auth": "code == 'invalid-key'", "rate_limited": "code == 'quota-reached'"}
    fields = mapping(error_when="code", error_reason=reasons)
    for code, error in (("invalid-key", AuthError), ("quota-reached", RateLimitedError), ("other", ResponseError)):
        with pytest.raises(error, match=f'the answer holds an error.*"?{code}'):
            read({"code": code}, mapping=fields)
    # The reason alone is enough to say that it is an error.
    with pytest.raises(AuthError):
        read({"code": "invalid-key"}, mapping=mapping(error_reason=reasons))


@pytest.mark.parametrize("value", [-1, None])
def test_a_rate_limit_may_be_none_by_a_declared_value(value: Any) -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "rate": value}
    assert (
        read_scope(scope, mapping=mapping(rate_limit="rate", unlimited_when=[-1, None])).rate_limit_per_minute is None
    )
    assert "rate_limit" in misfit({"scopes": [scope]}, mapping=mapping(rate_limit="rate"))


@pytest.mark.parametrize(
    ("period", "values", "start", "end"),
    [
        ({"anchor": "at"}, {"at": 17}, "2026-11-17T00:00", "2026-12-17T00:00"),
        ({"anchor": "at"}, {"at": 31}, "2026-10-31T00:00", "2026-11-30T00:00"),
        ({"anchor": "at"}, {"at": "2024-03-22T15:42:11Z"}, "2026-10-22T15:42:11", "2026-11-22T15:42:11"),
        ({"anchor": "at", "length": "7d"}, {"at": "2026-12-24T06:00:00Z"}, "2026-11-19T06:00", "2026-11-26T06:00"),
        ({"anchor": "at", "every": "word"}, {"at": "2024-12-31", "word": "annual"}, "2025-12-31T00:00", "2026-12-31T00:00"),
        ({"every": "word"}, {"word": "monthly"}, "2026-11-01T00:00", "2026-12-01T00:00"),
        ({"every": "word"}, {"word": "WEEK"}, "2026-11-16T00:00", "2026-11-23T00:00"),
        ({"every": "word"}, {"word": "per day"}, "2026-11-22T00:00", "2026-11-23T00:00"),
        ({"every": "word"}, {"word": "hourly"}, "2026-11-22T12:00", "2026-11-22T13:00"),
        ({"every": "word"}, {"word": "yearly"}, "2026-01-01T00:00", "2027-01-01T00:00"),
        ({"end": "to", "every": "word"}, {"to": "2026-12-05", "word": "month"}, "2026-11-05T00:00", "2026-12-05T00:00"),
        ({"start": "from", "end": "to"}, {"from": "2026-11-01", "to": "2026-11-30"}, "2026-11-01T00:00", "2026-12-01T00:00"),
        ({"start": "from", "end": "to"}, {"from": "2026-11-01", "to": "2026-12-01"}, "2026-11-01T00:00", "2026-12-01T00:00"),
        ({"start": "from", "end": "to", "inclusive": False}, {"from": "2026-11-01", "to": "2026-11-30"}, "2026-11-01T00:00", "2026-11-30T00:00"),
    ],
)  # fmt: skip
def test_periods_as_answers_give_them(period: dict[str, Any], values: dict[str, Any], start: str, end: str) -> None:
    scope = {"name": "A", "used": 1, "limit": 2, **values}
    (found,) = read({"scopes": [scope]}, mapping=mapping(period=period)).scopes
    assert found.period == BillingPeriod(*(datetime.fromisoformat(f"{one}+00:00") for one in (start, end)))


def test_a_period_that_would_end_before_its_last_day_is_reported() -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "from": "2026-11-01", "to": "2026-11-30"}
    snapshot = read({"scopes": [scope]}, mapping=mapping(period={"start": '"from"', "end": "to"}))
    assert snapshot.remarks[0].startswith("scope 'A': period.end: expression 'to' is taken for the period's last day")


def test_words_and_anchors_that_do_not_fit() -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "at": "soon"}
    for period, message in (
        ({"every": "at"}, "period.every: expression 'at' gave \"soon\", not a word such as monthly, week or day"),
        (
            {"anchor": "at"},
            "period.anchor: expression 'at' gave \"soon\", not a day of the month (1 to 31) or a time",
        ),
    ):
        assert misfit({"scopes": [scope]}, mapping=mapping(period=period)).endswith(message)


def test_scopes_in_an_object_are_named_by_their_keys() -> None:
    keyed = mapping(name="key()")
    snapshot = read({"scopes": {"core": {"used": 1, "limit": 2}, "search": {"used": 3, "limit": 4}}}, mapping=keyed)
    assert [(scope.name, scope.requests) for scope in snapshot.scopes] == [("core", 1), ("search", 3)]
    wrong = misfit({"scopes": {"core": {}}}, mapping=keyed)
    assert (
        wrong
        == "scope 'core': limit: expression 'limit' gave null, not a number; where that means no limit: unlimited_when: [null]"
    )


def test_functions_and_scale() -> None:
    fields = mapping(
        plan="root().account.plan",
        requests="sub(granted, mul(left, `2`))",
        limit="div(root().account.limit, `2`)",
        scale=1000,
    )
    data = {"account": {"plan": "Pro", "limit": 20}, "scopes": [{"name": "A", "granted": 9, "left": 2}]}
    (scope,) = read(data, mapping=fields).scopes
    assert (scope.plan, scope.requests, scope.limit) == ("Pro", 5000, 10_000)


@pytest.mark.parametrize(("window", "told", "per_minute"), [("1m", 60, 60), ("1s", 10, 600), ("10s", 5, 30)])
def test_rate_limits_are_converted_to_a_minute(window: str, told: float, per_minute: float) -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "rate": told}
    read_as = mapping(rate_limit="rate", rate_limit_window=window)
    assert read_scope(scope, mapping=read_as).rate_limit_per_minute == per_minute


@pytest.mark.parametrize(
    "told",
    [
        "2026-11-01T00:00:00Z",
        "2026-11-01T05:30:00+05:30",
        "2026-10-31T20:00:00-04:00",
        1_793_491_200,
        1_793_491_200_000,
    ],
)
def test_times_of_every_form(told: Any) -> None:
    period = {"start": "start", "length": "30d"}
    scope = {"name": "A", "used": 1, "limit": 2, "start": told}
    assert read_scope(scope, mapping=mapping(period=period)).period == BillingPeriod(
        datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    )


def test_a_time_without_offset_is_in_the_api_s_time_zone() -> None:
    scope = {"name": "A", "used": 1, "limit": 2, "end": "2026-12-01"}
    read_as = mapping(period={"end": "end", "length": "month"})
    berlin = ZoneInfo("Europe/Berlin")
    assert read_scope(scope, mapping=read_as, time_zone="Europe/Berlin").period == BillingPeriod(
        datetime(2026, 11, 1, tzinfo=berlin), datetime(2026, 12, 1, tzinfo=berlin)
    )


def test_static_values_stand_in_for_what_the_vendor_does_not_report() -> None:
    static = {"limit": 100, "rate_limit_per_minute": 60, "unit": "tokens", "period": "day"}
    scope = read_scope({"name": "A", "used": 1}, mapping=mapping(limit=None), static=static)
    assert (scope.limit, scope.rate_limit_per_minute, scope.unit) == (100, 60, "tokens")
    assert scope.period == BillingPeriod(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
    assert (
        read_scope({"name": "A", "used": 1}, mapping=mapping(limit=None), static={"limit": "unlimited"}).limit is None
    )


def test_daily_history_keyed_by_date() -> None:
    keyed = mapping(daily={"entries": "days"}, scale=10)
    scope = {"name": "A", "used": 1, "limit": 2, "days": {"2026-11-20": 3, "2026-11-22": 4}}
    assert read_scope(scope, mapping=keyed).daily == (
        DailyUsage(date(2026, 11, 20), 30),
        DailyUsage(date(2026, 11, 22), 40),
    )


def test_daily_history_is_the_last_30_days() -> None:
    days = [{"date": f"2026-{month}-{day:02}", "requests": day} for month in (10, 11) for day in range(1, 23)]
    daily = read_scope({"name": "A", "requests": 1, "limit": 2, "daily": days}).daily
    assert daily is not None
    assert daily[0].date == date(2026, 11, 1)
    assert len(daily) == 22


def test_days_that_the_vendor_leaves_out_are_zero_only_where_the_config_says_so() -> None:
    data = {"scopes": [{"name": "A", "requests": 1, "limit": 2, "daily": [{"date": "2026-11-20", "requests": 7}]}]}
    assert read(data).scopes[0].daily == (DailyUsage(date(2026, 11, 20), 7),)
    filled = read(data, missing_days="zero").scopes[0].daily
    assert filled is not None
    assert [day.date for day in filled][::29] == [date(2026, 10, 24), date(2026, 11, 22)]
    assert sum(day.requests for day in filled) == 7


def test_a_day_is_a_day_in_the_api_s_time_zone() -> None:
    scope = {"name": "A", "requests": 1, "limit": 2, "daily": [{"date": "2026-11-20T23:30:00Z", "requests": 7}]}
    daily = read_scope(scope, time_zone="Asia/Tokyo").daily
    assert daily == (DailyUsage(date(2026, 11, 21), 7),)


def test_a_vendor_ahead_of_us_may_tell_of_tomorrow() -> None:
    days = [
        {"date": "2026-11-23", "requests": 1},
        {"date": "2026-10-25", "requests": 2},
        {"date": "2026-10-24", "requests": 3},
    ]
    daily = read_scope({"name": "A", "requests": 1, "limit": 2, "daily": days}).daily
    assert daily == (DailyUsage(date(2026, 10, 25), 2), DailyUsage(date(2026, 11, 23), 1))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "the answer is an HTML page"),
        (b"", "the answer is not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b"\xff\xfe", "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"1" * 5000, "the answer is not JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', 'the key "a" comes twice in one object'),
    ],
)
def test_bodies_that_are_no_json(body: bytes, message: str) -> None:
    with pytest.raises(ResponseError, match=message):
        parse_json(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
scope_values = st.fixed_dictionaries(
    {
        "name": st.text(min_size=1) | json_values,
        "requests": st.integers() | json_values,
        "limit": st.integers() | json_values,
    },
    optional={
        "period": st.fixed_dictionaries({"start": json_values, "end": json_values}) | json_values,
        "daily": st.lists(st.fixed_dictionaries({"date": st.dates().map(str), "requests": json_values}))
        | json_values,
        "rate_limit_per_minute": json_values,
    },
)


@given(json_values | st.fixed_dictionaries({"scopes": st.lists(scope_values, max_size=4)}))
def test_any_answer_is_read_or_refused_and_never_gives_a_number_that_is_none(data: Any) -> None:
    try:
        snapshot = read(data)
    except ResponseError:
        return
    for scope in snapshot.scopes:
        counts = [
            scope.requests,
            scope.limit,
            scope.rate_limit_per_minute,
            *(day.requests for day in scope.daily or ()),
        ]
        assert all(math.isfinite(count) and count >= 0 for count in counts if count is not None)
        assert scope.name.encode()
        assert any(item["name"] in (scope.name, _whole_number(scope.name)) for item in data["scopes"])


def _whole_number(text: str) -> int | None:
    """What a name of digits may have been in the answer."""
    return int(text) if re.fullmatch("-?[0-9]+", text) else None


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d", "é"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.sampled_from(["a", "b", '"c d"', '"é"', "a[0]", "*", "@", "length(@)", "a || b"]), min_size=1, max_size=4
    ),
    plain,
)
def test_names_give_what_jmespath_gives(parts: list[str], value: Any) -> None:
    expression = ".".join(parts)
    try:
        expected = jmespath.compile(expression).search(value)
    except jmespath.exceptions.JMESPathError:  # some of the functions, and what is none when put together
        return
    assert compile_jmespath(expression).search(value) == expected


@pytest.mark.parametrize(
    ("fields", "plan", "unit", "remarks"),
    [
        ({"plan": "", "unit": ""}, "", "requests", []),
        ({"plan": "Pro ", "unit": " credits\n"}, "Pro", "credits", ['plan: expression \'plan\' gave "Pro ": shown as "Pro"', 'unit: expression \'unit\' gave " credits\\n": shown as "credits"']),
        ({"plan": "Pro\r\nplus", "unit": "map\nloads"}, "Pro plus", "map loads", ['plan: expression \'plan\' gave "Pro\\r\\nplus": shown as "Pro plus"', 'unit: expression \'unit\' gave "map\\nloads": shown as "map loads"']),
        ({"plan": "x" * 300}, "x" * 200, "requests", [f'plan: expression \'plan\' gave "{"x" * 79}…: longer than 200 characters; it is cut']),
        ({"plan": ["Pro"]}, "", "requests", ["plan: expression 'plan' gave [\"Pro\"]: no text; it is left out"]),
        ({"plan": 3}, "3", "requests", []),
    ],
)  # fmt: skip
def test_a_plan_or_unit_never_costs_the_number(
    fields: dict[str, Any], plan: str, unit: str, remarks: list[str]
) -> None:
    snapshot = read(answer(fields))
    (scope,) = snapshot.scopes
    assert (scope.requests, scope.plan, scope.unit, snapshot.misfits) == (750, plan, unit, ())
    assert [remark.removeprefix("scope 'Maps': ") for remark in snapshot.remarks] == remarks


def test_what_was_changed_of_a_text_is_logged_once(
    tmp_path: Path, vendor: Vendor, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.answer = lambda _: Response(json.dumps(answer({"name": "Changed once", "plan": "Pro "})))
    target = make_target(tmp_path, url=vendor.url)
    ask(target)
    ask(target)
    assert capsys.readouterr().out.count("Changed once") == 1


def accounts(*ids: Any) -> dict[str, Any]:
    return {"accounts": [{"id": id, "scopes": [{**STANDARD_SCOPE, "name": "A"}]} for id in ids]}


SHARED = {"mapping": mapping(requests="requests", organisations="accounts", organisation_id="id")}


def test_another_organisation_s_id_costs_only_that_organisation() -> None:
    assert [scope.name for scope in read(accounts(None, {"x": 1}, "acme"), **SHARED).scopes] == ["A"]
    assert misfit(accounts("acme", None, "acme"), **SHARED) == (
        "organisations: expression 'accounts' holds the id 'acme' 2 times"
    )
    assert misfit(accounts(None, "other"), **SHARED) == (
        "organisations: expression 'accounts' holds none with the id 'acme'; "
        "organisation_id: expression 'id' gave null, not a text"
    )


def test_a_part_without_a_name_costs_only_its_scope() -> None:
    fields = {"limit": {"request": "limits", "path": "most"}, "joins": {"limits": {"scopes": "@", "name": "code"}}}
    limits = {"limits": Answer([{"code": None, "most": 1}, {"code": "A", "most": 5}])}
    scopes = {"scopes": [{"name": "A", "used": 1}]}
    snapshot = read(
        scopes, answers=limits, mapping=mapping(**fields), base_url="http://x", requests={"limits": {"url": "/y"}}
    )
    assert [scope.limit for scope in snapshot.scopes] == [5]


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ([{"code": "A", "most": "many"}, {"code": "B", "most": 1}], {"code": "A", "most": "many"}),
        ([{"code": "B", "most": 1}], [{"code": "B", "most": 1}]),
        ([{"code": "A", "most": 1}, {"code": "A", "most": 2}], [{"code": "A", "most": 1}, {"code": "A", "most": 2}]),
        ("down", "down"),
    ],
)
def test_a_joined_value_that_does_not_fit_shows_the_answer_that_it_is_from(limits: Any, part: Any) -> None:
    fields = {"limit": {"request": "limits", "path": "most"}, "joins": {"limits": {"scopes": "@", "name": "code"}}}
    with pytest.raises(ResponseError) as caught:
        read(
            {"scopes": [{"name": "A", "used": 1}]},
            answers={"limits": Answer(limits)},
            mapping=mapping(**fields),
            base_url="http://x",
            requests={"limits": {"url": "/y"}},
        )
    assert [misfit.part for misfit in caught.value.misfits] == [part]


def period_of(zone: str = "UTC", static: dict[str, Any] | None = None, **period: Any) -> tuple[str, str]:
    """The period that fields of an answer are read as; length and inclusive are of the mapping."""
    declared = {name: period.pop(name) for name in ("length", "inclusive") if name in period}
    scope = read_scope(
        {"name": "A", "used": 1, "limit": 2, **period},
        mapping=mapping(period={**{name: name for name in period}, **declared}),
        time_zone=zone,
        **({"static": static} if static else {}),
    )
    assert scope.period is not None
    return tuple(
        f"{end.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}" for end in (scope.period.start, scope.period.end)
    )  # type: ignore[return-value]


NOVEMBER = ("2026-11-01T00:00:00", "2026-12-01T00:00:00")


@pytest.mark.parametrize(
    "end",
    [
        "2026-11-30T23:59:59Z", "2026-11-30T23:59:59.999Z", "2026-11-30T23:59Z", "2026-11-30", "2026/11/30", "20261130",
        20261130, "2026-11-30T00:00:00Z", "Mon, 30 Nov 2026 23:59:59 GMT", "2026-11-30 23:59:59 UTC",
        1796083199, 1796083199999,
    ],
)  # fmt: skip
def test_an_inclusive_end(end: Any) -> None:
    assert period_of(start="2026-11-01", end=end, inclusive=True) == NOVEMBER
    assert period_of(end=end, inclusive=True, length="month") == NOVEMBER


def test_an_inclusive_end_is_the_zone_s() -> None:
    assert period_of("America/New_York", start="2026-11-01", end="2026-11-30", inclusive=True) == NOVEMBER


@pytest.mark.parametrize(
    ("zone", "static", "period", "expected"),
    [
        # Without zone, in UTC, with another offset than the api's zone, and over a change to or from summer time.
        ("UTC", None, {"end": "2026-12-01"}, NOVEMBER),
        ("UTC", None, {"end": "2026-12-01T00:00:00+01:00"}, ("2026-10-31T23:00:00", "2026-11-30T23:00:00")),
        ("America/New_York", None, {"end": "2026-12-01T00:00:00Z"}, ("2026-10-31T20:00:00", "2026-11-30T19:00:00")),
        ("Europe/Berlin", None, {"end": "2026-11-30T23:00:00Z"}, NOVEMBER),
        ("Europe/Berlin", None, {"start": "2026-10-31T23:00:00Z"}, NOVEMBER),
        ("UTC", None, {"start": "2026-10-31"}, ("2026-10-31T00:00:00", "2026-11-30T00:00:00")),
        ("UTC", {"period": {"every": "month", "anchor_day": 31}}, {"end": "2026-11-30"}, ("2026-10-31T00:00:00", "2026-11-30T00:00:00")),
        ("UTC", {"period": {"every": "month", "anchor_day": 31}}, {"start": "2026-11-30"}, ("2026-11-30T00:00:00", "2026-12-31T00:00:00")),
    ],
)  # fmt: skip
def test_months_from_either_end(
    zone: str, static: dict[str, Any] | None, period: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert period_of(zone, static, length="month", **period) == expected


@pytest.mark.parametrize(
    "start",
    [
        "Sun, 01 Nov 2026 00:00:00 GMT", "1 Nov 2026 01:00:00 +0100", "Sun, 01 Nov 2026 00:00:00 -0000",
        "2026/11/01", "2026/11/01 00:00", "2026-11-01 00:00:00 UTC", "2026-11-01 UTC", "20261101", 20261101,
        "2026-11-01 00:00:00 +0000 UTC", "2026-11-01T01:00:00+01:00", "20261101T000000Z", 1793491200, 1793491200000,
    ],
)  # fmt: skip
def test_dates_as_vendors_write_them(start: Any) -> None:
    assert period_of("UTC", start=start, length="month") == NOVEMBER
    if isinstance(start, int) and start > 1e9:
        return
    scope = {"name": "A", "used": 1, "limit": 2, "days": [{"day": start, "count": 5}]}
    daily = {"entries": "days", "date": "day", "requests": "count"}
    with_days = read_scope(scope, mapping=mapping(daily=daily), daily_history_days=30)
    assert with_days.daily == (DailyUsage(date(2026, 11, 1), 5),)


def test_a_time_at_the_calendar_s_end_is_a_misfit_in_every_zone() -> None:
    fields = {"period": {"start": "2026-11-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}}
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        assert "period" in misfit(answer(fields), time_zone=zone)


# As texts they get a Z.
NEAR = st.datetimes(datetime(2026, 10, 25), datetime(2026, 12, 25))  # noqa: DTZ001
LAST = st.just(datetime(9999, 12, 31, 23, 59, 59))  # noqa: DTZ001


@given(
    st.floats(0), st.floats(0), NEAR | st.datetimes(), NEAR | st.datetimes() | LAST, st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Kiritimati", "America/New_York"]),
)  # fmt: skip
def test_what_enters_the_model_can_be_shown(
    requests: float, limit: float, start: datetime, end: datetime, zone: str
) -> None:
    period = {"start": start.isoformat() + "Z", "end": end.isoformat() + "Z"}
    with suppress(ResponseError):
        for scope in read(answer({"requests": requests, "limit": limit, "period": period}), time_zone=zone).scopes:
            fetched = FetchedScope(scope, NOW)
            made = forecast(known(fetched, None, ZoneInfo(zone)))
            shown = card_of(fetched, made, NOW, stale_after=timedelta(hours=1))
            assert shown.period is not None
            words.period(shown.period, ZoneInfo(zone))
            assert forecast_words.requests(shown)
            forecast_words.limit(shown, NOW, ZoneInfo(zone))
            assert json.loads(TypeAdapter(Card).dump_json(shown))["requests"] == requests
