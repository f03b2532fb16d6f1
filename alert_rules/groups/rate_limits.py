"""Requests a minute, beside what is allowed in one."""

from exporter.metrics import RATE_LIMIT, REJECTED
from exporter.thresholds import RATE_LIMIT_HIGH_RATIO

from ..promql import MAX_OF_REPLICAS, last
from ..recording import RATE, RATE_RATIO
from ..rules import Alert, Group
from ..texts import (
    API,
    COUNT,
    DECIMAL,
    OF_SCOPE,
    ORGANISATION,
    OWNER,
    SCOPE,
    VALUE_COUNT,
    VALUE_PERCENT,
    inline,
    lines,
    newest,
)

_RATE_LIMIT = newest(RATE_LIMIT)
_BACK_OFF = lines(
    "Have clients wait and retry with exponential backoff, cache answers, and spread requests evenly",
    "over the minute. If that does not do,",
    f"ask {OWNER} for a higher rate limit.",
)

GROUP = Group(
    name="api-rate-limit",
    interval="1m",
    alerts=(
        Alert(
            name="ApiRateLimitHigh",
            expr=f"{RATE_RATIO} >= {RATE_LIMIT_HIGH_RATIO:g}",
            for_="10m",
            severity="warning",
            about="scope",
            summary=f"{ORGANISATION}: {SCOPE} ({API}) runs at {VALUE_PERCENT} of its rate limit",
            description=lines(
                OF_SCOPE,
                f"{ORGANISATION} made",
                inline(f"{RATE}{{$scope}}", DECIMAL),
                f"requests a minute of {SCOPE} at {API} over the last hour, {VALUE_PERCENT} of the",
                inline(_RATE_LIMIT, COUNT),
                "that are allowed in a minute. This is an average: in its busier minutes the vendor may refuse",
                "requests already.",
                _BACK_OFF,
            ),
        ),
        Alert(
            name="ApiRequestsRejected",
            comment="""
                By the lowest count of the last hour, so that a new period's 0 is the new start. Not delta(): in
                VictoriaMetrics, it takes a series that is new for one that began at 0.
            """,
            expr=f"""
                {MAX_OF_REPLICAS} (
                  {last(REJECTED)} - min_over_time({REJECTED.name}[1h])
                ) > 0
            """,
            for_="5m",
            severity="warning",
            about="scope",
            summary=f"{ORGANISATION}: requests of {SCOPE} ({API}) are refused over the rate limit",
            description=lines(
                OF_SCOPE,
                f"{API} has refused {VALUE_COUNT} request{{{{ if ne $value 1.0 }}}}s{{{{ end }}}} of {ORGANISATION}",
                f"for {SCOPE} in the last hour, as more came in a minute than",
                inline(_RATE_LIMIT, f"the {COUNT} that are", "is"),
                "allowed.",
                _BACK_OFF,
            ),
        ),
    ),
)
