"""Which alerts are up about a scope or an organisation, and since when, in words for people. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from exporter.model import Alert, AlertsSeen, AlertState
from exporter.thresholds import Band
from exporter.view.since import Precision, Since
from exporter.view.words import ago

_SEVERITIES = ("critical", "warning", "info")
_BANDS = MappingProxyType({Band.WARNING: "Warning", Band.CRITICAL: "Critical"})


def by_organisation(seen: AlertsSeen | None) -> Mapping[tuple[str, str], Sequence[Alert]]:
    """Those about each organisation and its scopes, the gravest first, by (api, organisation) as labels have them."""
    found: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    for one in sorted(seen.alerts if seen else (), key=_gravity):
        found[one.api, one.organisation].append(one)
    return found


def _gravity(alert: Alert) -> tuple[int, datetime]:
    known = alert.severity in _SEVERITIES
    return _SEVERITIES.index(alert.severity) if known else len(_SEVERITIES), alert.since


def alert(value: Alert, now: datetime, zone: ZoneInfo) -> str:
    """ "Critical since 20:33 UTC: ApiUsageCritical, goes to pagerduty"."""
    severity = value.severity.capitalize() or "Alert"
    return f"{severity} since {_moment(value.since, now, zone)}: {value.name}{_standing(value)}"


def _standing(value: Alert) -> str:
    match value.state:
        case AlertState.SILENCED:
            return ", silenced"
        case AlertState.INHIBITED:
            return ", inhibited by another alert"
        case AlertState.PENDING:
            return ", pending"
        case AlertState.FIRING:
            return f", goes to {' and '.join(value.receivers)}" if value.receivers else ", firing"


def own(band: Band | None, since: Since | None, seen: AlertsSeen | None, now: datetime, zone: ZoneInfo) -> str:
    """Since when by the exporter's own thresholds, where no alert says it; "" where that is not known.

    seen: what the config's source of alerts has; None where none is named.
    """
    if band is None or band not in _BANDS or since is None:
        return ""
    no_alert = "; no alert is up" if seen is not None and not seen.failure else ""
    return f"{_BANDS[band]} since {since_when(since, now, zone)}, by the exporter's own thresholds{no_alert}"


def since_when(since: Since, now: datetime, zone: ZoneInfo) -> str:
    """ "20:33 UTC", "before 20:33 UTC", "Fri 20 Nov": a time in the zone, a day in the vendor's."""
    if since.precision is Precision.DAY:
        return f"{since.at:%a} {since.at.day} {since.at:%b}"
    moment = _moment(since.at, now, zone)
    return f"before {moment}" if since.precision is Precision.AT_LEAST else moment


def _moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """ "20:33 UTC", of another day "21 Nov, 20:33 UTC"."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    clock = f"{local:%H:%M} {local.tzname()}"
    if local.date() == today.date():
        return clock
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local:%b}{year}, {clock}"


def source(seen: AlertsSeen | None, now: datetime) -> str:
    """Why the alerts may not be the present ones; "" where they are, or the config names no source."""
    if seen is None or not seen.failure:
        return ""
    age = f"; alerts are those of {ago(seen.at, now)}" if seen.at is not None else ""
    return f"{seen.source} does not answer: {seen.failure}{age}."
