"""What is asked, as the config has it: secrets apart, never in the file. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from exporter.drafting.curl import Asked
from exporter.redaction import is_secret_when_sent

_SECRET_NAME = re.compile(r"key|token|secret|auth|password|passwd|credential|signature|session|cookie", re.IGNORECASE)
# A value that looks like a key, whatever its name: long, in one piece, of letters and digits, or longer still.
_LIKE_A_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*\d)(?!\d{4}-\d\d-\d\d)[A-Za-z0-9_\-.=+/~:|%]{16,}|[A-Za-z0-9]{24,}")
# What curl or a browser adds, and the exporter sends of its own.
_DROPPED = frozenset(
    [
        "accept",
        "accept-language",
        "accept-encoding",
        "user-agent",
        "content-type",
        "content-length",
        "connection",
        "host",
        "priority",
        "dnt",
        "cache-control",
        "pragma",
        "upgrade-insecure-requests",
    ]
)
_DROPPED_BEGIN = ("sec-ch-", "sec-fetch-", "sec-gpc")
_WORDS_OF_HOSTS = frozenset(
    {"www", "api", "com", "org", "net", "io", "dev", "co", "app", "v1", "pro-api", "ai", "uk"}
)


@dataclass(frozen=True)
class Request:
    """config: fields of an api: url, method, params, headers, body, auth, secrets. secrets: values by variable."""

    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Request({self.name!r}, secrets {sorted(self.secrets)})"


class _Secrets:
    def __init__(self, prefix: str) -> None:
        self.prefix = re.sub(r"[^A-Z0-9]+", "_", prefix.upper()).strip("_") or "API"
        self.values: dict[str, str] = {}
        # By the name that a placeholder has.
        self.placed: dict[str, dict[str, str]] = {}

    def put(self, what: str, value: str) -> dict[str, str]:
        own = re.sub(r"[^A-Z0-9]+", "_", what.upper()).strip("_")
        name = own if own.startswith(self.prefix) else f"{self.prefix}_{own}"
        if name[0].isdigit():
            name = f"API_{name}"
        while name in self.values and self.values[name] != value:
            name += "_2"
        self.values[name] = value
        return {"env": name}

    def place(self, what: str, value: str) -> str:
        """The placeholder that stands for it where a field cannot be a secret of its own."""
        source = self.put(what, value)
        name = source["env"].lower()
        self.placed[name] = source
        return f"{{secret_{name}}}"


def request_of(asked: Asked, name: str | None = None) -> Request:
    """The config's part that asks so."""
    parts = urlsplit(asked.url)
    name = name or name_of(parts.hostname or "api")
    secrets = _Secrets(name)
    path = "/".join(secrets.place("PATH", each) if _is_key(each) else each for each in parts.path.split("/"))
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()
    config: dict[str, Any] = {"url": f"{address}{path}"}
    user = asked.user or (f"{parts.username}:{parts.password or ''}" if parts.username else None)
    auth = _basic(unquote(user) if asked.user is None else user, secrets) if user else None
    headers: dict[str, Any] = {}
    for header, value in asked.headers.items():
        if header.lower() in _DROPPED or header.lower().startswith(_DROPPED_BEGIN):
            continue
        if auth is None and (found := _auth(header, value, secrets)):
            auth = found
        else:
            headers[header] = secrets.put(header, value) if _is_secret(header, value) else value
    params = {
        each: secrets.put(each, value) if _is_secret(each, value) else value for each, value in asked.params.items()
    }
    if asked.method != ("POST" if asked.body is not None else "GET"):
        config["method"] = asked.method
    body = _body("body", asked.body, secrets)
    rest = {"auth": auth, "params": params, "headers": headers, "body": body, "secrets": secrets.placed}
    config |= {field: value for field, value in rest.items() if value}
    return Request(name, config, secrets.values)


def _is_key(text: str) -> bool:
    return bool(_LIKE_A_KEY.fullmatch(text)) and "://" not in text


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(name)) or is_secret_when_sent(name) or _is_key(value)


def _body(name: str, part: Any, secrets: _Secrets) -> Any:
    """The body with placeholders in place of its secrets."""
    if isinstance(part, Mapping):
        return {each: _body(each, member, secrets) for each, member in part.items()}
    if isinstance(part, list):
        return [_body(name, member, secrets) for member in part]
    return secrets.place(name, part) if isinstance(part, str) and part and _is_secret(name, part) else part


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
