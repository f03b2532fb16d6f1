"""The commands `preset list`, `preset test` and `preset record`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from exporter.clock import SystemClock
from exporter.config.load import Target, load_config, load_example
from exporter.config.preset import (
    DocumentedAnswer,
    Expected,
    Provenance,
    VendorAnswer,
    documentation,
    load_preset,
    preset_names,
    read_answer,
)
from exporter.errors import ConfigError, PollError
from exporter.flags import config_file_before_command
from exporter.model import MAIN_REQUEST, Answer, UsageSnapshot
from exporter.state.store import Store
from exporter.terminal.anonymise import Anonymiser, texts_of
from exporter.terminal.draw import draw, print_plain, table_lines
from exporter.terminal.once import troubles_of
from exporter.vendor.client import VendorClient
from exporter.vendor.documented import answers_of, read, read_documented, scope_as_json
from exporter.vendor.drift import Expectation, Place
from exporter.vendor.one_poll import Outcome
from exporter.vendor.strict_json import parse_json
from exporter.view.usage_json import usage_document

# In place of secrets where nobody is asked.
_NO_SECRET = "none-is-needed"  # noqa: S105 - no secret
# Headers that say how much is left, and nothing of anybody.
_LIMIT_HEADERS = ("ratelimit", "rate-limit", "quota", "usage", "limit-info", "call-limit")

TEST_EXAMPLE = """\b
Examples:
  api-usage-exporter preset test github
  curl -H "Authorization: Bearer $TOKEN" https://openrouter.ai/api/v1/key > answer.json
  api-usage-exporter preset test openrouter --answer answer.json
  api-usage-exporter preset test aws-api-gateway --answer usage.json --answer plan=plan.json …
"""
RECORD_EXAMPLE = """\b
Examples:
  OPENROUTER_API_KEY=… api-usage-exporter preset record openrouter > live.json
  api-usage-exporter preset record openrouter --config.file=config.yaml --output=live.json
"""


@click.group()
def preset() -> None:
    """Presets, vendors' APIs as data: list them, prove them, record what a vendor answers.

    A preset is a folder: preset.yaml, and beside it the answers that the vendor documents. docs/presets/ has a page
    for each, and says how to contribute an answer in five minutes.
    """


_folders = click.option(
    "--preset-folder",
    "folders",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    help="A folder of presets of your own, searched before the built-in ones; may be given several times.",
)


@preset.command("list", short_help="List the presets, and how their answers are known.")
@_folders
def list_presets(folders: tuple[Path, ...]) -> None:
    """List the presets: what each watches, and how its answers are known.

    live: recorded from an account. documented: as the vendor's documentation shows them, in part where it shows the
    fields and not every value. assumed: neither.
    """
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for column in ("NAME", "ANSWERS", "WATCHES"):
        table.add_column(column, no_wrap=True)
    try:
        for name in preset_names(folders):
            table.add_row(name, documentation(name, folders).in_words, load_preset(name, folders).description)
    except ConfigError as error:
        _fail(str(error))
    for line in table_lines(table):
        click.echo(line)


@preset.command("test", epilog=TEST_EXAMPLE, short_help="Show the cards that an answer gives; prove a preset.")
@click.argument("name")
@click.option(
    "--answer",
    "answers",
    metavar="[REQUEST=]FILE",
    multiple=True,
    help="A vendor's answer, as curl or `preset record` writes it to a file; without it, the documented ones. "
    "Where a preset makes several requests, give each one's answer by its name.",
)
@click.option(
    "--at",
    metavar="TIME",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"]),
    help="When the answer came, such as 2026-11-25T12:00:00Z; by default, now.",
)
@click.option("--organisation", default="main", show_default=True, help="The id that was asked for.")
@_folders
def test_preset(
    *, name: str, answers: tuple[str, ...], at: datetime | None, organisation: str, folders: tuple[Path, ...]
) -> None:
    """Read an answer by a preset, without any network, and show the cards that it gives.

    Says which fields are not as they are documented, and ends with 1 if there are any, or if something cannot be
    read. Without --answer, reads each documented answer and holds it against what it is expected to come to.
    """
    target = _target(name, folders)
    if not answers:
        sys.exit(_prove(target))
    documented = _given(target, answers, at, organisation)
    sys.exit(_show(target, documented))


@preset.command("record", epilog=RECORD_EXAMPLE, short_help="Ask once, and write the answer down without names.")
@click.argument("name")
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask as the first api of this file that names the preset does; by default, as the preset's example, with "
    "secrets from the environment.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; by default, the terminal."
)
@_folders
@click.pass_context
def record(
    context: click.Context, *, name: str, config_file: Path | None, output: Path | None, folders: tuple[Path, ...]
) -> None:
    """Ask the vendor once, with your key, and write its answer down without what it says of you.

    Names, mails, addresses, ids and keys are replaced by texts of the same shape; numbers and times stay, since the
    preset is proved by them. Look at it before you share it.
    """
    config_file = config_file or config_file_before_command(context)
    target = _of_config(config_file, name) if config_file else _target(name, folders, secrets=True)
    clock = SystemClock()
    try:
        answers = VendorClient(target, clock).fetch()
    except PollError as error:
        _fail(str(error))
    recording = _recorded(target, answers, clock.now())
    text = json.dumps(recording.document, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    for line in recording.remarks:
        click.echo(line, err=True)
    sys.exit(1 if recording.is_doubtful else 0)


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


def _target(name: str, folders: tuple[Path, ...], *, secrets: bool = False) -> Target:
    try:
        return load_example(name, folders, in_place_of_secrets=None if secrets else _NO_SECRET)
    except LookupError:
        names = ", ".join(preset_names(folders))
        raise click.BadParameter(f"there is no preset {name!r}; there are {names}", param_hint="NAME") from None
    except ConfigError as error:
        _fail(str(error))


def _of_config(config_file: Path, name: str) -> Target:
    try:
        targets = load_config(config_file).targets
    except ConfigError as error:
        _fail(str(error))
    found = next((target for target in targets if target.api.preset == name), None)
    return found if found is not None else _fail(f"{config_file}: no api has the preset {name!r}")


# Testing.


def _prove(target: Target) -> int:
    """Hold every documented answer of the preset against what it is expected to come to."""
    failed = 0
    documented = target.documentation.answers
    if not documented:
        _fail(f"the preset {target.api.preset} has no documented answers beside it; give one by --answer")
    for case, answer in documented.items():
        if not answer.is_good:
            click.echo(f"{case}: {answer.expected.failure}, as a poll finds it; there is no usage to read")
            continue
        expected = list(answer.expected.scopes)
        met = _as_expected(read_documented(answer, target.api))
        failed += met != expected
        click.echo(f"{case}: {_scopes(len(expected))} as expected" if met == expected else f"{case}: not as expected")
        if met != expected:
            click.echo(f"  expected {json.dumps(expected)}\n  came to  {json.dumps(met)}")
    return 1 if failed else 0


def _scopes(count: int) -> str:
    return f"{count} scope{'' if count == 1 else 's'}"


def _as_expected(outcome: Outcome) -> Any:
    if isinstance(outcome, PollError):
        return str(outcome)
    return outcome.misfit_text or [scope_as_json(scope) for scope in outcome.scopes]


def _given(target: Target, answers: tuple[str, ...], at: datetime | None, organisation: str) -> DocumentedAnswer:
    """The answers of files, as documented ones."""
    parts: dict[str, VendorAnswer] = {}
    for given in answers:
        request, equals, path = given.partition("=")
        if not equals or request not in target.api.all_requests:
            request, path = MAIN_REQUEST, given
        try:
            text = Path(path).read_text(encoding="utf-8")
            value = parse_json(text.encode())
        except (OSError, UnicodeDecodeError, PollError) as error:
            _fail(f"{path}: {error.strerror if isinstance(error, OSError) else error}")
        if isinstance(value, dict) and {"answers", "expected"} <= value.keys():
            return _recording(path, text)
        parts[request] = VendorAnswer(body=value)
    missing = [name for name in target.api.all_requests if name not in parts]
    if missing:
        hint = " ".join(f"--answer {name}=FILE" for name in missing)
        _fail(f"the preset {target.api.preset} makes more requests than there are answers; give {hint}")
    moment = at.astimezone() if at is not None else SystemClock().now()
    return DocumentedAnswer(
        source="a file",
        read=moment.date(),
        provenance=Provenance.DOCUMENTED,
        at=moment,
        organisation=organisation,
        answers=parts,
        expected=Expected(),
    )


def _recording(path: str, text: str) -> DocumentedAnswer:
    try:
        return read_answer(path, text)
    except ConfigError as error:
        _fail(str(error))


@dataclass(frozen=True)
class _At:
    """A clock that stands at the time of an answer."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


def _show(target: Target, documented: DocumentedAnswer) -> int:
    clock = _At(documented.at)
    outcome = read_documented(documented, target.api)
    store = Store(clock)
    store.set_targets([target])
    store.record(target, outcome)
    draw(usage_document(store.states(), clock.now()), tuple(troubles_of(target, outcome)), Console())
    answers = answers_of(documented, target.api) or {}
    drifts = Expectation(target.documentation.good.values(), target.api).drifts(answers) if answers else ()
    print_plain(Console(), (f"not as documented: {drift.message}" for drift in drifts))
    whole = isinstance(outcome, UsageSnapshot) and not outcome.misfits
    return 0 if whole and not drifts else 1


# Recording.


@dataclass(frozen=True)
class _Recording:
    """An answer to be kept beside a preset. remarks: what to know of it before it is shared."""

    document: dict[str, Any]
    remarks: tuple[str, ...]
    is_doubtful: bool


def _recorded(target: Target, answers: Mapping[str, Answer], now: datetime) -> _Recording:
    places = list(Expectation(target.documentation.good.values(), target.api).places(answers))
    anonymiser = Anonymiser(_known_texts(target))
    parts = {name: _without_names(target, name, answer, places, anonymiser) for name, answer in answers.items()}
    documented = DocumentedAnswer(
        source=target.documentation.address,
        read=now.date(),
        provenance=Provenance.LIVE,
        at=now,
        answers=parts,
        expected=Expected(),
    )
    before = read(answers, target.api, target.organisation.id, now)
    after = read_documented(documented, target.api)
    expected = [scope_as_json(scope) for scope in after.scopes] if isinstance(after, UsageSnapshot) else []
    document = documented.model_dump(mode="json", exclude_defaults=True)
    document["expected"] = {"scopes": expected}
    remarks = [f"{len(anonymiser.replaced)} texts and ids were replaced; look at what is left before you share it."]
    is_doubtful = isinstance(after, PollError) or bool(after.misfits)
    if is_doubtful:
        remarks.append(f"The preset does not fit the answer: {_as_expected(before)}")
    elif _numbers(before) != _numbers(after):
        is_doubtful = True
        remarks.append("Without the texts that were replaced, the answer comes to other numbers: please report it.")
    return _Recording(document, tuple(remarks), is_doubtful)


def _numbers(outcome: Outcome) -> list[tuple[float | None, float | None]]:
    scopes = outcome.scopes if isinstance(outcome, UsageSnapshot) else ()
    return [(scope.requests, scope.limit) for scope in scopes]


def _known_texts(target: Target) -> set[str]:
    """Texts that say nothing of the account: those of the documentation, and of the preset's expressions."""
    bodies = [part.body for answer in target.documentation.answers.values() for part in answer.answers.values()]
    quoted = [piece for text in texts_of(target.api.mapping.model_dump(mode="json")) for piece in text.split("'")]
    return {text for body in bodies for text in texts_of(body)}.union(quoted)


def _without_names(
    target: Target, request: str, answer: Answer, places: list[Place], anonymiser: Anonymiser
) -> VendorAnswer:
    headers = {
        name: anonymiser.text(value, name)
        for name, value in answer.headers.items()
        if any(part in name for part in _LIMIT_HEADERS)
    }
    if target.api.all_requests[request].read != "body":
        return VendorAnswer(headers=headers)
    maps = {place.path for place in places if place.request == request and place.is_map}
    return VendorAnswer(headers=headers, body=anonymiser.value(answer.body, maps))
