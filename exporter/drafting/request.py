"""What is asked, as the config has it: secrets apart, never in the file. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from exporter.drafting.curl import Asked

_SECRET_NAME = re.compile(
    r"key|token|secret|auth|password|passwd|credential|signature|^sig$|apikey|cookie", re.IGNORECASE
)
# What curl or a browser adds, and the exporter sends of its own.
_DROPPED = frozenset(
    {"accept", "user-agent", "content-type", "accept-encoding", "connection", "content-length", "host"}
)
_WORDS_OF_HOSTS = frozenset(
    {"www", "api", "com", "org", "net", "io", "dev", "co", "app", "v1", "pro-api", "ai", "uk"}
)


@dataclass(frozen=True)
class Request:
    """config: the fields url, method, params, headers, body and auth of an api. secrets: values by variable."""

    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Request({self.name!r}, secrets {sorted(self.secrets)})"


class _Secrets:
    def __init__(self, prefix: str) -> None:
        self.prefix = re.sub(r"[^A-Z0-9]+", "_", prefix.upper()).strip("_") or "API"
        self.values: dict[str, str] = {}

    def put(self, what: str, value: str) -> dict[str, str]:
        own = re.sub(r"[^A-Z0-9]+", "_", what.upper()).strip("_")
        name = own if own.startswith(self.prefix) else f"{self.prefix}_{own}"
        if name[0].isdigit():
            name = f"API_{name}"
        while name in self.values and self.values[name] != value:
            name += "_2"
        self.values[name] = value
        return {"env": name}


def request_of(asked: Asked, name: str | None = None) -> Request:
    """The config's part that asks so."""
    parts = urlsplit(asked.url)
    name = name or name_of(parts.hostname or "api")
    secrets = _Secrets(name)
    config: dict[str, Any] = {"url": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()}
    user = asked.user or (f"{parts.username}:{parts.password or ''}" if parts.username else None)
    auth = _basic(unquote(user) if asked.user is None else user, secrets) if user else None
    headers: dict[str, Any] = {}
    for header, value in asked.headers.items():
        if header.lower() in _DROPPED:
            continue
        if auth is None and (found := _auth(header, value, secrets)):
            auth = found
        else:
            headers[header] = secrets.put(header, value) if _SECRET_NAME.search(header) else value
    params = {
        each: secrets.put(each, value) if _SECRET_NAME.search(each) else value for each, value in asked.params.items()
    }
    if asked.method != ("POST" if asked.body is not None else "GET"):
        config["method"] = asked.method
    rest = {"auth": auth, "params": params, "headers": headers, "body": asked.body}
    config |= {field: value for field, value in rest.items() if value}
    return Request(name, config, secrets.values)


def _auth(header: str, value: str, secrets: _Secrets) -> dict[str, Any] | None:
    kind, _, rest = value.partition(" ")
    if header.lower() == "authorization" and kind.lower() == "bearer" and rest:
        return {"type": "bearer", "token": secrets.put("TOKEN", rest.strip())}
    if _SECRET_NAME.search(header):
        return {"type": "header", "name": header, "value": secrets.put("KEY", value)}
    return None


def _basic(user: str, secrets: _Secrets) -> dict[str, Any]:
    name, _, password = user.partition(":")
    auth: dict[str, Any] = {"type": "basic", "username": secrets.put("USER", name)}
    if password:
        auth["password"] = secrets.put("PASSWORD", password)
    return auth


def name_of(host: str) -> str:
    """api.firecrawl.dev -> firecrawl"""
    words = [word for word in host.lower().split(".") if word not in _WORDS_OF_HOSTS]
    return words[-1] if words and not words[-1].isdigit() else "api"
