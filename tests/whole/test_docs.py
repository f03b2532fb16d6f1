"""What the docs say is what the code does."""

import re
import textwrap
from pathlib import Path

import pytest

from exporter.config.load import load_config
from exporter.metrics import CATALOGUE
from tests.support.programs import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Not what recording rules make: level:metric:operations.
SERIES = re.compile(r"(?<!:)\bapi_usage_[a-z_]*[a-z]\b")


def test_the_example_config_works_as_copied_and_with_all_that_is_commented_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = ROOT / "config.example.yaml"
    (target,) = load_config(example).targets
    assert target.auth is None
    for secret in ("MAPS_TOKEN", "GEO_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(secret, "x")
    whole = tmp_path / "config.yaml"
    # Sentences begin with "# "; what is commented out does not.
    whole.write_text(re.sub(r"^( *)#(?! \S)", r"\1", example.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    config = load_config(whole)
    assert [target.key[0] for target in config.targets] == ["github", "maps", "maps", "geo"]
    assert config.bands.warning == 0.8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not heading or heading in headings(target), f"{page.name} links to {link}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:exporter|dashboards|alert_rules|tests|benchmarks|docs)/[\w./-]+)`", page.read_text("utf-8")
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def headings(page: Path) -> set[str]:
    """Its headings, as links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_that_are_named_exist(page: Path) -> None:
    known = {metric.name for metric in CATALOGUE}
    suffixed = {
        f"{metric.name}_{end}"
        for metric in CATALOGUE
        if metric.kind == "histogram"
        for end in ("bucket", "sum", "count")
    }
    assert set(SERIES.findall(page.read_text(encoding="utf-8"))) <= known | suffixed


def yaml_blocks(page: Path) -> list[str]:
    """The page's indented blocks that are whole configs; `…` in one means that something is left out."""
    blocks = re.findall(
        r"^(?:    x-.*\n)*    apis:\n(?:(?:    .*)?\n)+", page.read_text(encoding="utf-8") + "\n", re.MULTILINE
    )
    return [textwrap.dedent(block) for block in blocks if "…" not in block]


CONFIGS = [(page, block) for page in PAGES for block in yaml_blocks(page)]


def test_there_are_configs_in_the_docs() -> None:
    assert len(CONFIGS) >= 7


@pytest.mark.parametrize(("page", "block"), CONFIGS, ids=[page.name for page, _ in CONFIGS])
def test_configs_in_the_docs_are_valid(
    page: Path, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"env: (\w+)", block):
        monkeypatch.setenv(name, "x")
    file = tmp_path / page.name
    file.write_text(block, encoding="utf-8")
    load_config(file)
