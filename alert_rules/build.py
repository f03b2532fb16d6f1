"""The rules' YAML and the runbooks as text, byte for byte the same each time. `make generate` writes them.

Their layout is in templates/. What is put into them is not read as a template again: `{{ $labels.scope }}` stays.
"""

import json
from inspect import cleandoc
from pathlib import Path
from textwrap import indent

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exporter.links import EXPORTER_DASHBOARD, GRAFANA_URL, RUNBOOKS_URL, USAGE_DASHBOARD
from exporter.thresholds import (
    BURNING_FAST_TIMES,
    DEFAULT_BANDS,
    PROJECTED_CLEARED_PROBABILITY,
    PROJECTED_LIKELY_PROBABILITY,
    RATE_LIMIT_HIGH_RATIO,
    RENDERED_MAX_AGE_SECONDS,
    RUNS_OUT_WITHIN_SECONDS,
    Bands,
)

from . import alerts, recording
from .groups import watching
from .rules import Alert, Group


def rendered(
    bands: Bands = DEFAULT_BANDS, grafana: str = GRAFANA_URL, runbooks: str = RUNBOOKS_URL
) -> dict[str, str]:
    """Text by path: alerts.yaml, recording.yaml, and runbooks/ with a page for each alert.

    grafana, runbooks: URLs without a slash at the end; where the dashboards are, and where the runbooks can be read.
    """
    templates = _templates()
    groups = alerts.groups(bands)
    links = {alert.name: _links(alert, grafana, runbooks) for group in groups for alert in group.alerts}
    return {
        "alerts.yaml": templates.get_template("alerts.yaml.jinja").render(groups=groups, links=links),
        "recording.yaml": templates.get_template("recording.yaml.jinja").render(groups=recording.groups(bands)),
        **_runbooks(templates, groups, bands),
    }


def rendered_examples() -> dict[str, str]:
    """Text by path of what a site may copy: rules that are not about the exporter, and in no bundle."""
    template = _templates().get_template("watching.yaml.jinja")
    return {"examples/watching.yaml": template.render(group=watching.GROUP)}


def _links(alert: Alert, grafana: str, runbooks: str) -> dict[str, str]:
    """The annotations that every alert has alike."""
    place = "".join(
        f'{{{{ with index $labels "{label}" }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}'
        for label in ("cluster", "namespace")
    )
    usage = (
        f"{USAGE_DASHBOARD}?var-api={{{{ $labels.api | urlquery }}}}{place}"
        "&var-organisation={{ $labels.organisation | urlquery }}&var-scope="
    )
    dashboard = {
        "scope": f"{usage}{{{{ $labels.scope | urlquery }}}}",
        "organisation": f"{usage}$__all",
        "exporter": EXPORTER_DASHBOARD,
    }[alert.about]
    return {"runbook_url": f"{runbooks}/{alert.name}.md", "dashboard_url": f"{grafana}/d/{dashboard}"}


def _runbooks(templates: Environment, groups: tuple[Group, ...], bands: Bands) -> dict[str, str]:
    warning, critical = bands.thresholds
    numbers = {
        "warning": f"{warning.percent:g} %",
        "critical": f"{critical.percent:g} %",
        "rate_limit_high": f"{RATE_LIMIT_HIGH_RATIO * 100:g} %",
        "projected_likely": f"{PROJECTED_LIKELY_PROBABILITY * 100:g} %",
        "projected_cleared": f"{PROJECTED_CLEARED_PROBABILITY * 100:g} %",
        "runs_out_within": f"{RUNS_OUT_WITHIN_SECONDS / 3600:g} hours",
        "burning_fast_times": BURNING_FAST_TIMES,
        "burning_fast_days": f"{30 / BURNING_FAST_TIMES:g}",
        "rendered_max_age": f"{RENDERED_MAX_AGE_SECONDS} seconds",
    }
    pages = [f"runbooks/{alert.name}.md" for group in groups for alert in group.alerts]
    return {page: templates.get_template(f"{page}.jinja").render(numbers) for page in sorted(pages)}


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and Markdown are no HTML
    )
    environment.filters.update(block=_block, comment=_comment, text=_text)
    return environment


def _block(text: str, spaces: int) -> str:
    """Lines of a block scalar, indented by so many spaces."""
    return indent(cleandoc(text), " " * spaces)


def _comment(text: str, spaces: int) -> str:
    return indent(cleandoc(text), " " * spaces + "# ")


def _text(text: str, spaces: int) -> str:
    """A value in YAML: quoted if it is one line, else folded, which joins the lines by spaces."""
    return f">-\n{_block(text, spaces)}" if "\n" in text else json.dumps(text, ensure_ascii=False)
