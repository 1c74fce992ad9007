"""A histogram of durations: counts in fixed buckets, for Prometheus and for percentiles."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import ceil, inf

BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: from a look into memory to a peer that is about to time out."""


def geometric_bounds(first: float, growth: float, count: int) -> tuple[float, ...]:
    """Return `count` bounds, each `growth` times the one before.

    A percentile over these buckets is too high by a factor of `growth` at most.
    """
    return tuple(first * growth**power for power in range(count))


class Histogram:
    """Counts durations in seconds; a bucket counts what does not exceed its upper bound.

    `bounds` rise and are finite, else ValueError; one more bucket takes all above the last.
    `sum` is the total of the durations, `longest` the longest one, 0 without any.
    """

    def __init__(self, bounds: Sequence[float] = BOUNDS) -> None:
        if list(bounds) != sorted(set(bounds)) or inf in bounds:
            raise ValueError("the bounds of buckets rise, and are finite")
        self._bounds = (*bounds, inf)
        self._counts = [0] * len(self._bounds)
        self.sum = self.longest = 0.0

    @property
    def count(self) -> int:
        return sum(self._counts)

    def observe(self, seconds: float) -> None:
        """Count a duration; a negative one, after a clock that went back, counts as 0."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds
        if seconds > self.longest:
            self.longest = seconds

    def merge(self, others: Iterable["Histogram"]) -> "Histogram":
        """Add the counts of histograms with the same bounds, else ValueError; returns itself."""
        for other in others:
            if other._bounds != self._bounds:
                raise ValueError("histograms of different bounds")
            self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
            self.sum += other.sum
            self.longest = max(self.longest, other.longest)
        return self

    def buckets(self) -> list[tuple[float, int]]:
        """Return each upper bound, the last infinite, with the count up to and including it."""
        total, cumulative = 0, []
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            cumulative.append((bound, total))
        return cumulative

    def percentile(self, share: float) -> float | None:
        """Return the duration of the nearest rank at `share` (0 to 1); None without any.

        The result is the upper bound of its bucket, and at most `longest`.
        """
        rank = ceil(share * self.count)
        for bound, cumulative in self.buckets():
            if rank <= cumulative and cumulative:
                return min(bound, self.longest)
        return None
