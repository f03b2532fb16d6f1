"""An example beside the alerts: whether they reach anybody. Not about the exporter, so not among its rules."""

from ..rules import Alert, Group
from ..texts import lines

GROUP = Group(
    name="alerting-itself",
    comment="""
        Copy what your monitoring has not got already: kube-prometheus brings both, under names of its own.
    """,
    alerts=(
        Alert(
            name="AlertmanagerNotificationsFailing",
            comment="By integration: where one fails, another may still get through and carry this.",
            expr="""
                sum without (reason) (
                  increase(alertmanager_notifications_failed_total[15m])
                ) > 0
            """,
            for_="5m",
            severity="critical",
            about="exporter",
            summary="Alertmanager cannot send notifications by {{ $labels.integration }}",
            description=lines(
                "Alertmanager {{ $labels.instance }} failed to send",
                '{{ $value | printf "%.0f" }} notifications by {{ $labels.integration }} within 15 minutes: alerts',
                "may reach nobody. Its log says why; often a key has expired or an address has changed.",
            ),
        ),
        Alert(
            name="Watchdog",
            comment="""
                Always fires. Route it to a service that alerts when it hears nothing: Prometheus, Alertmanager and
                the way between them are well for as long as it does.
            """,
            expr="vector(1)",
            for_="0s",
            severity="info",
            about="exporter",
            summary="Alerting works",
            description="This alert always fires. Where it does not arrive, no other one does.",
        ),
    ),
)
