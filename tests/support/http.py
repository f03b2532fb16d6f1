"""Real HTTP servers on 127.0.0.1."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

Answer = Callable[[Request], Response]


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def serve(app: Any, port: int = 0) -> Iterator[str]:
    """Serve a WSGI app; yields its base URL, such as http://127.0.0.1:41234."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Silent)
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Vendor:
    """A vendor whose answer a test sets; remembers the requests that it got."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: Response("no answer was set", 500)
        self.requests: list[Request] = []
        self.url = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        request.get_data()  # kept, for tests that look at it later
        self.requests.append(request)
        return self.answer(request)(environ, start_response)
