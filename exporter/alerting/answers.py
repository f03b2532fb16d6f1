"""The answers of Alertmanager and of Prometheus -> alerts. Pure.

Alertmanager, GET /api/v2/alerts: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
Prometheus, GET /api/v1/alerts: https://prometheus.io/docs/prometheus/latest/querying/api/#alerts
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from exporter.errors import ResponseError
from exporter.model import Alert, AlertState

ALERTMANAGER_PATH = "/api/v2/alerts"
PROMETHEUS_PATH = "/api/v1/alerts"

_Labels = dict[str, str]


class _Status(BaseModel):
    state: str
    silencedBy: list[str] = []  # noqa: N815 - the API's names
    inhibitedBy: list[str] = []  # noqa: N815
    mutedBy: list[str] = []  # noqa: N815 - from 0.28 on


class _Receiver(BaseModel):
    name: str


class _Routed(BaseModel):
    labels: _Labels
    startsAt: datetime  # noqa: N815
    status: _Status
    receivers: list[_Receiver] = []


class _Evaluated(BaseModel):
    labels: _Labels
    name: str = ""  # vmalert has it here alone
    state: str
    activeAt: datetime  # noqa: N815


class _Data(BaseModel):
    alerts: list[_Evaluated] | None


class _Answer(BaseModel):
    data: _Data


_ROUTED = TypeAdapter(list[_Routed])
_STATES = {"pending": AlertState.PENDING}


def of_alertmanager(body: Any) -> tuple[Alert, ...]:
    """body: parsed JSON. Raises ResponseError."""
    try:
        found = _ROUTED.validate_python(body)
    except ValidationError as error:
        raise _foreign("an Alertmanager", error) from None
    return tuple(
        _alert(one.labels, one.startsAt, _state(one.status), tuple(to.name for to in one.receivers)) for one in found
    )


def of_prometheus(body: Any) -> tuple[Alert, ...]:
    """body: parsed JSON. Raises ResponseError."""
    try:
        found = _Answer.model_validate(body).data.alerts or []
    except ValidationError as error:
        raise _foreign("a Prometheus", error) from None
    return tuple(
        _alert({"alertname": one.name, **one.labels}, one.activeAt, _STATES.get(one.state, AlertState.FIRING), ())
        for one in found
    )


def _state(status: _Status) -> AlertState:
    if status.silencedBy or status.mutedBy:
        return AlertState.SILENCED
    return AlertState.INHIBITED if status.inhibitedBy else AlertState.FIRING


def _alert(labels: Mapping[str, str], since: datetime, state: AlertState, receivers: tuple[str, ...]) -> Alert:
    return Alert(
        name=labels.get("alertname", ""),
        severity=labels.get("severity", ""),
        api=labels.get("api", ""),
        organisation=labels.get("organisation", ""),
        scope=labels.get("scope", ""),
        since=since,
        state=state,
        receivers=receivers,
    )


def _foreign(what: str, error: ValidationError) -> ResponseError:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the whole"
    return ResponseError(f"the answer is not that of {what}: {place}: {first['msg']}")
