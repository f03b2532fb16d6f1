"""How the exporter signs in at a vendor."""

from typing import Annotated, Literal

from pydantic import Field

from exporter.config.fields import AbsoluteUrl, Frozen
from exporter.config.secrets import Secret


class BearerAuth(Frozen):
    """Authorization: Bearer TOKEN."""

    type: Literal["bearer"]
    token: Secret = Field(description="The token.")


class HeaderAuth(Frozen):
    """A key in a header of the vendor's own."""

    type: Literal["header"]
    name: str = Field("X-API-Key", pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", description="The header's name.")
    value: Secret = Field(description="The key.")


class BasicAuth(Frozen):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: Secret = Field(description="The user name; with env or file a secret, and so without a password.")
    password: Secret | None = Field(None, description="The password; left out: none, for a key as user name.")

    def revealed(self) -> tuple[str, str]:
        """User name and password, which `redact` takes out from now on. Raises ValueError as Secret.text does."""
        if self.password is None:
            return self.username.reveal(), ""
        user = self.username.text() if self.username.value is not None else self.username.reveal()
        return user, self.password.reveal()


class OAuth2Auth(Frozen):
    """OAuth 2.0 client credentials (RFC 6749, section 4.4): a token is fetched, kept, and renewed in time."""

    type: Literal["oauth2"]
    token_url: AbsoluteUrl = Field(description="Where tokens are given out.")
    client_id: str = Field(min_length=1, description="The client's id.")
    client_secret: Secret = Field(description="The client's secret.")
    token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post"] = Field(
        "client_secret_basic", description="Where id and secret stand: in the Authorization header, or in the body."
    )
    scope: str | None = Field(None, description="The scopes asked for, separated by spaces.")
    audience: str | None = Field(None, description="The audience asked for, where the vendor wants one.")


class AwsAuth(Frozen):
    """AWS Signature Version 4, with credentials from where botocore finds them: environment, files, instance role.

    Needs the extra `aws`: pip install 'api-usage-exporter[aws]'.
    """

    type: Literal["aws"]
    region: str = Field(min_length=1, description="Such as eu-central-1.")
    service: str = Field("apigateway", min_length=1, description="The service that is signed for.")
    profile: str | None = Field(None, description="Profile of the AWS config files, instead of the usual one.")


Auth = Annotated[
    BearerAuth | HeaderAuth | BasicAuth | OAuth2Auth | AwsAuth,
    Field(discriminator="type"),
]
