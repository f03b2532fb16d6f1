"""Placeholders that would be sent as they stand, and variables that nobody fills in."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.factories import make_target
from tests.support.refusals import problem_of

BEARER = {"type": "bearer", "token": "x" * 8}


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ({"params": {"d": "{toady}"}}, "params.d: has the unknown placeholder {toady}; did you mean {today}?"),
        ({"headers": {"D": "{toady}"}}, "headers.D: has the unknown placeholder {toady}; did you mean {today}?"),
        ({"body": {"d": ["{toady}"]}}, "body.d[0]: has the unknown placeholder {toady}; did you mean {today}?"),
        ({"url": "http://x/{toady}"}, "url: has the unknown placeholder {toady}; did you mean {today}?"),
        ({"params": {"d": "{nonsense}"}}, "params.d: has the unknown placeholder {nonsense}; known are "),
        (
            {"params": {"d": "{today:YYYY-MM-DD}"}},
            "params.d: has the placeholder {today:YYYY-MM-DD}, whose form is none; write {today:%Y-%m-%d}, or unix, unix_ms or iso",
        ),
        (
            {"body": {"d": "{today:DD.MM.YYYY}"}},
            "body.d: has the placeholder {today:DD.MM.YYYY}, whose form is none; write {today:%d.%m.%Y}, or unix",
        ),
        (
            {"params": {"d": "{today:seconds}"}},
            "params.d: has the placeholder {today:seconds}, whose form is none; write {today:%Y-",
        ),
        (
            {"params": {"d": "{today:%Q}"}},
            "params.d: has the placeholder {today:%Q}, whose form is none; write {today:%Y-%m-%d}",
        ),
        (
            {"params": {"d": "{today:}"}},
            "params.d: has the placeholder {today:}, whose form is none; write {today:%Y-%m-%d}",
        ),
        ({"params": {"d": "{Today}"}}, "params.d: has the unknown placeholder {Today}; did you mean {today}?"),
        ({"params": {"d": "{ today }"}}, "params.d: has the unknown placeholder { today }; did you mean {today}?"),
        (
            {"params": {"d": "{organisation-id}"}},
            "params.d: has the unknown placeholder {organisation-id}; did you mean {organisation_id}?",
        ),
        (
            {"params": {"d": "{days_ago}"}},
            "params.d: has the placeholder {days_ago} without a number of days; write {days_ago[30]}",
        ),
        (
            {"params": {"d": "{days_ago[x]}"}},
            "params.d: has the placeholder {days_ago[x]} without a number of days; write {days_ago[",
        ),
        (
            {"params": {"d": "{today[3]}"}},
            "params.d: has the placeholder {today[3]}, with brackets that only {days_ago[30]}",
        ),
        (
            {"body": {"query": '{usage(from: "{toady}"){used}}'}},
            "body.query: has the unknown placeholder {toady}; did you mean {today}?",
        ),
        (
            {
                "auth": {
                    "type": "oauth2",
                    "token_url": "http://x/{organisation_id}",
                    "client_id": "a",
                    "client_secret": "b",
                }
            },
            "auth.token_url: has the placeholder {organisation_id}, but placeholders are not put in here",
        ),
        (
            {"auth": {"type": "bearer", "token": "{organisation_id}"}},
            "auth.token: has the placeholder {organisation_id}, but placeholders are not put in here; give each organisation",
        ),
    ],
)
def test_placeholders_that_are_refused(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    line = problem_of(tmp_path, **api)
    assert line.startswith(f"apis[0].{problem}"), line


@pytest.mark.parametrize(
    "text",
    ["{today:%Y%m%d}", "{now:unix_ms}", "{days_ago[7]:iso}", 'sum(x{job="a"})', "{{", '{"now": 1}', "{today:%d%%}"],
)
def test_what_is_no_mistake_passes(tmp_path: Path, text: str) -> None:
    assert make_target(tmp_path, params={"q": text}).api.params["q"].text() == text


def test_the_braces_of_graphql_are_its_own(tmp_path: Path) -> None:
    body = {
        "query": "query($id: ID!){viewer{login} period { today } now:usage(id: $id){used}}",
        "variables": {"id": 1},
    }
    assert make_target(tmp_path, body=body).api.body == body


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        (
            {"auth": {"type": "bearer", "token": "${TOKEN}"}},
            "auth.token: has ${TOKEN}, which nothing fills in; write {env: TOKEN}",
        ),
        (
            {"auth": {"type": "bearer", "token": "$TOKEN"}},
            "auth.token: has $TOKEN, which nothing fills in; write {env: TOKEN}",
        ),
        (
            {"params": {"key": "${API_KEY:-x}"}},
            "params.key: has ${API_KEY:-x}, which nothing fills in; write {env: API_KEY}",
        ),
        ({"headers": {"X-Key": "a ${KEY}"}}, "headers.X-Key: has ${KEY}, which nothing fills in; write {env: KEY}"),
        (
            {"body": {"key": "${KEY}"}},
            "body.key: has ${KEY}, which nothing fills in; write {secret_NAME}, with secrets: {NAME:",
        ),
        ({"url": "http://x/${KEY}/usage"}, "url: has ${KEY}, which nothing fills in"),
        ({"url": "/usage", "base_url": "${BASE}"}, "base_url: has ${BASE}, which nothing fills in"),
        (
            {"auth": {"type": "basic", "username": "${USER}", "password": "x"}},
            "auth.username: has ${USER}, which nothing fills in; write {env: USER}",
        ),
        (
            {"auth": {"type": "oauth2", "token_url": "http://x/", "client_id": "${ID}", "client_secret": "x"}},
            "auth.client_id: has ${ID}, which nothing fills in; write the value itself",
        ),
        ({"organisations": [{"id": "${ORG}"}]}, "organisations[0].id: has ${ORG}, which nothing fills in"),
    ],
)
def test_variables_left_as_they_stand(tmp_path: Path, api: dict[str, Any], problem: str) -> None:
    line = problem_of(tmp_path, **api)
    assert line.startswith(f"apis[0].{problem}"), line


def test_a_variable_s_look_in_a_value_from_elsewhere_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("${TOKEN}")
    auth = make_target(tmp_path, auth={"type": "bearer", "token": {"file": "token"}}).auth
    assert auth is not None
    assert auth.type == "bearer"
    assert auth.token.text() == "${TOKEN}"
