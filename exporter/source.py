"""One request to a vendor's usage endpoint: sign in, ask, limit the time and size of the answer, name the failure."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.auth import HTTPBasicAuth

from exporter.clock import Clock
from exporter.config import Target
from exporter.errors import (
    AuthError,
    ConnectionFailed,
    PollError,
    PollTimeoutError,
    RateLimitedError,
    RequestError,
    ResponseError,
    ServerError,
)
from exporter.schema import Auth, BasicAuth, BearerAuth
from exporter.strict_json import parse_json

USER_AGENT = f"api-usage-exporter/{version('api-usage-exporter')}"

_CHUNK_BYTES = 65_536
# What a vendor may ask us to wait at most; a Retry-After of years would be a fault of its own.
_MAX_RETRY_AFTER = 86_400.0


@dataclass(frozen=True)
class _Remembered:
    """The last answer and its validators, for conditional requests (RFC 9110, section 13)."""

    answer: Any
    headers: Mapping[str, str]


class Source:
    """Asks one target's usage endpoint. Not thread-safe: a target is polled once at a time."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._remembered: _Remembered | None = None

    def fetch(self) -> Any:
        """The answer as parsed JSON; the last one again where the vendor says that it has not changed.

        Raises a PollError that says what failed, without any secret.
        """
        # A session a poll: at minutes between polls no server keeps a connection, and cookies must not live on.
        with requests.Session() as session:
            session.trust_env = False  # a .netrc must not sign in with somebody else's credentials
            session.proxies = dict(requests.utils.get_environ_proxies(self._target.url))
            try:
                return self._exchange(session)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise _transport_error(error, self._target) from None

    def _exchange(self, session: requests.Session) -> Any:
        api = self._target.api
        deadline = self._clock.monotonic() + api.timeout
        headers, basic = _credentials(self._target.auth)
        conditional = self._remembered.headers if self._remembered else {}
        with session.get(
            self._target.url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **conditional, **headers},
            auth=basic or _no_auth,
            timeout=api.timeout,
            stream=True,
            allow_redirects=False,  # credentials are for the configured host only
            verify=str(api.tls.ca_file) if api.tls.ca_file else api.tls.verify,
            cert=_client_certificate(self._target),
        ) as response:
            if response.status_code == requests.codes.not_modified and self._remembered:
                return self._remembered.answer
            _refuse_status(response, self._clock.now())
            answer = parse_json(self._body(response, deadline))
            self._remembered = _validators(response, answer)
            return answer

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        """The decoded body, read piece by piece so that neither its size nor its slowness is without end."""
        api = self._target.api
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > api.max_response_bytes:
                raise ResponseError(f"the answer is larger than max_response_bytes ({api.max_response_bytes})")
            if self._clock.monotonic() > deadline:
                raise PollTimeoutError(f"the answer was not complete within the timeout of {api.timeout:g} s")
        return bytes(body)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _credentials(auth: Auth | None) -> tuple[dict[str, str], HTTPBasicAuth | None]:
    """Headers and basic credentials. Secrets are read anew each time, so a changed file is used at once."""
    try:
        if auth is None:
            return {}, None
        if isinstance(auth, BasicAuth):
            return {}, HTTPBasicAuth(auth.username.encode(), auth.password.reveal().encode())
        if isinstance(auth, BearerAuth):
            return {"Authorization": f"Bearer {_header_value(auth.token.reveal())}"}, None
        return {auth.name: _header_value(auth.value.reveal())}, None
    except ValueError as error:
        raise AuthError(f"the credentials cannot be used: {error}") from None


def _header_value(secret: str) -> str:
    if not secret.isascii():
        raise ValueError("the secret has characters that a header cannot hold")
    return secret


def _client_certificate(target: Target) -> str | tuple[str, str] | None:
    tls = target.api.tls
    if tls.cert_file is None:
        return None
    return str(tls.cert_file) if tls.key_file is None else (str(tls.cert_file), str(tls.key_file))


def _validators(response: requests.Response, answer: Any) -> _Remembered | None:
    pairs = (
        ("If-None-Match", response.headers.get("ETag")),
        ("If-Modified-Since", response.headers.get("Last-Modified")),
    )
    headers = {name: value for name, value in pairs if value}
    return _Remembered(answer, headers) if headers else None


def _refuse_status(response: requests.Response, now: datetime) -> None:
    status = response.status_code
    told = f"the vendor answered {status} {response.reason or ''}".rstrip()
    wait = retry_after(response.headers.get("Retry-After"), now)
    match status:
        case 200:
            return
        case 401 | 403 | 407:
            raise AuthError(f"{told}: check the credentials and what they may read")
        case 429:
            raise RateLimitedError(told, retry_after=wait)
        case _ if status >= requests.codes.internal_server_error:
            raise ServerError(told, retry_after=wait if status == requests.codes.service_unavailable else None)
        case _ if requests.codes.multiple_choices <= status < requests.codes.bad_request:
            host = urlsplit(response.headers.get("Location", "")).hostname
            raise RequestError(f"{told}, a redirect{f' to {host}' if host else ''}; put the final address into url")
        case _ if status >= requests.codes.bad_request:
            raise RequestError(told)
    raise ResponseError(f"{told}, which is no usage answer")


def retry_after(value: str | None, now: datetime) -> float | None:
    """Retry-After in seconds from now (RFC 9110, section 10.2.3): seconds or an HTTP date; None if neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), _MAX_RETRY_AFTER)
    with contextlib.suppress(ValueError, OverflowError):
        moment = parsedate_to_datetime(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
        return min(max(seconds.total_seconds(), 0.0), _MAX_RETRY_AFTER)
    return None


_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_BAD_BODY = (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)


def _transport_error(error: Exception, target: Target) -> PollError:
    """The failure in words of ours: library texts may repeat the URL, and with it what is secret in it."""
    host = urlsplit(target.url).netloc
    if isinstance(error, _TIMEOUTS):
        return PollTimeoutError(f"no answer from {host} within the timeout of {target.api.timeout:g} s")
    if isinstance(error, _BAD_BODY):
        return ResponseError("the answer's compression is damaged")
    if isinstance(error, requests.exceptions.SSLError):
        return ConnectionFailed(f"TLS to {host} failed: {_cause(error)}")
    return ConnectionFailed(f"connection to {host} failed: {_cause(error)}")


def _cause(error: BaseException) -> str:
    """The innermost reason: "Connection refused" rather than what each library put around it."""
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException) and error.args and isinstance(error.args[0], BaseException):
            inner = error.args[0]
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
