"""Presets: a vendor's API as data, with the answers that its documentation shows beside it.

    NAME/preset.yaml     the api's fields
    NAME/ok.json         an answer, where it is documented, and the scopes that it comes to; a file each

A preset of one's own may also be a single file, NAME.yaml, without answers.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from exporter.config.fields import Frozen, Text
from exporter.config.yaml_document import Document
from exporter.errors import ConfigError, FailureReason, Problem
from exporter.model import MAIN_REQUEST

PRESET_FILE = "preset.yaml"
# Whose usage a preset's example watches, where it does not say.
EXAMPLE_ORGANISATIONS = ({"id": "main", "name": "Example Trading"},)


class Provenance(StrEnum):
    """How an answer is known, the best first."""

    LIVE = "live"
    DOCUMENTED = "documented"
    ASSUMED = "assumed"


class Preset(Frozen):
    """A preset file: a vendor's API as data."""

    description: Text
    documentation: Text = Field(description="Where the vendor or the project documents the answer.")
    notes: str = Field("", description="What its user should know beyond that, in Markdown.")
    assumed: tuple[Text, ...] = Field(
        (), strict=False, description="What the preset takes for granted that the documentation does not say."
    )
    example: dict[str, Any] = Field(
        {}, description="Fields of an api that its user writes beside the preset's name, such as auth."
    )
    api: dict[str, Any] = Field(description="Fields of an api, which an api that names the preset starts from.")


class VendorAnswer(Frozen):
    """What a vendor answers to one request."""

    status: int = 200
    headers: dict[str, str] = Field({})
    body: Any = None


class Expected(Frozen):
    """What a poll comes to: scopes, as `exporter.vendor.documented` writes them, or why it fails."""

    scopes: tuple[dict[str, Any], ...] = Field((), strict=False)
    failure: FailureReason | None = None

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if self.scopes and self.failure:
            raise ValueError("has scopes and a failure: a poll comes to one of them")
        return self


class DocumentedAnswer(Frozen):
    """A vendor's answers to the requests of one poll, and what they come to.

    source: the address of the page, or the file, that shows them. read: the day on which it was read.
    assumed: what of it the source does not show. at: when the answer is taken to come, for its periods.
    organisation: the id that is asked for. answers: by the request's name.
    """

    source: Text
    read: date
    provenance: Provenance
    assumed: tuple[Text, ...] = Field((), strict=False)
    at: datetime
    organisation: Text = "main"
    answers: dict[str, VendorAnswer] = Field(min_length=1)
    expected: Expected

    @model_validator(mode="after")
    def _aware(self) -> Self:
        if self.at.tzinfo is None:
            raise ValueError("at needs an offset, such as 2026-11-25T12:00:00Z")
        if MAIN_REQUEST not in self.answers:
            raise ValueError(f"answers needs {MAIN_REQUEST}")
        if self.provenance is Provenance.ASSUMED and not self.assumed:
            raise ValueError("assumed needs to say what is")
        return self

    @property
    def is_good(self) -> bool:
        """Whether usage can be read from it."""
        return self.expected.failure is None


@dataclass(frozen=True)
class Documentation:
    """A preset's documented answers, by the name of each file without its ending.

    digest: of all that they say. address: where the vendor documents them.
    """

    answers: dict[str, DocumentedAnswer]
    digest: str
    address: str

    @property
    def good(self) -> dict[str, DocumentedAnswer]:
        return {name: answer for name, answer in self.answers.items() if answer.is_good}

    @property
    def provenance(self) -> Provenance:
        """The best of what usage can be read from; assumed where there is nothing."""
        found = {answer.provenance for answer in self.good.values()}
        return next((kind for kind in Provenance if kind in found), Provenance.ASSUMED)

    @property
    def in_words(self) -> str:
        """The provenance, and whether even the best answer is so only in part."""
        best = [answer for answer in self.good.values() if answer.provenance is self.provenance]
        is_whole = any(not answer.assumed for answer in best)
        return self.provenance.value if is_whole else f"{self.provenance}, in part"


NO_DOCUMENTATION = Documentation({}, "", "")


def preset_names(folders: Iterable[Path] = ()) -> list[str]:
    """The presets in these folders and the built-in ones."""
    names = set()
    for folder in _folders(folders):
        for entry in folder.iterdir():
            if (entry / PRESET_FILE).is_file():
                names.add(entry.name)
            elif entry.name.endswith(".yaml"):
                names.add(entry.name.removesuffix(".yaml"))
    return sorted(names)


def load_preset(name: str, folders: Iterable[Path] = ()) -> Preset:
    """A preset that `preset_names` lists; the first folder that has it counts. Raises ConfigError if it is wrong."""
    return preset_document(name, folders).validate(Preset)


def preset_document(name: str, folders: Iterable[Path] = ()) -> Document:
    """The preset's file, whose shape is right. Raises LookupError where there is none, ConfigError if it is wrong."""
    file, _ = _found(name, folders)
    document = Document.read(file, needs="description, documentation, api")
    document.validate(Preset)
    return document


def documentation(name: str, folders: Iterable[Path] = ()) -> Documentation:
    """The preset's documented answers. Raises LookupError if there is no such preset, ConfigError if one is wrong."""
    _, folder = _found(name, folders)
    if folder is None:
        return NO_DOCUMENTATION
    found = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    texts = {file: _text(file) for file in found}
    digest = hashlib.sha256("\0".join(texts.values()).encode()).hexdigest()
    answers = {file.name.removesuffix(".json"): read_answer(str(file), text) for file, text in texts.items()}
    return Documentation(answers, digest, load_preset(name, folders).documentation)


def read_answer(file: str, text: str) -> DocumentedAnswer:
    """A documented answer from its JSON. Raises ConfigError that names the file."""
    try:
        return DocumentedAnswer.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise ConfigError(
            tuple(Problem(file, None, ".".join(map(str, item["loc"])), item["msg"]) for item in problems)
        ) from None


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError((Problem(str(file), None, "", f"cannot be read: {error.strerror}"),)) from None
    except UnicodeDecodeError:
        raise ConfigError((Problem(str(file), None, "", "is not UTF-8 text"),)) from None


def _found(name: str, own: Iterable[Path]) -> tuple[Traversable, Traversable | None]:
    """The preset's file, and its folder where it has one. Raises LookupError."""
    for folder in _folders(own):
        if (file := folder / name / PRESET_FILE).is_file():
            return file, folder / name
        if (file := folder / f"{name}.yaml").is_file():
            return file, None
    raise LookupError(name)


def _folders(own: Iterable[Path]) -> Iterator[Traversable]:
    yield from (folder for folder in own if folder.is_dir())
    yield files("exporter.config.presets")
