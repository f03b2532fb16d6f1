"""What ought to be there and is not: scopes, exporters, shards, replicas."""

from exporter.metrics import (
    BUILD_INFO,
    SCOPE_MISSING,
    SHARD_EXPECTED,
    SHARD_INFO,
)

from ..promql import MAX_OF_REPLICAS, REPLICA, TARGET, last
from ..recording import ALLOWED, FRESHEST, USED
from ..rules import Alert, Group
from ..texts import (
    AGE,
    API,
    COUNT,
    OF_SCOPE,
    ORGANISATION,
    OWNER,
    PERIOD_LEFT,
    SCOPE,
    SCOPE_AGE,
    clause,
    inline,
    lines,
)

_JOB = "job, cluster, namespace"
_SHARD_LABELS = "shard, exported_shard, shards"
_HERE = SHARD_INFO.name
# A shard is missing, not down, while others of its number are up.
_OTHERS = f'unless on (shards, cluster, namespace) {_HERE}{{shards!="1"}}'
_DOWN = f"{last(SHARD_INFO, window='7d')} and on ({TARGET}) up == 0"

GROUP = Group(
    name="api-usage-inventory",
    interval="1m",
    comment="""
        What ought to be there and is not: its absence would read as if all were well. Whatever stops, an alert here
        fires before the usage alerts that stood on it end, 10 minutes after the last scrape.
    """,
    alerts=(
        Alert(
            name="ApiUsageScopeVanished",
            comment="""
                By the replica that read the scope last. The exporter waits for a second answer without the scope, and
                publishes its last values until its period ends, so that usage alerts on it stand.
            """,
            expr=f"""
                {MAX_OF_REPLICAS} (
                  {last(SCOPE_MISSING)} == 1
                    and {FRESHEST}
                )
            """,
            for_="5m",
            severity="warning",
            about="scope",
            summary=f"{ORGANISATION}: {SCOPE} ({API}) is missing from the vendor's answers",
            description=lines(
                OF_SCOPE,
                f"{API} answers for {ORGANISATION} without {SCOPE}, although its billing period goes on.",
                "The last that was read of it",
                clause(SCOPE_AGE, f", {AGE} ago"),
                ", is",
                inline(f"{USED}{{$scope}}", COUNT),
                clause(f"{ALLOWED}{{$scope}}", f"of {COUNT}", "requests"),
                ". Alerts on it stand on that until it is reported again or the period ends.",
                PERIOD_LEFT,
                f"See on the vendor's own page whether it still counts, and ask {OWNER} whether it was",
                "given up: then name it in retired_scopes of the config.",
            ),
        ),
        Alert(
            name="ApiUsageExporterDown",
            comment="""
                Knows the exporter by what it publishes, whatever its job is called. Down: none of the job's known
                targets answers. Gone: service discovery has none any more that had one within the day. Never there:
                nothing is known at all. Replicas are one, and so are shards while others of them are up, since their
                alert is ApiUsageShardMissing.
            """,
            expr=f"""
                (
                  max without ({REPLICA}, {_SHARD_LABELS}) (
                    {_DOWN}
                      {_OTHERS}
                  )
                  unless max without ({REPLICA}, {_SHARD_LABELS}) ({_HERE})
                )
                or on ({_JOB})
                (
                  max by ({_JOB}) (
                    {last(SHARD_INFO, window="1d")}
                      {_OTHERS}
                  )
                  unless on ({_JOB}) {_HERE}
                )
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
                "10 minutes after its last scrape. Start it again, and look at its log for why it ended.",
            ),
        ),
        Alert(
            name="ApiUsageShardMissing",
            comment="""
                Each shard publishes which ones there are to be. A label `shard` of the scrape's target takes the name
                from the exporter's own, hence `index` and `exported_shard`. What there is to be is read over less
                than `for`: when all shards are down, ApiUsageExporterDown says so instead.
            """,
            expr=f"""
                max without (index) (
                  label_replace(
                    max without ({REPLICA}, job, service, shard) (
                      {last(SHARD_EXPECTED, 'shards!="1"', window="4m")}
                    ),
                    "shard", "$1", "index", "(.+)"
                  )
                )
                unless
                max without ({REPLICA}, job, service, exported_shard) (
                  label_replace({_HERE}, "shard", "$1", "exported_shard", "(.+)")
                )
            """,
            for_="5m",
            severity="critical",
            about="exporter",
            summary="API usage is watched in part: shard {{ $labels.shard }} of {{ $labels.shards }} is missing",
            description=lines(
                "Of the {{ $labels.shards }} exporters that share the organisations, the one of",
                "--shard={{ $labels.shard }}/{{ $labels.shards }} is scraped nowhere. Its organisations are not",
                "watched: limits may be reached unseen, and usage alerts of theirs end 10 minutes after its last",
                "scrape. See whether it runs, and whether Prometheus has its address.",
            ),
        ),
        Alert(
            name="ApiUsageReplicaDown",
            comment="While another replica of the same shard is up, nothing is missed.",
            expr=f"""
                count without ({REPLICA}) (
                  {_DOWN}
                )
                and
                {MAX_OF_REPLICAS} ({_HERE})
            """,
            for_="10m",
            severity="warning",
            about="exporter",
            summary="An API usage exporter is down; another one still watches",
            description=lines(
                "{{ $value }} of the replicas of the API usage exporter (job {{ $labels.job }}) cannot be scraped.",
                "Nothing is missed while another one is up; if that goes down as well, nobody watches. See",
                "Prometheus, Status > Targets, for the error, and the exporter's log for why it ended.",
            ),
        ),
    ),
)
