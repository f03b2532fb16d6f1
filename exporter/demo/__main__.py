"""`make demo`: the whole thing on one machine, against a simulated vendor API."""

import logging
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import click
from werkzeug.serving import make_server

from exporter.bundle.files import PROVISIONING, RULES, Site, project_folder, rule_files
from exporter.bundle.folder import write
from exporter.demo.alone import serve_receiver, serve_vendor
from exporter.demo.backfill import STEP, BackfillError, backfill, published_by
from exporter.demo.faults import Faults
from exporter.demo.meter import Meter
from exporter.demo.ports import DEFAULTS, PROGRAMS, free_ports
from exporter.demo.receiver import Inbox
from exporter.demo.receiver import create_app as create_receiver
from exporter.demo.traffic import Traffic
from exporter.demo.vendor import create_app
from exporter.errors import StartError
from exporter.local.files import localised
from exporter.local.processes import Processes, program

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    vendor: int
    exporter: int
    prometheus: int
    alertmanager: int
    receiver: int

    def url(self, name: str) -> str:
        return f"http://{_HOST}:{getattr(self, name)}"


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.option("--exporter.port", "exporter", default=DEFAULTS["exporter"], help="Port of the exporter.")
@click.option("--vendor.port", "vendor", default=DEFAULTS["vendor"], help="Port of the simulated vendor API.")
@click.option("--prometheus.port", "prometheus", default=DEFAULTS["prometheus"], help="Port of Prometheus.")
@click.option("--alertmanager.port", "alertmanager", default=DEFAULTS["alertmanager"], help="Port of Alertmanager.")
@click.option(
    "--receiver.port", "receiver", default=DEFAULTS["receiver"], help="Port of the page that shows what was paged."
)
@click.pass_context
def main(context: click.Context, /, **wanted: int) -> None:
    """Run the exporter against a simulated vendor API with traffic, until Ctrl-C.

    Prometheus and Alertmanager run too, where they are installed. 0 as a port means any free one. The commands run
    one part alone, for containers.
    """
    if context.invoked_subcommand is not None:
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        ports = Ports(**free_ports(wanted))
        with tempfile.TemporaryDirectory(prefix="api-usage-demo-") as folder:
            _run(ports, Path(folder), stop)
    except StartError as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(1)


main.add_command(serve_vendor)
main.add_command(serve_receiver)


def _run(ports: Ports, folder: Path, stop: threading.Event) -> None:
    meter = Meter()
    faults = Faults([organisation.id for organisation in meter.organisations])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request of the traffic says nothing
    servers = [
        make_server(_HOST, ports.vendor, create_app(meter, faults), threaded=True),
        make_server(_HOST, ports.receiver, create_receiver(Inbox(), usage_page=ports.url("exporter")), threaded=True),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    Traffic(ports.url("vendor")).start(stop)
    try:
        with Processes(folder) as processes:
            alertmanager = _start_alertmanager(processes, ports, folder)
            _start_exporter(processes, ports, folder, shows_alerts=alertmanager is not None)
            started = [alertmanager, _start_prometheus(processes, ports, folder, meter)]
            _announce(ports, folder, [name for name in started if name])
            while not stop.wait(1.0):
                processes.check()
            click.echo("\nending")
    finally:
        stop.set()
        faults.close()
        for server in servers:
            server.shutdown()


def _start_exporter(processes: Processes, ports: Ports, folder: Path, *, shows_alerts: bool) -> None:
    source = Path(__file__).with_name("config.yaml")
    replacements = {
        "http://vendor:8080": ports.url("vendor"),
        "http://alertmanager:9093": ports.url("alertmanager"),
        **({} if shows_alerts else {"alerts: {": "x-alerts: {"}),
    }
    config = localised(source, replacements, folder / "config.yaml")
    command = [
        sys.executable,
        "-m",
        "exporter",
        f"--config.file={config}",
        f"--web.listen-address={_HOST}:{ports.exporter}",
        f"--storage.path={folder / 'exporter'}",
        "--log.level=warn",
    ]
    processes.start("exporter", command, quiet=False)
    processes.wait_ready("exporter", f"{ports.url('exporter')}/-/ready")


def _start_alertmanager(processes: Processes, ports: Ports, folder: Path) -> str | None:
    path = program(*PROGRAMS["alertmanager"])
    if path is None:
        _report_missing("alertmanager", "apt-get install prometheus-alertmanager")
        return None
    source = project_folder(PROVISIONING) / "alertmanager" / "alertmanager.yml"
    config = localised(source, {"http://receiver:8080": ports.url("receiver")}, folder / "alertmanager.yml")
    command = [
        path,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={_HOST}:{ports.alertmanager}",
        "--cluster.listen-address=",
    ]
    processes.start("alertmanager", command)
    processes.wait_ready("alertmanager", f"{ports.url('alertmanager')}/-/ready")
    return "alertmanager"


def _backfill(meter: Meter, ports: Ports, folder: Path) -> None:
    """Give Prometheus the vendor's record of 30 days; without promtool, the demo begins without a past."""
    path = program("promtool")
    if path is None:
        click.echo("promtool is not on PATH, so the demo's graphs begin now; to get it: apt-get install prometheus")
        return
    click.echo("writing 30 days of history for Prometheus, a few seconds", nl=False)
    began = time.monotonic()
    published = published_by(folder / "config.yaml", folder / "prometheus.yml", f"{_HOST}:{ports.exporter}")
    try:
        backfill(path, meter.records(STEP), published, folder / "prometheus")
    except BackfillError as error:
        click.echo(f"\ndemo: no history: {error}", err=True)
    else:
        click.echo(f": done in {time.monotonic() - began:.0f} s")


def _start_prometheus(processes: Processes, ports: Ports, folder: Path, meter: Meter) -> str | None:
    path = program(*PROGRAMS["prometheus"])
    if path is None:
        _report_missing("prometheus", "apt-get install prometheus")
        return None
    config = _prometheus_config(ports, folder)
    _backfill(meter, ports, folder)
    command = [
        path,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--storage.tsdb.retention.time=400d",
        f"--web.listen-address={_HOST}:{ports.prometheus}",
    ]
    processes.start("prometheus", command)
    processes.wait_ready("prometheus", f"{ports.url('prometheus')}/-/ready")
    return "prometheus"


def _rules(ports: Ports, folder: Path) -> Path:
    """A folder with the rule files, whose links to runbooks lead to the receiver page."""
    write(rule_files(Site(runbooks=f"{ports.url('receiver')}/runbooks")), folder)
    return folder / RULES


def _prometheus_config(ports: Ports, folder: Path) -> Path:
    replacements = {
        "/etc/prometheus/rules": str(_rules(ports, folder)),
        "alertmanager:9093": f"{_HOST}:{ports.alertmanager}",
        "exporter:10190": f"{_HOST}:{ports.exporter}",
        "localhost:9090": f"{_HOST}:{ports.prometheus}",
    }
    source = project_folder(PROVISIONING) / "prometheus" / "prometheus.yml"
    return localised(source, replacements, folder / "prometheus.yml")


def _report_missing(name: str, how: str) -> None:
    click.echo(f"{name} is not on PATH, so the demo runs without it; to get it: {how}")


def _announce(ports: Ports, folder: Path, started: list[str]) -> None:
    lines = {
        "usage page": ports.url("exporter"),
        "metrics": f"{ports.url('exporter')}/metrics",
        "vendor API": f"{ports.url('vendor')} (break it: POST /faults)",
        **{name: ports.url(name) for name in reversed(started)},
        **({"paged": ports.url("receiver")} if "alertmanager" in started else {}),
    }
    for name, where in lines.items():
        click.echo(f"{name + ':':<14}{where}")
    click.echo(f"{'logs:':<14}{folder}")
    click.echo("Ctrl-C ends everything.")


if __name__ == "__main__":
    main()
