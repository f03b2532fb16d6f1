"""web.config's rate_limit: a token bucket, as exporter-toolkit's (https://pkg.go.dev/golang.org/x/time/rate)."""

from collections.abc import Callable

from exporter.web.web_config import RateLimit


class RateLimits:
    """One bucket for those who gave the right password, and one for those who gave none."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._limit: RateLimit | None = None
        self._tokens: dict[bool, float] = {}
        self._counted_at: dict[bool, float] = {}

    def allow(self, limit: RateLimit | None, *, known: bool) -> bool:
        """Whether one more request is within the limit; None or an interval of 0: there is none."""
        if limit is None or not limit.interval:
            return True
        if limit != self._limit:
            self._limit, self._tokens, self._counted_at = limit, {}, {}
        now = self._monotonic()
        since = now - self._counted_at.get(known, now)
        tokens = min(limit.burst, self._tokens.get(known, limit.burst) + since / limit.interval)
        self._counted_at[known] = now
        allowed = tokens >= 1
        self._tokens[known] = tokens - 1 if allowed else tokens
        return allowed
