"""Secrets of the config file: inline, or where they stand. They are read at every poll, so that they may change."""

import os
import re
import unicodedata
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from exporter import redaction
from exporter.config import templates
from exporter.config.fields import FilePath, Flag, ShortForm, Text, read_file, scalar_as_text

# Keys and tokens are far shorter; more than this is another file.
_MOST_BYTES = 65_536


class Secret(ShortForm):
    """A secret: inline, from an environment variable, or from a file that is read again at every poll."""

    value: Annotated[SecretStr | None, BeforeValidator(scalar_as_text)] = Field(
        None, description="The secret itself."
    )
    env: Text | None = Field(None, description="Name of the environment variable that holds it.")
    file: FilePath | None = Field(None, description="File that holds it; a line break at its end is left off.")

    @classmethod
    def short(cls) -> str:
        return "value"

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: Any) -> Any:
        text = scalar_as_text(value)
        return {"value": text} if isinstance(text, str) else value

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if [self.value, self.env, self.file].count(None) != 2:  # noqa: PLR2004
            raise ValueError("needs exactly one of value, env and file")
        if self.value is not None:
            _check_inline(self.value.get_secret_value())
        self.text()
        return self

    def reveal(self) -> str:
        """The secret's present text, which `redact` takes out from now on. Raises ValueError as `text` does."""
        text = self.text()
        redaction.remember(text)
        return text

    @property
    def origin(self) -> str:
        """Where it comes from, for messages."""
        if self.env is not None:
            return f"the environment variable {self.env}"
        return f"the file {self.file}" if self.file is not None else "the secret"

    def text(self) -> str:
        """The present text, for values that are no secret. Raises ValueError where there is none, and shows none."""
        if self.value is not None:
            text = self.value.get_secret_value()
        elif self.env is not None:
            if self.env not in os.environ:
                hint = f"; write {self.env.lstrip('$')} without the $" if self.env.startswith("$") else ""
                raise ValueError(f"the environment variable {self.env} is not set{hint}")
            text = os.environ[self.env]
        else:
            text = self._read_file()
        origin = self.origin
        if not text:
            raise ValueError(f"{origin} is empty")
        if any(unicodedata.category(char) == "Cc" for char in text):
            raise ValueError(f"{origin} contains a line break or another control character")
        if text != text.strip():
            raise ValueError(f"{origin} begins or ends with a space")
        return text

    def _read_file(self) -> str:
        assert self.file is not None  # noqa: S101
        try:
            return read_file(self.file, _MOST_BYTES).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"the file {self.file} is not UTF-8 text") from None


def _check_inline(text: str) -> None:
    """Raises ValueError where the name of an environment variable stands in place of its value."""
    templates.check_variables(text, "{{env: {name}}}")
    if re.fullmatch(r"\$[A-Z_][A-Z0-9_]*", text):
        raise ValueError(f"has {text}, which nothing fills in; write {{env: {text[1:]}}}")


class Parameter(Secret):
    """A query parameter or header: a text, or a secret. An inline one is secret by its name, or by `secret`."""

    secret: Flag | None = Field(
        None, description="Whether an inline value is hidden wherever it comes back; left out: as its name sounds."
    )

    @model_validator(mode="after")
    def _secret_from_elsewhere(self) -> Self:
        if self.secret is False and self.value is None:
            raise ValueError("has secret: false, but what is read from env or file is always secret")
        return self

    def is_secret(self, name: str) -> bool:
        """Whether what is sent under this name is one."""
        if self.value is None:
            return True
        return redaction.is_secret_when_sent(name) if self.secret is None else self.secret
