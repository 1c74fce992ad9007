"""Computers below us that upload `computerStatusUpdate` to our `monitor.do`.

Each becomes a device `computer<id>` with its first upload, and stays until the program ends.
Source: the ETC document, section 2.1; decisions: `docs/protocols/etc-gantry.md`, "Receiving from
computers".
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.devices.computers.points import MEASUREMENTS, POINTS, good
from twisted_gantry.devices.conditions import equals
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.etc.computers import Readings, decode_computers
from twisted_gantry.wire.reading import Quality

_log = Logger()

SILENCE = 900.0  # seconds, three periods of the document, after which a computer is offline
MOST = 32  # computers that may upload
CLOCK_GOOD = PointType("clock_good", "", "Clock agrees with ours", "时钟一致")
RULES = (
    Rule(
        "clock-skew",
        Severity.WARNING,
        "the computer's clock and ours disagree",
        "工控机时钟偏差过大",
        equals(CLOCK_GOOD.name, False),
    ),
)


@implementer(IDevice)
class UploadedComputer(NamedService):
    """One computer, `which` by its own number; online while it uploads."""

    kind = "computer"
    rules = RULES
    commands: Mapping[str, CommandType] = MappingProxyType({})

    def __init__(
        self, name: str, which: str, points: Points, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        super().__init__(name)
        self.device, self._points = name, points
        self.status = Status(name, now)
        self.counts: Counter[str] = Counter()
        self._silence = Timer(clock, self._silent)
        points.declare(name, (*POINTS, CLOCK_GOOD))
        points.update(name, {"id": good(which)})

    def startService(self) -> None:
        super().startService()
        self._silence.start(SILENCE)

    def stopService(self) -> None:
        super().stopService()
        self._silence.cancel()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return fail(ValueError(f"a computer has no command {command}"))

    def uploaded(self, readings: Readings, *, clock_good: bool) -> None:
        """Take the readings of one upload; values come before the state, as of any device."""
        self.counts["uploads"] += 1
        update = {name: (each.value, each.quality) for name, each in readings.items()}
        self._points.update(self.device, {**update, CLOCK_GOOD.name: good(clock_good)})
        if self.running:
            self._silence.start(SILENCE)
        self.status.online()

    def _silent(self) -> None:
        measured = [each.name for each in MEASUREMENTS]
        self._points.update(self.device, dict.fromkeys(measured, (None, Quality.GET_FAILED)))
        en, zh = f"no upload for {SILENCE:g} s", f"{SILENCE:g}秒内未收到上报"
        self.status.offline(outage(Cause.NO_UPLOAD, en=en, zh=zh))


class UploadedComputers(ServiceGroup):
    """All computers that upload. `known` are ids that are expected from the start: one of these
    that never uploads is offline, with its alarm.
    """

    def __init__(
        self, site: Site, clock: IReactorTime, now: Callable[[], float], known: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self._site, self._clock, self._now = site, clock, now
        self._computers: dict[str, UploadedComputer] = {}
        self._refused: set[str] = set()
        for which in known:
            self._computer(which)

    def take(self, fields: Any, *, clock_good: bool) -> None:
        """Take a `computerStatus`. Raises BadMessage if it has no computer."""
        rows, odd = decode_computers(fields)
        for which, readings in rows.items():
            computer = self._computer(which)
            if computer is not None:
                computer.counts.update(odd)
                computer.uploaded(readings, clock_good=clock_good)

    def end(self) -> None:
        """Take every computer out of the site."""
        for computer in self._computers.values():
            name = computer.device
            del self._site.devices[name]
            self._site.alarms.unwatch(name)
            names = [each.name.partition(".")[2] for each in self._site.points.under(f"{name}.")]
            self._site.points.retract(name, names)
        self._computers.clear()

    def _computer(self, which: str) -> UploadedComputer | None:
        """Return a computer by its id, made if it is new; None for one too many."""
        known = self._computers.get(which)
        if known is not None:
            return known
        name = f"computer{which}"
        if name in self._site.devices or len(self._computers) >= MOST:
            self._refuse(name)
            return None
        made = UploadedComputer(name, which, self._site.points, self._clock, self._now)
        self._computers[which] = self._site.devices[name] = made
        self._site.alarms.watch(name, made.rules, made.status)
        self.add(made)
        return made

    def _refuse(self, name: str) -> None:
        if name not in self._refused and len(self._refused) < MOST:
            text = "{name} uploads, but a device has this name, or {most} computers upload already"
            _log.warn(text, name=name, most=MOST)
        self._refused.add(name)
