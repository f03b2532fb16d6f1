"""What the config check says about a file that it refuses."""

from pathlib import Path
from typing import Any

import pytest

from exporter.config.load import load_config
from exporter.errors import ConfigError
from tests.support.factories import write_config

URL = "http://127.0.0.1:9/{organisation_id}"


def refused(file: Path) -> list[str]:
    """The problems' lines, without the file's directory."""
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    return [str(problem).replace(f"{file.parent}/", "") for problem in caught.value.problems]


def refused_text(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return refused(file)


def refused_api(tmp_path: Path, **api: Any) -> list[str]:
    return refused(write_config(tmp_path / "config.yaml", {"url": URL, **api}))


def problem_of(tmp_path: Path, **api: Any) -> str:
    """The only problem of an api over the defaults, without file and line."""
    (line,) = refused_api(tmp_path, **api)
    return line.split(": ", 1)[1]
