"""What of a quota is certain, and what a person has to say. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from exporter.drafting.answer import Value, jmespath_of
from exporter.drafting.model import NothingFoundError, Option, Question
from exporter.drafting.places import OPTIONS_SHOWN
from exporter.drafting.quotas import Quota, rivals

# For the field limit: what is used and what is left, together.
SUM = "sum"
_FIELDS = ("requests", "limit", "remaining", "rate_limit")
_MEANING = {"requests": "what was used", "limit": "the limit", "remaining": "what is left"}


def settled(
    quota: Quota, others: Sequence[Quota], found: Sequence[Value], chosen: Mapping[str, str]
) -> tuple[Quota, tuple[Question, ...]]:
    """The quota as far as it was chosen, and what else it might be. others: all readings; found: all values."""
    if chosen.get("limit") == SUM and quota.used is not None and (quota.remaining or quota.whole_unclear):
        return replace(quota, limit=None, remaining=quota.remaining or quota.limit), ()
    if "limit" not in chosen and quota.whole_unclear:
        return _available(quota)
    if any(name in chosen for name in _FIELDS):
        return _chosen(quota, found, chosen), ()
    near = rivals(quota, others)
    return quota, tuple(question for name in _MEANING if (question := _question(name, quota, near)))


def _available(quota: Quota) -> tuple[Quota, tuple[Question, ...]]:
    """What is called available beside what was used: of Hunter it is the limit, of others what is left."""
    used, available = quota.used, quota.limit or quota.remaining
    assert used is not None  # noqa: S101 - whole_unclear
    assert available is not None  # noqa: S101
    path = jmespath_of(available.path)
    options = (
        Option(path, f"{path} is the limit: {used.value} of {available.value}"),
        Option(SUM, f"{path} is what is left of it: {used.value} and {available.value} more"),
    )
    question = Question("limit", f"Is {path} = {available.value} the limit, or what is left of it?", options)
    return replace(quota, remaining=None, limit=available), (question,)


def _chosen(quota: Quota, found: Sequence[Value], chosen: Mapping[str, str]) -> Quota:
    by_path = {jmespath_of(value.path): value for value in found}
    picked = {name: by_path.get(chosen[name]) for name in _FIELDS if name in chosen}
    for name, value in picked.items():
        if value is None and (name != "limit" or not _is_limit(chosen[name])):
            raise NothingFoundError(f"{name}: nothing stands at {chosen[name]!r}; {', '.join(list(by_path)[:20])} do")
    used = picked.get("requests", None if "remaining" in picked else quota.used)
    remaining = None if "requests" in picked else picked.get("remaining", quota.remaining)
    limit = picked.get("limit", quota.limit)
    return Quota(used, limit, remaining, picked.get("rate_limit", quota.rate), 1.0, "chosen")


def _is_limit(text: str) -> bool:
    try:
        limit_of(text)
    except NothingFoundError:
        return False
    return True


def limit_of(text: str) -> float | str:
    """A limit that a person gave. Raises NothingFoundError."""
    if text == "unlimited":
        return text
    try:
        number = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        raise NothingFoundError(f"limit: {text!r} is no number, not unlimited, and no place in the answer") from None
    return int(number) if number.is_integer() else number


def _question(name: str, quota: Quota, near: Sequence[Quota]) -> Question | None:
    own = _value(quota, name)
    options = {} if own is None else {jmespath_of(own.path): own}
    options |= {jmespath_of(value.path): value for each in near if (value := _value(each, name)) is not None}
    if len(options) < 2:  # noqa: PLR2004 - one is no choice
        return None
    listed = tuple(Option(path, f"{path} = {value.value!r}") for path, value in options.items())
    return Question(name, f"Which number is {_MEANING[name]}?", listed[:OPTIONS_SHOWN])


def _value(quota: Quota, name: str) -> Value | None:
    return {"requests": quota.used, "limit": quota.limit, "remaining": quota.remaining}[name]
