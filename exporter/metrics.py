"""Every metric and label that the exporter publishes: the one home of their names.

Standard library only, so that dashboards, rules' tests and docs can be held against it. Names follow
https://prometheus.io/docs/practices/naming/; renaming one is a breaking change.
"""

from dataclasses import dataclass
from typing import Literal

API = "api"
ORGANISATION = "organisation"
SCOPE = "scope"
DATE = "date"
REASON = "reason"
ORGANISATION_ID = "organisation_id"
SCOPE_ID = "scope_id"
PLAN = "plan"
UNIT = "unit"
DAILY_SOURCE = "daily_source"
COUNTED_IN = "counted_in"
TERM = "term"
DIRECTION = "direction"
PREVIOUS = "previous"
ESTIMATE = "estimate"
WINDOW = "window"
FIELD = "field"
ROUTE = "route"
CODE = "code"
SHARD = "shard"
SHARDS = "shards"
INDEX = "index"
SEVERITY = "severity"

OF_ORGANISATION = (API, ORGANISATION)
OF_SCOPE = (API, ORGANISATION, SCOPE)

CACHED = "Cached from the last poll; its age: time() - api_usage_last_success_timestamp_seconds."


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric family.

    name: as in a query, with the value's unit in it; a counter's ends in _total, a histogram's is without _bucket,
    _sum, _count. Requests may be credits or tokens: the info metric's label `unit` says which.
    labels: the fixed ones; the config's organisation_labels come on top where `api` and `organisation` are.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


REQUESTS = Metric(
    name="api_usage_requests",
    kind="gauge",
    labels=OF_SCOPE,
    help=f"Requests made in the current billing period. {CACHED}",
)
LIMIT = Metric(
    name="api_usage_limit_requests",
    kind="gauge",
    labels=OF_SCOPE,
    help=f"Most requests allowed in the billing period; absent when unlimited. {CACHED}",
)
RATE_LIMIT = Metric(
    name="api_usage_rate_limit_requests_per_minute",
    kind="gauge",
    labels=OF_SCOPE,
    help=f"Most requests allowed in a minute; absent when the vendor has no such limit. {CACHED}",
)
REJECTED = Metric(
    name="api_usage_rejected_requests",
    kind="gauge",
    labels=OF_SCOPE,
    help=f"Requests refused over the rate limit in the billing period; only where the vendor reports it. {CACHED}",
)
PERIOD_START = Metric(
    name="api_usage_billing_period_start_timestamp_seconds",
    kind="gauge",
    labels=OF_SCOPE,
    help="When the billing period began, in Unix time.",
)
PERIOD_END = Metric(
    name="api_usage_billing_period_end_timestamp_seconds",
    kind="gauge",
    labels=OF_SCOPE,
    help="When the billing period ends and the usage starts again from 0, in Unix time.",
)
PERIOD_SHORT = Metric(
    name="api_usage_billing_period_short",
    kind="gauge",
    labels=OF_SCOPE,
    help="1 where the billing period is shorter than 22 hours, too short to page for; else absent.",
)
DAILY = Metric(
    name="api_usage_daily_requests",
    kind="gauge",
    labels=(*OF_SCOPE, DATE),
    help=f"Requests of one day, by date (YYYY-MM-DD in the api's time zone), at most 30 dates. {CACHED}",
)
SCOPE_INFO = Metric(
    name="api_usage_scope_info",
    kind="gauge",
    labels=(*OF_SCOPE, ORGANISATION_ID, SCOPE_ID, PLAN, UNIT, DAILY_SOURCE, COUNTED_IN),
    help="Always 1: the scope's identifiers, plan, unit, whether the vendor or the exporter counts its days, and the "
    "scope that counts the same requests, if any.",
)
SUSPECT = Metric(
    name="api_usage_suspect",
    kind="gauge",
    labels=(*OF_SCOPE, REASON),
    help="1 while the vendor's newest count is held back for this reason and the last trusted one is published.",
)
LIMIT_CHANGED = Metric(
    name="api_usage_limit_changed_timestamp_seconds",
    kind="gauge",
    labels=(*OF_SCOPE, TERM, DIRECTION, PREVIOUS),
    help="When the vendor last changed the limit, rate limit, plan or period, in Unix time; absent if never seen.",
)
THRESHOLD_RATIO = Metric(
    name="api_usage_threshold_ratio",
    kind="gauge",
    labels=(*OF_SCOPE, SEVERITY),
    help="Used part of the limit from which the usage counts as warning, and over which as critical, by the config; "
    "absent when unlimited.",
)
SCOPE_MISSING = Metric(
    name="api_usage_scope_missing",
    kind="gauge",
    labels=OF_SCOPE,
    help="1 while good answers lack this scope although its period goes on, else 0; its last values stay published.",
)
FORECAST_REQUESTS = Metric(
    name="api_usage_forecast_requests",
    kind="gauge",
    labels=(*OF_SCOPE, ESTIMATE),
    help="Requests at the billing period's end: low, middle, high (10, 50, 90 of 100 such periods end below).",
)
FORECAST_LIMIT_REACHED = Metric(
    name="api_usage_forecast_limit_reached_timestamp_seconds",
    kind="gauge",
    labels=(*OF_SCOPE, ESTIMATE),
    help="When the limit is reached, in Unix time: earliest, likely, latest (by then it is in 10, 50, 90 of 100 such "
    "periods); absent where it is not reached before the period ends, or is already.",
)
FORECAST_PROBABILITY = Metric(
    name="api_usage_forecast_over_limit_probability",
    kind="gauge",
    labels=OF_SCOPE,
    help="How likely the limit is reached before the billing period ends, 0 to 1; 1 once it is; absent if unknown.",
)
PACE = Metric(
    name="api_usage_pace_requests_per_minute",
    kind="gauge",
    labels=(*OF_SCOPE, WINDOW),
    help="Requests a minute over the last 1h, 1d, 7d, and recent: twice 5 minutes, or two polls where these are "
    "rarer; the slower half counts. Absent where it is not known, as where the vendor updates too seldom.",
)
RUNS_OUT_TIME = Metric(
    name="api_usage_runs_out_timestamp_seconds",
    kind="gauge",
    labels=OF_SCOPE,
    help="When the limit is reached at the pace of the last minutes, in Unix time, where that is within 24 hours and "
    "before the billing period ends, and the last hour and the forecast do not speak against it; else absent.",
)
BURN_RATE = Metric(
    name="api_usage_burn_rate",
    kind="gauge",
    labels=OF_SCOPE,
    help="How many times an even share of the limit the last 24 hours used, where that is 3 or more and the rest "
    "would not last; else absent.",
)
DAYS_NEAR_LIMIT = Metric(
    name="api_usage_days_near_limit",
    kind="gauge",
    labels=OF_SCOPE,
    help="Of the last 30 days, those that would use 75 % of the limit or more if the whole billing period were like "
    "them; absent without a limit or a period.",
)
PREVIOUS_PERIOD = Metric(
    name="api_usage_previous_period_requests",
    kind="gauge",
    labels=OF_SCOPE,
    help="Requests made in the billing period before the current one, as last read in it; absent if nobody watched.",
)
LIMIT_SHORTFALL = Metric(
    name="api_usage_limit_shortfall_requests",
    kind="gauge",
    labels=OF_SCOPE,
    help="How many requests the limit lacks for usage to stay below its warning, as this billing period is likely to "
    "end, where the one before reached it as well; absent where the limit is enough.",
)
READ_TIME = Metric(
    name="api_usage_read_timestamp_seconds",
    kind="gauge",
    labels=OF_SCOPE,
    help="When this scope was last read, in Unix time; its own, whatever becomes of the organisation's others.",
)
UP = Metric(name="api_usage_up", kind="gauge", labels=OF_ORGANISATION, help="1 if the last poll worked, 0 if not.")
POLL_FAILING = Metric(
    name="api_usage_poll_failing",
    kind="gauge",
    labels=(*OF_ORGANISATION, REASON),
    help="1 while the last poll failed for this reason, else 0; absent until the organisation has been polled.",
)
STALE = Metric(
    name="api_usage_stale",
    kind="gauge",
    labels=OF_ORGANISATION,
    help="1 once any of the organisation's data is older than api_usage_stale_after_seconds, else 0.",
)
LAST_SUCCESS = Metric(
    name="api_usage_last_success_timestamp_seconds",
    kind="gauge",
    labels=OF_ORGANISATION,
    help="When a poll last brought data, in Unix time.",
)
POLL_INTERVAL = Metric(
    name="api_usage_poll_interval_seconds",
    kind="gauge",
    labels=OF_ORGANISATION,
    help="How often the vendor is asked, by the config.",
)
STALE_AFTER = Metric(
    name="api_usage_stale_after_seconds",
    kind="gauge",
    labels=OF_ORGANISATION,
    help="From which age the data counts as stale, by the config.",
)
POLLS = Metric(name="api_usage_polls_total", kind="counter", labels=OF_ORGANISATION, help="Polls made.")
POLL_FAILURES = Metric(
    name="api_usage_poll_failures_total",
    kind="counter",
    labels=(*OF_ORGANISATION, REASON),
    help="Polls failed, by reason.",
)
POLL_DURATION = Metric(
    name="api_usage_poll_duration_seconds", kind="histogram", labels=(API,), help="How long polls took, by api."
)
POLLS_WAITING = Metric(
    name="api_usage_exporter_polls_waiting",
    kind="gauge",
    labels=(API,),
    help="Polls that are due and have not begun, as max_concurrent_polls others are under way.",
)
POLLS_RUNNING = Metric(
    name="api_usage_exporter_polls_running", kind="gauge", labels=(API,), help="Polls that are under way."
)
POLLS_LATE = Metric(
    name="api_usage_exporter_polls_late",
    kind="gauge",
    labels=(API,),
    help="Polls that have been due for 10 seconds or more and have not begun.",
)
POLLS_PUT_OFF = Metric(
    name="api_usage_exporter_polls_put_off_total",
    kind="counter",
    labels=(API,),
    help="Polls put off beyond poll_interval, as max_calls_per_day does not allow for all.",
)
VENDOR_CALLS = Metric(
    name="api_usage_exporter_vendor_calls_total",
    kind="counter",
    labels=(API,),
    help="Requests made to the vendor's usage endpoints, pages and repeated ones too; sign-ins are not counted.",
)
ANSWER_DRIFT = Metric(
    name="api_usage_answer_drift",
    kind="gauge",
    labels=(API, FIELD),
    help="Organisations whose last answer lacks this field, or has it in another type than the preset documents; "
    "0 once it is right again, absent if it always was.",
)
LAST_RENDER_TIME = Metric(
    name="api_usage_exporter_last_render_timestamp_seconds",
    kind="gauge",
    labels=(),
    help="When these metrics were put together, in Unix time; every 5 seconds at least.",
)
LAST_RENDER_DURATION = Metric(
    name="api_usage_exporter_last_render_duration_seconds",
    kind="gauge",
    labels=(),
    help="How long it took to put the metrics together, the time before.",
)
NOT_RENDERED = Metric(
    name="api_usage_exporter_organisations_not_rendered",
    kind="gauge",
    labels=(),
    help="Organisations whose metrics are missing or old, as the exporter failed to write them; its log says why.",
)
CONFIG_RELOAD_OK = Metric(
    name="api_usage_exporter_config_last_reload_successful",
    kind="gauge",
    labels=(),
    help="1 if the config file was last read without error, 0 if the config in use is an older one.",
)
CONFIG_RELOAD_TIME = Metric(
    name="api_usage_exporter_config_last_reload_success_timestamp_seconds",
    kind="gauge",
    labels=(),
    help="When the config in use was read, in Unix time.",
)
SAVE_FAILURES = Metric(
    name="api_usage_exporter_state_save_failures_total",
    kind="counter",
    labels=(REASON,),
    help="Times that state could not be saved, by reason; meanwhile all is published from memory.",
)
SAVED_TIME = Metric(
    name="api_usage_exporter_state_saved_timestamp_seconds",
    kind="gauge",
    labels=(),
    help="When state was last saved, in Unix time.",
)
BUILD_INFO = Metric(
    name="api_usage_exporter_build_info",
    kind="gauge",
    labels=("version", "pythonversion"),
    help="Always 1: the exporter's version and the Python it runs on.",
)
SHARD_INFO = Metric(
    name="api_usage_exporter_shard_info",
    kind="gauge",
    labels=(SHARD, SHARDS),
    help="Always 1: which part of the organisations this exporter watches, counted from 0, and of how many parts.",
)
SHARD_EXPECTED = Metric(
    name="api_usage_exporter_shard_expected",
    kind="gauge",
    labels=(INDEX, SHARDS),
    help="Always 1: each shard that there ought to be, by this exporter's --shard.",
)
WEB_CONFIG_RELOAD_OK = Metric(
    name="api_usage_exporter_web_config_last_reload_successful",
    kind="gauge",
    labels=(),
    help="1 if the web config file was last read without error, 0 if the one in use is older; absent without a file.",
)
WEB_CONFIG_RELOAD_TIME = Metric(
    name="api_usage_exporter_web_config_last_reload_success_timestamp_seconds",
    kind="gauge",
    labels=(),
    help="When the web config in use was read, in Unix time; absent without a file.",
)
CERTIFICATE_EXPIRY = Metric(
    name="api_usage_exporter_certificate_expiry_timestamp_seconds",
    kind="gauge",
    labels=(),
    help="When the exporter's own TLS certificate expires, in Unix time; absent without TLS.",
)
HTTP_REQUESTS = Metric(
    name="api_usage_exporter_http_requests_total",
    kind="counter",
    labels=(ROUTE, CODE),
    help="Requests that the exporter answered, by route and HTTP status code.",
)
PASSWORDS_REFUSED = Metric(
    name="api_usage_exporter_passwords_refused_total",
    kind="counter",
    labels=(),
    help="Requests refused for their password: it was wrong, or too many others waited to be checked.",
)

# In the order of /metrics.
CATALOGUE: tuple[Metric, ...] = (
    REQUESTS,
    LIMIT,
    RATE_LIMIT,
    REJECTED,
    PERIOD_START,
    PERIOD_END,
    PERIOD_SHORT,
    DAILY,
    SCOPE_INFO,
    SUSPECT,
    LIMIT_CHANGED,
    FORECAST_REQUESTS,
    FORECAST_LIMIT_REACHED,
    FORECAST_PROBABILITY,
    PACE,
    RUNS_OUT_TIME,
    BURN_RATE,
    DAYS_NEAR_LIMIT,
    PREVIOUS_PERIOD,
    LIMIT_SHORTFALL,
    THRESHOLD_RATIO,
    READ_TIME,
    SCOPE_MISSING,
    UP,
    POLL_FAILING,
    STALE,
    LAST_SUCCESS,
    POLL_INTERVAL,
    STALE_AFTER,
    POLLS,
    POLL_FAILURES,
    POLL_DURATION,
    POLLS_WAITING,
    POLLS_RUNNING,
    POLLS_LATE,
    POLLS_PUT_OFF,
    VENDOR_CALLS,
    ANSWER_DRIFT,
    LAST_RENDER_TIME,
    LAST_RENDER_DURATION,
    NOT_RENDERED,
    CONFIG_RELOAD_OK,
    CONFIG_RELOAD_TIME,
    SAVE_FAILURES,
    SAVED_TIME,
    BUILD_INFO,
    SHARD_INFO,
    SHARD_EXPECTED,
    WEB_CONFIG_RELOAD_OK,
    WEB_CONFIG_RELOAD_TIME,
    CERTIFICATE_EXPIRY,
    HTTP_REQUESTS,
    PASSWORDS_REFUSED,
)

# Labels that organisation_labels may not be called: ours, and those that Prometheus or Alertmanager put on series.
RESERVED_LABELS = frozenset(
    {label for metric in CATALOGUE for label in metric.labels}
    | {"job", "instance", "le", "quantile", "alertname", "severity", "pod", "container", "endpoint"}
)
