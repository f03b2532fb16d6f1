"""What a draft is. Frozen plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What was taken for a field. expression: as in the config; value: as the answer has it; why: the evidence."""

    scope: str
    field: str
    expression: str
    value: Any
    why: str = ""


@dataclass(frozen=True)
class Option:
    """choice: what `chosen` takes; label: what it means, with its value."""

    choice: str
    label: str


@dataclass(frozen=True)
class Question:
    """What is not certain. options: the likeliest first. must: no answer is likely, so one has to be given."""

    field: str
    text: str
    options: tuple[Option, ...] = ()
    must: bool = False


@dataclass(frozen=True)
class Draft:
    """mapping, static, overrides: as the config's api has them. taken: what was settled without certainty, a
    sentence each."""

    mapping: Mapping[str, Any]
    static: Mapping[str, Any]
    overrides: Mapping[str, Any]
    readings: tuple[Reading, ...] = ()
    questions: tuple[Question, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not any(question.must for question in self.questions)


class NothingFoundError(ValueError):
    """No number of the answer looks like an allowance, or a choice does not fit; the message says which."""
