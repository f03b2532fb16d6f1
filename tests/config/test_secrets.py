"""Secrets: files that would hang, keys as user names, and an organisation's own in url, params and headers."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from exporter.config.load import load_config
from tests.support.factories import make_target, write_config
from tests.support.refusals import URL, problem_of, refused


def within(seconds: float, file: Path) -> list[str]:
    """The problems of a file; fails where the check hangs."""
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(refused(file)), daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "the check hangs"
    return found[0]


def test_a_fifo_does_not_hang_the_check(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    api: dict[str, Any] = {
        "url": "https://x/",
        "auth": {"type": "bearer", "token": {"file": "fifo"}},
        "tls": {"ca_file": "fifo"},
    }
    lines = within(10, write_config(tmp_path / "config.yaml", api))
    words = "cannot read fifo: it is not a regular file, and it is read again and again"
    assert [line.split(": ", 1)[1] for line in lines] == [
        f"apis[0].auth.token.file: {words}",
        f"apis[0].tls.ca_file: {words}",
    ]


def test_a_fifo_in_the_place_of_a_secret_does_not_hang_a_poll(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abcdef")
    auth = make_target(tmp_path, auth={"type": "bearer", "token": {"file": "token"}}).auth
    assert auth is not None
    assert auth.type == "bearer"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="not a regular file"):
        auth.token.reveal()


def test_a_huge_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x" * 70_000)
    line = problem_of(tmp_path, auth={"type": "bearer", "token": {"file": "token"}})
    assert line.startswith("apis[0].auth.token: the file token is larger than 65536 bytes"), line


@pytest.mark.parametrize("password", [{}, {"password": ""}, {"password": None}])
def test_a_key_as_user_with_an_empty_password(tmp_path: Path, password: dict[str, Any]) -> None:
    (tmp_path / "key").write_text("sk_test_1\n")
    auth = make_target(tmp_path, auth={"type": "basic", "username": {"file": "key"}, **password}).auth
    assert auth is not None
    assert auth.type == "basic"
    assert auth.revealed() == ("sk_test_1", "")


def test_an_empty_password_file_stays_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    line = problem_of(tmp_path, auth={"type": "basic", "username": "u", "password": {"file": "empty"}})
    assert line == "apis[0].auth.password: the file empty is empty"


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "http://x/{secret_key}/usage"},
        {"url": "http://x/usage", "params": {"appid": "{secret_key}"}},
        {"url": "http://x/usage", "headers": {"X-Key": "{secret_key}"}},
        {"url": "http://x/usage", "body": {"key": "{secret_key}"}},
        {"url": "/usage", "base_url": "http://x/{secret_key}"},
    ],
)
def test_organisations_with_secrets_of_their_own_are_asked_apart(tmp_path: Path, fields: dict[str, Any]) -> None:
    organisations = [{"id": name, "secrets": {"key": f"secret-of-{name}"}} for name in ("a", "b")]
    file = write_config(tmp_path / "config.yaml", {**fields, "organisations": organisations})
    assert len(load_config(file).targets) == 2


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        (
            {"url": "http://x/{secret_key}"},
            "organisations[0]: has no secret for {secret_key}: give secrets.key here or under the api",
        ),
        (
            {"url": "http://x/{secret_kye}", "secrets": {"key": "abcdef"}},
            "organisations[0]: has no secret for {secret_kye}: give secrets.kye here or under the api; did you mean key?",
        ),
        (
            {"url": "http://{secret_key}.example.com/", "secrets": {"key": "abcdef"}},
            "url: has a secret in its host, where it would be public",
        ),
        (
            {"url": "http://x/{secret}", "secrets": {"key": "abcdef"}},
            "url: has the unknown placeholder {secret}; did you mean {secret_NAME}",
        ),
        (
            {"url": "http://x/{secret_key:%Y}", "secrets": {"key": "abcdef"}},
            "url: has a form after {secret_key:; only dates have one",
        ),
        (
            {"url": URL, "secrets": {"key": "abcdef"}},
            "secrets.key: means nothing here; it needs {secret_key} in url",
        ),
        (
            {"url": URL, "organisations": [{"id": "a", "secrets": {"key": "abcdef"}}]},
            "organisations[0].secrets.key: means nothing here; it needs {secret_key} in url",
        ),
    ],
)
def test_secrets_that_do_not_fit(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    line = problem_of(tmp_path, **api)
    assert line.startswith(f"apis[0].{problem}"), line


def test_one_answer_for_all_has_no_secrets_of_one(tmp_path: Path) -> None:
    mapping = {"scopes": "s", "name": "n", "requests": "r", "limit": "l", "organisations": "@"}
    api = {
        "url": "http://x/{secret_key}",
        "mapping": mapping,
        "organisations": [{"id": "a", "secrets": {"key": "abcdef"}}],
    }
    assert "means one auth for all" in problem_of(tmp_path, **api)
