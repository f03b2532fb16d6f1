"""Which numbers of a part belong together: used of a limit, what remains of it, its rate limit. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isclose, sqrt

from exporter.drafting.answer import Value
from exporter.drafting.vocabulary import LIMITS, OF_TIME, SECOND, UNITS, Role, snake, words

# What is less sure is not taken for a quota.
_LEAST = 0.35
# Another reading this near to the best one is worth a question.
RIVAL = 0.88
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Quota:
    """One allowance. sure: 0 to 1, for comparing readings. why: the evidence, for people.

    limit None: none is reported. used None: remaining says it.
    """

    used: Value | None
    limit: Value | None
    remaining: Value | None = None
    rate: Value | None = None
    sure: float = 0.0
    why: str = ""

    @property
    def values(self) -> tuple[Value, ...]:
        return tuple(each for each in (self.used, self.limit, self.remaining) if each is not None)

    @property
    def adds_up(self) -> bool:
        return _adds_up(self.used, self.remaining, self.limit)

    @property
    def whole_unclear(self) -> bool:
        """Whether what is called available, beside what was used, is what is left or the limit."""
        whole = self.remaining if self.limit is None else self.limit if self.remaining is None else None
        return self.used is not None and whole is not None and {Role.LIMIT, Role.REMAINING} <= whole.roles.keys()

    @property
    def per_second(self) -> bool:
        return self.rate is not None and SECOND.search(snake(self.rate.path[-1])) is not None

    @property
    def unit(self) -> str:
        found = [word for value in self.values for word in words(value.path[-1]) if word in UNITS | OF_TIME]
        return next((word for word in found if word.endswith("s")), f"{found[0]}s" if found else "requests")


def quotas(found: Sequence[Value]) -> list[Quota]:
    """The quotas of a part, surest first, no value in two of them."""
    return _apart(_rated(candidates(found), found))


def candidates(found: Sequence[Value]) -> list[Quota]:
    """Every reading that is sure enough, surest first; they may share values."""
    by_role = {role: [value for value in found if role in value.roles] for role in Role}
    pairs = [
        *_pairs(by_role[Role.USED], by_role[Role.LIMIT], Role.USED),
        *_pairs(by_role[Role.REMAINING], by_role[Role.LIMIT], Role.REMAINING),
    ]
    whole = [_completed(_doubted(quota, by_role[Role.REMAINING]), by_role) for quota in pairs]
    whole += _without_limit(by_role)
    return sorted(_distinct(whole), key=lambda quota: -quota.sure)


def _pairs(counts: Iterable[Value], limits: Iterable[Value], role: Role) -> Iterable[Quota]:
    for count, limit in product(counts, limits):
        if count == limit or count.number is None or count.number < 0:
            continue
        sure = count.roles[role] * limit.roles[Role.LIMIT] * _near(count, limit) * _fit(count, limit, role)
        if sure >= _LEAST:
            why = f"{count.path[-1]} {'of' if role is Role.USED else 'left of'} {limit.path[-1]}"
            yield (
                Quota(count, limit, sure=sure, why=why)
                if role is Role.USED
                else Quota(None, limit, count, sure=sure, why=why)
            )


def _near(one: Value, other: Value) -> float:
    """By where they stand and what they count."""
    shared = 0
    for left, right in zip(one.path[:-1], other.path[:-1], strict=False):
        if left != right:
            break
        shared += 1
    apart = len(one.path) + len(other.path) - 2 - 2 * shared
    place = (1.0, 0.9, 0.85, 0.7, 0.65)[min(apart, 4)]
    if one.subject and other.subject:
        alike = len(one.subject & other.subject) / len(one.subject | other.subject)
        counted = 0.25 + 0.75 * sqrt(alike)
    else:
        counted = 0.95
    if one.window and other.window and one.window != other.window:
        counted *= 0.3
    elif bool(one.window) != bool(other.window):
        # Most quotas are of a month, said or not; an hour's is something else.
        # In an object of their own they belong together all the same.
        of_one = len(one.path) > 1 and apart == 0
        counted *= 0.97 if of_one or {one.window, other.window} == {None, "month"} else 0.6
    return place * counted


def _fit(count: Value, limit: Value, role: Role) -> float:
    most = limit.number
    if most is None or limit.says_unlimited:
        # null and -1 say little where the name does not.
        return 0.8 if role is Role.USED else 0.4
    number = count.number or 0.0
    if role is Role.REMAINING:
        return 1.0 if number <= most else 0.1
    return 1.0 if number <= most else 0.75 if number <= 2 * most or most == 0 else 0.5


def _doubted(quota: Quota, remaining: Sequence[Value]) -> Quota:
    """A limit by a name such as purchased, under which more is left than it has, is a part of one."""
    used, limit = quota.used, quota.limit
    if used is None or limit is None or limit.number is None or limit.says_unlimited or LIMITS & set(_name(limit)):
        return quota
    beside = [
        value.number or 0
        for value in remaining
        if value not in quota.values and value.path[:-1] == limit.path[:-1] and value.subject & limit.subject
    ]
    return replace(quota, sure=0.5 * quota.sure) if any(number > limit.number for number in beside) else quota


def _name(value: Value) -> tuple[str, ...]:
    return words(value.path[-1])


def _completed(quota: Quota, by_role: dict[Role, list[Value]]) -> Quota:
    """With the third number, where the sum says that it belongs here: then there is little doubt."""
    missing = Role.REMAINING if quota.remaining is None else Role.USED
    fits = []
    for value in by_role[missing]:
        if value in quota.values:
            continue
        whole = replace(quota, remaining=value) if missing is Role.REMAINING else replace(quota, used=value)
        # 0 used and all left adds up by chance as well.
        windowed = quota.sure >= 0.5 or value.window == quota.values[-1].window  # noqa: PLR2004
        if whole.adds_up and windowed and (value.number or _near(value, quota.values[0]) > 0.6):  # noqa: PLR2004
            fits.append(whole)
    if len(fits) != 1:
        return quota
    found = fits[0]
    return replace(
        found, sure=max(0.9, min(1.0, quota.sure * 1.3)), why=f"{found.why}; used and left add up to the limit"
    )


def _without_limit(by_role: dict[Role, list[Value]]) -> Iterable[Quota]:
    """Used and left of one thing: the limit is their sum. And a number used alone."""
    for used, remaining in product(by_role[Role.USED], by_role[Role.REMAINING]):
        if used == remaining or used.number is None or remaining.number is None:
            continue
        sure = 0.8 * used.roles[Role.USED] * remaining.roles[Role.REMAINING] * _near(used, remaining)
        if used.window != remaining.window:
            sure *= 0.5
        if sure >= _LEAST:
            yield Quota(
                used, None, remaining, sure=sure, why=f"{used.path[-1]} and {remaining.path[-1]} are its parts"
            )
    for used in by_role[Role.USED]:
        if used.number is not None and used.number >= 0:
            yield Quota(
                used, None, sure=0.3 * used.roles[Role.USED], why=f"{used.path[-1]}; no limit stands beside it"
            )
    for remaining in by_role[Role.REMAINING]:
        if remaining.number is not None and remaining.number >= 0:
            why = f"{remaining.path[-1]}; no limit stands beside it"
            yield Quota(None, None, remaining, sure=0.25 * remaining.roles[Role.REMAINING], why=why)


def _adds_up(used: Value | None, remaining: Value | None, limit: Value | None) -> bool:
    numbers = [value.number for value in (used, remaining, limit) if value is not None]
    if len(numbers) != 3 or None in numbers:  # noqa: PLR2004 - all three
        return False
    first, second, total = (number or 0.0 for number in numbers)
    return total > 0 and isclose(first + second, total, rel_tol=_TOLERANCE)


def _distinct(found: Iterable[Quota]) -> list[Quota]:
    best: dict[tuple[Value | None, ...], Quota] = {}
    for quota in found:
        key = (quota.used, quota.limit, quota.remaining)
        if key not in best or best[key].sure < quota.sure:
            best[key] = quota
    return list(best.values())


def _apart(found: Iterable[Quota]) -> list[Quota]:
    taken: list[Quota] = []
    spent: set[tuple[str, ...]] = set()
    for quota in found:
        paths = {value.path for value in quota.values}
        if not paths & spent:
            taken.append(quota)
            spent |= paths
    limited = [quota for quota in taken if quota.limit is not None or None not in (quota.used, quota.remaining)]
    # Beside quotas that have a limit, a count without one is a detail.
    return limited or taken


def _rated(found: Iterable[Quota], all_values: Sequence[Value]) -> list[Quota]:
    rates = [value for value in all_values if Role.RATE in value.roles and (value.number or 0) > 0]
    return [replace(quota, rate=rates[0]) if len(rates) == 1 else quota for quota in found]


def rivals(chosen: Quota, among: Iterable[Quota]) -> list[Quota]:
    """Other readings of the same allowance that are nearly as sure: which of them holds is a person's to say."""
    if chosen.adds_up:
        return []
    paths = {value.path for value in chosen.values}
    return [
        quota
        for quota in among
        if quota.sure >= RIVAL * chosen.sure
        and {value.path for value in quota.values} & paths
        and not {value.path for value in quota.values} <= paths
    ]
