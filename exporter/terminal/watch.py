"""Staying on the terminal's own second screen, and drawing anew what a running exporter answers."""

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live

from exporter.terminal.draw import QUIET, text
from exporter.terminal.running import Unavailable
from exporter.view.usage_json import UsageDocument

# Exporters poll vendors each minute or less often; this is soon enough to see it, and nothing to answer.
SECONDS = 5.0


def watch(
    ask: Callable[[], UsageDocument],
    draw: Callable[[UsageDocument], RenderableType],
    console: Console,
    seconds: float = SECONDS,
) -> UsageDocument:
    """Until Ctrl-C, after which the terminal is as it was before; returns what was shown last.

    Where the exporter stops answering, the last figures stay under a line that says so. Raises Unavailable where it
    does not answer at all.
    """
    document = ask()
    live = Live(draw(document), console=console, screen=True, auto_refresh=False)
    try:
        with live:
            while True:
                time.sleep(seconds)
                trouble = ""
                try:
                    document = ask()
                except Unavailable as error:
                    trouble = str(error)
                notice = text(f"{trouble}; these are the figures of {document.time:%H:%M:%S} UTC", "bright_red")
                foot = text("Ctrl-C ends it", QUIET)
                live.update(Group(*([notice] if trouble else []), draw(document), foot), refresh=True)
    except KeyboardInterrupt:
        live.stop()  # where it came while the screen was being taken over
        return document
