"""The command `bundle`."""

from collections.abc import Mapping
from pathlib import Path

import click

from exporter.bundle.asking import Server
from exporter.bundle.check import differences, folder_check, server_check
from exporter.bundle.files import PARTS, Site, part_of, site_files, site_url
from exporter.bundle.manifest import Manifest, read_manifest
from exporter.bundle.report import next_steps, refusal, report
from exporter.bundle.update import Update, carry_out, update
from exporter.config.load import load_config
from exporter.errors import BundleError, CheckError, ConfigError
from exporter.flags import Parsed, config_file_before_command
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS, Bands

EXAMPLE = """\b
Examples:
  api-usage-exporter bundle --output=monitoring
  api-usage-exporter bundle --output=monitoring --grafana-url=https://grafana.example.org \\
    --runbook-url=https://wiki.example.org/runbooks --warning=0.8 --critical=0.955
  api-usage-exporter bundle --output=monitoring --only=rules,dashboards --config.file=config.yaml
  api-usage-exporter bundle --check --output=monitoring --check.prometheus-url=http://prometheus:9090 \\
    --check.grafana-url=https://grafana.example.org --check.grafana-token-file=token
"""

_DIFFERS, _COULD_NOT_ASK = 1, 2


def _parts(text: str) -> frozenset[str]:
    """Raises ValueError, naming what there is."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(PARTS)}; several are separated by commas")
    return frozenset(names)


def _url(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return value and site_url(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EXAMPLE)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; it is made if it does not exist. A manifest in it says what was written.",
)
@click.option(
    "--only",
    "parts",
    type=Parsed("parts", frozenset, _parts),
    help=f"Leave other parts alone. Separated by commas, of {', '.join(PARTS)}.  [default: all]",
)
@click.option(
    "--grafana-url",
    metavar="URL",
    callback=_url,
    help="Your Grafana, to whose dashboards alerts link.  [default: what --output was written with, else "
    f"{GRAFANA_URL}]",
)
@click.option(
    "--runbook-url",
    metavar="URL",
    callback=_url,
    help="Where you keep the runbooks, to which alerts and dashboards link: URL/ApiUsageHigh.md and so on.  "
    f"[default: what --output was written with, else {RUNBOOKS_URL}]",
)
@click.option(
    "--warning",
    type=float,
    metavar="RATIO",
    help="Used part of the limit from which on it is amber and a warning.  [default: what --output was written with, "
    f"else {DEFAULT_BANDS.warning:g}]",
)
@click.option(
    "--critical",
    type=float,
    metavar="RATIO",
    help="Used part of the limit over which it is red and critical.  [default: what --output was written with, else "
    f"{DEFAULT_BANDS.critical:g}]",
)
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the thresholds from the exporter's config file instead; it is checked whole, secrets included.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write over generated files that somebody has edited, and keep a copy of each as FILE.orig; otherwise they "
    "are listed, and nothing is written. Files that are your own are never written over.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; say where the folder, a Prometheus and a Grafana differ from what would be written. Exits "
    "with 0 if they do not, 1 if they do, 2 if one could not be asked.",
)
@click.option(
    "--check.prometheus-url",
    "prometheus_url",
    metavar="URL",
    callback=_url,
    help="With --check: the Prometheus (vmalert, Mimir, Thanos Ruler) whose rules are compared, by URL/api/v1/rules.",
)
@click.option(
    "--check.grafana-url",
    "check_grafana_url",
    metavar="URL",
    callback=_url,
    help="With --check: the Grafana whose dashboards are compared, by URL/api/dashboards/uid/…",
)
@click.option(
    "--check.grafana-token-file",
    "grafana_token_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --check.grafana-url: a file with the token of a service account that may view dashboards.",
)
@click.pass_context
def bundle(
    context: click.Context,
    *,
    output: Path | None,
    parts: frozenset[str] | None,
    grafana_url: str | None,
    runbook_url: str | None,
    warning: float | None,
    critical: float | None,
    config_file: Path | None,
    force: bool,
    check: bool,
    prometheus_url: str | None,
    check_grafana_url: str | None,
    grafana_token_file: Path | None,
) -> None:
    """Write dashboards, alert rules, runbooks and provisioning, with addresses and thresholds of your own.

    Without options, they are the project's own files. Percentages of the rate limit, and of a day's share in the
    advice on planning, stay as they are. Configs that only you can finish (who is notified, what is scraped) are your
    own: they are written where they are missing, and never changed.
    """
    parts = parts or frozenset(PARTS)
    running = _servers(check, prometheus_url, check_grafana_url, grafana_token_file)
    if left_out := running.keys() - parts:
        raise click.UsageError(f"--only leaves {min(left_out)} out, of which a server is to be asked.")
    if output is None and not running:
        raise click.UsageError("Missing option '--output'" + (", or a server to check" if check else "") + ".")
    config_file = config_file or config_file_before_command(context)
    try:
        manifest = read_manifest(output) if output else None
        site = _site(manifest, grafana_url, runbook_url, _given_bands(warning, critical), config_file)
        files = {path: text for path, text in site_files(site).items() if part_of(path) in parts}
        todo = update(output, files, manifest, parts) if output else None
        if check:
            _check(files, todo, running)
        elif todo:
            _write(todo, site, force=force)
    except BundleError as error:
        raise click.ClickException(str(error)) from None


def _given_bands(warning: float | None, critical: float | None) -> dict[str, float]:
    return {name: value for name, value in (("warning", warning), ("critical", critical)) if value is not None}


def _site(
    manifest: Manifest | None, grafana: str | None, runbooks: str | None, bands: dict[str, float], config: Path | None
) -> Site:
    """What the flags say, else the manifest, else the defaults."""
    former = manifest.site if manifest else None
    return Site(
        grafana or (former.grafana_url if former else GRAFANA_URL),
        runbooks or (former.runbook_url if former else RUNBOOKS_URL),
        _bands(bands, {"warning": former.warning, "critical": former.critical} if former else {}, config),
    )


def _bands(given: dict[str, float], former: dict[str, float], config_file: Path | None) -> Bands:
    if config_file is not None:
        if given:
            raise click.UsageError("--config.file brings the thresholds; --warning and --critical do not go with it")
        try:
            return load_config(config_file).bands
        except ConfigError as error:
            raise click.ClickException(str(error)) from None
    try:
        return Bands(**{**former, **given})
    except ValueError as error:
        raise click.UsageError(f"--{error}") from None


def _write(todo: Update, site: Site, *, force: bool) -> None:
    if todo.plan.edited and not force:
        raise BundleError(refusal(todo))
    carry_out(todo, site)
    for line in (*report(todo), *next_steps(todo, site)):
        click.echo(line)


# --- checking


def _servers(
    check: bool, prometheus_url: str | None, grafana_url: str | None, token_file: Path | None
) -> dict[str, Server]:
    """What is to be asked: "rules" and "dashboards"."""
    if not check:
        for flag, value in (
            ("--check.prometheus-url", prometheus_url),
            ("--check.grafana-url", grafana_url),
            ("--check.grafana-token-file", token_file),
        ):
            if value:
                raise click.UsageError(f"{flag} goes with --check.")
    if token_file and not grafana_url:
        raise click.UsageError("--check.grafana-token-file goes with --check.grafana-url.")
    found = {"rules": Server(prometheus_url)} if prometheus_url else {}
    return {**found, "dashboards": Server(grafana_url, _token(token_file))} if grafana_url else found


def _token(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot read the token in {file}: {error}") from None
    if not token.isprintable() or " " in token or not token:
        raise click.ClickException(f"{file} holds no token: one line, without spaces")
    return token


def _check(files: Mapping[str, str], todo: Update | None, running: Mapping[str, Server]) -> None:
    """Says what differs, and exits with 1 if anything does."""
    differs = todo is not None and todo.plan.differs
    for line in folder_check(todo.folder, todo.plan) if todo else ():
        click.echo(line)
    try:
        for part, server in running.items():
            found = differences(part, server, files)
            differs = differs or bool(found)
            for line in server_check(part, server.url, found):
                click.echo(line)
    except CheckError as error:
        click.echo(f"Error: {error}", err=True)
        raise click.exceptions.Exit(_COULD_NOT_ASK) from None
    if differs:
        raise click.exceptions.Exit(_DIFFERS)
