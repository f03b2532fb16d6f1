"""Load over HTTP, by wrk (https://github.com/wg/wrk)."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

WRK_SECONDS = 8  # thousands of requests, of which 1 % is enough for the 99th percentile
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Latency:
    """Seconds. errors: answers that were no 2xx, and connections that failed."""

    median: float
    p99: float
    errors: int


def wrk(
    url: str, *, connections: int = 8, seconds: int = WRK_SECONDS, gzip: bool = True, headers: Sequence[str] = ()
) -> Latency:
    """Ask for the URL over so many connections, for so long. headers: such as "A: b", of every request."""
    command = _command(url, connections, seconds, [*headers, *(["Accept-Encoding: gzip"] if gzip else [])])
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.findall(r"(?:Non-2xx or 3xx responses:|connect|read|write|timeout) (\d+)", text)
    return Latency(_percentile(text, 50), _percentile(text, 99), sum(map(int, failed)))


@contextmanager
def asking(url: str, *, connections: int, headers: Sequence[str] = ()) -> Iterator[list[float]]:
    """Ask for the URL all the while, over so many connections; yields what then holds the answers a second."""
    command = _command(url, connections, 600, headers)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        rate: list[float] = []
        try:
            yield rate
        finally:
            process.send_signal(signal.SIGINT)  # wrk reports what it has
            text, _ = process.communicate()
            rate += map(float, re.findall(r"^Requests/sec:\s+([\d.]+)", text, re.MULTILINE))


def _command(url: str, connections: int, seconds: int, headers: Sequence[str]) -> list[str]:
    named = [part for header in headers for part in ("-H", header)]
    return [tool("wrk"), *named, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s", url]


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk tells no {percent}th percentile:\n{text}")
    return float(found.group(1)) * _UNITS[found.group(2)]


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"{name} is missing; to get it on Debian: apt-get install {name}")
    return path
