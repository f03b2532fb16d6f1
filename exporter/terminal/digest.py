"""The command `digest`: a mail a team, of a running exporter's cards."""

import os
import re
import smtplib
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import click

from exporter.terminal.command import Chosen, asked
from exporter.terminal.draw import safe
from exporter.terminal.running import Running, Unavailable, running_options
from exporter.view.digest import Digest, as_html, as_text, digests

_EXAMPLE = """\b
Examples:
  api-usage-exporter digest
  api-usage-exporter digest --output=mails
  api-usage-exporter digest --smtp=mail.example.com:587 --smtp-user=usage --smtp-password-file=/run/secrets/smtp
    --from=usage@example.com --to=maps-team@example.com --to=logistics=fleet@example.com
"""
_TIMEOUT_SECONDS = 30
_PASSWORD = "API_USAGE_EXPORTER_SMTP_PASSWORD"  # noqa: S105 - the name of the variable
_ADDRESS = re.compile(r"[^@\s<>,=]+@[^@\s<>,]+")


@click.command(epilog=_EXAMPLE)
@click.option("--label", default="team", show_default=True, help="The organisation_labels' label that names a team.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each mail to this folder, as TEAM.eml; without it and --smtp, the texts go to standard output.",
)
@click.option("--smtp", metavar="HOST:PORT", help="Send the mails by this server.")
@click.option(
    "--smtp-tls",
    type=click.Choice(["starttls", "tls", "none"]),
    default="starttls",
    show_default=True,
    help="How the connection is encrypted: after STARTTLS, from the start (often port 465), or not.",
)
@click.option(
    "--smtp-ca-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="PEM file of the authority that the mail server's certificate is of.",
)
@click.option("--smtp-user", help="Whom to sign in as.")
@click.option(
    "--smtp-password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"File of the password; without it, it is taken from the environment variable {_PASSWORD}.",
)
@click.option("--from", "sender", help="The mails' sender.")
@click.option(
    "--to",
    "recipients",
    multiple=True,
    metavar="[TEAM=]ADDRESS",
    help="Who gets a team's mail; without TEAM=, that of every team without an address of its own. May be repeated.",
)
@running_options
def digest(
    *,
    exporter: Running,
    label: str,
    output: Path | None,
    smtp: str | None,
    smtp_tls: str,
    smtp_ca_file: Path | None,
    smtp_user: str | None,
    smtp_password_file: Path | None,
    sender: str | None,
    recipients: tuple[str, ...],
) -> None:
    """Write a mail for each team: what needs action, what changed in the last 7 days, what to buy.

    Teams are the values of a label of organisations. Run it once a week, say from cron; /digest shows what it writes.
    """
    if output is not None and smtp is not None:
        raise click.UsageError("--output writes files and --smtp sends; give one of them")
    addressed = _Addressed.of(recipients)
    server = None
    if smtp is not None:
        if sender is None or not recipients:
            raise click.UsageError("--smtp needs --from and at least one --to")
        password = _password(smtp_password_file) if smtp_user else None
        server = _Server(*_host_and_port(smtp), smtp_tls, smtp_ca_file, smtp_user, password)
    try:
        written = digests(asked(exporter, Chosen((), ())), label)
        page = f"{exporter.shown.rstrip('/')}/"
        if server is None and output is None:
            click.echo("\n".join(safe(as_text(one, page)) for one in written), nl=False)
            return
        mails = {one.team: _mail(one, page, sender or "", addressed.to(one.team)) for one in written}
        if output is not None:
            _write(mails, output)
        elif server is not None:
            if without := [team for team, mail in mails.items() if not mail["To"]]:
                raise Unavailable(
                    f"no --to for {', '.join(without)}; nothing was sent. --to=ADDRESS is for all others"
                )
            server.send(mails)
    except Unavailable as error:
        click.echo(safe(str(error)), err=True)
        sys.exit(1)


@dataclass(frozen=True)
class _Addressed:
    """Addresses by team; "" holds those of teams without an own one."""

    by_team: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, given: tuple[str, ...]) -> "_Addressed":
        """Raises click.UsageError for what is no address."""
        by_team: dict[str, tuple[str, ...]] = {}
        for one in given:
            team, _, address = one.rpartition("=")
            if not _ADDRESS.fullmatch(address):
                raise click.UsageError(f"--to must be an address or TEAM=ADDRESS, not {one!r}")
            by_team[team] = (*by_team.get(team, ()), address)
        return cls(by_team)

    def to(self, team: str) -> str:
        return ", ".join(self.by_team.get(team) or self.by_team.get("", ()))


def _mail(one: Digest, page: str, sender: str, to: str) -> EmailMessage:
    mail = EmailMessage()
    headers = {"Subject": one.subject, "From": sender, "To": to, "Date": formatdate(), "Message-ID": make_msgid()}
    for name, value in headers.items():
        if value:
            mail[name] = safe(value)
    mail.set_content(as_text(one, page))
    mail.add_alternative(as_html(one, page), subtype="html")
    return mail


def _write(mails: Mapping[str, EmailMessage], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (team, mail) in enumerate(mails.items(), 1):
            # Two teams may differ in what no file name can hold.
            name = re.sub(r"[^\w.-]+", "-", team).strip("-.") or "team"
            file = folder / f"{number:02}-{name}.eml"
            file.write_bytes(bytes(mail))
            click.echo(file)
    except OSError as error:
        raise Unavailable(f"cannot write to {folder}: {error.strerror}") from None


def _host_and_port(smtp: str) -> tuple[str, int]:
    host, _, port = smtp.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:  # noqa: PLR2004
        raise click.UsageError(f"--smtp must be HOST:PORT, such as mail.example.com:587, not {smtp!r}")
    return host.strip("[]"), int(port)


def _password(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise click.UsageError(f"--smtp-password-file: {file} cannot be read as text") from None
    if _PASSWORD not in os.environ:
        raise click.UsageError(f"--smtp-user needs --smtp-password-file, or the password in {_PASSWORD}")
    return os.environ[_PASSWORD]


@dataclass(frozen=True)
class _Server:
    """A mail server. password: None where nobody signs in."""

    host: str
    port: int
    tls: str
    ca_file: Path | None
    user: str | None
    password: str | None

    def send(self, mails: Mapping[str, EmailMessage]) -> None:
        """Raises Unavailable, which names the mails that are sent already."""
        sent: list[str] = []
        try:
            with self._connected() as server:
                for team, mail in mails.items():
                    server.send_message(mail)
                    sent.append(team)
                    click.echo(f"sent to {mail['To']}: {mail['Subject']}")
        except (OSError, smtplib.SMTPException) as error:
            already = f"; sent before: {', '.join(sent)}" if sent else "; nothing was sent"
            raise Unavailable(f"{self.host}:{self.port} took no mail: {_reason(error)}{already}") from None

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        if self.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        try:
            if self.tls == "starttls":
                server.starttls(context=context)
            if self.user is not None and self.password is not None:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"
    return str(error)
