"""How certificates are checked, and which one is shown."""

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from exporter.config.fields import CaFile, FilePath, Flag, Frozen


class Tls(Frozen):
    """How the server's certificate is checked, and which one is shown to it."""

    ca_file: CaFile | None = Field(None, description="CA certificates (PEM) to trust instead of the usual ones.")
    cert_file: FilePath | None = Field(None, description="Client certificate (PEM).")
    key_file: FilePath | None = Field(None, description="Its key (PEM); left out: in cert_file.")
    verify: Flag = Field(True, description="false: the server's certificate is not checked; for tests only.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("has key_file without cert_file")
        if self.ca_file is not None and not self.verify:
            raise ValueError("has ca_file, which verify: false would ignore")
        if self.cert_file is not None:
            self._check_key(self.cert_file)
        return self

    def _check_key(self, certificate: Path) -> None:
        wrong = "has a cert_file that does not hold a certificate and its key in PEM, without passphrase"
        if self.key_file is not None:
            wrong = "has a cert_file and a key_file that are not a certificate and its key in PEM, without passphrase"
        try:
            # The password is given, and wrong, so that nothing asks for it at a terminal.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(certificate, self.key_file, password="")
        except (ssl.SSLError, ValueError):
            raise ValueError(wrong) from None
