"""The exporter itself: whether it polls, how old its data is, what it costs."""

from grafanalib.core import Dashboard

from exporter.links import EXPORTER_DASHBOARD
from exporter.metrics import (
    API,
    BUILD_INFO,
    CONFIG_RELOAD_OK,
    CONFIG_RELOAD_TIME,
    LAST_SUCCESS,
    ORGANISATION,
    POLL_DURATION,
    POLL_FAILURES,
    POLL_INTERVAL,
    POLLS,
    POLLS_LATE,
    POLLS_PUT_OFF,
    POLLS_RUNNING,
    POLLS_WAITING,
    REASON,
    STALE_AFTER,
    VENDOR_CALLS,
    Metric,
)
from exporter.thresholds import Bands

from .common import KNOWN_FOR, NO_DATA, PALETTE, dashed, known_variable
from .panels import (
    Lines,
    Section,
    Stat,
    View,
    board,
    data_source_variable,
    fixed,
    for_query,
    instant,
    over_time,
    section,
    thresholds,
    words,
)
from .promql import (
    CPU,
    MEMORY,
    SCRAPE_DURATION,
    SCRAPE_SAMPLES,
    TARGET_KEYS,
    TARGET_UP,
    aggregate,
    any_of_variable,
    select,
)
from .queries import count_of
from .theme import AMBER, COUNT, FROM_NOW, GOOD, MUTED, NORMAL, PER_MINUTE, PERCENT, PLAIN, RED, step

# Points closer than this say no more about polls, and cost as many times more where there are thousands of series.
A_MINUTE = "1m"
INSTANCE = "instance"
WHERE = {INSTANCE: any_of_variable(INSTANCE)}
RATE = "$__rate_interval"
TARGET = ", ".join(TARGET_KEYS)


def dashboard(bands: Bands, runbooks: str) -> Dashboard:
    del bands
    return board(
        title="API usage exporter",
        uid=EXPORTER_DASHBOARD,
        description="Whether the exporter reads usage from the vendors as it should, and what it costs to run.",
        since="now-1h",
        variables=[
            data_source_variable(),
            known_variable(INSTANCE, {}, "Instance", of=BUILD_INFO, many=True),
        ],
        runbooks=runbooks,
        panels=[*_state(), *_polls(), *_cost()],
    )


def _stat(title: str, description: str, expr: str, size: int = 28, **defaults: object) -> Stat:
    return Stat(
        title=title,
        description=description,
        width=4,
        height=4,
        targets=[instant(expr)],
        defaults={"noValue": NO_DATA, **fixed(PLAIN), **defaults},
        options={"text": {"valueSize": size}},
    )


def _state() -> list[View]:
    late = f"time() - {select(LAST_SUCCESS, WHERE)} > {select(STALE_AFTER, WHERE)}"
    return [
        _stat(
            "Exporters up",
            "Exporters that answered Prometheus' last scrape, of those chosen.",
            f"sum({_own(TARGET_UP, window=KNOWN_FOR)})",
            unit="none",
            **thresholds([step(None, RED), step(1, GOOD)]),
        ),
        _stat(
            "Organisations polled",
            "Organisations that the exporter asks vendors about.",
            f"count(group by ({API}, {ORGANISATION}) ({select(POLL_INTERVAL, WHERE)}))",
            unit="none",
        ),
        _stat(
            "Stale organisations",
            "Organisations whose data is older than stale_after in the config.",
            count_of(f"group by ({API}, {ORGANISATION}) ({late})", WHERE, POLL_INTERVAL),
            unit="none",
            **thresholds([step(None, MUTED), step(1, AMBER)]),
        ),
        _stat(
            "Failed polls, last hour",
            "Polls that failed within the last hour, for any reason.",
            f"sum(increase({select(POLL_FAILURES, WHERE, window='1h')}))",
            unit="none",
            decimals=0,
            **thresholds([step(None, MUTED), step(0.5, AMBER)]),
        ),
        _stat(
            "Config",
            "Whether the config file was last read without error. If not, an older config is in use.",
            f"min({select(CONFIG_RELOAD_OK, WHERE)})",
            unit="none",
            mappings=[words({1: "Loaded"}, GOOD), words({0: "Reload failed"}, RED)],
        ),
        _stat(
            "Config in use since",
            "When the config in use was read.",
            f"1000 * min({select(CONFIG_RELOAD_TIME, WHERE)})",
            size=18,
            unit=FROM_NOW,
        ),
    ]


def _lines(
    title: str,
    description: str,
    *targets: tuple[str, str],
    least_step: str = "",
    width: int = 8,
    **defaults: object,
) -> Lines:
    return Lines(
        title=title,
        description=description,
        width=width,
        height=8,
        targets=[over_time(expr, legend, least_step) for expr, legend in targets],
        defaults={"min": 0, "noValue": NO_DATA, **PALETTE, **defaults},
    )


def _polls() -> list[View | Section]:
    buckets = select(POLL_DURATION, WHERE, suffix="_bucket", window=RATE)

    def duration(quantile: float) -> str:
        return f"histogram_quantile({quantile:g}, sum by ({API}, le) (rate({buckets})))"

    return [
        section("Polls"),
        _lines(
            "Polls per minute",
            "How often the exporter asks each vendor's usage endpoint.",
            (f"60 * sum by ({INSTANCE}, {API}) (rate({select(POLLS, WHERE, window=RATE)}))", "{{api}}, {{instance}}"),
            least_step=A_MINUTE,
            unit=PER_MINUTE,
        ),
        _lines(
            "Failed polls per minute, by reason",
            "Polls that brought nothing. auth: the vendor refuses the credentials; request: the vendor calls the "
            "question wrong; response: the answer does not fit the mapping.",
            (
                f"60 * sum by ({API}, {REASON}) (rate({select(POLL_FAILURES, WHERE, window=RATE)})) > 0",
                "{{api}}: {{reason}}",
            ),
            least_step=A_MINUTE,
            unit=PER_MINUTE,
            noValue="No poll has failed",
            custom={"showPoints": "auto"},
        ),
        _lines(
            "Poll duration",
            "How long a poll takes, from question to the whole answer: half of them are faster than the median, one "
            "in a hundred is slower than the 99th percentile.",
            (duration(0.5), "median, {{api}}"),
            (duration(0.99), "99th percentile, {{api}}"),
            unit="s",
        ),
        _lines(
            "Polls under way and waiting",
            "Polls under way, and polls that are due and wait for others of the same api to end, since no more than "
            "max_concurrent_polls are made at a time. Late ones have waited for 10 seconds or more.",
            (_sum_of_api(POLLS_RUNNING), "{{api}}, under way"),
            (_sum_of_api(POLLS_WAITING), "{{api}}, waiting"),
            (_sum_of_api(POLLS_LATE), "{{api}}, late"),
            width=12,
            unit="none",
        ),
        _lines(
            "Requests to vendors in 24 hours",
            "Requests to the usage endpoints, which max_calls_per_day bounds, and the polls that it put off.",
            (f"sum by ({API}) (increase({select(VENDOR_CALLS, WHERE, window='1d')}))", "{{api}}"),
            (
                f"sum by ({API}) (increase({select(POLLS_PUT_OFF, WHERE, window='1d')}))",
                "{{api}}, polls put off",
            ),
            least_step=A_MINUTE,
            width=12,
            unit=COUNT,
        ),
        Lines(
            title="Data age against the poll interval",
            description=(
                "How old each API's oldest data was when Prometheus scraped it. It stays about the poll interval; "
                "above the stale line cards and alerts call the data stale, and the overview shows whose it is."
            ),
            width=24,
            height=9,
            targets=[
                over_time(_age(), "Oldest of {{api}}, {{instance}}"),
                over_time(f"max by ({API}) ({select(POLL_INTERVAL, WHERE)})", "Poll interval of {{api}}"),
                over_time(f"max by ({API}) ({select(STALE_AFTER, WHERE)})", "Stale after, of {{api}}"),
            ],
            defaults={"unit": "s", "min": 0, "noValue": NO_DATA, **PALETTE},
            overrides=[
                for_query("B", **fixed(NORMAL), **dashed()),
                for_query("C", **fixed(RED), **dashed()),
            ],
        ),
    ]


def _sum_of_api(metric: Metric) -> str:
    return f"sum by ({API}) ({select(metric, WHERE)})"


def _age() -> str:
    # At the time of the scrape: the scrape interval is not the exporter's delay. It is the same for all series of a
    # scrape, and timestamp() of each would take seconds for a thousand organisations.
    scraped = f"timestamp({select(BUILD_INFO, WHERE)})"
    oldest = aggregate("min", (API, *TARGET_KEYS), select(LAST_SUCCESS, WHERE))
    return f"{scraped} - on ({TARGET}) group_right () {oldest}"


def _own(metric: Metric, *, window: str = "") -> str:
    """A series of Prometheus' or Python's, of those targets that are exporters, whatever their job is called."""
    build = select(BUILD_INFO, WHERE, window=window)
    return f"{select(metric, WHERE)} and on ({TARGET}) {f'last_over_time({build})' if window else build}"


def _cost() -> list[View | Section]:
    by_instance = "{{instance}}"
    return [
        section("Cost"),
        _lines(
            "Scrape duration",
            "How long Prometheus waits for the exporter's metrics.",
            (_own(SCRAPE_DURATION), by_instance),
            unit="s",
        ),
        _lines(
            "Samples per scrape",
            "The size of a scrape: about scopes × (days of history + 8).",
            (_own(SCRAPE_SAMPLES), by_instance),
            unit=COUNT,
        ),
        _lines(
            "Memory",
            "Resident memory of the exporter's process.",
            (_own(MEMORY), by_instance),
            unit="bytes",
        ),
        Lines(
            title="CPU",
            description="Part of one CPU core that the exporter's process uses.",
            width=24,
            height=7,
            targets=[
                over_time(
                    f"100 * rate({select(CPU, WHERE, window=RATE)}) and on ({TARGET}) {select(BUILD_INFO, WHERE)}",
                    by_instance,
                )
            ],
            defaults={"unit": PERCENT, "min": 0, "noValue": NO_DATA, **PALETTE},
        ),
    ]
