"""One poll: ask a vendor once, read what it answers, and make whatever fails an outcome.

When to poll is the business of exporter.vendor.poller.
"""

from collections.abc import Callable, Mapping
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
from exporter.vendor.drift import Drift, expectation, held_back
from exporter.vendor.reading import holds_error, map_answers

log = structlog.get_logger()

Outcome = UsageSnapshot | PollError


def poll(target: Target, client: VendorClient, clock: Clock) -> Outcome:
    """Ask for one organisation once. Never raises: a failure is an outcome."""
    ((_, outcome),) = poll_all((target,), client, clock)
    return outcome


def _nobody(_: tuple[Drift, ...]) -> None:
    pass


def poll_all(
    targets: tuple[Target, ...],
    client: VendorClient,
    clock: Clock,
    answered: Callable[[tuple[Drift, ...]], None] = _nobody,
) -> list[tuple[Target, Outcome]]:
    """Ask once, for all organisations that the answer holds. Never raises: a failure is an outcome, and so is a fault
    of our own, since an organisation must not go unwatched for it.

    answered: called once an answer came that is no error, with where it is not as the api's preset expects.
    """
    try:
        answers = client.fetch()
        now = clock.now()
    except Exception as error:
        failure = _failure(targets[0], error)
        return [(target, failure) for target in targets]
    with COMPUTING:
        drifts: tuple[Drift, ...] = ()
        unnamed: list[Drift] = []
        if not holds_error(answers, targets[0].api):  # which has other fields, as is documented as well
            drifts = _drifts(targets[0], answers)
            answered(drifts)
            unnamed = [drift for drift in drifts if _is_news(targets[0].api.name, drift)]
        outcomes = [(target, _read(target, answers, now, drifts)) for target in targets]
    for drift in unnamed:
        message = redact(drift.message)
        log.warning(
            "an answer is not as it is documented", api=targets[0].api.name, field=drift.name, message=message
        )
    return outcomes


def _drifts(target: Target, answers: Mapping[str, Answer]) -> tuple[Drift, ...]:
    try:
        expected = expectation(target)
        return expected.drifts(answers) if expected is not None else ()
    except Exception as error:  # an expectation must not cost what can be read without it
        log.error("an answer could not be held against the documented ones", api=target.api.name, exc_info=error)
        return ()


# Which fields of which api were named, with what was met; of very many, it begins anew.
_named: set[tuple[str, str, str]] = set()
_MOST_NAMED = 4096


def _is_news(api: str, drift: Drift) -> bool:
    """Whether the log does not name it yet: not at every poll, nor for every other value of the same kind."""
    key = (api, drift.name, drift.met)
    if key in _named:
        return False
    if len(_named) >= _MOST_NAMED:
        _named.clear()
    _named.add(key)
    return True


def _read(target: Target, answers: Mapping[str, Answer], now: datetime, drifts: tuple[Drift, ...]) -> Outcome:
    api, organisation = target.api, target.organisation.id
    try:
        snapshot = map_answers(answers, api=api, organisation=organisation, now=now)
        if drifts and not api.publish_drifted:
            snapshot = held_back(snapshot, drifts, answers, api=api, organisation=organisation, now=now)
    except Exception as error:
        return _failure(target, error)
    for remark in snapshot.remarks:
        _remark_once(target.api.name, target.organisation.display_name, remark)
    return snapshot


@lru_cache(maxsize=4096)
def _remark_once(api: str, organisation: str, remark: str) -> None:
    """Into the log, but not at every poll."""
    log.warning("an answer was not read as it stands", api=api, organisation=organisation, remark=redact(remark))


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
