"""What a scope costs, counted: series, disk in Prometheus, calls to the vendor."""

import tempfile
import time
from pathlib import Path

from benchmarks import history
from benchmarks.figures import Figure, Report
from benchmarks.history import DAY, SCRAPE_INTERVAL
from exporter import metrics

# What one costs is the same for any number; two days have a rollover of the daily history between them.
ORGANISATIONS = 2
DAYS = 2
_PER_YEAR = 365 / DAYS


def measure() -> Report:
    now = time.time()
    found = [one for number in range(ORGANISATIONS) for one in history.series(f"org-{number:05}", _SCRAPE, now, DAYS)]
    window = ((now - DAYS * DAY, now, SCRAPE_INTERVAL),)
    with tempfile.TemporaryDirectory() as name:
        file, storage = Path(name) / "all.openmetrics", Path(name) / "data"
        samples = history.write(file, ((one, window) for one in found))
        history.create_blocks(file, storage)
        disk = sum(each.stat().st_size for each in storage.rglob("*") if each.is_file())
    live = [one for one in found if one.first <= now <= one.last]
    scoped = [one for one in live if "scope=" in one.labels]
    scopes = len({one.labels for one in scoped if one.metric is metrics.REQUESTS})
    daily = sum(one.metric is metrics.DAILY for one in scoped) / scopes
    figures = (
        Figure("series of a scope", len(scoped) / scopes),
        Figure("of these, of the daily history", daily),
        Figure("series of an organisation beside its scopes'", (len(live) - len(scoped)) / ORGANISATIONS),
        Figure("bytes a sample, on disk", disk / samples),
        Figure("disk a year and scope, of 5 in an organisation", disk * _PER_YEAR / scopes / 1e6, "MB"),
        Figure("samples a day and scope", samples / DAYS / scopes),
        Figure("vendor calls a day and organisation, polled every 5 minutes", DAY / history.POLL_INTERVAL),
    )
    about = (
        f"{scopes} scopes scraped every {SCRAPE_INTERVAL} s over {DAYS} days, in real blocks with their index; "
        f"{samples / 1e6:.1f} million samples."
    )
    return Report("What a scope costs", about, figures)


_SCRAPE = 'job="api-usage-exporter",instance="exporter:10190"'
