"""What is measured: figures, the targets that they are held against, and how both are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Figure:
    """One measurement. unit: "" for ratios; at_most, at_least: the target, where there is one."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_most is not None and self.value > self.at_most
        return not above and not (self.at_least is not None and self.value < self.at_least)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """(what, measured, wanted, met)"""
        bounds = [
            f"{word} {number(bound)}{self._unit}"
            for word, bound in (("at most", self.at_most), ("at least", self.at_least))
            if bound is not None
        ]
        met = {None: "", True: "yes", False: "NO"}[self.met]
        return self.what, f"{number(self.value)}{self._unit}", " and ".join(bounds), met

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


class Picture(Protocol):
    """file: its name in docs/images."""

    @property
    def file(self) -> str: ...

    @property
    def title(self) -> str: ...

    def svg(self) -> str: ...


@dataclass(frozen=True)
class Report:
    """What one benchmark found.

    about: the conditions, in a sentence or two. summary: the main figures for programs, printed as JSON.
    """

    title: str
    about: str
    figures: tuple[Figure, ...]
    charts: Sequence[Picture] = ()
    summary: Mapping[str, object] | None = None

    @property
    def markdown(self) -> str:
        rows = [("", "measured", "wanted", "met"), ("---", "---", "---", "---")]
        rows += [figure.cells for figure in self.figures]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        pictures = "".join(f"\n![{chart.title}](images/{chart.file})\n" for chart in self.charts)
        return f"## {self.title}\n\n{self.about}\n\n{table}\n{pictures}"


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def number(value: float) -> str:
    """Three digits are what such measurements are good for."""
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.3g}"
