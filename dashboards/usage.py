"""The vendor's usage page: one organisation, a card per scope, daily usage, limits, planning."""

from string import ascii_uppercase

from grafanalib.core import Dashboard

from exporter.links import USAGE_DASHBOARD
from exporter.metrics import API, DATE, ORGANISATION, POLL_FAILING, REASON, REQUESTS, SCOPE, UP
from exporter.thresholds import HISTORY_DAYS, NEAR_LIMIT_RATIO, Bands

from . import queries
from .common import (
    BOUNDLESS,
    NO_DATA,
    PALETTE,
    PLACE_CHOSEN,
    api_variable,
    dashed,
    known_variable,
    percentage,
    place_variables,
)
from .panels import (
    BarChart,
    BarGauge,
    Lines,
    Section,
    Stat,
    Table,
    Variable,
    View,
    board,
    columns,
    data_source_variable,
    fixed,
    for_field,
    for_query,
    instant,
    merged,
    moments,
    over_time,
    section,
    sorted_by,
    table,
    text,
    thresholds,
    words,
    words_from,
)
from .promql import any_of_variable, one_of_variable, select
from .queries import Mark
from .theme import (
    AMBER,
    COUNT,
    FROM_NOW,
    GOOD,
    MUTED,
    NORMAL,
    PER_MINUTE,
    PERCENT,
    PLAIN,
    RED,
    likelihood_steps,
    one_colour,
    rate_steps,
    step,
)

ORGANISATION_CHOSEN = {**PLACE_CHOSEN, API: one_of_variable(API), ORGANISATION: one_of_variable(ORGANISATION)}
SCOPES_CHOSEN = {**ORGANISATION_CHOSEN, SCOPE: any_of_variable(SCOPE)}

# In the grid's rows: a title and a value.
CARD_HEIGHT = 3
# Pixels; nothing is cut off with it on a screen of 1280, as the tests in a real Grafana see.
FACT_SIZE = 20

RATE_ADVICE = """\
A scope has a limit per minute **whatever is left of its monthly allowance**. Over it the API answers with an error,
usually `429 Too Many Requests`.

- **Back off exponentially.** After a refusal wait as `Retry-After` says; without it 1 s, 2 s, 4 s … with some
  randomness. Never retry in a tight loop.
- **Cache responses.** A request that is not made counts against nothing.
- **Spread requests evenly.** Queue batch jobs and run them through the minute and through the day, not all at the
  full hour.
"""


def dashboard(bands: Bands, runbooks: str) -> Dashboard:
    return board(
        title="API usage",
        uid=USAGE_DASHBOARD,
        description="How much of an organisation's API allowances is used, day by day, and whether it will last.",
        since="now-30d",
        variables=_variables(),
        runbooks=runbooks,
        annotations=[
            moments(
                "Limits changed",
                queries.terms_changed(SCOPES_CHOSEN),
                title="{{scope}}: {{term}} {{direction}}",
                text="by {{api}}; before: {{previous}}",
                colour=AMBER,
            )
        ],
        panels=[*_summary(bands), *_card(bands), *_outlook(), *_daily(), *_period(bands), *_rate(), *_planning()],
    )


def _variables() -> list[Variable]:
    of_api = {**PLACE_CHOSEN, API: one_of_variable(API)}
    return [
        data_source_variable(),
        *place_variables(),
        api_variable(),
        known_variable(ORGANISATION, of_api, "Organisation"),
        known_variable(SCOPE, ORGANISATION_CHOSEN, "Scope", of=REQUESTS, many=True),
    ]


# --- the organisation at a glance


def _summary(bands: Bands) -> list[View]:
    where = ORGANISATION_CHOSEN
    low, high = (threshold.percent for threshold in bands.thresholds)

    def count(title: str, description: str, scopes: str, colour: str) -> Stat:
        return Stat(
            title=title,
            description=description,
            width=4,
            height=3,
            targets=[instant(queries.count_of(scopes, where))],
            defaults={
                "unit": COUNT,
                "noValue": NO_DATA,
                **thresholds([step(None, MUTED), step(1, colour)]),
            },
            options={"text": {"valueSize": FACT_SIZE}},
        )

    return [
        count(
            f"Scopes over {high:g} %",
            f"Scopes that have used more than {high:g} % of their limit.",
            queries.scopes_used(where, f"> {high:g}"),
            RED,
        ),
        count(
            f"Scopes at {low:g} to {high:g} %",
            f"Scopes that have used {low:g} % of their limit or more, up to and including {high:g} %.",
            queries.scopes_used(where, f">= {low:g} <= {high:g}"),
            AMBER,
        ),
        count(
            f"Scopes under {low:g} %",
            f"Scopes that have used less than {low:g} % of their limit.",
            queries.scopes_used(where, f"< {low:g}"),
            NORMAL,
        ),
        count("Unlimited scopes", "Scopes without a limit in their plan.", queries.scopes_unlimited(where), PLAIN),
        _last_update(),
        _vendor_state(),
    ]


def _last_update() -> Stat:
    return Stat(
        title="Last update",
        description="When the exporter last read this organisation's usage from the vendor.",
        width=4,
        height=3,
        targets=[instant(queries.last_success_at(ORGANISATION_CHOSEN))],
        defaults={"unit": FROM_NOW, "noValue": "Never", **fixed(PLAIN)},
        options={"text": {"valueSize": 18}},
    )


def _vendor_state() -> Stat:
    answering = f"max({select(UP, ORGANISATION_CHOSEN)}) == 1"
    failing = f"max by ({REASON}) ({select(POLL_FAILING, ORGANISATION_CHOSEN)}) == 1 unless on () ({answering})"
    return Stat(
        title="Vendor's API",
        description="Whether the vendor's usage endpoint answered the last poll of this organisation, or why not.",
        width=4,
        height=3,
        targets=[instant(answering, "Answering"), instant(failing, f"Failing: {{{{{REASON}}}}}")],
        defaults={"unit": "none", "noValue": "Not asked yet", **fixed(GOOD)},
        overrides=[for_query("B", **fixed(RED))],
        options={"textMode": "name", "text": {"valueSize": FACT_SIZE}},
    )


# --- a card per scope


def _card(bands: Bands) -> list[View | Section]:
    return [section("$scope", repeat=SCOPE), _progress(bands), *_facts()]


def _progress(bands: Bands) -> BarGauge:
    low, high = (threshold.percent for threshold in bands.thresholds)
    return BarGauge(
        title="Used of the limit",
        description=(
            "How much of the billing period's limit is used, exactly. "
            f"The bar is blue under {low:g} %, amber from {low:g} % to {high:g} %, and red over {high:g} %. "
            "Over 100 % it is full, and the number goes on."
        ),
        width=6,
        height=CARD_HEIGHT,
        targets=[instant(queries.used_percent(SCOPES_CHOSEN), "Used")],
        defaults=percentage(bands),
        options={"text": {"valueSize": 22}},
    )


def _fact(title: str, description: str, expr: str, width: int, size: int = FACT_SIZE, **defaults: object) -> Stat:
    return Stat(
        title=title,
        description=description,
        width=width,
        height=CARD_HEIGHT,
        targets=[instant(expr)],
        defaults={"noValue": NO_DATA, **fixed(PLAIN), **defaults},
        options={"text": {"valueSize": size}},
    )


def _facts() -> list[Stat]:
    where = SCOPES_CHOSEN
    return [
        _fact(
            "Current usage",
            "Requests made since the billing period began.",
            queries.requests(where),
            3,
            unit=COUNT,
        ),
        _fact(
            "Limit",
            "Most requests that the plan allows in a billing period.",
            queries.limit(where),
            3,
            unit=COUNT,
            mappings=[words({Mark.UNLIMITED: "Unlimited"})],
        ),
        _fact(
            "Rate limit",
            "Most requests allowed in any one minute, whatever is left of the limit.",
            queries.rate_limit(where),
            3,
            unit=PER_MINUTE,
            mappings=[words({Mark.NONE: "None"})],
        ),
        _fact(
            "Period ends",
            "Time until the billing period ends and the usage starts again from 0.",
            queries.period_ends_at(where),
            3,
            unit=FROM_NOW,
        ),
        _forecast(),
        _fact(
            "Data",
            "Whether the numbers are current. Stale: no newer ones were read since then; "
            "usage is at least what is shown.",
            queries.stale_since(where),
            3,
            size=16,
            unit="time:[Stale since] D[\u00a0]MMM[\u00a0]HH:mm",
            mappings=[words({0: "Current"})],
            **thresholds([step(None, PLAIN), step(1, AMBER)]),
        ),
    ]


def _forecast() -> Stat:
    return Stat(
        title="Forecast",
        description=(
            "Requests at the end of the billing period, as likely more as less. Red where that is more than the "
            "limit. The table below has the range, and when the limit is reached."
        ),
        width=3,
        height=CARD_HEIGHT,
        targets=[
            instant(queries.forecast_within(SCOPES_CHOSEN)),
            instant(queries.forecast_over(SCOPES_CHOSEN)),
        ],
        defaults={
            "unit": COUNT,
            "decimals": 0,
            "noValue": NO_DATA,
            "mappings": [words({Mark.NOT_KNOWN: "Not known"})],
            **fixed(PLAIN),
        },
        overrides=[for_query("B", **fixed(RED))],
        options={"text": {"valueSize": FACT_SIZE}},
    )


# --- will it last


def _outlook() -> list[View | Section]:
    return [section("Will it last"), _forecast_table()]


def _forecast_table() -> Table:
    where = SCOPES_CHOSEN
    reached = {"Earliest": "earliest", "Likely": "likely", "Latest": "latest"}
    paces = {"Last hour": "1h", "Last day": "1d", "Last 7 days": "7d"}
    asked = {
        "Over the limit": queries.over_limit_percent(where),
        "Low": queries.forecast(where, "low"),
        "Forecast": queries.forecast(where, "middle"),
        "High": queries.forecast(where, "high"),
        **{name: queries.reached_at(where, estimate) for name, estimate in reached.items()},
        **{name: queries.pace(where, window) for name, window in paces.items()},
    }
    values = [f"Value #{letter}" for letter, _ in zip(ascii_uppercase, asked, strict=False)]
    return Table(
        title="Forecast and pace, by scope",
        description=(
            "Over the limit: how likely it is reached before the billing period ends. Low, forecast, high: requests "
            "at its end; 10, 50 and 90 of 100 such periods end below. Earliest, likely, latest: by then the limit is "
            "reached in 10, 50 and 90 of them. Last hour, day, 7 days: the pace; a dash where it is not known."
        ),
        width=24,
        height=8,
        targets=[table(query) for query in asked.values()],
        transformations=[
            merged(),
            sorted_by(values[0], descending=True),
            columns(
                [SCOPE, *values],
                {SCOPE: "Scope", **dict(zip(values, asked, strict=True))},
                hidden=["Time", API, ORGANISATION],
            ),
        ],
        defaults={"unit": COUNT, "decimals": 0, "noValue": "–", **fixed(PLAIN)},
        overrides=[
            for_field(
                "Over the limit",
                unit=PERCENT,
                custom__displayMode="color-text",
                custom__width=110,
                mappings=[words({**BOUNDLESS, Mark.NOT_KNOWN: "Not known"}, MUTED)],
                **thresholds(likelihood_steps()),
            ),
            *(
                for_field(name, custom__width=80, mappings=[words({Mark.NOT_KNOWN: "–"}, MUTED)])
                for name in ("Low", "Forecast", "High")
            ),
            *(
                for_field(
                    name,
                    unit="time:D[\u00a0]MMM HH:mm",
                    custom__width=110,
                    mappings=[
                        words({Mark.REACHED: "Reached"}, RED),
                        words(
                            {
                                Mark.NOT_IN_PERIOD: "Not in period",
                                Mark.TIME_UNLIMITED: "–",
                                Mark.TIME_NOT_KNOWN: "Not known",
                                Mark.TIME_LIMIT_ZERO: "–",
                            },
                            MUTED,
                        ),
                    ],
                )
                for name in reached
            ),
            *(for_field(name, unit=PER_MINUTE, decimals=2, custom__width=90) for name in paces),
        ],
    )


# --- days


def _daily() -> list[View | Section]:
    return [section("Day by day"), _daily_total(), _date_range(), _daily_by_scope()]


def _daily_total() -> BarChart:
    return BarChart(
        title="Daily Usage",
        description=(
            f"Requests of each of the last {HISTORY_DAYS} days, all chosen scopes together; today's so far. Days are "
            "the vendor's own, whatever time zone you are in. Hover over a bar for its date and count."
        ),
        width=24,
        height=9,
        targets=[table(queries.daily_total(SCOPES_CHOSEN))],
        transformations=[
            columns(["date", "Value"], {"date": "Date", "Value": "Requests"}),
            sorted_by("Date"),
        ],
        defaults={"unit": COUNT, "min": 0, "noValue": "No data", **fixed(NORMAL)},
        options={"xField": "Date"},
    )


def _date_range() -> Stat:
    return Stat(
        title="",
        description="The first and the last day of the chart above.",
        width=24,
        height=2,
        targets=[table(queries.daily_total(SCOPES_CHOSEN))],
        transformations=[
            sorted_by("date"),
            {"id": "reduce", "options": {"mode": "seriesToRows", "reducers": ["first", "last"]}},
            {
                "id": "filterByValue",
                "options": {
                    "type": "include",
                    "match": "any",
                    "filters": [{"fieldName": "Field", "config": {"id": "equal", "options": {"value": "date"}}}],
                },
            },
            columns([], {"First": "First day:\u00a0", "Last": "Last day:\u00a0"}, hidden=["Field"]),
        ],
        defaults={"unit": "string", "noValue": "", **fixed(PLAIN)},
        options={
            "textMode": "value_and_name",
            "orientation": "vertical",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False},
            "text": {"titleSize": 13, "valueSize": 15},
        },
    )


def _daily_by_scope() -> BarChart:
    return BarChart(
        title="Daily usage by scope",
        description=f"Requests of each of the last {HISTORY_DAYS} days, split by scope.",
        width=24,
        height=10,
        targets=[table(queries.daily_by_scope(SCOPES_CHOSEN))],
        transformations=[
            {
                "id": "groupingToMatrix",
                "options": {"rowField": DATE, "columnField": SCOPE, "valueField": "Value", "emptyValue": "null"},
            },
            columns([], {f"{DATE}\\{SCOPE}": "Date"}, hidden=[]),
            sorted_by("Date"),
        ],
        defaults={"unit": COUNT, "min": 0, "noValue": "No data", **PALETTE},
        options={
            "xField": "Date",
            "stacking": "normal",
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        },
    )


# --- the billing period


def _period(bands: Bands) -> list[View | Section]:
    return [section("Usage against the limit, over the billing period"), _against_limit(bands)]


def _against_limit(bands: Bands) -> Lines:
    where = SCOPES_CHOSEN
    low, high = (f"{threshold.percent:g} %" for threshold in bands.thresholds)
    return Lines(
        title="$scope",
        description=(
            "Requests since the billing period began, against its limit. Above the even-pace line the allowance is "
            f"used faster than time passes. The lines at {low} and {high} are where the colour changes."
        ),
        width=8,
        height=9,
        repeat=SCOPE,
        per_row=3,
        targets=[
            over_time(queries.requests(where), "Used"),
            over_time(queries.even_pace(where), "Even pace"),
            over_time(queries.limit_share(where, bands.warning), low),
            over_time(queries.limit_share(where, bands.critical), high),
            over_time(queries.limit_share(where, 1), "Limit"),
        ],
        defaults={"unit": COUNT, "min": 0, "noValue": "No history yet"},
        overrides=[
            for_field("Used", **fixed(NORMAL), custom__fillOpacity=12),
            for_field("Even pace", **fixed(MUTED), **dashed(3, 4, width=2)),
            for_field(low, **fixed(AMBER), **dashed()),
            for_field(high, **fixed(RED), **dashed()),
            for_field("Limit", **fixed(PLAIN), custom__lineWidth=1),
        ],
    )


# --- requests a minute


def _rate() -> list[View | Section]:
    where = SCOPES_CHOSEN
    averaged = "Averaged over an hour: bursts within a minute do not show, and can be refused all the same."
    return [
        section("Rate limit"),
        Lines(
            title="Requests per minute",
            description=f"Requests observed per minute, by scope. {averaged}",
            width=8,
            height=9,
            targets=[over_time(queries.request_rate(where), "{{scope}}")],
            defaults={
                "unit": PER_MINUTE,
                "min": 0,
                "noValue": NO_DATA,
                **PALETTE,
            },
        ),
        Lines(
            title="Requests per minute, in percent of the rate limit",
            description=f"The observed request rate against the rate limit per minute, by scope. {averaged}",
            width=8,
            height=9,
            targets=[over_time(queries.rate_limit_percent(where), "{{scope}}")],
            defaults={
                "unit": PERCENT,
                "min": 0,
                "custom": {"axisSoftMax": 100, "thresholdsStyle": {"mode": "dashed"}},
                "noValue": "No rate limit",
                **thresholds(rate_steps()),
                **PALETTE,
            },
        ),
        text(
            "When the rate limit is hit",
            "What to do so that requests are not refused.",
            RATE_ADVICE,
            width=8,
            height=9,
        ),
    ]


# --- planning


def _planning() -> list[View | Section]:
    return [section("Planning for growth"), _plan_advice(), _near_limits(), _planning_text()]


def _plan_advice() -> Stat:
    return Stat(
        title="Advice for the plan",
        description=(
            "One scope that needs more than its limit: an add-on for it. Several: a plan upgrade. All of the "
            "organisation's scopes count, whichever are chosen above."
        ),
        width=5,
        height=8,
        targets=[instant(queries.scopes_short(ORGANISATION_CHOSEN))],
        defaults={
            "unit": "none",
            "noValue": "No data",
            "mappings": [
                words({0: "The plan fits"}, GOOD),
                words({1: "Add-on"}, AMBER),
                words_from(2, "Plan upgrade", AMBER),
            ],
            **thresholds(one_colour(PLAIN)),
        },
        options={"text": {"valueSize": 28}},
    )


def _near_limits() -> Table:
    where = SCOPES_CHOSEN
    near = "Days near limit"
    return Table(
        title="Which scopes need more than their limit",
        description=(
            f"On how many of the last {HISTORY_DAYS} days a scope used {100 * NEAR_LIMIT_RATIO:g} % or more of an "
            "even day's share of its limit; and whether the limit is too small, by this billing period and the last."
        ),
        width=14,
        height=8,
        targets=[
            table(queries.days_near(where)),
            table(queries.average_day(where)),
            table(queries.even_day(where)),
            table(queries.advice(where, ORGANISATION_CHOSEN)),
        ],
        transformations=[
            merged(),
            sorted_by("Value #A", descending=True),
            columns(
                [SCOPE, "Value #A", "Value #B", "Value #C", "Value #D"],
                {
                    SCOPE: "Scope",
                    "Value #A": near,
                    "Value #B": "Average day",
                    "Value #C": "Even share a day",
                    "Value #D": "Advice",
                },
                hidden=["Time", API, ORGANISATION],
            ),
        ],
        defaults={"unit": COUNT, "decimals": 0, "noValue": "–", **fixed(PLAIN)},
        overrides=[
            for_field(
                near,
                min=0,
                max=HISTORY_DAYS,
                custom__displayMode="basic",
                custom__width=160,
                mappings=[words(BOUNDLESS, MUTED)],
                **thresholds(one_colour(NORMAL)),
            ),
            for_field("Average day", custom__width=110),
            for_field("Even share a day", custom__width=140, mappings=[words(BOUNDLESS)]),
            for_field(
                "Advice",
                custom__align="left",
                custom__width=140,
                custom__displayMode="color-text",
                mappings=[
                    words({0: "Fits"}, GOOD),
                    words({1: "Add-on", 2: "Plan upgrade"}, AMBER),
                    words(BOUNDLESS, MUTED),
                ],
            ),
        ],
    )


def _planning_text() -> View:
    return text(
        "How this is judged",
        "What is needed, and what fits.",
        """\
A scope **needs more** when it reaches its warning in this billing period, as that is likely to end, and did so in the
last. Busy days alone do not matter: with quiet weekends, the limit may be enough.

- **One** scope: an **add-on** for it.
- **Several** scopes of the organisation: a **plan upgrade**.
""",
        width=5,
        height=8,
    )
