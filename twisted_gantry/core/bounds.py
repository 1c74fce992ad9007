"""What a point can be: its bounds, the steps of a counter, and the adjustment by the settings.

Each number that a driver hands in passes here once, on its way into the points. A number outside
its bounds is no value, whatever the device means by it: -1, 255, 65535, 655.3. A number inside its
bounds is never taken for such a mark. Decisions: `docs/points.md`, "Bounds".
"""

from collections.abc import Callable
from dataclasses import dataclass

from twisted_gantry.wire.reading import Value

# Readings in a row, each of which can follow the one before, that prove a step which could not be:
# a counter was set back, or the meter was replaced. Zeros take longer: a device that boots reports
# 0 before it has read its memory.
CONFIRM, CONFIRM_ZERO = 3, 12
# Seconds: a meter may pass on its counter every quarter of an hour, all that was used at once.
LONGEST_STAND = 900.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values from `low` to `high`, in the unit of the point.

    `rise` makes the point a counter: the most that it can grow by in a second. `grain` is the step
    of a coarse counter, such as 1000 Wh of one that counts whole kWh.
    """

    low: float
    high: float
    rise: float | None = None
    grain: float = 0.0


VOLTS = Bounds(0, 600)
"""Of mains and batteries; 655.3 is outside."""
AMPERES = Bounds(0, 650)
FLOW = Bounds(-650, 650)
"""A current with a direction, in A."""
HERTZ = Bounds(0, 100)
PERCENT = Bounds(0, 100)
CELSIUS = Bounds(-40, 125)
"""What sensors measure; 127, 255 and 655.3 are outside."""
SECONDS = Bounds(0, 65_534)
"""A time that a device counts in 16 bits; 65535 is its mark for no value."""
WATTS = Bounds(-1e6, 1e6)
COUNT = Bounds(0, 1e9)
# Three phases of 250 V and 400 A carry 300 kW: no connection of a gantry is larger.
ENERGY = Bounds(0, 2e9, rise=300_000 / 3600, grain=1000)
"""A counter in Wh. Meters show at most 999,999 kWh, and 2³¹ Wh and 2³² Wh are marks."""


@dataclass(frozen=True, slots=True)
class Adjust:
    """A setting for one point: value x `scale` + `offset`, then bounds of its own if given."""

    scale: float = 1.0
    offset: float = 0.0
    low: float | None = None
    high: float | None = None

    def bounds(self, usual: Bounds | None) -> Bounds | None:
        if self.low is None and self.high is None:
            return usual
        rest = usual or Bounds(-float("inf"), float("inf"))
        low = rest.low if self.low is None else self.low
        high = rest.high if self.high is None else self.high
        return Bounds(low, high, rest.rise, rest.grain)


class CounterCheck:
    """Believes a counter that grows as fast as it can, and a jump once readings confirm that.

    `seconds` is a monotonic clock.
    """

    def __init__(self, rise: float, grain: float, seconds: Callable[[], float]) -> None:
        self.last: float | None = None
        self._rise, self._grain, self._seconds = rise, grain, seconds
        self._read = self._changed = 0.0
        self._doubtful: float | None = None
        self._doubted = 0.0
        self._times = 0

    def believes(self, value: float) -> bool:
        """Take a reading; returns whether it counts as good."""
        now = self._seconds()
        if self.last is None:
            follows = value > 0
        else:
            stood = min(now - self._changed, LONGEST_STAND)
            follows = self._follows(self.last, value, max(now - self._read, stood))
        if not follows and not self._confirmed(value, now):
            return False
        if value != self.last:
            self._changed = now
        self.last, self._read = value, now
        self._doubtful, self._times = None, 0
        return True

    def _follows(self, before: float, value: float, seconds: float) -> bool:
        return before <= value <= before + self._grain + self._rise * seconds

    def _confirmed(self, value: float, now: float) -> bool:
        before, self._doubtful = self._doubtful, value
        since, self._doubted = now - self._doubted, now
        agrees = before is not None and self._follows(before, value, since)
        goes_on = agrees and (value > 0) == ((before or 0) > 0)
        self._times = self._times + 1 if goes_on else 1
        return self._times >= (CONFIRM if value > 0 else CONFIRM_ZERO)


class Check:
    """Judges the readings of one point. `why_not` is what is wrong with the last one, or empty."""

    __slots__ = ("_adjust", "_bounds", "_counter", "why_not")

    def __init__(
        self, bounds: Bounds | None, adjust: Adjust | None, seconds: Callable[[], float]
    ) -> None:
        self._adjust = adjust
        self._bounds = bounds if adjust is None else adjust.bounds(bounds)
        rise = None if self._bounds is None else self._bounds.rise
        self._counter = None
        if self._bounds is not None and rise is not None:
            self._counter = CounterCheck(rise, self._bounds.grain, seconds)
        self.why_not = ""

    def take(self, value: float) -> Value:
        """Return the adjusted value; None, with `why_not`, for one that cannot be."""
        if self._adjust is not None:
            # Rounded, so that 2.3 x 100 is 230.
            value = round(value * self._adjust.scale + self._adjust.offset, 6)
        bounds = self._bounds
        if bounds is not None and not bounds.low <= value <= bounds.high:
            self.why_not = f"{value:g} is outside {bounds.low:g} to {bounds.high:g}"
            return None
        if self._counter is not None and not self._counter.believes(value):
            last = self._counter.last
            after = "" if last is None else f" after {last:g}"
            # A zero is what a device says while it boots: no mistake.
            self.why_not = f"a counter of {value:g}{after} is not believed yet" if value else ""
            return None
        self.why_not = ""
        return value
