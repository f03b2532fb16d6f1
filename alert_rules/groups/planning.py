"""Scopes that need more than they have, in one billing period after the other."""

from exporter.metrics import FORECAST_REQUESTS, LIMIT, PREVIOUS_PERIOD, REQUESTS
from exporter.thresholds import PAGING_MIN_PERIOD_SECONDS, RATIO_DECIMALS, Bands

from ..promql import MAX_OF_REPLICAS, last, of_last_reader
from ..recording import PERIOD
from ..rules import Alert, Group
from ..texts import (
    API,
    COUNT,
    OF_ORGANISATION,
    OF_SCOPE,
    ORGANISATION,
    SCOPE,
    UNIT_OF_SCOPE,
    VALUE_COUNT,
    inline,
    lines,
    printed,
)


def _this_period(where: str = "") -> str:
    """Requests that are likely by the period's end; those so far where nobody knows."""
    forecast = ",".join(filter(None, (where, "estimate='middle'")))
    return f"(sum without (estimate) ({last(FORECAST_REQUESTS, forecast)}) or {last(REQUESTS, where)})"


def _missing(warning: float, where: str = "") -> str:
    """By how much the limit is too small for the usage to stay below the warning: in this period, as it is likely to
    end, if it is reached in the one before as well. Of each target that read last."""
    limit = f"({last(LIMIT, where)} > 0)"

    def reached(requests: str) -> str:
        return f"round(1e{RATIO_DECIMALS} * {requests} / {limit}) / 1e{RATIO_DECIMALS} >= {warning:g}"

    now = _this_period(where)
    return f"""{MAX_OF_REPLICAS} (
              ({now} / {warning:g} - {limit})
              and {reached(now)}
              and {reached(last(PREVIOUS_PERIOD, where))}
              {of_last_reader()}
            )
            unless {PERIOD} < {PAGING_MIN_PERIOD_SECONDS}"""


def group(bands: Bands) -> Group:
    warning = bands.thresholds[0]
    missing = _missing(warning.ratio)
    of_organisation = " ".join(_missing(warning.ratio, "$organisation").split())
    add_on = Alert(
        name="ApiUsageAddOnAdvised",
        comment="""
            By what is needed, in this period and the last: a scope that is busy on working days and quiet on weekends
            has enough. The value is by how much the limit falls short.
        """,
        expr=f"""
            {missing}
            and ignoring (scope)
            count without (scope) (
            {missing}
            ) == 1
        """,
        for_="6h",
        severity="info",
        about="scope",
        summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) is small for what is used; an add-on would help",
        description=lines(
            OF_SCOPE,
            f"{ORGANISATION} is likely to use",
            inline(f"max({_this_period('$scope')})", COUNT),
            UNIT_OF_SCOPE,
            f"of {SCOPE} at {API} in this billing period, and used",
            inline(f"max({last(PREVIOUS_PERIOD, '$scope')})", COUNT),
            "in the last; its limit is",
            inline(f"max({last(LIMIT, '$scope')})", f"{COUNT}."),
            f"To stay below {warning.percent:g}% of it takes {VALUE_COUNT} more. It is the only scope of this plan",
            "that needs more: an add-on for it is likely to be enough.",
        ),
    )
    upgrade = Alert(
        name="ApiUsagePlanUpgradeAdvised",
        expr=f"""
            count without (scope) (
            {missing}
            ) >= 2
        """,
        for_="6h",
        severity="info",
        about="organisation",
        summary=(
            f"{ORGANISATION}: the limits of {{{{ $value }}}} scopes of {API} are small for what is used; "
            "consider a larger plan"
        ),
        description=lines(
            OF_ORGANISATION,
            f"To stay below {warning.percent:g}% of its limits, {ORGANISATION} needs more at {API} in this billing",
            "period, as in the last:",
            f'{{{{- range $index, $scope := {printed(of_organisation)} | query | sortByLabel "scope" -}}}}',
            "{{ if $index }},{{ end }}",
            '{{ $scope.Value | printf "%.0f" }} for {{ $scope.Labels.scope }}',
            "{{- end -}}",
            f". With several scopes of {API} short of it, a larger plan is likely to cost less than an add-on for",
            "each.",
        ),
    )
    return Group(name="api-usage-planning", alerts=(add_on, upgrade))
