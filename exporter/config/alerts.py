"""Where the alerts can be asked for that the usage page shows beside the cards."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from exporter.config.auth import Auth
from exporter.config.fields import Duration, Frozen, PlainUrl, at_most
from exporter.config.tls import Tls


class AlertsSource(Frozen):
    """An Alertmanager, which knows to whom alerts go and what is silenced, or whatever evaluates the rules."""

    alertmanager: PlainUrl | None = Field(None, description="Such as http://alertmanager:9093.")
    prometheus: PlainUrl | None = Field(
        None,
        description="Such as http://prometheus:9090, instead of alertmanager; vmalert, Mimir and Thanos Ruler too.",
    )
    auth: Auth | None = Field(None, description="How the exporter signs in there.")
    tls: Tls = Field(Tls(), description="Certificates, where the usual ones do not do.")
    interval: Annotated[Duration, at_most("1h")] = Field(
        "30s", validate_default=True, ge=1, description="How often it is asked."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.alertmanager is None) == (self.prometheus is None):
            raise ValueError("needs exactly one of alertmanager and prometheus, the URL of either")
        return self

    @property
    def name(self) -> str:
        """What it is, for people."""
        return "Prometheus" if self.alertmanager is None else "Alertmanager"
