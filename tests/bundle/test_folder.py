"""What `bundle` does with a folder that has something in it: a former bundle, a site's edits, or what is in the way."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter.bundle.files import PARTS, Site, is_site_owned, part_of, site_files
from exporter.bundle.manifest import MANIFEST, checksum
from exporter.cli import main
from tests.support.project import bundle_in, files_in

ALERTS, RECORDING = "alert_rules/alerts.yaml", "alert_rules/recording.yaml"
DASHBOARD = "dashboards/json/api-usage.json"
ALERTMANAGER = "provisioning/alertmanager/alertmanager.yml"
STOCK = {path: text.encode() for path, text in site_files(Site()).items()}
SITE_OWNED = [path for path in STOCK if is_site_owned(path)]


def run(folder: Path, *flags: str) -> Result:
    return CliRunner().invoke(main, ["bundle", f"--output={folder}", *flags])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle as it is written at first."""
    folder = tmp_path / "bundle"
    ran = run(folder)
    assert ran.exit_code == 0, ran.output
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return found


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    changed = manifest(folder)
    change(changed)
    (folder / MANIFEST).write_text(json.dumps(changed))


def of_a_former_version(folder: Path, path: str, text: str) -> Path:
    """A file that a former version has written, and that this one writes otherwise, or not at all."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    change_manifest(folder, lambda found: found["files"].update({path: checksum(text.encode())}))
    return file


# What is a site's own


def test_what_only_a_site_can_finish_is_its_own() -> None:
    assert {part_of(path) for path in STOCK} == set(PARTS)
    assert ALERTMANAGER in SITE_OWNED
    assert "provisioning/prometheus/prometheus.yml" in SITE_OWNED
    assert "provisioning/kubernetes/overlays/example/config.yaml" in SITE_OWNED
    for generated in (ALERTS, DASHBOARD, "provisioning/alertmanager/api-usage.tmpl"):
        assert generated not in SITE_OWNED
    assert "provisioning/kubernetes/base/monitoring/prometheus-rule.yaml" not in SITE_OWNED


@pytest.mark.parametrize("flags", [(), ("--force",), ("--warning=0.6",), ("--only=alertmanager", "--force")])
def test_a_site_s_own_files_are_never_written_over(flags: tuple[str, ...], folder: Path) -> None:
    for path in SITE_OWNED:
        (folder / path).write_text(f"# mine: {path}\n")
    ran = run(folder, *flags)
    assert ran.exit_code == 0, ran.output
    for path in SITE_OWNED:
        assert (folder / path).read_text() == f"# mine: {path}\n"
    assert f"Your own, and left as they are:\n  {ALERTMANAGER}\n" in ran.output
    assert "Next:" in ran.output
    assert "who is notified" not in ran.output


def test_that_a_site_s_own_file_began_as_something_else_is_mentioned(folder: Path) -> None:
    of_a_former_version(folder, ALERTMANAGER, "route: {receiver: former}\n")
    for _ in range(2):
        output = run(folder).output
        assert f"what they began as has changed (another --output shows it):\n  {ALERTMANAGER}\n" in output
    (folder / ALERTMANAGER).write_bytes(STOCK[ALERTMANAGER])
    assert "has changed" not in run(folder).output
    assert manifest(folder)["files"][ALERTMANAGER] == checksum(STOCK[ALERTMANAGER])


def test_a_site_s_own_file_is_written_anew_where_it_is_missing(folder: Path) -> None:
    (folder / ALERTMANAGER).unlink()
    assert "1 files written" in run(folder).output
    assert bundle_in(folder) == STOCK


def test_a_link_in_place_of_a_site_s_own_file_is_the_site_s(folder: Path, tmp_path: Path) -> None:
    file = folder / ALERTMANAGER
    file.unlink()
    file.symlink_to(tmp_path / "not there yet.yml")
    assert run(folder, "--force").exit_code == 0
    assert file.is_symlink()
    assert not file.exists()


# Newer versions, other values


def test_files_that_nobody_has_edited_follow_a_newer_version(folder: Path) -> None:
    of_a_former_version(folder, ALERTS, "groups: []\n")
    of_a_former_version(folder, DASHBOARD, "{}\n")
    ran = run(folder)
    assert (ran.exit_code, "2 files written" in ran.output) == (0, True)
    assert bundle_in(folder) == STOCK


def test_what_a_newer_version_no_longer_has_goes_with_its_empty_folders(folder: Path) -> None:
    gone = [
        of_a_former_version(folder, path, "former\n")
        for path in ("alert_rules/former.yaml", "alert_rules/former/deep/a.yaml", "dashboards/json/former.json")
    ]
    ran = run(folder)
    assert "Removed, since this version has them no longer:\n  alert_rules/former.yaml\n" in ran.output
    assert not any(file.exists() for file in gone)
    assert not (folder / "alert_rules/former").exists()
    assert bundle_in(folder) == STOCK
    assert set(manifest(folder)["files"]) == set(STOCK)


def test_what_a_user_made_or_edited_stays_though_the_bundle_no_longer_has_it(folder: Path) -> None:
    edited = of_a_former_version(folder, "alert_rules/former.yaml", "former\n")
    edited.write_text("edited\n")
    owned = of_a_former_version(folder, "provisioning/prometheus/former.yml", "former\n")
    made = folder / "alert_rules/mine.yaml"
    made.write_text("groups: []\n")
    output = run(folder, "--force").output
    assert "No longer of the bundle, and left as they are:\n  alert_rules/former.yaml\n" in output
    assert (edited.read_text(), owned.read_text(), made.read_text()) == ("edited\n", "former\n", "groups: []\n")
    assert set(manifest(folder)["files"]) == set(STOCK)
    assert "No longer of the bundle" not in run(folder).output


def test_values_of_a_former_run_stay_where_flags_are_left_out(tmp_path: Path) -> None:
    url = "https://grafana.example.org"
    assert run(tmp_path, f"--grafana-url={url}", "--warning=0.6").exit_code == 0
    first = files_in(tmp_path)
    assert "Amber from 60 %, red over 90 %." in run(tmp_path).output
    assert files_in(tmp_path) == first
    assert "Amber from 60 %, red over 80 %." in run(tmp_path, "--critical=0.8").output
    assert f"Links lead to {url} and" in run(tmp_path).output
    assert run(tmp_path, "--critical=0.5").exit_code == 2


def test_a_run_that_is_interrupted_is_taken_up_by_the_next(folder: Path) -> None:
    command = [sys.executable, "-c", _INTERRUPTED, "bundle", f"--output={folder}", "--warning=0.6"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert b"ratio_near, 0.6, 0.6)" in (folder / RECORDING).read_bytes()
    assert not list(folder.rglob("*.tmp"))
    ran_again = run(folder, "--warning=0.7")
    assert ran_again.exit_code == 0, ran_again.output


# As by Ctrl-C, when the first dashboard is about to be written.
_INTERRUPTED = """
import os, signal, sys
from exporter.cli import main
import dashboards.build
def watch(event, arguments):
    if event == "open" and "/dashboards/json/." in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
sys.addaudithook(watch)
main(sys.argv[1:])
"""


# Parts


def test_only_some_parts_are_written_and_removed(tmp_path: Path) -> None:
    assert run(tmp_path, "--only=rules,dashboards").exit_code == 0
    assert {path.split("/")[0] for path in bundle_in(tmp_path)} == {"alert_rules", "dashboards"}
    former = of_a_former_version(tmp_path, "dashboards/json/former.json", "{}\n")
    before = (tmp_path / DASHBOARD).read_bytes()
    ran = run(tmp_path, "--only", "rules", "--warning=0.6")
    assert ran.exit_code == 0
    assert "dashboards" not in ran.output
    assert former.exists()
    assert (tmp_path / DASHBOARD).read_bytes() == before
    assert b"ratio_near, 0.6, 0.6)" in (tmp_path / RECORDING).read_bytes()
    run(tmp_path, "--only=dashboards")
    assert not former.exists()
    assert (tmp_path / DASHBOARD).read_bytes() != before


@pytest.mark.parametrize("parts", ["rule", "", "rules,,dashboards", "rules dashboards"])
def test_a_part_that_there_is_none_of(parts: str, tmp_path: Path) -> None:
    ran = run(tmp_path / "bundle", f"--only={parts}")
    assert ran.exit_code == 2
    assert "is not one of rules, dashboards, prometheus, alertmanager" in " ".join(ran.output.split())
    assert not (tmp_path / "bundle").exists()


# Former versions without a manifest, and manifests that are none


def test_a_bundle_without_a_manifest_loses_nothing(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / ALERTS).write_text("groups: []  # of a former version, or edited\n")
    (folder / ALERTMANAGER).write_text("# edited\n")
    (folder / "alert_rules/former.yaml").write_text("groups: []\n")
    before = files_in(folder)
    ran = run(folder)
    assert ran.exit_code == 1
    assert f"no {MANIFEST} that says whether they were edited; nothing was changed:\n  {ALERTS}\nChoose" in ran.output
    assert files_in(folder) == before

    assert run(folder, "--force").exit_code == 0
    after = bundle_in(folder)
    assert after.pop(f"{ALERTS}.orig") == before[ALERTS]
    assert after.pop("alert_rules/former.yaml") == b"groups: []\n"
    assert after == {**STOCK, ALERTMANAGER: b"# edited\n"}
    assert set(manifest(folder)["files"]) == {*STOCK} - {ALERTMANAGER}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, "written_by": "0.1.0", "fi', "EOF while parsing"),
        ("", "EOF while parsing"),
        ("[]", "object"),
        ('{"format": 2}', "format: Input should be 1"),
    ],
)
def test_a_manifest_that_is_none_is_one_line_and_nothing_is_changed(text: str, message: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(text)
    (folder / ALERTS).unlink()
    before = files_in(folder)
    for flags in ((), ("--force",), ("--check",)):
        ran = run(folder, *flags)
        assert ran.exit_code == 1
        assert ran.output.startswith(f"Error: {folder}/{MANIFEST} is no manifest that this version can read: ")
        assert message in ran.output
        assert ran.output.count("\n") == 1
    assert files_in(folder) == before
    (folder / MANIFEST).unlink()
    assert run(folder).exit_code == 0


def test_what_a_part_of_former_versions_had_goes_with_all_parts_and_stays_with_some(folder: Path) -> None:
    file = of_a_former_version(folder, "provisioning/mimir/rules.yaml", "former\n")
    assert run(folder, "--only=rules").exit_code == 0
    assert file.exists()
    assert run(folder).exit_code == 0
    assert not file.exists()


@pytest.mark.parametrize(
    "path",
    [
        "alert_rules/a\0b",
        "alert_rules/" + "a" * 5_000,
        "../victim",
        "/etc/victim",
        "alert_rules/../../victim",
        "alert_rules/./a",
        "alert_rules//a",
        "victim",
        "tests/a",
    ],
)
def test_a_manifest_names_nothing_outside_of_a_bundle(path: str, folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    change_manifest(folder, lambda found: found["files"].update({path: checksum(b"precious\n")}))
    ran = run(folder, "--force")
    assert (ran.exit_code, ran.output.count("\n")) == (1, 1)
    assert "is no path of a file of a bundle" in ran.output or "File name too long" in ran.output
    assert victim.read_text() == "precious\n"


@pytest.mark.parametrize(
    "site",
    [
        {"grafana_url": "https://{{ .x }}"},
        {"warning": 2.0},
        {"warning": 0.95},
        {"critical": "0.9"},
        {"runbook_url": "https://a:secret@b"},
    ],
)
def test_a_manifest_s_values_are_checked_as_flags_are(site: dict[str, Any], folder: Path) -> None:
    change_manifest(folder, lambda found: found["site"].update(site))
    before = files_in(folder)
    ran = run(folder)
    assert ran.exit_code in (1, 2)
    assert "secret" not in ran.output
    assert "Traceback" not in ran.output
    assert files_in(folder) == before


# What is in the way


def link_to(target: Path) -> Callable[[Path], None]:
    return lambda place: place.symlink_to(target)


@pytest.mark.parametrize("path", [ALERTS, "alert_rules", "dashboards/json", "dashboards"])
@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_nothing_is_written_through_a_symbolic_link(
    path: str, flags: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    place, elsewhere = folder / path, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    of_link = files_in(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()
    ran = run(folder, "--warning=0.6", *flags)
    assert ran.exit_code == 1
    kind = "file" if path == ALERTS else "folder"
    assert f"{place} is a symbolic link, where a {kind} is to be; choose another --output\n" in ran.output
    assert (files_in(elsewhere) if elsewhere.is_dir() else elsewhere.read_bytes()) == of_link


def test_nothing_is_removed_through_a_symbolic_link(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.yaml").write_text("precious\n")
    (folder / "alert_rules/former").symlink_to(elsewhere)
    path = "alert_rules/former/a.yaml"
    change_manifest(folder, lambda found: found["files"].update({path: checksum(b"precious\n")}))
    ran = run(folder)
    assert (ran.exit_code, "is a symbolic link, where a folder is to be" in ran.output) == (1, True)
    assert (elsewhere / "a.yaml").read_text() == "precious\n"


def test_the_folder_itself_may_be_a_symbolic_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert "0 files written" in run(tmp_path / "link").output


def test_a_manifest_that_is_a_link_is_replaced_and_what_it_led_to_stays(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.json"
    victim.write_bytes((folder / MANIFEST).read_bytes())
    before = victim.read_bytes()
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).symlink_to(victim)
    assert run(folder, "--warning=0.6").exit_code == 0
    assert victim.read_bytes() == before
    assert not (folder / MANIFEST).is_symlink()


@pytest.mark.parametrize("path", [ALERTS, ALERTMANAGER, MANIFEST])
def test_a_pipe_is_not_waited_for(path: str, folder: Path) -> None:
    (folder / path).unlink()
    os.mkfifo(folder / path)
    ran = run(folder)
    if path == ALERTMANAGER:
        assert ran.exit_code == 0  # whatever it is, it is the site's own
    else:
        assert ran.exit_code == 1
        assert f"{folder / path} is n" in ran.output


def test_names_of_half_written_files_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    """Who may write to the folder cannot have the next run write to elsewhere by a name that it will use."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (folder / "alert_rules/.alerts.yaml.tmp").symlink_to(victim)
    assert run(folder, "--warning=0.6").exit_code == 0
    assert victim.read_text() == "precious\n"


def test_modes_stay(folder: Path) -> None:
    (folder / ALERTS).chmod(0o640)
    assert run(folder, "--warning=0.6").exit_code == 0
    assert stat.S_IMODE((folder / ALERTS).stat().st_mode) == 0o640
    assert stat.S_IMODE((folder / DASHBOARD).stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def test_a_run_that_fails_half_way_is_taken_up_by_the_next(folder: Path) -> None:
    """As on a disk that is full: nothing larger than the rules can be written."""
    largest = max(len(content) for path, content in STOCK.items() if part_of(path) == "rules") + 100
    assert largest < len(STOCK[DASHBOARD])
    command = [sys.executable, "-c", _LIMITED, str(largest), "bundle", f"--output={folder}", "--warning=0.6"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"Error: cannot write {folder}/dashboards/json/")
    assert ran.stderr.endswith(".json: File too large\n")
    assert b"ratio_near, 0.6, 0.6)" in (folder / RECORDING).read_bytes()
    assert not list(folder.rglob("*.tmp"))

    # With other values as well: what was written before the failure counts as written, not as edited.
    ran_again = run(folder, "--warning=0.7")
    assert ran_again.exit_code == 0, ran_again.output
    assert b"ratio_near, 0.7, 0.7)" in (folder / RECORDING).read_bytes()
    assert not list(folder.rglob("*.orig"))


_LIMITED = """
import resource, sys
from exporter.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""
