"""What a browser may do with our pages: load from here only, run nothing in a page, be framed nowhere.

https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from types import MappingProxyType

from flask import Response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",  # frame-ancestors, for browsers that do not know it
        "Referrer-Policy": "no-referrer",  # the URL names an organisation
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)


def secured(response: Response) -> Response:
    response.headers.extend(HEADERS)
    return response
