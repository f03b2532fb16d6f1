"""Panels and variables for Grafana 9 and later: thin subclasses over grafanalib's `Panel`.

grafanalib's own panel classes write what older Grafanas read, so each class here states its type, and field
options and panel options as the panel itself saves them.
"""

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any, ClassVar

from grafanalib.core import (
    SHOW,
    SORT_ALPHA_ASC,
    Annotations,
    Dashboard,
    DashboardLink,
    GridPos,
    Panel,
    Repeat,
    RowPanel,
    Target,
    Template,
    Templating,
    Time,
)

from .theme import Step

COLUMNS = 24  # of Grafana's grid
TAG = "api-usage"  # by which the dashboards link to one another
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of what grafanalib writes, the keys that a panel of today has.
_PANEL_KEYS = _words(
    "collapsed datasource description fieldConfig gridPos id interval links maxDataPoints maxPerRow options panels "
    "pluginVersion repeat repeatDirection targets title transformations transparent type"
)
_TARGET_KEYS = _words("datasource expr format instant interval legendFormat range refId")
_VARIABLE_KEYS = _words(
    "allValue current datasource hide includeAll label multi name options query refresh regex sort type"
)
_REFRESH_ON_TIME_RANGE_CHANGE = 2  # Grafana's number for it: 1 is on load, 0 never


def _only(keys: frozenset[str], data: Json) -> Json:
    """What is known of the data, and set; an empty object is an option, an empty list is not."""
    return {key: value for key, value in data.items() if key in keys and value is not None and value != []}


class Query(Target):  # type: ignore[misc]
    """A query of the dashboard's data source: at one time, or over the time range where `instant` is False."""

    def to_json_data(self) -> Json:
        data = {**super().to_json_data(), "datasource": DATA_SOURCE, "range": not self.instant}
        data["interval"] = self.interval or None
        data["legendFormat"] = self.legendFormat or "__auto"
        return _only(_TARGET_KEYS, data)


def instant(expr: str, legend: str = "") -> Query:
    return Query(expr=expr, legendFormat=legend, instant=True)


def table(expr: str) -> Query:
    """Labels become columns."""
    return Query(expr=expr, format="table", instant=True)


def over_time(expr: str, legend: str, least_step: str = "") -> Query:
    """least_step: between two points, however far one zooms in."""
    return Query(expr=expr, legendFormat=legend, interval=least_step)


class View(Panel):  # type: ignore[misc]
    """A panel with its own queries.

    width, height: in Grafana's grid, 24 columns wide, 38 pixels a row.
    defaults, overrides: field options. options: panel options, over the class's own.
    repeat: a variable of whose choices each gets a panel, `per_row` beside one another.
    """

    TYPE: ClassVar[str]
    OPTIONS: ClassVar[Json] = {}
    CUSTOM: ClassVar[Json] = {}

    def __init__(
        self,
        *,
        title: str,
        description: str,
        width: int,
        height: int,
        targets: Sequence[Query] = (),
        transformations: Sequence[Json] = (),
        defaults: Json | None = None,
        overrides: Sequence[Json] = (),
        options: Json | None = None,
        repeat: str | None = None,
        per_row: int | None = None,
    ) -> None:
        for letter, query in zip(ascii_uppercase, targets, strict=False):
            query.refId = letter
        super().__init__(
            title=title,
            description=description,
            gridPos=GridPos(h=height, w=width, x=0, y=0),
            targets=list(targets),
            transformations=list(transformations),
            maxDataPoints=None,
            repeat=Repeat(variable=repeat, direction="h" if repeat else None, maxPerRow=per_row),
        )
        given = defaults or {}
        custom = {**self.CUSTOM, **given.get("custom", {})}
        self._field_config: Json = {"defaults": {**given, "custom": custom}, "overrides": list(overrides)}
        self._options = {**self.OPTIONS, **(options or {})}

    def to_json_data(self) -> Json:
        panel = self.panel_json({"type": self.TYPE, "datasource": DATA_SOURCE, "options": self._options})
        return _only(_PANEL_KEYS, {**panel, "fieldConfig": self._field_config})


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}


class Stat(View):
    """One value in large type."""

    TYPE = "stat"
    OPTIONS: ClassVar[Json] = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "reduceOptions": _LAST,
        "textMode": "value",
    }


class BarGauge(View):
    """A progress bar."""

    TYPE = "bargauge"
    OPTIONS: ClassVar[Json] = {
        "displayMode": "basic",
        "minVizHeight": 10,
        "minVizWidth": 0,
        "orientation": "horizontal",
        "reduceOptions": _LAST,
        "showUnfilled": True,
        "valueMode": "color",
    }


class BarChart(View):
    """Bars by a text on the x axis."""

    TYPE = "barchart"
    OPTIONS: ClassVar[Json] = {
        "barRadius": 0.05,
        "barWidth": 0.82,
        "fullHighlight": True,
        "groupWidth": 0.7,
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "orientation": "vertical",
        "showValue": "never",
        "stacking": "none",
        "tooltip": {"mode": "multi", "sort": "none"},
        "xTickLabelRotation": -45,
        "xTickLabelSpacing": 0,
    }
    CUSTOM: ClassVar[Json] = {
        "axisBorderShow": False,
        "axisPlacement": "auto",
        "fillOpacity": 85,
        "gradientMode": "none",
        "lineWidth": 0,
    }


class Lines(View):
    """Lines over time."""

    TYPE = "timeseries"
    OPTIONS: ClassVar[Json] = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    CUSTOM: ClassVar[Json] = {
        "drawStyle": "line",
        "fillOpacity": 0,
        "lineInterpolation": "linear",
        "lineWidth": 2,
        "pointSize": 4,
        "showPoints": "never",
        "spanNulls": False,
    }


class Table(View):
    """Rows and columns."""

    TYPE = "table"
    OPTIONS: ClassVar[Json] = {
        "cellHeight": "sm",
        "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
        "showHeader": True,
    }
    CUSTOM: ClassVar[Json] = {"align": "auto", "inspect": False}


class Text(View):
    """Markdown."""

    TYPE = "text"

    def to_json_data(self) -> Json:
        panel = super().to_json_data()
        for key in ("datasource", "fieldConfig"):
            panel.pop(key)
        return panel


def text(title: str, description: str, markdown: str, *, width: int, height: int) -> Text:
    return Text(
        title=title,
        description=description,
        width=width,
        height=height,
        options={"mode": "markdown", "content": markdown},
    )


class Section(RowPanel):  # type: ignore[misc]
    """A heading over the panels that follow, repeated with them where `repeat` is set."""

    def to_json_data(self) -> Json:
        keys = _PANEL_KEYS - {"fieldConfig", "maxDataPoints", "transparent"}
        return {**_only(keys, super().to_json_data()), "panels": []}


def section(title: str, repeat: str | None = None) -> Section:
    return Section(title=title, repeat=Repeat(variable=repeat), gridPos=GridPos(h=1, w=COLUMNS, x=0, y=0))


def arranged(panels: Iterable[View | Section]) -> list[Panel]:
    """The panels with ids and places, from left to right, as many as fit beside one another."""
    placed, x, y, row_height = list(panels), 0, 0, 0
    for number, panel in enumerate(placed, 1):
        at = panel.gridPos
        if x + at.w > COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        panel.id, at.x, at.y = number, x, y
        x, row_height = x + at.w, max(row_height, at.h)
    return placed


# --- field options


def words(marks: dict[float, str], colour: str | None = None) -> Json:
    """A value mapping: marks shown as words."""
    return {
        "type": "value",
        "options": {
            f"{mark:g}": {"text": word, "index": index, **({"color": colour} if colour else {})}
            for index, (mark, word) in enumerate(marks.items())
        },
    }


# Grafana 9 takes no bound at all for 0.
_HIGHEST = 1e18


def words_from(lowest: float, word: str, colour: str) -> Json:
    """A value mapping: a word from a value on."""
    return {
        "type": "range",
        "options": {"from": lowest, "to": _HIGHEST, "result": {"text": word, "color": colour, "index": 0}},
    }


def thresholds(steps: Sequence[Step]) -> Json:
    return {"thresholds": {"mode": "absolute", "steps": list(steps)}, "color": {"mode": "thresholds"}}


def fixed(colour: str) -> Json:
    return {"color": {"mode": "fixed", "fixedColor": colour}}


def for_field(name: str, **properties: Any) -> Json:
    """An override of one field; `custom__width=80` is custom.width."""
    return _override("byName", name, properties)


def for_query(ref_id: str, **properties: Any) -> Json:
    return _override("byFrameRefID", ref_id, properties)


def _override(matcher: str, options: str, properties: dict[str, Any]) -> Json:
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()],
    }


# --- transformations


def merged() -> Json:
    """All tables' rows with the same labels become one row."""
    return {"id": "merge", "options": {}}


def columns(order: Sequence[str], names: dict[str, str], hidden: Sequence[str] = ("Time",)) -> Json:
    return {
        "id": "organize",
        "options": {
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: index for index, name in enumerate(order)},
            "renameByName": names,
        },
    }


def sorted_by(field: str, *, descending: bool = False) -> Json:
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": field, "desc": descending}]}}


# --- variables and links


class Variable(Template):  # type: ignore[misc]
    """A choice above the dashboard."""

    def to_json_data(self) -> Json:
        data = _only(_VARIABLE_KEYS, super().to_json_data())
        data["options"] = []
        data["current"] = {"selected": True, "text": "All", "value": "$__all"} if self.includeAll else {}
        return data


def data_source_variable() -> Variable:
    return Variable(name="datasource", label="Data source", type="datasource", query="prometheus", refresh=1)


def label_variable(label: str, query: str, *, title: str, many: bool = False) -> Variable:
    """The values of a label that the query, which has no other label, answers with now.

    By query_result, as label_values re-quotes a filter in newer Grafanas.
    """
    return Variable(
        name=label,
        label=title,
        dataSource=DATA_SOURCE,
        query={"query": f"query_result({query})", "refId": "Variable"},
        regex=f'/^\\{{{label}="(.+)"\\}} [^ ]+ [^ ]+$/',
        refresh=_REFRESH_ON_TIME_RANGE_CHANGE,
        sort=SORT_ALPHA_ASC,
        multi=many,
        includeAll=many,
        allValue=".+" if many else None,
        hide=SHOW,
    )


def links(runbooks: str) -> list[DashboardLink]:
    """Between all dashboards here, with time range and variables, and to the runbooks."""
    return [
        DashboardLink(
            type="dashboards", tags=[TAG], title="Dashboards", asDropdown=True, includeVars=True, keepTime=True
        ),
        DashboardLink(
            type="link",
            title="Runbooks",
            uri=runbooks,
            icon="doc",
            tooltip="What to do about an alert",
            keepTime=False,
            targetBlank=True,
        ),
    ]


def moments(name: str, query: str, *, title: str, text: str, colour: str) -> dict[str, Any]:
    """Vertical lines at the moments that are the query's values, in Unix milliseconds.

    title, text: in words, with labels as {{scope}}.
    """
    return {
        "name": name,
        "datasource": DATA_SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "expr": query,
        "titleFormat": title,
        "textFormat": text,
        "useValueForTime": True,
    }


def board(
    *,
    title: str,
    uid: str,
    description: str,
    since: str,
    variables: Sequence[Variable],
    runbooks: str,
    panels: Iterable[View | Section],
    annotations: Sequence[dict[str, Any]] = (),
) -> Dashboard:
    """A dashboard with what all of them share. since: start of the time shown, such as now-30d."""
    return Dashboard(
        title=title,
        uid=uid,
        description=description,
        tags=[TAG],
        timezone="utc",
        time=Time(since, "now"),
        refresh="1m",
        schemaVersion=36,  # below it, Grafana migrates panels away
        templating=Templating(list=list(variables)),
        annotations=Annotations(list(annotations)),
        links=links(runbooks),
        panels=arranged(panels),
    )
