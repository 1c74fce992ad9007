"""The sensors of a cabinet: smoke, water, surge protection. ETC document, section 3.1."""

from collections.abc import Callable

from twisted_gantry.twin.world.variables import Variables, number, switch

MOST_STRIKES = 1_000_000


class Sensor:
    """A sensor; `changed_s` is the time of the last change. With `fault` it cannot be read."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.fault = False
        self.changed_s = seconds()
        self._warns = False
        self._seconds = seconds

    @property
    def warns(self) -> bool:
        return self._warns

    @warns.setter
    def warns(self, warns: bool) -> None:
        if warns != self._warns:
            self._warns, self.changed_s = warns, self._seconds()

    def variables(self, name: str) -> Variables:
        yield name, switch(self, "warns")
        yield f"{name}_sensor_fault", switch(self, "fault")


class SurgeProtector:
    """A surge protective device, which counts lightning strikes; with `fault` it is worn out."""

    def __init__(self) -> None:
        self.lightning_count = 0
        self.fault = False

    def variables(self, at: int) -> Variables:
        yield f"lightning_count_{at}", number(self, "lightning_count", 0, MOST_STRIKES, int)
        yield f"surge{at}_fault", switch(self, "fault")
