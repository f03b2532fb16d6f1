"""YAML files that people write: data with the line of every field, checked by a model, each problem in words."""

import difflib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from exporter.errors import ConfigError, Problem

Model = TypeVar("Model", bound=BaseModel)
FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A YAML file's data, and the line of each of its fields.

    below: by field, the other file and its field that `data` has what this file does not write from.
    """

    file: str
    directory: Path
    data: Any
    lines: dict[FieldPath, int]
    below: Mapping[FieldPath, tuple["Document", FieldPath]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | Traversable, *, needs: str = "apis") -> "Document":
        """Raises ConfigError, also where the file is empty; needs: what must be in it, for that message."""
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError((Problem(str(file), None, "", f"cannot be read: {error.strerror}"),)) from None
        except UnicodeDecodeError:
            raise ConfigError((Problem(str(file), None, "", "is not UTF-8 text"),)) from None
        return cls.parse(str(file), text, file.parent if isinstance(file, Path) else Path(), needs=needs)

    @classmethod
    def parse(cls, name: str, text: str, directory: Path, *, needs: str = "apis") -> "Document":
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.context_mark if error.problem == _NO_COLON else error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            raise ConfigError((Problem(name, line, "", f"is not YAML: {_in_plain_words(error, text)}"),)) from None
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError((Problem(name, None, "", f"is not YAML: {error}"),)) from None
        if node is None:
            raise ConfigError((Problem(name, None, "", f"is empty; it needs at least: {needs}"),))
        constructor = _Constructor(name, loader, len(text) + _REPEATED_NODES)
        try:
            data = constructor.construct(node)
        except RecursionError:
            raise ConfigError((Problem(name, None, "", "is nested too deeply"),)) from None
        except _TooManyNodesError:
            raise ConfigError((Problem(name, None, "", "has aliases that repeat too much"),)) from None
        if constructor.problems:
            raise ConfigError(tuple(constructor.problems))
        return cls(name, directory, data, constructor.lines)

    def with_data(
        self, data: Any, below: Mapping[FieldPath, tuple["Document", FieldPath]] | None = None
    ) -> "Document":
        return replace(self, data=data, below=below or {})

    def writes(self, path: FieldPath) -> bool:
        """Whether the field stands in this file itself."""
        return path in self.lines

    def validate(
        self,
        model: type[Model],
        also: Iterable[Problem] = (),
        *,
        may_lack: Container[FieldPath] = (),
    ) -> Model:
        """The data as a model. Raises ConfigError with what is wrong, and with `also` if anything is.

        may_lack: fields that are not reported as missing, since a problem of `also` is why they are.
        """
        try:
            return model.model_validate(self.data, context={"directory": self.directory})
        except ValidationError as error:
            details = [item for item in error.errors(include_url=False) if not _is_echo(item)]
            members = _SCALARS.union(_tags(model.model_json_schema()))
            found = [(self._known(item["loc"], members), _in_words(item, model)) for item in details]
            found = [(path, words) for path, words in found if not (words == _MISSING and path in may_lack)]
            found = [(path, words) for path, words in found if not _misspelt(path, words, found)]
            problems = dict.fromkeys((*also, *(self.problem(path, message) for path, message in found)))
            raise ConfigError(tuple(sorted(problems, key=self._place))) from None

    def _place(self, problem: Problem) -> tuple[bool, str, int]:
        return problem.file == self.file, problem.file, problem.line or 0

    def problem(self, path: FieldPath, message: str) -> Problem:
        """The problem, in the file that the field comes from."""
        own = self._known_part(path)
        document, theirs = self._origin(path)
        if document is not self and len(path) - len(own) > len(theirs) - len(document._known_part(theirs)):
            return document.problem(theirs, message)
        return Problem(self.file, self.lines.get(own, 1), _dotted(path), message)

    def _known_part(self, path: FieldPath) -> FieldPath:
        """The longest part of a field's path that stands in this file itself."""
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def _origin(self, path: FieldPath) -> tuple["Document", FieldPath]:
        """The file below this one that may have the field, and the field's path there; or this file's own."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.below:
                document, base = self.below[path[:length]]
                return document, (*base, *path[length:])
        return self, path

    def _has(self, path: FieldPath) -> bool:
        document, theirs = self._origin(path)
        return path in self.lines or theirs in document.lines

    def _known(self, location: FieldPath, union_members: frozenset[str]) -> FieldPath:
        """Pydantic's location without the parts that name a union's member or a validator, not a field."""
        path: FieldPath = ()
        for position, part in enumerate(location):
            last = position == len(location) - 1
            if self._has((*path, part)) or (last and _is_field(part, union_members)):
                path = (*path, part)
        return path


def _misspelt(path: FieldPath, words: str, found: list[tuple[FieldPath, str]]) -> bool:
    """Whether a field is missing only because it is misspelt, which is a problem of its own already."""
    hint = f"did you mean {path[-1]}?" if path else ""
    return words == _MISSING and any(other[:-1] == path[:-1] and hint in message for other, message in found)


def _is_echo(error: ErrorDetails) -> bool:
    """Pydantic calls a list too short when its members are wrong; the members' own errors say enough."""
    return error["type"] == "too_short" and bool(error["input"])


def _is_field(part: str | int, union_members: frozenset[str]) -> bool:
    return isinstance(part, str) and part.isidentifier() and part not in union_members


_MISSING = "is missing"

# Pydantic puts these into locations for unions such as `float | Literal["unlimited"]`, and tags for tagged unions.
_SCALARS = frozenset({"float", "int", "str", "bool", "none", "literal"})


def _tags(schema: Any) -> Iterator[str]:
    """The tags of every tagged union in a JSON schema, such as `bearer` of the kinds of auth."""
    if isinstance(schema, dict):
        if "oneOf" in schema and "discriminator" in schema:
            yield from schema["discriminator"]["mapping"]
        for part in schema.values():
            yield from _tags(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _tags(part)


# Without aliases there are fewer nodes than characters; a few lines of nested aliases can stand for billions.
_REPEATED_NODES = 100_000


class _TooManyNodesError(Exception):
    pass


class AsWritten(str):
    """A text without quotes that YAML 1.1 reads as something else: a date, or yes, no, on or off for a truth."""

    __slots__ = ("truth",)

    truth: bool | None

    def __new__(cls, text: str, truth: bool | None = None) -> Self:
        written = super().__new__(cls, text)
        written.truth = truth
        return written


class WrittenNumber(float):
    """A number that keeps how it is written: 1.10 is a version as well."""

    __slots__ = ("written",)

    written: str

    def __new__(cls, number: float, written: str) -> Self:
        made = super().__new__(cls, number)
        made.written = written
        return made


def _scalar(value: Any, written: str) -> Any:
    """A scalar with nothing lost of how it is written, since the field decides what it is: a text or more."""
    if type(value) is int and str(value) != written:
        # 04712 is octal and 47:12 sexagesimal in YAML 1.1; nobody who writes an id means that.
        return written
    if type(value) is bool and written.lower() not in ("true", "false"):
        return AsWritten(written, value)
    if type(value) is float:
        return WrittenNumber(value, written)
    return AsWritten(written) if isinstance(value, date) else value


_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class _Constructor:
    """Turns nodes into plain data; notes each field's line, and refuses duplicate keys, which PyYAML lets pass."""

    file: str
    loader: yaml.SafeLoader
    most_nodes: int
    lines: dict[FieldPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    checked: set[int] = field(default_factory=set)

    def construct(self, node: yaml.Node, path: FieldPath = ()) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > self.most_nodes:
            raise _TooManyNodesError
        if isinstance(node, yaml.CollectionNode) and node.tag not in _PLAIN_COLLECTIONS:
            self._refuse(node, path, f"has the tag {node.tag}, which means nothing here")
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.construct(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        try:
            return _scalar(self.loader.construct_object(node, deep=True), str(node.value))
        except (yaml.YAMLError, ValueError) as error:
            self._refuse(node, path, getattr(error, "problem", None) or str(error))
            return None

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        self._refuse_duplicates(node, path)
        try:
            self.loader.flatten_mapping(node)  # `<<` merges: keys merged in come first, so that own ones win
        except yaml.constructor.ConstructorError as error:
            self._refuse(node, path, error.problem or "cannot be merged")
            return {}
        result: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "has a key that is not a text")
                continue
            self.lines[(*path, key.value)] = key.start_mark.line + 1
            result[key.value] = self.construct(value, (*path, key.value))
        return result

    def _refuse_duplicates(self, node: yaml.MappingNode, path: FieldPath) -> None:
        """In a node, and in those merged into it, as written: once merged, a node also holds what it overrides."""
        if id(node) in self.checked:  # it comes again by an alias
            return
        self.checked.add(id(node))
        seen: set[str] = set()
        for key, value in node.value:
            if key.tag == _MERGE:
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(merged, yaml.MappingNode):
                        self._refuse_duplicates(merged, path)
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                self._refuse(key, path, f"has the key {key.value!r} twice")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")

    def _refuse(self, node: yaml.Node, path: FieldPath, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, _dotted(path), message))


def _dotted(path: FieldPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def suggestion(wrong: str, known: list[str]) -> str:
    if not known:
        return ""
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are: {', '.join(known)}"


def _in_words(error: ErrorDetails, model: type[BaseModel]) -> str:
    """One of pydantic's errors, in words that say what would be right. Never shows a value that may be a secret."""
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "missing":
            return _MISSING
        case "extra_forbidden":
            return f"is not a known field{suggestion(str(error['loc'][-1]), _siblings(error['loc'], model))}"
        case "value_error":
            return str(context["error"])
        case "string_type":
            return "must be text"
        case "too_short":
            return "must not be empty"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a mapping with fields"
        case "tuple_type" | "list_type":
            return "must be a list: its members in brackets, or each behind a hyphen on a line of its own"
        case "literal_error":
            return f"must be {context['expected']}, not {error['input']!r}"
        case "string_pattern_mismatch":
            return "has characters that are not allowed here"
        case "union_tag_not_found":
            return "needs a type, such as type: bearer"
        case "union_tag_invalid":
            return f"has the unknown type {context['tag']!r}; known are {context['expected_tags']}"
    message = error["msg"]
    return "must" + message.removeprefix("Input should") if message.startswith("Input should") else message


def _siblings(location: FieldPath, model: type[BaseModel]) -> list[str]:
    """The fields that stand where the location's last part does, or [] where the model does not say."""
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


def _in_plain_words(error: yaml.MarkedYAMLError, text: str) -> str:
    """What YAML's parser met and, for the commonest slips, what to write."""
    problem, mark = error.problem or error.context or "", error.problem_mark
    if mark is None:
        return problem
    if problem == _NO_COLON and error.context_mark is not None:
        return _without_colon(text.splitlines()[error.context_mark.line].strip())
    line = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    before, rest = line[: mark.column], line[mark.column :]
    if rest.startswith("\t"):
        return "a tab indents this line; indent with spaces"
    if rest[:1] in ("@", "`") and "start any token" in problem:
        return f"a text cannot begin with {rest[0]}; write it in quotes: {_quoted(rest)}"
    value = before.partition(": ")[2].strip()
    if problem.startswith("expected <block end>") and value.startswith(("[", '"')):
        return (
            f"there is more after {value}; write all of it in quotes: {_quoted(value + line[len(before.rstrip()) :])}"
        )
    if not before.strip() and "<block mapping start>" in problem:
        return f"this line begins in column {mark.column + 1}, as none above it; indent an object's fields alike"
    if problem == "mapping values are not allowed here":
        return f"{problem}: this line is indented deeper than the one above, or a text with ': ' in it needs quotes"
    return problem


_NO_COLON = "could not find expected ':'"


def _without_colon(line: str) -> str:
    """What to write for a line that is no field: most often `name:value`."""
    name, colon, value = line.partition(":")
    if colon and value and " " not in name:
        return f"a space belongs behind the colon of {line!r}: {name}: {value}"
    return f"{line!r} is no field: a colon and a space belong behind its name"


def _quoted(text: str) -> str:
    """As YAML reads it back literally, without the comment behind it."""
    return "'" + text.partition(" #")[0].strip().replace("'", "''") + "'"
