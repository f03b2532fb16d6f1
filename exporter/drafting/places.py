"""Where an answer's scopes stand: in a list or an object, side by side, or the whole answer is one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from exporter.drafting.answer import Collection, Path, Value, collections, jmespath_of, values
from exporter.drafting.model import NothingFoundError, Option, Question
from exporter.drafting.quotas import Quota, candidates, quotas
from exporter.drafting.vocabulary import IDS, NAMES, Role, counted, snake

WHOLE = "@"
# Of the elements of a collection, so many have a quota.
_MOST = 0.6
OPTIONS_SHOWN = 6
# So deep in a scope's part are its numbers.
DEPTH = 3
_ELEMENTS_READ = 20
_PER = {"month": "", "1d": " today", "1h": " this hour", "1m": " this minute"}


@dataclass(frozen=True)
class Part:
    """A quota where it stands. names: by which a person knows it."""

    quota: Quota
    name: str


@dataclass(frozen=True)
class Place:
    """One way to see where the scopes are. where: a path of the answer, or WHOLE. sure: for comparing them."""

    where: str
    sure: float
    collection: Collection | None = None
    parts: tuple[Part, ...] = ()
    others: tuple[Quota, ...] = field(default=(), repr=False)


def places_of(answer: Any) -> list[Place]:
    """All ways to see where the scopes are, surest first."""
    whole = values(answer)
    parts = quotas(whole)
    places = []
    for collection in collections(answer):
        place = _collected(collection)
        if place is not None:
            places.append(place)
    taken = {place.collection.path for place in places if place.collection is not None}
    outside = [part for part in parts if not any(_inside(part, path) for path in taken)]
    if outside:
        best = max(quota.sure for quota in outside)
        named = _named(_of_periods([quota for quota in outside if quota.sure >= 0.5 * best]))
        places.append(Place(WHOLE, best, None, tuple(named), tuple(candidates(whole))))
    if not places:
        raise NothingFoundError(
            "no number here is called used, limit or remaining, or the like: is this the answer that tells the usage?"
        )
    return sorted(places, key=lambda place: -place.sure)


def _of_periods(found: list[Quota]) -> list[Quota]:
    """Without windows of a minute, which are rate limits, where there is anything longer."""
    return [quota for quota in found if window_of(quota) != "1m"] or found


def window_of(quota: Quota) -> str | None:
    return next((value.window for value in quota.values if value.window), None)


def _inside(quota: Quota, path: Path) -> bool:
    return all(value.path[: len(path)] == path for value in quota.values)


def _collected(collection: Collection) -> Place | None:
    """A collection whose elements have a quota each, of the same fields."""
    each = [quotas(values(element, DEPTH)) for element in collection.elements]
    with_one = [found[0] for found in each if found]
    if len(with_one) < _MOST * len(each) or _dated(collection):
        return None
    if collection.keyed and all(len(found) > 1 for found in each if found):
        return None
    # That the elements agree on the fields is evidence in itself.
    shapes = [tuple(value.path for value in quota.values) for quota in with_one]
    common = max(set(shapes), key=shapes.count)
    agree = shapes.count(common) / len(shapes)
    if agree < _MOST:
        return None
    quota = max((q for q, shape in zip(with_one, shapes, strict=True) if shape == common), key=lambda q: q.sure)
    bonus = 1.15 if len(collection.elements) > 1 else 1.0
    others = [
        reading for element in collection.elements[:_ELEMENTS_READ] for reading in candidates(values(element, DEPTH))
    ]
    return Place(
        jmespath_of(collection.path),
        min(1.0, quota.sure * agree * bonus),
        collection,
        (Part(quota, ""),),
        tuple(sorted(others, key=lambda each: -each.sure)),
    )


def _dated(collection: Collection) -> bool:
    """Days of a history rather than scopes."""
    zone = ZoneInfo("UTC")
    if collection.keyed:
        return all(Value((key,), key).moment(zone) is not None for key in collection.keys)
    first = {name: member for name, member in collection.elements[0].items() if not isinstance(member, dict | list)}
    dates = [name for name, member in first.items() if Value((name,), member).moment(zone) is not None]
    limited = any(Role.LIMIT in Value((name,), member).roles for name, member in first.items())
    return bool(dates) and not limited and name_field(collection) is None


def _named(found: Sequence[Quota]) -> list[Part]:
    """Each by what is counted and its window, so that no two share a name."""
    parts, names = [], set()
    for quota in found:
        name = title(quota)
        if name in names:
            name = f"{name} ({jmespath_of(quota.values[0].path)})"
        names.add(name)
        parts.append(Part(quota, name))
    return parts


def title(quota: Quota) -> str:
    """What is counted, in the vendor's own words: Searches, Credits today."""
    names = [name for value in quota.values for name in reversed(value.path)]
    said = max((counted(name) for name in names), key=lambda found: (bool(found), *_plural(found)), default=())
    text = " ".join(said) or "requests"
    return f"{text[0].upper()}{text[1:]}{_PER[window_of(quota) or 'month']}"


def _plural(found: tuple[str, ...]) -> tuple[int, bool]:
    return -len(found), bool(found) and found[-1].endswith("s")


def chosen_place(places: Sequence[Place], chosen: Mapping[str, str]) -> tuple[Place, tuple[Question, ...]]:
    if "scopes" in chosen:
        for place in places:
            if place.where == chosen["scopes"]:
                return place, ()
        known = ", ".join(repr(place.where) for place in places)
        raise NothingFoundError(f"scopes: {chosen['scopes']!r} holds no allowance; {known} do")
    best = places[0]
    # An account's total beside its scopes is no other reading of them.
    near = [
        place for place in places if place.sure >= 0.9 * best.sure and (place is best or place.collection is not None)
    ]
    if len(near) == 1:
        return best, ()
    options = tuple(Option(place.where, _label(place)) for place in near[:OPTIONS_SHOWN])
    return best, (Question("scopes", "Where are the scopes, each with a limit of its own?", options),)


def _label(place: Place) -> str:
    if place.collection is None:
        return f"the whole answer: {', '.join(part.name for part in place.parts)}"
    return f"the {len(place.collection.elements)} elements of {place.where}"


def name_field(collection: Collection) -> Path | None:
    """The field of the elements that names them: a text, another in each."""
    texts = {
        value.path: value.value
        for value in values(collection.elements[0], 2)
        if isinstance(value.value, str) and value.number is None
    }
    best: tuple[int, Path] | None = None
    for path in texts:
        rank = _name_rank(path)
        different = {at(element, path) for element in collection.elements if isinstance(at(element, path), str)}
        if rank is not None and len(different) == len(collection.elements) and (best is None or rank < best[0]):
            best = (rank, path)
    return best[1] if best is not None else None


def _name_rank(path: Path) -> int | None:
    own = snake(path[-1])
    whole = "_".join(snake(each) for each in path)
    for rank, known in enumerate([*NAMES, *IDS]):
        if own == known or own.endswith(f"_{known}") or whole.startswith(f"{known}_"):
            return rank
    return None


def at(part: Any, path: Path) -> Any:
    for name in path:
        part = part.get(name) if isinstance(part, Mapping) else None
    return part
