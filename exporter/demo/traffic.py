"""Customers of the demo vendor: real HTTP requests, each scope at its own rate, in one thread.

A well-behaved client: evenly spread, waiting as Retry-After says, not making up for what it missed.
"""

import heapq
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

import requests

from exporter.demo.accounts import ACCOUNTS, OrganisationAccount
from exporter.demo.vendor import DEMO_TOKEN

log = logging.getLogger(__name__)

# The vendor is on the same machine or network, and answers in milliseconds.
TIMEOUT_SECONDS = 5.0
# After an answer that says no without saying for how long, or none at all.
PAUSE_SECONDS = 60.0
# Doubled at each failure, up to the pause.
FIRST_RETRY_SECONDS = 1.0

Monotonic = Callable[[], float]


@dataclass(order=True)
class _Customer:
    """One scope's next request. Ordered by `due`, seconds of the monotonic clock."""

    due: float
    path: str = field(compare=False)
    interval: float = field(compare=False)
    failures: int = field(compare=False, default=0)


class Traffic:
    """Sends each scope's `traffic_per_minute`.

    base_url: of the vendor, such as http://127.0.0.1:8080.
    monotonic: seconds that never go back.
    """

    def __init__(
        self,
        base_url: str,
        accounts: Sequence[OrganisationAccount] = ACCOUNTS,
        *,
        token: str = DEMO_TOKEN,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._monotonic = monotonic
        self._token = token
        self._queue = _customers(accounts, monotonic())

    def run(self, stop: Event) -> None:
        """Send until `stop` is set. A vendor that is down is tried again; nothing is raised."""
        with requests.Session() as session:
            session.trust_env = False  # the vendor is a neighbour: no proxy, no .netrc
            session.headers["Authorization"] = f"Bearer {self._token}"
            while not stop.wait(self._seconds_until_next()):
                self._send_next(session)

    def start(self, stop: Event) -> Thread:
        """run() in a thread of its own, which ends soon after `stop` is set."""
        thread = Thread(target=self.run, args=(stop,), name="demo-traffic", daemon=True)
        thread.start()
        return thread

    def _seconds_until_next(self) -> float | None:
        return max(0.0, self._queue[0].due - self._monotonic()) if self._queue else None

    def _send_next(self, session: requests.Session) -> None:
        customer = self._queue[0]
        if self._monotonic() < customer.due:  # a wait may end a little early
            return
        wait = self._send(session, customer)
        now = self._monotonic()
        # On time, the next one follows the last one's schedule; what was missed is not sent in a burst.
        customer.due = max(customer.due + customer.interval, now + wait)
        heapq.heapreplace(self._queue, customer)

    def _send(self, session: requests.Session, customer: _Customer) -> float:
        """Send one request; seconds from now before the customer may send another, 0 after a good answer."""
        try:
            response = session.get(self._base_url + customer.path, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            wait = _backoff(customer.failures)
            customer.failures += 1
            log.warning("demo traffic: %s: %s; next try in %.0f s", customer.path, error, wait)
            return wait
        customer.failures = 0
        return _wait_for(response)


def _customers(accounts: Sequence[OrganisationAccount], now: float) -> list[_Customer]:
    """A heap: everyone starts at another moment of their first interval, so that they do not march in step."""
    busy = [
        (f"/v1/{organisation.id}/{scope.id}", 60.0 / scope.traffic_per_minute)
        for organisation in accounts
        for scope in organisation.scopes
        if scope.traffic_per_minute > 0
    ]
    customers = [_Customer(now + interval * n / len(busy), path, interval) for n, (path, interval) in enumerate(busy)]
    heapq.heapify(customers)
    return customers


def _wait_for(response: requests.Response) -> float:
    """Seconds that the answer asks to wait; 0 if it is a good one."""
    if response.ok:
        return 0.0
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return PAUSE_SECONDS


def _backoff(failures: int) -> float:
    # The exponent is held down: a demo vendor may be off for days, and a float ends at 2**1024.
    return min(math.ldexp(FIRST_RETRY_SECONDS, min(failures, 10)), PAUSE_SECONDS)
