"""Mutants of expressions, and whether the answers that are kept of them notice one."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby

from tests.answers.asking import Answer, Asked, Kept, answer, same
from tests.mutation.mutants import Mutant, mutants


@dataclass(frozen=True)
class ExprMutant:
    """One change to what is asked: about each organisation, or at each time."""

    key: str
    changed: str
    asked: tuple[Asked, ...]

    @property
    def name(self) -> str:
        return f"{self.key}: {self.changed}"


def expr_mutants(kept: Kept) -> Iterator[ExprMutant]:
    every = sorted(kept.asked(), key=lambda asked: asked.key)
    for key, group in groupby(every, key=lambda asked: asked.key):
        asked = list(group)
        # The names of organisations differ, and nothing else.
        changes: Iterator[tuple[Mutant, ...]] = zip(*(mutants(one.expr) for one in asked), strict=True)
        for change in changes:
            changed = (replace(one, expr=mutant.expr) for one, mutant in zip(asked, change, strict=True))
            yield ExprMutant(key, change[0].changed, tuple(changed))


class AnswerTests:
    """A Prometheus with the samples of which the answers are kept. Any number may ask it at once."""

    def __init__(self, kept: Kept) -> None:
        self._open = ExitStack()
        self._server = self._open.enter_context(kept.server())
        self._answers = kept.read()
        self._asked = list(kept.asked())

    def close(self) -> None:
        self._open.close()

    def passes(self) -> bool:
        """Whether nothing fails without a change."""
        return all(self._as_kept(asked) for asked in self._asked)

    def notice(self, asked: tuple[Asked, ...]) -> bool:
        return not all(self._as_kept(one) for one in asked)

    def _as_kept(self, asked: Asked) -> bool:
        expected: Answer = self._answers.get(asked.key, {}).get(asked.about, {})
        return same(answer(self._server, asked), expected)
