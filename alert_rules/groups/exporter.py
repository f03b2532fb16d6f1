"""Whether the figures can be trusted: polls, credentials, age, the exporter itself."""

from exporter.metrics import (
    ANSWER_DRIFT,
    CONFIG_RELOAD_OK,
    CONFIG_RELOAD_TIME,
    FIELD,
    LAST_RENDER_TIME,
    NOT_RENDERED,
    POLL_FAILING,
    POLLS_PUT_OFF,
    SAVE_FAILURES,
    SAVED_TIME,
    STALE,
    STALE_AFTER,
)
from exporter.thresholds import RENDERED_MAX_AGE_SECONDS, SAVED_MAX_AGE_SECONDS

from ..promql import MAX_OF_REPLICAS, MAX_OF_REPLICAS_AND_REASONS, MIN_OF_REPLICAS, TARGET, last
from ..rules import Alert, Group
from ..texts import (
    AGE,
    API,
    COUNT,
    DATA_AGE,
    DURATION,
    LAST_READ,
    OF_EXPORTER,
    OF_ORGANISATION,
    ORGANISATION,
    OWNER,
    TIME,
    VALUE_COUNT,
    clause,
    inline,
    lines,
)

_FAILING_FOR = "20m"

GROUP = Group(
    name="api-usage-exporter",
    interval="1m",
    comment="""
        Whether the figures can be trusted. A failed poll is tried again within 5 minutes by default, and one that
        was refused as well, the first time: `for` is longer, so that one failed poll alerts nobody. Where
        poll_interval is longer than 18 minutes, make `for` longer than it.
    """,
    alerts=(
        Alert(
            name="ApiUsagePollFailing",
            comment="""
                The reason is aggregated away: a vendor that times out now and refuses connections or credentials then
                is one failure. What has been refused throughout is the next alert's.
            """,
            expr=f"""
                {MAX_OF_REPLICAS_AND_REASONS} (
                  {last(POLL_FAILING)} == 1
                )
                unless
                {MAX_OF_REPLICAS_AND_REASONS} (
                  min_over_time({POLL_FAILING.name}{{reason="auth"}}[{_FAILING_FOR}])
                ) == 1
            """,
            for_=_FAILING_FOR,
            severity="warning",
            about="organisation",
            summary=f"{ORGANISATION}: usage at {API} cannot be read",
            description=lines(
                OF_ORGANISATION,
                f"Polls of {API} for {ORGANISATION} keep failing",
                clause(
                    f"{last(POLL_FAILING, '$organisation')} == 1",
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
            for_=_FAILING_FOR,
            severity="warning",
            about="organisation",
            summary=f"{ORGANISATION}: {API} refuses the exporter's credentials",
            description=lines(
                OF_ORGANISATION,
                f"{API} refuses the credentials with which the exporter asks for the usage of {ORGANISATION},",
                "or they cannot be read.",
                LAST_READ,
                f"This does not mend itself: ask {OWNER} for a valid key, and put it into the file or variable that",
                "the config names. It is tried again every 15 minutes, or at once after a reload of a changed",
                "config.",
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
                    and on ({TARGET}) max_over_time(up[5m]) == 1
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
        Alert(
            name="ApiUsageAnswerDrift",
            expr=f"""
                {MAX_OF_REPLICAS} (
                  {last(ANSWER_DRIFT)}
                ) > 0
            """,
            for_="15m",
            severity="warning",
            about="exporter",
            summary=f"{API} answers otherwise than its preset documents",
            description=lines(
                f"The field {{{{ $labels.{FIELD} }}}} is missing from the usage that {API} reports, or has another",
                "type than the preset documents, for {{ $value }} organisation{{ if ne $value 1.0 }}s{{ end }}.",
                "Scopes whose numbers depend on it are held back: they keep their last values, and alerts on them",
                "stand on those. See whether a newer version of the exporter knows the new answer; the runbook says",
                "how to mend the preset until there is one.",
            ),
        ),
        Alert(
            name="ApiUsagePollsPutOff",
            comment="By the replica that put off most: each has a budget of its own.",
            expr=f"""
                {MAX_OF_REPLICAS} (
                  increase({POLLS_PUT_OFF.name}[1h])
                ) > 0
            """,
            for_="1h",
            severity="info",
            about="exporter",
            summary=f"Usage at {API} is read more seldom than configured, as max_calls_per_day is used up",
            description=lines(
                f"Of {API} {VALUE_COUNT} poll{{{{ if ne $value 1.0 }}}}s were{{{{ else }}}} was{{{{ end }}}} put off",
                "within the last hour: max_calls_per_day does not allow for a poll of every organisation each",
                "poll_interval. Organisations near their limits are still read as often; the figures of the others",
                "are older than they seem, and alerts on them come later. Allow for more calls, or set a longer",
                "poll_interval.",
            ),
        ),
    ),
)
