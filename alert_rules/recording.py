"""The recording rules: ratios and rates of API usage, per target first, over the replicas last."""

from exporter.metrics import LIMIT, PACE, PERIOD_END, PERIOD_START, RATE_LIMIT, REQUESTS
from exporter.thresholds import RATIO_DECIMALS

from .promql import MAX_OF_REPLICAS, last, of_last_reader
from .rules import Recorded

_PACE = last(PACE, 'window="1h"')

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
RATIO = Recorded(
    record="scope:api_usage_requests_per_limit:ratio",
    expr=f"{MAX_OF_REPLICAS} ({TARGET_RATIO})",
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

RATE = Recorded(
    record="scope:api_usage_requests_per_minute:rate1h",
    expr=f"""
        {MAX_OF_REPLICAS} (
          sum without (window) ({_PACE})
          {of_last_reader()}
        )
    """,
    comment="""
        Requests per minute over the last hour, as the exporter sees them: right through a vendor's correction and a
        new period, and absent where an hour is not known, as where the vendor updates its figures too seldom. An
        average: bursts within a minute do not show.
    """,
)
RATE_RATIO = Recorded(
    record="scope:api_usage_requests_per_rate_limit:ratio_rate1h",
    expr=f"""
        {MAX_OF_REPLICAS} (
          round(
            1e{RATIO_DECIMALS} * {_PACE}
              / ignoring (window) ({last(RATE_LIMIT)} > 0)
          ) / 1e{RATIO_DECIMALS}
          {of_last_reader()}
        )
    """,
    comment="The same as a part of the rate limit.",
)

# In the order of recording.yaml: each after those that it reads.
RULES = (
    TARGET_RATIO,
    RATIO,
    PERIOD,
    RATE,
    RATE_RATIO,
)
