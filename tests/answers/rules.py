"""What the rules ask the samples of watching.py, each for itself: what others record is among the samples."""

from collections.abc import Iterator

from tests.answers.asking import Asked
from tests.answers.samples import NOON
from tests.answers.watching import TIMES
from tests.support.promtool import rules


def asked() -> Iterator[Asked]:
    for kind in ("record", "alert"):
        for name, rule in rules(kind).items():
            for about, ago in TIMES.items():
                yield Asked(name, about, rule["expr"], at=NOON - ago)
