"""Interlocks: a condition on a point that commands a device, and undoes it when it clears.

Every command goes through the command door and its audit. A missing value neither begins nor ends
a condition. The states of one interlock: `core/interlocks/machine.py`.

An interlock may command what its own condition depends on, such as a charger that is told to stop
because it charges: it would turn back and forth for ever. Hence undoing is limited (`MOST_UNDOS`),
never doing: the safe side is always reached at once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.commands.door import CommandDoor, Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.interlocks.machine import Kept, WatchCore, WatchInputs, watch_machine
from twisted_gantry.core.interlocks.rules import Action, Interlock
from twisted_gantry.core.points import Batch, Points
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.reading import Value

_log = Logger()

SETTING = "interlocks"
"""The setting of the store with the state of each interlock that is not idle, by its `key`."""


class _Watch:
    def __init__(self, interlock: Interlock, interlocks: "Interlocks") -> None:
        self.interlock, self._all = interlock, interlocks
        self.keep = interlocks.keep
        self._alarm = f"interlock.{interlock.name}"
        self._core = WatchCore(interlock, interlocks.clock, self)
        self._machine = watch_machine(self._core)
        self._engaged: bool | None = False  # as the machine was last told; None: to be told
        self._delay = Timer(interlocks.clock, self._engage)

    @property
    def kept(self) -> str:
        return self._core.kept.value

    def resume(self, kept: str) -> None:
        """Take up where an earlier process stood; a command under way may have been done."""
        undoes, do = self.interlock.undo is not None, self.interlock.do
        again = self._all.door.repeatable(do.target, do.command)
        resume = {
            Kept.DO: self._machine.was_to_do,
            Kept.DOING: self._machine.was_cut if again else self._machine.was_doing,
            Kept.HELD: self._machine.was_held,
            Kept.UNDO: self._machine.was_to_undo if undoes else None,
            Kept.UNDOING: self._machine.was_undoing,
        }.get(Kept(kept) if kept in set(Kept) else Kept.IDLE)
        if resume is not None:
            resume()
        self._engaged = self._core.kept in (Kept.DO, Kept.HELD)
        if self._core.kept is Kept.DOING:
            self._engaged = None

    def look(self, value: Value) -> None:
        holds = self.interlock.when.holds(value)
        if holds is None or holds == self._engaged:
            self._delay.cancel()
        elif not holds:
            self._engaged = False
            over = self.interlock.undo is None
            (self._machine.over_for_good if over else self._machine.over)()
        elif not self._delay.running:
            self._delay.start(self.interlock.delay)

    def stop(self) -> None:
        self._delay.cancel()
        self._machine.stop()

    def _engage(self) -> None:
        self._engaged = True
        self._machine.engage()

    def send(self, action: Action, machine: WatchInputs) -> None:
        def ended(result: CommandResult) -> None:
            told = f"{result.result.value} {result.detail}".rstrip()
            if result.result is Outcome.DONE:
                machine.done()
            elif result.result is Outcome.TIMEOUT:
                machine.unknown(told)
            else:
                machine.failed(told)

        def broke(failure: Failure) -> None:
            _log.failure("the interlock {name} failed", failure=failure, name=self.interlock.name)
            machine.failed("failed see the log")

        door, who = self._all.door, f"interlock {self.interlock.name}"
        # The author of the interlock confirmed the command when writing it.
        wish = Request(
            action.target, action.command, action.args, who, door.new_id(), confirmed=True
        )
        door.run(wish).addCallbacks(ended, broke).addErrback(_log_failure)

    def complain(self, en: str, zh: str) -> None:
        self._all.alarms.set(self._alarm, Severity.WARNING, en, zh)

    def clear(self) -> None:
        self._all.alarms.clear(self._alarm)


class Interlocks:
    """All interlocks of a site, started and stopped once; a restart loses neither do nor undo."""

    def __init__(
        self,
        interlocks: Sequence[Interlock],
        points: Points,
        door: CommandDoor,
        alarms: Alarms,
        store: IStore,
        clock: IReactorTime,
    ) -> None:
        self.clock, self.alarms, self.door = clock, alarms, door
        self._points, self._store, self._running = points, store, False
        self._watches = [_Watch(each, self) for each in interlocks]
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Take up where the last process stood, and watch the conditions."""
        self._running = True
        settings = self._store.settings().addErrback(_nothing_kept)
        settings.addCallback(self._begin).addErrback(_log_failure)

    def _begin(self, settings: Mapping[str, Any]) -> None:
        if not self._running:
            return
        given = settings.get(SETTING)
        kept = dict(given) if isinstance(given, dict) else {}
        for watch in self._watches:
            watch.resume(str(kept.get(watch.interlock.key, "")))
        if kept.keys() - {watch.interlock.key for watch in self._watches}:
            _log.warn("what an interlock did that is configured no more stays done")
        if given is not None:
            self.keep()
        self._unsubscribe = self._points.subscribe(self._changed)
        for watch in self._watches:
            point = self._points.get(watch.interlock.when.point)
            watch.look(None if point is None else point.good)

    def standing(self) -> Sequence[tuple[Interlock, Kept]]:
        """Return where each interlock stands."""
        return [(watch.interlock, Kept(watch.kept)) for watch in self._watches]

    def keep(self) -> None:
        states = {watch.interlock.key: watch.kept for watch in self._watches if watch.kept}
        self._store.put_setting(SETTING, states or None).addErrback(_log_failure)

    def stop(self) -> None:
        """End watching; what was done stays done."""
        self._running = False
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for watch in self._watches:
            watch.stop()

    def _changed(self, device: str, batch: Batch) -> None:
        good = {change.new.name: change.new.good for change in batch}
        for watch in self._watches:
            point = watch.interlock.when.point
            if point in good:
                watch.look(good[point])


def _nothing_kept(failure: Failure) -> Mapping[str, Any]:
    # Only what an earlier process did is lost: the conditions are watched all the same.
    _log_failure(failure)
    return {}


def _log_failure(failure: Failure) -> None:
    _log.failure("the interlocks could not be kept", failure=failure)
