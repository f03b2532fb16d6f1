"""The alerts, in the groups and the order of alerts.yaml.

To add one: an Alert here, a template of its runbook in templates/runbooks/, cases in tests/ in which it fires and is
silent, a row in docs/alerts.md and README.md; then `make generate`.
"""

from exporter.metrics import (
    BUILD_INFO,
    CONFIG_RELOAD_OK,
    CONFIG_RELOAD_TIME,
    LAST_RENDER_TIME,
    LIMIT,
    LIMIT_CHANGED,
    NOT_RENDERED,
    POLL_FAILING,
    RATE_LIMIT,
    REJECTED,
    REQUESTS,
    SAVE_FAILURES,
    SAVED_TIME,
    STALE,
    STALE_AFTER,
)
from exporter.thresholds import (
    HISTORY_DAYS,
    LIMIT_REACHED_RATIO,
    NEAR_LIMIT_DAYS,
    NEAR_LIMIT_RATIO,
    PAGING_MIN_PERIOD_SECONDS,
    RATE_LIMIT_HIGH_RATIO,
    RENDERED_MAX_AGE_SECONDS,
    SAVED_MAX_AGE_SECONDS,
    Bands,
)

from .promql import DAY_SECONDS, MAX_OF_REPLICAS, MAX_OF_REPLICAS_AND_REASONS, MIN_OF_REPLICAS, last
from .recording import DAYS_NEAR_LIMIT, PERIOD, PROJECTED_RATIO, RATE, RATE_RATIO, RATIO
from .rules import Alert, Group
from .texts import (
    AGE,
    API,
    COUNT,
    DATA_AGE,
    DATE,
    DECIMAL,
    DURATION,
    LAST_READ,
    OF_EXPORTER,
    OF_ORGANISATION,
    OF_SCOPE,
    OF_WORST_REPLICA,
    ORGANISATION,
    PERCENT,
    PERIOD_LEFT,
    PROJECTION,
    REACHED_AT,
    REQUESTS_OF_LIMIT,
    SCOPE,
    STALE_FIGURES,
    TIME,
    UNIT_OF_SCOPE,
    USED,
    VALUE_COUNT,
    VALUE_PERCENT,
    clause,
    inline,
    lines,
    printed,
    sentence,
)

# An hourly window is over before anybody is awake.
_UNLESS_SHORT = f"unless {PERIOD} < {PAGING_MIN_PERIOD_SECONDS}"
_NEAR_LIMIT = f"{DAYS_NEAR_LIMIT} >= {NEAR_LIMIT_DAYS}"
_DAY_SHARE = f"{NEAR_LIMIT_RATIO * 100:g}% or more of a day's share"


def groups(bands: Bands) -> tuple[Group, ...]:
    return (_usage(bands), _RATE_LIMITS, _TERMS, _PLANNING, _EXPORTER)


def _usage(bands: Bands) -> Group:
    warning, critical = bands.thresholds
    limit_reached = Alert(
        name="ApiUsageLimitReached",
        comment="A limit of 0 has no ratio, and any request is over it.",
        expr=f"""
            (
              {RATIO} >= {LIMIT_REACHED_RATIO:g}
              or
              {MAX_OF_REPLICAS} (
                {last(REQUESTS)} > 0
                and {last(LIMIT)} == 0
              )
            )
            {_UNLESS_SHORT}
        """,
        for_="1m",
        severity="critical",
        about="scope",
        summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) is reached",
        description=lines(
            OF_WORST_REPLICA,
            "{{ with query $worst -}}",
            USED,
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
        expr=f"""
            {RATIO} {critical.operator} {critical.ratio:g}
            {_UNLESS_SHORT}
        """,
        for_="2m",
        severity="critical",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT} of {SCOPE} ({API}) used",
        description=lines(
            OF_WORST_REPLICA,
            USED,
            PERIOD_LEFT,
            STALE_FIGURES,
            PROJECTION,
            "At the limit the vendor refuses requests, or bills them extra. Stop what can wait (batch jobs,",
            "crawlers, prefetching), cache answers, and ask the owner of the plan to raise the limit now.",
        ),
    )
    high = Alert(
        name="ApiUsageHigh",
        expr=f"""
            {RATIO} {warning.operator} {warning.ratio:g}
            {_UNLESS_SHORT}
        """,
        for_="5m",
        severity="warning",
        about="scope",
        summary=f"{ORGANISATION}: {VALUE_PERCENT} of {SCOPE} ({API}) used",
        description=lines(
            OF_WORST_REPLICA,
            USED,
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


_HIGHEST_RATE_LIMIT = f"max({last(RATE_LIMIT, '$scope')})"
_BACK_OFF = lines(
    "Have clients wait and retry with exponential backoff, cache answers, and spread requests evenly",
    "over the minute.",
)

_RATE_LIMITS = Group(
    name="api-rate-limit",
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
                inline(_HIGHEST_RATE_LIMIT, COUNT),
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
                inline(_HIGHEST_RATE_LIMIT, f"the {COUNT} that are", "is"),
                "allowed.",
                _BACK_OFF,
            ),
        ),
    ),
)

_LOWERED = 'term="limit",direction="lowered"'
# In single quotes, since double ones end the template's text around it.
_LOWERED_OF_SCOPE = "$scope,term='limit',direction='lowered'"

_TERMS = Group(
    name="api-usage-terms",
    alerts=(
        Alert(
            name="ApiUsageLimitLowered",
            comment="""
                Replicas see a change at polls of their own, minutes apart: the value is when the last of them did. It
                fires for a day, and ends sooner where the limit is changed again.
            """,
            expr=f"""
                time() - {MAX_OF_REPLICAS} (
                  {last(LIMIT_CHANGED, _LOWERED)}
                ) < {DAY_SECONDS}
            """,
            for_="1m",
            severity="warning",
            about="scope",
            summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) was lowered",
            description=lines(
                OF_SCOPE,
                f"{API} lowered the limit of {ORGANISATION} for {SCOPE} from {{{{ $labels.previous }}}}",
                clause(f"max({last(LIMIT, '$scope')})", f"to {COUNT}\n{UNIT_OF_SCOPE}"),
                clause(f"max({last(LIMIT_CHANGED, _LOWERED_OF_SCOPE)})", f", seen on {TIME}"),
                ".",
                "Ask the owner of the plan whether that was meant: a trial, a discount or a payment may have ended.",
                "If it stays, see whether the usage still fits.",
            ),
        ),
    ),
)

_SCOPES_NEAR_LIMIT = printed(f"{DAYS_NEAR_LIMIT}{{$organisation}} >= {NEAR_LIMIT_DAYS}")

_PLANNING = Group(
    name="api-usage-planning",
    alerts=(
        Alert(
            name="ApiUsageAddOnAdvised",
            expr=f"""
                {_NEAR_LIMIT}
                and ignoring (scope)
                count without (scope) ({_NEAR_LIMIT}) == 1
            """,
            for_="1h",
            severity="info",
            about="scope",
            summary=f"{ORGANISATION}: {SCOPE} ({API}) is near its limit most days; an add-on would help",
            description=lines(
                OF_SCOPE,
                f"On {VALUE_COUNT} of the last {HISTORY_DAYS} days {ORGANISATION} used {_DAY_SHARE}",
                f"of {SCOPE} at {API}",
                clause(
                    f"max({last(LIMIT, '$scope')}) / max({PERIOD}{{$scope}}) * {DAY_SECONDS}",
                    f"({COUNT}\n{UNIT_OF_SCOPE} a day)",
                ),
                ". It is the only scope of this plan that does: an add-on for it is likely to be enough.",
            ),
        ),
        Alert(
            name="ApiUsagePlanUpgradeAdvised",
            expr=f"count without (scope) ({_NEAR_LIMIT}) >= 2",
            for_="1h",
            severity="info",
            about="organisation",
            summary=(
                f"{ORGANISATION}: {{{{ $value }}}} scopes of {API} are near their limits most days; "
                "consider a larger plan"
            ),
            description=lines(
                OF_ORGANISATION,
                f"Of the last {HISTORY_DAYS} days, {ORGANISATION} used {_DAY_SHARE} on",
                f'{{{{- range $index, $scope := {_SCOPES_NEAR_LIMIT} | query | sortByLabel "scope" -}}}}',
                """{{ if $index }},{{ end }} {{ $scope.Value | printf "%.0f" }} days for {{ $scope.Labels.scope }}""",
                "{{- end -}}",
                f". With several scopes of {API} so near their limits, a larger plan is likely to cost less than an",
                "add-on for each.",
            ),
        ),
    ),
)

# In single quotes, since double ones end the template's text around it.
_NOT_AUTH = "$organisation,reason!='auth'"

_EXPORTER = Group(
    name="api-usage-exporter",
    comment="""
        Whether the figures can be trusted. A failed poll is tried again within 5 minutes by default, and one that
        was refused as well, the first time: `for` is longer, so that one failed poll alerts nobody. Where
        poll_interval is longer than 18 minutes, make `for` longer than it.
    """,
    alerts=(
        Alert(
            name="ApiUsagePollFailing",
            comment="""
                The reason is aggregated away: a vendor that times out now and refuses connections then is one
                failure.
            """,
            expr=f"""
                {MAX_OF_REPLICAS_AND_REASONS} (
                  {last(POLL_FAILING, 'reason!="auth"')}
                ) == 1
            """,
            for_="20m",
            severity="warning",
            about="organisation",
            summary=f"{ORGANISATION}: usage at {API} cannot be read",
            description=lines(
                OF_ORGANISATION,
                f"Polls of {API} for {ORGANISATION} keep failing",
                clause(
                    f"{last(POLL_FAILING, _NOT_AUTH)} == 1",
                    '(reason: {{ . | first | label "reason" }})',
                ),
                ".",
                LAST_READ,
                "Usage alerts stand on the last values read until it works again. The exporter's log names the",
                "request and what was wrong with the answer.",
            ),
        ),
        Alert(
            name="ApiUsageAuthFailing",
            expr=f"""
                {MAX_OF_REPLICAS_AND_REASONS} (
                  {last(POLL_FAILING, 'reason="auth"')}
                ) == 1
            """,
            for_="20m",
            severity="warning",
            about="organisation",
            summary=f"{ORGANISATION}: {API} refuses the exporter's credentials",
            description=lines(
                OF_ORGANISATION,
                f"{API} refuses the credentials with which the exporter asks for the usage of {ORGANISATION},",
                "or they cannot be read.",
                LAST_READ,
                "This does not mend itself: put a valid key into the file or variable that the config names. It is",
                "tried again every 15 minutes, or at once after a reload of a changed config.",
            ),
        ),
        Alert(
            name="ApiUsageStale",
            comment="min: while one replica has fresh data, nothing is missed.",
            expr=f"{MIN_OF_REPLICAS} ({last(STALE)}) == 1",
            for_="5m",
            severity="warning",
            about="organisation",
            summary=f"{ORGANISATION}: usage figures of {API} are stale",
            description=lines(
                OF_ORGANISATION,
                f"Usage of {ORGANISATION} at {API}",
                clause(DATA_AGE, f"was last read {AGE} ago", "was never read since the exporter started"),
                clause(f"max({last(STALE_AFTER, '$organisation')})", f"; older than {DURATION} counts as stale"),
                ". What is shown is the least that was used: usage alerts stand, but new ones may come late. Look at",
                "the vendor's own usage page until the figures are fresh again.",
            ),
        ),
        Alert(
            name="ApiUsageExporterDown",
            comment="""
                Knows the exporter by its build_info, whatever its job is called: down, or in no scrape at all.
                Replicas are one: it fires when all are down. Exporters that share the work (not replicas) need a job,
                or some other target label, of their own each.
            """,
            expr=f"""
                {MAX_OF_REPLICAS} (
                  up and on (job, instance) {last(BUILD_INFO, window="7d")}
                ) == 0
                or on ()
                absent({last(BUILD_INFO)})
            """,
            for_="5m",
            severity="critical",
            about="exporter",
            summary="API usage is not watched: the exporter is down",
            description=lines(
                "{{ if $labels.job -}}",
                "Prometheus cannot scrape the API usage exporter (job {{ $labels.job }}).",
                "{{- else -}}",
                "Prometheus has no API usage exporter to scrape: it is not running, or its scrape config is gone.",
                "{{- end }}",
                "No usage is read or alerted on: limits may be reached unseen, and usage alerts that were firing end",
                "after 10 minutes. Start it again, and look at its log for why it ended.",
            ),
        ),
        Alert(
            name="ApiUsageConfigReloadFailed",
            expr=f"""
                {MIN_OF_REPLICAS} (
                  {last(CONFIG_RELOAD_OK)}
                ) == 0
            """,
            for_="5m",
            severity="warning",
            about="exporter",
            summary="The API usage exporter refused its config file; an older one is in use",
            description=lines(
                OF_EXPORTER,
                "The API usage exporter{{ with $labels.job }} (job {{ . }}){{ end }} could not take over its config",
                "file",
                clause(f"min({last(CONFIG_RELOAD_TIME, '$exporter')})", f"and goes on with that of {TIME}"),
                ". New organisations and changed keys do not take effect, and a restart would fail. Its log names",
                "file, line and field; `api-usage-exporter --config.check` does so as well.",
            ),
        ),
        Alert(
            name="ApiUsageMetricsNotRendered",
            comment="""
                Old on a replica that answers, or without some organisation. One that went down answered within 5
                minutes for too short a time: its last values grow old as well, and it has an alert of its own.
            """,
            expr=f"""
                {MAX_OF_REPLICAS} (
                  time() - {last(LAST_RENDER_TIME)} > {RENDERED_MAX_AGE_SECONDS}
                    and on (job, instance) max_over_time(up[5m]) == 1
                  or
                  {last(NOT_RENDERED)} > 0
                )
            """,
            for_="5m",
            severity="warning",
            about="exporter",
            summary="The API usage exporter serves metrics that are old or not whole",
            description=lines(
                OF_EXPORTER,
                "The API usage exporter{{ with $labels.job }} (job {{ . }}){{ end }} answers scrapes, but its",
                "metrics",
                clause(
                    f"max({last(NOT_RENDERED, '$exporter')}) > 0",
                    f"are missing or old for {COUNT} of its organisations",
                    "are no longer put together",
                ),
                clause(f"min({last(LAST_RENDER_TIME, '$exporter')})", f"; those that it serves are of {TIME}"),
                ". Usage alerts stand on old figures there, and new ones do not come. This is a fault of the",
                "exporter: its log has the traceback.",
            ),
        ),
        Alert(
            name="ApiUsageStateNotSaved",
            comment="""
                It is tried again every second. Whatever was saved since says that it was a passing shortage.
            """,
            expr=f"""
                {MAX_OF_REPLICAS} (
                  sum without (reason) (increase({SAVE_FAILURES.name}[10m])) > 0
                    unless
                  time() - {last(SAVED_TIME)} < {SAVED_MAX_AGE_SECONDS}
                )
            """,
            for_="5m",
            severity="warning",
            about="exporter",
            summary="The API usage exporter cannot save its state",
            description=lines(
                OF_EXPORTER,
                "The API usage exporter{{ with $labels.job }} (job {{ . }}){{ end }} cannot write to its storage",
                "path",
                inline(
                    f"topk(1, sum by (reason) (increase({SAVE_FAILURES.name}{{$exporter}}[10m])) > 0)",
                    '({{ . | first | label "reason" }})',
                ),
                clause(f"max({last(SAVED_TIME, '$exporter')})", f"and did so last on {TIME}"),
                ". All is published from memory, but a restart would lose the days and the limits' history since",
                "then. Its log names the folder.",
            ),
        ),
    ),
)
