"""Will it last: what the exporter forecasts, and what burns too fast to wait for a forecast."""

from exporter.metrics import (
    BURN_RATE,
    FORECAST_LIMIT_REACHED,
    FORECAST_PROBABILITY,
    PACE,
    PERIOD_END,
    PERIOD_START,
    RUNS_OUT_TIME,
)
from exporter.thresholds import (
    LIMIT_REACHED_RATIO,
    PROJECTED_CLEARED_PROBABILITY,
    PROJECTED_FOR_SECONDS,
    PROJECTED_LIKELY_PROBABILITY,
    PROJECTED_NEAR_RATIO,
)

from ..moments import MOMENT_DEFINED, REACHED, REACHED_DEFINED
from ..promql import MAX_OF_REPLICAS, REPLICA, last, where_published
from ..recording import FRESHEST, RATIO, SHORT_PERIOD
from ..rules import Alert, Group
from ..texts import (
    API,
    COUNT,
    DECIMAL,
    OF_SCOPE,
    ORGANISATION,
    OWNER,
    PERCENT,
    PERIOD_LEFT,
    REQUESTS_OF_LIMIT,
    SCOPE,
    STALE_FIGURES,
    UNIT_OF_SCOPE,
    VALUE_PERCENT,
    clause,
    inline,
    lines,
    printed,
    sentence,
)


def _fires(name: str) -> str:
    """As a condition of a target: whether the alert fired at the evaluation before."""
    return (
        f'and ignoring (alertname, alertstate, severity, {REPLICA}) ALERTS{{alertname="{name}",alertstate="firing"}}'
    )


def _reached(estimate: str) -> str:
    return last(FORECAST_LIMIT_REACHED, f'estimate="{estimate}"')


def _of_scope(window: str) -> str:
    """The pace, in an annotation."""
    return last(PACE, f"$scope,window='{window}'")


_SO_FAR = lines(
    "So far it has used",
    REQUESTS_OF_LIMIT,
    clause(f"{RATIO}{{$scope}}", f", {PERCENT}"),
    ".",
)

_PROJECTED = Alert(
    name="ApiUsageProjectedOverLimit",
    comment="""
        As exporter/forecast/alert.py decides, with which the forecast's figures were measured. What is likely and far
        off waits. A ticket stands down to a lower probability, so that it does not come and go: it asks whether it
        fires, hence rules must be evaluated at least every 4 minutes. At the limit others speak.
    """,
    expr=f"""
        {MAX_OF_REPLICAS} (
          (
            {last(FORECAST_PROBABILITY)} >= {PROJECTED_LIKELY_PROBABILITY:g}
            and ignoring (estimate)
            {_reached("likely")} <= ignoring (estimate)
              time() + {PROJECTED_NEAR_RATIO:g} * (
                {last(PERIOD_END)}
                  - {last(PERIOD_START)}
              )
            or
            {last(FORECAST_PROBABILITY)} >= {PROJECTED_CLEARED_PROBABILITY:g}
            {_fires("ApiUsageProjectedOverLimit")}
          )
          and {FRESHEST}
        )
        unless {RATIO} >= {LIMIT_REACHED_RATIO:g}
        unless {SHORT_PERIOD}
    """,
    for_=f"{PROJECTED_FOR_SECONDS // 3600}h",
    severity="warning",
    about="scope",
    summary=lines(
        OF_SCOPE,
        REACHED_DEFINED,
        f"{ORGANISATION}: the limit of {SCOPE} ({API}) is likely to be reached",
        REACHED,
    ),
    description=lines(
        OF_SCOPE,
        REACHED_DEFINED,
        f"With a probability of {VALUE_PERCENT} {ORGANISATION} reaches its limit of {SCOPE} at {API} before the",
        f"billing period ends; likely {REACHED}.",
        _SO_FAR,
        PERIOD_LEFT,
        STALE_FIGURES,
        f"Slow down what can wait, or ask {OWNER} to raise the limit before that day.",
    ),
)

_RECENT = f"max({_of_scope('recent')})"
_RUNS_OUT_SOON = Alert(
    name="ApiUsageRunsOutSoon",
    comment="The value is in how many seconds. As exporter/forecast/burning.py decides at each poll.",
    expr=f"""
        clamp_min(
          {MAX_OF_REPLICAS} ({where_published(RUNS_OUT_TIME)} and {FRESHEST})
            - time(), 0
        )
        unless {SHORT_PERIOD}
    """,
    for_="0m",
    severity="critical",
    about="scope",
    summary=(
        f"{ORGANISATION}: {{{{ if $value }}}}at the pace of the last minutes {SCOPE} ({API}) runs out in "
        f'{{{{ $value | humanizeDuration | reReplaceAll "([dhm]) [0-9.]+s$" "$1" }}}}'
        f"{{{{ else }}}}{SCOPE} ({API}) may have run out, and cannot be read{{{{ end }}}}"
    ),
    description=lines(
        OF_SCOPE,
        MOMENT_DEFINED,
        f"{{{{- with {printed(_RECENT)} | query -}}}}",
        f"{ORGANISATION} made\n{DECIMAL}\n{UNIT_OF_SCOPE} a minute of {SCOPE} at {API} in the last minutes.",
        "{{- else -}}",
        f"When it was last read, {ORGANISATION} used {SCOPE} at {API} at a pace that exhausts its limit.",
        "{{- end }}",
        "If that goes on, the limit is reached",
        '{{ with printf "vector(time() + %f)" $value | query -}}',
        '{{ if $value }}about {{ template "moment" (. | first | value) }}{{ else }}by now{{ end }}',
        "{{- end -}}",
        ", and the vendor then refuses requests, or bills them extra, until the billing period ends.",
        _SO_FAR,
        PERIOD_LEFT,
        STALE_FIGURES,
        "Find out what makes the requests (a loop, a retry storm, a new job) and stop or slow it now; else ask",
        f"{OWNER} to raise the limit.",
    ),
)


_TIMES = '{{ $value | printf "%.1f" }}'

_BURNING_FAST = Alert(
    name="ApiUsageBurningFast",
    comment="""
        The value is how many times a day's share of the limit the last 24 hours used. As exporter/forecast/burning.py
        decides at each poll.
    """,
    expr=f"{MAX_OF_REPLICAS} ({where_published(BURN_RATE)} and {FRESHEST}) unless {SHORT_PERIOD}",
    for_="15m",
    severity="warning",
    about="scope",
    summary=f"{ORGANISATION}: the last 24 hours used {_TIMES} times a day's share of {SCOPE} ({API})",
    description=lines(
        OF_SCOPE,
        f"In the last 24 hours {ORGANISATION} used",
        inline(f"max({_of_scope('1d')}) * 1440", COUNT),
        UNIT_OF_SCOPE,
        f"of {SCOPE} at {API}, {_TIMES} times what a day may use if the limit is to last for the billing period;",
        "at that pace it does not.",
        _SO_FAR,
        PERIOD_LEFT,
        sentence(
            f"{_of_scope('1d')} unless ignoring (window) {_of_scope('1h')}",
            "The vendor updates its figures too seldom to say what the last hour used.",
        ),
        f"Find out what makes the requests, and ask {OWNER} whether it is meant to go on.",
    ),
)

BURNING_GROUP = Group(
    name="api-usage-burning",
    comment="Whether the allowance is used up sooner than anybody planned. Each may end alone.",
    alerts=(_RUNS_OUT_SOON, _BURNING_FAST),
    interval="1m",
)
FORECAST_GROUP = Group(
    name="api-usage-forecast",
    comment="Whether the allowance lasts. Forecasts change with polls.",
    alerts=(_PROJECTED,),
    interval="3m",
)
