"""The config to start from, and the JSON Schema by which editors complete and check it; both in the package."""

from importlib.resources import files
from pathlib import Path

_HERE = files("exporter.config")
SCHEMA_FILE = "config.schema.json"


def example(schema: str | None = None) -> str:
    """The example's text. schema: where its schema lies; by default, as it is installed."""
    text = _HERE.joinpath("example.yaml").read_text(encoding="utf-8")
    return text.replace("SCHEMA", schema or str(Path(str(_HERE.joinpath(SCHEMA_FILE)))), 1)
