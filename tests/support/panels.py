"""What a Prometheus or the like answers to the dashboards' questions."""

import json

import requests

from dashboards.questions import Json, Question


def answered(server: str, question: Question, at: float) -> dict[str, dict[float, float]]:
    """The values of each series by their times, by its labels but `instance`; fails on an error."""
    parameters: Json = {"query": question.expr}
    path = "query"
    if question.instant:
        parameters["time"] = at
    else:
        path, step = "query_range", 600 if question.key.startswith("api-usage/") else 2
        parameters |= {"start": at - step * 30, "end": at, "step": step}
    answer = requests.post(f"{server}/api/v1/{path}", data=parameters, timeout=20).json()
    assert answer["status"] == "success", f"{question.key}: {answer.get('error')}\n{question.expr}"
    series = {}
    for one in answer["data"]["result"]:
        labels = {name: value for name, value in one["metric"].items() if name != "instance"}
        points = [one["value"]] if question.instant else one["values"]
        series[json.dumps(labels, sort_keys=True)] = {float(time): float(value) for time, value in points}
    return series


def asked(server: str, question: Question, at: float) -> dict[str, float]:
    """The last value of each series by its labels; fails on an error."""
    return {labels: list(values.values())[-1] for labels, values in answered(server, question, at).items()}


def server_time(server: str) -> float:
    answer = requests.get(f"{server}/api/v1/query", params={"query": "time()"}, timeout=10).json()
    return float(answer["data"]["result"][1])
