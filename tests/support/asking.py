"""One poll of a target, as the poller makes it, and what came of it."""

from exporter.config.load import Target
from exporter.errors import PollError
from exporter.model import UsageSnapshot
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import Outcome, poll
from tests.support.clock import FakeClock


def ask(target: Target) -> Outcome:
    clock = FakeClock()
    return poll(target, VendorClient(target, clock), clock)


def read(target: Target) -> UsageSnapshot:
    """The snapshot; fails the test where anything of it could not be read."""
    outcome = ask(target)
    assert isinstance(outcome, UsageSnapshot), outcome
    assert outcome.misfits == ()
    return outcome


def failure(target: Target) -> PollError:
    """The error; fails the test where the poll worked."""
    outcome = ask(target)
    assert isinstance(outcome, PollError), outcome
    return outcome
