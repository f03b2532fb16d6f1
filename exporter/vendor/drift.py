"""Whether an answer still has the shape of the documented ones, in what the mapping reads of it. Pure.

A field that goes, or changes its type, is often no error for a mapping: JMESPath reads null of it, and null may mean
unlimited; a sum leaves out what lacks the field. So what a preset expects is learnt once, by reading its documented
answers and looking which of their fields are read, and each answer is held against that before its numbers count.
Fields that nothing reads may come and go.
"""

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from exporter.config.api import Api
from exporter.config.expressions import Expression
from exporter.config.load import Target
from exporter.config.mapping import UsageMapping
from exporter.config.preset import DocumentedAnswer
from exporter.errors import ResponseError
from exporter.model import MAIN_REQUEST, Answer, Misfit, ScopeUsage, UsageSnapshot
from exporter.vendor.documented import answers_of, read
from exporter.vendor.reads import Reads, noting
from exporter.vendor.strict_json import shown

# Of an answer in which more fields than these drifted, nothing is known.
_MOST_FIELDS = 20
# Documented values kept of a field, to see what depends on it.
_SAMPLES = 3
# Apis with presets whose expectations are kept; a reload may bring others.
_MOST_KNOWN = 500

_NUMBER, _TEXT, _NUMERIC, _TRUTH, _NULL, _LIST, _OBJECT = (
    "a number",
    "a text",
    "a number in a text",
    "true or false",
    "null",
    "a list",
    "an object",
)
_NUMERAL = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_KINDS: dict[type, str] = {
    int: _NUMBER,
    float: _NUMBER,
    bool: _TRUTH,
    type(None): _NULL,
    list: _LIST,
    dict: _OBJECT,
}

Path = tuple[str | int, ...]
_EACH = "*"
_ABSENT = object()


@dataclass(frozen=True)
class Drift:
    """A place where an answer is no longer as it is documented.

    name: the field's path, with [] for each of a list and * for each of an object, as in `data.limits[].used`.
    met: what is there instead, in words that are the same for all values of a kind. message: one sentence that names
    the field, what was met and what is documented.
    """

    name: str
    met: str
    message: str
    part: "_Part" = field(repr=False)
    path: Path = field(repr=False)
    samples: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True)
class Place:
    """Where a request's answer is read; path () is the body itself.

    kinds: what is documented there, as `kind_of` says it. may_lack: whether it may be absent. is_map: whether it is
    an object that is gone through, so that its keys are names, not fields.
    """

    request: str
    path: Path
    kinds: frozenset[str]
    may_lack: bool
    is_map: bool


@dataclass
class _Expected:
    """What is documented of one place: kinds of values, and what is read of an object or a list.

    lacking: whether it may be absent. least: of its numbers. plain: types of which any value fits.
    """

    kinds: set[str] = field(default_factory=set)
    samples: list[Any] = field(default_factory=list)
    least: float = 0.0
    lacking: bool = False
    plain: frozenset[type] = frozenset()
    members: dict[str, "_Expected"] = field(default_factory=dict)
    each: "_Expected | None" = None

    def learn(self, value: Any, reads: Reads) -> None:
        self.kinds.add(kind_of(value))
        if len(self.samples) < _SAMPLES and value not in self.samples:
            self.samples.append(value)
        if _is_number(value):
            self.least = min(self.least, value)
        if isinstance(value, dict):
            for name, below in reads.members.items():
                if below.is_read:
                    self._learn_member(name, value, below)
        if reads.each is not None and isinstance(value, dict | list):
            self.each = self.each or _Expected()
            for one in value.values() if isinstance(value, dict) else value:
                self.each.learn(one, reads.each)

    def _learn_member(self, name: str, value: dict[str, Any], reads: Reads) -> None:
        member = self.members.setdefault(name, _Expected())
        if name in value:
            member.learn(value[name], reads)
        else:
            member.lacking = True

    def fits(self, value: Any) -> bool:
        """Whether `drifts` finds nothing: at every poll, so without a word on what and where."""
        kind = type(value)
        if kind in self.plain or not self.kinds:
            return True
        if kind is int or kind is float:
            return _NUMBER in self.kinds and bool(value >= self.least)
        if kind is dict and _OBJECT in self.kinds:
            for name, member in self.members.items():
                found = value.get(name, _ABSENT)
                if found is _ABSENT:
                    if not member.lacking:
                        return False
                elif type(found) not in member.plain and not member.fits(found):
                    return False
            return self.each is None or all(map(self.each.fits, value.values()))
        if kind is list and _LIST in self.kinds:
            return self.each is None or all(map(self.each.fits, value))
        return kind is str and kind_of(value) in self.kinds

    def settle(self) -> "_Expected":
        """Once all is learnt: find what needs no second look."""
        words = {str: _TEXT, bool: _TRUTH, type(None): _NULL}
        self.plain = frozenset(kind for kind, word in words.items() if word in self.kinds)
        for member in self.members.values():
            member.settle()
        if self.each is not None:
            self.each.settle()
        return self

    def drifts(self, value: Any, path: Path, pattern: str, part: "_Part") -> Iterator[Drift]:
        kind = kind_of(value)
        if not self.kinds:  # it is read, and no documented answer has it
            return
        if kind not in self.kinds and not (kind == _NUMERIC and _TEXT in self.kinds):
            yield self._drift(path, pattern, part, kind, f"is {_met(value, kind)}")
        elif kind == _NUMBER and value < self.least:
            what = f"is {shown(value)}, less than {self.least:g}"
            yield self._drift(path, pattern, part, f"less than {self.least:g}", what)
        elif kind == _OBJECT:
            yield from self._drifts_of_object(value, path, pattern, part)
        elif kind == _LIST and self.each is not None:
            for index, one in enumerate(value):
                yield from self.each.drifts(one, (*path, index), f"{pattern}[]", part)

    def _drifts_of_object(self, value: Mapping[str, Any], path: Path, pattern: str, part: "_Part") -> Iterator[Drift]:
        required = [name for name, member in self.members.items() if not member.lacking]
        # Of an object that has nothing of what it always has, what may be absent says nothing either.
        is_another = bool(required) and not any(name in value for name in required)
        for name, member in self.members.items():
            where = f"{pattern}.{name}" if pattern else name
            if name in value:
                yield from member.drifts(value[name], (*path, name), where, part)
            elif member.kinds and (not member.lacking or is_another):
                yield member._drift((*path, name), where, part, "missing", "is missing")
        if self.each is not None:
            where = f"{pattern}.{_EACH}" if pattern else _EACH
            for name, one in value.items():
                yield from self.each.drifts(one, (*path, name), where, part)

    def _drift(self, path: Path, pattern: str, part: "_Part", met: str, what: str) -> Drift:
        documented = " or ".join(sorted(self.kinds))
        where = f"{pattern or 'the answer'}{part.suffix}"
        return Drift(where, met, f"{where} {what}; documented is {documented}", part, path, tuple(self.samples))

    def places(self, value: Any, request: str, path: Path, *, may_lack: bool) -> Iterator["Place"]:
        if not self.kinds:
            return
        yield Place(request, path, frozenset(self.kinds), may_lack, self.each is not None and isinstance(value, dict))
        if isinstance(value, dict):
            for name, member in self.members.items():
                if name in value:
                    yield from member.places(value[name], request, (*path, name), may_lack=member.lacking)
        if self.each is not None and isinstance(value, dict | list):
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                yield from self.each.places(one, request, (*path, key), may_lack=True)

    def without_optional(self, required: "_Expected | None") -> "_Expected":
        """With every member that `required` does not have allowed to be absent or null; what is gone through once it
        is there stays as it is."""
        for name, member in self.members.items():
            other = None if required is None else required.members.get(name)
            if other is None:
                member.lacking = True
                member.kinds.add(_NULL)
            member.without_optional(other)
        if self.each is not None and required is not None and required.each is not None:
            self.each.without_optional(required.each)
        return self


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, str):
        return _NUMERIC if _is_numeric(value) else _TEXT
    return next((_KINDS[kind] for kind in type(value).__mro__ if kind in _KINDS), _OBJECT)


def _is_numeric(text: str) -> bool:
    return _NUMERAL.fullmatch(text) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _met(value: Any, kind: str) -> str:
    return kind if kind in (_NULL, _LIST, _OBJECT) else f"{kind}, {shown(value)}"


@dataclass(frozen=True)
class _Part:
    """A request's body, or its headers. suffix: what a field of it is called by beyond its path."""

    request: str
    is_body: bool

    @property
    def suffix(self) -> str:
        of = "" if self.request == MAIN_REQUEST else f" of request {self.request}"
        return of if self.is_body else f" header{of}"

    def of(self, answers: Mapping[str, Answer]) -> Any:
        answer = answers[self.request]
        return answer.body if self.is_body else answer.headers

    def with_value(self, answers: Mapping[str, Answer], value: Any) -> dict[str, Answer]:
        """The answers with another value of this part."""
        answer = answers[self.request]
        answer = replace(answer, body=value) if self.is_body else replace(answer, headers=value)
        return {**answers, self.request: answer}


class Expectation:
    """What an api's preset expects of each request's answer."""

    def __init__(self, documented: Iterable[DocumentedAnswer], api: Api) -> None:
        """documented: answers that usage can be read from. Those that the api's mapping does not fit do not count,
        since it is then another endpoint that is asked."""
        known = [(one, answers) for one in documented if (answers := _known(one, api)) is not None]
        required = _learnt(known, _without_optional(api))
        self._expected = {
            part: expected.without_optional(required[part]).settle() for part, expected in _learnt(known, api).items()
        }

    def places(self, answers: Mapping[str, Answer]) -> Iterator[Place]:
        """The places of the answers' bodies that are read."""
        for part, expected in self._expected.items():
            if part.is_body:
                yield from expected.places(part.of(answers), part.request, (), may_lack=False)

    def drifts(self, answers: Mapping[str, Answer]) -> tuple[Drift, ...]:
        """Where the answers differ from what is expected."""
        return tuple(
            drift
            for part, expected in self._expected.items()
            if not expected.fits(part.of(answers))
            for drift in expected.drifts(part.of(answers), (), "", part)
        )


def _known(documented: DocumentedAnswer, api: Api) -> dict[str, Answer] | None:
    answers = answers_of(documented, api)
    if answers is None:
        return None
    snapshot = read(answers, api, documented.organisation, documented.at)
    fits = isinstance(snapshot, UsageSnapshot) and not snapshot.misfits
    return answers if fits else None


def _learnt(known: Iterable[tuple[DocumentedAnswer, Mapping[str, Answer]]], api: Api) -> dict[_Part, _Expected]:
    known = list(known)
    # What limits from headers are made of is this project's own form, which cannot drift.
    parts = [
        _Part(name, is_body)
        for name, request in api.all_requests.items()
        for is_body in (True, False)
        if request.read == "body"
    ]
    reads = {part: Reads() for part in parts}
    for documented, answers in known:
        noted = dict(answers)
        for part in parts:
            noted = part.with_value(noted, noting(part.of(answers), reads[part]))
        read(noted, api, documented.organisation, documented.at)
    expected = {part: _Expected() for part in parts}
    for _, answers in known:
        for part in parts:
            expected[part].learn(part.of(answers), reads[part])
    return expected


def _without_optional(api: Api) -> Api:
    """The api without what the vendor need not report, to see what it must."""
    mapping = api.mapping
    left_out: dict[str, Any] = {
        name: None
        for name in UsageMapping.model_fields
        if isinstance(expression := getattr(mapping, name), Expression) and expression.optional
    }
    period, daily = mapping.period, mapping.daily
    if period is not None and any(one and one.optional for one in (period.start, period.end, period.ends_in)):
        left_out["period"] = None
    if daily is not None and daily.entries.optional:
        left_out["daily"] = None
    static = api.static
    if "limit" in left_out and static.limit is None:
        static = static.model_copy(update={"limit": "unlimited"})
    return api.model_copy(update={"mapping": mapping.model_copy(update=left_out), "static": static})


_known_expectations: dict[tuple[str, str], Expectation] = {}


def expectation(target: Target) -> Expectation | None:
    """What is expected of a target's answers; None where nothing is documented. Alike targets share one."""
    if not target.documentation.answers:
        return None
    key = (target.documentation.digest, target.terms_digest)
    known = _known_expectations.get(key)
    if known is None:
        if len(_known_expectations) >= _MOST_KNOWN:
            _known_expectations.clear()
        known = Expectation(target.documentation.good.values(), target.api)
        _known_expectations[key] = known
    return known


# What depends on a field that drifted.


def held_back(
    snapshot: UsageSnapshot,
    drifts: tuple[Drift, ...],
    answers: Mapping[str, Answer],
    *,
    api: Api,
    organisation: str,
    now: datetime,
) -> UsageSnapshot:
    """The snapshot without the scopes whose numbers depend on what drifted; each becomes a misfit.

    To see that, documented values are put where the answer drifted: a scope that comes out otherwise depends on them.
    Raises ResponseError where no scope is left.
    """
    by_field: dict[str, list[Drift]] = {}
    for drift in drifts:
        by_field.setdefault(drift.name, []).append(drift)
    if len(by_field) > _MOST_FIELDS:
        because = dict.fromkeys((scope.name for scope in snapshot.scopes), drifts[0])
    else:
        # Documented periods are past, so that none could be read of them. One that is read now is credible; but where
        # the config's stands in for it, it may be another.
        if not any(scope.period_configured for scope in snapshot.scopes):
            api = api.model_copy(update={"mapping": api.mapping.model_copy(update={"period": None})})
        because = _depending(snapshot, by_field.values(), answers, partial(_read, api, organisation, now))
    misfits = tuple(
        Misfit(f"scope {name!r}: {drift.message}", drift.part.of(answers)) for name, drift in because.items()
    )
    left = tuple(scope for scope in snapshot.scopes if scope.name not in because)
    if misfits and not left:
        raise ResponseError("; ".join(misfit.message for misfit in misfits[:3]), misfits=misfits)
    return replace(snapshot, scopes=left, misfits=(*snapshot.misfits, *misfits))


def _read(api: Api, organisation: str, now: datetime, answers: Mapping[str, Answer]) -> dict[str, ScopeUsage]:
    snapshot = read(answers, api, organisation, now)
    return {scope.name: scope for scope in snapshot.scopes} if isinstance(snapshot, UsageSnapshot) else {}


def _depending(
    snapshot: UsageSnapshot,
    fields: Iterable[list[Drift]],
    answers: Mapping[str, Answer],
    scopes_of: Callable[[Mapping[str, Answer]], dict[str, ScopeUsage]],
) -> dict[str, Drift]:
    """By the name of each scope that depends on one of the fields: where it drifted."""
    because: dict[str, Drift] = {}
    for places in fields:
        for sample in places[0].samples:
            others = scopes_of(_with(answers, places, sample))
            for scope in snapshot.scopes:
                if scope.name not in because and _differs(scope, others.get(scope.name)):
                    because[scope.name] = places[0]
    return because


def _differs(scope: ScopeUsage, other: ScopeUsage | None) -> bool:
    """Whether what is published of a scope would be another number; what is not published is no wrong one."""
    if other is None or (scope.requests, scope.limit) != (other.requests, other.limit):
        return True
    optional = (
        (scope.rate_limit_per_minute, other.rate_limit_per_minute),
        (scope.rejected, other.rejected),
        (scope.period if scope.period_configured else None, other.period),
        (scope.daily, other.daily),
    )
    return any(ours is not None and ours != theirs for ours, theirs in optional)


def _with(answers: Mapping[str, Answer], places: list[Drift], value: Any) -> dict[str, Answer]:
    """The answers with the value at the places of one field."""
    part = places[0].part
    body = copy.deepcopy(part.of(answers))
    for drift in places:
        if not drift.path:
            body = value
            continue
        holder = body
        for name in drift.path[:-1]:
            holder = holder[name]
        holder[drift.path[-1]] = value
    return part.with_value(answers, body)
