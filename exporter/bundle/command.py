"""The command `bundle`."""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from exporter.bundle.files import DASHBOARDS, PROVISIONING, RULES, Site, site_files, site_url
from exporter.bundle.folder import Changes, changes, write
from exporter.config.load import load_config
from exporter.errors import BundleError, ConfigError
from exporter.flags import config_file_before_command
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS, Bands

EXAMPLE = """\b
Examples:
  api-usage-exporter bundle --output=monitoring
  api-usage-exporter bundle --output=monitoring --grafana-url=https://grafana.example.org \\
    --runbook-url=https://wiki.example.org/runbooks --warning=0.8 --critical=0.955
  api-usage-exporter bundle --output=monitoring --config.file=config.yaml
"""

_CONTENTS = {
    RULES: "rules for Prometheus or vmalert, and a runbook for each alert",
    DASHBOARDS: "dashboards for Grafana",
    PROVISIONING: "to start from: Prometheus, Alertmanager, Grafana, Kubernetes, systemd",
}


def _url(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        return site_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EXAMPLE)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write to; it is made if it does not exist.",
)
@click.option(
    "--grafana-url",
    metavar="URL",
    callback=_url,
    default=GRAFANA_URL,
    show_default=True,
    help="Your Grafana, to whose dashboards alerts link.",
)
@click.option(
    "--runbook-url",
    metavar="URL",
    callback=_url,
    default=RUNBOOKS_URL,
    show_default=True,
    help="Where you keep the runbooks, to which alerts and dashboards link: URL/ApiUsageHigh.md and so on.",
)
@click.option(
    "--warning",
    type=float,
    metavar="RATIO",
    help=f"Used part of the limit from which on it is amber and a warning.  [default: {DEFAULT_BANDS.warning:g}]",
)
@click.option(
    "--critical",
    type=float,
    metavar="RATIO",
    help=f"Used part of the limit over which it is red and critical.  [default: {DEFAULT_BANDS.critical:g}]",
)
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the thresholds from the exporter's config file instead; it is checked whole, secrets included.",
)
@click.option("--force", is_flag=True, help="Write over files that differ; otherwise they are listed and stay.")
@click.pass_context
def bundle(
    context: click.Context,
    *,
    output: Path,
    grafana_url: str,
    runbook_url: str,
    warning: float | None,
    critical: float | None,
    config_file: Path | None,
    force: bool,
) -> None:
    """Write dashboards, alert rules, runbooks and provisioning, with addresses and thresholds of your own.

    Without options, they are the project's own files. Percentages of the rate limit, and of a day's share in the
    advice on planning, stay as they are.
    """
    config_file = config_file or config_file_before_command(context)
    site = Site(grafana_url, runbook_url, _bands(warning, critical, config_file))
    files = site_files(site)
    try:
        planned = changes(files, output)
        if planned.changed and not force:
            raise BundleError(_refusal(planned, output))
        write({path: files[path] for path in (*planned.new, *planned.changed)}, output)
    except BundleError as error:
        raise click.ClickException(str(error)) from None
    for line in _report(site, planned, output):
        click.echo(line)


def _bands(warning: float | None, critical: float | None, config_file: Path | None) -> Bands:
    given = {name: value for name, value in (("warning", warning), ("critical", critical)) if value is not None}
    if config_file is not None:
        if given:
            raise click.UsageError("--config.file brings the thresholds; --warning and --critical do not go with it")
        try:
            return load_config(config_file).bands
        except ConfigError as error:
            raise click.ClickException(str(error)) from None
    try:
        return Bands(**given)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from None


def _refusal(planned: Changes, output: Path) -> str:
    lines = [f"{output} has files that differ from what would be written; nothing was changed:"]
    lines += [f"  {path}" for path in planned.changed]
    lines.append("Choose another --output to compare them, or write over them with --force.")
    return "\n".join(lines)


def _report(site: Site, planned: Changes, output: Path) -> Iterator[str]:
    paths = (*planned.new, *planned.changed, *planned.unchanged)
    counts = Counter(folder for path in paths for folder in _CONTENTS if path.startswith(f"{folder}/"))
    yield f"{output}:"
    for folder, contents in _CONTENTS.items():
        yield f"  {folder + '/':<18}{counts[folder]:>3} files: {contents}"
    warning, critical = site.bands.thresholds
    yield f"{len(planned.new) + len(planned.changed)} files written, {len(planned.unchanged)} were like this before."
    yield f"Amber from {warning.percent:g} %, red over {critical.percent:g} %."
    yield ""
    yield "Next:"
    yield f"  promtool check rules {shlex.quote(str(output / RULES))}/*.yaml"
    yield "  Name these rule files in Prometheus' rule_files, and import the dashboards into Grafana."
    yield f"  Publish the runbooks, so that {site.runbooks}/ApiUsageHigh.md can be read."
    if site.runbooks == RUNBOOKS_URL:
        yield "    That address is a placeholder: --runbook-url says yours."
    if site.grafana == GRAFANA_URL:
        yield f"  Alerts link to Grafana at {GRAFANA_URL}: --grafana-url says where yours is."
    if site.bands != DEFAULT_BANDS:
        yield "  Give the exporter's own page the same colours, by its config file:"
        yield f"    thresholds: {{warning: {warning.ratio:g}, critical: {critical.ratio:g}}}"
