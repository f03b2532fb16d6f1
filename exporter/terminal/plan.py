"""The command `plan`."""

import sys

import click
import requests
from rich.console import Console
from rich.table import Table

from exporter.terminal.draw import safe, table_lines, text
from exporter.terminal.running import Running, Unavailable, running_options
from exporter.view import plan_words
from exporter.view.plans import OrganisationPlans, PlanDocument, from_json

_EXAMPLE = """\b
Examples:
  api-usage-exporter plan
  api-usage-exporter plan --growth=20 --organisation='Example Logistics'
  api-usage-exporter plan --output=json
"""
_WRONG_QUESTION = 2


@click.command(epilog=_EXAMPLE)
@click.option(
    "--growth",
    type=float,
    default=0.0,
    show_default=True,
    help="What if: so many percent more (or less) of everything.",
)
@click.option("--organisation", default="", help="Only this organisation, by name or id.")
@click.option("--api", default="", help="Only this api.")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="A table for each organisation, or the document of /api/v1/plan.",
)
@running_options
def plan(*, growth: float, organisation: str, api: str, exporter: Running, output: str) -> None:
    """Compare the plans of the config's price lists: what each would have cost, and refused.

    Over the billing periods that the exporter has watched (13 at most, kept with --storage.path) and the present one,
    as it is likely to end. Each plan stands there as it is, and with the cheapest add-ons that keep it from refusing
    anything. What refuses nothing comes first, the cheapest before the others.
    """
    asked = {"growth": f"{growth:.15g}", "organisation": organisation, "api": api}
    try:
        response = exporter.ask("/api/v1/plan", {name: value for name, value in asked.items() if value})
        if response.status_code == requests.codes.bad_request:
            click.echo(safe(str(response.json()["error"])), err=True)
            sys.exit(_WRONG_QUESTION)
        if response.status_code != requests.codes.ok:
            raise exporter.refused(response)
        document = from_json(response.content)
    except (ValueError, KeyError, TypeError):
        click.echo(str(exporter.foreign(ValueError("no plans"))), err=True)
        sys.exit(1)
    except Unavailable as error:
        click.echo(safe(str(error)), err=True)
        sys.exit(1)
    if output == "json":
        click.echo(response.text)
    else:
        _show(document, Console())


def _show(document: PlanDocument, console: Console) -> None:
    for found in document.organisations:
        for line in (plan_words.headline(found, document.growth), *_table(found), *plan_words.advice(found), ""):
            console.print(safe(line), markup=False, highlight=False, soft_wrap=True)


def _table(found: OrganisationPlans) -> list[str]:
    if not found.options:
        return []
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for title in ("PLAN", "A PERIOD", "REFUSES", "HEADROOM", ""):
        table.add_column(title, no_wrap=True, justify="right" if title == "A PERIOD" else "left")
    for option in found.options:
        cells = (
            plan_words.name(option),
            plan_words.price(option, found.currency),
            plan_words.hits(option),
            plan_words.headroom(option),
            "in use" if option.is_current else "",
        )
        table.add_row(*map(text, cells))
    return [f"  {line}" for line in table_lines(table)]
