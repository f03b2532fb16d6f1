"""The command `usage`."""

import io
import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import click
import requests
from click.core import ParameterSource
from rich.console import Console, RenderableType

from exporter.clock import SystemClock
from exporter.config.api import Api
from exporter.config.load import Target, load_config
from exporter.errors import ConfigError
from exporter.flags import config_file_before_command, config_file_of_group
from exporter.model import MAIN_REQUEST, Answer
from exporter.terminal.draw import cards_of, draw, is_drawn_on, notices_of, print_plain, safe, trouble_lines
from exporter.terminal.explain import explain
from exporter.terminal.lines import drawn, separated, worst
from exporter.terminal.once import Trouble, answered, poll_once
from exporter.terminal.running import Running, Unavailable, running_options
from exporter.terminal.saved import SavedError, saved_answer
from exporter.terminal.watch import watch
from exporter.thresholds import DEFAULT_BANDS, Band
from exporter.view.usage_json import UsageDocument, from_json, to_json

EXAMPLE = """\b
Examples:
  api-usage-exporter usage
  api-usage-exporter usage --url=http://exporter:10190 --organisation='Example Logistics' --cards
  api-usage-exporter usage --url=https://exporter:10190 --ca-file=ca.pem --worst=10 --watch
  api-usage-exporter usage | awk -F'\\t' '$8 == "critical" {print $1, $3, $4}'
  api-usage-exporter usage --once --config.file=config.yaml
  api-usage-exporter usage --once --config.file=config.yaml --answer=answer.json --explain
  api-usage-exporter usage --exit-code >/dev/null || echo 'an allowance runs out'
"""


class ExitCode(IntEnum):
    """What --exit-code ends with, from the worst of what is known."""

    NORMAL = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@click.command(epilog=EXAMPLE)
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Poll the vendors directly, by this config file; the same as with --once.",
)
@click.option("--once", is_flag=True, help="Poll the vendors directly, without a running exporter; tries a mapping.")
@click.option(
    "--answer",
    "answers",
    multiple=True,
    metavar="FILE",
    help="With --once: read the vendor's answer from this JSON file and ask nobody; REQUEST=FILE for each where "
    "an api makes several requests.",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="With --once: say of every number by which expression it was read, or which field of the config says it.",
)
@click.option(
    "--organisation",
    "organisations",
    multiple=True,
    help="Only this organisation, by name or id; may be given several times.",
)
@click.option("--api", "apis", multiple=True, help="Only this api, by its name; may be given several times.")
@click.option(
    "--worst",
    "worst_count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the N most urgent scopes of all that are chosen.",
)
@click.option("--cards", "as_cards", is_flag=True, help="A card a scope, with all that is known of it.")
@click.option(
    "--watch", "watching", is_flag=True, help="Stay, and show anew what the exporter reads; Ctrl-C ends it."
)
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A line a scope (with tabs between its columns where there is no terminal), or the document of "
    "/api/v1/usage.",
)
@click.option(
    "--exit-code",
    "with_exit_code",
    is_flag=True,
    help=f"Exit with the worst card: 0 blue (by default, under {DEFAULT_BANDS.warning:.0%}), "
    f"1 amber (up to {DEFAULT_BANDS.critical:.0%}), 2 red; "
    "3 if nothing is near a limit but something is unknown, stale or missing.",
)
@running_options
@click.pass_context
def usage(
    context: click.Context,
    *,
    exporter: Running,
    config_file: Path | None,
    once: bool,
    answers: tuple[str, ...],
    explained: bool,
    organisations: tuple[str, ...],
    apis: tuple[str, ...],
    worst_count: int | None,
    as_cards: bool,
    watching: bool,
    output: str,
    with_exit_code: bool,
) -> None:
    """Show how much is used and what runs out: a line a scope, the most urgent first.

    Asks the exporter at --url, or with --once or --config.file the vendors themselves. Urgent is what is over its
    limit, then what is likely to reach it soonest, what is refused over its rate limit, and the part used.
    """
    config_file = config_file or config_file_before_command(context)
    direct = once or config_file is not None
    if direct and context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--url asks a running exporter; it does not go with --once or --config.file")
    if answers and not direct:
        raise click.UsageError("--answer is read by a config; it goes with --once or --config.file")
    if explained and not (direct and output == "table"):
        raise click.UsageError("--explain goes with --once or --config.file, and shows tables")
    console = _Terminal()
    if watching and (direct or output != "table" or not is_drawn_on(console)):
        raise click.UsageError("--watch draws on a terminal what a running exporter answers")
    chosen = Chosen(apis, organisations)
    troubles: tuple[Trouble, ...] = ()
    targets: list[Target] = []
    shape = _Shape(worst_count, as_cards)
    try:
        if watching:
            document = watch(lambda: asked(exporter, chosen), lambda one: shape.of(one, (), console), console)
        elif direct:
            targets = _targets(config_file or config_file_of_group(context), chosen)
            document, troubles = _polled(targets, answers)
        else:
            document = asked(exporter, chosen)
    except (ConfigError, Unavailable) as error:
        click.echo(safe(str(error)), err=True)
        sys.exit(ExitCode.UNKNOWN if with_exit_code else 1)
    if not watching:
        _show(shape.cut(document), troubles, output, shape, console)
    if explained:
        explain(targets, shape.cut(document), console)
    if with_exit_code:
        sys.exit(exit_code(document))
    sys.exit(1 if troubles else 0)


@dataclass(frozen=True)
class Chosen:
    """Apis by name and organisations by name or id; none is all."""

    apis: tuple[str, ...]
    organisations: tuple[str, ...]

    def check(self, apis: Collection[str], organisations: Collection[str], where: str) -> None:
        """Raises Unavailable for a name that is not known."""
        for kind, names, known in (("api", self.apis, apis), ("organisation", self.organisations, organisations)):
            for name in names:
                if name not in known:
                    raise Unavailable(f"no {kind} called {name!r} is {where}")


@dataclass(frozen=True)
class _Shape:
    """How the scopes are shown. worst: only so many of them; None: all."""

    worst: int | None
    as_cards: bool

    def cut(self, document: UsageDocument) -> UsageDocument:
        return document if self.worst is None else worst(document, self.worst)

    def of(self, document: UsageDocument, troubles: tuple[Trouble, ...], console: Console) -> RenderableType:
        """What a terminal draws."""
        shown = self.cut(document)
        if self.as_cards:
            return cards_of(shown, troubles, console)
        return drawn(shown, _notices(shown, troubles), console)


def _notices(document: UsageDocument, troubles: tuple[Trouble, ...]) -> list[str]:
    """What went wrong with the polls, each with whose it was."""
    by_organisation = ((cards, notices_of(cards, troubles, document.time)) for cards in document.organisations)
    return [
        line
        for cards, (first, *others) in ((cards, notices) for cards, notices in by_organisation if notices)
        for line in (f"{cards.organisation} ({cards.api}): {first}", *others)
    ]


class _Terminal(Console):
    """Where the readers have seen enough (`| head`), the rest goes nowhere and the exit code stays what it is."""

    def on_broken_pipe(self) -> None:
        _write_nowhere()


def _write_nowhere() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(
    document: UsageDocument, troubles: tuple[Trouble, ...], output: str, shape: _Shape, console: Console
) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal has no letters for is no reason to fail
    if output == "json":
        _write(to_json(document, indent=2))
        for trouble in troubles:
            lines = [f"{trouble.organisation} ({trouble.api}):", *trouble_lines(trouble)]
            print_plain(Console(stderr=True), lines)
    elif shape.as_cards:
        draw(document, troubles, console)
    elif is_drawn_on(console):
        console.print(shape.of(document, troubles, console))
    else:
        _write(separated(document))
        print_plain(Console(stderr=True), _notices(document, troubles))


def _write(text: str | bytes) -> None:
    try:
        click.echo(text)
    except BrokenPipeError:
        _write_nowhere()


def exit_code(document: UsageDocument) -> ExitCode:
    """By the worst band; unknown is not normal."""
    cards = [card for organisation in document.organisations for card in organisation.scopes]
    bands = {card.band for card in cards}
    if Band.CRITICAL in bands:
        return ExitCode.CRITICAL
    if Band.WARNING in bands:
        return ExitCode.WARNING
    if any(card.missing_since for card in cards):
        return ExitCode.UNKNOWN
    known = all(cards.scopes and not cards.stale and cards.up is not False for cards in document.organisations)
    return ExitCode.NORMAL if known and document.organisations else ExitCode.UNKNOWN


def _targets(config_file: Path, chosen: Chosen) -> list[Target]:
    """Those of the config that are chosen. Raises ConfigError, and Unavailable for a name that is not in it."""
    config = load_config(config_file)
    organisations = [target.organisation for target in config.targets]
    chosen.check(
        {target.api.name for target in config.targets},
        {name for organisation in organisations for name in (organisation.display_name, organisation.id)},
        f"in {config_file}",
    )
    return [
        target
        for target in config.targets
        if (not chosen.apis or target.api.name in chosen.apis)
        and (
            not chosen.organisations
            or {target.organisation.display_name, target.organisation.id} & set(chosen.organisations)
        )
    ]


def _polled(targets: list[Target], answers: tuple[str, ...]) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    if not answers:
        return poll_once(targets, SystemClock())
    if len(targets) != 1:
        raise Unavailable(
            f"--answer is one organisation's at one api, and the config has {len(targets)} of them; "
            "--organisation names one"
        )
    return answered(targets[0], _saved(answers, targets[0].api), SystemClock())


def _saved(given: tuple[str, ...], api: Api) -> dict[str, Answer]:
    """The answers of files, by request. Raises Unavailable where one cannot be read, or a request has none."""
    answers = {}
    for each in given:
        request, _, file = each.partition("=")
        if request not in api.all_requests or not file:
            request, file = MAIN_REQUEST, each
        try:
            answers[request] = Answer(saved_answer(Path(file)))
        except SavedError as error:
            raise Unavailable(str(error)) from None
    for name, asked in api.all_requests.items():
        if asked.read != "body":
            raise Unavailable(f"the request {name} reads headers, which a saved answer lacks; leave --answer out")
    missing = [f"--answer={name}=FILE" for name in api.all_requests if name not in answers]
    if missing:
        raise Unavailable(f"{api.name} makes more requests than there are answers; give {' '.join(missing)}")
    return answers


def asked(exporter: Running, chosen: Chosen) -> UsageDocument:
    response = exporter.ask(
        "/api/v1/usage",
        {"api": chosen.apis, "organisation": chosen.organisations},
        otherwise="--url names another, --once polls without one",
    )
    if response.status_code != requests.codes.ok:
        raise exporter.refused(response)
    try:
        document = from_json(response.content)
    except ValueError as error:
        raise exporter.foreign(error) from None
    found = document.organisations
    chosen.check(
        {cards.api for cards in found},
        {name for cards in found for name in (cards.organisation, cards.organisation_id)},
        f"watched at {exporter.shown}",
    )
    return document
