"""Interlocks: a condition on a point that commands a device, and undoes it when it clears.

Everything goes through the command door and its audit. A missing value neither begins nor ends a
condition. What the device refuses is tried again; a command whose outcome nobody knows is not. Only
what was done, or may have been, is undone.

An interlock may command what its own condition depends on, such as a charger that is told to stop
because it charges: it would turn back and forth for ever. Hence undoing is limited (MOST_UNDOS),
never doing: the safe side is always reached at once.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.commands.door import CommandDoor, Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.interlocks.rules import Action, Condition, Interlock, fight
from twisted_gantry.core.points import Batch, Points
from twisted_gantry.wire.reading import Value

__all__ = ["Action", "Condition", "Interlock", "Interlocks", "fight"]

_log = Logger()

# Seconds after which a command that failed is tried again, while it is still wanted.
RETRY = 60.0
# So often within so many seconds an interlock undoes what it did; then the next undo waits.
MOST_UNDOS, UNDO_WINDOW = 3, 600.0

SETTING = "interlocks"
"""The setting of the store that has where each interlock stands that is not idle, by its `key`."""


class _State(StrEnum):
    """Where an interlock stands; the values are kept in the store."""

    IDLE = ""
    DO = "do"
    """The condition holds, and nothing is done yet: it failed, or waits for what is under way."""
    DOING = "doing"
    HELD = "held"
    """The condition holds, and it was done, or nobody knows."""
    UNDO = "undo"
    """The condition is over, and nothing is undone yet."""
    UNDOING = "undoing"


_ENGAGED = frozenset({_State.DO, _State.DOING, _State.HELD})


class _Watch:
    """One interlock, and where it stands."""

    def __init__(self, interlock: Interlock, interlocks: "Interlocks") -> None:
        self.interlock, self._all = interlock, interlocks
        self.state = _State.IDLE
        self._pending: IDelayedCall | None = None  # the delay of the condition
        self._later: IDelayedCall | None = None  # the next try, or an undo that waits
        self._busy = False  # a command is under way
        self._undone: deque[float] = deque(maxlen=MOST_UNDOS)

    def resume(self, kept: str) -> None:
        """Take up where an earlier process stood; what it had begun may have been done."""
        self.state = _State(kept) if kept in set(_State) else _State.IDLE
        under_way = {_State.DOING: self.interlock.do, _State.UNDOING: self.interlock.undo}
        action = under_way.get(self.state)
        if action is not None:
            self._complain(action, "timeout: the gantry was ended meanwhile")
        if self.state is _State.DOING:
            self.state = _State.HELD
        elif self.state is _State.UNDOING or self._action is None:
            self.state = _State.IDLE
        if self.state in (_State.DO, _State.UNDO):
            self._wait(RETRY)

    def look(self, value: Value) -> None:
        """Look at the point again."""
        holds = self.interlock.when.holds(value)
        if holds is None or holds == (self.state in _ENGAGED):
            self._cancel_pending()
        elif not holds:
            self._over()
        elif self._pending is None:
            self._pending = self._all.clock.callLater(self.interlock.delay, self._engage)

    def stop(self) -> None:
        """Cancel every timer."""
        self._cancel_pending()
        self._cancel_later()

    def _engage(self) -> None:
        self._pending = None
        if self.state is _State.UNDO:  # what was done still is
            self._become(_State.DOING if self._busy else _State.HELD)
        elif self.state is _State.IDLE and self._busy:
            self._become(_State.DOING)
        else:
            self._become(_State.DO)
            if not self._busy:
                self._act()

    def _over(self) -> None:
        if self.state is _State.DO:  # nothing was done
            self._become(_State.UNDOING if self._busy else _State.IDLE)
        elif self.interlock.undo is None:
            self._become(_State.IDLE)
        else:
            self._become(_State.UNDO)
            if not self._busy:
                self._undo()

    def _undo(self) -> None:
        """Undo it, at once or as soon as it may."""
        now = self._all.clock.seconds()
        full = len(self._undone) == MOST_UNDOS
        wait = self._undone[0] + UNDO_WINDOW - now if full else 0.0
        if wait <= 0:
            self._undone.append(now)
            self._act()
            return
        self._later = self._all.clock.callLater(wait, self._undo)
        name = self.interlock.name
        self._all.alarms.set(
            self._alarm,
            Severity.WARNING,
            f"the interlock {name} turns back and forth: what it did stays for {wait:.0f} s",
            f"联锁 {name} 反复动作:其操作将保持 {wait:.0f} 秒",
        )

    def _become(self, state: _State) -> None:
        """Stand elsewhere, and keep it; what was waited for, and said of it, is over."""
        self._cancel_later()
        self.state = state
        if state in (_State.IDLE, _State.HELD) and not self._busy:
            self._all.alarms.clear(self._alarm)
        self._all.keep()

    @property
    def _action(self) -> Action | None:
        return self.interlock.do if self.state in _ENGAGED else self.interlock.undo

    def _act(self) -> None:
        """Do what is still to be done."""
        self._later = None
        action = self._action
        if action is None or not self._all.running:
            return
        self._become(_State.DOING if self.state is _State.DO else _State.UNDOING)
        self._busy = True
        done = self._all.run(self.interlock, action)
        done.addCallback(lambda result: self._settle(action, result.result, result.detail))
        done.addErrback(self._failed, action)

    def _failed(self, failure: Failure, action: Action) -> None:
        _log.failure("the interlock {name} failed", failure=failure, name=self.interlock.name)
        self._settle(action, Outcome.FAILED, "see the log")

    def _settle(self, action: Action, result: Outcome, detail: str) -> None:
        """Go on after a command: `timeout` may have been done, and is not done again."""
        self._busy = False
        if not self._all.running:
            return
        failed = result in (Outcome.FAILED, Outcome.REFUSED)
        wanted = self._action is action
        if self.state is _State.UNDO and not failed:  # it was over before it was done
            self._undo()
            return
        if self.state is _State.DO and not failed:  # it holds again, and was undone
            self._act()
            return
        ends = {_State.DOING: _State.HELD, _State.UNDOING: _State.IDLE}
        again = {_State.DOING: _State.DO, _State.UNDOING: _State.UNDO}
        # What failed while it was not wanted any more needs no undoing.
        unwanted = _State.HELD if self.state is _State.DO else _State.IDLE
        self._become((again if failed else ends).get(self.state, unwanted))
        if wanted and result is not Outcome.DONE:
            self._complain(action, f"{result.value} {detail}".rstrip())
        if self.state in again.values():
            self._wait(RETRY)

    def _wait(self, seconds: float) -> None:
        self._later = self._all.clock.callLater(seconds, self._act)

    def _complain(self, action: Action, why: str) -> None:
        what = f"{action.target} {action.command}: {why}"
        self._all.alarms.set(
            self._alarm,
            Severity.WARNING,
            f"the interlock {self.interlock.name} could not act: {what}",
            f"联锁 {self.interlock.name} 未能执行:{what}",
        )

    @property
    def _alarm(self) -> str:
        return f"interlock.{self.interlock.name}"

    def _cancel_pending(self) -> None:
        call, self._pending = self._pending, None
        if call is not None and call.active():
            call.cancel()

    def _cancel_later(self) -> None:
        call, self._later = self._later, None
        if call is not None and call.active():
            call.cancel()


class Interlocks:
    """All interlocks of a site. Where each stands is kept: a restart loses neither do nor undo."""

    def __init__(
        self,
        interlocks: Sequence[Interlock],
        points: Points,
        door: CommandDoor,
        alarms: Alarms,
        store: IStore,
        clock: IReactorTime,
    ) -> None:
        self.clock, self.alarms, self.running = clock, alarms, False
        self._points, self._door, self._store = points, door, store
        self._watches = [_Watch(each, self) for each in interlocks]
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self.running = True
        settings = self._store.settings().addErrback(_nothing_kept)
        settings.addCallback(self._begin).addErrback(_log_failure)

    def _begin(self, settings: Mapping[str, Any]) -> None:
        if not self.running:
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

    def keep(self) -> None:
        """Keep where each stands."""
        states = {w.interlock.key: w.state.value for w in self._watches if w.state}
        self._store.put_setting(SETTING, states or None).addErrback(_log_failure)

    def stop(self) -> None:
        """Watch no more; what was done stays done."""
        self.running = False
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for watch in self._watches:
            watch.stop()

    def run(self, interlock: Interlock, action: Action) -> Deferred[CommandResult]:
        """Do what an interlock wants, through the door."""
        return self._door.run(
            Request(
                target=action.target,
                command=action.command,
                args=action.args,
                who=f"interlock {interlock.name}",
                id=self._door.new_id(),
                confirmed=interlock.confirmed,
            )
        )

    def _changed(self, device: str, batch: Batch) -> None:
        good = {change.new.name: change.new.good for change in batch}
        for watch in self._watches:
            point = watch.interlock.when.point
            if point in good:
                watch.look(good[point])


def _nothing_kept(failure: Failure) -> Mapping[str, Any]:
    """Watch all the same: what an earlier process did is lost, what is to come must not be."""
    _log_failure(failure)
    return {}


def _log_failure(failure: Failure) -> None:
    _log.failure("the interlocks could not be kept", failure=failure)
