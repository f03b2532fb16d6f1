"""The price lists of docs/planning.md, as the config reads them, beside calculation by hand."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from exporter.config.load import load_config
from exporter.plans import PriceList, outcome
from tests.support.programs import ROOT

PAGE = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8")
_API = """\
apis:
  - name: vendor
    preset: standard
    url: "http://127.0.0.1:9/{organisation_id}"
    organisations: [{id: a, name: Acme}]
"""


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> list[PriceList]:
    file = tmp_path_factory.mktemp("lists") / "config.yaml"
    found = []
    for block in re.findall(r"```yaml\n(prices:\n.*?)```", PAGE, re.DOTALL):
        file.write_text(_API + "".join(f"    {line}\n" for line in block.splitlines()), encoding="utf-8")
        (target,) = load_config(file).targets
        assert target.api.prices is not None
        found.append(target.api.prices.price_list())
    return found


def test_there_are_six(lists: list[PriceList]) -> None:
    assert len(lists) == 6


@pytest.mark.parametrize(
    ("plan", "usage", "cost", "refused"),
    [
        ("free", {"Credits": 1_000}, "0", {}),
        ("growth", {"Credits": 150_001}, "149", {"Credits": 1}),
        ("scale", {"Credits": 750_000}, "499", {}),
        ("Free", {"Searches": 251}, "0", {"Searches": 1}),
        ("Production", {"Searches": 15_000}, "150", {}),
        ("Big Data", {"Searches": 31_500}, "275", {"Searches": 1_500}),
        ("Hobby", {"Requests": 10_001}, "0", {"Requests": 1}),
        # 29 + 100,000 / 10,000 × 0.40
        ("Pro", {"Requests": 350_000}, "33", {}),
        # 29 + 12,345 × 0.00004
        ("Pro", {"Requests": 262_345}, "29.4938", {}),
        # 99 + 1,250,000 / 10,000 × 0.25
        ("Scale", {"Requests": 3_250_000}, "130.25", {}),
        ("Business", {"Requests": 10_000_000}, "299", {}),
        # 87,654 × 0.005
        ("Pay as you go", {"Geocoding": 87_654}, "438.27", {}),
        # 100,000 × 0.005 + 34,567 × 0.004
        ("Pay as you go", {"Geocoding": 134_567}, "638.268", {}),
        # 500 + 400,000 × 0.004, and above it is by agreement
        ("Pay as you go", {"Geocoding": 500_001}, "2100", {"Geocoding": 1}),
        # The vendor's own example: 10 × 15 + 10 × 50 + 200 points, 850 in all, of a thousandth of a cent.
        ("On demand", {"Forecasts": 10, "Geocoding": 10, "Routing": 1}, "0.0085", {}),
        # 123,456 × 0.00015 + 7,890 × 0.0005 + 654 × 0.002
        ("On demand", {"Forecasts": 123_456, "Geocoding": 7_890, "Routing": 654}, "23.7714", {}),
        ("Basic", {"Words": 2_500}, "0", {}),
        # 1,234 × 0.004
        ("Basic", {"Words": 3_734}, "4.936", {}),
    ],
)
def test_what_a_period_costs(
    lists: list[PriceList], plan: str, usage: dict[str, int], cost: str, refused: dict[str, int]
) -> None:
    (offered,) = [each for prices in lists for each in prices.plans if each.name == plan]
    found = outcome(offered, (), {scope: Decimal(count) for scope, count in usage.items()})
    assert (found.cost, dict(found.refused)) == (
        Decimal(cost),
        {scope: Decimal(count) for scope, count in refused.items()},
    )


def test_the_first_example_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPS_TOKEN", "x")
    (example,) = re.findall(r"```yaml\n(apis:\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "config.yaml").write_text(example, encoding="utf-8")
    (target,) = load_config(tmp_path / "config.yaml").targets
    assert target.api.prices is not None
    prices = target.api.prices.price_list()
    assert [plan.name for plan in prices.plans] == ["Starter", "Scale"]
    assert [(add_on.name, add_on.adds) for add_on in prices.add_ons] == [("Tracking +25,000", Decimal(25_000))]
