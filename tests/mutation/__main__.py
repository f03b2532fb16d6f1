"""`make mutate`: change one thing at a time, and see whether the tests notice.

Of all mutants at least 95 % have to be noticed; those that are not stand in survivors.yaml, each with a reason.
"""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import yaml
from rich.console import Console
from rich.progress import Progress

from tests.mutation.rules import RuleMutant, RuleTests, rule_mutants

SURVIVORS = Path(__file__).with_name("survivors.yaml")
WANTED_PERCENT = 95


def main() -> int:
    console = Console()
    found = list(rule_mutants())
    workers = os.cpu_count() or 1
    idle: Queue[RuleTests] = Queue()
    for _ in range(workers):
        idle.put(RuleTests())
    try:
        if not idle.queue[0].passes():
            console.print("The tests of the rules fail without any change: see make test.")
            return 1
        with Progress(console=console) as progress, ThreadPoolExecutor(workers) as pool:
            task = progress.add_task("mutants", total=len(found))

            def lives(mutant: RuleMutant) -> bool:
                tests = idle.get()
                try:
                    return tests.notice(mutant) is None
                finally:
                    idle.put(tests)
                    progress.advance(task)

            alive = [mutant.name for mutant, lived in zip(found, pool.map(lives, found), strict=True) if lived]
    finally:
        while not idle.empty():
            idle.get().close()
    return _judged(console, alive, len(found))


def _judged(console: Console, alive: Sequence[str], total: int) -> int:
    known = yaml.safe_load(SURVIVORS.read_text("utf-8"))
    reasons = {name: [one["reason"] for one in known if re.search(one["match"], name)] for name in alive}
    percent = 100 * (total - len(alive)) / total
    console.print(f"{total - len(alive):,} of {total:,} mutants were noticed: {percent:.1f} %")
    console.print(f"(at least {WANTED_PERCENT} % wanted, and a reason for every other one).")
    for name, found in reasons.items():
        why = " ".join(found) or "no reason in survivors.yaml"
        console.print(f"  not noticed: {name}\n    {why}", markup=False)
    return 0 if percent >= WANTED_PERCENT and all(reasons.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
