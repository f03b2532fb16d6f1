"""Documented answers read as a poll would read them, without asking anybody. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from exporter.config.api import Api
from exporter.config.preset import DocumentedAnswer
from exporter.errors import PollError, ResponseError
from exporter.model import Answer, BillingPeriod, ScopeUsage, UsageSnapshot
from exporter.vendor.rate_limit_headers import rate_limits
from exporter.vendor.reading import map_answers


def answers_of(documented: DocumentedAnswer, api: Api) -> dict[str, Answer] | None:
    """What the requests of a poll would bring; None where one of them is not among the documented answers."""
    answers = {}
    for name, request in api.all_requests.items():
        answer = documented.answers.get(name)
        if answer is None:
            return None
        headers = {header.lower(): value for header, value in answer.headers.items()}
        body = answer.body if request.read == "body" else rate_limits(headers, documented.at)
        answers[name] = Answer(body, headers)
    return answers


def read_documented(documented: DocumentedAnswer, api: Api) -> UsageSnapshot | PollError:
    """What a good answer comes to by the api's mapping. A ResponseError where not all of it can be read."""
    answers = answers_of(documented, api)
    if answers is None:
        missing = ", ".join(api.all_requests.keys() - documented.answers.keys())
        return ResponseError(f"there is no answer to the request {missing}")
    return read(answers, api, documented.organisation, documented.at)


def read(answers: Mapping[str, Answer], api: Api, organisation: str, now: datetime) -> UsageSnapshot | PollError:
    """The answers by the api's mapping; what cannot be read is an outcome."""
    try:
        return map_answers(answers, api=api, organisation=organisation, now=now)
    except PollError as error:
        return error


def scope_as_json(scope: ScopeUsage) -> dict[str, Any]:
    """A scope as documented answers expect it: what is known of it, in the names of the model.

    Numbers are as published; the period is [start, end], of daily counts there are date and count.
    """
    daily = scope.daily
    fields: dict[str, Any] = {
        "name": scope.name,
        "id": scope.id,
        "plan": scope.plan,
        "unit": scope.unit,
        "requests": _number(scope.requests),
        "limit": "unlimited" if scope.limit is None else _number(scope.limit),
        "rate_limit_per_minute": _number(scope.rate_limit_per_minute),
        "rejected": _number(scope.rejected),
        "period": _period(scope.period),
        "daily": None if daily is None else {day.date.isoformat(): _number(day.requests) for day in daily},
    }
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _number(number: float | None) -> float | None:
    """Whole counts without a fraction, as documentation writes them."""
    return int(number) if number is not None and number.is_integer() else number


def _period(period: BillingPeriod | None) -> list[str] | None:
    return None if period is None else [moment.isoformat() for moment in (period.start, period.end)]
