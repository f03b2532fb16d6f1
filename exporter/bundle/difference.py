"""How something that runs differs from the bundle."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """about: what differs. lines: how, for people; - stands before what runs, + before what the bundle has."""

    about: str
    lines: tuple[str, ...] = ()
