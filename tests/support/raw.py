"""Servers that misbehave below HTTP."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def raw_server(behave: Behaviour) -> Iterator[str]:
    """Hands every connection to `behave`, with an event that is set at the end; yields its base URL."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serve_one(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                behave(connection, stop)

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def sending(*chunks: bytes, pause: float = 0.0) -> Behaviour:
    """Read what is asked, send these bytes with pauses, and hang up."""

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        for chunk in chunks:
            connection.sendall(chunk)
            if stop.wait(pause):
                return

    return behave


def dripping(first: bytes, repeated: bytes, pause: float = 0.02) -> Behaviour:
    """Send `first`, then `repeated` for ever."""

    def behave(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while not stop.wait(pause):
            connection.sendall(repeated)

    return behave
