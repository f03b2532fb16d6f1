"""How sure an expectation is: a mixture of log-normal distributions, so never below 0. Pure."""

from dataclasses import dataclass
from math import erfc, exp, log, sqrt
from typing import NamedTuple

_ROOT_2 = sqrt(2)
# Beyond so many standard deviations nothing is looked for.
_FAR = 6.0
_HALVINGS = 24


class Part(NamedTuple):
    """One log-normal distribution. weight: of the mixture, 0 to 1; log_median, log_spread: of the logarithm."""

    weight: float
    log_median: float
    log_spread: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A positive amount that is not known exactly. parts: weights add up to 1; none: the amount is 0 for sure."""

    parts: tuple[Part, ...]

    def at_least(self, amount: float) -> float:
        """The probability that it is `amount` or more."""
        if amount <= 0:
            return 1.0
        where = log(amount)
        return sum(
            weight * 0.5 * erfc((where - median) / (spread * _ROOT_2)) for weight, median, spread in self.parts
        )

    def quantile(self, part: float) -> float:
        """What it stays below in `part` of all cases, 0 < part < 1."""
        if not self.parts:
            return 0.0
        low = min(middle - _FAR * spread for _, middle, spread in self.parts)
        high = max(middle + _FAR * spread for _, middle, spread in self.parts)
        for _ in range(_HALVINGS):
            where = (low + high) / 2
            if self.at_least(exp(where)) > 1 - part:
                low = where
            else:
                high = where
        return exp((low + high) / 2)
