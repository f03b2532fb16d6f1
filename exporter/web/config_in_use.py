"""The config in use, as YAML and without secrets."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import groupby
from typing import Any

import yaml
from pydantic import SecretStr

from exporter.config.load import Config, Target
from exporter.redaction import HIDDEN, redact, redact_value, without_secrets
from exporter.thresholds import OrganisationBands


class ConfigInUse:
    """For one event loop; the text is made in a thread, once for each config."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="config")
        self._made: tuple[Config, str] | None = None

    async def text(self) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._text)

    def _text(self) -> str:
        config = self._config()
        if self._made is None or self._made[0] is not config:
            self._made = (config, config_text(config))
        return self._made[1]


def config_text(config: Config) -> str:
    """Its organisations by api, presets resolved, with the fields that the file or the preset sets."""
    apis = [_api(list(targets)) for _, targets in groupby(config.targets, key=lambda target: target.api.name)]
    thresholds = {"warning": config.bands.warning, "critical": config.bands.critical}
    alerts = {} if config.alerts is None else {"alerts": _shown(config.alerts.model_dump(exclude_unset=True))}
    return str(
        yaml.safe_dump(
            {"thresholds": thresholds, **alerts, "apis": apis}, allow_unicode=True, sort_keys=False, width=120
        )
    )


def _api(targets: list[Target]) -> dict[str, Any]:
    organisations = [
        {
            **_shown(target.organisation.model_dump(exclude_unset=True, exclude={"thresholds"})),
            "thresholds": _thresholds(target.bands),
        }
        for target in targets
    ]
    dumped = targets[0].api.model_dump(exclude_unset=True, exclude={"organisations", "thresholds"})
    return {**_shown(dumped), "organisations": organisations}


def _thresholds(bands: OrganisationBands) -> dict[str, Any]:
    """Those in force for the organisation, wherever they are from."""
    scopes = {name: asdict(own) for name, own in bands.scopes.items()}
    return {**asdict(bands.general), **({"scopes": scopes} if scopes else {})}


def _shown(value: Any, name: str = "") -> Any:
    """Plain data for YAML; name: the field that it stands under."""
    if isinstance(value, SecretStr):
        return HIDDEN
    if name == "body":
        return redact_value(value)
    if isinstance(value, dict):
        return {str(key): _shown(member, str(key)) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(member, name) for member in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redact(without_secrets(str(value)))
