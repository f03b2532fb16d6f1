"""The ladder: high, critical, limit reached."""

from exporter.thresholds import Bands

from ..moments import LIKELY_REACHED, REACHED_DEFINED
from ..recording import BAND, NEAR, RATIO, USED
from ..rules import Alert, Group
from ..texts import (
    API,
    OF_SCOPE,
    ORGANISATION,
    OWNER,
    PERIOD_LEFT,
    SCOPE,
    SO_MUCH_USED,
    SO_MUCH_USED_OVER,
    STALE_FIGURES,
    VALUE_COUNT,
    VALUE_PERCENT,
    VALUE_PERCENT_OVER,
    lines,
    printed,
)


def group(bands: Bands) -> Group:
    _, critical = bands.thresholds
    limit_reached = Alert(
        name="ApiUsageLimitReached",
        comment="A limit of 0 has no ratio, and any request is over it.",
        expr=f"""
            {NEAR} and {BAND} >= 3
            or
            {USED} and {BAND}
              unless {NEAR}
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
            f"Ask {OWNER} to raise the limit, or to switch off what needs it until the period ends.",
        ),
    )
    critical_used = Alert(
        name="ApiUsageCritical",
        comment=f"Exactly {critical.percent:g} % is still amber, as on the vendors' usage pages.",
        expr=f"{NEAR} and {BAND} >= 2",
        for_="2m",
        severity="critical",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT_OVER} of {SCOPE} ({API}) used",
        description=lines(
            OF_SCOPE,
            REACHED_DEFINED,
            SO_MUCH_USED_OVER,
            PERIOD_LEFT,
            STALE_FIGURES,
            LIKELY_REACHED,
            "At the limit the vendor refuses requests, or bills them extra. Stop what can wait (batch jobs,",
            f"crawlers, prefetching), cache answers, and ask {OWNER} to raise the limit now.",
        ),
    )
    high = Alert(
        name="ApiUsageHigh",
        expr=f"{NEAR} and {BAND} >= 1",
        for_="5m",
        severity="warning",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT} of {SCOPE} ({API}) used",
        description=lines(
            OF_SCOPE,
            SO_MUCH_USED,
            PERIOD_LEFT,
            STALE_FIGURES,
            f"Ask {OWNER} whether usage grows faster than it should, and who makes the requests; then plan in time",
            "for fewer requests or a higher limit.",
        ),
    )
    return Group(
        name="api-usage",
        interval="1m",
        comment="""
            One ladder. All of it reads the same recorded ratio, so that a new billing period, or a higher limit,
            resolves every band in the same evaluation: the end of a warning that a critical alert still inhibits is
            never sent. Hence no keep_firing_for, and no condition of one band that another does not have. The highest
            band stands first: its alert is sent a moment before those that it inhibits.
            Billing periods under a day do not page: an hourly window is over before anybody is awake.
        """,
        alerts=(limit_reached, critical_used, high),
    )
