"""Rate-limit headers -> plain data, for vendors that report usage only beside their answers. Pure.

Read are the IETF draft (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/: RateLimit and
RateLimit-Policy, structured fields) and the older families `X-RateLimit-Limit`, `-Remaining`, `-Reset`, with or
without the X-, and with an ending that names the window or the unit, as in `X-RateLimit-Limit-Minute`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import http_sf

from exporter.config.fields import parse_duration
from exporter.errors import ResponseError
from exporter.periods import from_unix

_FAMILY = re.compile(r"(?:x-)?rate-?limit-(limit|remaining|reset)(?:-([a-z0-9-]+))?")
_WINDOWS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
# A reset from here on is a time, September 2001 or later; below it, seconds from now, of which it would be 31 years.
_UNIX_FROM = 1e9
# Of a family without an ending: what such headers count.
_DEFAULT_NAME = "requests"


def rate_limits(headers: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """{"limits": [...]}, each with name, limit, remaining, rate_limit_per_minute and period (null where absent).

    headers: by lower-case name. Raises ResponseError where there are none, or a structured field is malformed.
    """
    limits = [_limit(state, now) for state in _drafted(headers) or _families(headers)]
    if not limits:
        raise ResponseError("the answer has no RateLimit or X-RateLimit headers")
    return {"limits": limits}


@dataclass(frozen=True)
class _State:
    """One limit as headers give it. window: seconds; reset: seconds from now, or Unix time."""

    name: str
    limit: Any
    remaining: Any
    window: Any
    reset: Any


def _drafted(headers: Mapping[str, str]) -> list[_State]:
    policies = dict(_structured(headers, "ratelimit-policy"))
    states = []
    for name, state in _structured(headers, "ratelimit"):
        policy = policies.get(name, {})
        states.append(_State(name, policy.get("q"), state.get("r"), policy.get("w"), state.get("t")))
    return states


def _structured(headers: Mapping[str, str], field: str) -> list[tuple[str, dict[str, Any]]]:
    """The items of a list field with their parameters; [] where the header is absent or of an older draft."""
    text = headers.get(field, "")
    if not text.lstrip().startswith('"'):
        return []
    try:
        members: Any = http_sf.parse(text.encode("ascii"), tltype="list")
    except ValueError as error:
        raise ResponseError(f"the header {field} is malformed: {error}") from None
    return [(str(name), dict(parameters)) for name, parameters in members]


def _families(headers: Mapping[str, str]) -> list[_State]:
    numbers: dict[str, dict[str, float]] = {}
    for header, text in headers.items():
        match = _FAMILY.fullmatch(header)
        number = _number(text) if match else None
        if match and number is not None:
            numbers.setdefault(match.group(2) or _DEFAULT_NAME, {}).setdefault(match.group(1), number)
    return [
        _State(name, values["limit"], values.get("remaining"), _WINDOWS.get(name), values.get("reset"))
        for name, values in numbers.items()
        if "limit" in values
    ]


def _number(text: str) -> float | None:
    """The first number of `100, 100;w=60`; a duration such as 6m0s in seconds."""
    first = re.split(r"[,;]", text)[0].strip()
    try:
        return float(first) if re.fullmatch(r"\d+(\.\d+)?", first) else parse_duration(first)
    except ValueError:
        return None


def _limit(state: _State, now: datetime) -> dict[str, Any]:
    end = _reset_at(state.reset, now)
    known = end is not None and isinstance(state.window, int) and state.window > 0
    start = end - timedelta(seconds=state.window) if end is not None and known else None
    by_the_minute = isinstance(state.limit, int | float) and known and state.window <= _WINDOWS["minute"]
    return {
        "name": state.name,
        "limit": state.limit,
        "remaining": state.remaining,
        "rate_limit_per_minute": state.limit * 60 / state.window if by_the_minute else None,
        "period": start and end and {"start": start.isoformat(), "end": end.isoformat()},
        "resets_at": end and end.isoformat(),
    }


def _reset_at(reset: Any, now: datetime) -> datetime | None:
    """Seconds from now, or Unix time in seconds or milliseconds: vendors write all three."""
    if not isinstance(reset, int | float) or isinstance(reset, bool):
        return None
    if reset < _UNIX_FROM:
        return now + timedelta(seconds=float(reset))
    return from_unix(reset)
