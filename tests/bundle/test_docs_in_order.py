"""The docs' `bundle` commands, followed in their order in an empty folder, and then again, with a site's edits between."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.bundle.files import Site, is_site_owned, site_files
from exporter.cli import main
from tests.support.factories import write_config
from tests.support.programs import ROOT

PAGES = [
    "README.md",
    *(f"docs/{name}.md" for name in ("install", "existing-monitoring", "alerts", "dashboards", "docker-compose")),
]
SITE_OWNED = [path for path in site_files(Site()) if is_site_owned(path)]


def commands(page: str) -> list[str]:
    """Its commands about bundles, each in one line."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"(?m)^ {4,}(.*(?:exporter bundle|BUNDLE=).*)$", text)
    return [line for line in lines if "--check" not in line]


def follow(command: str, folder: Path) -> None:
    """Run it there; in place of a container, here."""
    if "BUNDLE=" in command:
        subprocess.run(["bash", "-ec", command], cwd=folder, timeout=10, check=True)
        return
    arguments = shlex.split(command.partition("exporter bundle ")[2])
    ran = CliRunner().invoke(main, ["bundle", *(one.replace("=/site/", "=") for one in arguments)])
    assert ran.exit_code == 0, f"{command}\n{ran.output}"


@pytest.mark.parametrize("page", PAGES)
def test_edits_outlive_every_command(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_config(Path("config.yaml"), {"url": "http://127.0.0.1:9/"}, thresholds={"warning": 0.8, "critical": 0.955})
    Path(".env").write_bytes((ROOT / ".env").read_bytes())
    wanted = commands(page)
    assert wanted
    edited: dict[Path, str] = {}
    for time in (1, 2, 3):
        for command in wanted:
            follow(command, tmp_path)
            for file, text in edited.items():
                assert file.read_text() == text, f"{file} after: {command}"
            written = {file for path in SITE_OWNED for file in tmp_path.glob(f"*/{path}")}
            assert len(written) == len(SITE_OWNED)
            edited = {file: f"# {file}, edited after time {time} of: {command}\n" for file in written}
            for file, text in edited.items():
                file.write_text(text)
    assert Path(".env").read_text().count("BUNDLE=") <= 1


def test_the_compose_page_writes_the_bundle_before_what_is_to_be_edited_in_it() -> None:
    text = (ROOT / "docs/docker-compose.md").read_text(encoding="utf-8")
    edits = [found.start() for found in re.finditer(r"alertmanager\.yml", text)]
    assert text.index("exporter bundle --output=/site/site") < edits[0]
    # In the bundle: from the moment that BUNDLE is set, no other is mounted.
    assert all(text[:at].endswith("`site/provisioning/alertmanager/") for at in edits)
