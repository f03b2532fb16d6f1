"""Dashboards, rules, runbooks and provisioning with a site's own addresses and thresholds.

All of it is made from the project's own files, which an installed package has beside it: the defaults give them back
byte for byte.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from exporter.kubernetes import PROMETHEUS_RULE, prometheus_rule
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS, Bands

RULES = "alert_rules"
DASHBOARDS = "dashboards/json"
PROVISIONING = "provisioning"

# Where rules and runbooks name a threshold of the usage ratio. Other percentages, such as that of the rate limit, are
# no site's to choose here.
THRESHOLD_TEXTS = MappingProxyType(
    {
        f"{RULES}/alerts.yaml": (
            "scope:api_usage_requests_per_limit:ratio >= {warning}\n",
            "scope:api_usage_requests_per_limit:ratio > {critical}\n",
            "Exactly {critical_percent} is still amber",
        ),
        f"{RULES}/runbooks/ApiUsageHigh.md": (
            "{warning_percent} or more of",
            "The {critical_percent} alert",
            "before {critical_percent}.",
        ),
        f"{RULES}/runbooks/ApiUsageCritical.md": (
            "More than {critical_percent} of",
            "Exactly {critical_percent} is still",
        ),
        f"{RULES}/runbooks/ApiUsageExporterDown.md": ("over {warning_percent}.",),
        f"{RULES}/runbooks/ApiUsageStale.md": ("over {warning_percent}.",),
    }
)

# No more than what YAML, Prometheus' templates and Grafana's links all leave as it is.
_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?(/[A-Za-z0-9._~%+:@,;=/-]*)?")


@dataclass(frozen=True)
class Site:
    """What differs from site to site. grafana, runbooks: where they are found; `site_url` makes them."""

    grafana: str = GRAFANA_URL
    runbooks: str = RUNBOOKS_URL
    bands: Bands = DEFAULT_BANDS


def site_url(text: str) -> str:
    """An address that paths are put after, without a slash at its end.

    Raises ValueError, saying what would be right.
    """
    if not re.match(r"https?://[^/?#]", text):
        raise ValueError(f"must begin with http:// or https:// and a host, as https://example.org does, not {text!r}")
    parts = urlsplit(text)
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password: every alert would show it")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError(f"must end with its path, since paths are put after it; leave out ? and #: {text!r}")
    if not _URL.fullmatch(text) or not _has_port(text):
        raise ValueError(f"is not a URL of plain characters; write others as %20 and the like: {text!r}")
    return text.rstrip("/")


def _has_port(text: str) -> bool:
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False


def project_folder(name: str) -> Path:
    """A top-level folder of the project; an installed package has them beside it as well."""
    return Path(__file__).resolve().parents[2] / name


def site_files(site: Site) -> dict[str, str]:
    """Every file of the bundle: its text by its path, which is the same as in the project."""
    # Of the exporter, only this needs grafanalib, which takes 0.1 s to load.
    from dashboards.build import rendered  # noqa: PLC0415

    rules = rule_files(site)
    return {
        **rules,
        **dict(_project_files(DASHBOARDS)),
        **{f"{DASHBOARDS}/{name}": text for name, text in rendered(site.bands, site.runbooks).items()},
        **dict(_project_files(PROVISIONING)),
        PROMETHEUS_RULE.as_posix(): prometheus_rule({path: rules[path] for path in rules if path.endswith(".yaml")}),
    }


def rule_files(site: Site) -> dict[str, str]:
    """Rules and runbooks: text by path."""
    links = {GRAFANA_URL: site.grafana, RUNBOOKS_URL: site.runbooks}
    return {
        path: _replaced(text, {**links, **_thresholds(path, site.bands)})
        for path, text in _project_files(RULES)
        if not path.startswith(f"{RULES}/tests/")  # they are about the default thresholds
    }


def _project_files(folder: str) -> Iterator[tuple[str, str]]:
    root = project_folder(folder)
    for file in sorted(root.rglob("*")):
        if file.is_file():
            yield f"{folder}/{file.relative_to(root).as_posix()}", file.read_text(encoding="utf-8")


def _thresholds(path: str, bands: Bands) -> dict[str, str]:
    """What the file says of the default thresholds, and what it is to say of these."""
    templates = THRESHOLD_TEXTS.get(path, ())
    return {filled(template, DEFAULT_BANDS): filled(template, bands) for template in templates}


def filled(template: str, bands: Bands) -> str:
    warning, critical = bands.thresholds
    return template.format(
        warning=f"{warning.ratio:g}",
        critical=f"{critical.ratio:g}",
        warning_percent=f"{warning.percent:g} %",
        critical_percent=f"{critical.percent:g} %",
    )


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    """All at once, since what is put in may look like what is to be replaced."""
    return re.sub("|".join(map(re.escape, replacements)), lambda match: replacements[match[0]], text)
