"""--web.config.file: TLS, basic authentication and headers, in the format of Prometheus' exporter-toolkit.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

import re
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.config.fields import Duration, FilePath, Frozen
from exporter.config.yaml_document import Document

# Go's names of the TLS 1.2 suites that it calls secure or that its default once held, as OpenSSL calls them. TLS 1.3
# suites cannot be chosen, as in Go.
_CIPHERS = {
    f"TLS_{key}_WITH_{cipher}": f"{prefix}{openssl}"
    for key, prefix in (("RSA", ""), ("ECDHE_RSA", "ECDHE-RSA-"), ("ECDHE_ECDSA", "ECDHE-ECDSA-"))
    for cipher, openssl in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_CBC_SHA256", "AES128-SHA256"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
    if (key, cipher) != ("RSA", "CHACHA20_POLY1305_SHA256")
}
_TLS_13_CIPHERS = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
_VERSIONS = {
    "TLS13": ssl.TLSVersion.TLSv1_3,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS10": ssl.TLSVersion.TLSv1,
}
_CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

Version = Literal["TLS13", "TLS12", "TLS11", "TLS10"]
HeaderName = Literal[
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
]


def _check_cipher(name: str) -> str:
    if name not in _CIPHERS and name not in _TLS_13_CIPHERS:
        raise ValueError(f"is not a cipher suite known here; known are: {', '.join(_CIPHERS)}")
    return name


def _check_hash(value: str) -> str:
    # The value is not shown: a hash can be guessed against, and a password put here by mistake even more so.
    if not re.fullmatch(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}", value):
        raise ValueError("must be a bcrypt hash, as `htpasswd -nBC 10 ''` prints it")
    return value


def _check_header(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII")
    return value


class TlsServer(Frozen):
    """TLS towards those who scrape."""

    cert_file: FilePath = Field(description="Certificate, and those between it and its authority (PEM).")
    key_file: FilePath = Field(description="Its key (PEM), without a passphrase.")
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = Field(
        "NoClientCert", description="Whether clients must show a certificate of client_ca_file."
    )
    client_ca_file: FilePath | None = Field(None, description="Authorities of clients' certificates (PEM).")
    client_allowed_sans: tuple[str, ...] = Field(
        (), strict=False, description="Client certificates must carry one of these alternative names."
    )
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_check_cipher)], ...] = Field(
        (), strict=False, description="TLS 1.2 suites by Go's names; those of TLS 1.3 cannot be chosen."
    )
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Literal["CurveP256", "CurveP384", "CurveP521"], ...] = Field(
        (), strict=False, max_length=1, description="The one curve to allow; left out: OpenSSL's choice."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if _VERSIONS[self.min_version] > _VERSIONS[self.max_version]:
            raise ValueError("has a min_version above max_version")
        if (self.client_auth_type == "NoClientCert") != (self.client_ca_file is None):
            raise ValueError(
                "needs client_ca_file and a client_auth_type other than NoClientCert together, or neither"
            )
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("has client_allowed_sans, which goes with client_auth_type: RequireAndVerifyClientCert")
        try:
            self.context()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ValueError(f"cannot be used: {getattr(error, 'reason', None) or error}") from None
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(file for file in (self.cert_file, self.key_file, self.client_ca_file) if file is not None)

    def context(self) -> ssl.SSLContext:
        """The files as they are now. Raises OSError (ssl.SSLError: a key of another certificate) or ValueError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The empty password keeps OpenSSL from asking for one at the terminal.
        context.load_cert_chain(self.cert_file, self.key_file, password="")
        context.minimum_version = _VERSIONS[self.min_version]
        context.maximum_version = _VERSIONS[self.max_version]
        context.verify_mode = _CLIENT_AUTH[self.client_auth_type]
        if self.client_ca_file is not None:
            context.load_verify_locations(self.client_ca_file)
        chosen = [_CIPHERS[name] for name in self.cipher_suites if name in _CIPHERS]
        if chosen:
            context.set_ciphers(":".join(chosen))
        if self.prefer_server_cipher_suites:
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        for curve in self.curve_preferences:
            context.set_ecdh_curve(_CURVES[curve])
        return context


class HttpServer(Frozen):
    """http2 is accepted and means nothing: the exporter speaks HTTP/1.1."""

    http2: bool = True
    headers: dict[HeaderName, Annotated[str, AfterValidator(_check_header)]] = Field(
        {}, description="Headers put on every answer."
    )


class RateLimit(Frozen):
    """A token bucket: `burst` requests at once, and one more every `interval`."""

    interval: Duration = Field(description="Time for one more request; 0s: no limit.")
    burst: int = Field(ge=1, description="Requests at once.")


def _check_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must be a path, such as /-/healthy")
    return value


class WebConfig(Frozen):
    """The web config file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, Annotated[str, AfterValidator(_check_hash)]] = Field(
        {}, repr=False, description="Passwords' bcrypt hashes, by user name; with any, paths ask for one."
    )
    auth_excluded_paths: frozenset[Annotated[str, AfterValidator(_check_path)]] = Field(
        frozenset(), strict=False, description="Paths that ask for no password, as they are asked for: /-/healthy."
    )
    rate_limit: RateLimit | None = Field(None, description="How many requests are answered; further ones get 429.")


def load_web_config(file: Path) -> WebConfig:
    """Raises ConfigError with every problem found. An empty file is one: it would let everybody in."""
    return Document.read(file, needs="tls_server_config or basic_auth_users").validate(WebConfig)
