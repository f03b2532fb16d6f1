"""Saved answers, from files and standard input."""

import sys
from pathlib import Path
from typing import Any

from exporter.errors import PollError
from exporter.vendor.strict_json import parse_json
from exporter.view.tried import LARGEST_ANSWER


class SavedError(Exception):
    """A saved answer cannot be read; the message names the file."""


def saved_answer(file: Path) -> Any:
    """A vendor's answer, as JSON; - is standard input. Raises SavedError."""
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(LARGEST_ANSWER + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(LARGEST_ANSWER + 1)
    except OSError as error:
        raise SavedError(f"{file}: {error.strerror}") from None
    if len(data) > LARGEST_ANSWER:
        raise SavedError(f"{file}: is larger than {LARGEST_ANSWER // 2**20} MiB, and so no usage endpoint's answer")
    try:
        return parse_json(data)
    except PollError as error:
        raise SavedError(f"{file}: {error}") from None
