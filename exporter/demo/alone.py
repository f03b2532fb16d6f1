"""The demo's vendor and its receiver page, each as a command of its own."""

import contextlib
import signal
import socket
import sys
import threading
from types import FrameType

import click
from flask import Flask

from exporter.address import Address
from exporter.demo import receiver, vendor
from exporter.demo.faults import Faults
from exporter.demo.meter import Meter
from exporter.demo.traffic import Traffic
from exporter.errors import StartError
from exporter.flags import ADDRESS
from exporter.web.connections import Bounds
from exporter.web.listening import listen
from exporter.web.server import serve
from exporter.web.wsgi import wsgi

# Alertmanager sends many alerts at once.
_BOUNDS = Bounds(request=16 * 2**20)

_listen_address = click.option(
    "--web.listen-address", "address", type=ADDRESS, default=":8080", help="Where to serve, HOST:PORT or :PORT."
)


@click.command("vendor")
@_listen_address
def serve_vendor(address: Address) -> None:
    """Serve the simulated vendor API, with traffic."""
    sockets = _listen(address)
    meter = Meter()
    faults = Faults([organisation.id for organisation in meter.organisations])
    stop = threading.Event()
    Traffic(f"http://{address if address.host else f'localhost:{address.port}'}").start(stop)
    try:
        _serve(vendor.create_app(meter, faults), sockets)
    finally:
        stop.set()
        faults.close()


@click.command("receiver")
@_listen_address
def serve_receiver(address: Address) -> None:
    """Serve the page that shows what Alertmanager has sent."""
    _serve(receiver.create_app(receiver.Inbox()), _listen(address))


def _listen(address: Address) -> list[socket.socket]:
    try:
        return [listen(address)]
    except StartError as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(1)


def _serve(app: Flask, sockets: list[socket.socket]) -> None:
    def end(_: int, __: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with contextlib.suppress(SystemExit):  # the server raises a signal again once it has ended
        serve(wsgi(app), sockets, bounds=_BOUNDS)
