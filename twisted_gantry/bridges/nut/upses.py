"""The UPSes among the devices of the site, each judged reading by reading.

A device is a UPS by its points, whatever its kind: it tells whether its mains are abnormal and its
battery is low. Meters and battery systems do not.
"""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from twisted_gantry import __version__
from twisted_gantry.bridges.nut.commands import NAMES
from twisted_gantry.bridges.nut.judge import JUDGED, MAX_AGE, Judge
from twisted_gantry.bridges.nut.variables import STATUS, values
from twisted_gantry.core.alarms import Read
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.points import Batch, Point
from twisted_gantry.core.site import Site
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.nut import NutCode, NutError, number

NEEDED = ("mains_abnormal", "battery_low")
"""The points that make a device a UPS."""


class Ups:
    """One UPS as NUT shows it. Commands and variables are by NUT's names."""

    def __init__(
        self,
        name: str,
        device: IDevice,
        read: Read,
        judge: Judge,
        now: Callable[[], float],
        low_runtime: float,
    ) -> None:
        self.name, self.device, self.judge = name, device, judge
        self._read, self._now, self._low_runtime = read, now, low_runtime

    @property
    def description(self) -> str:
        """Maker and model as the card tells them, else the kind of the device."""
        told = [self._read(name).value for name in ("manufacturer", "model")]
        return " ".join(str(each) for each in told if each) or str(self.device.kind)

    @property
    def commands(self) -> Mapping[str, tuple[str, CommandType]]:
        """The device's command and its type, by NUT's name; locked ones are left out."""
        has: Mapping[str, CommandType] = self.device.commands
        return {
            name: (ours, has[ours])
            for name, (ours, _) in NAMES.items()
            if ours in has and not has[ours].locked
        }

    def status(self) -> str:
        """Return `ups.status`. Raises NutError for stale data."""
        if self.judge.stale:
            raise NutError(NutCode.DATA_STALE)
        return " ".join(self.judge.words())

    def variables(self) -> dict[str, str]:
        """Return the variables that have a value. Raises NutError for stale data."""
        status = self.status()
        shown = values(self._read, self._is_fresh) | {
            STATUS: status,
            "battery.runtime.low": number(self._low_runtime),
            "device.type": "ups",
            "driver.name": str(self.device.kind),
            "driver.version": __version__,
        }
        return dict(sorted(shown.items()))

    def _is_fresh(self, point: Point) -> bool:
        return point.at is not None and self._now() - point.at <= MAX_AGE


class Upses:
    """All UPSes of `site`. `low_runtime` is in seconds; `now` returns Unix seconds."""

    def __init__(
        self, site: Site, clock: IReactorTime, now: Callable[[], float], low_runtime: float
    ) -> None:
        self._site, self._clock, self._now = site, clock, now
        self._low_runtime = low_runtime
        self._upses: dict[str, Ups] = {}
        self._unsubscribe: Callable[[], None] = _nothing
        self._read: set[str] = set()  # devices with a reading that is not judged yet
        self._soon = Timer(clock, self._judge)

    def start(self) -> None:
        self._unsubscribe = self._site.points.subscribe(self._changed)
        for name in self._site.devices:
            self._look(name)

    def stop(self) -> None:
        self._soon.cancel()
        self._unsubscribe()
        self._unsubscribe = _nothing
        for name in list(self._upses):
            self._forget(name)

    def all(self) -> list[Ups]:
        """Return the UPSes in the order of their names."""
        return [ups for name in sorted(self._site.devices) if (ups := self._look(name)) is not None]

    def __getitem__(self, name: str) -> Ups:
        """Return a UPS by its device's name. Raises NutError."""
        ups = self._look(name)
        if ups is None:
            raise NutError(NutCode.UNKNOWN_UPS)
        return ups

    def _look(self, name: str) -> Ups | None:
        """Return the UPS of a device, if it is one; a device that was made anew is another."""
        device, known = self._site.devices.get(name), self._upses.get(name)
        if known is not None and known.device is device:
            return known
        self._forget(name)
        points = self._site.points
        if device is None or any(points.get(f"{name}.{need}") is None for need in NEEDED):
            return None

        def read(point: str) -> Point:
            full = f"{name}.{point}"
            return points.get(full) or Point(full)

        judge = Judge(device, read, self._clock, self._low_runtime)
        made = Ups(name, device, read, judge, self._now, self._low_runtime)
        self._upses[name] = made
        return made

    def _forget(self, name: str) -> None:
        known = self._upses.pop(name, None)
        if known is not None:
            known.judge.stop()

    def _changed(self, device: str, batch: Batch) -> None:
        """Note a reading; alarms and reports come before."""
        if any(change.new.name.partition(".")[2] in JUDGED for change in batch):
            self._read.add(device)
            if not self._soon.running:
                self._soon.start(0)

    def _judge(self) -> None:
        read, self._read = self._read, set()
        for device in read:
            known = self._upses.get(device)
            ups = self._look(device)
            if ups is not None and ups is known:
                ups.judge.take()


def _nothing() -> None:
    """End nothing: there is no subscription."""
