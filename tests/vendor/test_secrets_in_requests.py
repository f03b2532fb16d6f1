"""Secrets in a request's path, parameters, headers, body and user name, organisation by organisation."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.config.load import Target
from exporter.errors import AuthError
from exporter.vendor.client import VendorClient
from tests.support.asking import failure
from tests.support.factories import load
from tests.support.http import Vendor

ORGANISATIONS = [{"id": name, "secrets": {"key": f"secret/of {name}"}} for name in ("a", "b")]


def targets(tmp_path: Path, **api: Any) -> tuple[Target, ...]:
    return load(tmp_path / "config.yaml", {"organisations": ORGANISATIONS, **api}).targets


def asked(vendor: Vendor, tmp_path: Path, **api: Any) -> list[Request]:
    """What the vendor is asked for each of two organisations with a secret of their own."""
    vendor.answer = lambda _: Response("{}")
    for target in targets(tmp_path, **api):
        VendorClient(target, SystemClock()).fetch()
    return vendor.requests


def test_in_the_path(tmp_path: Path, vendor: Vendor) -> None:
    requests = asked(vendor, tmp_path, base_url=vendor.url, url="/v1/{secret_key}/usage")
    assert [request.environ["REQUEST_URI"] for request in requests] == [
        "/v1/secret%2Fof%20a/usage",
        "/v1/secret%2Fof%20b/usage",
    ]


def test_in_a_base_url(tmp_path: Path, vendor: Vendor) -> None:
    requests = asked(vendor, tmp_path, base_url=vendor.url + "/{secret_key}", url="/usage")
    assert [request.environ["REQUEST_URI"] for request in requests] == [
        "/secret%2Fof%20a/usage",
        "/secret%2Fof%20b/usage",
    ]


def test_in_parameters_and_headers(tmp_path: Path, vendor: Vendor) -> None:
    fields = {"params": {"appid": "{secret_key}", "n": 100}, "headers": {"X-Account": "id={secret_key}", "X-N": 2}}
    requests = asked(vendor, tmp_path, url=vendor.url, **fields)
    assert [request.args.to_dict() for request in requests] == [
        {"appid": "secret/of a", "n": "100"},
        {"appid": "secret/of b", "n": "100"},
    ]
    assert [request.headers["X-Account"] for request in requests] == ["id=secret/of a", "id=secret/of b"]
    assert requests[0].headers["X-N"] == "2"


def test_in_a_body(tmp_path: Path, vendor: Vendor) -> None:
    requests = asked(vendor, tmp_path, url=vendor.url, body={"key": "{secret_key}", "n": [1, 1.5]})
    assert [request.get_json() for request in requests] == [
        {"key": "secret/of a", "n": [1, 1.5]},
        {"key": "secret/of b", "n": [1, 1.5]},
    ]


def test_a_key_as_user_name(tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "KEY_OF_A", "sk_of_a")
    auths: list[dict[str, Any]] = [{"username": {"env": "KEY_OF_A"}}, {"username": "sk_of_b", "password": ""}]
    organisations = [
        {"id": name, "auth": {"type": "basic", **auth}} for name, auth in zip(("a", "b"), auths, strict=True)
    ]
    requests = asked(vendor, tmp_path, url=vendor.url, organisations=organisations)
    given = [request.authorization for request in requests]
    assert [(one.username, one.password) for one in given if one] == [("sk_of_a", ""), ("sk_of_b", "")]


def test_they_are_in_no_error(tmp_path: Path, vendor: Vendor) -> None:
    key = "s3cr3t-of-the-path"
    api: dict[str, Any] = {
        "url": vendor.url + "/{secret_key}",
        "params": {"appid": "{secret_key}"},
        "organisations": [{"id": "a", "secrets": {"key": key}}],
    }
    echo = json.dumps({"error": f"no account for {key}"})
    for response in (Response(echo), Response(status=302, headers={"Location": f"/{key}"}), Response("x", 500)):
        vendor.answer = lambda _, made=response: made  # type: ignore[misc]
        (target,) = targets(tmp_path, **api)
        assert key not in str(failure(target))
    (target,) = targets(tmp_path, **{**api, "url": "http://127.0.0.1:9/{secret_key}"})
    assert key not in str(failure(target))


def test_one_that_can_no_longer_be_read_is_a_failure_of_auth(tmp_path: Path, vendor: Vendor) -> None:
    file = tmp_path / "key"
    file.write_text("abcdef")
    organisations = [{"id": "a", "secrets": {"key": {"file": "key"}}}]
    (target,) = targets(tmp_path, url=vendor.url + "/{secret_key}", organisations=organisations)
    file.unlink()
    with pytest.raises(AuthError, match="cannot be used: cannot read .*: No such file or directory"):
        VendorClient(target, SystemClock()).fetch()
