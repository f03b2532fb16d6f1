"""What survives a restart: one JSON file an organisation, written whole or not at all."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.errors import StartError
from exporter.history import ObservedHistory
from exporter.model import FetchedScope

log = structlog.get_logger()


@dataclass(frozen=True)
class Saved:
    """What is kept of an organisation."""

    last_success: datetime | None
    scopes: tuple[FetchedScope, ...]
    histories: dict[str, ObservedHistory]


@dataclass(frozen=True)
class _File:
    """The file's content. api, organisation: whose it is, since the file's name holds only a hash of them."""

    version: int
    api: str
    organisation: str
    saved: Saved


_VERSION = 1
_ADAPTER = TypeAdapter(_File)


class Storage:
    """The files under --storage.path."""

    def __init__(self, directory: Path) -> None:
        """Raises StartError where the directory cannot be made or written to."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise StartError(f"--storage.path: cannot write to {directory}: {error.strerror}") from None

    def save(self, key: tuple[str, str], saved: Saved) -> None:
        """Replace the organisation's file. A full disk is logged, not raised: the data lives on in memory."""
        content = _ADAPTER.dump_json(_File(_VERSION, *key, saved))
        try:
            self._replace(self._path(key), content)
        except OSError as error:
            log.error("state not saved", api=key[0], organisation=key[1], error=error.strerror)

    def load(self, key: tuple[str, str]) -> Saved | None:
        """What was saved; None where nothing was, or where the file is damaged (it is set aside and told)."""
        path = self._path(key)
        try:
            file = _ADAPTER.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            self._set_aside(path, key, error)
            return None
        return file.saved if (file.version, file.api, file.organisation) == (_VERSION, *key) else None

    def _path(self, key: tuple[str, str]) -> Path:
        return self._directory / f"{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:32]}.json"

    def _replace(self, path: Path, content: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".", suffix=".tmp", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _set_aside(self, path: Path, key: tuple[str, str], error: Exception) -> None:
        aside = path.with_suffix(".damaged")
        reason = error.strerror if isinstance(error, OSError) else "not a state file of this version"
        log.error("saved state unusable, set aside", api=key[0], organisation=key[1], file=str(aside), error=reason)
        try:
            path.replace(aside)
        except OSError as failure:
            log.error("damaged state could not be set aside", file=str(path), error=failure.strerror)
