"""What a vendor's answer suggests: by its numbers' names, their places and their sums; and what has to be asked."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.config.load import load_config
from exporter.config.preset import DocumentedAnswer, documentation, preset_names
from exporter.drafting.config_text import config_text
from exporter.drafting.draft import draft
from exporter.drafting.model import Draft, NothingFoundError
from exporter.model import Answer
from exporter.vendor.reading import map_answers

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


# Answers of several requests, of headers, or with numbers whose names do not say what they are.
_BY_PRESET_ONLY = {"aws-api-gateway", "prometheus", "rate-limit-headers", "openai", "anthropic", "twilio"}


def documented() -> Iterator[tuple[str, DocumentedAnswer]]:
    for preset in sorted(set(preset_names()) - _BY_PRESET_ONLY):
        for name, answer in documentation(preset).good.items():
            if answer.expected.scopes and isinstance(answer.answers["main"].body, dict | list):
                yield f"{preset}/{name}", answer


def numbers(found: Draft, answer: DocumentedAnswer, folder: Path) -> set[tuple[float, float | None]]:
    """Used and limit of each scope, as the drafted config reads them."""
    file = folder / "config.yaml"
    file.write_text(config_text("api", {"url": "https://api.example.com"}, found, "Main", ""), encoding="utf-8")
    (target,) = load_config(file).targets
    answers = {"main": Answer(answer.answers["main"].body)}
    snapshot = map_answers(answers, api=target.api, organisation="main", now=answer.at)
    assert snapshot.misfits == ()
    return {(scope.requests, scope.limit) for scope in snapshot.scopes}


def test_most_documented_answers_are_read_right_and_the_others_never_in_silence(tmp_path: Path) -> None:
    judged, wrong, silent = 0, [], []
    for name, answer in documented():
        judged += 1
        expected = {
            (scope["requests"], None if scope["limit"] == "unlimited" else scope["limit"])
            for scope in answer.expected.scopes
        }
        try:
            found = draft(answer.answers["main"].body, answer.at, UTC_ZONE)
            read = numbers(found, answer, tmp_path) if found.complete else set()
        except NothingFoundError:
            wrong.append(name)
            continue
        # More of what the answer holds than the preset takes is no mistake.
        if not expected <= read:
            wrong.append(name)
            counts = {used for used, _ in expected}
            # A limit of 1e12, as DeepL writes it, is none; and a scope that is left out is no wrong number.
            of_these = {(used, limit if (limit or 0) < 1e12 else None) for used, limit in read if used in counts}
            if of_these - expected and not found.questions and not found.taken:
                silent.append(name)
    assert judged >= 30
    assert len(wrong) <= 0.2 * judged, wrong
    assert silent == []
