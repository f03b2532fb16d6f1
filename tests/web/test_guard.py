"""What every request passes: whose site it comes from, the rate limit, paths without a password; and the count."""

from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
import requests

from exporter.errors import ConfigError
from exporter.web.app import Paths
from exporter.web.asgi import Receive, Scope, Send
from exporter.web.web_config import WebConfig, load_web_config
from tests.support.asgi import serve_asgi
from tests.support.watched import Watched, app_over, targets_of

PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(
        targets_of(tmp_path, {"vendor": ["Acme"]}), Paths(external_url="https://ops.example.org/", route_prefix="/")
    )


@pytest.fixture
def serving(watched: Watched) -> Iterator[Callable[[WebConfig], str]]:
    """Serves with a web config; more than one after another is fine."""
    present = WebConfig()

    def configured(config: WebConfig) -> str:
        nonlocal present
        present = config
        return url

    app = app_over(watched, watched.clock, paths=watched.paths, web_config=lambda: present)
    with serve_asgi(app) as url:
        yield configured


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://ops.example.org"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[", "Host": "ops"}, 403),
        ({"Origin": "https://ops.example.org", "Host": "10.0.0.7:10190"}, 200),
        ({"Origin": "http://exporter:10190", "Host": "exporter:10190"}, 200),
    ],
)
def test_another_site_s_page_cannot_reload(
    serving: Callable[[WebConfig], str], headers: dict[str, str], status: int
) -> None:
    url = serving(WebConfig())
    assert requests.post(f"{url}/-/reload", headers=headers, timeout=10).status_code == status
    assert requests.get(f"{url}/metrics", headers=headers, timeout=10).ok


def test_paths_without_a_password(serving: Callable[[WebConfig], str]) -> None:
    url = serving(WebConfig(basic_auth_users={"anna": HASH}, auth_excluded_paths=frozenset({"/-/healthy"})))
    assert requests.get(f"{url}/-/healthy", timeout=10).ok
    for path in ("/-/ready", "/-/healthy/", "//-/healthy", "/metrics"):
        assert requests.get(url + path, timeout=10).status_code == 401
    assert requests.get(f"{url}/metrics", auth=("anna", PASSWORD), timeout=10).ok


def test_a_rate_limit_lets_a_burst_through_and_then_one_each_interval(
    serving: Callable[[WebConfig], str], watched: Watched
) -> None:
    url = serving(WebConfig.model_validate({"rate_limit": {"burst": 3, "interval": "10s"}}))

    def statuses(count: int) -> list[int]:
        return [requests.get(f"{url}/-/healthy", timeout=10).status_code for _ in range(count)]

    assert statuses(4) == [200, 200, 200, 429]
    watched.clock.advance(seconds=10)
    assert statuses(2) == [200, 429]
    watched.clock.advance(minutes=10)
    assert statuses(4) == [200, 200, 200, 429]
    serving(WebConfig.model_validate({"rate_limit": {"burst": 1, "interval": "0s"}}))
    assert statuses(5) == [200] * 5


def test_guesses_do_not_use_up_a_scraper_s_rate(serving: Callable[[WebConfig], str]) -> None:
    limited = {"basic_auth_users": {"anna": HASH}, "rate_limit": {"burst": 2, "interval": "1h"}}
    url = serving(WebConfig.model_validate(limited))

    def statuses(*passwords: str | None) -> list[int]:
        logins = [None if password is None else ("anna", password) for password in passwords]
        return [requests.get(f"{url}/metrics", auth=login, timeout=10).status_code for login in logins]

    # The right one is not known yet when they begin.
    assert statuses("a", "b", "c", "a", PASSWORD) == [401, 401, 401, 401, 200]
    assert statuses(None, None, None) == [401, 401, 429]
    assert statuses("d", PASSWORD, PASSWORD) == [401, 200, 429]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rate_limit: {burst: 0, interval: 1s}", "rate_limit.burst: must be greater than or equal to 1"),
        ("rate_limit: {burst: 5}", "rate_limit.interval: is missing"),
        ("rate_limit: {burst: 5, interval: fast}", "rate_limit.interval: must be a duration"),
        ("auth_excluded_paths: [metrics]", "must be a path, such as /-/healthy"),
    ],
)
def test_errors_are_located(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "web.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_web_config(file)


def test_requests_are_counted_by_route_and_code(serving: Callable[[WebConfig], str], watched: Watched) -> None:
    url = serving(WebConfig(basic_auth_users={"anna": HASH}))
    right = requests.Session()
    right.auth = ("anna", PASSWORD)
    for path in ("/-/healthy", "/-/healthy", "/none", "/static/usage.js", "/static/none"):
        right.get(url + path, timeout=10)
    right.post(f"{url}/metrics", timeout=10)
    requests.get(f"{url}/-/healthy", timeout=10)
    requests.get(f"{url}/made/up", auth=("anna", "guess"), timeout=10)
    text = watched.text()
    for route, code, count in (
        ("/-/healthy", 200, 2),
        ("/-/healthy", 401, 1),
        ("other", 404, 1),
        ("other", 401, 1),
        ("/static/", 200, 1),
        ("/static/", 404, 1),
        ("/metrics", 405, 1),
    ):
        assert f'api_usage_exporter_http_requests_total{{code="{code}",route="{route}"}} {count}.0' in text
    assert "api_usage_exporter_passwords_refused_total 1.0" in text


def test_a_name_that_a_client_claims_in_a_header_means_nothing(watched: Watched) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])
        await watched.app(scope, receive, send)

    with serve_asgi(app) as url:
        requests.get(f"{url}/-/healthy", headers={"X-Forwarded-For": "192.0.2.9"}, timeout=10)
    assert seen == ["127.0.0.1"]
