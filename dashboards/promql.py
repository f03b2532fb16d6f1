"""PromQL from checked names: a selector refuses metrics and labels that the exporter does not publish.

Names of organisations and scopes may hold quotes, brackets and backslashes. Grafana escapes variables for
double-quoted strings, and not all of that right; in PromQL's `raw` strings nothing needs to be escaped, so that a
variable goes in as it is for `=`, and escaped for a regular expression, by its format `regex`, for `=~`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.metrics import API, CATALOGUE, DATE, ORGANISATION, SCOPE, Metric

ORGANISATION_KEYS = (API, ORGANISATION)
SCOPE_KEYS = (API, ORGANISATION, SCOPE)
DAY_KEYS = (*SCOPE_KEYS, DATE)

CLUSTER, NAMESPACE = "cluster", "namespace"
_TARGET = ("job", "instance")
# What one Prometheus that scrapes several of them tells them apart by; whoever has no such label matches "".
_PLACE = (CLUSTER, NAMESPACE)
TARGET_KEYS = (*_TARGET, *_PLACE)

# What comes from Prometheus itself and from the Python process.
TARGET_UP = Metric(name="up", kind="gauge", labels=_TARGET, help="1 if the last scrape worked.")
SCRAPE_DURATION = Metric(
    name="scrape_duration_seconds", kind="gauge", labels=_TARGET, help="How long the scrape took."
)
SCRAPE_SAMPLES = Metric(
    name="scrape_samples_scraped", kind="gauge", labels=_TARGET, help="How many samples a scrape brought."
)
MEMORY = Metric(name="process_resident_memory_bytes", kind="gauge", labels=(), help="Memory in use.")
CPU = Metric(name="process_cpu_seconds_total", kind="counter", labels=(), help="CPU time used.")
ALERTS = Metric(
    name="ALERTS", kind="gauge", labels=("alertname", "alertstate", "severity", *SCOPE_KEYS), help="Alerts by state."
)

FOREIGN = (TARGET_UP, SCRAPE_DURATION, SCRAPE_SAMPLES, MEMORY, CPU, ALERTS)

_KNOWN = frozenset((*CATALOGUE, *FOREIGN))
_SUFFIXES = {"": (), "_bucket": ("le",), "_sum": (), "_count": ()}


class UnknownNameError(ValueError):
    """A query names a metric or label that does not exist."""


@dataclass(frozen=True)
class Matcher:
    """How a label is compared: `=`, `!=` or `=~`, and with what, as it stands between backquotes."""

    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.operator}`{self.value}`"


Selection = Mapping[str, Matcher]


def one_of_variable(name: str) -> Matcher:
    """The label is the single choice of a dashboard variable."""
    return Matcher("=", f"${{{name}:raw}}")


def any_of_variable(name: str) -> Matcher:
    """The label is among the choices of a dashboard variable."""
    return Matcher("=~", f"${{{name}:regex}}")


def matching(pattern: str) -> Matcher:
    return Matcher("=~", pattern)


def different(value: str) -> Matcher:
    return Matcher("!=", value)


def equal(value: str) -> Matcher:
    return Matcher("=", value)


def select(metric: Metric, where: Selection | None = None, *, suffix: str = "", window: str = "") -> str:
    """A selector such as `api_usage_up{api=`x`}`.

    where: conditions by label; conditions on api, organisation and scope that the metric does not have are left
    out, so that one selection serves all metrics.
    suffix: of a histogram's series. window: such as `1h`, for a range.
    UnknownNameError for a metric that is not in the catalogue, and for any other label that it does not have.
    """
    if metric not in _KNOWN or suffix not in _SUFFIXES or (suffix and metric.kind != "histogram"):
        raise UnknownNameError(f"there is no metric {metric.name}{suffix}")
    labels = (*metric.labels, *TARGET_KEYS, *_SUFFIXES[suffix])
    for label in where or {}:
        if label not in labels and label not in SCOPE_KEYS:
            raise UnknownNameError(f"{metric.name} has no label {label}; it has {', '.join(labels)}")
    conditions = ",".join(f"{label}{matcher}" for label, matcher in (where or {}).items() if label in labels)
    braces = f"{{{conditions}}}" if conditions else ""
    return f"{metric.name}{suffix}{braces}{f'[{window}]' if window else ''}"


def several(keys: tuple[str, ...], where: Selection) -> tuple[str, ...]:
    """Those labels of which a selection has more than one value."""
    return tuple(key for key in keys if key not in where or where[key].operator != "=")


def aggregate(operator: str, keys: tuple[str, ...], query: str) -> str:
    """`max by (api, organisation) (…)`: what is derived per target first, the replica is aggregated away last."""
    return f"{operator} by ({', '.join(keys)}) ({query})"


def first_of(*queries: str) -> str:
    """Of queries with the same labels, the first that has an answer."""
    return " or ".join(queries)


def mark(query: str, value: float) -> str:
    """`value` wherever the query has a series, which has to be finite: a mark for the panel to show as a word."""
    nothing = f"({query}) * 0"
    return f"{nothing} {'-' if value < 0 else '+'} {abs(value):g}" if value else nothing
