"""Thresholds of single apis, labels, organisations and scopes: which of them counts, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter import metrics
from exporter.config.load import Config
from exporter.errors import ConfigError
from exporter.thresholds import Band, Bands
from exporter.view.cards import organisation_cards
from tests.support.factories import load
from tests.support.watched import Watched, scope

URL = "http://127.0.0.1:9/{organisation_id}"


def config(folder: Path, **differing: Any) -> Config:
    """An api with Acme of the team payments, and Bolt; `differing`: fields of "top", "api", "acme"."""
    acme = {"id": "acme", "labels": {"team": "payments"}, **differing.get("acme", {})}
    api = {"url": URL, "organisations": [acme, {"id": "bolt"}], **differing.get("api", {})}
    return load(folder / "config.yaml", api, organisation_labels=["team"], **differing.get("top", {}))


def bands(folder: Path, **differing: Any) -> tuple[Bands, Bands, Bands]:
    """Of Acme's Tiles, of its other scopes, and of Bolt's Tiles."""
    acme, bolt = config(folder, **differing).targets
    return acme.bands.of("Tiles"), acme.bands.of("Routes"), bolt.bands.of("Tiles")


ALL = {"thresholds": {"warning": 0.7}}
TEAM = {"thresholds": {"labels": {"team": {"payments": {"warning": 0.6}}}}}
OWN, OF_TILES = {"thresholds": {"warning": 0.5}}, {"thresholds": {"scopes": {"Tiles": {"warning": 0.4}}}}


@pytest.mark.parametrize(
    ("differing", "warnings"),
    [
        ({}, (0.75, 0.75, 0.75)),
        ({"top": ALL}, (0.7, 0.7, 0.7)),
        ({"top": TEAM}, (0.6, 0.6, 0.75)),
        ({"api": OWN}, (0.5, 0.5, 0.5)),
        ({"api": OWN, "top": TEAM}, (0.6, 0.6, 0.5)),
        ({"acme": OWN, "top": TEAM}, (0.5, 0.5, 0.75)),
        ({"acme": OWN, "top": ALL}, (0.5, 0.5, 0.7)),
        ({"api": OF_TILES, "acme": OWN}, (0.4, 0.5, 0.4)),
        ({"acme": OF_TILES, "top": TEAM}, (0.4, 0.6, 0.75)),
    ],
)
def test_the_more_specific_counts(tmp_path: Path, differing: dict[str, Any], warnings: tuple[float, ...]) -> None:
    found = bands(tmp_path, **differing)
    assert tuple(one.warning for one in found) == warnings
    assert {one.critical for one in found} == {0.9}


@pytest.mark.parametrize(
    ("differing", "message"),
    [
        (
            {"top": {"thresholds": {"labels": {"taem": {}}}}},
            "thresholds.labels.taem: is not declared in organisation_",
        ),
        (
            {"top": {"thresholds": {"labels": {"team": {"payment": {"warning": 0.6}}}}}},
            "thresholds.labels.team.payment: no organisation has team: payment; did you mean payments?",
        ),
        ({"api": {"thresholds": {"warning": 60}}}, "apis[0].thresholds: warning must be a part of the limit"),
        ({"acme": {"thresholds": {"scopes": {"Tiles": {"crit": 1}}}}}, "thresholds.scopes.Tiles.crit: "),
        (
            {"acme": {"thresholds": {"scopes": {"Tiles": {"critical": 0.5}}}}},
            "apis[0].organisations[0]: the thresholds of scope 'Tiles', with those above them: warning (0.75) must be "
            "less than critical (0.5)",
        ),
        (
            {"api": {**OF_TILES, "overrides": {"Tiles": {"name": "Map tiles"}}}},
            "apis[0].thresholds.scopes.Tiles: is shown as 'Map tiles' (overrides): name it so here",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, differing: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, **differing)
    assert message in str(refused.value)


def test_cards_and_metrics_have_them_and_a_change_needs_no_poll(tmp_path: Path) -> None:
    watched = Watched(config(tmp_path).targets)
    used = (scope("Tiles", 650, 1000), scope("Free", 5, None))
    watched.reads("acme", *used, api="demo")
    watched.reads("bolt", *used, api="demo")

    def shown() -> dict[tuple[str, str], Band | None]:
        cards = (organisation_cards(state, watched.clock.now()) for state in watched.store.states())
        return {(one.organisation, card.scope): card.band for one in cards for card in one.scopes}

    def published() -> dict[tuple[str, str, str], float]:
        return {
            (one.labels["organisation"], one.labels["scope"], one.labels["severity"]): one.value
            for family in text_string_to_metric_families(watched.text())
            for one in family.samples
            if one.name == metrics.THRESHOLD_RATIO.name
        }

    assert shown()["acme", "Tiles"] is Band.NORMAL
    watched.store.set_targets(config(tmp_path, top=TEAM).targets)
    assert shown() == {
        ("acme", "Tiles"): Band.WARNING,
        ("bolt", "Tiles"): Band.NORMAL,
        ("acme", "Free"): None,
        ("bolt", "Free"): None,
    }
    assert published() == {
        ("acme", "Tiles", "warning"): 0.6,
        ("acme", "Tiles", "critical"): 0.9,
        ("bolt", "Tiles", "warning"): 0.75,
        ("bolt", "Tiles", "critical"): 0.9,
    }
