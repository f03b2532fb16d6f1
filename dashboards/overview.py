"""Every organisation of every api: who is worst off, what is firing."""

from grafanalib.core import Dashboard

from exporter.links import OVERVIEW_DASHBOARD, USAGE_DASHBOARD
from exporter.metrics import API, ORGANISATION, POLL_INTERVAL, SCOPE, STALE, UP
from exporter.thresholds import Bands

from . import queries
from .common import NO_DATA, PLACE_CHOSEN, api_variable, percentage, place_variables
from .panels import (
    Json,
    Stat,
    Table,
    View,
    board,
    columns,
    data_source_variable,
    fixed,
    for_field,
    instant,
    merged,
    sorted_by,
    table,
    thresholds,
    words,
)
from .promql import ALERTS, aggregate, any_of_variable, equal, matching, select
from .queries import Mark
from .theme import AMBER, COUNT, FROM_NOW, MUTED, NORMAL, PLAIN, RED, step

WHERE = {**PLACE_CHOSEN, API: any_of_variable(API)}
OUR_ALERTS = "ApiUsage.*|ApiRate.*|ApiRequests.*"

_PLACE = "var-cluster=${cluster:percentencode}&var-namespace=${namespace:percentencode}"
_VARIABLES = f"var-datasource=${{datasource}}&{_PLACE}&var-api=${{__data.fields.API:percentencode}}"
_ORGANISATION = "var-organisation=${__data.fields.Organisation:percentencode}"
_SCOPE = "var-scope=${__data.fields.Scope:percentencode}"


def dashboard(bands: Bands, runbooks: str) -> Dashboard:
    return board(
        title="API usage overview",
        uid=OVERVIEW_DASHBOARD,
        description="Every organisation's API allowances in one table, worst first, and the alerts that are firing.",
        since="now-30d",
        variables=[
            data_source_variable(),
            *place_variables(),
            api_variable(many=True),
        ],
        runbooks=runbooks,
        panels=[*_counts(bands), _alerts(runbooks), _scopes(bands)],
    )


def _counts(bands: Bands) -> list[View]:
    low, high = (threshold.percent for threshold in bands.thresholds)
    failing = f"{aggregate('max', (API, ORGANISATION), select(UP, WHERE))} == 0"
    stale = f"{aggregate('min', (API, ORGANISATION), select(STALE, WHERE))} == 1"
    return [
        _count(
            f"Over {high:g} %",
            f"Scopes over {high:g} % of their limit.",
            queries.scopes_used(WHERE, f"> {high:g}"),
            RED,
        ),
        _count(
            f"{low:g} to {high:g} %",
            f"Scopes at {low:g} % of their limit or more, up to and including {high:g} %.",
            queries.scopes_used(WHERE, f">= {low:g} <= {high:g}"),
            AMBER,
        ),
        _count(
            f"Under {low:g} %",
            f"Scopes under {low:g} % of their limit.",
            queries.scopes_used(WHERE, f"< {low:g}"),
            NORMAL,
        ),
        _count("Unlimited", "Scopes without a limit.", queries.scopes_unlimited(WHERE), PLAIN),
        _count("Failing", "Organisations whose last poll failed.", failing, RED),
        _count("Stale", "Organisations whose data is older than allowed.", stale, AMBER),
    ]


def _count(title: str, description: str, query: str, colour: str) -> Stat:
    return Stat(
        title=title,
        description=description,
        width=4,
        height=4,
        targets=[instant(queries.count_of(query, WHERE, POLL_INTERVAL))],
        defaults={"unit": COUNT, "noValue": NO_DATA, **thresholds([step(None, MUTED), step(1, colour)])},
        options={"text": {"valueSize": 36}},
    )


def _link(title: str, *variables: str) -> list[Json]:
    query = "&".join((_VARIABLES, *variables, "${__url_time_range}"))
    return [{"title": title, "url": f"/d/{USAGE_DASHBOARD}?{query}"}]


def _scopes(bands: Bands) -> Table:
    order = [API, ORGANISATION, SCOPE, *(f"Value #{letter}" for letter in "ABCDEF")]
    names = (
        "API",
        "Organisation",
        "Scope",
        "Used of the limit",
        "Usage",
        "Limit",
        "Limit reached",
        "Period ends",
        "Data age",
    )
    return Table(
        title="All scopes, worst first",
        description=(
            "Every scope of every organisation, by the part of its limit that is used. Limit reached: the day by "
            "which it is as likely as not. Follow an organisation or a scope to its usage page."
        ),
        width=24,
        height=17,
        targets=[
            table(f"{queries.used_percent(WHERE)} or {queries.without_scopes(WHERE)}"),
            table(queries.requests(WHERE)),
            table(queries.limit(WHERE)),
            table(queries.reached_at(WHERE, "likely")),
            table(queries.period_ends_at(WHERE)),
            table(f"{queries.data_age(WHERE)} or {queries.without_scopes(WHERE)}"),
        ],
        transformations=[
            merged(),
            sorted_by("Value #A", descending=True),
            columns(order, dict(zip(order, names, strict=True))),
        ],
        defaults={"unit": COUNT, "noValue": "–", **fixed(PLAIN)},
        overrides=[
            for_field("API", custom__width=75),
            for_field("Organisation", links=_link("Usage of ${__value.text}", _ORGANISATION)),
            for_field("Scope", links=_link("Usage of ${__value.text}", _ORGANISATION, _SCOPE)),
            for_field("Used of the limit", custom__displayMode="basic", custom__width=200, **percentage(bands)),
            for_field("Usage", custom__width=100),
            for_field("Limit", custom__width=100, mappings=[words({Mark.UNLIMITED: "Unlimited"})]),
            for_field(
                "Limit reached",
                unit="time:YYYY-MM-DD",
                custom__width=145,
                custom__displayMode="color-text",
                mappings=[
                    words({Mark.REACHED: "Reached"}, RED),
                    words(
                        {
                            Mark.NOT_IN_PERIOD: "Not in this period",
                            Mark.TIME_UNLIMITED: "Unlimited",
                            Mark.TIME_NOT_KNOWN: "Not known yet",
                            Mark.TIME_LIMIT_ZERO: "Limit is 0",
                        },
                        MUTED,
                    ),
                ],
                **fixed(AMBER),
            ),
            for_field("Period ends", unit=FROM_NOW, custom__width=105),
            for_field(
                "Data age",
                custom__width=90,
                unit="s",
                decimals=0,
                mappings=[words({Mark.NO_DATA: "Never read"}, RED)],
            ),
        ],
    )


def _alerts(runbooks: str) -> Table:
    firing = select(ALERTS, {"alertname": matching(OUR_ALERTS), "alertstate": equal("firing")})
    labels = ("severity", "alertname", API, ORGANISATION, SCOPE)
    names = {"severity": "Severity", "alertname": "Alert", API: "API", ORGANISATION: "Organisation", SCOPE: "Scope"}
    return Table(
        title="Firing alerts",
        description="Alerts on API usage that are firing in this Prometheus. Follow one to its runbook.",
        width=24,
        height=7,
        targets=[table(aggregate("max", labels, firing))],
        transformations=[columns(labels, names, hidden=["Time", "Value"]), sorted_by("Severity")],
        defaults={"unit": "none", "noValue": "No alert is firing.", **fixed(PLAIN)},
        overrides=[
            for_field(
                "Severity",
                custom__displayMode="color-text",
                custom__width=110,
                mappings=[
                    {
                        "type": "value",
                        "options": {
                            "critical": {"text": "critical", "color": RED, "index": 0},
                            "warning": {"text": "warning", "color": AMBER, "index": 1},
                            "info": {"text": "info", "color": NORMAL, "index": 2},
                        },
                    }
                ],
            ),
            for_field(
                "Alert", links=[{"title": "Runbook", "url": runbooks + "/${__value.text}.md", "targetBlank": True}]
            ),
            for_field("Organisation", links=_link("Usage of ${__value.text}", _ORGANISATION)),
        ],
    )
