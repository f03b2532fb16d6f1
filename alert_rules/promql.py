"""What the expressions have in common."""

from exporter.metrics import Metric

# What tells replicas of one exporter apart. All other labels stay, a cluster's or a namespace's too.
REPLICA = "instance, pod, container, endpoint"
# Replicas are taken together last.
MAX_OF_REPLICAS = f"max without ({REPLICA})"
MIN_OF_REPLICAS = f"min without ({REPLICA})"
# The largest also over the reasons of a failed poll.
MAX_OF_REPLICAS_AND_REASONS = f"max without ({REPLICA}, reason)"

DAY_SECONDS = 86_400


def last(metric: Metric, where: str = "", window: str = "10m") -> str:
    """The newest value of the window: a missed scrape neither restarts `for` nor resolves an alert.

    where: label matchers, or a template variable that holds them (see texts.py).
    """
    return f"last_over_time({metric.name}{f'{{{where}}}' if where else ''}[{window}])"
