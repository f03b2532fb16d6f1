"""`api-usage-exporter digest` and /digest: mails per team, to files and a real mail server."""

import email
import email.policy
import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from click.testing import CliRunner, Result

from exporter.cli import main
from exporter.config.load import load_config
from exporter.errors import AuthError
from exporter.local.ports import free_port
from exporter.view.cards import Advice, AdviceKind
from exporter.view.digest import as_text, digests
from exporter.view.usage_json import usage_document
from tests.support.asgi import serve_asgi
from tests.support.receivers import Mailbox
from tests.support.watched import Watched, days, scope

PASSWORD = "pass-w0rd"


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    organisations = [
        {"id": "acme", "name": "Acme", "labels": {"team": "maps"}},
        {"id": "bolt", "name": "Bolt <b>", "labels": {"team": "post"}},
    ]
    api = {"name": "vendor", "preset": "standard", "url": "http://127.0.0.1:9/{organisation_id}"}
    config = {"organisation_labels": ["team"], "apis": [{**api, "organisations": organisations}]}
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")
    return Watched(load_config(file).targets)


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    watched.reads("Acme", scope("Tiles", 940, 1000, daily=days(*[30] * 22, *[60] * 8)), scope("Calm", 1))
    watched.clock.advance(hours=1)
    watched.reads("Acme", scope("Tiles", 940, 990, daily=days(*[30] * 22, *[60] * 8)), scope("Calm", 1))
    watched.reads("Bolt <b>", scope("Mail", 5))
    with serve_asgi(watched.fresh) as url:
        yield url


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["digest", *arguments], env=environment)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Mailbox, str]]:
    """A mail server that wants STARTTLS and a password, and its flags."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def signs_in(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        return AuthResult(success=given == LoginPassword(b"usage", PASSWORD.encode()), handled=False)

    mailbox = Mailbox()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(0, ""),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=signs_in,
    )
    controller.start()
    try:
        yield mailbox, f"--smtp=127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def test_texts_per_team_on_standard_output(url: str) -> None:
    result = run("--url", url)
    assert result.exit_code == 0, result.output
    maps, post = result.output.split("API usage of ")[1:]
    assert maps.startswith("maps: 1 needs action\n\nNeeds action\n- Tiles of Acme (vendor): 94.95%, Runs out likely ")
    assert "- Tiles of Acme (vendor): Limit lowered from 1,000 to 990 on 22 Nov 2026, 13:00 UTC" in maps
    assert "- Tiles of Acme (vendor): 420 requests in the last 7 whole days, +100% on the 7 before" in maps
    assert f"All scopes: {url}/" in maps
    assert "Calm" not in maps
    assert post.startswith("post: nothing needs action\n\nNothing to do and nothing new: all of 1 scopes")


def test_what_is_not_known(watched: Watched, url: str) -> None:
    watched.fails("Bolt <b>", AuthError("the vendor answered 401"))
    text = run("--url", url).output
    assert "Not known\n- Bolt <b> (vendor): The last poll failed just now: the vendor answered 401." in text


def test_files_hold_text_and_html(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    result = run("--url", url, "--output", str(folder))
    assert result.output.split() == [str(folder / name) for name in ("01-maps.eml", "02-post.eml")]
    mail = email.message_from_bytes((folder / "01-maps.eml").read_bytes(), policy=email.policy.default)
    assert mail["Subject"] == "API usage of maps: 1 needs action"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    (tmp_path / "file").touch()
    assert "Not a directory" in run("--url", url, "--output", str(tmp_path / "file" / "x")).output


def test_mails_by_a_real_server(server: tuple[Mailbox, str], url: str, tmp_path: Path) -> None:
    mailbox, smtp = server
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    flags = ["--url", url, smtp, f"--smtp-ca-file={tmp_path}/ca.pem", "--smtp-user=usage", "--from=a@x.org"]
    flags += ["--to=all@x.org", "--to=maps=one@x.org", "--to=maps=two@x.org"]
    for by in ([f"--smtp-password-file={tmp_path}/password"], []):
        result = run(*flags, *by, API_USAGE_EXPORTER_SMTP_PASSWORD=PASSWORD)
        assert result.exit_code == 0, result.output
    maps, post, *again = mailbox.mails
    assert len(again) == 2
    assert (maps["To"], post["To"], maps["From"]) == ("one@x.org, two@x.org", "all@x.org", "a@x.org")
    body = post.get_body(("html",))
    assert body is not None
    assert body.get_content().startswith("<!doctype html>")
    wrong = run(*flags, API_USAGE_EXPORTER_SMTP_PASSWORD="another")
    assert wrong.exit_code == 1
    assert "took no mail: 535" in wrong.output
    assert "another" not in wrong.output
    flags.remove(f"--smtp-ca-file={tmp_path}/ca.pem")
    assert "certificate verify failed" in run(*flags, API_USAGE_EXPORTER_SMTP_PASSWORD=PASSWORD).output
    assert len(mailbox.mails) == 4


@pytest.mark.parametrize("tls", ["tls", "none"])
def test_mails_with_tls_from_the_start_or_without(tls: str, url: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    mailbox = Mailbox()
    controller = Controller(
        mailbox, hostname="127.0.0.1", port=free_port(0, ""), ssl_context=context if tls == "tls" else None
    )
    controller.start()
    try:
        flags = ["--url", url, f"--smtp=127.0.0.1:{controller.port}", "--from=a@x.org", "--to=b@x.org"]
        result = run(*flags, f"--smtp-tls={tls}", f"--smtp-ca-file={tmp_path}/ca.pem")
        assert result.exit_code == 0, result.output
        assert len(mailbox.mails) == 2
        if tls == "none":
            refused = run(*flags)  # STARTTLS is what is usual
            assert refused.exit_code == 1
            assert "nothing was sent" in refused.output
    finally:
        controller.stop()
    assert len(mailbox.mails) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--smtp=mail"], "--smtp needs --from and at least one --to"),
        (["--smtp=mail", "--from=a@x.org", "--to=b@x.org"], "--smtp must be HOST:PORT"),
        (["--smtp=mail:25", "--from=a@x.org", "--to=b@x.org", "--smtp-user=u"], "API_USAGE_EXPORTER_SMTP_PASSWORD"),
        (["--to=nobody"], "--to must be an address or TEAM=ADDRESS, not 'nobody'"),
        (["--smtp=mail:25", "--output=x"], "give one of them"),
    ],
)
def test_mistakes_are_named(flags: list[str], message: str) -> None:
    result = run(*flags)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_team_without_an_address_stops_all_mails(server: tuple[Mailbox, str], url: str) -> None:
    mailbox, smtp = server
    result = run("--url", url, smtp, "--from=a@x.org", "--to=maps=b@x.org")
    assert (result.exit_code, mailbox.mails) == (1, [])
    assert "no --to for post; nothing was sent" in result.output


def test_the_preview_is_the_mail(url: str) -> None:
    shown = requests.get(f"{url}/digest?team=maps", timeout=10)
    assert "<h1>API usage of maps: 1 needs action</h1>" in shown.text
    assert "style-src 'self'" in shown.headers["Content-Security-Policy"]
    assert "API usage of maps" in requests.get(f"{url}/digest", timeout=10).text
    unknown = requests.get(f"{url}/digest?team=<b>", timeout=10)
    assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "there are: maps, post" in unknown.text
    assert "no team" in requests.get(f"{url}/digest?label=nothing", timeout=10).text


def test_what_to_buy_and_how_much_is_lacking(watched: Watched) -> None:
    watched.reads("Acme", scope("Tiles", 940))
    document = usage_document(watched.store.states(), watched.clock.now())
    acme = document.organisations[0]
    tiles = replace(acme.scopes[0], shortfall=460.0)
    advice = (Advice(AdviceKind.ADD_ON, ("Tiles",)), Advice(AdviceKind.RATE_LIMIT, ("Tiles",)))
    short = replace(document, organisations=(replace(acme, advice=advice, scopes=(tiles,)),))
    (written,) = digests(short, "team")
    assert written.buy == ("Acme (vendor): Consider an add-on: Tiles lacks 460 requests a period",)
    assert "To buy\n- Acme (vendor): Consider an add-on" in as_text(written)
