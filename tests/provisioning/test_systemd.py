"""The systemd unit: what systemd says of it, and its own command lines run as processes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from werkzeug.wrappers import Response

from exporter.cli import main
from exporter.local.ports import free_port
from exporter.local.processes import eventually, required
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.programs import ROOT

UNIT = ROOT / "provisioning/systemd/api-usage-exporter.service"
ENVIRONMENT_FILE = ROOT / "provisioning/systemd/api-usage-exporter.env"
COMMAND = Path(sys.executable).with_name("api-usage-exporter")
# Runs a command under PR_SET_MDWE, the kernel's own MemoryDenyWriteExecute (Linux 6.3 and later; no effect before).
UNDER_MDWE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with its paths mapped to this environment's command and to the test's folder."""
    text = UNIT.read_text(encoding="utf-8")
    for there, here in (
        ("/opt/api-usage-exporter/bin/api-usage-exporter", COMMAND),
        ("/etc/api-usage-exporter", tmp_path / "etc"),
        ("%S/api-usage-exporter", tmp_path / "state"),
    ):
        assert there in text
        text = text.replace(there, str(here))
    (tmp_path / "etc").mkdir()
    file = tmp_path / UNIT.name
    file.write_text(text, encoding="utf-8")
    return file


def settings(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [required("systemd-analyze"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_to_complain_of(unit: Path) -> None:
    ran = analyze("verify", "--man=no", unit)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_systemd_complains_of_a_setting_that_it_does_not_know(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "Unknown key 'ProtectHomes'" in analyze("verify", "--man=no", unit).stderr


def test_little_of_the_system_is_open_to_it(unit: Path) -> None:
    """systemd's own measure: 10 is all, and a unit without any of these settings has 9.6."""
    ran = analyze("security", "--offline=yes", "--threshold=15", "--no-pager", unit)
    assert ran.returncode == 0, ran.stdout


def environment(unit: Path, **more: str) -> dict[str, str]:
    own = dict(assignment.split("=", 1) for assignment in settings(unit, "Environment"))
    return {**os.environ, **own, **more}


def run(line: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    line = re.sub(r"\$(\w+)", lambda match: env[match[1]], line)
    return subprocess.run(line.split(), env=env, capture_output=True, text=True, timeout=30, check=False)


def test_its_command_lines_check_start_reload_and_end(unit: Path, tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda _: Response(json.dumps(answer()))
    config = write_config(tmp_path / "etc/config.yaml", {"url": f"{vendor.url}/usage"})
    port = free_port(0, "")
    env = environment(unit, API_USAGE_EXPORTER_WEB_LISTEN_ADDRESS=f"127.0.0.1:{port}")
    (check,), (start,) = settings(unit, "ExecStartPre"), settings(unit, "ExecStart")
    assert run(check, env).stdout == f"{config}: fine, 1 organisation to watch\n"
    with subprocess.Popen([sys.executable, "-c", UNDER_MDWE, *start.split()], env=env) as process:
        try:
            env["MAINPID"] = str(process.pid)
            eventually(lambda: "Maps" in metrics(port))
            assert list((tmp_path / "state").iterdir())
            config.write_text(config.read_text().replace("acme", "other"))
            assert [run(line, env).returncode for line in settings(unit, "ExecReload")] == [0, 0]
            eventually(lambda: 'organisation="other"' in metrics(port))
            config.write_text("apis: []")
            refused = run(settings(unit, "ExecReload")[0], env)
            assert (refused.returncode, "apis: must not be empty" in refused.stderr) == (1, True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def metrics(port: int) -> str:
    try:
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    except requests.ConnectionError:
        return ""


def test_the_environment_file_names_flags_that_exist_and_sets_none() -> None:
    lines = ENVIRONMENT_FILE.read_text(encoding="utf-8").splitlines()
    named = [line.removeprefix("#").split("=")[0] for line in lines if re.match(r"#\w+=", line)]
    known = {f"API_USAGE_EXPORTER_{parameter.name}".upper() for parameter in main.params}
    assert named
    assert set(named) <= known
    assert all(line.startswith("#") for line in lines if line)
