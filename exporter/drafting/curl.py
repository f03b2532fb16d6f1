"""A pasted curl command as a request: https://curl.se/docs/manpage.html. Pure.

No library for it is kept well; the shell's words are read by shlex and the options by argparse.
"""

import argparse
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

_QUOTED = re.compile(r"['\"].*", re.DOTALL)


class CurlError(ValueError):
    """The message says what of the command was not understood; it holds no value of it."""


@dataclass(frozen=True)
class Asked:
    """A request, as a person gave it. params, headers: by name; body: JSON; user: for HTTP basic."""

    url: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    user: str | None = None

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError:
            raise CurlError("the URL is none: a bracket of an IPv6 address is open, or the like") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CurlError("the URL must begin with https:// or http:// and a host")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse quotes values, and any of them may be a secret.
        raise CurlError(f"this curl command is not understood: {_QUOTED.sub('…', message)}")


def _parser() -> _Parser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument(
        "-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json", action="append", dest="data"
    )
    parser.add_argument("--data-urlencode", action="append", default=[])
    parser.add_argument("-u", "--user")
    parser.add_argument("--oauth2-bearer")
    parser.add_argument("-b", "--cookie", action="append", default=[])
    parser.add_argument("-A", "--user-agent")
    parser.add_argument("-G", "--get", action="store_true")
    parser.add_argument("-I", "--head", action="store_true")
    for flags in (
        ("-s", "--silent"), ("-S", "--show-error"), ("-L", "--location"), ("-k", "--insecure"), ("-v", "--verbose"),
        ("-i", "--include"), ("-f", "--fail"), ("--fail-with-body",), ("--compressed",), ("-g", "--globoff"),
        ("--http1.1",), ("--http2",), ("-N", "--no-buffer"), ("--basic",),
    ):  # fmt: skip
        parser.add_argument(*flags, action="store_true", dest="ignored")
    for flags in (
        ("-o", "--output"), ("-m", "--max-time"), ("--connect-timeout",), ("-w", "--write-out"), ("--retry",),
        ("-e", "--referer"), ("--cacert",), ("-x", "--proxy"),
    ):  # fmt: skip
        parser.add_argument(*flags, dest="ignored")
    return parser


def parse_curl(command: str) -> Asked:
    """The request that a curl command makes. Raises CurlError."""
    try:
        words = shlex.split(command.replace("\\\r\n", " ").replace("\\\n", " ").strip(), comments=False)
    except ValueError as error:
        raise CurlError(f"this is no whole command: {error}") from None
    if words and words[0] in ("$", "%", "#", ">"):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] not in ("curl", "curl.exe"):
        raise CurlError("a command that begins with curl is wanted")
    found, unknown = _parser().parse_known_intermixed_args(_apart(words[1:]))
    if unknown:
        # Only names: what follows may be a secret.
        options = ", ".join(word.partition("=")[0] for word in unknown if word.startswith("--")) or "a short option"
        raise CurlError(f"this curl command is not understood: {options} is not known here; leave it out")
    urls = [*found.url, *found.words]
    if len(urls) != 1:
        raise CurlError(f"one URL is wanted, and {len(urls)} are here")
    return _asked(urls[0], found)


def _apart(words: list[str]) -> list[str]:
    """-sSH 'X: y' -> -s -S -H 'X: y'; argparse reads a cluster of flags only where no value follows."""
    apart = []
    for word in words:
        letters = word[1:]
        flags = ""
        if word.startswith("-") and not word.startswith("--"):
            while letters and letters[0] in "sSLkvifgNGI" and len(letters) > 1:
                flags, letters = flags + letters[0], letters[1:]
        apart += [*(f"-{flag}" for flag in flags), f"-{letters}" if flags else word]
    return apart


def _asked(url: str, found: argparse.Namespace) -> Asked:
    headers = dict(map(_header, found.header))
    if found.cookie:
        if not all("=" in cookie for cookie in found.cookie):
            raise CurlError("the cookies stand in a file; put them into the command, as name=value")
        headers["Cookie"] = "; ".join(found.cookie)
    if found.oauth2_bearer:
        headers["Authorization"] = f"Bearer {found.oauth2_bearer}"
    address, params = _without_query(url if "://" in url else f"https://{url}")
    data = found.data or []
    if found.get:
        for pairs in [*data, *found.data_urlencode]:
            params |= dict(parse_qsl(pairs, keep_blank_values=True))
        data = []
    elif found.data_urlencode:
        raise CurlError("--data-urlencode without --get sends a form; only JSON can be sent")
    method = (found.request or ("HEAD" if found.head else "POST" if data else "GET")).upper()
    if method not in ("GET", "HEAD", "POST"):
        raise CurlError(f"{method} is no way to ask for usage: GET, HEAD or POST are")
    return Asked(address, method, params, headers, _body(data), found.user)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise CurlError("a header is wanted as 'Name: value'")
    return name.strip(), value.strip()


def _without_query(url: str) -> tuple[str, dict[str, str]]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, {}
    return parts._replace(query="", fragment="").geturl(), dict(parse_qsl(parts.query, keep_blank_values=True))


def _body(data: list[str]) -> Any:
    if not data:
        return None
    if data[0].startswith("@"):
        raise CurlError("the data stands in a file; put its text into the command")
    try:
        return json.loads("&".join(data))
    except ValueError:
        raise CurlError("the data is no JSON; only JSON can be sent") from None
