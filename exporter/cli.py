"""The command line: flags in the manner of Prometheus' exporters; each may also come from the environment."""

import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

import click
import structlog

from exporter import signals, systemd
from exporter.address import Address, is_loopback
from exporter.allocator import collect_rarely, limit_fragmentation
from exporter.bundle.command import bundle
from exporter.clock import SystemClock
from exporter.config.example import example
from exporter.config.load import load_config
from exporter.errors import ConfigError, ExporterError
from exporter.flags import ADDRESS, DEFAULT_CONFIG_FILE, SHARD
from exporter.log_setup import LOG_LEVELS, set_up_logging
from exporter.service import Service
from exporter.state.database import Database
from exporter.state.sharding import Shard
from exporter.terminal.command import usage
from exporter.terminal.digest import digest
from exporter.terminal.fits import fits
from exporter.terminal.init import init
from exporter.terminal.plan import plan
from exporter.terminal.presets import preset
from exporter.web.app import RESERVED_PATHS, Paths, create_app
from exporter.web.asgi import App
from exporter.web.beside import Beside
from exporter.web.http_metrics import WebConfigMetrics
from exporter.web.listening import address_of, from_systemd, listen
from exporter.web.live_config import LiveWebConfig
from exporter.web.server import serve
from exporter.web.web_config import load_web_config

log = structlog.get_logger()

# A scrape that comes while polls are read waits so long for its turn, some of them one after another; Python's own
# 5 ms would be most of what a scrape takes.
_TURN_SECONDS = 0.0001

ENVIRONMENT_PREFIX = "API_USAGE_EXPORTER"

EXAMPLE = """\b
Example:
  api-usage-exporter --config.example > config.yaml
  api-usage-exporter --config.file=config.yaml --config.check
  api-usage-exporter --config.file=config.yaml --storage.path=/var/lib/api-usage-exporter
  curl http://localhost:10190/metrics
  api-usage-exporter usage --organisation='Example Logistics'
"""


# No "." or "..": browsers take these out before they ask.
_PATH = r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]"
_URL = rf"(?i:https?)://(?:{_HOST})(?::\d+)?{_PATH}*/?"


def _telemetry_path(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(rf"{_PATH}+", value):
        raise click.BadParameter(f"must be a path such as /metrics, not {value!r}")
    if value.startswith(RESERVED_PATHS):
        raise click.BadParameter(f"{value!r} is an address of the exporter's own")
    return value


def _route_prefix(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(rf"/|{_PATH}+/?", value):
        raise click.BadParameter(f"must be a path such as /usage, or /, not {value!r}")
    return value


def _external_url(_: click.Context, __: click.Parameter, value: str) -> str:
    if value and not (re.fullmatch(_URL, value) and _has_valid_host(value)):
        raise click.BadParameter(
            "must be a URL such as https://example.org/usage: http or https, a host, perhaps a port, and a path of "
            f"letters, digits and ._~- without user, query or fragment; not {value!r}"
        )
    return value


def _has_valid_host(url: str) -> bool:
    """Whether an IPv6 address is one, and the port is in range."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _print_example(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(example(), nl=False)
        context.exit()


@click.group(
    invoke_without_command=True,
    context_settings={
        "auto_envvar_prefix": ENVIRONMENT_PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
    epilog=EXAMPLE,
)
@click.option(
    "--config.file",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG_FILE,
    show_default=True,
    show_envvar=True,
    help="The config file: which APIs and organisations to watch.",
)
@click.option(
    "--config.check",
    "config_check",
    is_flag=True,
    show_envvar=True,
    help="Check the config file, print every error with file, line and field, and exit: 0 if fine, 1 if not.",
)
@click.option(
    "--config.example",
    "config_example",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_example,
    help="Print a config to start from, and exit: api-usage-exporter --config.example > config.yaml",
)
@click.option(
    "--web.listen-address",
    "web_listen_address",
    type=ADDRESS,
    multiple=True,
    default=[":10190"],
    show_default=True,
    show_envvar=True,
    help="Where to serve, HOST:PORT, :PORT or unix:PATH; may be given several times (in the environment: separated "
    "by spaces).",
)
@click.option(
    "--web.systemd-socket",
    "web_systemd_socket",
    is_flag=True,
    show_envvar=True,
    help="Serve on the sockets of the service's systemd .socket unit instead of --web.listen-address.",
)
@click.option(
    "--web.external-url",
    "web_external_url",
    callback=_external_url,
    default="",
    show_envvar=True,
    help="The URL by which browsers reach the exporter, say behind a proxy; its path stands before every link.",
)
@click.option(
    "--web.route-prefix",
    "web_route_prefix",
    callback=_route_prefix,
    show_envvar=True,
    help="What all paths stand below; by default the path of --web.external-url. /: a proxy takes that path off.",
)
@click.option(
    "--web.telemetry-path",
    "web_telemetry_path",
    callback=_telemetry_path,
    default="/metrics",
    show_default=True,
    show_envvar=True,
    help="Path of the metrics.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    show_envvar=True,
    help="TLS, users and headers, in the format of Prometheus' exporter-toolkit; read anew when it changes.",
)
@click.option(
    "--web.enable-lifecycle/--no-web.enable-lifecycle",
    "web_enable_lifecycle",
    default=True,
    show_default=True,
    show_envvar=True,
    help="Whether POST /-/reload reads the config file anew; SIGHUP always does.",
)
@click.option(
    "--web.enable-try",
    "web_enable_try",
    is_flag=True,
    show_envvar=True,
    help="Serve /try, where a pasted answer becomes a config; only where all of --web.listen-address are loopback "
    "addresses, such as localhost:10190.",
)
@click.option(
    "--storage.path",
    "storage_path",
    type=click.Path(path_type=Path, file_okay=False),
    show_envvar=True,
    help="Directory where last values and observed daily history survive a restart; without it, they do not.",
)
@click.option(
    "--shard",
    type=SHARD,
    show_envvar=True,
    help="Watch only this exporter's part of the organisations: 0/3, 1/3 and 2/3 share one config file.",
)
@click.option(
    "--log.level",
    "log_level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    show_default=True,
    show_envvar=True,
    help="Least severity to log.",
)
@click.option(
    "--log.format",
    "log_format",
    type=click.Choice(["logfmt", "json"]),
    default="logfmt",
    show_default=True,
    show_envvar=True,
    help="Format of the log, on stderr.",
)
@click.version_option(version("api-usage-exporter"), prog_name="api-usage-exporter")
@click.pass_context
def main(
    context: click.Context,
    *,
    config_file: Path,
    config_check: bool,
    web_listen_address: tuple[Address, ...],
    web_systemd_socket: bool,
    web_external_url: str,
    web_route_prefix: str | None,
    web_telemetry_path: str,
    web_config_file: Path | None,
    web_enable_lifecycle: bool,
    web_enable_try: bool,
    storage_path: Path | None,
    shard: Shard | None,
    log_level: str,
    log_format: str,
) -> None:
    """Ask vendors how much of their API allowances is used, and publish it for Prometheus.

    Without a command, serves until SIGTERM or Ctrl-C; SIGHUP, or POST /-/reload, reads the config file anew.
    """
    set_up_logging(log_level, log_format)
    if context.invoked_subcommand is not None or config_check:
        signals.give_back()
    if context.invoked_subcommand is not None:
        return
    try:
        if config_check:
            _check(config_file, web_config_file, shard)
        else:
            paths = Paths(web_telemetry_path, web_external_url, web_route_prefix)
            addresses = () if web_systemd_socket else web_listen_address
            if web_enable_try and not (addresses and all(is_loopback(address.host) for address in addresses)):
                raise click.UsageError(
                    "--web.enable-try goes with loopback addresses alone: --web.listen-address=localhost:10190"
                )
            web = _Web(addresses, paths, web_config_file, web_enable_lifecycle, web_enable_try)
            _serve(config_file, web, storage_path, shard)
    except ConfigError as error:
        _fail(*map(str, error.problems))
    except ExporterError as error:
        _fail(str(error))


main.add_command(usage)
main.add_command(fits)
main.add_command(plan)
main.add_command(digest)
main.add_command(init)
main.add_command(bundle)
main.add_command(preset)


@dataclass(frozen=True)
class _Web:
    """The --web flags. addresses: none where systemd hands over sockets."""

    addresses: tuple[Address, ...]
    paths: Paths
    config_file: Path | None
    enable_lifecycle: bool
    enable_try: bool


def _check(config_file: Path, web_config_file: Path | None, shard: Shard | None) -> None:
    config = load_config(config_file)
    if web_config_file is not None:
        load_web_config(web_config_file)
    count = len(config.targets)
    part = f", {len(shard.of(config).targets)} of them by shard {shard}" if shard else ""
    click.echo(f"{config_file}: fine, {count} organisation{'' if count == 1 else 's'} to watch{part}")


def _fail(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
    sys.exit(1)


def _serve(config_file: Path, web: _Web, storage_path: Path | None, shard: Shard | None) -> None:
    limit_fragmentation()
    collect_rarely()
    sys.setswitchinterval(_TURN_SECONDS)
    clock = SystemClock()
    service = Service(config_file, clock, Database(storage_path) if storage_path else None, shard)
    live = None
    if web.config_file is not None:
        live = LiveWebConfig(web.config_file, clock, WebConfigMetrics(service.process.registry))
    app = create_app(
        store=service.store,
        exposition=service.exposition,
        process=service.process,
        config=lambda: service.config,
        reload=service.reload if web.enable_lifecycle else None,
        clock=clock,
        is_alive=service.is_alive,
        web_config=live.config if live else None,
        paths=web.paths,
        beside=Beside(service.poller.next_poll, service.alerts.seen),
        with_try=web.enable_try,
    )
    # A signal exits: raised again by the server once it has ended, or met before the server began.
    with contextlib.suppress(SystemExit):
        signals.serve(_reloading(service))
        _run(service, app, web, live)
    systemd.notify("STOPPING=1")
    service.stop()
    log.info("stopped")
    # Polls that wait for a slow vendor run in threads that Python would wait for; nothing of theirs is kept.
    os._exit(0)


def _run(service: Service, app: App, web: _Web, live: LiveWebConfig | None) -> None:
    sockets = [listen(address) for address in web.addresses] or from_systemd()
    addresses = " ".join(_shown(web.addresses, sockets))
    service.start()

    def started() -> None:
        log.info(
            "serving",
            addresses=addresses,
            version=version("api-usage-exporter"),
            organisations=len(service.store.states()),
        )
        systemd.notify("READY=1")

    serve(app, sockets, live, started)


def _shown(addresses: tuple[Address, ...], sockets: list[socket.socket]) -> list[str]:
    if not addresses:
        return [str(address_of(listening)) for listening in sockets]
    # By the host as it was given, and the port as it came to be.
    both = zip(addresses, sockets, strict=True)
    return [str(address if address.path else replace(address, port=address_of(one).port)) for address, one in both]


def _reloading(service: Service) -> Callable[[], None]:
    """What asks for a reload, and waits for nothing: hang-ups that come while one runs share the next."""
    # An Event's lock would wait for itself where a signal meets the handler of the one before.
    asked: SimpleQueue[None] = SimpleQueue()
    threading.Thread(target=_reload_for_ever, args=(service, asked), daemon=True, name="hang-ups").start()
    return partial(asked.put, None)


def _reload_for_ever(service: Service, asked: "SimpleQueue[None]") -> None:
    while True:
        asked.get()
        while not asked.empty():
            asked.get()
        try:
            service.reload()
        except ConfigError:  # logged where it is raised
            pass
        except Exception:
            log.exception("config not loaded; the one before stays in use")
