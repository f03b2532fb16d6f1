"""What was seen of one count: (time, count), thinned by age. Pure.

In memory a point is 8 bytes, or 12; Python's own floats in tuples would take ten times as much. Points are kept as
seen for 3 hours, and one in 10 minutes up to 48 hours: a scope takes the same memory however often it is polled.
The database keeps more: every poll for 48 hours, then one an hour for 35 days, then one a day for 13 months.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

HOUR = 3600
DAY = 24 * HOUR

# Unix seconds (until 2106) and the count; whole counts take less.
_POINT = struct.Struct("<Id")
_WHOLE = struct.Struct("<II")
_MOST_WHOLE = 2**32 - 1
# What stands before the points of a closed part, and how they are packed.
_KINDS = {b"d": _POINT, b"w": _WHOLE}
# Of so many points is a part that is not copied again; an hour's to a day's polls.
_PART = 48
_DENSE_FOR = 3 * HOUR
_SPACING = 600
KEPT_IN_MEMORY = 2 * DAY

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Points:
    """The points of the last 48 hours that are trusted, ascending by time in whole seconds.

    parts: closed and packed, all but the newest thinned; tail: packed by itself, still growing.
    revision: counts how often points that were here already have been taken back or put in between, after which
        what is stored must be written anew from `revised_from` (Unix time) on.
    """

    parts: tuple[bytes, ...] = ()
    tail: bytes = b""
    revision: int = 0
    revised_from: float = 0.0

    def __iter__(self) -> Iterator[Point]:
        for part in self.parts:
            yield from _unpacked(part)
        yield from _POINT.iter_unpack(self.tail)

    def __len__(self) -> int:
        return sum(map(_length, self.parts)) + len(self.tail) // _POINT.size

    @property
    def last(self) -> Point | None:
        """The newest point; None where there is none."""
        if self.tail:
            return _POINT.unpack_from(self.tail, len(self.tail) - _POINT.size)
        return _last(self.parts[-1]) if self.parts else None

    def since(self, moment: float) -> list[Point]:
        """The points at or after `moment`. Cheap where these are few."""
        found = [point for point in _POINT.iter_unpack(self.tail) if point[0] >= moment]
        for part in reversed(self.parts):
            if _last(part)[0] < moment:
                break
            found = [point for point in _unpacked(part) if point[0] >= moment] + found
        return found

    def add(self, at: float, count: float) -> "Points":
        """With one more point, and without those that are too old. A second one in the same second replaces it."""
        second = int(at)
        tail = self.tail
        if tail and _POINT.unpack_from(tail, len(tail) - _POINT.size)[0] >= second:
            tail = tail[: -_POINT.size]
        tail += _POINT.pack(second, count)
        if len(tail) < _PART * _POINT.size:
            return Points(self.parts, tail, self.revision, self.revised_from)
        closed = _closed(list(_POINT.iter_unpack(tail)))
        return Points(_aged((*self.parts, closed), second), b"", self.revision, self.revised_from)

    def until(self, moment: float) -> "Points":
        """Without the points after `moment`, which turned out to be wrong."""
        kept = [point for point in self if point[0] <= int(moment)]
        return _packed(kept, self.revision + 1, moment)

    def anew(self) -> "Points":
        """Without any, as another count begins; those that were here were right."""
        return Points((), b"", self.revision, self.revised_from)

    def with_earlier(self, points: Sequence[Point]) -> "Points":
        """With points from before these, as a database gives them back."""
        first = next(iter(self), None)
        earlier = [point for point in points if first is None or point[0] < first[0]]
        return _packed([*earlier, *self], self.revision, self.revised_from)


def _packed(points: Iterable[Point], revision: int, revised_from: float) -> Points:
    packed = Points()
    for at, count in points:
        packed = packed.add(at, count)
    return Points(packed.parts, packed.tail, revision, revised_from)


def _aged(parts: tuple[bytes, ...], now: float) -> tuple[bytes, ...]:
    """Old parts dropped, and the one that has just grown old enough thinned and joined to the one before."""
    kept = [part for part in parts if _last(part)[0] >= now - KEPT_IN_MEMORY]
    for place, part in enumerate(kept):
        if _last(part)[0] < now - _DENSE_FOR and _length(part) == _PART and not _is_spaced(part):
            points = _unpacked(part)
            thinned = [points[one] for one in kept_places(points, _SPACING)]
            if place and _length(kept[place - 1]) + len(thinned) <= _PART:
                kept[place - 1 : place + 1] = [_closed([*_unpacked(kept[place - 1]), *thinned])]
            else:
                kept[place] = _closed(thinned)
            break
    return tuple(kept)


def _is_spaced(part: bytes) -> bool:
    return _last(part)[0] - _unpacked(part)[0][0] >= (_PART - 1) * _SPACING * 0.9


def _closed(points: Sequence[Point]) -> bytes:
    """A part that grows no more."""
    if all(0 <= count <= _MOST_WHOLE and count == int(count) for _, count in points):
        return b"w" + b"".join(_WHOLE.pack(int(at), int(count)) for at, count in points)
    return b"d" + b"".join(_POINT.pack(int(at), count) for at, count in points)


def _unpacked(part: bytes) -> list[Point]:
    return [(at, float(count)) for at, count in _KINDS[part[:1]].iter_unpack(part[1:])]


def _length(part: bytes) -> int:
    return len(part) // _KINDS[part[:1]].size


def _last(part: bytes) -> Point:
    kind = _KINDS[part[:1]]
    at, count = kind.unpack_from(part, len(part) - kind.size)
    return at, float(count)


def kept_places(
    points: Sequence[Point],
    spacing: float,
    *,
    breaks: Iterable[int] = (),
    midnight_after: Callable[[float], float] | None = None,
) -> list[int]:
    """Which of the points stay when only one in `spacing` seconds is wanted: their places, ascending.

    The last of each stretch stays, and so does whatever days and billing periods are derived from: the first and the
    last of all, both sides of a fall, both sides of a midnight, both sides of a break (places at which something
    else begins, such as another mapping).
    midnight_after: Unix time -> the next local midnight after it; None where midnights do not matter.
    """
    if not points:
        return []
    kept = {0, len(points) - 1}
    for place in breaks:
        kept |= {place, max(place - 1, 0)}
    midnight = midnight_after(points[0][0]) if midnight_after else float("inf")
    for place in range(1, len(points)):
        (before, count_before), (at, count) = points[place - 1], points[place]
        if at >= midnight:
            kept |= {place - 1, place}
            assert midnight_after is not None  # noqa: S101
            midnight = midnight_after(at)
        if count < count_before:
            kept |= {place - 1, place}
        elif at // spacing != before // spacing:
            kept.add(place - 1)
    return sorted(kept)
