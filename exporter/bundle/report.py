"""What `bundle` says of what it has written, or why it has not."""

import shlex
from collections import Counter
from collections.abc import Iterator

from exporter.bundle.files import DASHBOARDS, PARTS, RULES, Site, part_of
from exporter.bundle.manifest import MANIFEST
from exporter.bundle.update import Update
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import DEFAULT_BANDS

_ALERTMANAGER = "provisioning/alertmanager/alertmanager.yml"


def refusal(todo: Update) -> str:
    reason = "that were edited since they were written"
    if not todo.former:
        reason = f"that differ from what would be written, and no {MANIFEST} that says whether they were edited"
    lines = [f"{todo.folder} has files {reason}; nothing was changed:"]
    lines += [f"  {path}" for path in todo.plan.edited]
    lines.append("Choose another --output to compare them, leave their part out by --only, or write over them with")
    lines.append("--force, which keeps a copy of each as FILE.orig.")
    return "\n".join(lines)


def report(todo: Update) -> Iterator[str]:
    planned = todo.plan
    counts = Counter(part_of(path) for path in todo.files)
    yield f"{todo.folder}:"
    for part, contents in PARTS.items():
        if counts[part]:
            yield f"  {part:<13}{counts[part]:>3} files: {contents}"
    written = len(planned.new) + len(planned.updated) + len(planned.edited)
    yield f"{written} files written, {len(planned.unchanged)} were like this before."
    for title, paths in (
        ("Edited, and written over; a copy is beside each (.orig):", planned.edited),
        ("Removed, since this version has them no longer:", planned.removed),
        ("No longer of the bundle, and left as they are:", planned.left),
        ("Your own, and left as they are:", [path for path in planned.spared if path not in planned.outdated]),
        (
            "Your own, and left as they are; what they began as has changed (another --output shows it):",
            planned.outdated,
        ),
    ):
        if paths:
            yield title
            yield from (f"  {path}" for path in paths)


def next_steps(todo: Update, site: Site) -> Iterator[str]:
    warning, critical = site.bands.thresholds
    yield f"Amber from {warning.percent:g} %, red over {critical.percent:g} %."
    yield f"Links lead to {site.grafana} and {site.runbooks}."
    yield ""
    yield "Next:"
    parts = {part_of(path) for path in todo.files}
    if "rules" in parts:
        yield f"  promtool check rules {shlex.quote(str(todo.folder / RULES))}/*.yaml"
        yield "  Name these rule files in Prometheus' rule_files."
        yield f"  Publish the runbooks, so that {site.runbooks}/ApiUsageHigh.md can be read."
        if site.runbooks == RUNBOOKS_URL:
            yield "    That address is a placeholder: --runbook-url says yours."
        if site.grafana == GRAFANA_URL:
            yield f"  Alerts link to Grafana at {GRAFANA_URL}: --grafana-url says where yours is."
    if "dashboards" in parts:
        yield f"  Import the dashboards of {DASHBOARDS} into Grafana."
    if _ALERTMANAGER in todo.plan.new:
        yield f"  Say in {_ALERTMANAGER} who is notified: as written, only the demo is."
    if site.bands != DEFAULT_BANDS:
        yield "  Give the exporter's own page the same colours, by its config file:"
        yield f"    thresholds: {{warning: {warning.ratio:g}, critical: {critical.ratio:g}}}"
