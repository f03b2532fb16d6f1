"""The config file: YAML -> frozen Config, or a ConfigError that lists every problem with file, line and field."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.config.alerts import AlertsSource
from exporter.config.api import Api, ConfigFile, Organisation, ScopedSteps
from exporter.config.auth import Auth
from exporter.config.checks import cross_checks
from exporter.config.fields import scalar_as_text
from exporter.config.layers import merged
from exporter.config.preset import (
    EXAMPLE_ORGANISATIONS,
    NO_DOCUMENTATION,
    Documentation,
    documentation,
    load_preset,
    preset_document,
    preset_names,
)
from exporter.config.secrets import Secret
from exporter.config.steps import organisation_bands
from exporter.config.yaml_document import Document, FieldPath, suggestion
from exporter.errors import ConfigError, Problem
from exporter.redaction import without_secrets
from exporter.thresholds import Bands, OrganisationBands

# The fields of a mapping that say what is counted, and whose.
_COUNTED_BY = (
    "scopes",
    "scope",
    "organisations",
    "organisation_id",
    "joins",
    "filter",
    "name",
    "requests",
    "remaining",
    "scale",
)
# The fields of a mapping that say which scopes there are, and what they are called.
_LISTED_BY = ("scopes", "scope", "organisations", "organisation_id", "filter", "name")


@dataclass(frozen=True)
class Target:
    """One organisation of one api: all that a poll of it needs. Equal targets need no new poll after a reload.

    api: without its organisations, so that a new one among them does not make the others look changed. Nor do other
    thresholds: they are all in bands.
    documentation: the documented answers of the api's preset.
    """

    api: Api
    organisation: Organisation
    bands: OrganisationBands = field(default=OrganisationBands(), compare=False)
    documentation: Documentation = field(default=NO_DOCUMENTATION, repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """(api, organisation), as the labels show them."""
        return (self.api.name, self.organisation.display_name)

    @property
    def account(self) -> tuple[str, str, str, str]:
        """Whose data it is, as it is stored: as long as this stays the same, data known before is still its own."""
        url = without_secrets(f"{self.api.base_url or ''}{self.api.url}")
        return (*self.key, self.organisation.id, url)

    @cached_property
    def count_digest(self) -> str:
        """Of all that gives a count its meaning: two counts of different ones say nothing together."""
        api, mapping = self.api, self.api.mapping
        read = {name: getattr(mapping, name) for name in _COUNTED_BY}
        # What remains is taken off the limit, so that the limit's own meaning counts too.
        terms = (mapping.limit, api.static.limit, api.overrides) if mapping.remaining is not None else ()
        return _digest(self._asked, read, terms, api.time_zone.key)

    @cached_property
    def terms_digest(self) -> str:
        """Of all that says what limit, rate limit, plan and period are: a change of these is not the vendor's."""
        return _digest(self._asked, self.api.mapping, self.api.static, self.api.overrides, self.api.time_zone.key)

    @cached_property
    def listing_digest(self) -> str:
        """Of all that says which scopes there are: what another one leaves out is not missing from the answer."""
        read = {name: getattr(self.api.mapping, name) for name in _LISTED_BY}
        renamed = {scope: override.name for scope, override in self.api.overrides.items()}
        return _digest(self._asked, read, renamed)

    @property
    def retired_scopes(self) -> frozenset[str]:
        """The scopes that the vendor rightly reports no longer."""
        return frozenset(self.api.retired_scopes + self.organisation.retired_scopes)

    @property
    def _asked(self) -> object:
        requests = {
            name: (request.url, request.method, request.body, sorted(map(_origin, request.params.items())))
            for name, request in self.api.all_requests.items()
        }
        return self.api.base_url, requests

    @property
    def auth(self) -> Auth | None:
        return self.organisation.auth or self.api.auth

    @property
    def time_zone(self) -> ZoneInfo:
        return self.api.time_zone


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _origin(parameter: tuple[str, Secret]) -> tuple[str, str]:
    """Its name and text; of one from elsewhere only where from, since it may be a secret, and renewed."""
    name, text = parameter
    return name, text.value.get_secret_value() if text.value is not None else f"{text.env}{text.file}"


@dataclass(frozen=True)
class Config:
    """The config in use.

    targets: one for each organisation of each api, in the file's order. bands: where they begin in general;
    each target has its own. alerts: where the alerts are asked for.
    """

    file: Path
    targets: tuple[Target, ...]
    bands: Bands
    alerts: AlertsSource | None = None

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """(api, organisation) of each target."""
        return frozenset(target.key for target in self.targets)


def load_config(file: Path) -> Config:
    """Read and check a config file. Raises ConfigError with every problem found."""
    document, problems = _with_presets(Document.read(file))
    # The standard preset, which stands in for one that cannot be used, brings all that an api needs but its url.
    urls = {(*path, "url") for path in document.below} if problems else set()
    parsed = document.validate(ConfigFile, problems, may_lack=urls)
    problems += [document.problem(path, message) for path, message in cross_checks(parsed, document.writes)]
    if problems:
        raise ConfigError(tuple(problems))
    return Config(file, tuple(_targets(parsed)), parsed.thresholds.bands, parsed.alerts)


def load_example(preset: str, folders: Iterable[Path] = (), *, in_place_of_secrets: str | None = None) -> Target:
    """The target that a preset's example describes. Raises LookupError where there is no such preset, ConfigError.

    in_place_of_secrets: a text that stands for each secret from the environment, which then need not be there.
    """
    example = load_preset(preset, folders).example
    if in_place_of_secrets is not None:
        example = _without_environment(example, in_place_of_secrets)
    api = {"name": preset, "preset": preset, "organisations": EXAMPLE_ORGANISATIONS, **example}
    data = {"preset_folders": [str(folder) for folder in folders], "apis": [api]}
    document, problems = _with_presets(Document(f"the example of the preset {preset}", Path(), data, {}))
    return next(_targets(document.validate(ConfigFile, problems)))


def _without_environment(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"env"}:
            return secret
        return {name: _without_environment(member, secret) for name, member in value.items()}
    return [_without_environment(member, secret) for member in value] if isinstance(value, list) else value


def _targets(config: ConfigFile) -> Iterator[Target]:
    for api in config.apis:
        documented = documentation(api.preset, config.preset_folders) if api.preset else NO_DOCUMENTATION
        bare = api.model_copy(update={"organisations": (), "thresholds": ScopedSteps()})
        for organisation in api.organisations:
            bands = organisation_bands(config, api, organisation)
            yield Target(bare, organisation.model_copy(update={"thresholds": ScopedSteps()}), bands, documented)


def _with_presets(document: Document) -> tuple[Document, list[Problem]]:
    """The file, each api that names a preset on top of it, and what is wrong with the presets.

    An api whose preset cannot be used is put on top of the standard one, so that what is wrong beside the name shows
    at once; a mapping that would not go with that one's is taken as it is. What has another shape than apis have is
    left for the models.
    """
    data = document.data
    if not isinstance(data, dict):
        return document, []
    data = {name: value for name, value in data.items() if not name.startswith("x-")}
    if not isinstance(data.get("apis"), list):
        return document.with_data(data), []
    folders = data.get("preset_folders")
    folders = folders if isinstance(folders, list) else []
    paths = [document.directory / folder for folder in folders if isinstance(folder, str)]
    problems: list[Problem] = []
    below: dict[FieldPath, tuple[Document, FieldPath]] = {}
    apis: list[Any] = []
    for index, api in enumerate(data["apis"]):
        name = scalar_as_text(api.get("preset")) if isinstance(api, dict) else None
        if not isinstance(name, str):
            apis.append(api)
            continue
        unknown = False
        try:
            preset = preset_document(name, paths)
        except LookupError:
            unknown = True
            message = f"unknown preset {name!r}{suggestion(name, preset_names(paths))}"
            problems.append(document.problem(("apis", index, "preset"), message))
            preset = preset_document("standard")
        except ConfigError as error:
            problems += error.problems
            preset = preset_document("standard")
        below["apis", index] = (preset, ("api",))
        base = preset.data["api"]
        if unknown and {"scopes", "scope", "remaining"} & _fields(api.get("mapping")):
            base = {name: value for name, value in base.items() if name != "mapping"}
        apis.append(merged(base, api, Api))
    return document.with_data({**data, "apis": apis}, below), problems


def _fields(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()
