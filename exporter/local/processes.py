"""Child processes that end with who started them, whatever happens; what to find and to wait for."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import requests

from exporter.errors import StartError

T = TypeVar("T")

# Programs are ready within seconds; on a busy machine they take several times as long.
_START_SECONDS = 30.0
# Twice what the exporter gives answers under way; what has not ended by then is killed.
_STOP_SECONDS = 6.0


@dataclass
class Processes:
    """Starts programs and, on leaving the context, ends those that it started: asked first, then killed."""

    logs: Path
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    def start(
        self, name: str, command: Sequence[str], *, quiet: bool = True, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a program in a group of its own, so that Ctrl-C reaches only us.

        quiet: its log goes to a file. environment: the whole of it; this process's own if left out.
        """
        with (self.logs / f"{name}.log").open("wb") as file:
            log = file if quiet else None
            process = subprocess.Popen(  # noqa: S603 - commands are ours
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )
        self._running.append((name, process))

    def pid(self, name: str) -> int:
        """Of a program that was started."""
        return next(process.pid for known, process in self._running if known == name)

    def wait_ready(self, name: str, url: str) -> None:
        """Wait until the URL answers 200. Raises StartError where it does not in time, or the program ended."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                if requests.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise StartError(f"{name} did not get ready within {_START_SECONDS:g} s; its log: {self.logs}/{name}.log")

    def check(self) -> None:
        """Raises StartError where a program has ended."""
        for name, process in self._running:
            if process.poll() is not None:
                raise StartError(f"{name} ended with status {process.returncode}; its log: {self.logs}/{name}.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        running = [process for _, process in reversed(self._running) if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def program(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)


def required(*names: str) -> str:
    """The path of the first of these programs that is installed. Raises StartError where there is none."""
    path = program(*names)
    if path is None:
        raise StartError(f"{names[0]} is not installed; `make test` installs it, or says how to get it")
    return path


def eventually(probe: Callable[[], T], seconds: float = 20.0) -> T:
    """The first true value of the probe. Raises TimeoutError with the last one where none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s; last: {value!r}")
        time.sleep(0.05)
