"""Scopes that need more than they have, in one billing period after the other."""

from exporter.metrics import FORECAST_REQUESTS, PREVIOUS_PERIOD

from ..promql import last
from ..recording import ALLOWED, FRESHEST, SHORTFALL, USED
from ..rules import Alert, Group
from ..texts import (
    API,
    COUNT,
    GROUPED,
    OF_ORGANISATION,
    OF_SCOPE,
    ORGANISATION,
    OWNER,
    SCOPE,
    UNIT_OF_SCOPE,
    VALUE_COUNT,
    inline,
    lines,
    newest,
    printed,
)

_LIKELY = last(FORECAST_REQUESTS, "$scope,estimate='middle'")
_THIS_PERIOD = f"max({_LIKELY} and ignoring (estimate) {FRESHEST}{{$scope}}) or max({USED}{{$scope}})"
_SHORT_OF_LIMIT = printed(f"{SHORTFALL}{{$organisation}}")


_ADD_ON = Alert(
    name="ApiUsageAddOnAdvised",
    comment="""
        By what is needed, in this period and the last: a scope that is busy on working days and quiet on weekends
        has enough. The value is by how much the limit falls short.
    """,
    expr=f"{SHORTFALL} and ignoring (scope) count without (scope) ({SHORTFALL}) == 1",
    for_="6h",
    severity="info",
    about="scope",
    summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) is small for what is used; an add-on would help",
    description=lines(
        OF_SCOPE,
        f"{ORGANISATION} is likely to use",
        inline(_THIS_PERIOD, COUNT),
        UNIT_OF_SCOPE,
        f"of {SCOPE} at {API} in this billing period, and used",
        inline(newest(PREVIOUS_PERIOD), COUNT),
        "in the last; its limit is",
        inline(f"{ALLOWED}{{$scope}}", f"{COUNT}."),
        f"To stay below its warning takes {VALUE_COUNT} more. It is the only scope of this plan that",
        f"needs more: an add-on for it is likely to be enough. Ask {OWNER} for one.",
    ),
)
_UPGRADE = Alert(
    name="ApiUsagePlanUpgradeAdvised",
    expr=f"count without (scope) ({SHORTFALL}) >= 2",
    for_="6h",
    severity="info",
    about="organisation",
    summary=(
        f"{ORGANISATION}: the limits of {{{{ $value }}}} scopes of {API} are small for what is used; "
        "consider a larger plan"
    ),
    description=lines(
        OF_ORGANISATION,
        f"To stay below the warnings of its limits, {ORGANISATION} needs more at {API} in this billing",
        "period, as in the last:",
        f'{{{{- range $index, $scope := {_SHORT_OF_LIMIT} | query | sortByLabel "scope" -}}}}',
        "{{ if $index }},{{ end }}",
        f"{{{{ $scope.Value | {GROUPED} }}}} for {{{{ $scope.Labels.scope }}}}",
        "{{- end -}}",
        f". With several scopes of {API} short of it, a larger plan is likely to cost less than an add-on for",
        f"each: ask {OWNER} for one.",
    ),
)

GROUP = Group(name="api-usage-planning", alerts=(_ADD_ON, _UPGRADE), interval="5m")
