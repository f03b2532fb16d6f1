"""What the panels of the committed dashboards ask, as Grafana fills it in."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .promql import CLUSTER, NAMESPACE

Json = dict[str, Any]
FILES = sorted((Path(__file__).parent / "json").glob("*.json"))
# What Grafana fills in where targets have no label cluster or namespace.
NO_PLACE = {CLUSTER: [""], NAMESPACE: [""]}
BOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}


@dataclass(frozen=True)
class Question:
    """A panel's query, with variables filled in.

    key: dashboard, panel and query. about: the organisation, or "". least_step: such as 1m, where the panel sets one.
    """

    key: str
    about: str
    expr: str
    instant: bool
    least_step: str | None = None


def filled(expr: str, variables: Mapping[str, list[str]], rate_interval: str = "15s") -> str:
    """As Grafana fills in variables; `All` is `.+`, the allValue."""

    def value(match: re.Match[str]) -> str:
        name, form = match[1], match[2]
        choice = variables[name]
        if form == "raw" or choice == [".+"]:
            (only,) = choice
            return only
        escaped = [re.sub(r"[\\^$.*+?()[\]{}|]", r"\\\g<0>", one) for one in choice]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return re.sub(r"\$\{(\w+):(\w+)\}", value, expr.replace("$__rate_interval", rate_interval))


def questions(
    uid: str, organisations: list[str], scope: str = ".+", *, api: str = "demo", rate_interval: str = "15s"
) -> list[Question]:
    """Every query of a dashboard's panels, about each of the organisations."""
    return [
        question
        for about in organisations
        for question in questions_about(
            uid, about, {"api": [api], "organisation": [about], "scope": [scope]}, rate_interval
        )
    ]


def questions_about(
    uid: str, about: str, chosen: Mapping[str, list[str]], rate_interval: str = "15s"
) -> Iterator[Question]:
    """Every query of a dashboard's panels. chosen: values of its variables; all instances, and no place, without."""
    variables = {"instance": [".+"], **NO_PLACE, **chosen}
    for panel in BOARDS[uid]["panels"]:
        for target in panel.get("targets", []):
            key = f"{uid}/{panel['id']} {panel['title']}/{target['refId']}"
            expr = filled(target["expr"], variables, rate_interval)
            yield Question(key, about, expr, target.get("instant", False), target.get("interval"))


def variable_questions(uid: str, about: str, chosen: Mapping[str, list[str]]) -> Iterator[Question]:
    """What the variables of a dashboard are chosen from."""
    variables = {**NO_PLACE, **chosen}
    for name, query in variable_queries(BOARDS[uid]):
        expr = filled(query, variables).removeprefix("query_result(").removesuffix(")")
        yield Question(f"{uid}/variable {name}", about, expr, instant=True)


def variable_queries(board: Json) -> Iterator[tuple[str, str]]:
    """(name, query) of the variables that are asked for."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]
