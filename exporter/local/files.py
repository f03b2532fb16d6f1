"""Configs with the addresses and paths of one machine instead of the containers'."""

from collections.abc import Mapping
from pathlib import Path


def localised(source: Path, replacements: Mapping[str, str], destination: Path) -> Path:
    """Copy a provisioning file, replacing the containers' names. Raises ValueError where one does not occur."""
    text = source.read_text(encoding="utf-8")
    for name, local in replacements.items():
        if name not in text:
            raise ValueError(f"{source} does not mention {name}")
        text = text.replace(name, local)
    destination.write_text(text, encoding="utf-8")
    return destination
