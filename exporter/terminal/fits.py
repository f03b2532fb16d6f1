"""The command `fits`."""

import sys
from enum import IntEnum

import click
import requests

from exporter.forecast import Answer
from exporter.terminal.draw import safe
from exporter.terminal.running import Running, Unavailable, running_options
from exporter.thresholds import FITS_PROBABILITY, PROJECTED_CLEARED_PROBABILITY
from exporter.view import fits_words
from exporter.view.fits import from_json

_EXAMPLE = """\b
Exits with:
  0  yes
  1  no
  2  the question cannot be answered as it stands: no such scope, or several
  3  not known, also where no exporter answers
\b
Examples:
  api-usage-exporter fits --scope=Geocoding --requests=20000 --by=friday
  api-usage-exporter fits --scope=geo --organisation=acme --requests=5e4 && ./backfill
"""
_WRONG_QUESTION = (requests.codes.bad_request, requests.codes.not_found)


class ExitCode(IntEnum):
    """What the command ends with: whatever is not surely yes is no 0."""

    YES = 0
    NO = 1
    QUESTION = 2
    NOT_KNOWN = 3


_EXIT_CODES = {Answer.YES: ExitCode.YES, Answer.NO: ExitCode.NO, Answer.NOT_KNOWN: ExitCode.NOT_KNOWN}


@click.command(epilog=_EXAMPLE)
@click.option("--scope", required=True, help="Where the job makes its requests: a scope's name or id.")
@click.option(
    "--requests", "count", type=click.FloatRange(0, min_open=True), required=True, help="How many it makes."
)
@click.option(
    "--by",
    default="",
    help="When it has to be done: a weekday, today or tomorrow, a date (until its end), or a time such as "
    "2026-11-27T18:00, in the scope's time zone; the billing period's end if left out.",
)
@click.option("--organisation", default="", help="Whose scope it is, by name or id, where several have one.")
@click.option("--api", default="", help="Which api's scope it is, where several have one.")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Sentences, or the document of /api/v1/fits.",
)
@running_options
def fits(*, scope: str, count: float, by: str, organisation: str, api: str, exporter: Running, output: str) -> None:
    """Say whether a job fits into what is left of a limit, beside the usual use."""
    asked = {"scope": scope, "requests": f"{count:.15g}", "by": by, "organisation": organisation, "api": api}
    try:
        response = exporter.ask("/api/v1/fits", {name: value for name, value in asked.items() if value})
        if response.status_code in _WRONG_QUESTION and (message := _message(response)):
            click.echo(safe(message), err=True)
            sys.exit(ExitCode.QUESTION)
        if response.status_code != requests.codes.ok:
            raise Unavailable(_message(response)) if _message(response) else exporter.refused(response)
        document = from_json(response.content)
    except ValueError as error:
        click.echo(str(exporter.foreign(error)), err=True)
        sys.exit(ExitCode.NOT_KNOWN)
    except Unavailable as error:
        click.echo(safe(str(error)), err=True)
        sys.exit(ExitCode.NOT_KNOWN)
    lines = [response.text] if output == "json" else fits_words.answer(document)
    for line in lines:
        click.echo(safe(line))
    sys.exit(_EXIT_CODES[document.fit.answer])


def _message(response: requests.Response) -> str:
    """What the exporter has to say to the question; "" where that is no answer of ours."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ""


fits.help = (
    f"{fits.help}\n\nYes: it is at least {FITS_PROBABILITY:.0%} likely that the job and the usual use stay within "
    f"the limit until --by, and the limit is then under {PROJECTED_CLEARED_PROBABILITY:.0%} likely to be reached "
    "before the billing period ends. What is not known is never yes."
)
