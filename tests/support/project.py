"""The project's own files, as a package or a bundle is to hold them."""

from pathlib import Path

from exporter.bundle.manifest import MANIFEST
from tests.support.programs import ROOT

_PACKAGES = ("exporter", "dashboards", "alert_rules", "provisioning")


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below the folder: content by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def bundle_in(folder: Path) -> dict[str, bytes]:
    """What `bundle` has written there: content by path, without its manifest."""
    found = files_in(folder)
    del found[MANIFEST]
    return found


def packaged() -> dict[str, bytes]:
    """What an installed package has: code, presets, templates, dashboards, rules, provisioning; no tests."""
    found = {f"{name}/{path}": content for name in _PACKAGES for path, content in files_in(ROOT / name).items()}
    return {
        path: content
        for path, content in found.items()
        if "__pycache__" not in path and not path.startswith("alert_rules/tests/")
    }


def bundled() -> dict[str, bytes]:
    """What the command `bundle` writes without options."""
    folders = ("alert_rules/runbooks/", "dashboards/json/", "provisioning/")
    rules = ("alert_rules/alerts.yaml", "alert_rules/recording.yaml")
    return {path: content for path, content in packaged().items() if path.startswith(folders) or path in rules}
