"""Which list of an answer is the daily history. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.answer import Path, Value, jmespath_of
from exporter.drafting.vocabulary import Role
from exporter.periods import parse_day

_FEWEST = 2


def daily_mapping(part: Any, now: datetime, zone: ZoneInfo) -> tuple[dict[str, Any] | None, str]:
    """mapping.daily, and how much of it there is; None where nothing is one for certain."""
    found = [each for each in _histories(part, (), 4) if _recent(each[2], now, zone)]
    if len(found) != 1:
        return None, ""
    mapping, days = found[0][0], found[0][2]
    return mapping, f"{len(days)} days"


def _histories(part: Any, path: Path, deepest: int) -> Iterator[tuple[dict[str, Any], Path, list[Any]]]:
    if deepest == 0:
        return
    if isinstance(part, list):
        if found := _entries(part):
            date, count = found
            dates = [entry[date] for entry in part]
            yield {"entries": jmespath_of(path), "date": jmespath_of((date,)), "requests": count}, path, dates
    elif isinstance(part, Mapping):
        keys = [key for key in part if isinstance(key, str)]
        dated = [key for key in keys if parse_day(key) is not None]
        numbers = all(Value((key,), part[key]).number is not None for key in dated)
        if len(dated) >= _FEWEST and len(dated) == len(keys) and numbers:
            yield {"entries": jmespath_of(path)}, path, dated
        for name in keys:
            yield from _histories(part[name], (*path, name), deepest - 1)


def _entries(part: list[Any]) -> tuple[str, str] | None:
    """The field of the date and the expression of the count, where each entry has one of either."""
    if len(part) < _FEWEST or not all(isinstance(entry, Mapping) for entry in part):
        return None
    first: Mapping[str, Any] = part[0]
    dates = [name for name, value in first.items() if isinstance(value, str) and parse_day(value[:10]) is not None]
    numbers = [Value((name,), value) for name, value in first.items() if Value((name,), value).number is not None]
    counts = [value for value in numbers if Role.USED in value.roles] if len(numbers) > 1 else numbers
    if len(dates) != 1 or len(counts) != 1:
        return None
    days = [entry.get(dates[0]) for entry in part]
    return (dates[0], counts[0].expression) if len(set(map(str, days))) == len(days) else None


def _recent(days: list[Any], now: datetime, zone: ZoneInfo) -> bool:
    today = now.astimezone(zone).date()
    found = [day for each in days if isinstance(each, str) and (day := parse_day(each[:10])) is not None]
    return bool(found) and max(found) <= today + timedelta(days=1)
