"""Tokens and cloud credentials: fetched when first needed, kept for all who sign in alike, and fetched anew when they
expire or are refused."""

import io
import json
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import OAuth2Token
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from exporter.config.auth import AwsAuth, GoogleAuth, OAuth2Auth
from exporter.config.tls import Tls
from exporter.errors import AuthError, PollError, PollTimeoutError, ServerError
from exporter.redaction import is_secret_name, remember
from exporter.vendor.deadline import Deadline, Shared
from exporter.vendor.foreign_errors import FOREIGN_ERRORS
from exporter.vendor.transport import TooLarge, body_of, opened

Held = TypeVar("Held")

# Of a whole answer: tokens are some kB at most, since they have to fit a header.
_MAX_TOKEN_BYTES = 100_000
# Credentials with less to live are renewed, so that they last for the request; authlib counts so as well.
_LEAST_SECONDS = 60
# An hour is the most that Google allows.
_ASSERTION_SECONDS = 600
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_NO_ANSWER: tuple[type[Exception], ...] = (PollError, TooLarge, *FOREIGN_ERRORS)


class _Kept(ABC, Generic[Held]):
    """What signs in, for any number of polls at a time: one fetches it, and the others wait."""

    missed: str

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: Shared[None, Held] = Shared()
        self._held: Held | None = None
        self._accepted = False

    def get(self, deadline: Deadline) -> Held:
        """Raises ValueError or a PollError where there is none to have."""
        held = self._held
        if held is not None and self._lasts(held):
            return held
        return self._shared.result(None, lambda: self._renewed(deadline), deadline, self.missed)

    def accepted(self, held: Held) -> None:
        """A vendor took it."""
        if held is self._held:
            self._accepted = True

    def renew(self, refused: Held) -> bool:
        """After a refusal: whether to try again with another. What never worked is not fetched anew at each poll."""
        with self._lock:
            if refused is not self._held:
                return True
            if self._accepted:
                self._held = None
            return self._accepted

    def _renewed(self, deadline: Deadline) -> Held:
        held = self._held
        if held is not None and self._lasts(held):  # another was quicker
            return held
        # A whole timeout, since others may wait who have more time left than the first.
        fetched = self._fetched(Deadline(deadline.seconds, deadline.monotonic))
        with self._lock:
            self._held, self._accepted = fetched, False
        return fetched

    @abstractmethod
    def _fetched(self, deadline: Deadline) -> Held: ...

    @abstractmethod
    def _lasts(self, held: Held) -> bool: ...


@dataclass(frozen=True)
class _Asking:
    """How a token is asked for. session: closed by whoever sends."""

    session: OAuth2Session
    url: str
    fields: Mapping[str, str]


def _by_secret(auth: OAuth2Auth) -> _Asking:
    """RFC 6749, section 4.4."""
    session = OAuth2Session(
        auth.client_id,
        auth.client_secret.reveal(),
        token_endpoint_auth_method=auth.token_endpoint_auth_method,
        scope=auth.scope,
    )
    more = {"audience": auth.audience} if auth.audience else {}
    return _Asking(session, auth.token_url, {"grant_type": "client_credentials", **more})


def _by_assertion(auth: GoogleAuth) -> _Asking:
    """RFC 7523, section 2.1, with what a service account's key file says. Raises ValueError where it is none."""
    try:
        key = json.loads(auth.key.reveal())
        remember(key["private_key"])
        now = int(time.time())
        assertion = jwt.encode(
            {"alg": "RS256", "kid": str(key.get("private_key_id", ""))},
            {
                "iss": key["client_email"],
                "scope": auth.scope,
                "aud": key["token_uri"],
                "iat": now,
                "exp": now + _ASSERTION_SECONDS,
            },
            RSAKey.import_key(key["private_key"]),
        )
    except (KeyError, TypeError, ValueError, JoseError):
        raise ValueError(
            "the key is no service account's key file, as JSON with client_email, private_key and token_uri"
        ) from None
    remember(assertion)
    session = OAuth2Session(token_endpoint_auth_method="none")  # noqa: S106 - the method's name
    return _Asking(session, key["token_uri"], {"grant_type": _JWT_BEARER, "assertion": assertion})


class Tokens(_Kept[OAuth2Token]):
    """OAuth 2 access tokens."""

    missed = "the token endpoint's answer was not complete"

    def __init__(self, auth: OAuth2Auth | GoogleAuth, tls: Tls) -> None:
        super().__init__()
        self._auth = auth
        self._tls = tls

    def _lasts(self, held: OAuth2Token) -> bool:
        return not held.is_expired(_LEAST_SECONDS)

    def _fetched(self, deadline: Deadline) -> OAuth2Token:
        asking = _by_assertion(self._auth) if isinstance(self._auth, GoogleAuth) else _by_secret(self._auth)
        asking.session.register_compliance_hook("access_token_response", _bounded)
        try:
            with opened(asking.session, self._tls, deadline) as session:
                token = session.fetch_token(asking.url, allow_redirects=False, stream=True, **asking.fields)
        except OAuthError as error:
            raise AuthError(f"the token endpoint refused: {error.error}") from None
        except requests.HTTPError as error:  # authlib raises it for 5xx only
            raise ServerError(f"the token endpoint answered {error.response.status_code}") from None
        except PollTimeoutError:
            raise deadline.missed(self.missed) from None
        except (ValueError, TypeError, AttributeError) as error:  # authlib trusts the answer's shape
            if isinstance(error, requests.RequestException):  # of which some are ValueErrors
                raise
            raise AuthError("the token endpoint's answer is no token") from None
        if not isinstance(token.get("access_token"), str):
            raise AuthError("the token endpoint's answer is no token")
        for name, value in token.items():
            if isinstance(value, str) and name != "token_type" and is_secret_name(name):
                remember(value)
        return token


def _bounded(response: requests.Response) -> requests.Response:
    """Read the body here, since requests would read one without end."""
    try:
        with response:
            response._content = body_of(response, _MAX_TOKEN_BYTES)
    except TooLarge:
        raise AuthError(f"the token endpoint's answer is larger than {_MAX_TOKEN_BYTES} bytes") from None
    return response


class AwsCredentials(_Kept[Any]):
    """AWS credentials, as botocore's, from wherever it finds them: environment, files, roles, instance metadata."""

    missed = "no AWS credentials came"

    def __init__(self, auth: AwsAuth, tls: Tls) -> None:
        super().__init__()
        self._auth = auth
        self._tls = tls

    def _lasts(self, held: Any) -> bool:
        refresh_needed = getattr(held, "refresh_needed", None)  # of those that expire
        return refresh_needed is None or not refresh_needed(_LEAST_SECONDS)

    def _fetched(self, deadline: Deadline) -> Any:
        try:
            found = self._found(deadline)
        except ValueError:
            if deadline.is_over():  # then that is why
                raise deadline.missed(self.missed) from None
            raise
        for secret in (found.access_key, found.secret_key, found.token):
            if secret:
                remember(secret)
        return found

    def _found(self, deadline: Deadline) -> Any:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an optional extra
            from botocore.session import Session  # noqa: PLC0415
        except ImportError:
            raise ValueError("type: aws needs botocore: pip install 'api-usage-exporter[aws]'") from None
        try:
            session = Session(profile=self._auth.profile)
            _send_by(session, _AwsHttp(self._tls, deadline))
            credentials = session.get_credentials()
            if credentials is not None:
                credentials.get_frozen_credentials()  # a role is assumed when first needed
        except (BotoCoreError, ClientError) as error:
            raise ValueError(str(error)) from None
        if credentials is None:
            raise ValueError("botocore finds no AWS credentials in the environment, files or instance role")
        return credentials


def _send_by(session: Any, http: "_AwsHttp") -> None:
    """Have all that botocore asks sent so: by its clients for STS and SSO, and by what looks for metadata."""
    session.register("before-send", lambda request, **_: http.send(request))
    chain = session.get_component("credential_provider")
    for name, fetcher, timeout in (
        ("iam-role", "_role_fetcher", float(session.get_config_variable("metadata_service_timeout"))),
        ("container-role", "_fetcher", 2.0),  # botocore's own
    ):
        # botocore gives no other way in, and other providers hold these very objects.
        getattr(chain.get_provider(name), fetcher)._session = http.within(timeout)


class _AwsHttp:
    """Stands in for botocore.httpsession.URLLib3Session."""

    def __init__(self, tls: Tls, deadline: Deadline, timeout: float | None = None) -> None:
        self._tls = tls
        self._deadline = deadline
        self._timeout = timeout

    def within(self, timeout: float) -> "_AwsHttp":
        """The same, with a bound of its own on each request, in seconds."""
        return _AwsHttp(self._tls, self._deadline, timeout)

    def send(self, request: Any) -> Any:
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415
        from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        for name, value in headers.items():
            if is_secret_name(name):
                remember(str(value))
        try:
            left = self._deadline.left()
            within = Deadline(min(left, self._timeout or left), self._deadline.monotonic)
            with (
                opened(requests.Session(), self._tls, within) as session,
                session.request(
                    request.method,
                    request.url,
                    data=request.body,
                    headers=dict(request.headers),
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                body = body_of(answer, _MAX_TOKEN_BYTES)
        except _NO_ANSWER as error:
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from None
        return AWSResponse(request.url, answer.status_code, answer.headers, _Read(body))


class _Read(io.BytesIO):
    """A body as botocore wants to read one."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.getvalue()


_LIVING: "weakref.WeakValueDictionary[tuple[OAuth2Auth | GoogleAuth | AwsAuth, Tls], Tokens | AwsCredentials]" = (
    weakref.WeakValueDictionary()
)
_living_lock = threading.Lock()


def credentials_of(auth: OAuth2Auth | GoogleAuth | AwsAuth, tls: Tls) -> Tokens | AwsCredentials:
    """The same for all who sign in alike, as long as somebody holds it."""
    with _living_lock:
        known = _LIVING.get((auth, tls))
        if known is None:
            known = AwsCredentials(auth, tls) if isinstance(auth, AwsAuth) else Tokens(auth, tls)
            _LIVING[auth, tls] = known
        return known
