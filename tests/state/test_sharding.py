"""Exporters that share the organisations of one config."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from exporter.config.load import load_config
from exporter.local.processes import Processes
from exporter.state.sharding import Shard
from tests.support.factories import answer, load, write_config
from tests.support.http import Vendor
from tests.support.programs import start_exporter

KEYS = st.lists(st.text(), min_size=1, max_size=2).map(tuple)
MANY = [("maps", f"org-{number}") for number in range(3_000)]


def shard_of(key: tuple[str, ...], count: int) -> int:
    (index,) = (index for index in range(count) if Shard(index, count).watches(key))
    return index


@given(KEYS, st.integers(1, 12))
def test_every_organisation_is_watched_by_one_shard(key: tuple[str, ...], count: int) -> None:
    assert shard_of(key, count) in range(count)


@given(KEYS, st.integers(1, 12))
def test_a_further_shard_moves_organisations_only_to_itself(key: tuple[str, ...], count: int) -> None:
    assert shard_of(key, count + 1) in (shard_of(key, count), count)


def test_shards_have_about_as_much_each() -> None:
    shares = Counter(shard_of(key, 4) for key in MANY)
    assert all(650 < share < 850 for share in shares.values()), shares


def test_a_fourth_shard_takes_a_fourth() -> None:
    moved = sum(shard_of(key, 3) != shard_of(key, 4) for key in MANY)
    assert 650 < moved < 850


def test_the_split_is_the_same_in_every_version() -> None:
    """Otherwise an update would move organisations away from their observed history."""
    assert [shard_of(("maps", f"org-{number}"), 5) for number in range(12)] == [3, 0, 0, 1, 4, 3, 2, 1, 1, 1, 0, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3/3", "counts from 0, so the last of 3 is 2/3"),
        ("0/0", "at least one shard"),
        ("1", "must be I/N, such as 0/3"),
        ("-1/3", "must be I/N"),
        ("1/x", "must be I/N"),
        ("", "must be I/N"),
    ],
)
def test_what_is_no_shard(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shard.parse(text)


def usage_series(url: str) -> list[str]:
    """The sample lines that are about usage; when something happened and how often differ between exporters."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    timed = "last_success|read_timestamp|polls_total|poll_duration|exporter"
    return [line for line in text.splitlines() if re.match(rf"api_usage_(?!{timed})", line)]


def test_shards_together_publish_what_one_exporter_does(tmp_path: Path, vendor: Vendor) -> None:
    vendor.answer = lambda request: Response(json.dumps(answer({"name": request.path})))
    organisations = [{"id": f"org-{number}"} for number in range(9)]
    config = write_config(
        tmp_path / "config.yaml",
        *(
            {"name": name, "url": f"{vendor.url}/{name}/{{organisation_id}}", "organisations": organisations}
            for name in ("geo", "maps")
        ),
    )
    with Processes(tmp_path) as processes:
        alone = usage_series(start_exporter(processes, config))
        parts = [usage_series(start_exporter(processes, config, f"--shard={index}/3")) for index in range(3)]
    assert all(parts)
    assert sorted(line for part in parts for line in part) == sorted(alone)
    assert len(vendor.requests) == 2 * 18


def test_organisations_of_one_answer_stay_with_one_shard(tmp_path: Path) -> None:
    """So that the vendor is asked no more often than by one exporter."""
    mapping = {
        "organisations": "accounts",
        "organisation_id": "id",
        "scopes": "scopes",
        "name": "name",
        "requests": "requests",
        "limit": "limit",
    }
    organisations = [{"id": str(number)} for number in range(20)]
    api = {"url": "http://127.0.0.1:9/usage", "organisations": organisations, "mapping": mapping}
    config = load(tmp_path / "config.yaml", api)
    assert sorted(len(Shard(index, 3).of(config).targets) for index in range(3)) == [0, 0, 20]


def test_a_check_says_how_many_organisations_a_shard_has(tmp_path: Path) -> None:
    organisations = [{"id": f"org-{number}"} for number in range(9)]
    config = write_config(
        tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/{organisation_id}", "organisations": organisations}
    )
    command = [sys.executable, "-m", "exporter", f"--config.file={config}", "--config.check", "--shard=1/2"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    own = len(Shard(1, 2).of(load_config(config)).targets)
    assert 0 < own < 9
    assert checked.stdout == f"{config}: fine, 9 organisations to watch, {own} of them by shard 1/2\n"
