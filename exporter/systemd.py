"""What systemd hears of the exporter (sd_notify(3)); nothing where it was not started as a service that says so."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """state: such as READY=1."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # in the abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect(address)
        connection.sendall(state.encode())
