"""Which times of an answer bound the billing period, and how long it is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.answer import Value, jmespath_of
from exporter.drafting.quotas import Quota
from exporter.drafting.vocabulary import END, START, is_interval, words

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_LENGTHS = {"month": "month", "day": "1d", "hour": "1h", "minute": "1m", "year": "365d"}
_OPTIONS = (("month", "a month"), ("day", "a day"), ("hour", "an hour"), ("year", "a year"))
_CALENDAR = {"1h": "hour", "1d": "day", "month": "month"}
_LONGEST = {
    "1m": timedelta(minutes=2),
    "1h": timedelta(hours=2),
    "1d": timedelta(days=2),
    "month": timedelta(days=32),
}
_INTERVALS = frozenset({"interval", "frequency", "period", "cycle", "reset", "window"})
# A start that is the account's, not the period's.
_NOT_OF_PERIOD = frozenset({"created", "updated", "signup", "subscription", "trial", "last", "member", "started"})


@dataclass(frozen=True)
class PeriodDraft:
    """mapping: for mapping.period; static: for static.period. readings: (field, expression, value, why)."""

    mapping: Mapping[str, Any] | None = None
    static: str | None = None
    readings: tuple[tuple[str, str, Any, str], ...] = ()
    question: str = ""
    options: tuple[tuple[str, str], ...] = ()
    taken: tuple[str, ...] = ()


def period_draft(
    found: Sequence[Value],
    root: Sequence[Value],
    quota: Quota,
    when: tuple[datetime, ZoneInfo],
    choice: str | None = None,
) -> PeriodDraft:
    """found: of the scope's part; root: of the whole answer, where that is another. when: the answer was given, and
    the zone of times without one. choice: a person's."""
    now, zone = when
    said = next((value.window for value in quota.values if value.window), None) or _interval([*found, *root])
    for looked, at_root in ((found, False), (root, True)):
        bounds = _Bounds.of(looked, said, now, zone)
        if bounds is not None:
            return _reported(bounds, said, choice, at_root=at_root)
    if choice is not None:
        return PeriodDraft(static=choice)
    if said == "1m":
        return PeriodDraft(taken=("its window is a minute: no billing period is set",))
    if said is not None:
        word = _CALENDAR[said]
        taken = f"the names speak of this period: {word}; taken as the calendar's, in the api's time zone"
        return PeriodDraft(static=word, taken=(taken,))
    return PeriodDraft(
        static="month",
        question="No time in the answer says when the period ends: how long is it?",
        options=(("month", "a calendar month"), ("day", "a day"), ("hour", "an hour")),
    )


@dataclass(frozen=True)
class _Bounds:
    """The times that bound the period. start: None where none is given. left: until the end."""

    end: Value
    start: Value | None
    left: timedelta
    inclusive: bool

    @classmethod
    def of(cls, found: Sequence[Value], said: str | None, now: datetime, zone: ZoneInfo) -> "_Bounds | None":
        longest = _LONGEST.get(said or "", timedelta(days=400))
        moments = [(moment, value) for value in found if (moment := value.moment(zone)) is not None]
        ends = [each for each in moments if _bounds(each[1], END) and now < each[0] <= now + longest]
        starts = [each for each in moments if _bounds(each[1], START) and each[0] <= now]
        if not ends:
            return None
        until, end = min(ends, key=lambda each: each[0])
        start = max(starts, key=lambda each: each[0])[1] if starts else None
        inclusive = isinstance(end.value, str) and (until.hour, until.minute, until.second) == (23, 59, 59)
        return cls(end, start, until - now, inclusive)


def _interval(found: Sequence[Value]) -> str | None:
    """reset_frequency: monthly says it in so many words."""
    for value in found:
        if (
            set(words(value.path[-1])) & _INTERVALS
            and isinstance(value.value, str)
            and (said := is_interval(value.value))
        ):
            return said
    return None


def _bounds(value: Value, known: frozenset[str]) -> bool:
    found = set(words(value.path[-1]))
    if len(value.path) > 1 and found <= {"at", "date", "time", "timestamp", "unix"}:
        found |= set(words(value.path[-2]))
    return bool(found & known) and not (found & _NOT_OF_PERIOD)


def _reported(bounds: _Bounds, said: str | None, choice: str | None, *, at_root: bool) -> PeriodDraft:
    mapping: dict[str, Any] = {"end": _written(bounds.end, at_root)}
    if bounds.inclusive:
        mapping["inclusive"] = True
    end = ("period.end", _written(bounds.end, at_root), bounds.end.value, "it lies ahead")
    if bounds.start is not None and choice is None:
        mapping["start"] = _written(bounds.start, at_root)
        start = ("period.start", _written(bounds.start, at_root), bounds.start.value, "it lies behind")
        return PeriodDraft(mapping, readings=(start, end))
    if choice is not None:
        mapping["length"] = _LENGTHS.get(choice, choice)
        return PeriodDraft(mapping, readings=(end,))
    length = said or bounds.end.window
    if length is not None or _DAY < bounds.left <= _LONGEST["month"]:
        mapping["length"] = length or "month"
        return PeriodDraft(mapping, readings=(end,))
    likely = "year" if bounds.left > _DAY else "day" if bounds.left > _HOUR else "hour"
    mapping["length"] = _LENGTHS[likely]
    options = sorted(_OPTIONS, key=lambda option: option[0] != likely)
    return PeriodDraft(
        mapping, None, (end,), "Only the period's end stands in the answer: how long is it?", tuple(options)
    )


def _written(value: Value, at_root: bool) -> str:
    return f"root().{jmespath_of(value.path)}" if at_root else jmespath_of(value.path)
