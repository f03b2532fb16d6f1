"""An exporter's store, exposition and web app without its poller: a test says what the polls bring."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from flask import Flask

from exporter.clock import Clock
from exporter.config.load import Target, load_config
from exporter.errors import PollError
from exporter.exposition.bodies import TEXT, Exposition
from exporter.exposition.process import ProcessMetrics
from exporter.model import BillingPeriod, DailyUsage, Misfit, ScopeUsage, UsageSnapshot
from exporter.service import Service
from exporter.state.database import Database
from exporter.state.store import Store
from exporter.web.app import create_app
from tests.support.clock import FakeClock

NOVEMBER = BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
TODAY = datetime(2026, 11, 22, tzinfo=UTC).date()


def days(*counts: float) -> tuple[DailyUsage, ...]:
    """Exact days up to TODAY."""
    first = len(counts) - 1
    return tuple(DailyUsage(TODAY - timedelta(days=first - index), count) for index, count in enumerate(counts))


def scope(name: str = "Maps", requests: float = 100, limit: float | None = 1000, **fields: object) -> ScopeUsage:
    """In November 2026, without a history; `fields` as in ScopeUsage."""
    return replace(ScopeUsage(name, requests, limit, period=NOVEMBER, daily=()), **fields)  # type: ignore[arg-type]


def targets_of(folder: Path, apis: Mapping[str, Sequence[str]], **settings: object) -> tuple[Target, ...]:
    """Targets from a real config file. apis: organisation names by api; settings: of every api."""
    config = {
        "apis": [
            {
                "name": api,
                "preset": "standard",
                "url": "http://127.0.0.1:9/{organisation_id}",
                "organisations": [{"id": f"id-{index}", "name": name} for index, name in enumerate(names)],
                **settings,
            }
            for api, names in apis.items()
        ]
    }
    file = folder / "config.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")
    return load_config(file).targets


def store_of(clock: Clock, targets: Iterable[Target], database: Database | None = None) -> Store:
    """A store that watches the targets."""
    store = Store(clock, database)
    store.set_targets(targets)
    return store


class Watched:
    """A store that a test fills, with what stands on it: the exposition, and the app."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.clock = FakeClock()
        self.targets = {target.key: target for target in targets}
        self.store = store_of(self.clock, self.targets.values())
        self.process = ProcessMetrics()
        self.exposition = Exposition(self.store, self.process, self.clock)

    @cached_property
    def app(self) -> Flask:
        return app_over(self, self.clock)

    def reload(self) -> None:
        """Nothing: there is no file to read anew."""

    def text(self, content_type: str = TEXT) -> str:
        """The whole of /metrics, as of now."""
        self.exposition.refresh()
        return self.exposition.body(content_type).plain.decode()

    def reads(
        self, organisation: str, *scopes: ScopeUsage, api: str = "vendor", misfits: tuple[str, ...] = ()
    ) -> None:
        snapshot = UsageSnapshot(self.clock.now(), scopes, tuple(Misfit(message, None) for message in misfits))
        self.store.record(self.targets[api, organisation], snapshot)

    def fails(self, organisation: str, error: PollError, *, api: str = "vendor") -> None:
        self.store.record(self.targets[api, organisation], error)


def app_over(exporter: Watched | Service, clock: Clock, *, is_alive: Callable[[], bool] = lambda: True) -> Flask:
    """The web app on an exporter's parts. is_alive: what /-/healthy is to report."""
    return create_app(
        store=exporter.store,
        exposition=exporter.exposition,
        reload=exporter.reload,
        clock=clock,
        is_alive=is_alive,
    )
