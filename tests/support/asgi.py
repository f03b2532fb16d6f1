"""Our own server over an ASGI app, in a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.address import Address
from exporter.web.asgi import App
from exporter.web.connections import Bounds
from exporter.web.listening import listen
from exporter.web.live_config import LiveWebConfig
from exporter.web.server import Server


@contextmanager
def serve_asgi(app: App, live: LiveWebConfig | None = None, bounds: Bounds | None = None) -> Iterator[str]:
    """Serve the app; yields its base URL, such as http://127.0.0.1:41234."""
    started = threading.Event()
    listening = listen(Address("127.0.0.1"))
    host, port = listening.getsockname()
    server = Server(app, live, started.set, bounds)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    assert started.wait(10)
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
