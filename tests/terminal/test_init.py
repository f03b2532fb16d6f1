"""`api-usage-exporter init`: from a curl command, a URL or a saved answer to a config that is checked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from exporter.cli import main
from exporter.config.load import load_config
from exporter.drafting.curl import CurlError, parse_curl
from exporter.drafting.request import request_of
from exporter.view.tried import LARGEST_ANSWER
from tests.support.factories import write_config
from tests.support.http import Vendor, serve
from tests.support.terminal import in_terminal

ANSWER = {"credits_used": 40, "credit_limit": 100, "plan_name": "Pro"}
TOKEN = "planted-secret-4711"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()

    def answer(request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Response("no", 401)
        return Response(json.dumps(ANSWER), content_type="application/json")

    vendor.answer = answer
    with serve(vendor) as url:
        vendor.url = url
        yield vendor


def run(folder: Path, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", f"--output={folder / 'config.yaml'}", *arguments], input=typed)


def saved(folder: Path, answer: object) -> str:
    file = folder / "answer.json"
    file.write_text(json.dumps(answer), encoding="utf-8")
    return f"--answer={file}"


def test_a_curl_command_becomes_a_config_without_its_secret(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curl = f"curl -sS '{vendor.url}/usage?page=1' \\\n  -H 'Authorization: Bearer {TOKEN}' -H 'Accept: */*'"
    ran = run(tmp_path, f"--curl={curl}", "--name=maps", "--yes", "--set=period=month")
    assert ran.exit_code == 0, ran.output
    (request,) = vendor.requests
    assert request.args.to_dict() == {"page": "1"}
    text = (tmp_path / "config.yaml").read_text("utf-8")
    assert TOKEN not in ran.output + text
    assert "auth: {type: bearer, token: {env: MAPS_TOKEN}}" in text
    assert "params: {page: '1'}" in text
    assert "requests: credits_used # 40" in text
    assert "export MAPS_TOKEN=" in ran.output
    monkeypatch.setenv("MAPS_TOKEN", TOKEN)
    ran = CliRunner().invoke(main, ["usage", "--once", f"--config.file={tmp_path / 'config.yaml'}", "--output=json"])
    assert ran.exit_code == 0, ran.output
    card = json.loads(ran.stdout)["organisations"][0]["scopes"][0]
    assert (card["scope"], card["requests"], card["limit"]) == ("Credits", 40, 100)


def test_a_refused_key_says_so_and_writes_nothing(vendor: Vendor, tmp_path: Path) -> None:
    ran = run(tmp_path, f"--curl=curl {vendor.url}/usage -H 'X-Api-Key: wrong-secret-4711'", "--yes")
    assert ran.exit_code == 1
    assert "401" in ran.output
    assert "wrong-secret-4711" not in ran.output
    assert not (tmp_path / "config.yaml").exists()


def test_questions_are_asked_one_by_one_and_the_card_is_shown(tmp_path: Path) -> None:
    answer = saved(tmp_path, {"searches": {"used": 320, "available": 500}})
    ran = run(tmp_path, answer, "--url=https://api.example.com/usage", typed="2\n1\ny\n")
    assert ran.exit_code == 0, ran.output
    assert "Is searches.available = 500 the limit, or what is left of it?" in ran.output
    assert "How long is it?" in ran.output or "how long is it?" in ran.output
    assert "320 of 820" in ran.output
    assert "limit: add(searches.used, searches.available)" in (tmp_path / "config.yaml").read_text("utf-8")


def test_yes_says_what_was_taken_and_stops_where_nothing_is_likely(tmp_path: Path) -> None:
    ran = run(tmp_path, saved(tmp_path, {"searches": {"used": 320, "available": 500}}), "--yes")
    assert ran.exit_code == 0, ran.output
    assert "Taken: searches.available is the limit: 320 of 500" in ran.output
    assert "--set=limit=sum" in ran.output
    other = tmp_path / "other"
    other.mkdir()
    ran = run(other, saved(tmp_path, {"credits_left": 30}), "--yes")
    assert ran.exit_code == 1
    assert "what is the limit of a period? Say it with --set=limit=" in ran.output
    ran = run(other, saved(tmp_path, {"credits_left": 30}), "--yes", "--set=limit=50")
    assert ran.exit_code == 0, ran.output
    assert load_config(other / "config.yaml").targets[0].api.static.limit == 50


def test_an_existing_config_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine", encoding="utf-8")
    ran = run(tmp_path, saved(tmp_path, ANSWER), "--yes")
    assert (ran.exit_code, (tmp_path / "config.yaml").read_text("utf-8")) == (1, "mine")
    assert "--output names another file" in ran.output


def test_a_preset_of_the_host_is_used(tmp_path: Path) -> None:
    answer = saved(tmp_path, {"character_count": 180118, "character_limit": 1250000})
    ran = run(tmp_path, answer, "--url=https://api.deepl.com/v2/usage", "--yes")
    assert ran.exit_code == 0, ran.output
    assert "preset: deepl" in (tmp_path / "config.yaml").read_text("utf-8")
    assert "180,118 of 1,250,000" in ran.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "HTML"),
        ('{"a": 1', "not JSON"),
        ("{}", "is this the answer that tells the usage?"),
        ('{"used": 5, "limit": "soon"}', "taken as unlimited"),
    ],
)
def test_answers_of_no_use(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "answer.json").write_text(text, encoding="utf-8")
    ran = run(tmp_path, f"--answer={tmp_path / 'answer.json'}", "--yes")
    assert message in ran.output, ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize(
    ("command", "url", "headers"),
    [
        ("curl https://a.example/u", "https://a.example/u", {}),
        ("$ curl -sSfL -H 'X-A: b: c' https://a.example/u --compressed", "https://a.example/u", {"X-A": "b: c"}),
        ("curl --url a.example/u -o out.json", "https://a.example/u", {}),
        ("curl --oauth2-bearer t https://a.example/u", "https://a.example/u", {"Authorization": "Bearer t"}),
    ],
)
def test_curl_commands(command: str, url: str, headers: dict[str, str]) -> None:
    asked = parse_curl(command)
    assert (asked.url, asked.headers) == (url, headers)


def test_curl_sends_json_users_and_queries() -> None:
    asked = parse_curl("""curl -u me:pw 'https://a.example/q?key=s' -d '{"query": "{ usage }"}'""")
    request = request_of(asked)
    assert request.config == {
        "url": "https://a.example/q",
        "auth": {"type": "basic", "username": {"env": "EXAMPLE_USER"}, "password": {"env": "EXAMPLE_PASSWORD"}},
        "params": {"key": {"env": "EXAMPLE_KEY"}},
        "body": {"query": "{ usage }"},
    }
    assert request.secrets == {"EXAMPLE_USER": "me", "EXAMPLE_PASSWORD": "pw", "EXAMPLE_KEY": "s"}
    assert "pw" not in repr(request)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("wget https://a.example", "begins with curl"),
        ("curl", "one URL is wanted, and 0"),
        ("curl https://a.example https://b.example", "one URL is wanted, and 2"),
        ("curl 'https://a.example", "no whole command"),
        ("curl -X DELETE https://a.example", "DELETE is no way"),
        ("curl -d a=b https://a.example", "no JSON"),
        ("curl -d @file https://a.example", "stands in a file"),
        ("curl --frobnicate https://a.example", "not understood"),
        ("curl ftp://a.example", "must begin with https://"),
    ],
)
def test_curl_commands_that_cannot_be_taken(command: str, message: str) -> None:
    with pytest.raises(CurlError, match=message):
        parse_curl(command)


@pytest.mark.parametrize(
    ("rest", "written"),
    [
        ("/usage -H 'Authorization: Bearer {0}'", "auth: {type: bearer, token: {env: MAPS_TOKEN}}"),
        ("/usage -H 'Authorization: Basic {0}'", "auth: {type: header, name: Authorization, value: {env: MAPS_KEY}}"),
        ("/usage -u me:{0}", "password: {env: MAPS_PASSWORD}"),
        ("/usage --oauth2-bearer {0}", "token: {env: MAPS_TOKEN}"),
        ("/usage -b 'sid={0}; lang=en'", "name: Cookie, value: {env: MAPS_KEY}"),
        ("/usage -H 'X-Who: {0}'", "headers: {X-Who: {env: MAPS_X_WHO}}"),
        ("/usage?who={0}", "params: {who: {env: MAPS_WHO}}"),
        ("/bot{0}/usage", "/{secret_maps_path}/usage"),
        ("""/usage --json '{{"query": "{{ usage }}", "auth": [{{"k": "{0}"}}]}}'""", "'{secret_maps_k}'"),
        ("""/usage -d '{{"api_key": "{0}", "days": 3}}'""", "days: 3"),
    ],
)
def test_secrets_leave_a_command_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str, written: str
) -> None:
    secret = "Planted47116ab3c9d2"
    sent = []

    def answer(request: Request) -> Response:
        sent.append(f"{request.url} {request.headers} {request.get_data(as_text=True)} {request.authorization}")
        # Vendors that send a key back.
        return Response(json.dumps({**ANSWER, "note": secret}), content_type="application/json")

    vendor = Vendor()
    vendor.answer = answer
    with serve(vendor) as url:
        ran = run(tmp_path, f"--curl=curl {url}{rest.format(secret)}", "--name=maps", "--yes")
        assert ran.exit_code == 0, ran.output
        text = (tmp_path / "config.yaml").read_text("utf-8")
        assert secret not in ran.output + text
        assert written in text
        # The config asks just so, once the variables are there.
        for name, value in request_of(parse_curl(f"curl {url}{rest.format(secret)}"), "maps").secrets.items():
            assert f"export {name}=" in ran.output
            monkeypatch.setenv(name, value)
        again = ["usage", "--once", f"--config.file={tmp_path / 'config.yaml'}"]
        assert CliRunner().invoke(main, again).exit_code == 0
        assert sent[1] == sent[0]


@pytest.mark.parametrize(
    "rest",
    [
        "--frobnicate hidden-4711 https://api.example.com",
        "--frobnicate=hidden-4711 https://api.example.com",
        "-Z hidden-4711 https://api.example.com https://b.example.com",
        "--silent=hidden-4711 https://api.example.com",
        "-b hidden-4711 https://api.example.com",
        "-H hidden-4711 https://api.example.com",
        "-H 'X-Key: hidden-4711 https://api.example.com",
        "-d hidden-4711 https://api.example.com",
        "-X hidden-4711",
        "https://[hidden-4711",
        "ftp://hidden-4711",
    ],
)
def test_what_is_wrong_with_a_command_is_said_without_its_values(tmp_path: Path, rest: str) -> None:
    ran = run(tmp_path, f"--curl=curl {rest}", "--yes")
    assert ran.exit_code == 1
    assert "Error: " in ran.output
    assert "hidden-4711" not in ran.output


def test_a_browsers_own_headers_are_left_out() -> None:
    asked = parse_curl(
        """curl 'https://api.example.com/usage' \\
  -H 'accept: */*' \\
  -H 'accept-language: en' \\
  -H 'sec-ch-ua: "Chromium";v="131"' \\
  -H 'sec-fetch-mode: cors' \\
  -H 'x-client: web' \\
  -b 'session=planted' --compressed"""
    )
    config = request_of(asked).config
    assert config["headers"] == {"x-client": "web"}
    assert config["auth"]["name"] == "Cookie"


def test_a_place_that_cannot_be_written_is_said_before_the_vendor_is_asked(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere" / "config.yaml")
    for place, message in (("link.yaml", "is there already"), ("none/config.yaml", "is not there")):
        arguments = ["init", f"--url={vendor.url}", "--yes", f"--output={tmp_path / place}"]
        ran = CliRunner().invoke(main, arguments)
        assert (ran.exit_code, vendor.requests) == (1, [])
        assert message in ran.output


def test_a_bare_number_is_never_taken_in_silence(tmp_path: Path) -> None:
    answer = saved(tmp_path, {"credits": 90, "monthly_limit": 100})
    ran = run(tmp_path, answer, "--yes")
    assert "Taken: credits = 90 is what was used" in ran.output
    (tmp_path / "config.yaml").unlink()
    ran = run(tmp_path, answer, "--yes", "--set=remaining=credits")
    assert "remaining: credits" in (tmp_path / "config.yaml").read_text("utf-8")


def test_at_a_terminal_a_pasted_curl_command_becomes_a_card_and_a_config(vendor: Vendor, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    command = f"curl -H 'Authorization: Bearer {TOKEN}' \\\n  {vendor.url}/v1/usage\n"
    written = in_terminal(
        "init",
        f"--output={config}",
        typed={"Paste a curl command": command, "how long is it?": "1\n", f"Write {config}": "y\n"},
    )
    assert "40.00%" in written
    assert "is written and checked" in written
    text = config.read_text("utf-8")
    assert TOKEN not in text
    assert "token: {env: " in text
    # What a terminal echoes of a paste is the terminal's; the program says it nowhere.
    assert written.count(TOKEN) == 1


@pytest.mark.parametrize("command", [("init", "--yes"), ("usage", "--once")])
def test_a_file_that_is_too_large_for_an_answer_is_told_at_once(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "answer.json"
    with file.open("wb") as opened:
        opened.truncate(LARGEST_ANSWER + 1)
    config = write_config(tmp_path / "made.yaml", {"url": "https://api.example.com/usage"})
    where = f"--output={tmp_path / 'config.yaml'}" if command[0] == "init" else f"--config.file={config}"
    ran = CliRunner().invoke(main, [*command, where, f"--answer={file}"])
    assert ran.exit_code == 1
    assert f"{file}: is larger than 16 MiB" in " ".join(ran.output.split())
    assert not (tmp_path / "config.yaml").exists()
