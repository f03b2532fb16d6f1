"""A JSON answer seen as named values: each with its path, and with what it may be. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.vocabulary import (
    BY_UNIT,
    END,
    LIMIT,
    REMAINING,
    START,
    UNITS,
    USED,
    Role,
    roles,
    snake,
    subject,
    window,
    words,
)
from exporter.periods import parse_day, parse_time

Path = tuple[str, ...]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\d{1,18}(\.\d+)?")
_ABOUT_THE_ANSWER = frozenset({"paging", "pagination", "pages", "page_info", "pageinfo", "meta", "request_info"})
_YEARS = range(2005, 2101)
_UNLIMITED = frozenset(
    {"unlimited", "infinite", "infinity", "none", "no limit", "unbegrenzt", "ilimitado", "illimite"}
)
# What vendors write for "no limit" where their field is a number.
_NO_LIMIT = 1e12
# Names that say nothing without what they stand in: requests.total, searches.value.
_BLANK = frozenset({"total", "value", "count", "amount", "number", "current", "sum", "quantity"})


def jmespath_of(path: Path) -> str:
    """As JMESPath; "@" for the whole."""
    return ".".join(name if _IDENTIFIER.fullmatch(name) else f'"{_escaped(name)}"' for name in path) or "@"


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


@dataclass(frozen=True)
class Value:
    """One number, text, truth or null of an answer. path: from the part that is looked at."""

    path: Path
    value: Any

    @property
    def number(self) -> float | None:
        """As a number, also where it stands in a text."""
        if isinstance(self.value, bool):
            return None
        if isinstance(self.value, int | float):
            return float(self.value)
        return float(self.value) if isinstance(self.value, str) and _NUMBER.fullmatch(self.value) else None

    @property
    def expression(self) -> str:
        path = jmespath_of(self.path)
        return f"to_number({path})" if isinstance(self.value, str) and self.number is not None else path

    @property
    def says_unlimited(self) -> bool:
        text = self.value.lower() if isinstance(self.value, str) else None
        return self.value is None or text in _UNLIMITED or (self.number is not None and self.number < 0)

    @property
    def is_no_limit(self) -> bool:
        """Where it is a limit."""
        return self.says_unlimited or (self.number is not None and self.number >= _NO_LIMIT)

    @cached_property
    def roles(self) -> dict[Role, float]:
        """By its own name; by what it stands in where that is blank."""
        if self.number is None and not self.says_unlimited:
            return {}
        own = roles(self.path[-1])
        unclear = max(own.values(), default=0.0) <= BY_UNIT
        if len(self.path) > 1 and (unclear or snake(self.path[-1]) in _BLANK):
            inherited = roles(self.path[-2])
            if inherited and set(words(self.path[-1])) <= _BLANK | set(words(self.path[-2])):
                return {role: 0.8 * sure for role, sure in inherited.items()}
            if unclear and max(inherited.values(), default=0.0) > BY_UNIT and subject(self.path[-1]):
                # usage: {searches: 3}, limits: {searches: 100}
                return {role: 0.8 * sure for role, sure in inherited.items() if role is not Role.REJECTED}
        return own

    @cached_property
    def subject(self) -> frozenset[str]:
        """What is counted: by the nearest name that says."""
        for name in reversed(self.path):
            if found := subject(name):
                return found
        return frozenset()

    @property
    def says_only_what(self) -> bool:
        """credits: 90 may be what was used or what is left."""
        said = set(words("_".join(self.path[-2:])))
        return not said & (USED | LIMIT | REMAINING) and bool(said & UNITS)

    @property
    def window(self) -> str | None:
        for name in reversed(self.path):
            if found := window(name):
                return found
        return None

    def moment(self, zone: ZoneInfo) -> datetime | None:
        """As a time of our days; a number only where its name is one of a time."""
        if isinstance(self.value, bool) or self.value is None:
            return None
        if self.number is not None and not set(words(self.path[-1])) & (END | START | {"timestamp", "time", "date"}):
            return None
        if isinstance(self.value, str) and self.number is None and parse_day(self.value[:10]) is None:
            return None
        try:
            found = parse_time(self.value if self.number is None else self.number, zone)
        except (ValueError, OverflowError):
            return None
        return found if found is not None and found.astimezone(UTC).year in _YEARS else None


def values(part: Any, deepest: int = 5) -> list[Value]:
    """The values of a part that stand in objects, not in lists."""
    return list(_values(part, (), deepest))


def _values(part: Any, path: Path, deepest: int) -> Iterator[Value]:
    if isinstance(part, Mapping):
        for name, member in part.items():
            if deepest > 0 and isinstance(name, str) and name.lower() not in _ABOUT_THE_ANSWER:
                yield from _values(member, (*path, name), deepest - 1)
    elif not isinstance(part, list) and path:
        yield Value(path, part)


@dataclass(frozen=True)
class Collection:
    """A list, or an object of like objects. keyed: elements stand under keys, which may be names or dates."""

    path: Path
    elements: tuple[Mapping[str, Any], ...]
    keys: tuple[str, ...] = ()

    @property
    def keyed(self) -> bool:
        return bool(self.keys)


def collections(part: Any, path: Path = (), deepest: int = 5) -> Iterator[Collection]:
    """All lists of objects and objects of like objects, the outermost first."""
    if deepest == 0:
        return
    if isinstance(part, list):
        elements = tuple(element for element in part if isinstance(element, Mapping))
        if elements and len(elements) == len(part):
            yield Collection(path, elements)
    elif isinstance(part, Mapping):
        members = [(name, member) for name, member in part.items() if isinstance(name, str)]
        objects = [(name, member) for name, member in members if isinstance(member, Mapping)]
        scopes = (
            len(objects) > 1 and len(objects) == len(members) and not all(_says_role(name) for name, _ in objects)
        )
        if scopes and _alike([member for _, member in objects]):
            yield Collection(path, tuple(member for _, member in objects), tuple(name for name, _ in objects))
        for name, member in members:
            yield from collections(member, (*path, name), deepest - 1)


def _says_role(name: str) -> bool:
    """usage: {…}, limits: {…} are no scopes."""
    return max(roles(name).values(), default=0.0) > BY_UNIT


def _alike(objects: list[Mapping[str, Any]]) -> bool:
    """Whether most have most of their names in common."""
    names = [frozenset(each) for each in objects]
    return all(len(one & names[0]) * 2 >= max(len(one), len(names[0]), 1) for one in names[1:])
