"""Configs and answers with sensible defaults, of which a test names what it is about."""

from pathlib import Path
from typing import Any

import yaml

from exporter.config.load import Config, Target, load_config

STANDARD_SCOPE: dict[str, Any] = {"name": "Maps", "requests": 750, "limit": 1000}


def answer(*scopes: dict[str, Any]) -> dict[str, Any]:
    """An answer in the standard contract; each scope over the defaults of STANDARD_SCOPE."""
    return {"scopes": [{**STANDARD_SCOPE, **scope} for scope in scopes or ({},)]}


def write_config(file: Path, *apis: dict[str, Any], **top: Any) -> Path:
    """A config file with these apis, each over defaults that need only a url."""
    defaults: dict[str, Any] = {"name": "demo", "preset": "standard", "organisations": [{"id": "acme"}]}
    merged = [{**defaults, **api} for api in apis]
    for api in merged:
        if {"scopes", "scope"} & api.get(
            "mapping", {}
        ).keys():  # a whole mapping, not some fields on top of the preset
            del api["preset"]
    document = {"min_poll_interval": "1s", **top, "apis": merged}
    file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return file


def load(file: Path, *apis: dict[str, Any], **top: Any) -> Config:
    return load_config(write_config(file, *apis, **top))


def make_target(directory: Path, **api: Any) -> Target:
    """One target; `api` holds fields of the config's api entry."""
    return load(directory / "config.yaml", {"url": "http://127.0.0.1:9/{organisation_id}", **api}).targets[0]
