"""Every error that the exporter raises on purpose.

ExporterError
├── ConfigError          the config file cannot be used; lists every problem with file, line and field
├── StartError           the process cannot start (a port in use, a storage path that cannot be written)
├── BundleError          the bundle of dashboards and rules cannot be written
├── CheckError           a running Prometheus or Grafana cannot be compared with the bundle
└── PollError            a poll failed; `reason` is the label value on the metrics
    ├── AuthError          auth          401, 403, or a secret that cannot be read
    ├── RateLimitedError   rate_limited  429
    ├── PollTimeoutError   timeout       no whole answer within the timeout
    ├── ConnectionFailed   connection    refused, reset, DNS, TLS, proxy
    ├── ServerError        server_error  5xx
    ├── RequestError       request       other 4xx, and redirects
    └── ResponseError      response      an answer that is no JSON, too large, or that the mapping does not fit
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from exporter import redaction
from exporter.model import Misfit


class ExporterError(Exception):
    """The root: whatever the exporter raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in the config file.

    line: 1-based; None where the file could not be read at all.
    field: dotted path such as `apis[0].poll_interval`; "" for the file as a whole.
    """

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.field, self.message) if part)


class ConfigError(ExporterError):
    """The config file cannot be used. `problems` holds every one found, in the file's order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StartError(ExporterError):
    """The process cannot start; the message is one line that says what to change."""


class BundleError(ExporterError):
    """The bundle cannot be written; the message says why, and what to change."""


class CheckError(ExporterError):
    """A running Prometheus or Grafana cannot be compared with the bundle; the message names it, and says why."""


class FailureReason(StrEnum):
    """Why a poll failed: the values of the `reason` label."""

    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    SERVER_ERROR = "server_error"
    REQUEST = "request"
    RESPONSE = "response"


class PollError(ExporterError):
    """A poll failed.

    reason: a class has one of its own.
    retryable: whether asking again soon may help; if not, the next poll waits its regular interval or longer.
    retry_after: seconds that the vendor asked to wait, where it did.
    """

    reason: ClassVar[FailureReason]
    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(redaction.message(message))
        self.retry_after = retry_after


class AuthError(PollError):
    """The vendor refuses our credentials, or a secret that they need cannot be read."""

    reason = FailureReason.AUTH
    retryable = False


class RateLimitedError(PollError):
    """The vendor was asked too often."""

    reason = FailureReason.RATE_LIMITED


class PollTimeoutError(PollError):
    """No whole answer came within the timeout."""

    reason = FailureReason.TIMEOUT


class ConnectionFailed(PollError):  # noqa: N818 - "ConnectionError" is Python's own
    """No answer came, since the way to the vendor failed: refused, reset, DNS, TLS, proxy."""

    reason = FailureReason.CONNECTION


class ServerError(PollError):
    """The vendor answered that the fault is its own."""

    reason = FailureReason.SERVER_ERROR


class RequestError(PollError):
    """The vendor does not answer this request: the address or what is asked for is wrong."""

    reason = FailureReason.REQUEST
    retryable = False


class ResponseError(PollError):
    """An answer came, and no usage can be read from it.

    misfits: where the mapping does not fit it; () where the answer is none that a mapping could be tried on.
    """

    reason = FailureReason.RESPONSE
    retryable = False

    def __init__(self, message: str, *, misfits: tuple[Misfit, ...] = ()) -> None:
        super().__init__(message)
        self.misfits = misfits


POLL_ERRORS: tuple[type[PollError], ...] = (
    AuthError,
    RateLimitedError,
    PollTimeoutError,
    ConnectionFailed,
    ServerError,
    RequestError,
    ResponseError,
)
REASONS: tuple[FailureReason, ...] = tuple(error.reason for error in POLL_ERRORS)
