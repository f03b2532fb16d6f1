"""`bundle --check`: where a folder, a Prometheus and a Grafana differ from the bundle."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter.bundle.asking import Server
from exporter.bundle.difference import Difference, printable
from exporter.bundle.files import DASHBOARDS, RULES
from exporter.bundle.folder import Plan
from exporter.bundle.running_dashboards import dashboard_differences
from exporter.bundle.running_rules import rule_differences


def folder_check(folder: Path, planned: Plan) -> Iterator[str]:
    if not planned.differs:
        yield f"{folder} holds what would be written."
    for title, paths in (
        ("lacks", planned.new),
        ("has, of another version or other values", planned.updated),
        ("has, edited", planned.edited),
        ("has, though this version has them no longer", planned.removed),
        ("has files of your own whose beginnings have changed, which is not counted", planned.outdated),
    ):
        if paths:
            yield f"{folder} {title}:"
            yield from (f"  {path}" for path in paths)


def differences(part: str, server: Server, files: Mapping[str, str]) -> list[Difference]:
    """Of the files' rules, or dashboards, from those of a server. Raises CheckError where it cannot be asked."""
    if part == "rules":
        texts = [text for path, text in files.items() if path.startswith(f"{RULES}/") and path.endswith(".yaml")]
        return rule_differences(server, texts)
    texts = [text for path, text in files.items() if path.startswith(f"{DASHBOARDS}/") and path.endswith(".json")]
    return dashboard_differences(server, texts)


def server_check(part: str, url: str, found: Sequence[Difference]) -> Iterator[str]:
    if not found:
        yield f"{url} has the bundle's {part}."
        return
    places = "one place" if len(found) == 1 else f"{len(found)} places"
    yield f"{url} has other {part} than the bundle, in {places} (- running, + bundle):"
    for difference in found:
        yield f"  {printable(difference.about)}"
        yield from (f"    {printable(line)}" for line in difference.lines)
