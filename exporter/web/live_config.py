"""The web config in use: read anew once its file, certificate or key has changed; kept where they are wrong."""

import ssl
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from exporter.clock import Clock
from exporter.errors import ConfigError
from exporter.web.http_metrics import WebConfigMetrics
from exporter.web.web_config import WebConfig, load_web_config

log = structlog.get_logger()

_Signatures = dict[Path, tuple[int, ...] | None]


class LiveWebConfig:
    """Looks for changed files when asked, at most once in `pause` seconds. Thread-safe."""

    def __init__(
        self, file: Path, clock: Clock, metrics: WebConfigMetrics | None = None, *, pause: float = 1.0
    ) -> None:
        """Raises ConfigError where the file cannot be used."""
        self._file = file
        self._clock = clock
        self._monotonic = clock.monotonic
        self._metrics = metrics
        self._pause = pause
        self._lock = threading.Lock()
        self._looked_at = clock.monotonic()
        self._config = load_web_config(file)
        self._seen = _signatures(self._files(self._config))
        self._context = _context(self._config)
        self._loaded()

    def config(self) -> WebConfig:
        with self._lock:
            self._refresh()
            return self._config

    def context(self) -> ssl.SSLContext | None:
        """What a new connection is made with; None without TLS."""
        with self._lock:
            self._refresh()
            return self._context

    def _refresh(self) -> None:
        if self._monotonic() - self._looked_at < self._pause:
            return
        self._looked_at = self._monotonic()
        seen = _signatures(self._seen)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            config = load_web_config(self._file)
            # Of the files that it names, as they are before they are read; of its own, as it was.
            self._seen = {**_signatures(self._files(config)), self._file: seen[self._file]}
            context = _context(config)
        except (ConfigError, OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._refused("web config not loaded; the one before stays in use", error=str(error))
            return
        if (context is None) != (self._context is None):
            self._refused("web config not loaded; turning TLS on or off takes a restart", file=str(self._file))
            return
        self._config, self._context = config, context
        self._loaded()
        log.info("web config loaded", file=str(self._file))

    def _loaded(self) -> None:
        if self._metrics is not None:
            self._metrics.loaded(self._clock.now(), _expiry(self._config))

    def _refused(self, event: str, **details: str) -> None:
        log.error(event, **details)
        if self._metrics is not None:
            self._metrics.refused()

    def _files(self, config: WebConfig) -> tuple[Path, ...]:
        tls = config.tls_server_config
        return (self._file, *(tls.files if tls else ()))


def _context(config: WebConfig) -> ssl.SSLContext | None:
    return None if config.tls_server_config is None else config.tls_server_config.context()


def _expiry(config: WebConfig) -> datetime | None:
    """When the server's own certificate expires."""
    if config.tls_server_config is None:
        return None
    # The first one is ours; the others are those between it and its authority.
    return x509.load_pem_x509_certificate(config.tls_server_config.cert_file.read_bytes()).not_valid_after_utc


def _signatures(files: Iterable[Path]) -> _Signatures:
    return {file: _signature(file) for file in files}


def _signature(file: Path) -> tuple[int, ...] | None:
    """What differs once a file was written or replaced; Kubernetes swaps a link, which changes the inode."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
