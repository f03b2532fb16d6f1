"""What survives a restart: a file an organisation, of a SHA-256 and JSON, written whole or not at all."""

import errno
import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from exporter.errors import StartError
from exporter.model import CallsMade, FetchedScope
from exporter.state.history import ObservedHistory

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


@dataclass(frozen=True)
class _CallsFile:
    """The content of an api's file of calls."""

    version: int
    api: str
    calls: tuple[CallsMade, ...]


# Of the files' format; a file of another version is not read.
_VERSION = 1
# The disk's own faults, after which what is there can still be read.
_DISK_FAULTS = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
_ADAPTER = TypeAdapter(_File)
_CALLS = TypeAdapter(_CallsFile)


class Storage:
    """The files under --storage.path."""

    def __init__(self, directory: Path) -> None:
        """Raises StartError where the directory cannot be made or written to.

        A full or broken disk is logged instead: last values that can be read are worth more than a failed start.
        """
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
            for unfinished in directory.glob(".*.tmp"):  # left by a process that was killed while it wrote
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in _DISK_FAULTS:
                log.error("state cannot be saved", directory=str(directory), error=error.strerror)
                return
            raise StartError(f"--storage.path: cannot write to {directory}: {error.strerror}") from None

    def save(self, account: Account, saved: Saved) -> None:
        """Replace the organisation's file. A full disk is logged, not raised: the data lives on in memory."""
        content = _ADAPTER.dump_json(_File(_VERSION, account, saved))
        try:
            self._replace(self._path(account), _digest(content) + b"\n" + content)
        except OSError as error:
            log.error("state not saved", api=account[0], organisation=account[1], error=error.strerror)

    def load(self, account: Account) -> Saved | None:
        """What was saved; None where nothing was, or where the file is damaged (it is set aside, and logged)."""
        path = self._path(account)
        try:
            digest, _, content = path.read_bytes().partition(b"\n")
            if digest != _digest(content):
                self._set_aside(path, account, "its checksum does not fit")
                return None
            file = _ADAPTER.validate_json(content)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("saved state cannot be read", api=account[0], organisation=account[1], error=error.strerror)
            return None
        except ValidationError:
            self._set_aside(path, account, "not a state file of this version")
            return None
        return file.saved if (file.version, file.account) == (_VERSION, account) else None

    def save_calls(self, api: str, calls: tuple[CallsMade, ...]) -> None:
        """Replace what is kept of the calls to an api's vendor. A full disk is logged, not raised."""
        content = _CALLS.dump_json(_CallsFile(_VERSION, api, calls))
        try:
            self._replace(self._calls_path(api), _digest(content) + b"\n" + content)
        except OSError as error:
            log.error("calls not saved", api=api, error=error.strerror)

    def load_calls(self, api: str) -> tuple[CallsMade, ...]:
        """The calls saved last; none where there are none, or where the file cannot be read (it is logged)."""
        try:
            digest, _, content = self._calls_path(api).read_bytes().partition(b"\n")
            file = _CALLS.validate_json(content) if digest == _digest(content) else None
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError):
            file = None
        if file is None or (file.version, file.api) != (_VERSION, api):
            log.error("saved calls cannot be read; counted anew from now on", api=api)
            return ()
        return file.calls

    def _calls_path(self, api: str) -> Path:
        return self._directory / f"{hashlib.sha256(api.encode()).hexdigest()[:32]}.calls"

    def _path(self, account: Account) -> Path:
        return self._directory / f"{hashlib.sha256(chr(0).join(account).encode()).hexdigest()[:32]}.state"

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

    def _set_aside(self, path: Path, account: Account, reason: str) -> None:
        aside = path.with_suffix(".damaged")
        api, organisation, *_ = account
        log.error(
            "saved state unusable, set aside", api=api, organisation=organisation, file=str(aside), error=reason
        )
        try:
            path.replace(aside)
        except OSError as failure:
            log.error("damaged state could not be set aside", file=str(path), error=failure.strerror)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
