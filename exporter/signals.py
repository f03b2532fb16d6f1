"""Signals, from the first instant: SIGHUP reloads, SIGTERM and Ctrl-C end.

Imports nothing that takes time. What a signal asks for before the exporter can do it is done as soon as it can.
"""

import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGHUP, signal.SIGTERM)


class _HangUps:
    """reload: what to do; None while nothing can be reloaded yet. waiting: whether one came before that."""

    reload: Callable[[], None] | None = None
    waiting = False


def take() -> None:
    """Handle SIGHUP and SIGTERM; for the main thread."""
    signal.signal(signal.SIGHUP, _hang_up)
    signal.signal(signal.SIGTERM, _end)


def serve(reload: Callable[[], None]) -> None:
    """Handle them for an exporter that runs, and SIGINT as well. reload: must not block."""
    take()
    signal.signal(signal.SIGINT, _end)
    _HangUps.reload = reload
    if _HangUps.waiting:
        _HangUps.waiting = False
        reload()


def give_back() -> None:
    """For a command that serves nothing: signals do what they usually do."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _hang_up(_: int, __: FrameType | None) -> None:
    if _HangUps.reload is None:
        _HangUps.waiting = True
    else:
        _HangUps.reload()


def _end(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)
