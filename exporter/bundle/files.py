"""Dashboards, rules, runbooks and provisioning with a site's own addresses and thresholds.

Rules, runbooks and dashboards are made anew; the rest are the project's own files, which an installed package has
beside it. The defaults give what the project holds, byte for byte.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from alert_rules.build import rendered as rendered_rules
from exporter.bundle.kubernetes import PROMETHEUS_RULE, prometheus_rule
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS, Bands

RULES = "alert_rules"
DASHBOARDS = "dashboards/json"
PROVISIONING = "provisioning"

# What `--only` chooses from: what it holds, by name.
PARTS = {
    "rules": "rules for Prometheus or vmalert, and a runbook for each alert",
    "dashboards": "dashboards for Grafana",
    "prometheus": "Prometheus' config",
    "alertmanager": "Alertmanager's routes, receivers and the texts that they send",
    "grafana": "what makes a Grafana load the dashboards",
    "kubernetes": "kustomize bases and overlays, with the rules as a PrometheusRule",
    "systemd": "a unit for the exporter",
}

# To start from, and the site's own from then on: they say whom to notify, what to scrape and where to store. Whatever
# else is in a bundle is generated, or stays as it is.
_SITE_OWNED = (
    "provisioning/prometheus/",
    "provisioning/alertmanager/alertmanager.yml",
    "provisioning/grafana/",
    "provisioning/kubernetes/overlays/",
    "provisioning/systemd/api-usage-exporter.env",
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
        raise ValueError("must not hold a user name or password, since it is shown")
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


def part_of(path: str) -> str:
    """Which of PARTS a file of the bundle belongs to."""
    top, second, *_ = path.split("/")
    return {"alert_rules": "rules", "dashboards": "dashboards"}.get(top, second)


def is_site_owned(path: str) -> bool:
    """Whether a file is written where it is missing, and never changed after."""
    return path.startswith(_SITE_OWNED)


def rule_files(site: Site) -> dict[str, str]:
    """Rules and runbooks: text by path."""
    made = rendered_rules(site.bands, site.grafana, site.runbooks)
    return {f"{RULES}/{path}": text for path, text in made.items()}


def _project_files(folder: str) -> Iterator[tuple[str, str]]:
    root = project_folder(folder)
    for file in sorted(root.rglob("*")):
        if file.is_file():
            yield f"{folder}/{file.relative_to(root).as_posix()}", file.read_text(encoding="utf-8")
