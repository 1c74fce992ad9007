"""How often an alarm was raised of late."""

from collections import deque
from typing import Annotated

import msgspec

from twisted_gantry.core.alarm import Raised
from twisted_gantry.core.moments import Moment

EXACT = 32  # times that are kept one by one
GRAINS = 64  # parts of the window within which further times are counted together


class AlarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[alarms]`: one that is raised more than `flap_limit` times in `flap_window` seconds stays
    raised until it was quiet for the window.
    """

    flap_limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5
    flap_window: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600.0


class Raises:
    """The times at which one alarm was raised, oldest first; their number is bounded. Times are
    seconds since the boot of the computer (`Moment.mono`).
    """

    def __init__(self) -> None:
        self._times: deque[tuple[float, int]] = deque()

    def add(self, now: float, window: float) -> int:
        """Note a time; returns the number of those within the window."""
        times = self._times
        if len(times) >= EXACT and now - times[-1][0] < window / GRAINS:
            at, number = times.pop()
            times.append((at, number + 1))
        else:
            times.append((now, 1))
        return self.count(now, window)

    def count(self, now: float, window: float) -> int:
        while self._times and now - self._times[0][0] >= window:
            self._times.popleft()
        return sum(number for _, number in self._times)

    def quiet_in(self, now: float, window: float) -> float:
        """Return the seconds until the alarm was not raised for a whole window."""
        return max(0.0, self._times[-1][0] + window - now) if self._times else 0.0

    def save(self, at: Moment) -> Raised:
        return Raised(at, tuple((round(at.mono - each, 3), n) for each, n in self._times))

    def load(self, stored: Raised, now: Moment) -> None:
        """Take up what an earlier process has seen."""
        passed = now.passed(stored.at)
        self._times.extend((now.mono - passed - age, number) for age, number in stored.ages)
