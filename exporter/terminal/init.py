"""The command `init`: from a curl command, a URL or an answer to a checked config."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.prompt import Confirm, Prompt
from rich.table import Table

from exporter.clock import SystemClock
from exporter.config.load import load_config
from exporter.config.preset import load_preset, preset_names
from exporter.drafting.config_text import config_text
from exporter.drafting.curl import Asked, CurlError, parse_curl
from exporter.drafting.draft import draft
from exporter.drafting.model import Draft, NothingFoundError, Question
from exporter.drafting.request import Request, request_of
from exporter.errors import ConfigError, PollError
from exporter.model import Answer
from exporter.redaction import redact, remember
from exporter.terminal.draw import draw, safe
from exporter.terminal.once import answered
from exporter.terminal.saved import SavedError, saved_answer
from exporter.vendor.client import VendorClient
from exporter.view.tried import target_of

_UTC = ZoneInfo("UTC")
_CORRECTIONS = ("scopes", "name", "requests", "remaining", "limit", "rate_limit", "period")

EXAMPLE = """\b
Examples:
  api-usage-exporter init
  api-usage-exporter init --curl="curl -H 'Authorization: Bearer …' https://api.example.com/usage"
  pbpaste | api-usage-exporter init --curl=- --output=config.yaml
  api-usage-exporter init --url=https://api.example.com/usage --answer=answer.json --yes
  api-usage-exporter init --answer=answer.json --yes --set=limit=50000 --set=period=month
"""


class _GiveUp(Exception):  # noqa: N818 - the message is for the user
    """It cannot go on; the message says why and what would help."""


@dataclass(frozen=True)
class _Session:
    """How a person is spoken with. yes: not at all; the likeliest reading is taken and said."""

    yes: bool
    console: Console
    clock: SystemClock

    def say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(safe(redact(line)), markup=False, highlight=False, soft_wrap=True)

    def ask(self, text: str, default: str = "") -> str:
        return (
            Prompt.ask(text, console=self.console, default=default)
            if default
            else Prompt.ask(text, console=self.console)
        )


@click.command(epilog=EXAMPLE)
@click.option("--curl", "curl", help="A curl command that brings the usage; - reads it from standard input.")
@click.option("--url", help="The usage endpoint, instead of a curl command.")
@click.option(
    "--answer",
    "answer_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
    help="The vendor's answer as a JSON file, or - ; then nobody is asked.",
)
@click.option("--name", "api_name", help="The api's name in the config; by default from the URL's host.")
@click.option("--organisation", default="Main", show_default=True, help="The organisation's name on its cards.")
@click.option(
    "--set",
    "corrections",
    multiple=True,
    metavar="FIELD=VALUE",
    help=f"Settle a question in advance; FIELD is one of {', '.join(_CORRECTIONS)}.",
)
@click.option("--preset/--no-preset", "with_preset", default=True, help="Whether to use a preset that fits.")
@click.option("--yes", is_flag=True, help="Ask nothing: take the likeliest reading and say what was taken.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("config.yaml"),
    show_default=True,
    help="The config file to write; an existing one is never replaced.",
)
def init(
    *,
    curl: str | None,
    url: str | None,
    answer_file: Path | None,
    api_name: str | None,
    organisation: str,
    corrections: tuple[str, ...],
    with_preset: bool,
    yes: bool,
    output: Path,
) -> None:
    """Draft a config from a vendor's answer, show the card that it gives, and write it.

    Asks the vendor once, by a curl command or a URL, or reads a saved answer. Says what each value was read from,
    asks where two readings are plausible, and guesses nothing in silence. Secrets go into environment variables; the
    config names them.
    """
    session = _Session(yes, Console(stderr=True), SystemClock())
    try:
        _look_at(output)
        chosen = _corrections(corrections)
        request = _request(session, curl, url, answer_file, api_name)
        with _variables(request.secrets):
            preset = _preset(session, request) if with_preset else None
            answer = saved_answer(answer_file) if answer_file is not None else _asked(session, request)
            text = _by_preset(session, request, preset, answer, organisation) if preset else None
            text = text or _drafted(session, request, answer, chosen, organisation)
            _write(session, output, text)
    except (_GiveUp, CurlError, NothingFoundError, PollError, SavedError, ConfigError) as error:
        session.say(f"Error: {error}")
        sys.exit(1)
    _next_steps(session, request, output)


def _look_at(output: Path) -> None:
    if output.exists() or output.is_symlink():
        raise _GiveUp(f"{output} is there already; --output names another file")
    if not output.parent.is_dir():
        raise _GiveUp(f"the folder {output.parent} is not there")


def _corrections(given: tuple[str, ...]) -> dict[str, str]:
    chosen = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or name not in _CORRECTIONS:
            raise _GiveUp(f"--set={each}: FIELD=VALUE is wanted, and FIELD is one of {', '.join(_CORRECTIONS)}")
        chosen[name] = value
    return chosen


def _request(
    session: _Session, curl: str | None, url: str | None, answer_file: Path | None, name: str | None
) -> Request:
    if curl and url:
        raise _GiveUp("--curl and --url are two ways to say the same; give one")
    if curl is None and url is None and not session.yes:
        session.say("Paste a curl command that brings the usage, or its URL (a line that ends in \\ goes on):")
        curl = _pasted(session)
    if curl == "-":
        curl = sys.stdin.read()
    text = (curl or url or "").strip() or ("https://api.example.com/usage" if answer_file is not None else "")
    if not text:
        raise _GiveUp("nothing says where to ask: give --curl or --url, or a saved answer with --answer")
    asked = parse_curl(text) if text.split()[0].rpartition("/")[2].startswith("curl") else Asked(text.strip())
    request = request_of(asked, name)
    for secret in request.secrets.values():
        remember(secret)
    return request


def _pasted(session: _Session) -> str:
    lines = [session.console.input("> ")]
    while lines[-1].rstrip().endswith("\\"):
        lines.append(session.console.input("> "))
    return "\n".join(lines)


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """The secrets where the config will look for them, as long as this lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _preset(session: _Session, request: Request) -> str | None:
    """The preset of the request's host, if one is wanted."""
    host = urlsplit(request.config["url"]).hostname
    found = [name for name in preset_names() if host and _host_of(name) == host]
    if not found:
        return None
    if session.yes:
        session.say(f"There is a preset for this vendor: {found[0]} is used (--no-preset drafts a mapping instead).")
        return found[0]
    question = f"There is a preset for this vendor, {found[0]}: use it?"
    return found[0] if Confirm.ask(question, console=session.console, default=True) else None


def _host_of(preset: str) -> str | None:
    api = load_preset(preset).api
    base = api.get("base_url") if isinstance(api, Mapping) else getattr(api, "base_url", None)
    return urlsplit(base).hostname if isinstance(base, str) else None


def _asked(session: _Session, request: Request) -> Any:
    session.say(f"Asking {urlsplit(request.config['url']).hostname} …")
    whole = {"mapping": {"scope": "Draft", "requests": "x"}, "static": {"limit": "unlimited"}}
    target = target_of(_yaml(request.name, {**request.config, **whole}))
    return VendorClient(target, session.clock).fetch()["main"].body


def _yaml(name: str, api: Mapping[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps({"apis": [{"name": name, **api, "organisations": [{"id": "main", "name": "Main"}]}]})


def _by_preset(session: _Session, request: Request, preset: str, answer: Any, organisation: str) -> str | None:
    """The config by the preset; None where the answer is not one that it reads."""
    api = {"preset": preset, **{name: value for name, value in request.config.items() if name != "method"}}
    text = config_text(request.name, api, None, organisation, _headline(session.clock.now()))
    document, troubles = answered(target_of(text), _answers(answer), session.clock)
    if troubles:
        session.say(f"The preset {preset} does not read this answer: {troubles[0].message}", "A mapping is drafted.")
        return None
    draw(document, troubles, session.console)
    return text


def _drafted(session: _Session, request: Request, answer: Any, chosen: dict[str, str], organisation: str) -> str:
    now = session.clock.now()
    found = draft(answer, now, _UTC, chosen)
    for question in [] if session.yes else found.questions:
        if question.field not in chosen:
            chosen[question.field] = _answer_to(session, question)
            found = draft(answer, now, _UTC, chosen)
    if not found.complete:
        missing = next(question for question in found.questions if question.must)
        raise _GiveUp(f"{missing.text} Say it with --set={missing.field}=…")
    _say_taken(session, found)
    text = config_text(request.name, request.config, found, organisation, _headline(now))
    document, troubles = answered(target_of(text), _answers(answer), session.clock)
    draw(document, troubles, session.console)
    _say_readings(session, found)
    if troubles:
        raise _GiveUp(f"the drafted mapping does not read the answer: {troubles[0].message}; --set corrects a field")
    return text


def _answers(body: Any) -> dict[str, Answer]:
    return {"main": Answer(body)}


def _headline(now: datetime) -> str:
    return (
        f"Drafted by api-usage-exporter init on {now:%Y-%m-%d}. Check it with: api-usage-exporter --config.check\n"
        "What each field means: docs/configuration.md"
    )


def _answer_to(session: _Session, question: Question) -> str:
    session.say("", question.text)
    if not question.options:
        return session.ask(question.field)
    for number, option in enumerate(question.options, 1):
        session.say(f"  {number}. {option.label}")
    given = session.ask("Which one, or what else", "1")
    if given.isdigit() and 1 <= int(given) <= len(question.options):
        return question.options[int(given) - 1].choice
    return given


def _say_taken(session: _Session, found: Draft) -> None:
    for sentence in found.taken:
        session.say(f"Taken: {sentence}")
    for question in found.questions if session.yes else ():
        if question.options:
            rest = "; ".join(
                f"--set={question.field}={option.choice}: {option.label}" for option in question.options[1:]
            )
            session.say(f"Taken: {question.options[0].label} ({question.text} {rest})")


def _say_readings(session: _Session, found: Draft) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("Scope", "Field", "Read from", "Value", "Since"):
        table.add_column(title, overflow="fold")
    for reading in found.readings:
        cells = (
            reading.scope,
            reading.field,
            reading.expression,
            json.dumps(reading.value, ensure_ascii=False),
            reading.why,
        )
        table.add_row(*(safe(redact(str(cell))) for cell in cells))
    session.console.print(table)


def _write(session: _Session, output: Path, text: str) -> None:
    if not session.yes and not Confirm.ask(f"Write {output}?", console=session.console, default=True):
        raise _GiveUp("nothing was written")
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _GiveUp(f"{output} cannot be written: {error.strerror}") from None
    load_config(output)
    session.say(f"{output} is written and checked.")


def _next_steps(session: _Session, request: Request, output: Path) -> None:
    for name in request.secrets:
        session.say(f"Put the secret of your command where the exporter finds it: export {name}='…'")
    session.say(f"Then: api-usage-exporter usage --once --config.file={output}")
