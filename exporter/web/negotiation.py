"""Which exposition format a scraper gets (RFC 9110, section 12.5.1), and whether compressed."""

from werkzeug.datastructures import Accept, MIMEAccept
from werkzeug.http import parse_options_header

from exporter.exposition.bodies import OPENMETRICS, TEXT

_OFFERS = ((OPENMETRICS, "application/openmetrics-text", "1.0.0"), (TEXT, "text/plain", "0.0.4"))


def exposition_format(accept: MIMEAccept) -> str:
    """The content type to answer with: the best that is accepted in a version that we write, else TEXT."""
    quality = {content_type: _quality(accept, mimetype, version) for content_type, mimetype, version in _OFFERS}
    # OpenMetrics only for those who ask for it by name: on a tie (say */*) a person wants the plain text.
    return OPENMETRICS if quality[OPENMETRICS] > quality[TEXT] else TEXT


def _quality(accept: MIMEAccept, mimetype: str, version: str) -> float:
    """The quality of the most specific range that matches; 0 where none does."""
    best: tuple[int, float] = (-1, 0.0)
    for media_range, quality in accept:
        accepted, parameters = parse_options_header(media_range)
        if accepted == mimetype and parameters.get("version", version) == version:
            best = max(best, (2, quality))
        elif accepted in ("*/*", f"{mimetype.split('/', maxsplit=1)[0]}/*"):
            best = max(best, (0 if accepted == "*/*" else 1, quality))
    return best[1]


def wants_gzip(accept: Accept) -> bool:
    """Whether gzip is accepted; `gzip;q=0` forbids it, whatever `*` says."""
    return bool(accept.quality("gzip") > 0)
