"""Bar charts as SVG, readable on a light and on a dark page."""

import math
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATE = Path(__file__).parent
WIDTH, LABEL_WIDTH, ROW = 960, 460, 30


@dataclass(frozen=True)
class Bar:
    """value: of the length; text: the value as people write it."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Chart:
    """file: its name; limit: where a line stands for what is wanted; logarithmic: for values a thousandfold apart."""

    file: str
    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None
    limit_text: str = ""
    logarithmic: bool = False

    def svg(self) -> str:
        environment = Environment(loader=FileSystemLoader(_TEMPLATE), undefined=StrictUndefined, autoescape=True)
        return environment.get_template("chart.svg").render(
            chart=self, length=self._length, width=WIDTH, label_width=LABEL_WIDTH, row=ROW
        )

    def _length(self, value: float) -> float:
        """Of a bar, in pixels."""
        room = WIDTH - LABEL_WIDTH - 110
        values = [*(bar.value for bar in self.bars), *([] if self.limit is None else [self.limit])]
        if not self.logarithmic:
            return room * value / max(values)
        least = min(values) / 2
        return room * math.log(value / least) / math.log(max(values) / least)
