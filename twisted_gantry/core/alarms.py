"""Alarms: conditions on points, with a delay and a hysteresis, each raised and cleared once.

A missing value neither raises nor clears an alarm. A condition that held when its point went silent
has a grace time: a lost link is not a power cut (`docs/protocols/etc-gantry.md`, Decisions,
"Delivery"). The states of one alarm: `core/lifecycle.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import is_
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.lifecycle import AlarmCore, alarm_machine
from twisted_gantry.core.points import Batch, Point, Points
from twisted_gantry.core.status import State, Status
from twisted_gantry.logs import MASKS
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.reading import Value

_log = Logger()

OFFLINE_DELAY = 10.0  # seconds offline after which a device has an alarm
BAD_THEN_SILENT = 30.0
"""The same for a device whose condition was bad when last known: people read more into that."""
REMEMBERED = 1000  # ended alarms that are listed
LONGEST_MUTE = 7 * 86_400.0  # seconds for which an alarm is shelved, or a device maintained
LONGEST_NOTE = 500  # characters
EMERGENCIES = frozenset({"smoke", "water", "flood", "fire"})
"""Conditions that are never muted, and listed above all."""

Read = Callable[[str], Point]


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Rule:
    """A condition over the points of one device.

    `test(read, raised)` gets a function from a point's name (without the device's) to the point,
    and whether the alarm is raised, for the hysteresis; it returns None if the value is unknown.
    The condition must hold for `delay` seconds, or be gone for `clear_delay`. Silence of up to
    `silence_grace` seconds does not restart the delay. A rule with a delay may want several
    `readings` in a row of the points that `test` reads: one reading may be an outlier. `group` is
    that of the cabinet report. With `parts` each of these parts of the device has the alarm: the
    names that `test` reads are those of the part. `subject` is what the alarm is about, where its
    name does not say that.
    """

    name: str
    severity: Severity
    en: str
    zh: str
    test: Callable[[Read, bool], bool | None]
    group: str = ""
    delay: float = 0.0
    clear_delay: float = 0.0
    silence_grace: float = BAD_THEN_SILENT
    readings: int = 1
    parts: Callable[[], Iterable[str]] | None = None
    subject: str = ""


@dataclass(frozen=True)
class Alarm:
    """A raised or ended alarm; times are Unix seconds.

    `name` is `<source>.<condition>`, or `<source>.<part>.<condition>` of a part of a device.
    `serial` counts the alarms as they were raised: times of a clock that was set back have no
    order. `value` is the value that raised the alarm. `count` is how often it was raised within
    `flap_window`; `flapping` is an alarm that was raised too often, and is held. `acked_at` is when
    `acked_by` acknowledged it; `note` is what the last person who did something wrote. Nobody is
    called for an alarm that is shelved, before `shelved_until`, nor for one `in_maintenance`.
    `subject` is the device or part that an alarm of the site's own rules is about: its name is
    `rule.<name>`.
    """

    name: str
    severity: Severity
    en: str
    zh: str
    raised_at: float
    cleared_at: float | None = None
    group: str = ""
    serial: int = field(default=0, compare=False)
    value: Value = None
    count: int = 1
    flapping: bool = False
    acked_at: float | None = None
    acked_by: str = ""
    note: str = ""
    shelved_until: float | None = None
    in_maintenance: bool = False
    subject: str = ""

    @property
    def source(self) -> str:
        """The device or uplink that the alarm is about."""
        return (self.subject or self.name).partition(".")[0]

    @property
    def about(self) -> str:
        """The source, or the part of it: `cfos.M1`."""
        return self.subject or self.name.rpartition(".")[0]

    @property
    def condition(self) -> str:
        """The last part of the name: `smoke`."""
        return self.name.rpartition(".")[2]

    @property
    def active(self) -> bool:
        return self.cleared_at is None

    @property
    def emergency(self) -> bool:
        """Whether the alarm is never muted, and above all others."""
        return self.condition in EMERGENCIES

    @property
    def muted(self) -> bool:
        """Whether nobody is to be called; the platform is told of every alarm."""
        quiet = self.shelved_until is not None or self.in_maintenance
        return quiet and not self.emergency


def urgency(name: str, severity: str) -> tuple[bool, bool]:
    """Return what sorts alarms: smoke and flood above all, then critical ones, then warnings."""
    return name.rpartition(".")[2] not in EMERGENCIES, severity != Severity.CRITICAL


def most_urgent_first(alarms: Iterable[Alarm]) -> list[Alarm]:
    """Sort alarms by `urgency`, then the newest first."""
    return sorted(alarms, key=lambda a: (*urgency(a.name, a.severity), -a.serial))


@dataclass(frozen=True)
class Maintenance:
    """Work at a device, until `until`, Unix seconds: nobody is called for its alarms."""

    device: str
    since: float
    until: float
    by: str
    note: str = ""


class CannotChange(Exception):
    """A person asked for what cannot be done; `code` says why: `unknown-alarm`, `not-active`,
    `never-muted`, `unknown-maintenance`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Watch:
    """One alarm: a rule over the points of `subject`, a device or a part, or over those that `read`
    reads.
    """

    def __init__(
        self, subject: str, rule: Rule, alarms: "Alarms", read: Read | None = None
    ) -> None:
        self.name = f"{subject}.{rule.name}"
        self.rule, self._alarms = rule, alarms
        self._core = AlarmCore(
            alarms.clock, self._tell, rule.delay, rule.clear_delay, rule.silence_grace
        )
        machine = alarm_machine(self._core)
        self.stop = machine.stop
        self._judge = {True: machine.holds, False: machine.gone, None: machine.silent}
        self._last: bool | None = None
        self._read = read or alarms.reader(f"{subject}.")
        self._seen: list[Point] = []
        self._in_a_row = 0

    @property
    def bad(self) -> bool:
        return self._core.bad

    def evaluate(self) -> None:
        """Judge the points again; the same verdict again is no event of the life cycle."""
        if self.rule.readings > 1:
            self._evaluate_readings()
            return
        self._take(self.rule.test(self._read, self._core.raised))

    def end(self) -> None:
        """Stop, and clear the alarm: the points are gone."""
        self.stop()
        self._alarms.clear(self.name)

    def _take(self, holds: bool | None) -> None:
        if holds is not self._last:
            self._last = holds
            self._judge[holds if holds is None else bool(holds)]()

    def _evaluate_readings(self) -> None:
        """Judge as `evaluate`. A reading that needs another one is followed by silence: the delay
        runs, and the next reading decides.
        """
        seen: list[Point] = []

        def read(name: str) -> Point:
            seen.append(self._read(name))
            return seen[-1]

        holds = self.rule.test(read, self._core.raised)
        known, self._seen = self._seen, seen
        if len(seen) == len(known) and all(map(is_, seen, known)):
            return  # a reading of other points
        if holds is not None:
            self._in_a_row = self._in_a_row + 1 if holds else 0
        self._take(holds)
        if holds and self._in_a_row < self.rule.readings and not self._core.raised:
            self._take(None)

    def _tell(self, raised: bool) -> None:
        rule = self.rule
        if raised:
            self._alarms.set(
                self.name, rule.severity, rule.en, rule.zh, rule.group, subject=rule.subject
            )
        else:
            self._alarms.clear(self.name)


class _Family:
    """The alarms of one rule for the parts of a device, as these come and go."""

    def __init__(self, device: str, rule: Rule, alarms: "Alarms") -> None:
        self._device, self._rule, self._alarms = device, rule, alarms
        self._watches: dict[str, Watch] = {}

    def watches(self) -> Iterator[Watch]:
        """Yield the alarms of the present parts; those of parts that are gone are ended."""
        assert self._rule.parts is not None
        present = dict.fromkeys(self._rule.parts())
        for part in self._watches.keys() - present.keys():
            self._watches.pop(part).end()
        for part in present:
            if part not in self._watches:
                subject = f"{self._device}.{part}"
                self._watches[part] = Watch(subject, self._rule, self._alarms)
        yield from self._watches.values()


class Alarms:
    """All alarms: of rules over points, of devices offline, and those set directly by name."""

    def __init__(self, points: Points, clock: IReactorTime, now: Callable[[], float]) -> None:
        self.clock = clock
        self._points, self._now = points, now
        self._active: dict[str, Alarm] = {}
        self._ended: list[Alarm] = []
        self._raised = 0
        self._watches: dict[str, list[Watch]] = {}
        self._families: dict[str, list[_Family]] = {}
        self._unsubscribe: dict[str, Callable[[], None]] = {}
        self._silences: dict[str, Timer] = {}
        self._subscribers: list[Callable[[Alarm], None]] = []
        self._change_subscribers: list[Callable[[Alarm], None]] = []
        self._maintained: dict[str, Maintenance] = {}
        self._mutes: dict[str, Timer] = {}
        points.subscribe(self._points_changed)

    def watch(self, device: str, rules: Sequence[Rule], status: Status) -> None:
        """Watch a device: its points by `rules`, and whether it is online."""
        self._watches[device] = [Watch(device, r, self) for r in rules if r.parts is None]
        self._families[device] = [_Family(device, r, self) for r in rules if r.parts is not None]
        self._unsubscribe[device] = status.subscribe(self._device_changed)

    def unwatch(self, device: str) -> None:
        """End watching a device that is removed; its alarms are cleared."""
        self._unsubscribe.pop(device)()
        for watch in self._of(device):
            watch.stop()
        del self._watches[device], self._families[device]
        self._end_silence(device)
        for alarm in self.active(device):
            if not alarm.subject:
                self.clear(alarm.name)

    def reader(self, prefix: str) -> Read:
        """Return how to read points by their names without `prefix`."""
        return lambda name: self._points[prefix + name]

    def set(
        self,
        name: str,
        severity: Severity,
        en: str,
        zh: str,
        group: str = "",
        value: Value = None,
        subject: str = "",
    ) -> None:
        """Raise an alarm; one that is raised keeps its time, takes the new text and is not told."""
        en, zh = MASKS.masked(en), MASKS.masked(zh)
        known = self._active.get(name)
        if known is not None:
            self._active[name] = replace(known, severity=severity, en=en, zh=zh)
            return
        self._raised += 1
        source = (subject or name).partition(".")[0]
        alarm = Alarm(
            name,
            severity,
            en,
            zh,
            self._now(),
            group=group,
            serial=self._raised,
            value=value,
            in_maintenance=source in self._maintained,
            subject=subject,
        )
        self._active[name] = alarm
        _log.warn("alarm {alarm}: {message}", alarm=name, message=en)
        self._tell(alarm)

    def clear(self, name: str) -> None:
        alarm = self._active.pop(name, None)
        if alarm is None:
            return
        self._end_mute(name)
        ended = replace(alarm, cleared_at=self._now())
        self._ended.append(ended)
        del self._ended[:-REMEMBERED]
        _log.info("alarm {alarm} is over", alarm=name)
        self._tell(ended)

    def active(self, source: str | None = None) -> list[Alarm]:
        return [a for a in self._active.values() if source is None or a.source == source]

    def all(self) -> list[Alarm]:
        """Return the raised alarms and the last `REMEMBERED` ended ones, newest first."""
        return sorted([*self._active.values(), *self._ended], key=lambda a: -a.serial)

    def subscribe(self, subscriber: Callable[[Alarm], None]) -> Callable[[], None]:
        """Call `subscriber` when an alarm is raised and when it is cleared; returns the end."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def subscribe_changes(self, subscriber: Callable[[Alarm], None]) -> Callable[[], None]:
        """Call `subscriber` when a raised alarm changes: by a person, by time, or since it flaps;
        returns the end. `subscribe` tells the rest.
        """
        self._change_subscribers.append(subscriber)
        return lambda: self._change_subscribers.remove(subscriber)

    # -- what people do

    def acknowledge(self, name: str, by: str, note: str = "") -> Alarm:
        """Note that a person has seen an alarm. Raises CannotChange, as the others do."""
        return self._change(name, acked_at=self._now(), acked_by=by, note=note)

    def unacknowledge(self, name: str) -> Alarm:
        return self._change(name, acked_at=None, acked_by="", note="")

    def shelve(self, name: str, seconds: float, by: str, note: str = "") -> Alarm:
        """Call nobody for an alarm for some seconds, whatever becomes of the alarm."""
        if self._raised_alarm(name).emergency:
            raise CannotChange("never-muted", f"{name} is never muted")
        self._start_mute(name, seconds, lambda: self.unshelve(name))
        return self._change(name, shelved_until=self._now() + seconds, note=note)

    def unshelve(self, name: str) -> Alarm:
        self._end_mute(name)
        return self._change(name, shelved_until=None)

    def maintain(self, device: str, seconds: float, by: str, note: str = "") -> Maintenance:
        """Call nobody for the alarms of a device for some seconds."""
        now = self._now()
        made = self._maintained[device] = Maintenance(device, now, now + seconds, by, note)
        self._start_mute(f"{device} ", seconds, lambda: self.end_maintenance(device))
        for alarm in self.active(device):
            self._change(alarm.name, in_maintenance=True)
        return made

    def end_maintenance(self, device: str) -> Maintenance:
        ended = self._maintained.pop(device, None)
        if ended is None:
            raise CannotChange("unknown-maintenance", f"{device} is not under maintenance")
        self._end_mute(f"{device} ")
        for alarm in self.active(device):
            self._change(alarm.name, in_maintenance=False)
        return ended

    @property
    def maintenance(self) -> list[Maintenance]:
        return list(self._maintained.values())

    def _raised_alarm(self, name: str) -> Alarm:
        known = self._active.get(name)
        if known is not None:
            return known
        if any(alarm.name == name for alarm in self._ended):
            raise CannotChange("not-active", f"{name} is not active")
        raise CannotChange("unknown-alarm", f"no alarm {name}")

    def _change(self, name: str, **changes: Any) -> Alarm:
        changed = self._active[name] = replace(self._raised_alarm(name), **changes)
        self._tell(changed, self._change_subscribers)
        return changed

    def _start_mute(self, key: str, seconds: float, over: Callable[[], object]) -> None:
        self._end_mute(key)
        timer = self._mutes[key] = Timer(self.clock, lambda: over())
        timer.start(seconds)

    def _end_mute(self, key: str) -> None:
        timer = self._mutes.pop(key, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Judge no points any more, and cancel every timer."""
        for device in self._watches:
            for watch in self._of(device):
                watch.stop()
        for device in list(self._silences):
            self._end_silence(device)
        for key in list(self._mutes):
            self._end_mute(key)

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
        self._end_silence(status.name)
        if status.state is not State.OFFLINE:
            self.clear(f"{status.name}.offline")
            return
        bad = [watch for watch in self._of(status.name) if watch.bad]
        silence = Timer(self.clock, lambda: self._offline(status, bad))
        silence.start(BAD_THEN_SILENT if bad else OFFLINE_DELAY)
        self._silences[status.name] = silence

    def _end_silence(self, device: str) -> None:
        silence = self._silences.pop(device, None)
        if silence is not None:
            silence.cancel()

    def _offline(self, status: Status, bad: list[Watch]) -> None:
        en, zh = f"{status.name} is offline: {status.last_error}", f"{status.name} 离线"
        if bad:
            en += "; last known: " + ", ".join(watch.rule.en for watch in bad)
            zh += "；最后状态：" + "，".join(watch.rule.zh for watch in bad)
        self.set(f"{status.name}.offline", Severity.WARNING, en, zh)

    def _tell(self, alarm: Alarm, whom: list[Callable[[Alarm], None]] | None = None) -> None:
        for subscriber in tuple(self._subscribers if whom is None else whom):
            try:
                subscriber(alarm)
            except Exception:
                _log.failure("a subscriber failed on the alarm {alarm}", alarm=alarm.name)
