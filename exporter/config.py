"""The config file: YAML -> frozen Config, or a ConfigError that lists every problem with file, line and field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.config_checks import Path_, cross_checks, suggestion
from exporter.errors import ConfigError, Problem
from exporter.schema import Api, Auth, ConfigFile, Organisation, Preset

Model = TypeVar("Model", bound=BaseModel)


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
        return (self.api.name, self.organisation.label)

    @property
    def account(self) -> tuple[str, str, str, str]:
        """Whose data it is: as long as this stays the same, data known before is still this organisation's."""
        return (*self.key, self.organisation.id, f"{self.api.base_url or ''}{self.api.url}")

    @property
    def auth(self) -> Auth | None:
        return self.organisation.auth or self.api.auth

    @property
    def time_zone(self) -> ZoneInfo:
        return self.api.time_zone


@dataclass(frozen=True)
class Config:
    """The config in use. targets: one for each organisation of each api, in the file's order."""

    file: Path
    targets: tuple[Target, ...]

    @property
    def apis(self) -> frozenset[str]:
        """The apis' names."""
        return frozenset(target.api.name for target in self.targets)


def load_config(file: Path) -> Config:
    """Read and check a config file. Raises ConfigError with every problem found."""
    document = _Document.read(file)
    problems: list[tuple[Path_, str]] = []
    parsed = document.with_data(_with_presets(document, problems)).validate(ConfigFile, problems)
    problems += cross_checks(parsed)
    if problems:
        raise ConfigError(tuple(document.problem(path, message) for path, message in problems))
    return Config(file, tuple(_targets(parsed)))


def _targets(config: ConfigFile) -> Iterator[Target]:
    for api in config.apis:
        bare = api.model_copy(update={"organisations": ()})
        for organisation in api.organisations:
            yield Target(bare, organisation)


def _with_presets(document: "_Document", problems: list[tuple[Path_, str]]) -> Any:
    """The file's data, each api that names a preset on top of it. What has another shape is left for the models."""
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("apis"), list):
        return data
    folders = data.get("preset_folders")
    paths = [document.directory / folder for folder in folders or () if isinstance(folder, str)]
    apis = []
    for index, api in enumerate(data["apis"]):
        name = api.get("preset") if isinstance(api, dict) else None
        if not isinstance(name, str):
            apis.append(api)
            continue
        known = preset_names(paths)
        if name not in known:
            problems.append((("apis", index, "preset"), f"unknown preset {name!r}{suggestion(name, known)}"))
            # What it would have brought must not be told as missing.
            apis.append(_merged({**load_preset("standard").api, "url": "http://unknown/"}, api))
            continue
        apis.append(_merged(load_preset(name, paths).api, api))
    return {**data, "apis": apis}


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
            return _Document.parse(str(file), file.read_text(encoding="utf-8"), Path()).validate(Preset)
    raise LookupError(name)


def _folders(own: Iterable[Path]) -> Iterator[Traversable]:
    yield from (folder for folder in own if folder.is_dir())
    yield files("exporter.presets")


@dataclass(frozen=True)
class _Document:
    """A YAML file's data, and the line of each of its fields."""

    file: str
    directory: Path
    data: Any
    lines: dict[Path_, int]

    @classmethod
    def read(cls, file: Path) -> "_Document":
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError((Problem(str(file), None, "", f"cannot be read: {error.strerror}"),)) from None
        except UnicodeDecodeError:
            raise ConfigError((Problem(str(file), None, "", "is not UTF-8 text"),)) from None
        return cls.parse(str(file), text, file.parent)

    @classmethod
    def parse(cls, name: str, text: str, directory: Path) -> "_Document":
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            raise ConfigError((Problem(name, line, "", f"is not YAML: {error.problem or error.context}"),)) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError((Problem(name, None, "", f"is not YAML: {error}"),)) from None
        if node is None:
            raise ConfigError((Problem(name, None, "", "is empty; it needs at least: apis"),))
        constructor = _Constructor(name, loader)
        try:
            data = constructor.construct(node)
        except RecursionError:
            raise ConfigError((Problem(name, None, "", "is nested too deeply"),)) from None
        if constructor.problems:
            raise ConfigError(tuple(constructor.problems))
        return cls(name, directory, data, constructor.lines)

    def with_data(self, data: Any) -> "_Document":
        return replace(self, data=data)

    def validate(self, model: type[Model], also: Iterable[tuple[Path_, str]] = ()) -> Model:
        """The data as a model. Raises ConfigError with what is wrong, and with `also` if anything is."""
        try:
            return model.model_validate(self.data, context={"directory": self.directory})
        except ValidationError as error:
            details = [item for item in error.errors(include_url=False) if not _is_echo(item)]
            found = [(self._known(item["loc"]), _in_words(item, model)) for item in details]
            found = [(path, words) for path, words in found if not _misspelt(path, words, found)]
            problems = (self.problem(path, message) for path, message in (*also, *found))
            raise ConfigError(tuple(sorted(dict.fromkeys(problems), key=lambda item: item.line or 0))) from None

    def problem(self, path: Path_, message: str) -> Problem:
        return Problem(self.file, self._line(path), _dotted(path), message)

    def _line(self, path: Path_) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def _known(self, location: Path_) -> Path_:
        """Pydantic's location without the parts that name a union's member or a validator, not a field."""
        path: Path_ = ()
        for position, part in enumerate(location):
            last = position == len(location) - 1
            if (*path, part) in self.lines or (last and _is_field(part)):
                path = (*path, part)
        return path


def _misspelt(path: Path_, words: str, found: list[tuple[Path_, str]]) -> bool:
    """Whether a field is missing only because it is misspelt, which is told already."""
    hint = f"did you mean {path[-1]}?" if path else ""
    return words == "is missing" and any(other[:-1] == path[:-1] and hint in told for other, told in found)


def _is_echo(error: ErrorDetails) -> bool:
    """Pydantic calls a list too short when its members are wrong; the members' own errors say enough."""
    return error["type"] == "too_short" and bool(error["input"])


def _is_field(part: str | int) -> bool:
    return isinstance(part, str) and part.isidentifier() and part not in _UNION_MEMBERS


# Pydantic puts these into locations for unions such as `float | Literal["unlimited"]`.
_UNION_MEMBERS = frozenset({"float", "int", "str", "bool", "none", "literal", "bearer", "header", "basic"})


_PLAIN_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class _Constructor:
    """Turns nodes into plain data; notes each field's line, and refuses duplicate keys, which PyYAML lets pass."""

    file: str
    loader: yaml.SafeLoader
    lines: dict[Path_, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def construct(self, node: yaml.Node, path: Path_ = ()) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN_COLLECTIONS:
            self._refuse(node, path, f"has the tag {node.tag}, which means nothing here")
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.construct(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        try:
            value = self.loader.construct_object(node, deep=True)
            # 04712 is octal and 47:12 sexagesimal in YAML 1.1; nobody who writes an id means that.
            return node.value if type(value) is int and str(value) != node.value else value
        except (yaml.YAMLError, ValueError) as error:
            self._refuse(node, path, getattr(error, "problem", None) or str(error))
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        self._refuse_duplicates(node, path)
        self.loader.flatten_mapping(node)  # `<<` merges: keys merged in come first, so that own ones win
        result: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "has a key that is not a text")
                continue
            self.lines[(*path, key.value)] = key.start_mark.line + 1
            result[key.value] = self.construct(value, (*path, key.value))
        return result

    def _refuse_duplicates(self, node: yaml.MappingNode, path: Path_) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                self._refuse(key, path, f"has the key {key.value!r} twice")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")

    def _refuse(self, node: yaml.Node, path: Path_, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, _dotted(path), message))


def _dotted(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """One of pydantic's errors, in words that say what would be right. Never shows a value that may be a secret."""
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"is not a known field{suggestion(str(error['loc'][-1]), _siblings(error['loc'], model))}"
        case "value_error":
            return str(context["error"])
        case "string_type":
            return "must be text; put it in quotes if it is a number, a date, yes, no, on or off"
        case "too_short":
            return "must not be empty"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a mapping with fields"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "string_pattern_mismatch":
            return "has characters that are not allowed here"
        case "union_tag_not_found":
            return "needs a type, such as type: bearer"
        case "union_tag_invalid":
            return f"has the unknown type {context['tag']!r}; known are {context['expected_tags']}"
    message = error["msg"]
    return "must" + message.removeprefix("Input should") if message.startswith("Input should") else message


def _siblings(location: Path_, model: type[BaseModel]) -> list[str]:
    """The fields that stand where the location's last part does, or [] where the model cannot tell."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in location[:-1]:
        node = _child(node, part, schema)
    properties: dict[str, Any] = {}
    for option in _options(node, schema):
        properties |= option.get("properties", {})
    return list(properties)


def _options(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    members = node.get("anyOf") or node.get("oneOf")
    if not members:
        return [node]
    return [option for member in members for option in _options(member, schema)]


def _child(node: dict[str, Any], part: str | int, schema: dict[str, Any]) -> dict[str, Any]:
    for option in _options(node, schema):
        if isinstance(part, int) and "items" in option:
            return dict(option["items"])
        if isinstance(part, str) and part in option.get("properties", {}):
            return dict(option["properties"][part])
        if isinstance(part, str) and part == option.get("properties", {}).get("type", {}).get("const"):
            return option
    return node
