"""An exporter's store and web app without its poller: a test says what the polls bring."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.config import Config, Target, load_config
from exporter.errors import PollError
from exporter.exposition import Exposition, ProcessMetrics
from exporter.model import BillingPeriod, DailyUsage, ScopeUsage, UsageSnapshot
from exporter.store import Store
from exporter.web.app import Paths, create_app, create_pages
from exporter.web.asgi import Receive, Scope, Send
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


class Watched:
    """The web surface over a store that a test fills. pages: Flask's part; steady: all of it, as of the exposition's last
    refresh; app: always up to date."""

    def __init__(self, targets: Iterable[Target], paths: Paths | None = None) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.targets = {target.key: target for target in targets}
        self.store.set_targets(self.targets.values())
        self.pages = create_pages(self.store, self.clock, paths)
        process = ProcessMetrics()
        config = Config(Path("config.yaml"), tuple(self.targets.values()))
        self.exposition = Exposition(self.store, process, self.clock)
        self.steady = create_app(
            store=self.store,
            exposition=self.exposition,
            process=process,
            config=lambda: config,
            reload=lambda: None,
            clock=self.clock,
            paths=paths,
        )

        async def refreshed(scope: Scope, receive: Receive, send: Send) -> None:
            self.exposition.refresh()
            await self.steady(scope, receive, send)

        self.app = refreshed

    def reads(
        self, organisation: str, *scopes: ScopeUsage, api: str = "vendor", misfits: tuple[str, ...] = ()
    ) -> None:
        snapshot = UsageSnapshot(self.clock.now(), scopes, misfits)
        self.store.record(self.targets[api, organisation], snapshot)

    def fails(self, organisation: str, error: PollError, *, api: str = "vendor") -> None:
        self.store.record(self.targets[api, organisation], error)
