"""Headers that tell limits, by the drafts and the families that are deployed, as vendors' documentation shows them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from exporter.errors import ResponseError
from exporter.model import ScopeUsage
from exporter.vendor.rate_limit_headers import rate_limits
from tests.support.asking import failure, read
from tests.support.clock import FakeClock
from tests.support.factories import make_target
from tests.support.http import Vendor


def scopes(tmp_path: Path, vendor: Vendor, sent: dict[str, str]) -> tuple[ScopeUsage, ...]:
    """What the preset makes of an answer with these headers, at 2026-11-22 12:00 UTC."""
    vendor.answer = lambda _: Response(status=204, headers=sent)
    found = read(make_target(tmp_path, preset="rate-limit-headers", url=f"{vendor.url}/x", method="HEAD")).scopes
    assert vendor.requests[0].method == "HEAD"
    return found


def shown(scope: ScopeUsage) -> tuple[Any, ...]:
    ends = scope.period and tuple(f"{end:%Y-%m-%dT%H:%M:%S}" for end in (scope.period.start, scope.period.end))
    return scope.name, scope.requests, scope.limit, scope.rate_limit_per_minute, ends


HALF_PAST = ("2026-11-22T11:30:00", "2026-11-22T12:30:00")
THIS_MINUTE = ("2026-11-22T11:59:30", "2026-11-22T12:00:30")
THIS_DAY = ("2026-11-22T00:00:00", "2026-11-23T00:00:00")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # Drafts 0 to 6.
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "99", "RateLimit-Reset": "30"}, [("requests", 1, 100, 100, THIS_MINUTE)]),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "99", "RateLimit-Reset": "30", "RateLimit-Policy": "100;w=60;burst=9, 5000;w=3600"}, [("requests", 1, 100, 100, THIS_MINUTE)]),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "99", "RateLimit-Reset": "5"}, [("requests", 1, 100, None, None)]),
        # Draft 7.
        ({"RateLimit": "limit=100, remaining=40, reset=30", "RateLimit-Policy": "100;w=60"}, [("requests", 60, 100, 100, THIS_MINUTE)]),
        ({"RateLimit": "limit=100, remaining=40"}, [("requests", 60, 100, None, None)]),
        # Drafts 8 to 11: a token or a string for a name, no t, t beyond w, several partitions.
        ({"RateLimit": '"default";r=50;t=1800', "RateLimit-Policy": '"default";q=100;w=3600'}, [("default", 50, 100, None, HALF_PAST)]),
        ({"RateLimit": "default;r=50;t=1800", "RateLimit-Policy": "default;q=100;w=3600"}, [("default", 50, 100, None, HALF_PAST)]),
        (
            {"RateLimit": '"burst";r=8;t=30, "day";r=900;t=43200', "RateLimit-Policy": '"burst";q=10;w=60,"day";q=1000;w=86400'},
            [("burst", 2, 10, 10, THIS_MINUTE), ("day", 100, 1000, None, THIS_DAY)],
        ),
        ({"RateLimit": '"permin";r=20', "RateLimit-Policy": '"permin";q=50;w=60,"perhr";q=1000;w=3600'}, [("permin", 30, 50, 50, None)]),
        ({"RateLimit": '"permin";r=20;t=90', "RateLimit-Policy": '"permin";q=50;w=60'}, [("permin", 30, 50, 50, None)]),
        ({"RateLimit": '"peruser";r=60;t=30;pk=:cHsdsRa894==:', "RateLimit-Policy": '"peruser";q=100;w=60;pk=:cHsdsRa894==:'}, [("peruser", 40, 100, 100, THIS_MINUTE)]),
        (
            {"RateLimit": '"user";r=60;pk=:YQ==:, "user";r=5;pk=:Yg==:', "RateLimit-Policy": '"user";q=100;w=60;pk=:YQ==:, "user";q=10;w=60;pk=:Yg==:'},
            [("user YQ==", 40, 100, 100, None), ("user Yg==", 5, 10, 10, None)],
        ),
        ({"RateLimit": '"a";r=8, "jobs";r=1', "RateLimit-Policy": '"a";q=10, "jobs";q=2;qu="concurrent-requests"'}, [("a", 2, 10, None, None)]),
        # GitHub, and others without a window.
        ({"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "56", "X-RateLimit-Reset": "1795356000"}, [("requests", 4, 60, None, None)]),
        ({"X-Rate-Limit-Limit": "1,000", "X-Rate-Limit-Remaining": "1,000", "X-Rate-Limit-Reset": "2026-11-22T12:00:30Z"}, [("requests", 0, 1000, None, None)]),
        # Kong sends the tightest limit again, with the reset that the others lack.
        (
            {
                "X-RateLimit-Limit-Minute": "20", "X-RateLimit-Remaining-Minute": "15", "X-RateLimit-Limit-Day": "1,000",
                "X-RateLimit-Remaining-Day": "900", "RateLimit-Limit": "20", "RateLimit-Remaining": "15", "RateLimit-Reset": "30",
            },
            [("minute", 5, 20, 20, THIS_MINUTE), ("day", 100, 1000, None, None)],
        ),
        ({"X-RateLimit-Limit-Videos-Month": "20", "X-RateLimit-Remaining-Videos-Month": "15"}, [("videos-month", 5, 20, None, None)]),
        # RapidAPI.
        (
            {"X-RateLimit-Requests-Limit": "500", "X-RateLimit-Requests-Remaining": "499", "X-RateLimit-Requests-Reset": "86000"},
            [("requests", 1, 500, None, None)],
        ),
        # Brave.
        (
            {"X-RateLimit-Limit": "1, 15000", "X-RateLimit-Policy": "1;w=1, 15000;w=86400", "X-RateLimit-Remaining": "0, 14000", "X-RateLimit-Reset": "1, 43200"},
            [("1s", 1, 1, 60, ("2026-11-22T12:00:00", "2026-11-22T12:00:01")), ("1d", 1000, 15000, None, THIS_DAY)],
        ),
        # Shopify.
        ({"X-Shopify-Shop-Api-Call-Limit": "39/40"}, [("requests", 39, 40, None, None)]),
    ],
)  # fmt: skip
def test_drafts_and_families(tmp_path: Path, vendor: Vendor, sent: dict[str, str], expected: list[Any]) -> None:
    assert [shown(scope) for scope in scopes(tmp_path, vendor, sent)] == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # OpenAI and Groq.
        (
            {
                "x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370", "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-limit-tokens": "18000", "x-ratelimit-remaining-tokens": "17997", "x-ratelimit-reset-tokens": "8.64s",
            },
            [("requests", "requests", 30, 14400), ("tokens", "tokens", 3, 18000)],
        ),
        # Anthropic.
        (
            {
                "anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49", "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:30Z",
                "anthropic-ratelimit-input-tokens-limit": "40000", "anthropic-ratelimit-input-tokens-remaining": "39000",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-22T12:00:30Z",
            },
            [("requests", "requests", 1, 50), ("input-tokens", "tokens", 1000, 40000)],
        ),
        (
            {"RateLimit": '"peruser";r=300;t=5', "RateLimit-Policy": '"peruser";q=65535;qu="content-bytes";w=10'},
            [("peruser", "content-bytes", 65235, 65535)],
        ),
    ],
)  # fmt: skip
def test_what_is_counted(tmp_path: Path, vendor: Vendor, sent: dict[str, str], expected: list[Any]) -> None:
    found = scopes(tmp_path, vendor, sent)
    assert sorted((scope.name, scope.unit, scope.requests, scope.limit) for scope in found) == sorted(expected)
    assert [scope.rate_limit_per_minute for scope in found] == [None] * len(found)


@pytest.mark.parametrize(
    ("reset", "resets_at"),
    [
        ("30", "2026-11-22T12:00:30"),
        ("1,000", "2026-11-22T12:16:40"),
        ("8.64s", "2026-11-22T12:00:08.640000"),
        ("6m0s", "2026-11-22T12:06:00"),
        ("1h2m3.5s", "2026-11-22T13:02:03.500000"),
        ("120ms", "2026-11-22T12:00:00.120000"),
        ("1795345200", "2026-11-22T11:00:00"),
        ("1795345200.5", "2026-11-22T11:00:00.500000"),
        ("1795345200000", "2026-11-22T11:00:00"),
        ("2026-11-22T13:00:00+01:00", "2026-11-22T12:00:00"),
        ("2026-11-22 12:00:00 UTC", "2026-11-22T12:00:00"),
        ("Sun, 22 Nov 2026 12:00:30 GMT", "2026-11-22T12:00:30"),
    ],
)
def test_resets(reset: str, resets_at: str) -> None:
    sent = {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "5", "x-ratelimit-reset": reset}
    (limit,) = rate_limits(sent, FakeClock().now())["limits"]
    assert limit["resets_at"] == f"{resets_at}+00:00"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "the answer has no RateLimit or X-RateLimit headers"),
        ({"RateLimit-Policy": '"a";q=5'}, "the answer has no RateLimit or X-RateLimit headers"),
        ({"RateLimit": '"a";;r=1'}, "the header ratelimit is malformed"),
        ({"RateLimit": '"a";r=1;t=5'}, "scope 'a': limit: expression 'limit' gave null"),
        ({"RateLimit": '"a";r=1.5'}, "the header ratelimit has r=\"1.5\", not an integer of 0 or more"),
        ({"RateLimit": "limit=5"}, 'the header ratelimit, "limit=5", needs limit and remaining'),
        ({"RateLimit": '"a";r=1;t=999999999999999'}, "the header ratelimit is out of range: 1e+15 seconds are more than 10 years"),
        (
            {"RateLimit": '"a";r=1', "RateLimit-Policy": '"a";q=5;w=999999999999999'},
            "the header ratelimit-policy is out of range: 1e+15 seconds are more than 10 years",
        ),
        ({"RateLimit": '"a";r=1', "RateLimit-Policy": '"a";q=5;qu="concurrent-requests"'}, "the headers limit only concurrent requests"),
        ({"X-RateLimit-Limit": "9" * 400, "X-RateLimit-Remaining": "1"}, "the header x-ratelimit-limit is \"9999"),
        ({"X-RateLimit-Limit": "none", "X-RateLimit-Remaining": "1"}, 'the header x-ratelimit-limit is "none", not a number of 0 or more'),
        ({"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "-1"}, 'the header x-ratelimit-remaining is "-1", not a number of 0 or more'),
        (
            {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "999999999999999999999"},
            "the header x-ratelimit-reset is out of range: 1e+21 is no Unix time",
        ),
        (
            {"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "9999-12-31T23:59:59Z"},
            "the header x-ratelimit-reset is out of range: 9999-12-31T23:59:59+00:00 is more than 10 years from now",
        ),
        ({"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "soon"}, 'the header x-ratelimit-reset is "soon", no number of'),
        ({"X-Shopify-Shop-Api-Call-Limit": "39"}, 'the header x-shopify-shop-api-call-limit is "39", not two numbers such as 39/40'),
    ],
)  # fmt: skip
def test_headers_that_do_not_fit(tmp_path: Path, vendor: Vendor, sent: dict[str, str], message: str) -> None:
    vendor.answer = lambda _: Response(status=204, headers=sent)
    error = failure(make_target(tmp_path, preset="rate-limit-headers", url=f"{vendor.url}/x"))
    assert error.reason == "response"
    assert str(error).startswith(message)


HEADERS = [
    "ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "x-ratelimit-limit",
    "x-ratelimit-policy", "x-ratelimit-remaining", "x-ratelimit-reset", "x-ratelimit-limit-day",
    "x-ratelimit-requests-limit", "x-ratelimit-remaining-day", "x-shopify-shop-api-call-limit",
]  # fmt: skip
VALUES = st.text() | st.text('0123456789,;=w" .-:/rtqhms', max_size=30) | st.integers(0).map(str)


@given(st.dictionaries(st.sampled_from(HEADERS), VALUES))
def test_any_headers_are_read_or_refused(sent: dict[str, str]) -> None:
    try:
        limits = rate_limits(sent, FakeClock().now())["limits"]
    except ResponseError:
        return
    assert limits
