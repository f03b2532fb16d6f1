"""The command line: flags in the manner of Prometheus' exporters; each may also come from the environment."""

import contextlib
import os
import re
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import click
import structlog
from flask import Flask

from exporter.address import Address
from exporter.allocator import limit_fragmentation
from exporter.bundle.command import bundle
from exporter.clock import SystemClock
from exporter.config.load import load_config
from exporter.errors import ConfigError, ExporterError
from exporter.flags import ADDRESS, DEFAULT_CONFIG_FILE, SHARD
from exporter.log_setup import LOG_LEVELS, set_up_logging
from exporter.service import Service
from exporter.state.database import Database
from exporter.state.sharding import Shard
from exporter.terminal.command import usage
from exporter.web.app import RESERVED_PATHS, create_app
from exporter.web.live_config import LiveWebConfig
from exporter.web.server import listen, serve
from exporter.web.web_config import load_web_config

log = structlog.get_logger()

ENVIRONMENT_PREFIX = "API_USAGE_EXPORTER"

EXAMPLE = """\b
Example:
  api-usage-exporter --config.file=config.yaml --config.check
  api-usage-exporter --config.file=config.yaml --storage.path=/var/lib/api-usage-exporter
  curl http://localhost:10190/metrics
  api-usage-exporter usage --organisation='Example Logistics'
"""


def _telemetry_path(_: click.Context, __: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise click.BadParameter(f"must be a path such as /metrics, not {value!r}")
    if value.startswith(RESERVED_PATHS):
        raise click.BadParameter(f"{value!r} is an address of the exporter's own")
    return value


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
    "--web.listen-address",
    "web_listen_address",
    type=ADDRESS,
    multiple=True,
    default=[":10190"],
    show_default=True,
    show_envvar=True,
    help="Where to serve, HOST:PORT or :PORT; may be given several times (in the environment: separated by spaces).",
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
    web_telemetry_path: str,
    web_config_file: Path | None,
    web_enable_lifecycle: bool,
    storage_path: Path | None,
    shard: Shard | None,
    log_level: str,
    log_format: str,
) -> None:
    """Ask vendors how much of their API allowances is used, and publish it for Prometheus.

    Without a command, serves until SIGTERM or Ctrl-C; SIGHUP, or POST /-/reload, reads the config file anew.
    """
    set_up_logging(log_level, log_format)
    if context.invoked_subcommand is not None:
        return
    try:
        if config_check:
            _check(config_file, web_config_file, shard)
        else:
            web = _Web(web_listen_address, web_telemetry_path, web_config_file, web_enable_lifecycle)
            _serve(config_file, web, storage_path, shard)
    except ConfigError as error:
        _fail(*map(str, error.problems))
    except ExporterError as error:
        _fail(str(error))


main.add_command(usage)
main.add_command(bundle)


@dataclass(frozen=True)
class _Web:
    """The --web flags."""

    addresses: tuple[Address, ...]
    telemetry_path: str
    config_file: Path | None
    enable_lifecycle: bool


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
    clock = SystemClock()
    live = LiveWebConfig(web.config_file, clock.monotonic) if web.config_file else None
    service = Service(config_file, clock, Database(storage_path) if storage_path else None, shard)
    app = create_app(
        store=service.store,
        exposition=service.exposition,
        reload=service.reload if web.enable_lifecycle else None,
        clock=clock,
        is_alive=service.is_alive,
        telemetry_path=web.telemetry_path,
    )
    sockets = [listen(address) for address in web.addresses]
    _handle_signals(service)
    # A signal exits: raised again by the server once it has ended, or met before the server began.
    with contextlib.suppress(SystemExit):
        _run(service, app, sockets, web, live)
    service.stop()
    log.info("stopped")
    # Polls that wait for a slow vendor run in threads that Python would wait for; nothing of theirs is kept.
    os._exit(0)


def _run(service: Service, app: Flask, sockets: list[socket.socket], web: _Web, live: LiveWebConfig | None) -> None:
    service.start()
    log.info(
        "serving",
        addresses=" ".join(str(address) for address in web.addresses),
        version=version("api-usage-exporter"),
        organisations=len(service.store.states()),
    )
    serve(app, sockets, live)


def _handle_signals(service: Service) -> None:
    """SIGHUP reloads; SIGTERM and SIGINT end, at any moment from the start on."""

    def reload(_: int, __: FrameType | None) -> None:
        threading.Thread(target=_reload_logged, args=(service,), daemon=True).start()

    def end(_: int, __: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGHUP, reload)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _reload_logged(service: Service) -> None:
    with contextlib.suppress(ConfigError):  # logged where it is raised
        service.reload()
