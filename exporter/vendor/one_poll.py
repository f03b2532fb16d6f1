"""One poll: ask a vendor once, read what it answers, and make whatever fails an outcome.

When to poll is the business of exporter.vendor.poller.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

import structlog

from exporter.clock import Clock
from exporter.config.load import Target
from exporter.errors import PollError, ResponseError
from exporter.model import Answer, UsageSnapshot
from exporter.redaction import redact
from exporter.turns import COMPUTING
from exporter.vendor.client import VendorClient
from exporter.vendor.reading import map_answers

log = structlog.get_logger()

Outcome = UsageSnapshot | PollError


def poll(target: Target, client: VendorClient, clock: Clock) -> Outcome:
    """Ask for one organisation once. Never raises: a failure is an outcome."""
    ((_, outcome),) = poll_all((target,), client, clock)
    return outcome


def poll_all(targets: tuple[Target, ...], client: VendorClient, clock: Clock) -> list[tuple[Target, Outcome]]:
    """Ask once, for all organisations that the answer holds. Never raises: a failure is an outcome, and so is a fault
    of our own, since an organisation must not go unwatched for it."""
    try:
        answers = client.fetch()
        now = clock.now()
    except Exception as error:
        failure = _failure(targets[0], error)
        return [(target, failure) for target in targets]
    with COMPUTING:
        return [(target, _read(target, answers, now)) for target in targets]


def _read(target: Target, answers: Mapping[str, Answer], now: datetime) -> Outcome:
    try:
        snapshot = map_answers(answers, api=target.api, organisation=target.organisation.id, now=now)
    except Exception as error:
        return _failure(target, error)
    for remark in snapshot.remarks:
        _remark_once(target.api.name, target.organisation.display_name, remark)
    return snapshot


@lru_cache(maxsize=4096)
def _remark_once(api: str, organisation: str, remark: str) -> None:
    """Into the log, but not at every poll."""
    log.warning("a text of the answer was changed", api=api, organisation=organisation, remark=redact(remark))


def _failure(target: Target, error: Exception) -> PollError:
    if isinstance(error, PollError):
        return error
    log.error(
        "poll met a fault of the exporter",
        api=target.api.name,
        organisation=target.organisation.display_name,
        exc_info=error,
    )
    return ResponseError(f"the exporter failed on this answer ({type(error).__name__}); its log has the details")
