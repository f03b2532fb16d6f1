"""Which fields of an answer a mapping reads, found by reading it: an answer whose objects and lists note that."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reads:
    """What is read of a place. members: of an object, by name; each: of every member of a list, or of an object that
    is gone through."""

    is_read: bool = False
    members: dict[str, "Reads"] = field(default_factory=dict)
    each: "Reads | None" = None

    def member(self, name: str) -> "Reads":
        return self.members.setdefault(name, Reads())

    def any(self) -> "Reads":
        self.each = self.each or Reads(is_read=True)
        return self.each


class _ReadObject(dict[str, Any]):
    """An object that notes what is read of it."""

    def __init__(self, value: dict[str, Any], reads: Reads) -> None:
        # By dict's own items: this one's may be such an object already, and nothing is read of it here.
        super().__init__({name: noting(member, reads.member(name)) for name, member in dict.items(value)})
        self._reads = reads

    def get(self, name: str, default: Any = None) -> Any:
        self._reads.member(name).is_read = True
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self._reads.member(name).is_read = True
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._reads.member(str(name)).is_read = True
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        # With it, a copy such as {**this} reads each member by its name.
        return iter(super().keys())

    def items(self) -> Any:
        return [(name, noting(member, self._reads.any())) for name, member in super().items()]

    def values(self) -> Any:
        return [member for _, member in self.items()]


class _ReadList(list[Any]):
    """A list whose members note what is read of them."""


# JMESPath's functions know types by their names.
_ReadObject.__name__, _ReadList.__name__ = "dict", "list"


def noting(value: Any, reads: Reads) -> Any:
    """The value, equal to what it was, made of objects and lists that note what is read of them."""
    if isinstance(value, dict):
        return _ReadObject(value, reads)
    if isinstance(value, list):
        each = reads.any()
        return _ReadList([noting(one, each) for one in value])
    return value
