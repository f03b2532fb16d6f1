"""Who may import whom: the contracts in pyproject.toml hold, and fail where one is broken."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.programs import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
NAMES = {contract["id"]: contract["name"] for contract in SETTINGS["contracts"]}
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def linted(folder: Path) -> tuple[int, str]:
    """(exit status, report in one line) of the check, on the project in this folder."""
    ran = subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return ran.returncode, " ".join((ran.stdout + ran.stderr).split())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of all code, to add imports to."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in SETTINGS["root_packages"]:
        for file in (ROOT / package).rglob("*.py"):
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return tmp_path


def test_every_import_is_allowed() -> None:
    status, report = linted(ROOT)
    assert status == 0, report
    assert f"Contracts: {len(NAMES)} kept, 0 broken." in report


@pytest.mark.parametrize(
    ("contracts", "importer", "imported"),
    [
        ({"no-cycle", "one-way", "plain"}, "exporter/model.py", "exporter.state.store"),
        ({"no-cycle"}, "dashboards/theme.py", "dashboards.usage"),
        ({"no-cycle"}, "exporter/vendor/paging.py", "exporter.vendor.client"),
        ({"no-cycle", "one-way", "front-doors"}, "exporter/state/store.py", "exporter.web.app"),
        ({"no-cycle", "one-way", "front-doors"}, "exporter/view/words.py", "exporter.terminal.draw"),
        ({"one-way", "front-doors"}, "exporter/terminal/draw.py", "exporter.web.chart"),
        ({"one-way", "front-doors"}, "exporter/web/page.py", "exporter.bundle.files"),
        ({"demo-on-top"}, "benchmarks/new.py", "exporter.demo.vendor"),
        ({"one-way", "vendor-and-state-apart"}, "exporter/vendor/client.py", "exporter.state.database"),
        ({"one-way", "vendor-and-state-apart"}, "exporter/state/days.py", "exporter.vendor.paging"),
        ({"no-cycle", "one-way"}, "exporter/config/checks.py", "exporter.view.words"),
        ({"one-way"}, "exporter/new.py", "exporter.model"),  # a module that has no place yet
        ({"dashboards-and-rules-apart"}, "dashboards/panels.py", "exporter.view.words"),
        ({"dashboards-and-rules-apart"}, "alert_rules/texts.py", "exporter.view.words"),
        ({"plain"}, "exporter/metrics.py", "exporter.links"),
        ({"grafanalib"}, "exporter/view/cards.py", "grafanalib.core"),
        ({"tests-and-benchmarks"}, "benchmarks/new.py", "tests.support.http"),
        ({"tests-and-benchmarks"}, "tests/support/new.py", "benchmarks.fleet"),
        ({"product-apart"}, "exporter/view/cards.py", "tests.support.clock"),
    ],
)
def test_an_import_that_is_not_allowed_is_found(
    project: Path, contracts: set[str], importer: str, imported: str
) -> None:
    with (project / importer).open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")
    status, report = linted(project)
    assert status == 1
    assert contracts <= {name for name in NAMES if f"{NAMES[name]} BROKEN" in report}, report
