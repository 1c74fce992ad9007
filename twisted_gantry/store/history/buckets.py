"""Buckets: least, mean and greatest of a signal that steps from value to value, weighted by time.

Of texts, which are numbers of their own (`words.py`), a bucket has the one that held longest.

Roll-up and query are the same work: the roll-up fills minutes from samples and quarters of an hour
from minutes, a query what it was asked for. All times are whole milliseconds.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from twisted_gantry.store.history.words import LEAST


class Buckets:
    """Buckets of `step` ms; bucket n begins at n · step."""

    def __init__(self, step: int) -> None:
        self._step = step
        # Columns, and no object a bucket: thousands of them would call the garbage collector, which
        # stops the reactor too.
        self._places: dict[int, int] = {}
        self._lows: list[float] = []
        self._highs: list[float] = []
        self._totals: list[float] = []
        self._weights: list[float] = []
        self._texts: dict[int, dict[float, float]] = {}  # by bucket: the ms of each

    def merge(self, at: int, low: float, mean: float, high: float, weight: float) -> None:
        """Count what was known for `weight` ms of a time that begins at `at`. All of it counts for
        the bucket that it begins in.
        """
        number = at // self._step
        if high > LEAST:
            held = self._texts.setdefault(number, {})
            held[mean] = held.get(mean, 0.0) + weight
            return
        place = self._places.get(number)
        if place is None:
            self._places[number] = len(self._lows)
            self._lows.append(low)
            self._highs.append(high)
            self._totals.append(mean * weight)
            self._weights.append(weight)
            return
        if low < self._lows[place]:
            self._lows[place] = low
        if high > self._highs[place]:
            self._highs[place] = high
        self._totals[place] += mean * weight
        self._weights[place] += weight

    def hold(self, begin: int, end: int, value: float) -> None:
        """Count a value that held from `begin` to `end`, over as many buckets as that takes."""
        step = self._step
        while begin < end:
            stop = min(end, begin - begin % step + step)
            self.merge(begin, value, value, value, stop - begin)
            begin = stop

    def fill(
        self, times: Sequence[int], values: Sequence[float], within: tuple[int, int], hold: int
    ) -> None:
        """Count samples, each of which holds until the next, but no longer than `hold` ms. Only
        what they say of the time `within` counts. A NaN is a gap.
        """
        first, last = within
        ends = chain(islice(times, 1, None), (last,))
        for time, value, end in zip(times, values, ends, strict=True):
            if value == value:  # no NaN
                self.hold(max(time, first), min(end, time + hold, last), value)

    def rows(self) -> Iterator[tuple[int, float, float, float, float]]:
        """Return number, least, mean, greatest and weight in ms of each, in their order."""
        if self._texts:
            yield from sorted([*self._numbers(), *self._longest()])
        else:
            yield from self._numbers()

    def _longest(self) -> Iterator[tuple[int, float, float, float, float]]:
        """Return the texts that held longest; in a bucket with numbers, too, the texts count."""
        for number, held in self._texts.items():
            text = max(held, key=lambda code: held[code])
            yield number, text, text, text, sum(held.values())

    def _numbers(self) -> Iterator[tuple[int, float, float, float, float]]:
        for number, place in sorted(self._places.items()):
            if number in self._texts:
                continue
            low, high, weight = self._lows[place], self._highs[place], self._weights[place]
            # The mean of equal values may differ from them in its last digit.
            mean = min(max(self._totals[place] / weight, low), high)
            yield number, low, mean, high, weight
