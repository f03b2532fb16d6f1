"""HTML as people see it."""

import html
import re


def texts(page: str) -> str:
    """What stands between its tags, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def seen(page: str) -> str:
    """The same, without escapes."""
    return html.unescape(texts(page))
