"""The moment for first reports: when every device was read once, or could not be."""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import State
from twisted_gantry.net.timers import Timer

FIRST_WAIT = 5.0  # seconds that a device which does not answer may hold up first reports


class FirstReading:
    """Calls `begin` once after `start`: when the devices were read, or after FIRST_WAIT."""

    def __init__(
        self, devices: Mapping[str, IDevice], clock: IReactorTime, begin: Callable[[], None]
    ) -> None:
        self._devices, self._begin = devices, begin
        self._timer = Timer(clock, self._over)
        self._unsubscribe: list[Callable[[], None]] = []

    def start(self) -> None:
        self._timer.start(FIRST_WAIT)
        self._unsubscribe = [
            device.status.subscribe(lambda _: self._look()) for device in self._devices.values()
        ]
        self._look()

    def stop(self) -> None:
        self._timer.cancel()
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    def _look(self) -> None:
        known = all(d.status.state is not State.CONNECTING for d in self._devices.values())
        if known and self._timer.running:
            # Not within this call: the points of the last device come after its state.
            self._timer.start(0)

    def _over(self) -> None:
        self.stop()
        self._begin()
