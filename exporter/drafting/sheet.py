"""What a draft puts down, field by field, with where it was read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.answer import Value, jmespath_of
from exporter.drafting.history import daily_mapping
from exporter.drafting.model import Draft, Option, Question, Reading
from exporter.drafting.period import PeriodDraft
from exporter.drafting.quotas import Quota
from exporter.drafting.settle import limit_of
from exporter.drafting.vocabulary import PLANS, Role, snake

_PATH = re.compile(r"[A-Za-z_][\w.]*")
# So many numbers that are left out are named.
_SHOWN = 8


class Sheet:
    """A draft while it is made."""

    def __init__(self, questions: Iterable[Question] = ()) -> None:
        self.mapping: dict[str, Any] = {}
        self.static: dict[str, Any] = {}
        self.overrides: dict[str, Any] = {}
        self.readings: list[Reading] = []
        self.questions = list(questions)
        self.taken: list[str] = []

    def draft(self) -> Draft:
        return Draft(
            self.mapping,
            self.static,
            self.overrides,
            tuple(self.readings),
            tuple(self.questions),
            tuple(self.taken),
        )

    def read(self, scope: str, quota: Quota) -> None:
        """Say where a quota's numbers were read."""
        count = ("remaining", quota.remaining) if quota.used is None else ("requests", quota.used)
        if quota.used is not None and quota.used.says_only_what and quota.remaining is None and quota.why != "chosen":
            path = jmespath_of(quota.used.path)
            self.taken.append(
                f"{path} = {quota.used.value} is what was used; if it is what is left: --set=remaining={path}"
            )
        for field, value in (count, ("limit", quota.limit), ("rate_limit", quota.rate)):
            if value is not None:
                why = quota.why if field != "rate_limit" else "its name"
                self.readings.append(Reading(scope, field, value.expression, value.value, why))

    def put_numbers(self, scope: str, quota: Quota, chosen: Mapping[str, str]) -> None:
        """requests or remaining, limit, rate limit and unit."""
        if quota.used is not None:
            self.mapping["requests"] = quota.used.expression
        elif quota.remaining is not None:
            self.mapping["remaining"] = quota.remaining.expression
        self._put_limit(quota, chosen)
        if quota.rate is not None:
            self.mapping["rate_limit"] = quota.rate.expression
            if quota.per_second:
                self.mapping["rate_limit_window"] = "1s"
        if quota.unit != "requests":
            self.mapping["unit"] = f"'{quota.unit}'"
        self.read(scope, quota)

    def _put_limit(self, quota: Quota, chosen: Mapping[str, str]) -> None:
        if quota.limit is not None:
            self.mapping["limit"] = quota.limit.expression
            self.put_unlimited([quota.limit])
        elif "limit" in chosen and chosen["limit"] != "sum":
            self.static["limit"] = limit_of(chosen["limit"])
        elif quota.used is not None and quota.remaining is not None:
            self.mapping["limit"] = sum_of(quota)
            if chosen.get("limit") != "sum":
                self.say_sum(quota)
        elif quota.used is not None:
            self.static["limit"] = "unlimited"
            self.taken.append("the answer holds no limit: taken as unlimited; limit=50000 would set one")
        else:
            text = "Only what is left stands in the answer: what is the limit of a period?"
            self.questions.append(Question("limit", text, must=True))

    def say_sum(self, quota: Quota) -> None:
        self.taken.append(f"no limit stands in the answer: {sum_of(quota)} is it; --set=limit=50000 sets another")

    def say_contradictions(self, quota: Quota, found: Sequence[Value]) -> None:
        """What is left by its name, and does not fit to what was used and the limit."""
        used, limit = quota.used, quota.limit
        if used is None or limit is None or limit.number is None or used.number is None or quota.why == "chosen":
            return
        for value in found:
            left = Role.REMAINING in value.roles and value.path not in (used.path, limit.path)
            alike = value.path[:-1] == used.path[:-1] and value.subject in (frozenset(), used.subject)
            if left and alike and value.number is not None and used.number + value.number != limit.number:
                numbers = f"{jmespath_of(used.path)} = {used.value} of {jmespath_of(limit.path)} = {limit.value}"
                left_over = f"{jmespath_of(value.path)} = {value.value}"
                self.taken.append(f"{numbers}, though {left_over}; --set=limit= sum, a number or a place is another")

    def say_unread(self, found: Sequence[Value]) -> None:
        """What is called used or a limit, and is not read: a scope may be missing."""
        text = " ".join(map(str, self.mapping.values()))
        read = set(_PATH.findall(text))
        unread = [
            f"{path} = {value.value}"
            for value in found
            if value.number is not None and {Role.USED, Role.LIMIT} & value.roles.keys()
            # A quoted part of a path is not found again.
            if (path := jmespath_of(value.path)) not in read and '"' not in path
        ]
        if unread:
            more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
            self.taken.append(f"left out: {', '.join(unread[:_SHOWN])}{more}")

    def put_unlimited(self, limits: Iterable[Value]) -> None:
        """What of these limits means that there is none."""
        found: list[Any] = self.mapping.get("unlimited_when", [])
        for limit in limits:
            if limit.is_no_limit and limit.value not in found:
                found.append(limit.value)
                self.taken.append(f"{jmespath_of(limit.path)} = {limit.value!r} means that there is no limit")
        if found:
            self.mapping["unlimited_when"] = found

    def put_period(self, scope: str, period: PeriodDraft) -> None:
        if period.mapping:
            self.mapping["period"] = dict(period.mapping)
        if period.static is not None:
            self.static["period"] = period.static
        self.readings += [Reading(scope, *each) for each in period.readings]
        if period.question:
            options = tuple(Option(choice, label) for choice, label in period.options)
            self.questions.append(Question("period", period.question, options))
        self.taken += period.taken

    def put_plan(self, found: Sequence[Value]) -> None:
        for name in PLANS:
            for value in found:
                if snake(value.path[-1]) == name and isinstance(value.value, str) and value.value:
                    self.mapping.setdefault("plan", {"path": jmespath_of(value.path), "optional": True})

    def put_daily(self, scope: str, part: Any, now: datetime, zone: ZoneInfo) -> None:
        daily, days = daily_mapping(part, now, zone)
        if daily is not None:
            self.mapping["daily"] = daily
            self.readings.append(Reading(scope, "daily", str(daily["entries"]), days, "dates and counts"))


def sum_of(quota: Quota) -> str:
    """The limit as the sum of what is used and what is left."""
    return f"add({', '.join(value.expression for value in (quota.used, quota.remaining) if value is not None)})"
