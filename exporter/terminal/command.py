"""The command `usage`."""

import io
import os
import sys
from enum import IntEnum
from pathlib import Path

import click
import requests
from click.core import ParameterSource
from rich.console import Console

from exporter.clock import SystemClock
from exporter.config.api import Api
from exporter.config.load import load_config
from exporter.errors import ConfigError, PollError
from exporter.flags import config_file_before_command, config_file_of_group
from exporter.model import MAIN_REQUEST, Answer
from exporter.terminal.draw import draw, print_plain, trouble_lines
from exporter.terminal.once import Trouble, answered, poll_once
from exporter.terminal.running import Unavailable, ask, foreign, refused, url_option, without_credentials
from exporter.thresholds import DEFAULT_BANDS, Band
from exporter.vendor.strict_json import parse_json
from exporter.view.usage_json import UsageDocument, from_json, to_json

EXAMPLE = """\b
Examples:
  api-usage-exporter usage
  api-usage-exporter usage --url=http://exporter:10190 --organisation='Example Logistics'
  api-usage-exporter usage --once --config.file=config.yaml
  api-usage-exporter usage --once --config.file=config.yaml --answer=answer.json
  api-usage-exporter usage --exit-code >/dev/null || echo 'an allowance runs out'
"""


class ExitCode(IntEnum):
    """What --exit-code ends with, from the worst of what is known."""

    NORMAL = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@click.command(epilog=EXAMPLE)
@url_option
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
    "--organisation",
    "organisations",
    multiple=True,
    help="Only this organisation, by name or id; may be given several times.",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Cards (plain lines without a terminal), or the document of /api/v1/usage.",
)
@click.option(
    "--exit-code",
    "with_exit_code",
    is_flag=True,
    help=f"Exit with the worst card: 0 blue (by default, under {DEFAULT_BANDS.warning:.0%}), "
    f"1 amber (up to {DEFAULT_BANDS.critical:.0%}), 2 red; "
    "3 if nothing is near a limit but something is unknown, stale or missing.",
)
@click.pass_context
def usage(
    context: click.Context,
    *,
    url: str,
    config_file: Path | None,
    once: bool,
    answers: tuple[str, ...],
    organisations: tuple[str, ...],
    output: str,
    with_exit_code: bool,
) -> None:
    """Show the usage cards in the terminal.

    Asks the exporter at --url, or with --once or --config.file the vendors themselves.
    """
    config_file = config_file or config_file_before_command(context)
    direct = once or config_file is not None
    if direct and context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--url asks a running exporter; it does not go with --once or --config.file")
    if answers and not direct:
        raise click.UsageError("--answer is read by a config; it goes with --once or --config.file")
    troubles: tuple[Trouble, ...] = ()
    try:
        if direct:
            document, troubles = _polled(config_file or config_file_of_group(context), organisations, answers)
        else:
            document = _asked(url, organisations)
    except (ConfigError, Unavailable) as error:
        click.echo(str(error), err=True)
        sys.exit(ExitCode.UNKNOWN if with_exit_code else 1)
    _show(document, troubles, output)
    if with_exit_code:
        sys.exit(exit_code(document))
    sys.exit(1 if troubles else 0)


class _Terminal(Console):
    """Where the readers have seen enough (`| head`), the rest goes nowhere and the exit code stays what it is."""

    def on_broken_pipe(self) -> None:
        _write_nowhere()


def _write_nowhere() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(document: UsageDocument, troubles: tuple[Trouble, ...], output: str) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal has no letters for is no reason to fail
    if output == "table":
        draw(document, troubles, _Terminal())
        return
    try:
        click.echo(to_json(document, indent=2))
    except BrokenPipeError:
        _write_nowhere()
    for trouble in troubles:
        lines = [f"{trouble.organisation} ({trouble.api}):", *trouble_lines(trouble)]
        print_plain(Console(stderr=True), lines)


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


def _polled(
    config_file: Path, organisations: tuple[str, ...], answers: tuple[str, ...]
) -> tuple[UsageDocument, tuple[Trouble, ...]]:
    config = load_config(config_file)
    known = {name for target in config.targets for name in (target.organisation.display_name, target.organisation.id)}
    _refuse_unknown(organisations, known, f"in {config_file}")
    wanted = [
        target
        for target in config.targets
        if not organisations or {target.organisation.display_name, target.organisation.id} & set(organisations)
    ]
    if not answers:
        return poll_once(wanted, SystemClock())
    if len(wanted) != 1:
        raise Unavailable(
            f"--answer is one organisation's at one api, and {config_file} has {len(wanted)} of them; "
            "--organisation names one"
        )
    return answered(wanted[0], _saved(answers, wanted[0].api), SystemClock())


def _saved(given: tuple[str, ...], api: Api) -> dict[str, Answer]:
    """The answers of files, by request. Raises Unavailable where one cannot be read, or a request has none."""
    answers = {}
    for each in given:
        request, _, file = each.partition("=")
        if request not in api.all_requests or not file:
            request, file = MAIN_REQUEST, each
        try:
            answers[request] = Answer(parse_json(Path(file).read_bytes()))
        except (OSError, PollError) as error:
            raise Unavailable(f"{file}: {error.strerror if isinstance(error, OSError) else error}") from None
    for name, asked in api.all_requests.items():
        if asked.read != "body":
            raise Unavailable(f"the request {name} reads headers, which a saved answer lacks; leave --answer out")
    missing = [f"--answer={name}=FILE" for name in api.all_requests if name not in answers]
    if missing:
        raise Unavailable(f"{api.name} makes more requests than there are answers; give {' '.join(missing)}")
    return answers


def _asked(url: str, organisations: tuple[str, ...]) -> UsageDocument:
    response = ask(
        url,
        "/api/v1/usage",
        {"organisation": organisations},
        otherwise="--url names another, --once polls without one",
    )
    if response.status_code != requests.codes.ok:
        raise refused(url, response)
    try:
        document = from_json(response.content)
    except ValueError as error:
        raise foreign(url, error) from None
    known = {name for found in document.organisations for name in (found.organisation, found.organisation_id)}
    _refuse_unknown(organisations, known, f"watched at {without_credentials(url)}")
    return document


def _refuse_unknown(organisations: tuple[str, ...], known: set[str], where: str) -> None:
    for organisation in organisations:
        if organisation not in known:
            raise Unavailable(f"no organisation called {organisation!r} is {where}")
