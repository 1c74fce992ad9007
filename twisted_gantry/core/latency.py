"""How long something takes: counts in fixed buckets, as Prometheus wants its histograms."""

from bisect import bisect_left
from collections.abc import Sequence
from math import inf

# Upper bounds in seconds: from a look into memory to a peer that is about to be given up.
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Latency:
    """Counts durations, in seconds. `sum` is all of them together, `count` how many there were."""

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        if list(bounds) != sorted(set(bounds)) or inf in bounds:
            raise ValueError("the bounds of buckets rise, and are finite")
        self._bounds = (*bounds, inf)
        self._counts = [0] * len(self._bounds)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def observe(self, seconds: float) -> None:
        """Count one; a clock that went back counts as no time at all."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[float, int]]:
        """Return each upper bound, the last infinite, and how many took no longer than that."""
        total, cumulative = 0, []
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            cumulative.append((bound, total))
        return cumulative
