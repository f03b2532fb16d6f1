"""Libraries' errors become ours by one table, whatever they raise."""

import inspect
import socket
import ssl
from types import ModuleType

import pytest
import requests.exceptions
import urllib3.exceptions

from exporter.errors import ConnectionFailed, PollError, PollTimeoutError, ResponseError
from exporter.vendor.foreign_errors import FOREIGN_ERRORS, TRANSLATIONS, translated


def raised_by(module: ModuleType, base: type[Exception]) -> list[type[Exception]]:
    return [found for _, found in inspect.getmembers(module, inspect.isclass) if issubclass(found, base)]


@pytest.mark.parametrize(
    "foreign",
    [
        *raised_by(requests.exceptions, requests.exceptions.RequestException),
        *raised_by(urllib3.exceptions, urllib3.exceptions.HTTPError),
        *raised_by(ssl, ssl.SSLError),
        *raised_by(socket, OSError),
    ],
)
def test_every_error_of_the_libraries_below_has_a_name_of_ours(foreign: type[Exception]) -> None:
    assert issubclass(foreign, FOREIGN_ERRORS)
    # Their constructors all want something else.
    assert isinstance(translated(foreign.__new__(foreign), host="h", timeout=1), PollError)


def test_no_translation_is_hidden_by_one_before_it() -> None:
    before: tuple[type[Exception], ...] = ()
    for translation in TRANSLATIONS:
        assert not [foreign for foreign in translation.foreign if issubclass(foreign, before)]
        before += translation.foreign


@pytest.mark.parametrize(
    ("error", "ours", "message"),
    [
        (requests.exceptions.ConnectTimeout(), PollTimeoutError, "no answer from h:1 within the timeout of 1.5 s"),
        (TimeoutError(), PollTimeoutError, "no answer from h:1 within the timeout of 1.5 s"),
        (urllib3.exceptions.DecodeError(), ResponseError, "the answer's compression is damaged"),
        (urllib3.exceptions.SSLError(ssl.SSLError(1, "bad record {mac}")), ConnectionFailed, "TLS to h:1 failed: bad record {mac}"),
        (socket.gaierror(-2, "Name or service not known"), ConnectionFailed, "connection to h:1 failed: Name or service not known"),
        (ConnectionResetError(104, "Connection reset by peer"), ConnectionFailed, "connection to h:1 failed: Connection reset by peer"),
        (requests.exceptions.InvalidURL("http://x/?key=s3cr3t"), ConnectionFailed, "connection to h:1 failed: InvalidURL"),
    ],
)  # fmt: skip
def test_foreign_errors_in_words_of_ours(error: Exception, ours: type[PollError], message: str) -> None:
    failure = translated(error, host="h:1", timeout=1.5)
    assert (type(failure), str(failure)) == (ours, message)


def test_an_error_that_knows_its_host_names_it() -> None:
    request = requests.Request("POST", "http://id.example/token?key=s3cr3t").prepare()
    error = requests.exceptions.ReadTimeout(request=request)
    message = str(translated(error, host="vendor.example", timeout=2))
    assert message == "no answer from id.example within the timeout of 2 s"
