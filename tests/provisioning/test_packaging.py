"""The package as it is built and installed: whole, without the repository, in an environment of its own."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import requests
from werkzeug.wrappers import Response

from exporter.local.ports import free_port
from exporter.local.processes import Processes
from tests.support.factories import answer, write_config
from tests.support.http import Vendor
from tests.support.programs import ROOT
from tests.support.project import bundle_in, bundled, packaged

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def run(*command: object, cwd: Path, **environment: str) -> str:
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "--target=sdist", f"--directory={folder}", cwd=ROOT)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, so that it has all that a build needs."""
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, sdist, cwd=folder)
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in an environment that borrows only the dependencies from this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin/python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # Afterwards, since pip would take the repository's own install there for this one. A path in a .pth file brings
    # no .pth files of its own: the repository, which is installed by one, stays out.
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/api-usage-exporter"


def test_the_wheel_holds_every_file_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert found == packaged()
    assert {Path(name).suffix for name in found} >= {
        ".py",
        ".yaml",
        ".html",
        ".css",
        ".js",
        ".json",
        ".md",
        ".service",
    }
    assert not [name for name in found if name.split("/")[0] in ("tests", "benchmarks") or "/tests/" in name]


def test_the_source_distribution_can_be_tested_and_built(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(packaged()) | {"pyproject.toml", "README.md", "Makefile", "requirements.lock"} <= names
    assert {"tests/conftest.py", "alert_rules/tests/usage.yaml", "docs/install.md"} <= names


def test_the_installed_command_is_not_the_repository_s(command: Path, tmp_path: Path) -> None:
    code = "import exporter, dashboards, alert_rules as r; print(exporter.__file__, dashboards.__file__, r.__file__)"
    for place in run(command.with_name("python"), "-c", code, cwd=tmp_path).split():
        assert Path(place).is_relative_to(command.parents[1])
    assert run(command, "--version", cwd=tmp_path).startswith("api-usage-exporter, version ")


def test_it_checks_a_config_by_its_presets(command: Path, tmp_path: Path) -> None:
    text = run(command, "--config.example", cwd=tmp_path)
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    checked = run(command, "--config.file=config.yaml", "--config.check", cwd=tmp_path)
    assert checked.endswith("config.yaml: fine, 1 organisation to watch\n")
    schema = Path(text.splitlines()[0].partition("$schema=")[2])
    assert schema.is_relative_to(command.parents[1])
    assert json.loads(schema.read_text("utf-8"))["$schema"]


def test_it_serves_the_page_and_the_metrics(
    command: Path, tmp_path: Path, vendor: Vendor, processes: Processes
) -> None:
    vendor.answer = lambda _: Response(json.dumps(answer()))
    config = write_config(tmp_path / "config.yaml", {"url": f"{vendor.url}/usage"})
    port = free_port(0, "")
    url = f"http://127.0.0.1:{port}"
    processes.start("installed", [str(command), f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"])
    processes.wait_ready("installed", f"{url}/-/ready")
    for path, text in (
        ("/", "75.00%"),
        ("/metrics", 'scope="Maps"} 750.0'),
        ("/static/usage.css", "--"),
        ("/static/usage.js", "fetch"),
    ):
        response = requests.get(url + path, timeout=10)
        assert response.ok, path
        assert text in response.text, path


def test_its_bundle_is_what_the_repository_holds(command: Path, tmp_path: Path) -> None:
    run(command, "bundle", "--output=monitoring", cwd=tmp_path)
    assert bundle_in(tmp_path / "monitoring") == bundled()
