"""An exporter's store, exposition and web app without its poller: a test says what the polls bring."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from flask import Flask

from exporter.clock import Clock
from exporter.config.load import Config, Target, load_config
from exporter.errors import PollError
from exporter.exposition.bodies import TEXT, Exposition
from exporter.exposition.process import ProcessMetrics
from exporter.model import BillingPeriod, DailyUsage, Misfit, ScopeUsage, UsageSnapshot
from exporter.service import Service
from exporter.state.database import Database
from exporter.state.store import Store
from exporter.thresholds import DEFAULT_BANDS
from exporter.web.app import Paths, create_app, create_pages
from exporter.web.asgi import App, Receive, Scope, Send
from exporter.web.web_config import WebConfig
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
    """Targets from a real config file. apis: organisation names by api; settings: of every api.

    Their answers are as the standard preset has them, or as a mapping among the settings does.
    """
    preset = {} if "mapping" in settings else {"preset": "standard"}
    config = {
        "apis": [
            {
                "name": api,
                **preset,
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
    """A store that a test fills, with what stands on it: the exposition, and the web surface.

    pages: Flask's part of it. app: all of it, as of the exposition's last refresh. fresh: the same, refreshed.
    """

    def __init__(self, targets: Iterable[Target], paths: Paths | None = None) -> None:
        self.clock = FakeClock()
        self.targets = {target.key: target for target in targets}
        self.store = store_of(self.clock, self.targets.values())
        self.process = ProcessMetrics()
        self.exposition = Exposition(self.store, self.process, self.clock)
        self.config = Config(Path("config.yaml"), tuple(self.targets.values()), DEFAULT_BANDS)
        self.paths = paths

    @cached_property
    def pages(self) -> Flask:
        return create_pages(self.store, self.clock, self.paths)

    @cached_property
    def app(self) -> App:
        return app_over(self, self.clock, paths=self.paths)

    async def fresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.exposition.refresh()
        await self.app(scope, receive, send)

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


def app_over(
    exporter: Watched | Service,
    clock: Clock,
    *,
    is_alive: Callable[[], bool] = lambda: True,
    paths: Paths | None = None,
    web_config: Callable[[], WebConfig] | None = None,
) -> App:
    """The web surface on an exporter's parts. is_alive: what /-/healthy is to report."""
    return create_app(
        store=exporter.store,
        exposition=exporter.exposition,
        process=exporter.process,
        config=lambda: exporter.config,
        reload=exporter.reload,
        clock=clock,
        is_alive=is_alive,
        paths=paths,
        web_config=web_config,
    )
