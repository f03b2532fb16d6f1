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


# (api, organisation, the organisation's id, the api's url)
Account = tuple[str, str, str, str]


@dataclass(frozen=True)
class _File:
    """The file's content. account: whose it is, since the file's name holds only a hash of it."""

    version: int
    account: Account
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

    def save(self, account: Account, saved: Saved) -> None:
        """Replace the organisation's file. A full disk is logged, not raised: the data lives on in memory."""
        content = _ADAPTER.dump_json(_File(_VERSION, account, saved))
        try:
            self._replace(self._path(account), content)
        except OSError as error:
            log.error("state not saved", api=account[0], organisation=account[1], error=error.strerror)

    def load(self, account: Account) -> Saved | None:
        """What was saved; None where nothing was, or where the file is damaged (it is set aside and told)."""
        path = self._path(account)
        try:
            file = _ADAPTER.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            self._set_aside(path, account, error)
            return None
        return file.saved if (file.version, file.account) == (_VERSION, account) else None

    def _path(self, account: Account) -> Path:
        return self._directory / f"{hashlib.sha256(chr(0).join(account).encode()).hexdigest()[:32]}.json"

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

    def _set_aside(self, path: Path, account: Account, error: Exception) -> None:
        aside = path.with_suffix(".damaged")
        reason = error.strerror if isinstance(error, OSError) else "not a state file of this version"
        api, organisation, *_ = account
        log.error(
            "saved state unusable, set aside", api=api, organisation=organisation, file=str(aside), error=reason
        )
        try:
            path.replace(aside)
        except OSError as failure:
            log.error("damaged state could not be set aside", file=str(path), error=failure.strerror)
