"""What is wrong in a config whose fields are right one by one: each problem with the path of the field to change."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from exporter.config import templates
from exporter.config.api import Api, ConfigFile, Override, Static
from exporter.config.expressions import Expression, within
from exporter.config.fields import check_json, format_duration
from exporter.config.mapping import DailyMapping, UsageMapping
from exporter.config.request import Paging, Request
from exporter.config.steps import threshold_checks
from exporter.config.tls import Tls
from exporter.config.yaml_document import FieldPath, suggestion
from exporter.model import MAIN_REQUEST

_DAY, _MINUTE = 86_400, 60
# As is the default of stale_after without a budget: one poll may fail, and the hot ones take some of the calls.
_STALE_INTERVALS = 3

Found = Iterator[tuple[FieldPath, str]]


def cross_checks(config: ConfigFile, written: Callable[[FieldPath], bool]) -> list[tuple[FieldPath, str]]:
    """Every problem, as (path, message); the path is relative to the file, as in ("apis", 0, "url").

    written: whether a field stands in the file itself. What a preset brings may be without meaning in one use of it.
    """
    problems = [*_api_names(config), *threshold_checks(config)]
    for index, api in enumerate(config.apis):
        checks = (
            _intervals(api, config.min_poll_interval),
            _budget(api),
            _organisations(api),
            _same_answer(api),
            _labels(api, config.organisation_labels),
            _bodies(api),
            _headers(api),
            _joins(api),
            _secrets(api),
            _counted_in_others(api),
        )
        problems += [(("apis", index, *path), message) for check in checks for path, message in check]
        unused = ((("apis", index, *path), message) for path, message in _meaningless_fields(api))
        problems += [(path, message) for path, message in unused if written(path)]
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


def _counted_in_others(api: Api) -> Found:
    counted = {override.name or scope: override.counted_in for scope, override in api.overrides.items()}
    for scope, override in api.overrides.items():
        within = override.counted_in
        if within is None:
            continue
        if within == (override.name or scope):
            yield ("overrides", scope, "counted_in"), "is the scope itself; name the one whose count holds this one's"
        elif counted.get(within) is not None:
            message = f"names {within!r}, which is counted in {counted[within]!r}: name that"
            yield ("overrides", scope, "counted_in"), message


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


def _bodies(api: Api) -> Found:
    for name, request in api.all_requests.items():
        where: FieldPath = () if name == MAIN_REQUEST else ("requests", name)
        for path, value in _leaves(("body",), request.body):
            problem = _body_problem(value, is_graphql=path == ("body", "query"))
            if problem:
                yield (*where, *path), problem


def _leaves(path: FieldPath, value: Any) -> Iterator[tuple[FieldPath, Any]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves((*path, name), member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _leaves((*path, index), member)
    else:
        yield path, value


def _body_problem(value: Any, *, is_graphql: bool) -> str | None:
    try:
        check_json(value)
        templates.check(str(value), is_graphql=is_graphql)
    except ValueError as error:
        return str(error)
    return None


def _headers(api: Api) -> Found:
    """Headers are one header whatever their case; the sign-in's own replaces one that is written."""
    auths = {"authorization" if auth.type != "header" else auth.name.lower() for auth in _auths(api)}
    for name, request in api.all_requests.items():
        where: FieldPath = ("headers",) if name == MAIN_REQUEST else ("requests", name, "headers")
        seen: set[str] = set()
        for header in request.headers:
            if header.lower() in seen:
                yield (*where, header), "is given twice: upper and lower case are the same in a header's name"
            if header.lower() in auths:
                yield (*where, header), "is what auth sends; leave one of them out"
            seen.add(header.lower())


def _auths(api: Api) -> Iterator[Any]:
    for organisation in api.organisations:
        auth = organisation.auth or api.auth
        if auth is not None:
            yield auth


# What stands on a whole answer, before there are scopes that other answers could have a part on.
_ON_WHOLE_ANSWERS = ("scopes", "error_when", "error_reason", "organisations", "organisation_id")


def _joins(api: Api) -> Found:
    mapping = api.mapping
    for name, join in mapping.joins.items():
        if join.by == "id" and mapping.id is None:
            yield ("mapping", "joins", name, "by"), "needs mapping.id: the id of the scope that name is compared with"
    for path, expression in _expressions(mapping):
        if expression.request is not None:
            problem = _join_problem(mapping, path, expression)
            if problem:
                yield ("mapping", *path, "request"), problem


def _join_problem(mapping: UsageMapping, path: FieldPath, expression: Expression) -> str | None:
    """Why an expression finds nothing in another request's answer; path: where it stands in the mapping."""
    request, field = expression.request, path[0]
    if field == "joins":
        return f"means nothing here: the join {path[1]} reads that request's own answer"
    if expression.header is not None:
        return None
    whole = within(f"answer('{request}')", expression.source)
    if field in _ON_WHOLE_ANSWERS:
        return f"has no part of that answer here; to read it whole, write {whole}"
    if path[:2] in (("daily", "date"), ("daily", "requests")):
        return f"has no part on a daily entry; to read that answer whole, write {whole}"
    if request not in mapping.joins:
        return (
            f"needs mapping.joins.{request}, which says where that answer has its part on a scope; "
            f"to read that answer whole, write {whole}"
        )
    found_by = {join.by for join in mapping.joins.values()}
    if field in found_by:
        return f"cannot be read from a join: joins find their parts by the scope's {field}"
    return None


def _expressions(mapping: UsageMapping) -> Iterator[tuple[FieldPath, Expression]]:
    """Every expression of a mapping, with its path in it."""
    return ((path, model) for path, model in _models((), mapping) if isinstance(model, Expression))


def _models(path: FieldPath, value: Any) -> Iterator[tuple[FieldPath, BaseModel]]:
    """Every model in a value, itself included, with the path of each."""
    if isinstance(value, BaseModel):
        yield path, value
        for name in sorted(value.model_fields_set):
            yield from _models((*path, name), getattr(value, name))
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _models((*path, name), member)
    elif isinstance(value, tuple):
        for index, member in enumerate(value):
            yield from _models((*path, index), member)


def _secrets(api: Api) -> Found:
    named = templates.secret_names(api.texts)
    lacking = False
    for position, organisation in enumerate(api.organisations):
        known = [*api.secrets, *organisation.secrets]
        for name in sorted(named - set(known)):
            wanted = f"give secrets.{name} here or under the api{suggestion(name, known)}"
            yield ("organisations", position), f"has no secret for {{secret_{name}}}: {wanted}"
            lacking = True
    if lacking:  # what is not used may be the one that is misspelt
        return
    for path, secrets in (
        (("secrets",), api.secrets),
        *((("organisations", index, "secrets"), one.secrets) for index, one in enumerate(api.organisations)),
    ):
        for name in secrets.keys() - named:
            yield (*path, name), _nothing_without(f"{{secret_{name}}} in url, params, headers or body")


def _nothing_without(needs: str) -> str:
    return f"means nothing here; it needs {needs}"


@dataclass(frozen=True)
class _Place:
    """Where a field stands. path: of the model that has it, in the api."""

    model: Any
    api: Api
    path: FieldPath

    @property
    def field_of_mapping(self) -> str:
        """The field of the mapping that an expression is, as in "period.end"."""
        return ".".join(map(str, self.path[1:]))


@dataclass(frozen=True)
class _Needs:
    """What a field needs to mean anything: in words, and whether it is so."""

    words: str
    met: Callable[[_Place], bool]


_PERIOD = ("period.start", "period.end", "period.ends_in", "period.anchor", "period.every")
_MAY_LACK = ("id", "plan", "unit", "limit", "rate_limit", "rejected", "daily.entries", *_PERIOD)


def _not_always_mapped(field: str) -> _Needs:
    def met(place: _Place) -> bool:
        expression = getattr(place.api.mapping, field)
        return expression is None or expression.optional

    return _Needs(f"mapping.{field} to be left out (null) or optional: it is used where the answer lacks it", met)


_HTTPS = _Needs(
    "an https:// url",
    lambda place: any(text.startswith("https://") for text in _urls(place.api)),
)

# By the model that has it, and its name: what a field needs that the model by itself need not have.
_NEEDS: dict[tuple[type[BaseModel], str], _Needs] = {
    (Api, "base_url"): _Needs(
        "a url that is only a path, such as /usage",
        lambda place: any(request.url.startswith("/") for request in place.api.all_requests.values()),
    ),
    (Api, "auth"): _Needs(
        "an organisation without auth of its own",
        lambda place: any(organisation.auth is None for organisation in place.api.organisations),
    ),
    (Api, "publish_drifted"): _Needs("a preset", lambda place: place.api.preset is not None),
    (Api, "missing_days"): _Needs("mapping.daily", lambda place: place.api.mapping.daily is not None),
    (Api, "cost_per_call"): _Needs("max_calls_per_day", lambda place: place.api.max_calls_per_day is not None),
    (Request, "method"): _Needs(
        "a request without body: a body is sent by POST",
        lambda place: place.model.body is None or place.model.method == "POST",
    ),
    (Request, "paging"): _Needs("read: body", lambda place: place.model.read == "body"),
    (Paging, "parameter"): _Needs(
        "by: cursor, by: page or by: offset", lambda place: place.model.by in ("cursor", "page", "offset")
    ),
    (Paging, "cursor"): _Needs("by: cursor", lambda place: place.model.by == "cursor"),
    (Paging, "next_url"): _Needs("by: url", lambda place: place.model.by == "url"),
    (Paging, "first_page"): _Needs("by: page", lambda place: place.model.by == "page"),
    (Paging, "more"): _Needs("by: page or by: offset", lambda place: place.model.by in ("page", "offset")),
    (Tls, "ca_file"): _HTTPS,
    (Tls, "cert_file"): _HTTPS,
    (Tls, "verify"): _HTTPS,
    (Static, "limit"): _not_always_mapped("limit"),
    (Static, "rate_limit_per_minute"): _not_always_mapped("rate_limit"),
    (Static, "unit"): _not_always_mapped("unit"),
    (Override, "period_length"): _Needs(
        "mapping.period.length, and no period beside it",
        lambda place: place.model.period is None and getattr(place.api.mapping.period, "length", None) is not None,
    ),
    (UsageMapping, "organisation_id"): _Needs("organisations", lambda place: place.model.organisations is not None),
    (UsageMapping, "rate_limit_window"): _Needs("rate_limit", lambda place: place.model.rate_limit is not None),
    (DailyMapping, "finer"): _Needs(
        "date, or an object keyed by date or time", lambda place: place.model.first_date is None
    ),
    (Expression, "optional"): _Needs(
        f"a field that may be unknown: {', '.join(_MAY_LACK)}",
        lambda place: place.field_of_mapping in _MAY_LACK,
    ),
}


def _meaningless_fields(api: Api) -> Found:
    """Fields that do nothing where they stand, since something else that they need is not there."""
    for path, model in _models((), api):
        for field in sorted(model.model_fields_set):
            kind = Request if isinstance(model, Request) and (Api, field) not in _NEEDS else type(model)
            needs = _NEEDS.get((kind, field))
            if needs and _says_something(model, field) and not needs.met(_Place(model, api, path)):
                yield (*path, field), _nothing_without(needs.words)
    yield from _unread(api)


def _says_something(model: BaseModel, field: str) -> bool:
    """null says nothing, nor false where that is the default; other defaults may be written for their sake."""
    value = getattr(model, field)
    return value is not None and (value is not False or type(model).model_fields[field].default is not False)


def _unread(api: Api) -> Found:
    """Requests and joins that no expression reads: each request is made at every poll, for nothing."""
    read = api.mapping.requests_named()
    joined = {expression.request for _, expression in _expressions(api.mapping) if expression.header is None}
    for name in api.requests.keys() - read - api.mapping.joins.keys():
        yield (
            ("requests", name),
            _nothing_without(f"an expression of the mapping that reads it, by answer('{name}') or request: {name}"),
        )
    for name in api.mapping.joins.keys() - joined:
        yield ("mapping", "joins", name), _nothing_without(f"an expression with request: {name} and a path")


def _urls(api: Api) -> Iterator[str]:
    yield api.base_url or ""
    yield from (request.url for request in api.all_requests.values())
    yield from (auth.token_url for auth in _auths(api) if auth.type == "oauth2")
