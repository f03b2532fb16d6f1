"""The Link header field, by RFC 8288 (https://www.rfc-editor.org/rfc/rfc8288.html, appendix B). Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A link's target, up to which nothing that is not one is skipped.
_TARGET = re.compile(r"[\s,]*<([^>]*)>")
# A parameter: its name, and its value as a token or a quoted string.
_PARAMETER = re.compile(r'\s*;\s*(?:([^\s;,="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?)?', re.DOTALL)
_NEXT_LINK = re.compile(r"\s*(?:,|$)")


@dataclass(frozen=True)
class Link:
    """target: a URL, maybe relative, as it is written. relations: in lower case. anchored: about another page."""

    target: str
    relations: frozenset[str]
    anchored: bool


def parse_links(text: str) -> tuple[Link, ...]:
    """The links of a field's value; several fields are one value, joined by commas. Raises ValueError."""
    return tuple(_links(text))


def _links(text: str) -> Iterator[Link]:
    position = 0
    while text[position:].strip(" \t,"):
        target = _TARGET.match(text, position)
        if target is None:
            raise ValueError(f"it has no <URL> at character {position + 1}")
        position = target.end()
        values: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, position):
            position = parameter.end()
            name, quoted, token = parameter.groups()
            if name:  # of several values the first counts (section 3.3)
                value = token or "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                values.setdefault(name.lower(), value)
        if not _NEXT_LINK.match(text, position):
            raise ValueError(f"it cannot be read from character {position + 1} on")
        yield Link(target.group(1).strip(), frozenset(values.get("rel", "").lower().split()), "anchor" in values)
