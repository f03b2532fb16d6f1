"""Asking a running exporter over HTTP."""

import functools
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import requests

# Where an exporter serves by default.
_DEFAULT_URL = "http://localhost:10190"
# An exporter answers at once or, with very many scopes, within seconds.
_TIMEOUT_SECONDS = 15
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class Unavailable(Exception):  # noqa: N818 - the message is for the user
    """There is nothing to show; the message says why."""


@dataclass(frozen=True)
class Running:
    """A running exporter, and how to reach it.

    url: may hold USER:PASSWORD@. ca_file: PEM file of the authorities that its certificate is checked by, None for
    the system's. certificate, key: PEM files to sign in with; key is None where the certificate's file holds it too.
    """

    url: str
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def shown(self) -> str:
        """The URL without credentials."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def ask(
        self, path: str, params: Mapping[str, str | Sequence[str]], *, otherwise: str = "--url names another"
    ) -> requests.Response:
        """Whatever the exporter answers. otherwise: what to do where none does. Raises Unavailable."""
        certificate = None if self.certificate is None else str(self.certificate)
        try:
            return requests.get(
                f"{self.url.rstrip('/')}{path}",
                params=params,
                timeout=_TIMEOUT_SECONDS,
                verify=str(self.ca_file) if self.ca_file else True,
                cert=(certificate, str(self.key)) if certificate and self.key else certificate,
            )
        except requests.RequestException as error:
            if (tls := _tls_error(error)) is not None:
                raise Unavailable(
                    f"no TLS connection to {self.shown}: {tls}; --ca-file names the authority of its certificate, "
                    "--cert-file and --key-file are what it knows us by"
                ) from None
            raise Unavailable(f"no exporter answers at {self.shown}; {otherwise}") from None

    def refused(self, response: requests.Response) -> Unavailable:
        """What an answer that is none is to be reported as."""
        return Unavailable(f"{self.shown} answered {response.status_code} {response.reason}")

    def foreign(self, error: ValueError) -> Unavailable:
        return Unavailable(f"{self.shown} is no api-usage-exporter of this version: {error}")


def _tls_error(error: BaseException | None) -> str | None:
    """What TLS failed for, somewhere among the causes; None where it did not fail."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return getattr(error, "verify_message", "") or error.reason or str(error)
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return None


def running_options(command: Callable[..., None]) -> Callable[..., None]:
    """The flags of all commands that ask a running exporter; the command gets them as `exporter`, a Running."""

    @click.option(
        "--url",
        envvar="API_USAGE_EXPORTER_URL",
        default=_DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="The running exporter to ask; may hold USER:PASSWORD@.",
    )
    @click.option("--ca-file", type=_FILE, help="PEM file of the authority that the exporter's certificate is of.")
    @click.option("--cert-file", type=_FILE, help="PEM file of the client certificate to sign in with.")
    @click.option("--key-file", type=_FILE, help="PEM file of its key, where --cert-file does not hold it.")
    @functools.wraps(command)
    def with_exporter(
        *, url: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None, **others: Any
    ) -> None:
        if key_file is not None and cert_file is None:
            raise click.UsageError("--key-file is the key of a certificate; --cert-file names it")
        command(exporter=Running(url, ca_file, cert_file, key_file), **others)

    return with_exporter
