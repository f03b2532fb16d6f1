"""What the expressions have in common."""

from exporter.metrics import LAST_SUCCESS, SCOPE, Metric

# What tells replicas of one exporter apart. All other labels stay, a cluster's or a namespace's too.
REPLICA = "instance, pod, container, endpoint"
# Replicas are taken together last.
MAX_OF_REPLICAS = f"max without ({REPLICA})"
MIN_OF_REPLICAS = f"min without ({REPLICA})"
# The largest also over the reasons of a failed poll.
MAX_OF_REPLICAS_AND_REASONS = f"max without ({REPLICA}, reason)"

# A target of Prometheus; whoever has no such labels as cluster and namespace matches all the same.
TARGET = "job, instance, cluster, namespace"

DAY_SECONDS = 86_400


def last(metric: Metric, where: str = "", window: str = "10m") -> str:
    """The newest value of the window: a missed scrape neither restarts `for` nor resolves an alert.

    where: label matchers, or a template variable that holds them (see texts.py).
    """
    return f"last_over_time({metric.name}{f'{{{where}}}' if where else ''}[{window}])"


def where_published(metric: Metric) -> str:
    """The same of what is published of a scope only where it means something: data without it says that it does not;
    a missed scrape, and an exporter that has begun to read, say nothing."""
    return f"({metric.name} or {last(metric)} unless ignoring ({SCOPE}) {LAST_SUCCESS.name})"
