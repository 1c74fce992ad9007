"""All alarms of the site: of rules over points, of devices offline, and those set by name.

A missing value neither raises nor clears an alarm. A condition that held when its point went silent
has a grace time: a lost link is not a power cut (`docs/protocols/etc-gantry.md`, Decisions,
"Delivery"). An alarm that was active when the program ended stays so until its condition is seen.
The records of alarms: `core/lives.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.alarm import (
    Alarm,
    AlarmLedger,
    CannotChange,
    Stage,
    most_urgent_first,
    urgency,
)
from twisted_gantry.core.flapping import AlarmSettings
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.lives import REMEMBERED, AlarmBook
from twisted_gantry.core.mutes import LONGEST, Mute
from twisted_gantry.core.points import Batch, Points
from twisted_gantry.core.rules import BAD_THEN_SILENT, Read, Rule, Severity
from twisted_gantry.core.status import State, Status
from twisted_gantry.core.watching import PartWatches, Watch
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.reading import Value

__all__ = [
    "BAD_THEN_SILENT",
    "LONGEST",
    "REMEMBERED",
    "Alarm",
    "AlarmLedger",
    "AlarmSettings",
    "Alarms",
    "CannotChange",
    "Mute",
    "Read",
    "Rule",
    "Severity",
    "Stage",
    "Watch",
    "most_urgent_first",
    "urgency",
]

_log = Logger()

OFFLINE_DELAY = 10.0  # seconds offline after which a device has an alarm
UNSEEN_S = 900.0
"""Seconds after a start or a reload after which an alarm has ended that nothing tells of again. An
alarm of a device waits for the readings of the device, however long."""
PARTS_S = 60.0  # the same for a part of a device, since the device is online


class Alarms(AlarmBook):
    """The book of all alarms, and what watches the devices for it."""

    def __init__(
        self,
        points: Points,
        clock: IReactorTime,
        now: Callable[[], float],
        store: IStore | None = None,
        new_id: Callable[[], str] | None = None,
        settings: AlarmSettings | None = None,
    ) -> None:
        super().__init__(clock, now, store, new_id, settings, self._may_raise)
        self._points = points
        self._watches: dict[str, list[Watch]] = {}
        self._families: dict[str, list[PartWatches]] = {}
        self._unsubscribe: dict[str, Callable[[], object]] = {}
        self._timers: dict[str, Timer] = {}
        points.subscribe(self._points_changed)

    def settle(self, configured: Callable[[Alarm], bool]) -> None:
        """End the alarms that nothing configured can tell of; those that are not of devices end
        `UNSEEN_S` from now unless something tells of them.
        """
        for alarm in self.unclaimed():
            of_device = alarm.owner in self._watches
            if not (self._may_come(alarm.name) if of_device else configured(alarm)):
                self.end_unseen(alarm.name, "not-configured")
        if self.unclaimed():
            self._later(" unseen", UNSEEN_S, lambda: self._end_all_unseen(None))

    def _may_come(self, name: str) -> bool:
        device = name.partition(".")[0]
        families = self._families.get(device, ())
        return name == f"{device}.offline" or any(each.may_watch(name) for each in families)

    def _end_all_unseen(self, device: str | None) -> None:
        for alarm in self.unclaimed():
            if alarm.owner == device and alarm.name != f"{device}.offline":
                self.end_unseen(alarm.name, "part-gone")
            elif device is None and alarm.owner not in self._watches:
                self.end_unseen(alarm.name, "not-seen")

    def watch(self, device: str, rules: Sequence[Rule], status: Status) -> None:
        """Watch a device: its points by `rules`, and whether it is online."""
        self._watches[device] = [Watch(device, r, self) for r in rules if r.parts is None]
        self._families[device] = [
            PartWatches(device, r, self) for r in rules if r.parts is not None
        ]
        ends = status.subscribe(self._device_changed), status.watch_cause(self._cause_changed)
        self._unsubscribe[device] = lambda: [end() for end in ends]

    def unwatch(self, device: str) -> None:
        """End watching a device that is removed, or made anew."""
        self._unsubscribe.pop(device)()
        for watch in self._of(device):
            watch.stop()
        del self._watches[device], self._families[device]
        self._no_later(device)
        self._no_later(f"{device} parts")
        self.release(device)

    def reader(self, prefix: str) -> Read:
        """Return how to read points by their names without `prefix`."""
        return lambda name: self._points[prefix + name]

    def rule_holds(self, name: str, rule: Rule, value: Value) -> None:
        texts = rule.en, rule.zh
        fresh = Alarm(
            name, rule.severity, *texts, 0.0, 0.0, rule.group, value=value, subject=rule.subject
        )
        self.rises(fresh, rule.each_time)

    def _all_watches(self) -> Iterator[Watch]:
        return chain.from_iterable(map(self._of, list(self._watches)))

    def _may_raise(self, name: str) -> bool:
        return any(watch.name == name for watch in self._all_watches())

    def stop(self) -> None:
        """Judge no points any more, keep what is not kept yet, and cancel every timer."""
        for watch in self._all_watches():
            watch.stop()
        for key in list(self._timers):
            self._no_later(key)
        self.close()

    def _points_changed(self, device: str, batch: Batch) -> None:
        for watch in self._of(device):
            try:
                watch.evaluate()
            except Exception:
                _log.failure("the rule {rule} failed", rule=watch.name)

    def _of(self, device: str) -> Iterator[Watch]:
        yield from self._watches.get(device, ())
        for family in self._families.get(device, ()):
            yield from family.watches()

    def _device_changed(self, status: Status) -> None:
        device = status.name
        self._no_later(device)
        if status.state is not State.OFFLINE:
            self.clear(f"{device}.offline")
            if self.unclaimed():
                self._later(f"{device} parts", PARTS_S, lambda: self._end_all_unseen(device))
            return
        self._no_later(f"{device} parts")
        bad = [watch for watch in self._of(device) if watch.bad]
        silence = BAD_THEN_SILENT if bad else OFFLINE_DELAY
        self._later(device, silence, lambda: self._offline(status, bad))

    def _later(self, key: str, seconds: float, call: Callable[[], object]) -> None:
        self._no_later(key)
        timer = self._timers[key] = Timer(self.clock, call)
        timer.start(seconds)

    def _no_later(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _cause_changed(self, status: Status) -> None:
        """Let the alarm of a device that is offline tell the present cause."""
        if any(each.name == f"{status.name}.offline" for each in self.active(status.name)):
            self._offline(status, [watch for watch in self._of(status.name) if watch.bad])

    def _offline(self, status: Status, bad: list[Watch]) -> None:
        en, zh = f"{status.name} is offline", f"{status.name} 离线"
        if status.outage is not None:
            en += f": {status.outage.en}"
            zh += f"：{status.outage.zh}"
        if bad:
            en += "; last known: " + ", ".join(watch.rule.en for watch in bad)
            zh += "；最后状态：" + "，".join(watch.rule.zh for watch in bad)
        self.set(f"{status.name}.offline", Severity.WARNING, en, zh)
