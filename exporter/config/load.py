"""The config file: YAML -> frozen Config, or a ConfigError that lists every problem with file, line and field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.config.api import Api, ConfigFile, Organisation, Preset
from exporter.config.auth import Auth
from exporter.config.checks import cross_checks
from exporter.config.yaml_document import Document, FieldPath, suggestion
from exporter.errors import ConfigError
from exporter.redaction import without_secrets
from exporter.thresholds import Bands


@dataclass(frozen=True)
class Target:
    """One organisation of one api: all that a poll of it needs. Equal targets need no new poll after a reload.

    api: without its organisations, so that a new one among them does not make the others look changed.
    """

    api: Api
    organisation: Organisation

    @property
    def key(self) -> tuple[str, str]:
        """(api, organisation), as the labels show them."""
        return (self.api.name, self.organisation.display_name)

    @property
    def account(self) -> tuple[str, str, str, str]:
        """Whose data it is, as it is stored: as long as this stays the same, data known before is still its own."""
        url = without_secrets(f"{self.api.base_url or ''}{self.api.url}")
        return (*self.key, self.organisation.id, url)

    @property
    def auth(self) -> Auth | None:
        return self.organisation.auth or self.api.auth

    @property
    def time_zone(self) -> ZoneInfo:
        return self.api.time_zone


@dataclass(frozen=True)
class Config:
    """The config in use.

    targets: one for each organisation of each api, in the file's order. bands: where the cards change colour.
    """

    file: Path
    targets: tuple[Target, ...]
    bands: Bands

    @property
    def apis(self) -> frozenset[str]:
        """The apis' names."""
        return frozenset(target.api.name for target in self.targets)


def load_config(file: Path) -> Config:
    """Read and check a config file. Raises ConfigError with every problem found."""
    document = Document.read(file)
    data, problems = _with_presets(document)
    # The standard preset, which stands in for an unknown one, brings all that an api needs but its url.
    urls = {(*path[:-1], "url") for path, _ in problems}
    parsed = document.with_data(data).validate(ConfigFile, problems, may_lack=urls)
    problems += cross_checks(parsed)
    if problems:
        raise ConfigError(tuple(document.problem(path, message) for path, message in problems))
    return Config(file, tuple(_targets(parsed)), parsed.thresholds.bands)


def _targets(config: ConfigFile) -> Iterator[Target]:
    for api in config.apis:
        bare = api.model_copy(update={"organisations": ()})
        for organisation in api.organisations:
            yield Target(bare, organisation)


def _with_presets(document: Document) -> tuple[Any, list[tuple[FieldPath, str]]]:
    """The file's data, each api that names a preset on top of it, and a problem for each unknown preset.

    An api with an unknown preset is put on top of the standard one, so that what is wrong beside the name shows at
    once. What has another shape than apis have is left for the models.
    """
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("apis"), list):
        return data, []
    folders = data.get("preset_folders")
    folders = folders if isinstance(folders, list) else []
    paths = [document.directory / folder for folder in folders if isinstance(folder, str)]
    apis: list[Any] = []
    problems: list[tuple[FieldPath, str]] = []
    for index, api in enumerate(data["apis"]):
        name = api.get("preset") if isinstance(api, dict) else None
        if not isinstance(name, str):
            apis.append(api)
            continue
        known = preset_names(paths)
        if name not in known:
            problems.append((("apis", index, "preset"), f"unknown preset {name!r}{suggestion(name, known)}"))
            apis.append(_merged(load_preset("standard").api, api))
            continue
        apis.append(_merged(load_preset(name, paths).api, api))
    return {**data, "apis": apis}, problems


def _merged(below: Any, above: Any) -> Any:
    """`above` on top of `below`: objects field by field, all else replaced. auth is replaced whole."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    both = {name: _merged(below[name], above[name]) for name in below.keys() & above.keys() if name != "auth"}
    return {**below, **above, **both}


def preset_names(folders: Iterable[Path] = ()) -> list[str]:
    """The presets in these folders and the built-in ones."""
    names = {file.name for folder in _folders(folders) for file in folder.iterdir()}
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_preset(name: str, folders: Iterable[Path] = ()) -> Preset:
    """A preset that `preset_names` lists; the first folder that has it counts. Raises ConfigError if it is wrong."""
    for folder in _folders(folders):
        file = folder / f"{name}.yaml"
        if file.is_file():
            return Document.parse(str(file), file.read_text(encoding="utf-8"), Path()).validate(Preset)
    raise LookupError(name)


def _folders(own: Iterable[Path]) -> Iterator[Traversable]:
    yield from (folder for folder in own if folder.is_dir())
    yield files("exporter.config.presets")
