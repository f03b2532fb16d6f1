"""How something that runs differs from the bundle."""

from dataclasses import dataclass


def printable(text: str) -> str:
    """What a server sent, on one line, and with nothing in it that would move a terminal's cursor."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True)
class Difference:
    """about: what differs. lines: how, for people; - stands before what runs, + before what the bundle has."""

    about: str
    lines: tuple[str, ...] = ()
