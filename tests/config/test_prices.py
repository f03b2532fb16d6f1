"""A price list in the config: how it is written, and what is refused with which words."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.config.load import load_config
from exporter.errors import ConfigError
from exporter.plans import PriceList, outcome

_CONFIG = """\
apis:
  - name: vendor
    preset: standard
    url: "http://127.0.0.1:9/{organisation_id}"
    organisations: [{id: a, name: Acme}]
    prices:
"""


def read(folder: Path, *lines: str) -> PriceList:
    file = folder / "config.yaml"
    file.write_text(_CONFIG + "".join(f"      {line}\n" for line in lines), encoding="utf-8")
    (target,) = load_config(file).targets
    assert target.api.prices is not None
    return target.api.prices.price_list()


def test_amounts_are_what_is_written_and_no_floats(tmp_path: Path) -> None:
    prices = read(
        tmp_path,
        "currency: EUR",
        "plans: {A: {price: 0.10, scopes: {Maps: {included: 1_000, over: [{price: '0.20'}]}}}}",
    )
    assert outcome(prices.plans[0], (), {"Maps": Decimal(1001)}).cost == Decimal("0.30")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["currency: euro", "plans: {A: {price: 1, scopes: {Maps: 1}}}"], "config.yaml:7: apis[0].prices.currency: must be an ISO 4217 code of three capital letters, such as EUR"),
        (["currency: €", "plans: {A: {price: 1, scopes: {Maps: 1}}}"], "such as EUR, not '€'"),
        (["currency: EUR", "plans: {A: {price: 1e-999999, scopes: {Maps: 1}}}"],
         "must be 0, or at least 0.000000001, not 1e-999999"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {}}}"], "plans.A.scopes"),
        (["currency: EUR", "plans: {}"], "config.yaml:8: apis[0].prices.plans"),
        (["currency: EUR", "plans: {A: {price: -1, scopes: {Maps: 1}}}"], "must be a number from 0 to 1,000,000,000,000, not -1"),
        (["currency: EUR", "plans: {A: {price: .inf, scopes: {Maps: 1}}}"],
         "must be a number such as 49 or 0.25, not inf"),
        (["currency: EUR", "plans: {A: {price: NaN, scopes: {Maps: 1}}}"], "must be a number from 0 to"),
        (["currency: EUR", "plans: {A: {price: 1e999, scopes: {Maps: 1}}}"], "must be a number from 0 to"),
        (["currency: EUR", "plans: {A: {price: 49 EUR, scopes: {Maps: 1}}}"],
         "must be a number such as 49 or 0.25, not '49 EUR'"),
        (["currency: EUR", "plans: {A: {price: true, scopes: {Maps: 1}}}"], "must be a number such as 49 or 0.25"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: lots}}}"],
         "must be a number such as 49 or 0.25, or unlimited, not 'lots'"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: {included: unlimited, over: [{price: 1}]}}}}"],
         "has over, and is unlimited"),
        (["currency: EUR",
          "plans: {A: {price: 1, scopes: {Maps: {included: 1, over: [{price: 1}, {price: 2, up_to: 5}]}}}}"],
         "over must go up: each up_to higher than the one before, and only the last without one"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: 1}}}", "current: B"],
         "current is 'B', which is not among plans: A"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: 1}}}", "bought: {More: 1}"],
         "bought names 'More', which is not among add_ons: none"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: 1}}}",
          "add_ons: {More: {price: 1, scope: Map, adds: 5}}"], "the add-on 'More' is of 'Map', which no plan has: Maps"),
        (["currency: EUR", "plans: {A: {price: 1, scopes: {Maps: 1}}}",
          "add_ons: {More: {price: 1, scope: Maps, adds: 0}}"], "apis[0].prices.add_ons.More.adds"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path: Path, lines: list[str], said: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, *lines)
    assert said in str(refused.value)
