"""The recording rules: ratios and rates of API usage, per target first, over the replicas last."""

from exporter.metrics import (
    DAILY,
    LAST_SUCCESS,
    LIMIT,
    PERIOD_END,
    PERIOD_START,
    POLL_INTERVAL,
    RATE_LIMIT,
    READ_TIME,
    REQUESTS,
    SEVERITY,
    THRESHOLD_RATIO,
)
from exporter.thresholds import (
    HISTORY_DAYS,
    HYSTERESIS_RATIO,
    LIMIT_REACHED_RATIO,
    NEAR_LIMIT_RATIO,
    PAGING_MIN_PERIOD_SECONDS,
    PROJECTION_MIN_ELAPSED_RATIO,
    RATIO_DECIMALS,
    Bands,
    Threshold,
)

from .promql import DAY_SECONDS, MAX_OF_REPLICAS, MIN_OF_REPLICAS, REPLICA, last
from .rules import Recorded, RecordedGroup

FRESHEST = Recorded(
    record="instance_scope:api_usage_read:timestamp_seconds_freshest",
    expr=f"""
        topk without ({REPLICA}) (1,
          {last(READ_TIME)}
          or
          {last(REQUESTS)} / 1e15
        )
    """,
    comment="""
        Of each scope's replicas, the one that read it last, and when. A replica that cannot poll keeps its last
        values for as long as their period lasts: the largest of all would hide a raised limit or a correction.
        Exporters that do not publish when they read come last, of several the one with the highest usage.
    """,
)
USED = Recorded(
    record="scope:api_usage_requests:freshest",
    expr=f"{MAX_OF_REPLICAS} ({last(REQUESTS)} and {FRESHEST})",
)
ALLOWED = Recorded(
    record="scope:api_usage_limit_requests:freshest",
    expr=f"""
        {MAX_OF_REPLICAS} (
          {last(LIMIT)} and {FRESHEST}
            unless ({REQUESTS.name} unless {LIMIT.name})
        )
    """,
    comment="Without the limit of a scope that has become unlimited: its requests are there, and its limit is not.",
)
RATIO = Recorded(
    record="scope:api_usage_requests_per_limit:ratio",
    expr=f"""
        round(
          1e{RATIO_DECIMALS} * {USED}
            / ({ALLOWED} > 0)
        ) / 1e{RATIO_DECIMALS}
    """,
    comment="""
        Used part of the limit: 0.75 is 75 %, more than 1 is over the limit. Rounded, since as floats 0.07 of 0.1 is
        more than 0.7, and usage that is exactly at an alert's boundary would be beyond it.
    """,
)
SHORT_PERIOD = Recorded(
    record="scope:api_usage_billing_period:seconds_short",
    expr=f"""
        {MAX_OF_REPLICAS} (
          {last(PERIOD_END)} - {last(PERIOD_START)} < {PAGING_MIN_PERIOD_SECONDS}
            and {FRESHEST}
        )
    """,
    comment="The length of billing periods that are too short to page for: over before anybody is awake.",
)
_BAND = "scope:api_usage_requests_per_limit:band"


def own_thresholds(bands: Bands) -> tuple[Recorded, Recorded]:
    """Where scopes have other thresholds than these."""
    warning, critical = bands.thresholds
    return _own_threshold("warning", warning), _own_threshold("critical", critical)


def _own_threshold(severity: str, usual: Threshold) -> Recorded:
    return Recorded(
        record=f"scope:api_usage_threshold:ratio_{severity}",
        expr=f"""
            max without ({REPLICA}, {SEVERITY}) (
              {last(THRESHOLD_RATIO, f'{SEVERITY}="{severity}"')} != {usual.ratio:g}
                and ignoring ({SEVERITY}) {FRESHEST}
            )
        """,
        comment=f"Where a scope's own {severity} begins, if not at {usual.percent:g} %.",
    )


def band(bands: Bands) -> Recorded:
    """How far up the ladder each scope is."""
    warning, critical = bands.thresholds
    own_warning, own_critical = own_thresholds(bands)
    steps = (
        _step(1, warning.operator, f"({own_warning} or {warning.ratio:g} + 0 * {RATIO})"),
        _step(2, critical.operator, f"({own_critical} or {critical.ratio:g} + 0 * {RATIO})"),
        _step(3, ">=", f"{LIMIT_REACHED_RATIO:g}"),
    )
    return Recorded(
        record=_BAND,
        expr=f"""
            (
              {_joined(steps)}
                > 0
              or
              3 * ({USED} > bool 0 and {ALLOWED} == 0) > 0
            )
            unless {SHORT_PERIOD}
        """,
        comment=f"""
            How far up the ladder a scope is: 1 high, 2 critical, 3 at its limit. What is in a band leaves it only
            {HYSTERESIS_RATIO * 100:g} % below its beginning, so that usage that hovers there pages once; a new
            period or a higher limit is far below, and ends all of them in one evaluation. A limit of 0 has no ratio,
            and any request is over it.
        """,
    )


def _step(number: int, operator: str, begins: str) -> str:
    """1 where the ratio is in the band of this number, else 0."""
    was_in = f"({_BAND} >= bool {number} or 0 * {RATIO})"
    return f"({RATIO} {operator} bool {begins} * (1 - {HYSTERESIS_RATIO:g} * {was_in}))"


def _joined(steps: tuple[str, ...]) -> str:
    return "\n                + ".join(steps)


BAND = Recorded(record=_BAND, expr="")

TARGET_RATE = Recorded(
    record="instance_scope:api_usage_requests_per_minute:rate1h",
    expr=f"""
        60 * clamp_min(delta({REQUESTS.name}[1h]), 0)
          / ignoring (scope) group_left ()
        (delta({LAST_SUCCESS.name}[1h]) >= 60)
        unless changes({PERIOD_START.name}[1h]) > 0
        and ignoring (scope) {last(POLL_INTERVAL)} <= 1200
    """,
    comment="""
        Requests per minute over the last hour: what usage grew by, over the time between the polls that saw it. Both
        deltas span the same samples, so that an outage of the polls is averaged over its length; a vendor's
        correction lowers it, never below 0 (rate() would take it for a counter's reset and show a spike). Left out in
        the hour after a period began, while the polls seen span less than a minute, and where polls are more than
        20 minutes apart. An average: bursts within a minute do not show.
    """,
)
RATE = Recorded(
    record="scope:api_usage_requests_per_minute:rate1h",
    expr=f"{MAX_OF_REPLICAS} ({TARGET_RATE})",
)
RATE_RATIO = Recorded(
    record="scope:api_usage_requests_per_rate_limit:ratio_rate1h",
    expr=f"""
        {MAX_OF_REPLICAS} (
          round(
            1e{RATIO_DECIMALS} * {TARGET_RATE}
              / ({last(RATE_LIMIT)} > 0)
          ) / 1e{RATIO_DECIMALS}
        )
    """,
    comment="The same as a part of the rate limit.",
)


# What goes with the alerts on it.
TARGET_RATIO = Recorded(
    record="instance_scope:api_usage_requests_per_limit:ratio",
    expr=f"""
        round(
          1e{RATIO_DECIMALS} * {last(REQUESTS)}
            / ({last(LIMIT)} > 0)
        ) / 1e{RATIO_DECIMALS}
    """,
    comment="""
        Used part of the limit: 0.75 is 75 %, more than 1 is over the limit. Rounded, since as floats 0.07 of 0.1 is
        more than 0.7, and usage that is exactly at an alert's boundary would be beyond it.
    """,
)
PERIOD = Recorded(
    record="scope:api_usage_billing_period:seconds",
    expr=f"""
        {MAX_OF_REPLICAS} (
          {last(PERIOD_END)}
            - {last(PERIOD_START)}
        )
    """,
    comment="Length of the billing period, in seconds.",
)

TARGET_ELAPSED = Recorded(
    record="instance_scope:api_usage_billing_period_elapsed:ratio",
    expr=f"""
        clamp(
          (
            {last(LAST_SUCCESS)}
              - ignoring (scope) group_right ()
            {last(PERIOD_START)}
          )
          / (
            {last(PERIOD_END)}
              - {last(PERIOD_START)}
          ),
          0, 1
        )
    """,
    comment="""
        Part of the billing period that had passed when the usage was read, 0 to 1. By the data's time, not by now:
        while the vendor is down usage stands still, and a projection by now would sink and resolve its alert.
    """,
)
PROJECTED_RATIO = Recorded(
    record="scope:api_usage_requests_per_limit:ratio_projected",
    expr=f"""
        {MAX_OF_REPLICAS} (
          round(
            1e{RATIO_DECIMALS} * {TARGET_RATIO}
              / ({TARGET_ELAPSED} >= {PROJECTION_MIN_ELAPSED_RATIO:g})
          ) / 1e{RATIO_DECIMALS}
        )
    """,
    comment="""
        Used part of the limit at the period's end, if the rest of it goes on as the part that has passed. Not before
        a tenth of the period has passed: a few busy minutes would project to anything.
    """,
)
LIMIT_REACHED_AT = Recorded(
    record="scope:api_usage_limit_reached_projected:timestamp_seconds",
    expr=f"""
        {MIN_OF_REPLICAS} (
          {last(PERIOD_START)}
            + (
              {last(PERIOD_END)}
                - {last(PERIOD_START)}
            )
            / (
              round(
                1e{RATIO_DECIMALS} * {TARGET_RATIO}
                  / ({TARGET_ELAPSED} >= {PROJECTION_MIN_ELAPSED_RATIO:g})
              ) / 1e{RATIO_DECIMALS}
              > {LIMIT_REACHED_RATIO:g}
            )
        )
    """,
    comment="When that pace meets the limit, in Unix time; only where it does before the period ends.",
)

DAYS_NEAR_LIMIT = Recorded(
    record="scope:api_usage_days_near_limit:count30d",
    expr=f"""
        {MAX_OF_REPLICAS} (
          count without (date) (
            round(
              1e{RATIO_DECIMALS} * {last(DAILY)}
                / ignoring (date) group_left ()
              (
                ({last(LIMIT)} > 0) * {DAY_SECONDS}
                  / (
                    {last(PERIOD_END)}
                      - {last(PERIOD_START)}
                  )
              )
            ) / 1e{RATIO_DECIMALS} >= {NEAR_LIMIT_RATIO:g}
          )
        )
    """,
    comment=f"""
        On how many of the last {HISTORY_DAYS} days the day's requests were
        {NEAR_LIMIT_RATIO * 100:g} % or more of limit / days in the period. From the daily series, which reaches back
        to before Prometheus knew the scope; absent where there was no such day.
    """,
)


def groups(bands: Bands) -> tuple[RecordedGroup, ...]:
    """bands: where those begin of which the exporter publishes no thresholds."""
    return (
        RecordedGroup(
            "api-usage-recording",
            (FRESHEST, USED, ALLOWED, RATIO, SHORT_PERIOD, *own_thresholds(bands), band(bands)),
        ),
        RecordedGroup(
            "api-usage-recording-slow",
            (TARGET_RATE, RATE, RATE_RATIO),
            comment="Averages of an hour need no newer figure than a minute's.",
            interval="1m",
        ),
        RecordedGroup(
            "api-usage-recording-former",
            (TARGET_RATIO, PERIOD, TARGET_ELAPSED, PROJECTED_RATIO, LIMIT_REACHED_AT, DAYS_NEAR_LIMIT),
        ),
    )
