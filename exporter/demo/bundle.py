"""The files of provisioning/, with the addresses and paths of one machine instead of the containers'."""

from collections.abc import Mapping
from pathlib import Path

PROVISIONING = "provisioning"
RULES = "alert_rules"


def project_folder(name: str) -> Path:
    """A top-level folder of the project; an installed package has them beside it as well."""
    return Path(__file__).resolve().parents[2] / name


def localised(source: Path, replacements: Mapping[str, str], destination: Path) -> Path:
    """Copy a provisioning file, replacing the containers' names. Raises ValueError where one does not occur."""
    text = source.read_text(encoding="utf-8")
    for name, local in replacements.items():
        if name not in text:
            raise ValueError(f"{source} does not mention {name}")
        text = text.replace(name, local)
    destination.write_text(text, encoding="utf-8")
    return destination
