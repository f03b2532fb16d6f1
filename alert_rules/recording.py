"""The recording rules: of each scope the replica that read it last, and ratios and rates of what that one says."""

from exporter.metrics import (
    LAST_RENDER_TIME,
    LIMIT,
    LIMIT_SHORTFALL,
    PACE,
    PERIOD_SHORT,
    RATE_LIMIT,
    READ_TIME,
    REQUESTS,
    SEVERITY,
    THRESHOLD_RATIO,
)
from exporter.thresholds import (
    CLOCK_AHEAD_SECONDS,
    HYSTERESIS_RATIO,
    LIMIT_REACHED_RATIO,
    RATIO_DECIMALS,
    Bands,
    Threshold,
)

from .promql import MAX_OF_REPLICAS, REPLICA, TARGET, last, where_published
from .rules import Recorded, RecordedGroup

CLOCK_AHEAD = Recorded(
    record="instance:api_usage_exporter_clock:seconds_ahead",
    expr=f"{LAST_RENDER_TIME.name} - timestamp({LAST_RENDER_TIME.name}) > {CLOCK_AHEAD_SECONDS}",
    comment="By how much an exporter's clock is ahead of Prometheus', where that is more than a rendering is old.",
)
FRESHEST = Recorded(
    record="instance_scope:api_usage_read:timestamp_seconds_freshest",
    expr=f"""
        topk without ({REPLICA}) (1,
          {last(READ_TIME)}
            - on ({TARGET}) group_left () max by ({TARGET}) (last_over_time({CLOCK_AHEAD}[10m]))
          or
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
          {where_published(LIMIT)} and {FRESHEST}
        )
    """,
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
    record="scope:api_usage_billing_period:short",
    expr=f"{MAX_OF_REPLICAS} ({where_published(PERIOD_SHORT)} and {FRESHEST})",
    comment="Billing periods that are too short to page for: over before anybody is awake.",
)
_NEAR = "scope:api_usage_requests_per_limit:ratio_near"
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


def near(bands: Bands) -> Recorded:
    """Scopes that can be in a band of the ladder."""
    own_warning, _ = own_thresholds(bands)
    warning, _ = bands.thresholds
    return Recorded(
        record=_NEAR,
        expr=f"""
            {RATIO} >= {_below(warning.ratio)}
            or
            {RATIO} >= {1 - HYSTERESIS_RATIO:g} * {own_warning}
        """,
        comment="The same of the few scopes that can be in a band of the ladder: with them, the rest costs little.",
    )


def _below(ratio: float) -> str:
    """Where what was at a ratio is no longer."""
    return f"{round(ratio * (1 - HYSTERESIS_RATIO), RATIO_DECIMALS):g}"


def band(bands: Bands) -> Recorded:
    """How far up the ladder each scope is."""
    warning, critical = bands.thresholds
    own_warning, own_critical = own_thresholds(bands)
    steps = (
        _step(1, warning.operator, f"({own_warning} or {_everywhere(warning.ratio)})"),
        _step(2, critical.operator, f"({own_critical} or {_everywhere(critical.ratio)})"),
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
    was_in = f"({_BAND} >= bool {number} or {_everywhere(0)})"
    return f"({_NEAR} {operator} bool {begins} * (1 - {HYSTERESIS_RATIO:g} * {was_in}))"


def _everywhere(value: float) -> str:
    """The same for each of the scopes that can be in a band."""
    return f"clamp({_NEAR}, {value:g}, {value:g})"


def _joined(steps: tuple[str, ...]) -> str:
    return "\n                + ".join(steps)


BAND, NEAR = Recorded(record=_BAND, expr=""), Recorded(record=_NEAR, expr="")

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
    expr=f"{MAX_OF_REPLICAS} ({where_published(LIMIT_SHORTFALL)} and {FRESHEST}) unless {SHORT_PERIOD}",
    comment="How many requests a limit lacks, by this billing period and the last.",
)


def groups(bands: Bands) -> tuple[RecordedGroup, ...]:
    """bands: where those begin of which the exporter publishes no thresholds."""
    return (
        RecordedGroup(
            "api-usage-recording",
            (CLOCK_AHEAD, FRESHEST, USED, ALLOWED, RATIO, SHORT_PERIOD, near(bands), band(bands)),
            comment="""
                What the ladder stands on. Vendors are polled every few minutes: to work it out more often than every
                minute costs a Prometheus with thousands of scopes much, and finds nothing sooner.
            """,
            interval="1m",
        ),
        RecordedGroup(
            "api-usage-recording-slow",
            (*own_thresholds(bands), RATE, RATE_RATIO, SHORTFALL),
            comment="What is of the config, an hour or a period.",
            interval="2m",
        ),
    )
