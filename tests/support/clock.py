"""A clock that stands still until it is turned."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """now() and monotonic() move together, by `advance` only; `set_back` moves the wall clock alone."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, **span: float) -> None:
        """Forward by timedelta(**span)."""
        step = timedelta(**span)
        self._now += step
        self._monotonic += step.total_seconds()

    def set(self, now: datetime) -> None:
        """Forward to this time."""
        self.advance(seconds=(now - self._now).total_seconds())

    def set_back(self, **span: float) -> None:
        self._now -= timedelta(**span)
