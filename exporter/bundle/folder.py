"""Putting files into a folder without losing what is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import BundleError


@dataclass(frozen=True)
class Changes:
    """What writing the bundle did, or would do: paths by what becomes of them."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def changes(files: Mapping[str, str], folder: Path) -> Changes:
    """What writing these files would do to the folder. Raises BundleError where one cannot be written."""
    present = {path: _present(folder / path) for path in files}
    return Changes(
        new=tuple(path for path in files if present[path] is None),
        changed=tuple(path for path in files if present[path] not in (None, files[path].encode())),
        unchanged=tuple(path for path in files if present[path] == files[path].encode()),
    )


def _present(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise BundleError(f"{file} is a folder, where a file is to be; choose another --output") from None
    except NotADirectoryError:
        found = next(parent for parent in file.parents if parent.exists())
        raise BundleError(f"{found} is a file, where a folder is to be; choose another --output") from None
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror}") from None


def write(files: Mapping[str, str], folder: Path) -> None:
    """Each file whole or not at all, over what is there. Raises BundleError."""
    for path, text in files.items():
        file = folder / path
        unfinished = file.with_name(f".{file.name}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(file)
        except OSError as error:
            raise BundleError(f"cannot write {file}: {error.strerror}") from None
