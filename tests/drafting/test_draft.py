"""What a vendor's answer suggests: by its numbers' names, their places and their sums; and what has to be asked."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.drafting.draft import draft
from exporter.drafting.model import Draft, NothingFoundError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def drafted(answer: Any, **chosen: str) -> Draft:
    return draft(answer, NOW, UTC_ZONE, chosen)


def fields(found: Draft, *names: str) -> list[Any]:
    return [found.mapping.get(name) for name in names]


def test_one_flat_object_is_one_scope() -> None:
    found = drafted(
        {"used_credits": 40, "credit_limit": 100, "plan_name": "Pro", "resets_at": "2026-12-01T00:00:00Z"}
    )
    assert found.mapping == {
        "scope": "Credits",
        "requests": "used_credits",
        "limit": "credit_limit",
        "unit": "'credits'",
        "plan": {"path": "plan_name", "optional": True},
        "period": {"end": "resets_at", "length": "month"},
    }
    assert found.questions == ()


@pytest.mark.parametrize(
    ("answer", "count", "limit"),
    [
        ({"verbraucht": 3, "kontingent": 10}, "verbraucht", "kontingent"),
        ({"llamadas": {"usado": 3, "limite": 10}}, "llamadas.usado", "llamadas.limite"),
        ({"utilisé": 3, "plafond": 10}, '"utilisé"', "plafond"),
        ({"已用": 3, "配额": 10}, '"已用"', '"配额"'),
        ({"rate-limit": {"used": "3", "max": "10"}}, 'to_number("rate-limit".used)', 'to_number("rate-limit".max)'),
    ],
)
def test_names_in_other_languages_and_numbers_in_texts(answer: dict[str, Any], count: str, limit: str) -> None:
    assert fields(drafted(answer), "requests", "limit") == [count, limit]


def test_what_adds_up_belongs_together_whatever_stands_around_it() -> None:
    found = drafted({"total": 200, "used": 150, "remain": 50, "overage": 0, "requests_today": 7, "daily_average": 3})
    assert fields(found, "requests", "limit") == ["used", "total"]


def test_what_is_left_of_a_limit() -> None:
    assert fields(drafted({"credits_left": 30, "plan_credits": 100}), "requests", "remaining", "limit") == [
        None,
        "credits_left",
        "plan_credits",
    ]


def test_scopes_in_a_list_and_in_an_object() -> None:
    listed = drafted({"items": [{"name": "A", "used": 1, "limit": 5}, {"name": "B", "used": 2, "limit": None}]})
    assert fields(listed, "scopes", "name", "unlimited_when") == ["items", "name", [None]]
    keyed = drafted({"quotas": {"searches_daily": {"used": 1, "max": 5}, "emails": {"used": 1, "max": 9}}})
    assert fields(keyed, "scopes", "name", "requests", "limit") == ["quotas", None, "used", "max"]
    assert keyed.overrides == {"searches_daily": {"period": "day"}}


def test_several_side_by_side_and_no_number_of_a_page() -> None:
    found = drafted(
        {
            "paging": {"current": 1, "total": 9},
            "credits": {"dailyUsed": 1, "dailyLimit": 10, "monthlyUsed": 20, "monthlyLimit": 300},
            "currentPeriodStart": "2026-11-11T07:00:00Z",
            "currentPeriodEnd": "2026-12-11T07:00:00Z",
        }
    )
    assert found.mapping["scopes"] == (
        "[{name: 'Credits today', used: credits.dailyUsed, limit: credits.dailyLimit}, "
        "{name: 'Credits', used: credits.monthlyUsed, limit: credits.monthlyLimit}]"
    )
    assert found.overrides == {"Credits today": {"period": "day"}}
    assert found.mapping["period"] == {"end": "root().currentPeriodEnd", "start": "root().currentPeriodStart"}


def test_the_daily_history_is_found() -> None:
    days = [{"date": f"2026-11-{day}", "count": day} for day in (23, 24, 25)]
    found = drafted({"used": 72, "quota": 1000, "usage_by_day": days})
    assert found.mapping["daily"] == {"entries": "usage_by_day", "date": "date", "requests": "count"}


def test_two_plausible_readings_are_asked_about_and_either_can_be_chosen() -> None:
    answer = {"searches": {"used": 320, "available": 500}, "reset_date": "2026-12-01"}
    (question,) = drafted(answer).questions
    assert (question.field, [option.choice for option in question.options]) == (
        "limit",
        ["searches.available", "sum"],
    )
    assert drafted(answer, limit="sum").mapping["limit"] == "add(searches.used, searches.available)"
    assert drafted(answer, limit="searches.available").mapping["limit"] == "searches.available"


def test_only_what_is_left_needs_an_answer_and_a_limit_takes_one() -> None:
    found = drafted({"credits_left": 30})
    assert not found.complete
    (must,) = [question for question in found.questions if question.must]
    assert must.field == "limit"
    chosen = drafted({"credits_left": 30}, limit="5,000", period="month")
    assert (chosen.complete, chosen.static) == (True, {"limit": 5000, "period": "month"})


def test_a_count_without_a_limit_is_said_to_be_taken_as_unlimited() -> None:
    found = drafted({"usage": 30})
    assert found.static["limit"] == "unlimited"
    assert "taken as unlimited" in found.taken[0]


@pytest.mark.parametrize("answer", [{}, [], None, "x", {"error": "no"}, {"a": {"b": []}}, {"price": 3, "version": 2}])
def test_nothing_is_made_of_nothing(answer: Any) -> None:
    with pytest.raises(NothingFoundError, match="is this the answer"):
        drafted(answer)


def test_a_choice_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(NothingFoundError, match=r"nothing stands at 'nowhere'; used, quota do"):
        drafted({"used": 1, "quota": 2}, requests="nowhere")
    with pytest.raises(NothingFoundError, match="nothing stands at 'plenty'; credits_left do"):
        drafted({"credits_left": 30}, limit="plenty")


def test_what_contradicts_a_reading_or_is_left_out_is_said() -> None:
    found = drafted({"used_credits": 25, "credit_limit": 50, "credits_left": 175})
    assert any("credits_left = 175" in sentence for sentence in found.taken)
    found = drafted({"credits": {"used": 1, "limit": 5}, "jobs_limit": 9})
    assert any("left out: jobs_limit = 9" in sentence for sentence in found.taken)


def test_a_limit_that_is_a_sum_is_said() -> None:
    found = drafted({"remaining_credits": 24999, "details": {"credits_used": 0}})
    assert any("no limit stands in the answer" in sentence for sentence in found.taken)


def test_a_limit_beyond_all_bounds_is_none() -> None:
    found = drafted({"character_count": 7, "character_limit": 1000000000000})
    assert found.mapping["unlimited_when"] == [1000000000000]


def test_an_allowance_of_time_is_one_where_the_name_says_so() -> None:
    found = drafted(
        {"included_seconds": 540_000, "used_seconds": 432_000, "remaining_seconds": 108_000, "age_seconds": 3}
    )
    assert (found.mapping["requests"], found.mapping["limit"]) == ("used_seconds", "included_seconds")
    assert found.mapping["unit"] == "'seconds'"
    with pytest.raises(NothingFoundError):
        drafted({"seconds": 3, "reset_seconds": 40})


def test_what_a_number_stands_in_says_more_than_its_unit() -> None:
    found = drafted({"limits": {"search_queries": 5000}, "usage": {"search_queries": 1205}})
    assert (found.mapping["requests"], found.mapping["limit"]) == ("usage.search_queries", "limits.search_queries")


def test_the_only_element_of_a_list_needs_no_name() -> None:
    found = drafted([{"credits": {"used": 3, "total": 10}}])
    assert (found.complete, found.mapping["name"]) == (True, "'Credits'")


def test_a_part_of_the_limit_is_not_taken_for_it() -> None:
    found = drafted({"available_credits": 175, "used_credits": 25, "purchased_credits": 50})
    (question,) = [each for each in found.questions if each.field == "limit"]
    assert [option.choice for option in question.options] == ["available_credits", "sum"]
    assert drafted({"available_credits": 175, "used_credits": 25, "purchased_credits": 50}, limit="sum").mapping[
        "limit"
    ] == ("add(used_credits, available_credits)")
