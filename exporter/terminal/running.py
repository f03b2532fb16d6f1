"""Asking a running exporter over HTTP."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import click
import requests

# Where an exporter serves by default.
_DEFAULT_URL = "http://localhost:10190"
# One for all commands that ask.
url_option = click.option(
    "--url",
    envvar="API_USAGE_EXPORTER_URL",
    default=_DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="The running exporter to ask; may hold USER:PASSWORD@.",
)
# An exporter answers at once or, with very many scopes, within seconds.
_TIMEOUT_SECONDS = 15


class Unavailable(Exception):  # noqa: N818 - the message is for the user
    """There is nothing to show; the message says why."""


def ask(
    url: str, path: str, params: Mapping[str, str | Sequence[str]], *, otherwise: str = "--url names another"
) -> requests.Response:
    """Whatever the exporter at the url answers. otherwise: what to do where none does. Raises Unavailable."""
    try:
        return requests.get(f"{url.rstrip('/')}{path}", params=params, timeout=_TIMEOUT_SECONDS)
    except requests.RequestException:
        raise Unavailable(f"no exporter answers at {without_credentials(url)}; {otherwise}") from None


def refused(url: str, response: requests.Response) -> Unavailable:
    """What an answer that is none is to be reported as."""
    return Unavailable(f"{without_credentials(url)} answered {response.status_code} {response.reason}")


def foreign(url: str, error: ValueError) -> Unavailable:
    return Unavailable(f"{without_credentials(url)} is no api-usage-exporter of this version: {error}")


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
