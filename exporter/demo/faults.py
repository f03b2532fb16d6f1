"""Troubles of the simulated vendor's usage endpoint, to be turned on and off by hand."""

from collections.abc import Sequence
from threading import Condition
from typing import Literal, get_args

Fault = Literal["none", "500", "slow", "garbage", "401"]


class Faults:
    """Which trouble each organisation's usage endpoint is in. Thread-safe.

    slow_seconds: how long "slow" makes a caller wait, in real time; setting another fault, or close(), ends it.
    """

    def __init__(self, organisation_ids: Sequence[str], *, slow_seconds: float = 30.0) -> None:
        self._faults: dict[str, Fault] = dict.fromkeys(organisation_ids, "none")
        self._slow_seconds = slow_seconds
        self._changed = Condition()
        self._closed = False

    def set(self, fault: str, organisation_id: str | None = None) -> None:
        """For one organisation, or for all with None. ValueError if there is no such fault or organisation."""
        for known in get_args(Fault):
            if known == fault:
                break
        else:
            raise ValueError(f"fault is {fault!r}, not one of {', '.join(get_args(Fault))}")
        if organisation_id is not None and organisation_id not in self._faults:
            raise ValueError(f"there is no organisation {organisation_id!r}")
        with self._changed:
            for one in self._faults if organisation_id is None else (organisation_id,):
                self._faults[one] = known
            self._changed.notify_all()

    def all(self) -> dict[str, Fault]:
        """By organisation id."""
        with self._changed:
            return dict(self._faults)

    def of(self, organisation_id: str) -> Fault:
        """The organisation's fault, after the wait if it is "slow"."""
        with self._changed:
            fault = self._faults.get(organisation_id, "none")
            if fault == "slow":
                self._changed.wait_for(
                    lambda: self._closed or self._faults[organisation_id] != "slow", self._slow_seconds
                )
            return fault

    def close(self) -> None:
        """Let nobody wait any longer; for the server's shutdown."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
