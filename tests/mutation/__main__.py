"""`make mutate`: change one thing at a time, and see whether the tests notice.

Of all mutants at least 95 % have to be noticed; those that are not stand in survivors.yaml, each with a reason.
"""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from queue import Queue
from typing import Protocol, TypeVar

import yaml
from rich.console import Console
from rich.progress import Progress

from tests.answers.kept import PANELS, RULES
from tests.mutation.answers import AnswerTests, ExprMutant, expr_mutants
from tests.mutation.rules import RuleMutant, RuleTests, rule_mutants

SURVIVORS = Path(__file__).with_name("survivors.yaml")
WANTED_PERCENT = 95
_WORKERS = os.cpu_count() or 1


class Named(Protocol):
    """A mutant."""

    @property
    def name(self) -> str:
        """What was changed, and of what."""


Mutant = TypeVar("Mutant", bound=Named)


def main() -> int:
    console = Console()
    with ExitStack() as opened:
        panels = opened.enter_context(closing(AnswerTests(PANELS)))
        answers = opened.enter_context(closing(AnswerTests(RULES)))
        rules = opened.enter_context(closing(_RuleTests(answers)))
        if not (panels.passes() and answers.passes() and rules.passes()):
            console.print("The tests fail without any change: see make test.")
            return 1

        def notice(mutant: ExprMutant) -> bool:
            return panels.notice(mutant.asked)

        ok = [
            _judged(console, "panels", list(expr_mutants(PANELS)), notice),
            _judged(console, "rules", list(rule_mutants()), rules.notice),
        ]
    return 0 if all(ok) else 1


class _RuleTests:
    """Copies of the tests, of which each does one thing at a time."""

    def __init__(self, answers: AnswerTests) -> None:
        self._idle: Queue[RuleTests] = Queue()
        for _ in range(_WORKERS):
            self._idle.put(RuleTests(answers))

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def passes(self) -> bool:
        first: RuleTests = self._idle.queue[0]
        return first.passes()

    def notice(self, mutant: RuleMutant) -> bool:
        tests = self._idle.get()
        try:
            return tests.notice(mutant)
        finally:
            self._idle.put(tests)


def _judged(console: Console, of: str, found: Sequence[Mutant], notice: Callable[[Mutant], bool]) -> bool:
    """Whether enough is noticed, and why the rest is not is known."""
    with Progress(console=console) as progress, ThreadPoolExecutor(_WORKERS) as pool:
        noticed = list(progress.track(pool.map(notice, found), total=len(found), description=of))
    alive = [mutant.name for mutant, seen in zip(found, noticed, strict=True) if not seen]
    known = yaml.safe_load(SURVIVORS.read_text("utf-8"))
    reasons = {name: [one["reason"] for one in known if re.search(one["match"], name)] for name in alive}
    percent = 100 * (len(found) - len(alive)) / len(found)
    console.print(f"{of}: {len(found) - len(alive):,} of {len(found):,} mutants were noticed: {percent:.1f} %")
    console.print(f"(at least {WANTED_PERCENT} % wanted, and a reason for every other one).")
    for name, why in reasons.items():
        text = " ".join(why) or "no reason in survivors.yaml"
        console.print(f"  not noticed: {name}\n    {text}", markup=False, highlight=False, soft_wrap=True)
    return percent >= WANTED_PERCENT and all(reasons.values())


if __name__ == "__main__":
    raise SystemExit(main())
