"""What requests, urllib3, ssl and the system raise -> our PollErrors, in words of ours.

Libraries' texts may repeat the URL, and with it what is secret in it: of a foreign error only its innermost reason is
shown.
"""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from exporter.errors import ConnectionFailed, PollError, PollTimeoutError, ResponseError


@dataclass(frozen=True)
class Translation:
    """What any of the foreign errors is to us. message: may hold {host}, {timeout} (seconds) and {cause}."""

    foreign: tuple[type[Exception], ...]
    ours: type[PollError]
    message: str


# Most specific first: many are subclasses of others, and all but urllib3's are OSErrors in the end.
TRANSLATIONS = (
    Translation(
        # To urllib3 this is a time-out by inheritance, though it is a refusal, or a host that is not known.
        (urllib3.exceptions.NewConnectionError,),
        ConnectionFailed,
        "connection to {host} failed: {cause}",
    ),
    Translation(
        (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError),
        PollTimeoutError,
        "no answer from {host} within the timeout of {timeout:g} s",
    ),
    Translation(
        (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError),
        ResponseError,
        "the answer's compression is damaged",
    ),
    Translation(
        (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError),
        ConnectionFailed,
        "the proxy on the way to {host} failed: {cause}",
    ),
    Translation(
        (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError),
        ConnectionFailed,
        "TLS to {host} failed: {cause}",
    ),
    Translation(
        (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError),
        ConnectionFailed,
        "connection to {host} failed: {cause}",
    ),
)

FOREIGN_ERRORS = tuple(foreign for translation in TRANSLATIONS for foreign in translation.foreign)


def translated(error: Exception, *, host: str, timeout: float) -> PollError:
    """Our error for one of FOREIGN_ERRORS.

    host: whom a poll asks; the error's own is named instead where it knows one. timeout: seconds.
    """
    found = next(translation for translation in TRANSLATIONS if isinstance(error, translation.foreign))
    host = _host_of(error) or host
    return found.ours(found.message.format(host=host, timeout=timeout, cause=_cause(error)))


def _host_of(error: Exception) -> str:
    """Which host it was, where several are asked."""
    request = getattr(error, "request", None)
    return urlsplit(request.url).netloc if request is not None and request.url else ""


# By what OpenSSL calls it: what the user can do.
_TLS_HINTS = {
    "self-signed certificate": "; name its authority in tls.ca_file",
    "unable to get local issuer certificate": "; name its authority in tls.ca_file",
    "wrong version number": "; that port speaks no TLS: should the url begin with http://?",
}


def _tls_hint(reason: str) -> str:
    return next((hint for words, hint in _TLS_HINTS.items() if words in reason), "")


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
        return f"{error.strerror}{_tls_hint(error.strerror) if isinstance(error, ssl.SSLError) else ''}"
    if type(error) is OSError:  # http.client's, on a proxy that refuses: the status, and no URL
        return str(error)
    return type(error).__name__
