"""A vendor's usage endpoints, asked for one target: sign in, ask, limit time and size, name the failure."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests

from exporter import redaction
from exporter.clock import Clock
from exporter.config.api import Api
from exporter.config.auth import Auth, BasicAuth, BearerAuth, HeaderAuth, OAuth2Auth
from exporter.config.load import Target
from exporter.config.request import Paging, Request
from exporter.config.secrets import Parameter, Secret
from exporter.config.templates import Values, expand, is_fixed
from exporter.errors import (
    AuthError,
    PollError,
    PollTimeoutError,
    RateLimitedError,
    RequestError,
    ResponseError,
    ServerError,
)
from exporter.model import Answer
from exporter.periods import calendar_period
from exporter.vendor.deadline import Deadline
from exporter.vendor.foreign_errors import FOREIGN_ERRORS, translated
from exporter.vendor.paging import Page, Step, count_items, first_step, next_step, together
from exporter.vendor.rate_limit_headers import rate_limits
from exporter.vendor.sign_in import Signature, SignIn
from exporter.vendor.strict_json import parse_json, shown
from exporter.vendor.transport import TooLarge, body_of, opened

USER_AGENT = f"api-usage-exporter/{version('api-usage-exporter')}"

# What a vendor may ask us to wait at most; a Retry-After of years would be a fault of its own.
_MAX_RETRY_AFTER = 86_400.0
# What a vendor may say of a request that it refuses: JSON of an error; more is a page for people.
_MOST_WORDS = 16_384
_REFUSALS = (401, 403)


@dataclass(frozen=True)
class _Asked:
    """A request with everything put in. Not shown by repr, since any part may be secret."""

    method: str
    url: str = field(repr=False)
    params: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)

    def at(self, step: Step | None) -> "_Asked":
        """The request for the page that the step leads to; None: the first page."""
        if step is None:
            return self
        if step.url is not None:
            return replace(self, url=step.url, params={})
        if not isinstance(self.body, dict):
            return replace(self, params={**self.params, str(step.parameter): str(step.value)})
        # GraphQL's arguments stand in the body's variables; other bodies hold theirs at the top.
        inner = self.body.get("variables")
        paged = {**(inner if isinstance(inner, dict) else self.body), str(step.parameter): step.value}
        return replace(self, body={**self.body, "variables": paged} if isinstance(inner, dict) else paged)


@dataclass(frozen=True)
class _Known:
    """An answer that can be asked for again on condition (RFC 9110, section 13). body: as it came, since what it is
    parsed to takes many times the memory."""

    asked: _Asked
    validators: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Received:
    """One HTTP answer, read and checked. known: None where the vendor gave nothing to ask for it again by."""

    answer: Answer
    url: str
    link: str
    known: _Known | None


@dataclass
class _Poll:
    """What the requests of one poll share. bytes_left: what their answers may still hold together."""

    session: requests.Session
    deadline: Deadline
    signature: Signature
    bytes_left: int


class VendorClient:
    """Asks one target's endpoints. Not thread-safe: a target is polled once at a time."""

    def __init__(self, target: Target, clock: Clock, *, before_call: Callable[[], None] = lambda: None) -> None:
        """before_call: called before each request; what it raises, a PollError, is the poll's outcome."""
        self._target = target
        self._clock = clock
        self._before_call = before_call
        self._sign_in = SignIn(target.auth, target.api.tls)
        self._known: dict[str, _Known] = {}

    def fetch(self) -> dict[str, Answer]:
        """The answer of each of the api's requests, by name; the last one where the vendor says it is unchanged.

        Raises a PollError that says what failed, without any secret: all of a poll's answers come, or none.
        """
        api = self._target.api
        deadline = Deadline(api.timeout, self._clock.monotonic)
        try:
            with opened(requests.Session(), api.tls, deadline) as session:
                poll = _Poll(session, deadline, self._sign_in.within(deadline), api.max_response_bytes)
                return {name: self._fetch(poll, name, request) for name, request in api.all_requests.items()}
        except FOREIGN_ERRORS as error:
            raise translated(error, host=urlsplit(api.base_url or api.url).netloc, timeout=api.timeout) from None

    def _fetch(self, poll: _Poll, name: str, request: Request) -> Answer:
        asked = _asked(request, self._target, self._clock.now())
        if request.paging is not None:
            return self._all_pages(poll, request, request.paging, asked)
        known = self._known.get(name)
        received = self._signed_in(poll, request, asked, known if known and known.asked == asked else None)
        if received.known is not None:
            self._known[name] = received.known
        else:
            self._known.pop(name, None)
        return received.answer

    def _all_pages(self, poll: _Poll, request: Request, paging: Paging, asked: _Asked) -> Answer:
        pages: list[Page] = []
        count, step = 0, first_step(paging)
        steps = {step}
        while True:
            try:
                received = self._signed_in(poll, request, asked.at(step), None)
            except PollTimeoutError:
                if not pages:
                    raise
                what = f"paging: page {len(pages) + 1} was not complete"
                raise PollTimeoutError(f"{poll.deadline.missed(what)}, which all pages share") from None
            pages.append(Page(len(pages) + 1, received.answer.body, received.url, received.link))
            count += count_items(pages[-1], paging.items)
            step = next_step(paging, pages[-1], count)
            if step is None:
                return Answer(together(pages, paging.items), received.answer.headers)
            if step in steps:
                raise ResponseError(f"paging: page {len(pages)} leads back to a page before it")
            if len(pages) == paging.max_pages:
                raise ResponseError(f"paging: there are more than max_pages ({paging.max_pages}) pages")
            steps.add(step)

    def _signed_in(self, poll: _Poll, request: Request, asked: _Asked, known: _Known | None) -> _Received:
        try:
            received = self._exchange(poll, request, asked, known)
        except AuthError:
            if not poll.signature.renew():
                raise
            received = self._exchange(poll, request, asked, known)
        poll.signature.accepted()
        return received

    def _exchange(self, poll: _Poll, request: Request, asked: _Asked, known: _Known | None) -> _Received:
        self._before_call()
        with poll.session.request(
            asked.method,
            asked.url,
            params=asked.params,
            json=asked.body,
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                **(known.validators if known else {}),
                **asked.headers,
            },
            auth=poll.signature,
            stream=True,
            allow_redirects=False,  # credentials are for the configured host only
        ) as response:
            if response.status_code == requests.codes.not_modified and known:
                # The headers that it brings are the newer ones (RFC 9111, section 3.2).
                known = replace(known, headers={**known.headers, **_headers(response)})
                return _Received(Answer(parse_json(known.body), known.headers), response.url, "", known)
            try:
                _refuse_status(response, self._clock.now(), bodiless=request.read != "body")
            except (AuthError, RateLimitedError, RequestError) as error:
                raise type(error)(f"{error}{self._said(response)}", retry_after=error.retry_after) from None
            return self._received(poll, response, request, asked)

    def _received(self, poll: _Poll, response: requests.Response, request: Request, asked: _Asked) -> _Received:
        headers = _headers(response)
        if request.read == "rate_limit_headers":
            return _Received(Answer(rate_limits(headers, self._clock.now()), headers), response.url, "", None)
        body = self._body(poll, response)
        validators = _validators(headers)
        known = _Known(asked, validators, body, headers) if validators else None
        return _Received(Answer(parse_json(body), headers), response.url, headers.get("link", ""), known)

    def _said(self, response: requests.Response) -> str:
        """What a vendor says of a request that it refuses, and which secret it was that it refused."""
        secret = _secret_of(self._target.auth) if response.status_code in _REFUSALS else None
        refused = f"; sent was {secret.origin}" if secret is not None and secret.value is None else ""
        # Without words, or with too many of them, the status has to do.
        with contextlib.suppress(TooLarge, PollError, *FOREIGN_ERRORS):
            words = redaction.redact(body_of(response, _MOST_WORDS).decode("utf-8", "replace"))
            if words.strip() and not words.lstrip().startswith("<"):
                return f"{refused}; the vendor says {shown(' '.join(words.split()))}"
        return refused

    def _body(self, poll: _Poll, response: requests.Response) -> bytes:
        most = self._target.api.max_response_bytes
        try:
            body = body_of(response, poll.bytes_left)
        except TooLarge:
            which = "answer is" if poll.bytes_left == most else "answers of this poll are"
            raise ResponseError(f"the {which} larger than max_response_bytes ({most})") from None
        poll.deadline.left()
        poll.bytes_left -= len(body)
        return body


def _secret_of(auth: Auth | None) -> Secret | None:
    """The secret that a vendor would refuse; None where there is none, or several, or one that is fetched."""
    match auth:
        case BearerAuth():
            return auth.token
        case HeaderAuth():
            return auth.value
        case BasicAuth():
            return auth.password or auth.username
        case OAuth2Auth():
            return auth.client_secret
    return None


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _asked(request: Request, target: Target, now: datetime) -> _Asked:
    """The request for one target at one time. Raises AuthError where a secret in it cannot be read."""
    api, organisation = target.api, target.organisation
    static = api.static.period
    period = calendar_period(static.every, static.anchor_day, api.time_zone, now) if static else None
    period = period or calendar_period("month", 1, api.time_zone, now)
    assert period is not None  # noqa: S101 - a month always holds now
    try:
        secrets = {name: secret.reveal() for name, secret in {**api.secrets, **organisation.secrets}.items()}
        values = Values(organisation.id, organisation.display_name, now, api.time_zone, period, secrets)
        _remember_inline(request, values)
        return _Asked(
            request.sent_as,
            _url(api, request, values),
            {name: _value(name, parameter, values) for name, parameter in request.params.items()},
            {name: _value(name, parameter, values) for name, parameter in request.headers.items()},
            _expanded(request.body, values),
        )
    except ValueError as error:
        raise AuthError(f"a parameter or header cannot be used: {error}") from None


def _url(api: Api, request: Request, values: Values) -> str:
    url, base = (
        expand(part, values, lambda value: quote(value, safe="")) for part in (request.url, api.base_url or "")
    )
    return base.rstrip("/") + url if url.startswith("/") else url


def _value(name: str, parameter: Parameter, values: Values) -> str:
    """A parameter's or header's text."""
    template = parameter.text()
    text = template if parameter.value is None else expand(template, values)
    if parameter.is_secret(name) and (parameter.value is None or is_fixed(template)):
        redaction.remember_header(text)
    return text


def _expanded(body: Any, values: Values) -> Any:
    if isinstance(body, str):
        return expand(body, values)
    if isinstance(body, list):
        return [_expanded(item, values) for item in body]
    if isinstance(body, dict):
        return {name: _expanded(item, values) for name, item in body.items()}
    return body


def _remember_inline(request: Request, values: Values) -> None:
    """What the names of the url's own parameters and of the body's fields say is secret."""
    fields = parse_qsl(urlsplit(request.url).query)
    containers = [request.body]
    while containers:
        container = containers.pop()
        if isinstance(container, dict):
            fields += [(name, value) for name, value in container.items() if isinstance(value, str)]
        members = container.values() if isinstance(container, dict) else container
        containers += [member for member in members or () if isinstance(member, dict | list)]
    for name, template in fields:
        if redaction.is_secret_when_sent(name) and is_fixed(template):
            redaction.remember(expand(template, values))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
    return {name: headers[validator] for name, validator in pairs if validator in headers}


def _refuse_status(response: requests.Response, now: datetime, *, bodiless: bool) -> None:
    status = response.status_code
    message = f"the vendor answered {status} {response.reason or ''}".rstrip()
    wait = retry_after(response.headers.get("Retry-After"), now)
    match status:
        case 200:
            return
        case _ if bodiless and requests.codes.ok < status < requests.codes.multiple_choices:
            return
        case 401 | 403 | 407:
            raise AuthError(f"{message}: check the credentials and what they may read")
        case 429:
            raise RateLimitedError(message, retry_after=wait)
        case _ if status >= requests.codes.internal_server_error:
            raise ServerError(message, retry_after=wait if status == requests.codes.service_unavailable else None)
        case requests.codes.not_modified:
            raise ResponseError(f"{message}, to a request that set no condition")
        case _ if requests.codes.multiple_choices <= status < requests.codes.bad_request:
            host = _host(response.headers.get("Location", ""))
            where = f" to {host}" if host else ""
            raise RequestError(f"{message}, a redirect{where}; put the final address into url")
        case _ if status >= requests.codes.bad_request:
            raise RequestError(message)
    raise ResponseError(f"{message}, which is no usage answer")


def _host(url: str) -> str | None:
    with contextlib.suppress(ValueError):
        return urlsplit(url).hostname
    return None


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
