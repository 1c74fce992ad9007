"""The driver of a mapped kind: its points are those that the settings describe."""

from collections.abc import Mapping, Sequence

from twisted_gantry.core.interfaces import DeviceContext
from twisted_gantry.devices.mapped.points import MappedPoints
from twisted_gantry.devices.polled import PolledDevice
from twisted_gantry.devices.power import RECHECK
from twisted_gantry.wire.reading import Value


class MappedDevice(PolledDevice):
    """Hands each reading to `mapped`, which has declared its points."""

    def __init__(
        self, name: str, context: DeviceContext, poll: float, mapped: MappedPoints
    ) -> None:
        super().__init__(name, context, poll)
        self._mapped, self.rules = mapped, mapped.rules

    def take(self, values: Mapping[str, Value]) -> Sequence[str]:
        return self._mapped.take(values)

    def lose(self) -> None:
        self._mapped.fail()

    def pause(self) -> float | None:
        """Return a short pause after a doubtful reading."""
        return min(RECHECK, self.poller.period) if self._mapped.doubtful else None
