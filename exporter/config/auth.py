"""How the exporter signs in at a vendor."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from exporter.config import templates
from exporter.config.fields import Frozen, NonEmptyText, PlainUrl, Text
from exporter.config.secrets import Secret


def _check_credential(secret: Secret) -> Secret:
    try:
        if secret.value is not None:
            templates.check_none(secret.value.get_secret_value())
    except ValueError as error:
        raise ValueError(f"{error}; give each organisation auth of its own") from None
    return secret


Credential = Annotated[Secret, AfterValidator(_check_credential)]


class BearerAuth(Frozen):
    """Authorization: Bearer TOKEN."""

    type: Literal["bearer"]
    token: Credential = Field(description="The token.")


class HeaderAuth(Frozen):
    """A key in a header of the vendor's own."""

    type: Literal["header"]
    name: str = Field("X-API-Key", pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", description="The header's name.")
    value: Credential = Field(description="The key.")


class BasicAuth(Frozen):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: Credential = Field(description="The user name; with env or file a secret, and so without a password.")
    password: Annotated[Credential | None, BeforeValidator(lambda value: value or None)] = Field(
        None, description="The password; left out or empty: none, for a key as user name."
    )

    def revealed(self) -> tuple[str, str]:
        """User name and password, which `redact` takes out from now on. Raises ValueError as Secret.text does."""
        if self.password is None:
            return self.username.reveal(), ""
        user = self.username.text() if self.username.value is not None else self.username.reveal()
        return user, self.password.reveal()


class OAuth2Auth(Frozen):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4): a token is fetched, kept, and renewed in time."""

    type: Literal["oauth2"]
    token_url: PlainUrl = Field(description="Where tokens are given out.")
    client_id: NonEmptyText = Field(description="The client's id.")
    client_secret: Credential = Field(description="The client's secret.")
    token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic", description="Where id and secret stand: in the Authorization header, or in the body."
    )
    scope: Text | None = Field(None, description="The scopes asked for, separated by spaces.")
    audience: Text | None = Field(None, description="The audience asked for, where the vendor wants one.")


class GoogleAuth(Frozen):
    """A Google service account, by its key: a signed assertion is exchanged for a token (RFC 7523), which is kept.

    https://developers.google.com/identity/protocols/oauth2/service-account
    """

    type: Literal["google"]
    key: Credential = Field(description="The service account's key file, whole: {file: key.json}.")
    scope: Text = Field(
        "https://www.googleapis.com/auth/cloud-platform.read-only",
        description="The scopes asked for, separated by spaces.",
    )


class AwsAuth(Frozen):
    """AWS Signature Version 4, with credentials from where botocore finds them: environment, files, instance role.

    Needs the extra `aws`: pip install 'api-usage-exporter[aws]'.
    """

    type: Literal["aws"]
    region: NonEmptyText = Field(description="Such as eu-central-1.")
    service: NonEmptyText = Field("apigateway", description="The service that is signed for.")
    profile: Text | None = Field(None, description="Profile of the AWS config files, instead of the usual one.")


Auth = Annotated[
    BearerAuth | HeaderAuth | BasicAuth | OAuth2Auth | GoogleAuth | AwsAuth,
    Field(discriminator="type"),
]
