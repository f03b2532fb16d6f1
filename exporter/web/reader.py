"""In whose time zone the page gives times: the reader's, which the page's script puts into a cookie."""

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import request

COOKIE = "zone"
_LONGEST = 64


def reader_zone(otherwise: ZoneInfo) -> ZoneInfo:
    """otherwise: the vendor's, where the reader's is not known."""
    return _zone(request.cookies.get(COOKIE, "")[: _LONGEST + 1]) or otherwise


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    if not name or len(name) > _LONGEST:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # or a path that leads elsewhere
        return None
