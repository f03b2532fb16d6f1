"""Answers of several pages: what to ask for next, and the pages put together. Pure."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from exporter.config.expressions import compile_jmespath
from exporter.config.functions import Context
from exporter.config.request import Paging
from exporter.errors import RequestError, ResponseError
from exporter.model import MAIN_REQUEST, Answer
from exporter.vendor.link_header import parse_links


@dataclass(frozen=True)
class Page:
    """One page. link: the Link header, "" without one; url: where the page came from."""

    number: int
    body: Any
    url: str
    link: str = ""


@dataclass(frozen=True)
class Step:
    """How to ask for the next page: at another url, or with a parameter."""

    url: str | None = None
    parameter: str | None = None
    value: str | int | float | None = None


def first_step(paging: Paging) -> Step | None:
    """How the first page is asked for; None: as any request is."""
    match paging.by:
        case "page":
            return Step(parameter=paging.parameter, value=paging.first_page)
        case "offset":
            return Step(parameter=paging.parameter, value=0)
        case _:
            return None


def next_step(paging: Paging, page: Page, count: int) -> Step | None:
    """What comes after a page; None after the last. count: of the items of all pages up to this one.

    Raises ResponseError or RequestError where it cannot go on.
    """
    match paging.by:
        case "link":
            link = _next_link(page)
            return Step(url=_same_origin(page, link)) if link is not None else None
        case "url":
            url = _search(paging.next_url or "", page)
            if url in (None, "", False):
                return None
            if not isinstance(url, str):
                raise ResponseError(f"paging: the URL {paging.next_url!r} on page {page.number} is no text")
            return Step(url=_same_origin(page, url))
        case "offset":
            more = count_items(page, paging.items) if paging.more is None else _search(paging.more, page)
            return Step(parameter=paging.parameter, value=count) if more else None
        case "cursor":
            cursor = _search(paging.cursor or "", page)
            if cursor in (None, "", False):
                return None
            if isinstance(cursor, bool) or not isinstance(cursor, str | int | float):
                raise ResponseError(
                    f"paging: the cursor {paging.cursor!r} on page {page.number} is no text or number"
                )
            return Step(parameter=paging.parameter, value=cursor)
        case "page":
            more = _items(page, paging.items) if paging.more is None else _search(paging.more, page)
            return Step(parameter=paging.parameter, value=paging.first_page + page.number) if more else None


def together(pages: list[Page], items: str) -> Any:
    """The first page, with the items of all pages in place of its own.

    items: the path of the list or object that the pages share, `@` for the whole. Raises ResponseError where a page
    has no such thing, or two pages hold the same key.
    """
    whole = _items(pages[0], items)
    for page in pages[1:]:
        part = _items(page, items)
        if isinstance(whole, list) and isinstance(part, list):
            whole = [*whole, *part]
        elif isinstance(whole, dict) and isinstance(part, dict) and not whole.keys() & part.keys():
            whole = {**whole, **part}
        else:
            raise ResponseError(f"paging: {items!r} of page {page.number} does not go on from the pages before")
    return _replaced(pages[0].body, [] if items == "@" else items.split("."), whole)


def count_items(page: Page, items: str) -> int:
    """How many items a page has, by the path of their list or object. Raises ResponseError where it has neither."""
    return len(_items(page, items))


def _items(page: Page, items: str) -> Any:
    found = page.body
    for name in [] if items == "@" else items.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, list | dict):
        raise ResponseError(f"paging: page {page.number} has no list or object at {items!r}")
    return found


def _replaced(body: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    return {**body, path[0]: _replaced(body[path[0]], path[1:], value)}


def _search(expression: str, page: Page) -> Any:
    try:
        return compile_jmespath(expression).search(page.body, Context({MAIN_REQUEST: Answer(page.body)}))
    except ValueError as error:
        raise ResponseError(f"paging: {expression!r} cannot be applied to page {page.number}: {error}") from None


def _next_link(page: Page) -> str | None:
    try:
        links = parse_links(page.link)
    except ValueError as error:
        raise ResponseError(f"paging: the Link header of page {page.number} is malformed: {error}") from None
    return next((link.target for link in links if "next" in link.relations and not link.anchored), None)


def _same_origin(page: Page, link: str) -> str:
    """The next page's URL; at another origin it would be handed our credentials."""
    try:
        url = urljoin(page.url, link)
        same = _origin(url) == _origin(page.url)
    except ValueError:
        raise ResponseError(f"paging: the link to the page after page {page.number} is no URL") from None
    if not same:
        raise RequestError(f"paging: the page after page {page.number} is at another host, {urlsplit(url).netloc}")
    return url


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454); http://a and http://A:80 are one."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("a page is never at a URL with somebody's credentials")
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
