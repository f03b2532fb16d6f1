"""The exporter's commands at a real (pseudo-)terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from functools import partial


def in_terminal(*arguments: str, wide: int = 100, typed: Mapping[str, str] | None = None) -> str:
    """What a command writes; fails where it does not end with 0.

    typed: by what it has written, what is typed then, once each and in their order; "\x03" is Ctrl-C.
    """
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(wide), "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "exporter", *arguments]
    waiting = list((typed or {}).items())
    # A session of its own, so that Ctrl-C comes from its terminal, and is heeded even where the tests run in the
    # background of a shell, which has its jobs ignore it.
    start = partial(subprocess.Popen, stdin=follower, stdout=follower, stderr=follower, env=environment)
    with start(["env", "--default-signal=INT", "setsid", "--ctty", *command]) as process:
        os.close(follower)
        written = b""
        try:
            while chunk := os.read(leader, 65_536):
                written += chunk
                if waiting and waiting[0][0].encode() in written:
                    os.write(leader, waiting.pop(0)[1].encode())
        except OSError:
            pass  # Linux' way to say that the terminal has no more users
        os.close(leader)
    assert process.returncode == 0, written
    return written.decode()
