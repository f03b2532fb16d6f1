"""HTML as people see it."""

import html
import re


def seen(page: str) -> str:
    """Its texts, with single spaces."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))
