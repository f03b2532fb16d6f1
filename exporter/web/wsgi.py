"""A Flask app as an ASGI app whose threads are free as soon as the app has answered."""

from a2wsgi import WSGIMiddleware
from flask import Flask

from exporter.web.asgi import App, Message, Receive, Scope, Send

# Pages are made by Python, one at a time; a second thread keeps a short one from waiting for a long one.
_THREADS = 2


def wsgi(app: Flask) -> App:
    # a2wsgi has its own names for ASGI's types.
    inner: App = WSGIMiddleware(app, workers=_THREADS)  # type: ignore[assignment, arg-type]

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        # A client that does not read must not hold a thread: a2wsgi's sends wait in it.
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await inner(scope, receive, keep)
        for message in messages:
            await send(message)

    return called
