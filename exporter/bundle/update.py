"""Bringing a folder up to date: what is planned, done, and recorded in its manifest."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from exporter.bundle.files import PARTS, Site, part_of
from exporter.bundle.folder import Plan, keep_copies, plan, remove_file, write_file
from exporter.bundle.manifest import MANIFEST, Manifest, SiteValues, checksum
from exporter.errors import BundleError


@dataclass(frozen=True)
class Update:
    """What is to be done in a folder.

    files: the text by path, of the parts that are asked for. former: checksums by path, of what the manifest says was
    written, of all parts.
    """

    folder: Path
    files: Mapping[str, str]
    former: Mapping[str, str]
    plan: Plan


def update(folder: Path, files: Mapping[str, str], manifest: Manifest | None, parts: frozenset[str]) -> Update:
    """files: of these parts. Raises BundleError where something in the folder is in the way."""
    former = manifest.files if manifest else {}
    # A former version may have had other parts; they go with all of this one's.
    everything = parts == PARTS.keys()
    of_the_parts = {path: written for path, written in former.items() if everything or part_of(path) in parts}
    return Update(folder, files, former, plan(files, folder, of_the_parts))


def carry_out(todo: Update, site: Site) -> None:
    """Write and remove; of an edited file a copy stays beside it. Raises BundleError. What was done is recorded."""
    planned, files, folder = todo.plan, todo.files, todo.folder
    recorded = {path: written for path, written in todo.former.items() if path not in planned.left}
    recorded |= {path: checksum(files[path].encode()) for path in planned.unchanged}
    try:
        keep_copies(planned.edited, folder)
        for path in (*planned.new, *planned.updated, *planned.edited):
            write_file(folder / path, files[path])
            recorded[path] = checksum(files[path].encode())
        for path in planned.removed:
            remove_file(path, folder)
            del recorded[path]
    except BaseException:  # Ctrl-C too: what was written by then must not look as if it were edited
        with suppress(BundleError):  # the first one says more
            _record(recorded, folder, site)
        raise
    _record(recorded, folder, site)


def _record(written: Mapping[str, str], folder: Path, site: Site) -> None:
    values = SiteValues(
        grafana_url=site.grafana,
        runbook_url=site.runbooks,
        warning=site.bands.warning,
        critical=site.bands.critical,
    )
    text = Manifest(written_by=version("api-usage-exporter"), site=values, files=written).text()
    file = folder / MANIFEST
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_file(file, text)
