"""Formulas that several parts of the world share: first-order relaxation, curves, a Rint source."""

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0


def approach(now: float, goal: float, time_constants: float) -> float:
    """Return `now` after an exponential approach to `goal` for so many time constants."""
    return now + (goal - now) * -math.expm1(-time_constants)


def current_out_a(open_circuit_v: float, ohm: float, power_w: float) -> float:
    """Return the current for `power_w` from a source, at most of its greatest; below 0 it takes."""
    root = math.sqrt(max(open_circuit_v**2 - 4 * ohm * power_w, 0.0))
    return (open_circuit_v - root) / (2 * ohm)


@dataclass(frozen=True)
class Curve:
    """A function that is linear between the points (x, y); the x rise."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]

    def at(self, x: float) -> float:
        """Return y at `x`; outside the points the nearest line goes on."""
        at = min(max(bisect_right(self.xs, x), 1), len(self.xs) - 1)
        part = (x - self.xs[at - 1]) / (self.xs[at] - self.xs[at - 1])
        return self.ys[at - 1] + (self.ys[at] - self.ys[at - 1]) * part

    def area(self, x: float) -> float:
        total = 0.0
        for (x0, y0), (x1, y1) in itertools.pairwise(zip(self.xs, self.ys, strict=True)):
            width = min(max(x - x0, 0.0), x1 - x0)
            total += width * (y0 + (y1 - y0) * width / (x1 - x0) / 2)
        return total


def charge_curve(*volts: float) -> Curve:
    """Return a rest voltage over the state of charge, given at equal steps from 0 to 1."""
    return Curve(tuple(at / (len(volts) - 1) for at in range(len(volts))), volts)
