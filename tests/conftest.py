from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from exporter.local.processes import Processes
from tests.support.browser import browser
from tests.support.clock import FakeClock
from tests.support.http import Vendor, serve

__all__ = ["browser"]  # fixtures of tests.support, for every test

# A clock asserts nothing here: these machines are shared.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _plain_logging() -> None:
    """Undo what a command run in this process has configured."""
    structlog.reset_defaults()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A vendor on a real port; a test sets `vendor.answer`."""
    vendor = Vendor()
    with serve(vendor) as url:
        vendor.url = url
        yield vendor


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts programs that end with the test; their logs are in tmp_path."""
    with Processes(tmp_path) as running:
        yield running
