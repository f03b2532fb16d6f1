"""Options that do nothing where they stand, and joins that find nothing: refused, each with what it needs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporter.config.api import Api
from exporter.config.layers import merged
from exporter.config.preset import load_preset, preset_names
from tests.support.factories import load
from tests.support.refusals import URL, problem_of

MAPPING = {"scopes": "s", "name": "n", "requests": "r", "limit": "l"}
BEARER = {"type": "bearer", "token": "abcdef"}
LIMITS = {"requests": {"limits": {"url": "http://x/limits"}}}
JOINED = {"limit": {"request": "limits", "path": "quota"}}


def mapped(**fields: Any) -> dict[str, Any]:
    return {"mapping": {**MAPPING, **fields}}


@pytest.mark.parametrize(
    ("api", "field", "needs"),
    [
        ({"base_url": "http://x"}, "base_url", "a url that is only a path"),
        (
            {"auth": BEARER, "organisations": [{"id": "a", "auth": BEARER}]},
            "auth",
            "an organisation without auth of its own",
        ),
        ({"cost_per_call": 2}, "cost_per_call", "max_calls_per_day"),
        (mapped() | {"missing_days": "zero"}, "missing_days", "mapping.daily"),
        (mapped() | {"missing_days": "unknown"}, "missing_days", "mapping.daily"),
        ({"body": {"a": 1}, "method": "GET"}, "method", "a request without body: a body is sent by POST"),
        ({"body": {"a": 1}, "method": "HEAD", "read": "rate_limit_headers"}, "method", "a request without body"),
        ({"paging": {"by": "link"}, "read": "rate_limit_headers"}, "paging", "read: body"),
        ({"paging": {"by": "link", "parameter": "page"}}, "paging.parameter", "by: cursor, by: page or by: offset"),
        ({"paging": {"by": "link", "next_url": "next"}}, "paging.next_url", "by: url"),
        ({"paging": {"by": "page", "parameter": "p", "cursor": "next"}}, "paging.cursor", "by: cursor"),
        (
            {"paging": {"by": "cursor", "cursor": "c", "parameter": "p", "first_page": 0}},
            "paging.first_page",
            "by: page",
        ),
        ({"paging": {"by": "link", "more": "more"}}, "paging.more", "by: page"),
        ({"tls": {"verify": False}}, "tls.verify", "an https:// url"),
        (mapped() | {"static": {"limit": 5}}, "static.limit", "mapping.limit to be left out (null) or optional"),
        (
            {"static": {"unit": "calls"}, **mapped(unit="u")},
            "static.unit",
            "mapping.unit to be left out (null) or optional",
        ),
        (
            {"static": {"rate_limit_per_minute": 5}, **mapped(rate_limit="u")},
            "static.rate_limit_per_minute",
            "mapping.rate_limit to be left out",
        ),
        ({"overrides": {"Maps": {"period_length": "1h"}}}, "overrides.Maps.period_length", "mapping.period.length"),
        (mapped(organisation_id="id"), "mapping.organisation_id", "organisations"),
        (mapped(rate_limit_window="1s"), "mapping.rate_limit_window", "rate_limit"),
        (
            mapped(daily={"entries": "d", "first_date": "f", "finer": True}),
            "mapping.daily.finer",
            "date, or an object keyed by date or time",
        ),
        (
            mapped(name={"path": "n", "optional": True}),
            "mapping.name.optional",
            "a field that may be unknown: id, plan",
        ),
        (
            mapped(requests={"path": "n", "optional": True}),
            "mapping.requests.optional",
            "a field that may be unknown",
        ),
        (
            LIMITS,
            "requests.limits",
            "an expression of the mapping that reads it, by answer('limits') or request: limits",
        ),
        (
            LIMITS | mapped(joins={"limits": {"scopes": "@"}}),
            "mapping.joins.limits",
            "an expression with request: limits and a path",
        ),
    ],
)
def test_an_option_that_does_nothing_is_refused(tmp_path: Path, api: dict[str, Any], field: str, needs: str) -> None:
    line = problem_of(tmp_path, **api)
    assert line.startswith(f"apis[0].{field}: means nothing here; it needs {needs}"), line


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        (
            LIMITS | mapped(**JOINED),
            "mapping.limit.request: needs mapping.joins.limits, which says where that answer has its part on a scope; "
            "to read that answer whole, write answer('limits').",
        ),
        (
            LIMITS | mapped(scopes={"request": "limits", "path": "a"}, limit="answer('limits').l"),
            "mapping.scopes.request: has no part of that answer here; to read it whole, write answer('limits').a",
        ),
        (
            LIMITS
            | mapped(
                **JOINED, joins={"limits": {"scopes": "@"}}, daily={"entries": "d", "requests": JOINED["limit"]}
            ),
            "mapping.daily.requests.request: has no part on a daily entry; to read that answer whole, write ",
        ),
        (
            LIMITS | mapped(name={"request": "limits", "path": "n"}, joins={"limits": {"scopes": "@"}}),
            "mapping.name.request: cannot be read from a join: joins find their parts by the scope's name",
        ),
        (
            LIMITS | mapped(**JOINED, joins={"limits": {"scopes": {"request": "limits", "path": "@"}}}),
            "mapping.joins.limits.scopes.request: means nothing here: the join limits reads that request's own answer",
        ),
        (
            LIMITS | mapped(**JOINED, joins={"limits": {"scopes": "@", "by": "id"}}),
            "mapping.joins.limits.by: needs mapping.id: the id of the scope that name is compared with",
        ),
        (
            {"auth": BEARER, "headers": {"authorization": "x"}},
            "headers.authorization: is what auth sends; leave one of",
        ),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers.x-a: is given twice: upper and lower case are the same"),
        (
            {"url": "/usage", "base_url": "http://x/?key=1"},
            "base_url: must not hold a query (?…), which urls would come after; put it into params",
        ),
        ({"url": "http://x/usage#top"}, "url: must not hold a #: what comes after it is never sent; write %23"),
    ],
)
def test_what_would_never_find_or_send_anything_is_refused(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    line = problem_of(tmp_path, **api)
    assert line.startswith(f"apis[0].{problem}"), line


@pytest.mark.parametrize(
    "api",
    [
        LIMITS | mapped(**JOINED, joins={"limits": {"scopes": "@"}}),
        LIMITS | mapped(**JOINED, joins={"limits": {"scopes": "@", "by": "id"}}, id="id"),
        LIMITS | mapped(limit="answer('limits').quota"),
        mapped(limit={"path": "l", "optional": True}) | {"static": {"limit": 5}},
        mapped(name={"path": "n", "optional": False}),
        {"tls": {"verify": False}, "url": "https://x/"},
        {
            "tls": {"verify": False},
            "auth": {"type": "oauth2", "token_url": "https://x/", "client_id": "a", "client_secret": "b"},
        },
    ],
)
def test_what_means_something_passes(tmp_path: Path, api: dict[str, Any]) -> None:
    load(tmp_path / "config.yaml", {"url": URL, **api})


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_s_options_mean_something(tmp_path: Path, name: str) -> None:
    """All written out in the file itself, since what a preset brings may be without meaning in one use of it."""
    preset = load_preset(name)
    example = json.loads(re.sub(r'\{"env": "\w+"\}', '"x"', json.dumps(preset.example)))
    load(tmp_path / "config.yaml", {"url": URL, "preset": None, **merged(preset.api, example, Api)})


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"]
)
def test_authorities_that_are_no_certificates(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    line = problem_of(tmp_path, url="https://x/", tls={"ca_file": "ca.pem"})
    assert line == "apis[0].tls.ca_file: ca.pem holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"


def test_authorities_in_der(tmp_path: Path) -> None:
    import trustme  # noqa: PLC0415
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())
    (tmp_path / "ca.der").write_bytes(certificate.public_bytes(Encoding.DER))
    line = problem_of(tmp_path, url="https://x/", tls={"ca_file": "ca.der"})
    assert line.startswith("apis[0].tls.ca_file: ca.der holds no certificate in PEM")


def test_a_client_certificate_and_its_key(tmp_path: Path) -> None:
    import trustme  # noqa: PLC0415

    authority = trustme.CA()
    one, other = authority.issue_cert("a.example"), authority.issue_cert("b.example")
    one.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    one.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    url = "https://x/"
    load(tmp_path / "config.yaml", {"url": url, "tls": {"cert_file": "cert.pem", "key_file": "key.pem"}})
    line = problem_of(tmp_path, url=url, tls={"cert_file": "cert.pem", "key_file": "other.pem"})
    assert line == (
        "apis[0].tls: has a cert_file and a key_file that are not a certificate and its key in PEM, without passphrase"
    )
    line = problem_of(tmp_path, url=url, tls={"cert_file": "cert.pem"})
    assert (
        line == "apis[0].tls: has a cert_file that does not hold a certificate and its key in PEM, without passphrase"
    )
