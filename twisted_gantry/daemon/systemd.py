"""The watchdog of the gantry: systemd hears that the daemon does its work."""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.systemd import Notifier
from twisted_gantry.net.timers import GuardedLoop

_log = Logger()


class Watchdog(NamedService):
    """Feeds the watchdog of systemd every `period` seconds while the daemon does its work.

    Two conditions: the reactor turns, and no poller is dead. A poller is dead if its device is not
    offline and has brought no reading for its `patience`, seconds by the name of the device; other
    devices are not watched. An offline device has its alarm, and a restart of the daemon would not
    mend it. The same goes for a disk or a name server that hangs: no thread is asked.
    """

    def __init__(
        self,
        notifier: Notifier,
        clock: IReactorTime,
        site: Site,
        period: float,
        patience: Mapping[str, float],
    ) -> None:
        super().__init__("watchdog")
        self._notifier, self._clock, self._site = notifier, clock, site
        self._period, self._patience = period, patience
        self._alive: dict[str, float] = {}  # when a device last brought a reading, on the clock
        self._told = ""
        self._loop = GuardedLoop(clock, self._beat, "the watchdog")
        self._unsubscribe: Callable[[], None] = lambda: None

    def startService(self) -> None:
        super().startService()
        now = self._clock.seconds()
        self._alive = dict.fromkeys(self._patience, now)
        self._unsubscribe = self._site.points.subscribe(self._note)
        self._loop.start(self._period)

    def stopService(self) -> None:
        super().stopService()
        self._unsubscribe()
        self._loop.stop()

    def _note(self, device: str, batch: Batch) -> None:
        self._alive[device] = self._clock.seconds()

    def _beat(self) -> None:
        dead = self._dead_poller()
        if dead and dead != self._told:
            _log.error("the watchdog is not fed: {dead}", dead=dead)
        self._told = dead
        if not dead:
            self._notifier.alive()

    def _dead_poller(self) -> str:
        now = self._clock.seconds()
        for name, patience in self._patience.items():
            device = self._site.devices.get(name)
            if device is None or device.status.state is State.OFFLINE:
                self._alive[name] = now
            elif now - self._alive.get(name, now) > patience:
                return f"{name} is {device.status.state} and has brought nothing for {patience:g} s"
        return ""


def poller_patience(settings: object) -> float | None:
    """Return after how many seconds without a reading the poller of a device counts as dead.

    The time is far longer than any lawful pause; None for a device that polls nothing.
    """
    given = [getattr(settings, name, None) for name in ("poll", "period")]
    periods = [each for each in given if isinstance(each, int | float)]
    return 300.0 + 10.0 * max(periods) if periods else None
