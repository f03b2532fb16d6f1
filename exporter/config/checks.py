"""What is wrong in a config whose fields are right one by one: each problem with the path of the field to change."""

import math
from collections.abc import Iterator

from exporter.config.api import Api, ConfigFile
from exporter.config.fields import format_duration
from exporter.config.yaml_document import FieldPath, suggestion

_DAY, _MINUTE = 86_400, 60
# As is the default of stale_after without a budget: one poll may fail, and the hot ones take some of the calls.
_STALE_INTERVALS = 3

Found = Iterator[tuple[FieldPath, str]]


def cross_checks(config: ConfigFile) -> list[tuple[FieldPath, str]]:
    """Every problem, as (path, message); the path is relative to the file, as in ("apis", 0, "url")."""
    problems = list(_api_names(config))
    for index, api in enumerate(config.apis):
        found = (_intervals(api, config.min_poll_interval), _budget(api), _organisations(api), _same_answer(api))
        for check in found:
            problems += [(("apis", index, *path), message) for path, message in check]
        problems += [(("apis", index, *path), message) for path, message in _labels(api, config.organisation_labels)]
    return problems


def _api_names(config: ConfigFile) -> Found:
    seen: set[str] = set()
    for index, api in enumerate(config.apis):
        if api.name in seen:
            yield ("apis", index, "name"), f"the name {api.name!r} is used by an earlier api; names must differ"
        seen.add(api.name)


def _intervals(api: Api, least: float) -> Found:
    interval, stale = api.poll_interval, api.stale_after_seconds
    if interval < least:
        message = f"must be at least {format_duration(least)} (min_poll_interval), not {format_duration(interval)}"
        yield ("poll_interval",), message
    if stale < interval:
        yield ("stale_after",), f"must be at least poll_interval ({format_duration(interval)})"
    if api.drop_after is not None and api.drop_after < stale:
        yield ("drop_after",), f"must be at least stale_after ({format_duration(stale)})"


def _budget(api: Api) -> Found:
    """Whether the calls do for all organisations: if not, they would be stale, or never asked for."""
    if api.max_calls_per_day is None:
        return
    polls = len(api.organisations) if api.mapping.organisations is None else 1
    cost = polls * len(api.all_requests) * api.cost_per_call
    if api.max_calls_per_day < cost:
        message = f"must be at least {cost:g}, what it takes to ask for every organisation once"
        yield ("max_calls_per_day",), message
        return
    apart = _DAY * cost / api.max_calls_per_day
    least = _MINUTE * math.ceil(_STALE_INTERVALS * apart / _MINUTE)
    if apart > api.poll_interval and api.stale_after_seconds < least:
        yield (
            ("max_calls_per_day",),
            f"allows for a poll of every organisation each {format_duration(round(apart))} at best, so that "
            f"stale_after must be at least {format_duration(least)}, not "
            f"{format_duration(api.stale_after_seconds)}",
        )


def _organisations(api: Api) -> Found:
    ids: set[str] = set()
    names: set[str] = set()
    for position, organisation in enumerate(api.organisations):
        if organisation.id in ids:
            yield ("organisations", position, "id"), f"the id {organisation.id!r} is used by an earlier organisation"
        elif organisation.display_name in names:
            message = f"the name {organisation.display_name!r} is used by an earlier organisation"
            yield ("organisations", position, "name"), message
        ids.add(organisation.id)
        names.add(organisation.display_name)


def _same_answer(api: Api) -> Found:
    """Organisations that would be asked for by the very same requests would all show the same numbers."""
    alike = [organisation.display_name for organisation in api.organisations if organisation.auth is None]
    if api.mapping.organisations is None and len(alike) > 1 and not api.names_organisation():
        names = " and ".join(repr(name) for name in alike[:2])
        message = f"is the same for {names}: put {{organisation_id}} into it, or give each its own auth"
        yield ("url",), message


def _labels(api: Api, declared: tuple[str, ...]) -> Found:
    for position, organisation in enumerate(api.organisations):
        for label in organisation.labels:
            if label not in declared:
                path = ("organisations", position, "labels", label)
                yield path, f"is not declared in organisation_labels{suggestion(label, list(declared))}"
