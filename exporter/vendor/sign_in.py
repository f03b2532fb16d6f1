"""Signing in at a vendor, as requests' authentication hooks. Secrets are read anew for every request."""

from collections.abc import Mapping
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import OAuth2Token
from requests.auth import AuthBase, HTTPBasicAuth

from exporter.config.auth import Auth, AwsAuth, BasicAuth, BearerAuth, HeaderAuth, OAuth2Auth
from exporter.errors import AuthError, PollTimeoutError, ServerError
from exporter.redaction import remember
from exporter.vendor.watchdog import DeadlineExceeded, Watchdog

# Of a token endpoint's whole answer: tokens are some kB at most, since they have to fit a header.
_MAX_TOKEN_BYTES = 100_000


class SignIn(AuthBase):
    """What a VendorClient signs its requests with. Raises AuthError where the credentials cannot be used."""

    def __init__(self, auth: Auth | None, transport: Mapping[str, Any]) -> None:
        """transport: timeout, verify and cert, for the requests that signing in itself needs."""
        self._auth = auth
        self._token = _Token(auth, transport) if isinstance(auth, OAuth2Auth) else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            return self._signed(request)
        except ValueError as error:
            raise AuthError(f"the credentials cannot be used: {error}") from None

    def renew(self) -> bool:
        """After a refusal: whether there are newer credentials to try with at once."""
        return self._token is not None and self._token.forget()

    def _signed(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        match self._auth:
            case BearerAuth():
                request.headers["Authorization"] = f"Bearer {_header_value(self._auth.token.reveal())}"
            case HeaderAuth():
                request.headers[self._auth.name] = _header_value(self._auth.value.reveal())
            case BasicAuth():
                user, password = self._auth.credentials()
                HTTPBasicAuth(user.encode(), password.encode())(request)
                remember(request.headers["Authorization"].removeprefix("Basic "))
            case OAuth2Auth():
                assert self._token is not None  # noqa: S101 - made with it
                request.headers["Authorization"] = f"Bearer {_header_value(self._token.text())}"
            case AwsAuth():
                _sign_aws(self._auth, request)
            case None:
                pass
        return request


def _header_value(secret: str) -> str:
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("the secret has characters that a header cannot hold")
    return secret


class _Token:
    """An OAuth 2 access token, fetched when first needed and again when it has expired."""

    def __init__(self, auth: OAuth2Auth, transport: Mapping[str, Any]) -> None:
        self._auth = auth
        self._transport = transport
        self._token: OAuth2Token | None = None

    def text(self) -> str:
        # authlib counts a token as expired a minute early, so that it lasts for the request.
        if self._token is None or self._token.is_expired():
            self._token = self._fetched()
        return str(self._token["access_token"])

    def forget(self) -> bool:
        known, self._token = self._token, None
        return known is not None

    def _fetched(self) -> OAuth2Token:
        auth = self._auth
        more = {"audience": auth.audience} if auth.audience else {}
        with OAuth2Session(auth.client_id, auth.client_secret.reveal(), scope=auth.scope) as session:
            session.trust_env = False
            session.register_compliance_hook("access_token_response", _bounded)
            watchdog = Watchdog()
            try:
                with watchdog.session(session), watchdog.deadline(self._transport["timeout"]):
                    token = session.fetch_token(
                        auth.token_url,
                        grant_type="client_credentials",
                        allow_redirects=False,
                        stream=True,
                        **more,
                        **self._transport,
                    )
            except OAuthError as error:
                raise AuthError(f"the token endpoint refused: {error.error}") from None
            except requests.HTTPError as error:  # authlib raises it for 5xx only
                raise ServerError(f"the token endpoint answered {error.response.status_code}") from None
            except DeadlineExceeded:
                raise PollTimeoutError("the token endpoint's answer was not complete within the timeout") from None
            except (ValueError, TypeError, AttributeError):  # authlib trusts the answer's shape
                raise AuthError("the token endpoint's answer is no token") from None
        if not isinstance(token.get("access_token"), str):
            raise AuthError("the token endpoint's answer is no token")
        remember(token["access_token"])
        return token


def _bounded(response: requests.Response) -> requests.Response:
    """Read the body here, since requests would read one without end."""
    body = response.raw.read(_MAX_TOKEN_BYTES + 1, decode_content=True)
    if len(body) > _MAX_TOKEN_BYTES:
        raise AuthError(f"the token endpoint's answer is larger than {_MAX_TOKEN_BYTES} bytes")
    response._content = body
    return response


def _sign_aws(auth: AwsAuth, request: requests.PreparedRequest) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html"""
    try:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - an optional extra
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        raise ValueError("type: aws needs botocore: pip install 'api-usage-exporter[aws]'") from None
    try:
        credentials = Session(profile=auth.profile).get_credentials()
    except BotoCoreError as error:
        raise ValueError(str(error)) from None
    if credentials is None:
        raise ValueError("botocore finds no AWS credentials in the environment, files or instance role")
    signed = AWSRequest(method=request.method, url=request.url, data=request.body, headers={"Host": _host(request)})
    SigV4Auth(credentials.get_frozen_credentials(), auth.service, auth.region).add_auth(signed)
    request.headers.update(dict(signed.headers.items()))


def _host(request: requests.PreparedRequest) -> str:
    return requests.compat.urlsplit(request.url or "").netloc
