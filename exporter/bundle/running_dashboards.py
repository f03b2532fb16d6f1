"""Where the dashboards of a Grafana differ from the bundle's.

By its HTTP API, GET /api/dashboards/uid/UID:
https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/#get-dashboard-by-uid
"""

import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from exporter.bundle.asking import Server
from exporter.bundle.difference import Difference
from exporter.errors import CheckError

# What Grafana writes into each dashboard that it keeps, whatever was sent.
_GRAFANA_S_OWN = {"id", "version", "iteration"}
# What somebody has chosen at the top of a page, and what there was to choose from.
_CHOSEN = {"current", "options"}
_SHOWN = 120


def dashboard_differences(server: Server, texts: Iterable[str]) -> list[Difference]:
    """texts: the bundle's dashboards, as JSON. Raises CheckError where the server cannot be asked."""
    found = []
    for ours in map(json.loads, texts):
        theirs = _running(server, ours["uid"])
        if theirs is None:
            found.append(Difference(f"{ours['uid']} ({ours['title']}) is not there"))
        elif lines := tuple(_lines(ours, theirs)):
            found.append(Difference(f"{ours['uid']} ({ours['title']})", lines))
    return found


def _running(server: Server, uid: str) -> dict[str, Any] | None:
    path = f"/api/dashboards/uid/{uid}"
    answer = server.get(path)
    if answer is None:
        if server.get("/api/health") is None:
            raise CheckError(f"{server.url} has no /api/health, as Grafana does; is it one?")
        return None
    if not isinstance(answer, dict) or not isinstance(answer.get("dashboard"), dict):
        raise CheckError(f"{server.url}{path} does not answer as Grafana does; is it one?")
    dashboard: dict[str, Any] = answer["dashboard"]
    return dashboard


def _lines(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    ours, theirs = (
        {name: one for name, one in whole.items() if name not in _GRAFANA_S_OWN} for whole in (ours, theirs)
    )
    # A newer Grafana may add what its own schema has by default, as it migrates a dashboard; and says which it is.
    migrated = theirs.pop("schemaVersion", None) != ours.pop("schemaVersion", None)
    yield from _compared("", ours, theirs, additions=not migrated)


def _compared(path: str, ours: Any, theirs: Any, *, additions: bool) -> Iterator[str]:
    """additions: whether what is only in theirs counts as well."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        chosen = _CHOSEN if path.startswith("templating.list") else set()
        for name in [*ours, *(name for name in theirs if name not in ours and additions)]:
            if name not in chosen and name != "pluginVersion":
                here = f"{path}.{name}" if path else name
                yield from _compared(here, ours.get(name), theirs.get(name), additions=additions)
    elif isinstance(ours, list) and isinstance(theirs, list):
        yield from _lists(path, ours, theirs, additions=additions)
    elif ours != theirs and (ours or theirs):  # an empty list for one that is left out is no difference
        yield f"{path}: {_shown(theirs)}, in the bundle {_shown(ours)}"


def _lists(path: str, ours: list[Any], theirs: list[Any], *, additions: bool) -> Iterator[str]:
    wanted, running = (_by_name(whole) for whole in (ours, theirs))
    for name in [*wanted, *(name for name in running if name not in wanted)]:
        here = f"{path}[{name}]"
        if name not in running:
            yield f"{here} is not there"
        elif name not in wanted:
            yield f"{here} is not in the bundle"
        else:
            yield from _compared(here, wanted[name], running[name], additions=additions)


def _by_name(members: list[Any]) -> dict[str, Any]:
    """By title, name or refId, the second of one name as "name (2)"; what has none of them by its index."""
    found: dict[str, Any] = {}
    for index, member in enumerate(members):
        named = member if isinstance(member, dict) else {}
        name = str(named.get("title") or named.get("name") or named.get("refId") or index)
        again = (f"{name} ({number})" for number in count(2))
        found[name if name not in found else next(one for one in again if one not in found)] = member
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
