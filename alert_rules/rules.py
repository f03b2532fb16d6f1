"""What a recording rule, an alert and a group of alerts are.

Expressions and comments may be indented, as in triple quotes: `build` takes that away.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recorded:
    """A recording rule. In another expression it stands for its name.

    comment: what the value is, for readers of the YAML.
    """

    record: str
    expr: str
    comment: str = ""

    def __str__(self) -> str:
        return self.record


@dataclass(frozen=True)
class Alert:
    """An alerting rule; its links to a dashboard and its runbook are added by `build`.

    for_: how long expr must hold, as Prometheus writes durations.
    about: what its labels name: a scope, an organisation, or only the exporter. The link to a dashboard leads there.
    summary, description: in Prometheus' template language; lines are joined by spaces. texts.py has parts for them.
    comment: for readers of the YAML.
    """

    name: str
    expr: str
    for_: str
    severity: Literal["critical", "warning", "info"]
    about: Literal["scope", "organisation", "exporter"]
    summary: str
    description: str
    comment: str = ""


@dataclass(frozen=True)
class Group:
    """Alerts that Prometheus evaluates one after the other, in this order.

    interval: as Prometheus writes durations; "" for that of its own config.
    """

    name: str
    alerts: tuple[Alert, ...]
    comment: str = ""
    interval: str = ""


@dataclass(frozen=True)
class RecordedGroup:
    """Recording rules that Prometheus evaluates one after the other, each after those that it reads.

    interval: as in Group.
    """

    name: str
    rules: tuple[Recorded, ...]
    comment: str = ""
    interval: str = ""
