"""Signing in at a vendor, as requests' authentication hook. Secrets are read anew for every request."""

from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from exporter.config.auth import Auth, AwsAuth, BasicAuth, BearerAuth, GoogleAuth, HeaderAuth, OAuth2Auth
from exporter.config.tls import Tls
from exporter.errors import AuthError
from exporter.redaction import remember, remember_header
from exporter.vendor.credentials import AwsCredentials, Tokens, credentials_of
from exporter.vendor.deadline import Deadline


class SignIn:
    """How a VendorClient signs in. auth: None where the vendor wants none."""

    def __init__(self, auth: Auth | None, tls: Tls) -> None:
        self._auth = auth
        self._kept = credentials_of(auth, tls) if isinstance(auth, OAuth2Auth | GoogleAuth | AwsAuth) else None

    def within(self, deadline: Deadline) -> "Signature":
        """What signs the requests of one poll."""
        return Signature(self._auth, self._kept, deadline)


class Signature(AuthBase):
    """Signs requests until the deadline. Raises AuthError where the credentials cannot be used."""

    def __init__(self, auth: Auth | None, kept: Tokens | AwsCredentials | None, deadline: Deadline) -> None:
        self._auth = auth
        self._kept = kept
        self._deadline = deadline
        self._used: Any = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            return self._signed(request)
        except ValueError as error:
            raise AuthError(f"the credentials cannot be used: {error}") from None

    def accepted(self) -> None:
        """The vendor took what was signed last."""
        if self._kept is not None:
            self._kept.accepted(self._used)

    def renew(self) -> bool:
        """After a refusal: whether there are newer credentials to try with at once."""
        return self._kept is not None and self._used is not None and self._kept.renew(self._used)

    def _signed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._kept is not None:
            self._used = self._kept.get(self._deadline)
        match self._auth:
            case BearerAuth():
                request.headers["Authorization"] = f"Bearer {_header_value(self._auth.token.reveal())}"
            case HeaderAuth():
                value = _header_value(self._auth.value.reveal())
                remember_header(value)
                request.headers[self._auth.name] = value
            case BasicAuth():
                user, password = self._auth.revealed()
                HTTPBasicAuth(user.encode(), password.encode())(request)
            case OAuth2Auth() | GoogleAuth():
                request.headers["Authorization"] = f"Bearer {_header_value(self._used['access_token'])}"
            case AwsAuth():
                _sign_aws(self._auth, self._used, request)
            case None:
                pass
        return request


def _header_value(secret: str) -> str:
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("the secret has characters that a header cannot hold")
    return secret


def _sign_aws(auth: AwsAuth, credentials: Any, request: requests.PreparedRequest) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html"""
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - an optional extra
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    host = requests.compat.urlsplit(request.url or "").netloc
    signed = AWSRequest(method=request.method, url=request.url, data=request.body, headers={"Host": host})
    SigV4Auth(credentials.get_frozen_credentials(), auth.service, auth.region).add_auth(signed)
    request.headers.update(dict(signed.headers.items()))
    # For five minutes it is as good as the key, for this very request.
    remember(signed.headers["Authorization"].rpartition("Signature=")[2])
