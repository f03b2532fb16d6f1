"""What is asked of a vendor: a request, its parameters, and how its pages go on."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.config import templates
from exporter.config.expressions import JmesPath
from exporter.config.fields import Frozen, NonEmptyText, UrlTemplate
from exporter.config.secrets import Parameter

HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


def _check_template(parameter: Parameter) -> Parameter:
    if parameter.value is not None:
        templates.check(parameter.value.get_secret_value())
    return parameter


Value = Annotated[Parameter, AfterValidator(_check_template)]


class Paging(Frozen):
    """How an answer of several pages is read: to its end, or the poll fails."""

    by: Literal["link", "url", "cursor", "page", "offset"] = Field(
        description="link: the Link header's next; url: a URL in the answer; cursor: a value of the answer; "
        "page: a number that counts up; offset: how many items there were so far."
    )
    items: str = Field(
        "@",
        pattern=r"^(@|[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*)$",
        description="Where the list, or the object, stands that the pages share: names with dots, or @.",
    )
    parameter: NonEmptyText | None = Field(
        None, description="Query parameter that carries the cursor, the page number or the offset."
    )
    cursor: JmesPath | None = Field(None, description="The next cursor in the answer; null or empty: last page.")
    next_url: JmesPath | None = Field(
        None, description="The next page's URL in the answer, on the same host; null or empty: last page."
    )
    first_page: int = Field(1, ge=0, description="Number of the first page.")
    more: JmesPath | None = Field(
        None, description="Whether there is another page; if left out, the first page without items is the last."
    )
    max_pages: int = Field(100, ge=1, le=10_000, description="More pages than these are a failure.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.by == "cursor" and (self.parameter is None or self.cursor is None):
            raise ValueError("by: cursor needs cursor and parameter")
        if self.by in ("page", "offset") and self.parameter is None:
            raise ValueError(f"by: {self.by} needs parameter")
        if self.by == "url" and self.next_url is None:
            raise ValueError("by: url needs next_url")
        return self


class Request(Frozen):
    """A request to the vendor. Placeholders in url, params, headers and body: docs/configuration.md."""

    url: UrlTemplate = Field(description="The usage endpoint; a path where base_url is given.")
    method: Literal["GET", "HEAD", "POST"] = Field("GET", description="POST where a body is given.")
    params: dict[str, Value] = Field({}, description="Query parameters; each a text or a secret.")
    headers: dict[HeaderName, Value] = Field({}, description="Headers; each a text or a secret.")
    body: Any = Field(None, description="JSON to send, such as a GraphQL query and its variables.")
    paging: Paging | None = Field(None, description="How further pages are asked for.")
    read: Literal["body", "rate_limit_headers"] = Field(
        "body", description="rate_limit_headers: the answer's RateLimit and X-RateLimit headers instead of its body."
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.method == "HEAD" and self.read == "body":
            raise ValueError("method: HEAD brings no body; it goes with read: rate_limit_headers")
        if self.method != "GET" and self.paging is not None and self.paging.by in ("link", "url"):
            raise ValueError(f"paging by: {self.paging.by} goes with method: GET")
        return self

    @property
    def texts(self) -> list[str]:
        """Wherever placeholders may stand."""
        values = [*self.params.values(), *self.headers.values()]
        inline = [value.value.get_secret_value() for value in values if value.value is not None]
        return [self.url, str(self.body), *inline]

    @property
    def sent_as(self) -> str:
        return "POST" if self.body is not None else self.method
