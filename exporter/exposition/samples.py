"""An organisation's state -> its sample lines, by metric.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4 and OpenMetrics 1.0.0). Sample lines
are the same in both; the headers of families differ.
"""

from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType

from prometheus_client.utils import floatToGoString

from exporter import metrics
from exporter.errors import REASONS
from exporter.forecast import Burning, Forecast, days_near_limit
from exporter.metrics import Metric
from exporter.model import FetchedScope, ScopeUsage
from exporter.state.ledger import latest
from exporter.state.store import OrganisationState
from exporter.state.trust import Suspicion
from exporter.thresholds import PAGING_MIN_PERIOD_SECONDS


def family_header(metric: Metric, *, openmetrics: bool) -> bytes:
    """The lines that begin a family in either format."""
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n".encode()


def sample_lines(state: OrganisationState, now: datetime) -> dict[str, bytes]:
    """An organisation's sample lines as of `now`, by metric name; a metric without samples is absent."""
    lines: dict[str, list[str]] = {}
    for metric, labels, value in _samples(state, now):
        lines.setdefault(metric.name, []).append(f"{metric.name}{{{labels}}} {floatToGoString(value)}\n")
    return {name: "".join(samples).encode() for name, samples in lines.items()}


Sample = tuple[Metric, str, float]


def _samples(state: OrganisationState, now: datetime) -> Iterator[Sample]:
    api, organisation = state.target.key
    own = {name: value for name, value in sorted(state.target.organisation.labels.items()) if value}
    labels = _labels({metrics.API: api, metrics.ORGANISATION: organisation, **own})
    yield from _poll_samples(state, labels, now)
    shown = state.shown_scopes(now)
    for scope in shown:
        yield from _scope_samples(state, scope, labels)
        of_scope = f"{labels},{_labels({metrics.SCOPE: scope.usage.name})}"
        yield from _outlook_samples(scope.usage, state.outlook(scope, now), of_scope)
        yield from _burning_samples(state.burning(scope, now), of_scope)
        before = state.requests_before(scope.usage)
        if before is not None:
            yield metrics.PREVIOUS_PERIOD, of_scope, before
        lacking = state.shortfall(scope, now)
        if lacking is not None:
            yield metrics.LIMIT_SHORTFALL, of_scope, lacking
    names = {scope.usage.name for scope in shown}
    for scope in state.scopes:
        is_missing = state.missing_since(scope, now) is not None
        # Its usage may be too old to be shown; that it is missing is not.
        if is_missing or scope.usage.name in names:
            yield from _presence_samples(scope, labels, is_missing=is_missing)


def _poll_samples(state: OrganisationState, labels: str, now: datetime) -> Iterator[Sample]:
    if state.last_poll is not None:
        yield metrics.UP, labels, 0 if state.failure else 1
    for reason in REASONS:
        with_reason = f"{labels},{_labels({metrics.REASON: reason})}"
        # Before the first poll nobody knows: a 0 would end an alert that a restart has nothing to say about.
        if state.last_poll is not None or state.failure is not None:
            yield metrics.POLL_FAILING, with_reason, bool(state.failure and state.failure.reason == reason)
        yield metrics.POLL_FAILURES, with_reason, state.failures[reason]
    yield metrics.STALE, labels, state.is_stale(now)
    if state.last_success is not None:
        yield metrics.LAST_SUCCESS, labels, state.last_success.timestamp()
    yield metrics.POLL_INTERVAL, labels, state.target.api.poll_interval
    yield metrics.STALE_AFTER, labels, state.target.api.stale_after_seconds
    yield metrics.POLLS, labels, state.polls


def _scope_samples(state: OrganisationState, scope: FetchedScope, labels: str) -> Iterator[Sample]:
    usage = scope.usage
    labels = f"{labels},{_labels({metrics.SCOPE: usage.name})}"
    for metric, value in (
        (metrics.REQUESTS, usage.requests),
        (metrics.LIMIT, usage.limit),
        (metrics.RATE_LIMIT, usage.rate_limit_per_minute),
        (metrics.REJECTED, usage.rejected),
    ):
        if value is not None:
            yield metric, labels, value
    if usage.limit is not None:
        for threshold in state.target.bands.of(usage.name).thresholds:
            yield metrics.THRESHOLD_RATIO, f'{labels},{metrics.SEVERITY}="{threshold.band.value}"', threshold.ratio
    watched = state.watched.get(usage.name)
    held = watched.held if watched is not None else None
    for suspicion in Suspicion:
        with_reason = f'{labels},{metrics.REASON}="{suspicion}"'
        yield metrics.SUSPECT, with_reason, held is not None and held.reason is suspicion
    for change in latest(state.ledger.get(usage.name, ())):
        about = {metrics.TERM: change.term, metrics.DIRECTION: change.direction, metrics.PREVIOUS: change.old}
        yield metrics.LIMIT_CHANGED, f"{labels},{_labels(about)}", change.at.timestamp()
    if usage.period is not None:
        yield metrics.PERIOD_START, labels, usage.period.start.timestamp()
        yield metrics.PERIOD_END, labels, usage.period.end.timestamp()
        if (usage.period.end - usage.period.start).total_seconds() < PAGING_MIN_PERIOD_SECONDS:
            yield metrics.PERIOD_SHORT, labels, 1
    for day in usage.last_days(state.target.api.daily_history_days):
        yield metrics.DAILY, f'{labels},{metrics.DATE}="{day.date.isoformat()}"', day.requests
    info = {
        metrics.ORGANISATION_ID: state.target.organisation.id,
        metrics.SCOPE_ID: usage.id,
        metrics.PLAN: usage.plan,
        metrics.UNIT: usage.unit,
        metrics.DAILY_SOURCE: usage.daily_source,
        metrics.COUNTED_IN: state.target.api.counted_in(usage.name, usage.id) or "",
    }
    yield metrics.SCOPE_INFO, f"{labels},{_labels(info)}", 1


def _presence_samples(scope: FetchedScope, labels: str, *, is_missing: bool) -> Iterator[Sample]:
    labels = f"{labels},{_labels({metrics.SCOPE: scope.usage.name})}"
    yield metrics.READ_TIME, labels, scope.fetched_at.timestamp()
    yield metrics.SCOPE_MISSING, labels, is_missing


def _burning_samples(found: Burning, labels: str) -> Iterator[Sample]:
    if found.runs_out_at is not None:
        yield metrics.RUNS_OUT_TIME, labels, found.runs_out_at.timestamp()
    if found.burn_rate is not None:
        yield metrics.BURN_RATE, labels, found.burn_rate


def _outlook_samples(usage: ScopeUsage, made: Forecast, labels: str) -> Iterator[Sample]:
    near = days_near_limit(usage)
    if near is not None:
        yield metrics.DAYS_NEAR_LIMIT, labels, near
    if made.over_limit_probability is not None:
        yield metrics.FORECAST_PROBABILITY, labels, made.over_limit_probability
    requests, reached, paces = made.requests, made.reached, made.paces
    if requests is not None:
        for estimate, value in (("low", requests.low), ("middle", requests.middle), ("high", requests.high)):
            yield metrics.FORECAST_REQUESTS, f'{labels},{metrics.ESTIMATE}="{estimate}"', value
    for estimate, moment in (("earliest", reached.earliest), ("likely", reached.likely), ("latest", reached.latest)):
        if moment is not None:
            yield metrics.FORECAST_LIMIT_REACHED, f'{labels},{metrics.ESTIMATE}="{estimate}"', moment.timestamp()
    for window, pace in (("recent", paces.recent), ("1h", paces.hour), ("1d", paces.day), ("7d", paces.week)):
        if pace is not None:
            yield metrics.PACE, f'{labels},{metrics.WINDOW}="{window}"', pace


_ESCAPES = MappingProxyType(str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""}))


def _labels(values: dict[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in values.items())
