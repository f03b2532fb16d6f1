"""The recipes of docs/connect-an-api.md: a server answers as each shows, and what it says comes of it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.wrappers import Response

from exporter.model import ScopeUsage, UsageSnapshot
from tests.support.asking import ask
from tests.support.factories import make_target
from tests.support.http import Vendor
from tests.support.programs import ROOT

_SECTION = (ROOT / "docs/connect-an-api.md").read_text("utf-8").partition("## Recipes by shape")[2]


@dataclass(frozen=True)
class Recipe:
    """answers: the pages' bodies. api: fields of the config's. comes_to: a line a scope, or the failure."""

    title: str
    answers: tuple[Any, ...]
    api: dict[str, Any]
    comes_to: list[str]


def recipes() -> list[Recipe]:
    found = []
    for part in re.split(r"^### ", _SECTION, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
        answers = tuple(json.loads(block) for block in blocks if block.lstrip().startswith("{"))
        (api,) = (yaml.safe_load(block) for block in blocks if not block.lstrip().startswith("{"))
        found.append(Recipe(title, answers, api, re.findall(r"^→ `(.*)`$", text, re.MULTILINE)))
    return found


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.title)
def test_a_recipe_comes_to_what_it_says(recipe: Recipe, tmp_path: Path, vendor: Vendor) -> None:
    pages = iter(recipe.answers)
    vendor.answer = lambda _: Response(json.dumps(next(pages)))
    outcome = ask(make_target(tmp_path, url=f"{vendor.url}/usage", **recipe.api))
    if isinstance(outcome, UsageSnapshot):
        assert outcome.misfits == ()
        assert sorted(map(_line, outcome.scopes)) == sorted(recipe.comes_to)
    else:
        (expected,) = recipe.comes_to
        assert f"{outcome.reason}: {outcome}".startswith(expected)
    assert next(pages, None) is None


def _line(scope: ScopeUsage) -> str:
    limit = ", unlimited" if scope.limit is None else f" of {scope.limit:,.0f}"
    return f"{scope.name}: {scope.requests:,.0f}{limit}"


def test_there_is_one_for_each_common_shape() -> None:
    assert len(recipes()) >= 11
