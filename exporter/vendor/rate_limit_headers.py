"""Rate-limit headers -> plain data, for vendors that report usage only beside their answers. Pure.

Read are all IETF drafts (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/) and the older
families of _FAMILIES. A header that cannot be read, or whose number is out of range, is a ResponseError that names
it.
"""

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import http_sf
from dateutil.relativedelta import relativedelta

from exporter.config.fields import format_duration
from exporter.errors import ResponseError
from exporter.model import LARGEST_COUNT
from exporter.periods import LONGEST_PERIOD, from_unix, parse_time
from exporter.vendor.strict_json import shown

# By header: which part of a limit it is, and the limit's name (none: the only one, or that of the tightest window).
_FAMILIES = tuple(
    re.compile(pattern)
    for pattern in (
        # The drafts up to 6, GitHub; Kong (-limit-minute), OpenAI and Groq (-limit-tokens).
        r"(?:x-)?rate-?limit-(?P<part>limit|remaining|reset)(?:-(?P<name>[a-z0-9-]+))?",
        # RapidAPI (x-ratelimit-requests-limit), Anthropic.
        r"(?:x-|anthropic-)?rate-?limit-(?P<name>[a-z0-9-]+)-(?P<part>limit|remaining|reset)",
    )
)
# Shopify: 39/40 are made of 40.
_USED_OF_LIMIT = re.compile(r"(?:http-)?x-shopify-shop-api-call-limit")
_POLICIES = ("ratelimit-policy", "x-ratelimit-policy")

# The word at the end of a limit's name that is its window, and those that are what it counts.
_WINDOWS = {
    "second": relativedelta(seconds=1),
    "minute": relativedelta(minutes=1),
    "hour": relativedelta(hours=1),
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "year": relativedelta(years=1),
}
_UNITS = frozenset({"tokens", "credits", "bytes", "points", "characters", "images"})
_REQUESTS = "requests"
_CONCURRENT = "concurrent-requests"
_CONTENT_BYTES = "content-bytes"

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# As Go writes durations: 8.64s, 6m0s, 1h2m3s, 120ms.
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
# A reset from here on is a time, September 2001 or later; below it, seconds from now, of which it would be 31 years.
_UNIX_FROM = 1e9
_MINUTE = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rate_limits(headers: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """{"limits": [...]}, each with name, unit, limit, remaining, rate_limit_per_minute, period and resets_at.

    headers: by lower-case name. What is not known is null; a unit of null is requests, or what the vendor counts.
    Raises ResponseError where there are none, or one cannot be read.
    """
    limits = list(_named_policies(headers, now) or _one_of_draft_7(headers, now) or _families(headers, now))
    if not limits:
        raise ResponseError("the answer has no RateLimit or X-RateLimit headers")
    counted = [limit for limit in limits if limit.unit != _CONCURRENT]
    if not counted:
        raise ResponseError("the headers limit only concurrent requests, of which there is no count over time")
    return {"limits": [_plain(limit, now) for limit in counted]}


@dataclass(frozen=True)
class _Limit:
    """One limit as headers give it. resets_at: when, or None where no header says so."""

    name: str
    limit: float | None
    remaining: float | None
    window: relativedelta | None
    resets_at: datetime | None
    unit: str | None = None


# --- drafts 7 to 11: structured fields ------------------------------------------------------------------------------


def _named_policies(headers: Mapping[str, str], now: datetime) -> list[_Limit]:
    """From draft 8 on: `RateLimit: "name";r=50;t=30`, and `RateLimit-Policy: "name";q=100;w=60;qu="…";pk=:…:`.

    t is the effective window; where it is longer than the policy's own, it does not say when that one began.
    """
    states = [item for item in _list(headers, "ratelimit") if isinstance(item[0], str | http_sf.Token)]
    policies = _list(headers, "ratelimit-policy") if states else []
    names = Counter(str(name) for name, _ in states)
    limits = []
    for name, state in states:
        policy = _policy_of(str(name), state.get("pk"), policies)
        key = state.get("pk")
        suffix = f" {base64.b64encode(key).decode()}" if isinstance(key, bytes) and names[str(name)] > 1 else ""
        limits.append(
            _Limit(
                f"{name}{suffix}",
                _integer(policy.get("q"), "ratelimit-policy", "q"),
                _integer(state.get("r"), "ratelimit", "r"),
                _window(policy.get("w"), "ratelimit-policy"),
                _after(_integer(state.get("t"), "ratelimit", "t"), "ratelimit", now),
                str(policy["qu"]) if "qu" in policy else None,
            )
        )
    return limits


def _policy_of(name: str, key: Any, policies: list[tuple[Any, dict[str, Any]]]) -> dict[str, Any]:
    """The policy of a name, for the partition key where it has several."""
    named = [policy for policy_name, policy in policies if str(policy_name) == name]
    keyed = [policy for policy in named if policy.get("pk") == key]
    return (keyed or named or [{}])[0]


def _one_of_draft_7(headers: Mapping[str, str], now: datetime) -> list[_Limit]:
    """Draft 7: `RateLimit: limit=100, remaining=50, reset=30`, and `RateLimit-Policy: 100;w=60`."""
    text = headers.get("ratelimit", "")
    if "=" not in text:
        return []
    values = {name: value for name, (value, _) in _structured(text, "ratelimit", "dictionary").items()}
    limit = _integer(values.get("limit"), "ratelimit", "limit")
    remaining = _integer(values.get("remaining"), "ratelimit", "remaining")
    if limit is None or remaining is None:
        raise ResponseError(f"the header ratelimit, {shown(text)}, needs limit and remaining")
    resets_at = _after(_integer(values.get("reset"), "ratelimit", "reset"), "ratelimit", now)
    return [_Limit(_REQUESTS, limit, remaining, _window_of(limit, _windows(headers)), resets_at)]


def _list(headers: Mapping[str, str], field: str) -> list[tuple[Any, dict[str, Any]]]:
    """The items of a list with their parameters; [] where the header is absent or of draft 7."""
    text = headers.get(field, "")
    if not text.strip() or re.match(r"\s*[a-z]+\s*=", text):
        return []
    return [(item, dict(parameters)) for item, parameters in _structured(text, field, "list")]


def _structured(text: str, field: str, kind: str) -> Any:
    try:
        return http_sf.parse(text.encode("ascii"), tltype=kind)
    except ValueError as error:
        raise ResponseError(f"the header {field} is malformed: {error}") from None


def _integer(value: Any, field: str, parameter: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ResponseError(f"the header {field} has {parameter}={shown(value)}, not an integer of 0 or more")
    return float(value)


# --- older families -------------------------------------------------------------------------------------------------


def _families(headers: Mapping[str, str], now: datetime) -> list[_Limit]:
    """Drafts 0 to 6 and the families of vendors."""
    parts: dict[str, dict[str, str]] = {}
    # The standard's own before the X-, where a vendor sends both.
    for header in sorted(headers, key=lambda name: name.startswith("x-")):
        if _USED_OF_LIMIT.fullmatch(header):
            return [_shopify(header, headers[header])]
        match = next(filter(None, (family.fullmatch(header) for family in _FAMILIES)), None)
        if match:
            parts.setdefault(match["name"] or "", {}).setdefault(match["part"], header)
    windows = _windows(headers)
    limits = [
        limit
        for name, named in parts.items()
        if "limit" in named
        for limit in _limits_named(name, named, headers, windows, now)
    ]
    return _without_copies(limits)


def _limits_named(
    name: str,
    named: Mapping[str, str],
    headers: Mapping[str, str],
    windows: list[tuple[float, relativedelta]],
    now: datetime,
) -> Iterator[_Limit]:
    """One limit; or as many as there are values in each header, and policies: `X-RateLimit-Limit: 1, 15000`."""
    texts = {part: _values(headers[header]) for part, header in named.items()}
    counts = {len(values) for values in texts.values()} | {len(windows)}
    count = len(windows) if len(counts) == 1 else 1
    for place in range(count):
        limit = _count(texts["limit"][place], named["limit"])
        resets_at = _reset(texts["reset"][place], named["reset"], now) if "reset" in texts else None
        window, unit = _of_name(name)
        if window is None:
            window = _window_of(limit, windows) if count == 1 else windows[place][1]
        yield _Limit(
            name or (_REQUESTS if count == 1 else format_duration(_seconds(window) or 0)),
            limit,
            _count(texts["remaining"][place], named["remaining"]) if "remaining" in texts else None,
            window,
            resets_at,
            unit,
        )


def _values(text: str) -> list[str]:
    """The values of a header; one where commas are of thousands or a date, and without parameters: 100;w=60."""
    if re.fullmatch(_NUMBER, text.strip()) or re.match(r"\s*[A-Za-z]", text):
        return [text.strip()]
    return [value.split(";")[0].strip() for value in text.split(",")]


def _of_name(name: str) -> tuple[relativedelta | None, str | None]:
    """The window and the unit that a limit's name ends in: `minute`, `tokens-day`, `input-tokens`."""
    words = name.split("-")
    window = _WINDOWS.get(words[-1].removesuffix("s"))
    if window is None and words[-1].isdigit() and len(words[-1]) < 10:  # noqa: PLR2004 - seconds, at most 31 years
        window = relativedelta(seconds=int(words[-1]))
    rest = words[:-1] if window is not None else words
    return window, next((word for word in reversed(rest) if word in _UNITS), None)


def _windows(headers: Mapping[str, str]) -> list[tuple[float, relativedelta]]:
    """Quota and window of policies as before draft 8, `100;w=60, 1000;w=3600`; a limit's header may hold some."""
    found = []
    for field in (*_POLICIES, "ratelimit-limit", "x-ratelimit-limit"):
        for quota, parameters in re.findall(rf"({_NUMBER})((?:\s*;[^,;]*)+)", headers.get(field, "")):
            match = re.search(r";\s*w\s*=\s*(\d+)", parameters)
            window = _window(int(match[1]), field) if match else None
            if window is not None:
                found.append((_count(quota, field), window))
    return found


def _window_of(limit: float, windows: list[tuple[float, relativedelta]]) -> relativedelta | None:
    return next((window for quota, window in windows if quota == limit), None)


def _without_copies(limits: list[_Limit]) -> list[_Limit]:
    """Without the limit that has no name where it repeats one of a window, as Kong's does, which gets its reset."""
    plain = next((limit for limit in limits if limit.name == _REQUESTS and limit.window is None), None)
    for index, limit in enumerate(limits):
        same = plain is not None and (limit.limit, limit.remaining) == (plain.limit, plain.remaining)
        if plain is not None and same and limit is not plain and limit.window is not None:
            limits[index] = replace(limit, resets_at=limit.resets_at or plain.resets_at)
            return [kept for kept in limits if kept is not plain]
    return limits


def _shopify(header: str, text: str) -> _Limit:
    match = re.fullmatch(rf"\s*({_NUMBER})\s*/\s*({_NUMBER})\s*", text)
    if match is None:
        raise ResponseError(f"the header {header} is {shown(text)}, not two numbers such as 39/40")
    used, limit = (_count(number, header) for number in match.groups())
    return _Limit(_REQUESTS, limit, max(limit - used, 0.0), None, None)


# --- numbers and times ----------------------------------------------------------------------------------------------


def _count(text: str, header: str) -> float:
    """A number of 0 or more; commas of thousands are read over."""
    if not re.fullmatch(_NUMBER, text):
        raise ResponseError(f"the header {header} is {shown(text)}, not a number of 0 or more")
    number = float(text.replace(",", ""))
    if number > LARGEST_COUNT:
        raise ResponseError(f"the header {header} is {shown(text)}, too large to be a count")
    return number


def _reset(text: str, header: str, now: datetime) -> datetime | None:
    """Seconds from now, Unix time in seconds or milliseconds, a duration, an ISO time or an HTTP date."""
    if re.fullmatch(_NUMBER, text):
        number = float(text.replace(",", ""))
        return _after(number, header, now) if number < _UNIX_FROM else _near(_moment(number, header), header, now)
    parts = _DURATION_PART.findall(text)
    if parts and "".join(f"{number}{unit}" for number, unit in parts) == text:
        return _after(sum(float(number) * _SECONDS[unit] for number, unit in parts), header, now)
    moment = parse_time(text, UTC)
    if moment is None:
        raise ResponseError(f"the header {header} is {shown(text)}, no number of seconds, duration or time")
    return _near(moment.astimezone(UTC), header, now)


def _moment(unix: float, header: str) -> datetime:
    try:
        return from_unix(unix)
    except (ValueError, OverflowError, OSError):
        raise _out_of_range(header, f"{unix:g} is no Unix time") from None


def _near(moment: datetime, header: str, now: datetime) -> datetime:
    if abs(moment - now) > LONGEST_PERIOD:
        raise _out_of_range(header, f"{moment.isoformat()} is more than 10 years from now")
    return moment


def _after(seconds: float | None, header: str, now: datetime) -> datetime | None:
    if seconds is None:
        return None
    if seconds > LONGEST_PERIOD.total_seconds():
        raise _out_of_range(header, f"{seconds:g} seconds are more than 10 years")
    return now + timedelta(seconds=seconds)


def _window(seconds: Any, header: str) -> relativedelta | None:
    number = _integer(seconds, header, "w")
    if number is not None and number > LONGEST_PERIOD.total_seconds():
        raise _out_of_range(header, f"{number:g} seconds are more than 10 years")
    return relativedelta(seconds=int(number)) if number else None


def _out_of_range(header: str, why: str) -> ResponseError:
    return ResponseError(f"the header {header} is out of range: {why}")


def _seconds(window: relativedelta | None) -> float | None:
    """A window's length; None for months and years, which have several."""
    if window is None or window.months or window.years:
        return None
    return (_EPOCH + window - _EPOCH).total_seconds()


def _per_minute(limit: _Limit) -> float | None:
    """What is allowed in a minute, by a limit of a minute or less; bytes are no requests."""
    seconds = _seconds(limit.window)
    if limit.limit is None or seconds is None or seconds > _MINUTE or limit.unit == _CONTENT_BYTES:
        return None
    return limit.limit * _MINUTE / seconds


def _period(limit: _Limit, now: datetime) -> dict[str, str] | None:
    if limit.resets_at is None or limit.window is None:
        return None
    start = limit.resets_at - limit.window
    return {"start": start.isoformat(), "end": limit.resets_at.isoformat()} if start <= now else None


def _plain(limit: _Limit, now: datetime) -> dict[str, Any]:
    return {
        "name": limit.name,
        "unit": limit.unit,
        "limit": limit.limit,
        "remaining": limit.remaining,
        "rate_limit_per_minute": _per_minute(limit),
        "period": _period(limit, now),
        "resets_at": limit.resets_at and limit.resets_at.isoformat(),
    }
