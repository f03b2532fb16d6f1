"""Putting files into a folder without losing what is there."""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain, count
from pathlib import Path
from secrets import token_hex

from exporter.bundle.files import is_site_owned
from exporter.bundle.manifest import checksum
from exporter.errors import BundleError


@dataclass(frozen=True)
class Plan:
    """What becomes of each path when the bundle is written.

    new: nothing is there. updated: nobody has edited it since it was written. edited: somebody has, or nobody knows.
    unchanged: it is what would be written. spared: it is the site's own. outdated: of these, those that began as
    something else than what the bundle has now. removed: the bundle no longer has it, and nobody has edited it. left:
    somebody has, or it is the site's own.
    """

    new: tuple[str, ...]
    updated: tuple[str, ...]
    edited: tuple[str, ...]
    unchanged: tuple[str, ...]
    spared: tuple[str, ...]
    outdated: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the folder holds anything else than what the bundle's own files would be."""
        return bool(self.new or self.updated or self.edited or self.removed)


def plan(files: Mapping[str, str], folder: Path, written: Mapping[str, str]) -> Plan:
    """What writing these files would do to the folder.

    written: what was written there before, checksums by path. Raises BundleError where something in the folder is in
    the way.
    """
    fates: dict[str, list[str]] = {field.name: [] for field in fields(Plan)}
    for path, text in files.items():
        fate = _fate(path, text, folder, written.get(path))
        fates[fate].append(path)
        if fate == "spared" and written.get(path, checksum(text.encode())) != checksum(text.encode()):
            fates["outdated"].append(path)
    for path in sorted(written.keys() - files.keys()):
        if (former := _present(path, folder)) is not None:
            edited = is_site_owned(path) or checksum(former) != written[path]
            fates["left" if edited else "removed"].append(path)
    return Plan(**{fate: tuple(paths) for fate, paths in fates.items()})


def _fate(path: str, text: str, folder: Path, written: str | None) -> str:
    if is_site_owned(path) and os.path.lexists(folder / path):
        return "unchanged" if _holds(folder / path, text) else "spared"
    present = _present(path, folder)
    if present is None:
        return "new"
    if present == text.encode():
        return "unchanged"
    return "updated" if checksum(present) == written else "edited"


def _holds(file: Path, text: str) -> bool:
    """Of a site's own file, which may be anything, and be for nobody to read."""
    try:
        return file.is_file() and file.read_bytes() == text.encode()
    except OSError:
        return False


def _present(path: str, folder: Path) -> bytes | None:
    """What a file holds; None where there is none. Raises BundleError where something is in its way.

    A symbolic link is: what is written, or removed, would be elsewhere.
    """
    *folders, file = _steps(path, folder)
    for place, right, kind in (*((one, stat.S_ISDIR, "folder") for one in folders), (file, stat.S_ISREG, "file")):
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BundleError(f"cannot read {place}: {error.strerror}") from None
        if not right(mode):
            raise BundleError(f"{place} is {_kind(mode)}, where a {kind} is to be; choose another --output")
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror}") from None


def _steps(path: str, folder: Path) -> Iterator[Path]:
    """The folders on the way to a file, below the bundle's own, and then the file."""
    for part in path.split("/"):
        folder /= part
        yield folder


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "neither file nor folder"


def write(files: Mapping[str, str], folder: Path) -> None:
    """Put each file there, over what is there. Raises BundleError."""
    for path, text in files.items():
        write_file(folder / path, text)


def write_file(file: Path, text: str) -> None:
    """Whole or not at all. Raises BundleError."""
    unfinished = file.with_name(f".{file.name}.{token_hex(4)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("x", encoding="utf-8", newline="") as output:
                output.write(text)
            if file.exists():
                shutil.copymode(file, unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"cannot write {file}: {error.strerror}") from None


def keep_copies(paths: Iterable[str], folder: Path) -> None:
    """Copy each file to one beside it, whose name ends in .orig, or .orig.1 and so on. Raises BundleError."""
    for file in (folder / path for path in paths):
        names = chain([f"{file.name}.orig"], (f"{file.name}.orig.{number}" for number in count(1)))
        copy = next(place for name in names if not os.path.lexists(place := file.with_name(name)))
        try:
            shutil.copy2(file, copy)
        except OSError as error:
            raise BundleError(f"cannot write {copy}: {error.strerror}") from None


def remove_file(path: str, folder: Path) -> None:
    """Remove a file, and the folders that it leaves empty. Raises BundleError."""
    file = folder / path
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"cannot remove {file}: {error.strerror}") from None
    with suppress(OSError):  # until one is not empty
        for parent in file.parents[: path.count("/")]:
            parent.rmdir()
