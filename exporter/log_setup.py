"""Logging on stderr, as logfmt or JSON, one line an event."""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

from exporter.redaction import redact

LOG_LEVELS = ("debug", "info", "warn", "error")

_SEVERITIES = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def _redacted(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {name: _plain(value) for name, value in event.items()}


def _plain(value: object) -> object:
    """What is written of a value, without secrets: whatever is no number is written as its text."""
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


class _Unfailing:
    """A stream on which a full disk or a reader that has gone loses lines, not the poll that logs them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def set_up_logging(level: str, style: str) -> None:
    """Set up structlog and the standard library's logging (uvicorn's) alike."""
    processors: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        _redacted,
    ]
    structlog.configure(
        processors=[*processors, _renderer(style)],
        wrapper_class=structlog.make_filtering_bound_logger(_SEVERITIES[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    rendering = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(style)]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=processors, processors=rendering))
    logging.captureWarnings(True)
    # Libraries' own chatter (uvicorn's start and stop, urllib3's connections) is for debugging only.
    logging.basicConfig(level=logging.DEBUG if level == "debug" else logging.WARNING, handlers=[handler], force=True)
    if level != "debug":
        # A warning for each request that is none: they name no client, and let anybody fill a disk.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _renderer(style: str) -> structlog.types.Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(key_order=["ts", "level", "event"], bool_as_flag=False)
