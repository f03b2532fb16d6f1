"""Scopes that are near their limits most days."""

from exporter.metrics import LIMIT
from exporter.thresholds import HISTORY_DAYS, NEAR_LIMIT_DAYS, NEAR_LIMIT_RATIO

from ..promql import DAY_SECONDS, last
from ..recording import DAYS_NEAR_LIMIT, PERIOD
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
    clause,
    lines,
    printed,
)

_NEAR_LIMIT = f"{DAYS_NEAR_LIMIT} >= {NEAR_LIMIT_DAYS}"
_DAY_SHARE = f"{NEAR_LIMIT_RATIO * 100:g}% or more of a day's share"
_SCOPES_NEAR_LIMIT = printed(f"{DAYS_NEAR_LIMIT}{{$organisation}} >= {NEAR_LIMIT_DAYS}")

GROUP = Group(
    name="api-usage-planning",
    alerts=(
        Alert(
            name="ApiUsageAddOnAdvised",
            expr=f"""
                {_NEAR_LIMIT}
                and ignoring (scope)
                count without (scope) ({_NEAR_LIMIT}) == 1
            """,
            for_="1h",
            severity="info",
            about="scope",
            summary=f"{ORGANISATION}: {SCOPE} ({API}) is near its limit most days; an add-on would help",
            description=lines(
                OF_SCOPE,
                f"On {VALUE_COUNT} of the last {HISTORY_DAYS} days {ORGANISATION} used {_DAY_SHARE}",
                f"of {SCOPE} at {API}",
                clause(
                    f"max({last(LIMIT, '$scope')}) / max({PERIOD}{{$scope}}) * {DAY_SECONDS}",
                    f"({COUNT}\n{UNIT_OF_SCOPE} a day)",
                ),
                ". It is the only scope of this plan that does: an add-on for it is likely to be enough.",
            ),
        ),
        Alert(
            name="ApiUsagePlanUpgradeAdvised",
            expr=f"count without (scope) ({_NEAR_LIMIT}) >= 2",
            for_="1h",
            severity="info",
            about="organisation",
            summary=(
                f"{ORGANISATION}: {{{{ $value }}}} scopes of {API} are near their limits most days; "
                "consider a larger plan"
            ),
            description=lines(
                OF_ORGANISATION,
                f"Of the last {HISTORY_DAYS} days, {ORGANISATION} used {_DAY_SHARE} on",
                f'{{{{- range $index, $scope := {_SCOPES_NEAR_LIMIT} | query | sortByLabel "scope" -}}}}',
                """{{ if $index }},{{ end }} {{ $scope.Value | printf "%.0f" }} days for {{ $scope.Labels.scope }}""",
                "{{- end -}}",
                f". With several scopes of {API} so near their limits, a larger plan is likely to cost less than an",
                "add-on for each.",
            ),
        ),
    ),
)
