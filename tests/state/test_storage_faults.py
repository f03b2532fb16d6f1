"""kill -9, full and read-only disks, flipped bits: what was saved is there again, or is told to be lost."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from exporter.errors import StartError
from exporter.local.processes import eventually, free_port
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.storage import Saved, Storage
from tests.support.factories import answer, write_config
from tests.support.http import Vendor

KEY = ("demo", "acme", "acme", "http://x")
WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.storage import Saved, Storage
storage = Storage(Path(sys.argv[1]))
known = storage.load(("demo", "acme", "acme", "http://x"))
number = int(known.scopes[0].usage.requests) if known else 0
at = datetime(2026, 11, 22, tzinfo=UTC)
while True:
    number += 1
    scopes = tuple(FetchedScope(ScopeUsage(f"s{index}", number, None), at) for index in range(40))
    storage.save(("demo", "acme", "acme", "http://x"), Saved(at + timedelta(seconds=number), scopes, {}))
    print(number, flush=True)
"""


def test_kill_9_at_any_moment_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    rng = random.Random(7)
    last = 0
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            first = int(writer.stdout.readline())
            assert first == last + 1 or first == last + 2  # the one under way when it was killed may have been saved
            time.sleep(rng.uniform(0, 0.05))
            writer.send_signal(signal.SIGKILL)
            told = [int(line) for line in writer.stdout.read().split()]
        saved = Storage(tmp_path).load(KEY)
        assert saved is not None
        assert saved.last_success is not None
        numbers = {scope.usage.requests for scope in saved.scopes}
        assert len(numbers) == 1
        last = int(numbers.pop())
        assert last >= max([first, *told])
        assert (saved.last_success - datetime(2026, 11, 22, tzinfo=UTC)).total_seconds() == last
        assert [file.suffix for file in tmp_path.iterdir()] == [".state"]


SAVED = Saved(datetime(2026, 11, 22, tzinfo=UTC), (FetchedScope(ScopeUsage("Maps", 750, 1000), datetime(2026, 11, 22, tzinfo=UTC)),), {})  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_or_a_missing_end_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    storage = Storage(tmp_path)
    storage.save(KEY, SAVED)
    (file,) = tmp_path.glob("*.state")
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    file.write_bytes(content)
    assert storage.load(KEY) is None
    assert file.with_suffix(".damaged").read_bytes() == content
    assert not file.exists()


@pytest.mark.parametrize("fault", [errno.EROFS, errno.ENOSPC])
def test_the_exporter_starts_with_what_a_full_or_read_only_disk_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: int
) -> None:
    Storage(tmp_path).save(KEY, SAVED)

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    storage = Storage(tmp_path)
    assert storage.load(KEY) == SAVED
    storage.save(KEY, SAVED)
    told = capsys.readouterr().out
    assert "state cannot be saved" in told
    assert "state not saved" in told


def test_a_folder_of_somebody_else_is_an_error_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(StartError, match="cannot write to .*: Permission denied"):
        Storage(tmp_path)


def test_a_disk_that_fills_up_stops_neither_polls_nor_scrapes(tmp_path: Path, vendor: Vendor) -> None:
    """The kernel refuses every write of the process: state files, and its log as well."""
    used = [750]
    vendor.answer = lambda _: Response(json.dumps(answer({"requests": used[0]})))
    config = write_config(tmp_path / "config.yaml", {"url": vendor.url, "poll_interval": "1s"})
    port = free_port(0, "")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", f"--storage.path={tmp_path / 'data'}"]

    def requests_shown() -> str:
        try:
            text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        except requests.ConnectionError:
            return ""
        return next((line.split()[-1] for line in text.splitlines() if line.startswith("api_usage_requests{")), "")

    with log.open("w") as stderr:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=stderr)
    try:
        eventually(lambda: requests_shown() == "750.0" and list((tmp_path / "data").glob("*.state")))
        limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for used[0] in (760, 770):
            eventually(lambda: requests_shown() == f"{used[0]}.0")
        (file,) = (tmp_path / "data").glob("*.state")
        assert b"750.0" in file.read_bytes()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
        eventually(lambda: b"770.0" in file.read_bytes())
        used[0] = 780
        eventually(lambda: b"780.0" in file.read_bytes())
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
