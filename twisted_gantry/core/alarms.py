"""Alarms: conditions on points, with a delay and a hysteresis, each raised and cleared once.

A missing value neither raises nor clears an alarm. What was last known *bad* and went silent has a
grace time of its own: a lost link is not a power cut (`docs/protocols/etc-gantry.md`, Decisions,
"Delivery").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.points import Batch, Point, Points
from twisted_gantry.core.status import State, Status

_log = Logger()

# How long a device may be offline before that is an alarm, and how long when the last that was
# known of it is bad: then people will read more into its silence, so it is given more time.
OFFLINE_DELAY = 10.0
BAD_THEN_SILENT = 30.0
# Ended alarms that are remembered.
REMEMBERED = 1000

Read = Callable[[str], Point]


class Severity(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Rule:
    """A condition over the points of one device.

    `test(read, raised)` gets a function from a point's name (without the device's) to the point,
    and whether the alarm is raised, for the hysteresis; it returns None when it cannot tell.
    `delay` and `clear_delay` are the seconds for which the condition must hold, or be gone;
    `silence_grace` those for which a condition that is waiting out its delay may be silent and
    still count from its beginning. `group` is the group of a cabinet report it belongs to.
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


@dataclass(frozen=True)
class Alarm:
    """A raised or ended alarm. `name` is `<source>.<condition>`; times are Unix seconds."""

    name: str
    severity: Severity
    en: str
    zh: str
    raised_at: float
    cleared_at: float | None = None
    group: str = ""

    @property
    def source(self) -> str:
        """The device or uplink that it is about."""
        return self.name.partition(".")[0]

    @property
    def active(self) -> bool:
        """Whether it has not been cleared."""
        return self.cleared_at is None


class _Watch:
    """One rule on one device, and where it stands."""

    def __init__(self, device: str, rule: Rule, read: Read, alarms: "Alarms") -> None:
        self.device, self.rule, self.read, self.alarms = device, rule, read, alarms
        self.name = f"{device}.{rule.name}"
        self.raised = False
        self._pending: IDelayedCall | None = None  # the delay, or the clear delay
        self._elapsed = False  # the delay passed while the device was silent
        self._grace: IDelayedCall | None = None

    @property
    def bad(self) -> bool:
        """Whether the last that was known is that the condition holds."""
        return self.raised or self._pending is not None or self._elapsed

    def evaluate(self) -> None:
        """Look at the points again."""
        holds = self.rule.test(self.read, self.raised)
        if self.raised:
            self._while_raised(holds)
        else:
            self._while_clear(holds)

    def _while_clear(self, holds: bool | None) -> None:
        if holds is None:
            if (self._pending or self._elapsed) and self._grace is None:
                self._grace = self._later(self.rule.silence_grace, self.forget)
            return
        self._cancel_grace()
        if not holds:
            self.forget()
        elif self.rule.delay <= 0 or self._elapsed:
            self._raise()
        elif self._pending is None:
            self._pending = self._later(self.rule.delay, self._delay_over)

    def _while_raised(self, holds: bool | None) -> None:
        if holds is False:
            if self.rule.clear_delay <= 0:
                self._clear()
            elif self._pending is None:
                self._pending = self._later(self.rule.clear_delay, self._clear)
        else:
            self._cancel_pending()

    def _delay_over(self) -> None:
        self._pending = None
        if self._grace is not None:
            self._elapsed = True  # silent now: the next good reading decides, if it comes in time
        else:
            self._raise()

    def _raise(self) -> None:
        self.forget()
        self.raised = True
        rule = self.rule
        self.alarms.set(self.name, rule.severity, rule.en, rule.zh, rule.group)

    def _clear(self) -> None:
        self.forget()
        self.raised = False
        self.alarms.clear(self.name)

    def forget(self) -> None:
        """Drop what was waited for."""
        self._cancel_pending()
        self._cancel_grace()
        self._elapsed = False

    def _later(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        return self.alarms.clock.callLater(delay, call)

    def _cancel_pending(self) -> None:
        call, self._pending = self._pending, None
        if call is not None and call.active():
            call.cancel()

    def _cancel_grace(self) -> None:
        call, self._grace = self._grace, None
        if call is not None and call.active():
            call.cancel()


class Alarms:
    """The engine: rules over points, the state of devices, and what an uplink raises itself."""

    def __init__(self, points: Points, clock: IReactorTime, now: Callable[[], float]) -> None:
        self.clock = clock
        self._points, self._now = points, now
        self._active: dict[str, Alarm] = {}
        self._ended: list[Alarm] = []
        self._watches: dict[str, list[_Watch]] = {}
        self._unsubscribe: dict[str, Callable[[], None]] = {}
        self._silences: dict[str, IDelayedCall] = {}
        self._subscribers: list[Callable[[Alarm], None]] = []
        points.subscribe(self._points_changed)

    def watch(self, device: str, rules: Sequence[Rule], status: Status) -> None:
        """Begin to watch a device: its points by `rules`, and its state."""

        def read(name: str) -> Point:
            return self._points[f"{device}.{name}"]

        self._watches[device] = [_Watch(device, rule, read, self) for rule in rules]
        self._unsubscribe[device] = status.subscribe(self._device_changed)

    def unwatch(self, device: str) -> None:
        """Watch a device no more: it is no longer there, and its alarms are over."""
        self._unsubscribe.pop(device)()
        for watch in self._watches.pop(device):
            watch.forget()
        silence = self._silences.pop(device, None)
        if silence is not None and silence.active():
            silence.cancel()
        for alarm in self.active(device):
            self.clear(alarm.name)

    def set(self, name: str, severity: Severity, en: str, zh: str, group: str = "") -> None:
        """Raise an alarm. Raised already, it keeps its time and takes the newer text, untold."""
        known = self._active.get(name)
        if known is not None:
            self._active[name] = replace(known, severity=severity, en=en, zh=zh)
            return
        alarm = Alarm(name, severity, en, zh, self._now(), group=group)
        self._active[name] = alarm
        _log.warn("alarm {alarm}: {message}", alarm=name, message=en)
        self._tell(alarm)

    def clear(self, name: str) -> None:
        """Clear an alarm; one that is not raised is left in peace."""
        alarm = self._active.pop(name, None)
        if alarm is None:
            return
        ended = replace(alarm, cleared_at=self._now())
        self._ended.append(ended)
        del self._ended[:-REMEMBERED]
        _log.info("alarm {alarm} is over", alarm=name)
        self._tell(ended)

    def active(self, source: str | None = None) -> list[Alarm]:
        """Return the raised alarms, of one source or all."""
        return [a for a in self._active.values() if source is None or a.source == source]

    def all(self) -> list[Alarm]:
        """Return the raised alarms and the last that ended, newest first."""
        return sorted([*self._active.values(), *self._ended], key=lambda a: -a.raised_at)

    def subscribe(self, subscriber: Callable[[Alarm], None]) -> Callable[[], None]:
        """Call `subscriber` when an alarm is raised and when it is cleared."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def stop(self) -> None:
        """Cancel every timer."""
        for watches in self._watches.values():
            for watch in watches:
                watch.forget()
        for call in self._silences.values():
            if call.active():
                call.cancel()
        self._silences.clear()

    def _points_changed(self, device: str, batch: Batch) -> None:
        for watch in self._watches.get(device, ()):
            try:
                watch.evaluate()
            except Exception:
                _log.failure("the rule {rule} failed", rule=watch.name)

    def _device_changed(self, status: Status) -> None:
        silence = self._silences.pop(status.name, None)
        if silence is not None and silence.active():
            silence.cancel()
        if status.state is not State.OFFLINE:
            self.clear(f"{status.name}.offline")
            return
        bad = [watch for watch in self._watches.get(status.name, ()) if watch.bad]
        delay = BAD_THEN_SILENT if bad else OFFLINE_DELAY
        self._silences[status.name] = self.clock.callLater(delay, self._offline, status, bad)

    def _offline(self, status: Status, bad: list[_Watch]) -> None:
        en, zh = f"{status.name} is offline: {status.last_error}", f"{status.name} 离线"
        if bad:
            en += "; last known: " + ", ".join(watch.rule.en for watch in bad)
            zh += ";最后状态:" + ",".join(watch.rule.zh for watch in bad)
        self.set(f"{status.name}.offline", Severity.WARNING, en, zh)

    def _tell(self, alarm: Alarm) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(alarm)
            except Exception:
                _log.failure("a subscriber failed on the alarm {alarm}", alarm=alarm.name)
