"""The two files of answers."""

from pathlib import Path

from tests.answers import panels, rules, usage, watching
from tests.answers.asking import Kept

_HERE = Path(__file__).parent
PANELS = Kept(_HERE / "panels.yaml", usage.series, panels.asked)
RULES = Kept(_HERE / "rules.yaml", watching.series, rules.asked)
