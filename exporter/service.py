"""The running exporter: its parts, wired together, and what reloads them."""

import threading
from pathlib import Path

import structlog

from exporter.alerting.watch import AlertsWatch
from exporter.clock import Clock
from exporter.config.load import Config, load_config
from exporter.errors import ConfigError
from exporter.exposition.bodies import Exposition, Refresher
from exporter.exposition.process import ProcessMetrics
from exporter.state.database import Database
from exporter.state.sharding import Shard
from exporter.state.store import Store
from exporter.thresholds import RENDERED_MAX_AGE_SECONDS
from exporter.vendor.poller import Poller

log = structlog.get_logger()


class Service:
    """Everything but the web server. Raises ConfigError where the config file cannot be used.

    shard: this exporter's part of the organisations; all of them if left out. config: the one in use.
    """

    def __init__(
        self, config_file: Path, clock: Clock, database: Database | None = None, shard: Shard | None = None
    ) -> None:
        self._config_file = config_file
        self._shard = shard
        self._clock = clock
        self._reloading = threading.Lock()
        self._threads: list[threading.Thread] = []
        config = self.config = self._load()
        self._database = database
        self.store = Store(clock, database)
        self.store.set_targets(config.targets)
        self.process = ProcessMetrics(shard)
        self.process.config_loaded(clock.now(), config.keys)
        self.poller = Poller(
            self.store.record,
            clock,
            observer=self.process,
            storage=database,
            share=1 / shard.count if shard else 1.0,
        )
        self.exposition = Exposition(self.store, self.process, clock, self.poller.put_off_from_the_start)
        self.refresher = Refresher(self.exposition)
        self.store.on_change(self.refresher.changed)
        self.poller.set_targets(config.targets, config.bands)
        self.alerts = AlertsWatch(clock, config.alerts)
        self.process.watch_polls(self.poller.counts)
        if database is not None:
            self.process.watch_saves(database)

    def start(self) -> None:
        self.store.start()
        for run in (self.poller.run, self.refresher.run):
            thread = threading.Thread(target=run, daemon=True, name=run.__qualname__)
            thread.start()
            self._threads.append(thread)
        threading.Thread(target=self.alerts.run, daemon=True, name=self.alerts.run.__qualname__).start()

    def is_alive(self) -> bool:
        """Whether polling goes on and /metrics is put together anew."""
        started = bool(self._threads)
        renders = self.exposition.age() <= RENDERED_MAX_AGE_SECONDS
        return not started or (renders and all(thread.is_alive() for thread in self._threads))

    def stop(self) -> None:
        self.poller.stop()
        self.refresher.stop()
        self.alerts.stop()
        if self._database is not None:
            self._database.close()

    def reload(self) -> None:
        """Take over the config file whole, or raise ConfigError and change nothing but the metric that says so."""
        with self._reloading:
            try:
                config = self._load()
            except ConfigError as error:
                self.process.config_refused()
                self.refresher.changed(())
                for problem in error.problems:
                    log.error("config not loaded; the one before stays in use", error=str(problem))
                raise
            self.config = config
            self.process.config_loaded(self._clock.now(), config.keys)
            self.store.set_targets(config.targets)
            self.poller.set_targets(config.targets, config.bands)
            self.alerts.set_source(config.alerts)
            self.refresher.changed(())
            log.info("config loaded", organisations=len(config.targets))

    def _load(self) -> Config:
        config = load_config(self._config_file)
        return self._shard.of(config) if self._shard else config
