"""The present usage as JSON (/api/v1/usage): all that the cards show, with names that need no PromQL.

The document is documented in docs/usage-page.md; its fields are those of exporter.view.cards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from exporter.state.store import OrganisationState
from exporter.view.cards import OrganisationCards, organisation_cards

VERSION: Literal[1] = 1


@dataclass(frozen=True)
class UsageDocument:
    """time: as of when; ages and staleness count from here.

    version: of the document's form. A new field leaves it; one that goes, or means something else, raises it.
    """

    time: datetime
    organisations: tuple[OrganisationCards, ...]
    version: Literal[1] = VERSION


_ADAPTER = TypeAdapter(UsageDocument)


def selected(
    states: Iterable[OrganisationState], apis: Sequence[str], organisations: Sequence[str]
) -> list[OrganisationState]:
    """The states of these apis and organisations (names or ids); nothing named is all."""
    return [state for state in states if _is_among(state, apis, organisations)]


def _is_among(state: OrganisationState, apis: Sequence[str], organisations: Sequence[str]) -> bool:
    organisation = state.target.organisation
    return (not apis or state.target.api.name in apis) and (
        not organisations or organisation.display_name in organisations or organisation.id in organisations
    )


def usage_document(states: Iterable[OrganisationState], now: datetime) -> UsageDocument:
    return UsageDocument(now, tuple(organisation_cards(state, now) for state in states))


def to_json(document: UsageDocument, *, indent: int | None = None) -> bytes:
    """Times are ISO 8601 in UTC."""
    return _ADAPTER.dump_json(document, indent=indent)


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what to_json writes."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return head | _ADAPTER.json_schema(mode="serialization") | {"title": "The present usage of API allowances"}


def from_json(body: bytes) -> UsageDocument:
    """Read a document back; fields of a newer exporter are ignored. Raises ValueError that names what is wrong."""
    try:
        return _ADAPTER.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None
