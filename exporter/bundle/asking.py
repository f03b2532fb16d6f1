"""Asking a running Prometheus or Grafana over its HTTP API."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
from requests.auth import AuthBase

from exporter.bundle.difference import printable
from exporter.errors import CheckError
from exporter.vendor.foreign_errors import FOREIGN_ERRORS, translated

_TIMEOUT_SECONDS = 30.0
_SHOWN = 200


class _Bearer(AuthBase):
    """A token of the caller's own; without one, requests takes user and password from ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Server:
    """url: without a slash at its end; API paths are put after it. token: a bearer token, or "" for none."""

    url: str
    token: str = ""

    def get(self, path: str) -> Any:
        """The JSON at a path of its API; None where it answers 404. Raises CheckError."""
        return self._json("GET", path, {}, missing={HTTPStatus.NOT_FOUND})

    def post(self, path: str, form: Mapping[str, str]) -> Any:
        """The JSON that answers a form; None where it is not known what to do with it. Raises CheckError."""
        missing = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        return self._json("POST", path, form, missing=missing)

    def _json(self, method: str, path: str, form: Mapping[str, str], missing: Container[int]) -> Any:
        try:
            answer = requests.request(
                method,
                self.url + path,
                data=form or None,
                auth=_Bearer(self.token) if self.token else None,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,  # the token is for this address alone
            )
        except FOREIGN_ERRORS as error:
            raise CheckError(f"{self.url}: {translated(error, host=self.url, timeout=_TIMEOUT_SECONDS)}") from None
        if answer.status_code in missing:
            return None
        if answer.is_redirect:
            target = printable(answer.headers["Location"])[:_SHOWN]
            raise CheckError(f"{self.url}{path} leads on to {target}: if that is it, name its address in the flag")
        if not answer.ok:
            shown = printable(" ".join(answer.text.split())[:_SHOWN])
            raise CheckError(f"{self.url}{path} answers {answer.status_code}: {shown}")
        try:
            return answer.json()
        except ValueError:
            kind = printable(answer.headers.get("Content-Type", "nothing that says its type"))
            raise CheckError(
                f"{self.url}{path} answers no JSON, but {kind}; is it behind a page to sign in?"
            ) from None
