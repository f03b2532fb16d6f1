"""The recording rules: of each scope the replica that read it last, and ratios and rates of what that one says."""

from exporter.metrics import (
    LIMIT,
    LIMIT_SHORTFALL,
    PACE,
    PERIOD_END,
    PERIOD_START,
    RATE_LIMIT,
    READ_TIME,
    REQUESTS,
    SEVERITY,
    THRESHOLD_RATIO,
)
from exporter.thresholds import (
    HYSTERESIS_RATIO,
    LIMIT_REACHED_RATIO,
    PAGING_MIN_PERIOD_SECONDS,
    RATIO_DECIMALS,
    Bands,
    Threshold,
)

from .promql import MAX_OF_REPLICAS, REPLICA, last
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

_PACE = last(PACE, 'window="1h"')

RATE = Recorded(
    record="scope:api_usage_requests_per_minute:rate1h",
    expr=f"{MAX_OF_REPLICAS} (sum without (window) ({_PACE}) and {FRESHEST})",
    comment="""
        Requests per minute over the last hour, as the exporter sees them: right through a vendor's correction and a
        new period, and absent where an hour is not known, as where the vendor updates its figures too seldom. An
        average: bursts within a minute do not show.
    """,
)
RATE_RATIO = Recorded(
    record="scope:api_usage_requests_per_rate_limit:ratio_rate1h",
    expr=f"""
        round(
          1e{RATIO_DECIMALS} * {RATE}
            / {MAX_OF_REPLICAS} ({last(RATE_LIMIT)} > 0 and {FRESHEST})
        ) / 1e{RATIO_DECIMALS}
    """,
    comment="The same as a part of the rate limit.",
)


SHORTFALL = Recorded(
    record="scope:api_usage_limit_shortfall:requests",
    expr=f"{MAX_OF_REPLICAS} ({last(LIMIT_SHORTFALL)} and {FRESHEST}) unless {SHORT_PERIOD}",
    comment="How many requests a limit lacks, by this billing period and the last.",
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
            (RATE, RATE_RATIO, SHORTFALL),
            comment="What is of an hour or a period needs no newer figure than a minute's.",
            interval="1m",
        ),
    )
