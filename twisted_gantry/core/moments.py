"""Moments: times that can be compared after a step of the clock and after a restart.

The time of day may be wrong (1970 until the network answers) and may jump. The seconds since the
boot of the computer do neither, but begin anew with each boot. A moment holds both.
"""

import math
import time
from dataclasses import dataclass, replace

from twisted_gantry.net.kernel_clock import boot_id, boot_seconds, synchronised

BUILT = 1_672_531_200.0
"""Unix seconds, 2023-01-01: this program is younger, so a clock before that is wrong."""

ASK_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment: `wall` is Unix seconds as the clock showed them, `mono` seconds since the boot of
    the computer, `boot` the name of that boot. `trusted`: the clock was set by a time server.
    """

    wall: float
    boot: str
    mono: float
    trusted: bool

    @property
    def plausible(self) -> bool:
        """Whether the clock may have been right: it was not before the program was made."""
        return self.wall >= BUILT

    def before(self, seconds: float) -> "Moment":
        """Return the moment that was `seconds` ago."""
        return replace(self, wall=self.wall - seconds, mono=self.mono - seconds)

    def since(self, earlier: "Moment") -> float:
        """Return for how many seconds at least `earlier` has passed. Within one boot the number is
        exact. Across a boot it counts from this boot, unless the clock was trusted both times.
        """
        if earlier.boot == self.boot:
            return self.mono - earlier.mono
        if self.trusted and earlier.trusted:
            return max(self.wall - earlier.wall, self.mono)
        return self.mono

    def passed(self, earlier: "Moment") -> float:
        """Return for how many seconds `earlier` has passed, as far as the clocks tell: across a
        boot as `since`, or by the time of day if it may be right both times and tells of more.
        """
        least = self.since(earlier)
        if earlier.boot == self.boot or not (self.plausible and earlier.plausible):
            return least
        return max(least, self.wall - earlier.wall)

    def wall_of(self, earlier: "Moment") -> float:
        """Return `earlier` in Unix seconds by the present clock. That is what the clock showed
        then, unless the clock has stepped since within this boot.
        """
        return self.wall - self.since(earlier) if earlier.boot == self.boot else earlier.wall


class Present:
    """Returns the present moment of this computer. Each report asks for some: the kernel is asked
    whether the clock is set once in ASK_AGAIN seconds.
    """

    def __init__(self) -> None:
        self._trusted, self._asked = False, -math.inf

    def __call__(self) -> Moment:
        mono = boot_seconds()
        if mono - self._asked >= ASK_AGAIN:
            self._trusted, self._asked = synchronised() is True, mono
        return Moment(time.time(), boot_id(), mono, self._trusted)


present = Present()
