"""How an api's organisations share `max_calls_per_day`: what was spent in the last day, and who may spend the rest.

Where it does not do for all, those that are near their limit and will run out keep their interval, and the others are
asked as often as what is left allows.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from exporter.model import ScopeUsage
from exporter.thresholds import LIMIT_REACHED_RATIO, Threshold

DAY = 86_400.0

# Intervals are jittered by 5 %, and a failed poll may be retried.
_MARGIN = 1.1
# What the others keep, however many are hot: one that nobody looks at cannot become hot.
_LEAST_OF_OTHERS = 0.1
# Calls within as much are kept as one, at the time of the latest.
_NEAR_SECONDS = 600.0


def runs_out(scope: ScopeUsage, now: datetime, warning: Threshold) -> bool:
    """Whether a scope is in the warning band and, at its period's pace so far, reaches its limit before the end."""
    ratio = scope.used_ratio
    if ratio is None or not warning.reached_by(ratio):
        return False
    if scope.period is None:
        return True
    elapsed = (now - scope.period.start) / (scope.period.end - scope.period.start)
    return ratio > LIMIT_REACHED_RATIO * min(max(elapsed, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to ask, in seconds, and what those that are not hot may spend together in any 24 hours."""

    hot_interval: float
    interval: float
    others_a_day: float


def plan(a_day: float, interval: float, *, hot_round: float, other_round: float) -> Plan:
    """Share a budget.

    a_day: what may be spent in any 24 hours. interval: seconds between polls, by the config. hot_round, other_round:
    what it costs to ask all hot organisations, and all others, once.
    """
    rounds = DAY / interval * _MARGIN
    if (hot_round + other_round) * rounds <= a_day:
        return Plan(interval, interval, a_day)
    least = min(other_round * rounds, a_day * _LEAST_OF_OTHERS)
    others = max(a_day - hot_round * rounds, least)
    return Plan(
        hot_interval=_spread(interval, hot_round, a_day - least),
        interval=_spread(interval, other_round, others),
        others_a_day=others,
    )


def _spread(interval: float, cost: float, a_day: float) -> float:
    """The interval, or the shortest longer one at which a round of this cost is paid for."""
    return max(interval, DAY * _MARGIN * cost / a_day) if cost else interval


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls cost. at: seconds of the poller's clock, when the last of them was made; hot: for whom."""

    at: float
    cost: float
    hot: bool


class Ledger:
    """What was spent in the last 24 hours, and what polls that are under way may spend. Not thread-safe."""

    def __init__(self, spent: Iterable[Spent] = ()) -> None:
        self._spent = deque(sorted(spent, key=lambda one: one.at))
        self._reserved = {True: 0.0, False: 0.0}

    def spent(self, now: float) -> tuple[Spent, ...]:
        """All that still counts, the oldest first."""
        self._forget(now)
        return tuple(self._spent)

    def reserved(self, now: float) -> tuple[Spent, ...]:
        """What polls under way may spend, as if it were spent now."""
        return tuple(Spent(now, cost, hot) for hot, cost in self._reserved.items() if cost)

    def wait(self, now: float, cost: float, *, hot: bool, a_day: float, others_a_day: float) -> float:
        """Seconds until so much may be spent; 0 for now, and a day where it is too much for any day."""
        spent = self.spent(now)
        counted = (*spent, *self.reserved(now))
        total = sum(one.cost for one in counted) + cost
        others = sum(one.cost for one in counted if not one.hot) + cost
        at = now
        for one in spent:
            if _fits(total, a_day) and (hot or _fits(others, others_a_day)):
                break
            total -= one.cost
            others -= 0 if one.hot else one.cost
            at = one.at + DAY
        fits = _fits(total, a_day) and (hot or _fits(others, others_a_day))
        return max(0.0, at - now) if fits else DAY

    def reserve(self, cost: float, *, hot: bool) -> None:
        self._reserved[hot] += cost

    def settle(self, now: float, reserved: float, cost: float, *, hot: bool) -> None:
        """Put what was spent in the place of what was reserved for it."""
        self._reserved[hot] = max(0.0, self._reserved[hot] - reserved)
        if not cost:
            return
        self._forget(now)  # here, since what has no budget is never asked what it spent
        # An entry for every poll would be too many; the newest of its kind takes in what follows soon.
        near = next((one for one in reversed(self._spent) if one.hot is hot), None)
        if near is not None and near.at // _NEAR_SECONDS == now // _NEAR_SECONDS:
            self._spent.remove(near)
            cost += near.cost
        self._spent.append(Spent(now, cost, hot))

    def _forget(self, now: float) -> None:
        """Drop what no longer counts."""
        while self._spent and self._spent[0].at <= now - DAY:
            self._spent.popleft()


def _fits(cost: float, a_day: float) -> bool:
    return cost <= a_day * (1 + 1e-9)
