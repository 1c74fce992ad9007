"""What watches a cabinet: smoke and water sensors, and surge protective devices.

Source: the ETC document, section 3.1.
"""

from collections.abc import Callable, Iterator

from twisted_gantry.twin.world.variables import Variable, attribute

MOST_STRIKES = 1_000_000


class Sensor:
    """A sensor that warns or does not; `changed_s` is when it last began or ceased to.

    `seconds` is the world's time. `fault`: nobody can tell whether it would warn.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.fault = False
        self.changed_s = seconds()
        self._warns = False
        self._seconds = seconds

    @property
    def warns(self) -> bool:
        """Whether there is what it watches for."""
        return self._warns

    @warns.setter
    def warns(self, warns: bool) -> None:
        if warns != self._warns:
            self._warns, self.changed_s = warns, self._seconds()

    def variables(self, name: str) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        yield name, Variable(*attribute(self, "warns"))
        yield f"{name}_sensor_fault", Variable(*attribute(self, "fault"))


class SurgeProtector:
    """A surge protective device, which counts what it led off; `fault`: it is worn out."""

    def __init__(self) -> None:
        self.lightning_count = 0
        self.fault = False

    def variables(self, number: int) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        count = attribute(self, "lightning_count", int)
        yield f"lightning_count_{number}", Variable(*count, low=0, high=MOST_STRIKES)
        yield f"surge{number}_fault", Variable(*attribute(self, "fault"))
