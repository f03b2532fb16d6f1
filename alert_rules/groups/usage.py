"""The ladder: high, critical, limit reached; and what is to come."""

from exporter.thresholds import LIMIT_REACHED_RATIO, PAGING_MIN_PERIOD_SECONDS, Bands

from ..recording import BAND, PERIOD, PROJECTED_RATIO, RATIO, USED
from ..rules import Alert, Group
from ..texts import (
    API,
    DATE,
    OF_SCOPE,
    OF_WORST_REPLICA,
    ORGANISATION,
    PERCENT,
    PERIOD_LEFT,
    PROJECTION,
    REACHED_AT,
    REQUESTS_OF_LIMIT,
    SCOPE,
    SO_MUCH_USED,
    SO_MUCH_USED_OVER,
    STALE_FIGURES,
    VALUE_COUNT,
    VALUE_PERCENT,
    VALUE_PERCENT_OVER,
    clause,
    lines,
    printed,
    sentence,
)

# An hourly window is over before anybody is awake.
_UNLESS_SHORT = f"unless {PERIOD} < {PAGING_MIN_PERIOD_SECONDS}"


def group(bands: Bands) -> Group:
    _, critical = bands.thresholds
    limit_reached = Alert(
        name="ApiUsageLimitReached",
        comment="A limit of 0 has no ratio, and any request is over it.",
        expr=f"""
            {RATIO} and {BAND} >= 3
            or
            {USED} and {BAND} >= 3
              unless {RATIO}
        """,
        for_="1m",
        severity="critical",
        about="scope",
        summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) is reached",
        description=lines(
            OF_SCOPE,
            f"{{{{ with {printed(f'{RATIO}{{$scope}}')} | query -}}}}",
            SO_MUCH_USED,
            "{{- else -}}",
            f"{ORGANISATION} has used",
            f"{VALUE_COUNT} requests of {SCOPE} at {API}, and its limit is 0: none is allowed.",
            "{{- end }}",
            PERIOD_LEFT,
            STALE_FIGURES,
            f"The vendor now refuses requests, or bills them extra: expect errors wherever {SCOPE} is used.",
            "Have the limit raised, or switch off what needs it, until the period ends.",
        ),
    )
    critical_used = Alert(
        name="ApiUsageCritical",
        comment=f"Exactly {critical.percent:g} % is still amber, as on the vendors' usage pages.",
        expr=f"{RATIO} and {BAND} >= 2",
        for_="2m",
        severity="critical",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT_OVER} of {SCOPE} ({API}) used",
        description=lines(
            OF_SCOPE,
            SO_MUCH_USED_OVER,
            PERIOD_LEFT,
            STALE_FIGURES,
            PROJECTION,
            "At the limit the vendor refuses requests, or bills them extra. Stop what can wait (batch jobs,",
            "crawlers, prefetching), cache answers, and ask the owner of the plan to raise the limit now.",
        ),
    )
    high = Alert(
        name="ApiUsageHigh",
        expr=f"{RATIO} and {BAND} >= 1",
        for_="5m",
        severity="warning",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT} of {SCOPE} ({API}) used",
        description=lines(
            OF_SCOPE,
            SO_MUCH_USED,
            PERIOD_LEFT,
            STALE_FIGURES,
            "Find out whether usage grows faster than it should, and who makes the requests; then plan in time for",
            "fewer requests or a higher limit.",
        ),
    )
    projected = Alert(
        name="ApiUsageProjectedOverLimit",
        expr=f"""
            {PROJECTED_RATIO} > {LIMIT_REACHED_RATIO:g}
            {_UNLESS_SHORT}
        """,
        for_="30m",
        severity="warning",
        about="scope",
        summary=lines(
            OF_SCOPE,
            f"{ORGANISATION}: at this pace the limit of {SCOPE} ({API}) is reached",
            sentence(REACHED_AT, f"on {DATE}"),
        ),
        description=lines(
            OF_WORST_REPLICA,
            f"If the rest of the billing period goes on as the part that has passed, {ORGANISATION} needs",
            f"{VALUE_PERCENT} of its limit of {SCOPE} at {API}",
            clause(REACHED_AT, f", and reaches it on {DATE} (UTC)"),
            ". So far it has used",
            REQUESTS_OF_LIMIT,
            clause(f"{RATIO}{{$scope}}", f", {PERCENT}"),
            ".",
            PERIOD_LEFT,
            STALE_FIGURES,
            "Slow down what can wait, or have the limit raised before that day.",
        ),
    )
    return Group(
        name="api-usage",
        comment="""
            One ladder. All of it reads the same recorded ratio, so that a new billing period, or a higher limit,
            resolves every band in the same evaluation: the end of a warning that a critical alert still inhibits is
            never sent. Hence no keep_firing_for, and no condition of one band that another does not have. The highest
            band stands first: its alert is sent a moment before those that it inhibits.
            Billing periods under a day do not page: an hourly window is over before anybody is awake.
        """,
        alerts=(limit_reached, critical_used, high, projected),
    )
