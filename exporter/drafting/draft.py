"""The config that a vendor's answer suggests. Pure.

What was chosen by a person goes in as `chosen`, by a question's field; the rest is drafted around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.answer import Collection, Value, jmespath_of, values
from exporter.drafting.model import Draft, Question, Reading
from exporter.drafting.period import period_draft
from exporter.drafting.places import (
    DEPTH,
    Part,
    Place,
    at,
    chosen_place,
    name_field,
    places_of,
    title,
    window_of,
)
from exporter.drafting.quotas import Quota
from exporter.drafting.settle import SUM, settled
from exporter.drafting.sheet import Sheet, sum_of
from exporter.drafting.vocabulary import window

_NULL = "`null`"
_CALENDAR = {"1h": "hour", "1d": "day"}


@dataclass(frozen=True)
class _Given:
    answer: Any
    now: datetime
    zone: ZoneInfo
    chosen: Mapping[str, str]

    @property
    def when(self) -> tuple[datetime, ZoneInfo]:
        return self.now, self.zone


def draft(answer: Any, now: datetime, zone: ZoneInfo, chosen: Mapping[str, str] | None = None) -> Draft:
    """What config the answer suggests. now: when it was given. chosen: by the fields of Question.

    Raises NothingFoundError.
    """
    given = _Given(answer, now, zone, dict(chosen or {}))
    place, questions = chosen_place(places_of(answer), given.chosen)
    sheet = Sheet(questions)
    if place.collection is not None:
        _put_collection(sheet, place, place.collection, given)
    elif len(place.parts) == 1:
        _put_whole(sheet, place, given)
    else:
        _put_several(sheet, place.parts, given)
    if place.collection is None:
        sheet.say_unread(values(answer))
    return sheet.draft()


def _put_whole(sheet: Sheet, place: Place, given: _Given) -> None:
    """The answer is one scope."""
    found = values(given.answer)
    quota, questions = settled(place.parts[0].quota, place.others, found, given.chosen)
    sheet.questions += questions
    name = given.chosen.get("name") or title(quota)
    sheet.mapping["scope"] = name
    sheet.readings.append(Reading(name, "scope", "", name, "what the numbers count"))
    sheet.put_numbers(name, quota, given.chosen)
    sheet.say_contradictions(quota, found)
    sheet.put_plan(found)
    sheet.put_period(name, period_draft(found, (), quota, given.when, given.chosen.get("period")))
    sheet.put_daily(name, given.answer, given.now, given.zone)


def _put_collection(sheet: Sheet, place: Place, collection: Collection, given: _Given) -> None:
    """The scopes are the elements of a list or of an object."""
    first = collection.elements[0]
    found = values(first, DEPTH)
    quota, questions = settled(place.parts[0].quota, place.others, found, given.chosen)
    sheet.questions += questions
    count = f"{len(collection.elements)} of them"
    sheet.mapping["scopes"] = place.where
    sheet.readings.append(Reading("", "scopes", place.where, count, "each has the same fields"))
    name = _put_name(sheet, collection, given.chosen, title(quota))
    sheet.put_numbers(name, quota, given.chosen)
    sheet.say_contradictions(quota, found)
    if quota.limit is not None:
        sheet.put_unlimited(Value(quota.limit.path, at(each, quota.limit.path)) for each in collection.elements)
    root = values(given.answer)
    sheet.put_period(name, period_draft(found, root, quota, given.when, given.chosen.get("period")))
    sheet.put_daily(name, first, given.now, given.zone)
    sheet.mapping = _optional_where_absent(sheet.mapping, collection)


def _optional_where_absent(mapping: dict[str, Any], collection: Collection) -> dict[str, Any]:
    """What the first scope has and another has not is not reported for all."""

    def checked(expression: Any) -> Any:
        path = tuple(str(expression).split("."))
        if not isinstance(expression, str) or not expression.replace(".", "").isidentifier():
            return expression
        absent = any(at(element, path) is None for element in collection.elements)
        return {"path": expression, "optional": True} if absent else expression

    checked_ones = {name: checked(mapping[name]) for name in ("rate_limit",) if name in mapping}
    if "period" in mapping:
        period = {
            name: checked(value) if name in ("start", "end") else value for name, value in mapping["period"].items()
        }
        checked_ones["period"] = period
    if "daily" in mapping:
        checked_ones["daily"] = {**mapping["daily"], "entries": checked(mapping["daily"]["entries"])}
    return {**mapping, **checked_ones}


def _put_name(sheet: Sheet, collection: Collection, chosen: Mapping[str, str], only: str) -> str:
    """The first scope's name. only: that of one which has none."""
    if collection.keyed:
        names = collection.keys
        sheet.readings.append(Reading(names[0], "name", "the key", names[0]))
    else:
        path = tuple(chosen["name"].split(".")) if "name" in chosen else name_field(collection)
        if path is None and len(collection.elements) == 1:
            sheet.mapping["name"] = f"'{only}'"
            sheet.readings.append(Reading(only, "name", "", only, "what the numbers count"))
            return only
        if path is None:
            sheet.questions.append(Question("name", "Which field is a scope's name?", must=True))
            return ""
        sheet.mapping["name"] = jmespath_of(path)
        names = tuple(str(at(element, path)) for element in collection.elements)
        sheet.readings.append(Reading(names[0], "name", jmespath_of(path), names[0], "another in each"))
    # api_requests_daily says what its period is.
    sheet.overrides |= {
        name: {"period": _CALENDAR[found]} for name in names if (found := window(name)) and found in _CALENDAR
    }
    return names[0]


def _put_several(sheet: Sheet, parts: tuple[Part, ...], given: _Given) -> None:
    """Several allowances side by side: they are listed by name."""
    parts, questions = _availables(parts, given.chosen)
    sheet.questions += questions
    used = [part for part in parts if part.quota.used is not None]
    # A mapping reads either what is used or what is left.
    alike = used or list(parts)
    members = [_member(part, count="used" if used else "left") for part in alike]
    sheet.mapping |= {"scopes": f"[{', '.join(members)}]", "name": "name"}
    sheet.mapping |= {"requests": "used"} if used else {"remaining": "left"}
    sheet.mapping["limit"] = "limit"
    sheet.put_unlimited(part.quota.limit for part in alike if part.quota.limit is not None)
    boundless = [part.name for part in alike if _limit(part.quota) == _NULL]
    if boundless:
        sheet.mapping["unlimited_when"] = [*sheet.mapping.get("unlimited_when", []), None]
        sheet.taken.append(f"{', '.join(boundless)}: the answer holds no limit: taken as unlimited")
    for part in alike:
        sheet.read(part.name, replace(part.quota, rate=None))
        sheet.say_contradictions(part.quota, values(given.answer))
        if part.quota.limit is None and _limit(part.quota) != _NULL:
            sheet.say_sum(part.quota)
        if (own := window_of(part.quota)) in _CALENDAR:
            sheet.overrides[part.name] = {"period": _CALENDAR[str(own)]}
    left_out = [part.name for part in parts if part not in alike]
    if left_out:
        sheet.taken.append(f"{', '.join(left_out)}: left out, since only what is left of it stands in the answer")
    longest = next((part for part in alike if window_of(part.quota) not in _CALENDAR), alike[0])
    found = values(given.answer)
    period = period_draft((), found, longest.quota, given.when, given.chosen.get("period"))
    sheet.put_period(longest.name, period)


def _availables(parts: tuple[Part, ...], chosen: Mapping[str, str]) -> tuple[tuple[Part, ...], tuple[Question, ...]]:
    """Each as its own question would settle it; one answer goes for all of them."""
    asked: dict[str, Question] = {}
    settled_parts = []
    for part in parts:
        quota = part.quota
        questions: tuple[Question, ...] = ()
        if quota.whole_unclear:
            answer = {"limit": chosen["limit"]} if chosen.get("limit") == SUM else {}
            quota, questions = settled(quota, (), quota.values, answer)
            if chosen.get("limit") not in (None, SUM):
                questions = ()
        asked |= {question.field: question for question in questions}
        settled_parts.append(replace(part, quota=quota))
    return tuple(settled_parts), tuple(asked.values())


def _member(part: Part, count: str) -> str:
    quota = part.quota
    number = quota.used if count == "used" else quota.remaining
    fields = {
        "name": _literal(part.name),
        count: number.expression if number is not None else _NULL,
        "limit": _limit(quota),
    }
    return "{" + ", ".join(f"{name}: {expression}" for name, expression in fields.items()) + "}"


def _limit(quota: Quota) -> str:
    if quota.limit is not None:
        return quota.limit.expression
    return sum_of(quota) if quota.used is not None and quota.remaining is not None else _NULL


def _literal(text: str) -> str:
    """A text as JMESPath has it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
