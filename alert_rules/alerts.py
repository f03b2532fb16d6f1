"""The groups of alerts, in the order of alerts.yaml; each is a module of `groups`.

To add an alert: an Alert in the group's module, a template of its runbook in templates/runbooks/, cases in tests/ in
which it fires and is silent, a row in docs/alerts.md and README.md; then `make generate`.
"""

from exporter.thresholds import Bands

from .groups import exporter, forecast, inventory, planning, rate_limits, terms, usage
from .rules import Group


def groups(bands: Bands) -> tuple[Group, ...]:
    """bands: where the ladder's warning and critical alerts begin."""
    return (
        usage.group(bands),
        forecast.BURNING_GROUP,
        forecast.FORECAST_GROUP,
        rate_limits.GROUP,
        terms.GROUP,
        planning.GROUP,
        inventory.GROUP,
        exporter.GROUP,
    )
