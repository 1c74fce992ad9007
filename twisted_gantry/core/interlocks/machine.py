"""Where an interlock stands: what is done, what is undone, and which command is under way.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
A command that failed is sent again after a pause. A command whose outcome is unknown is not sent
again, unless the end of the process cut it and it may be repeated: then the condition decides anew.
Only what was done, or may have been, is undone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.interlocks.rules import Action, Interlock
from twisted_gantry.net.timers import Timer

RETRY = 60.0  # seconds after which a command that failed is sent again, while it is still wanted
MOST_UNDOS, UNDO_WINDOW = 3, 600.0
"""So often within so many seconds an interlock undoes what it did; then the next undo waits."""


class Kept(StrEnum):
    """What the store keeps of a state, for the next process."""

    IDLE = ""
    DO = "do"
    DOING = "doing"
    HELD = "held"
    UNDO = "undo"
    UNDOING = "undoing"


class WatchOwner(Protocol):
    def send(self, action: Action, machine: "WatchInputs") -> None:
        """Run a command, and tell the machine its outcome: `done`, `unknown` or `failed`."""

    def keep(self) -> None: ...
    def complain(self, en: str, zh: str) -> None: ...
    def clear(self) -> None: ...


class WatchInputs(Protocol):
    def was_to_do(self) -> None:
        """An earlier process had a command to send."""

    def was_doing(self) -> None:
        """An earlier process ended while its command was under way."""

    def was_cut(self) -> None:
        """An earlier process ended while its command was under way; it may be sent again."""

    def was_held(self) -> None:
        """An earlier process had done it."""

    def was_to_undo(self) -> None:
        """An earlier process had something to undo."""

    def was_undoing(self) -> None:
        """An earlier process ended while its undo was under way."""

    def engage(self) -> None:
        """The condition has held for its delay."""

    def over(self) -> None:
        """The condition is over, and there is a command that undoes."""

    def over_for_good(self) -> None:
        """The condition is over, and nothing undoes the command."""

    def done(self) -> None:
        """The command was done."""

    def unknown(self, why: str) -> None:
        """The outcome of the command is unknown: it may have been done."""

    def failed(self, why: str) -> None:
        """The command was not done."""

    def due(self) -> None:
        """The pause is over."""

    def stop(self) -> None:
        """The process ends: what was done stays done."""


@dataclass(eq=False)
class WatchCore:
    interlock: Interlock
    clock: IReactorTime
    owner: WatchOwner
    kept: Kept = Kept.IDLE
    undone: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_UNDOS))
    _pause: Timer | None = field(default=None, init=False)

    def become(self, kept: Kept) -> None:
        self.end_pause()
        self.kept = kept
        self.owner.keep()

    def rest(self, kept: Kept) -> None:
        """Keep a state in which all is as it should be: the alarm is over."""
        self.end_pause()
        self.kept = kept
        self.owner.clear()
        self.owner.keep()

    def undo_when_allowed(self, machine: WatchInputs) -> None:
        self.become(Kept.UNDO)
        full = len(self.undone) == MOST_UNDOS
        wait = self.undone[0] + UNDO_WINDOW - self.clock.seconds() if full else 0.0
        if wait <= 0:
            machine.due()
            return
        self.pause(wait, machine)
        name = self.interlock.name
        self.owner.complain(
            f"the interlock {name} turns back and forth: what it did stays for {wait:.0f} s",
            f"联动 {name} 反复动作：其操作将保持 {wait:.0f} 秒",
        )

    def pause(self, seconds: float, machine: WatchInputs) -> None:
        self._pause = Timer(self.clock, machine.due)
        self._pause.start(seconds)

    def end_pause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()

    def retry(self, kept: Kept, action: Action | None, why: str, machine: WatchInputs) -> None:
        """Send `action` again after a pause; until then the alarm says why it failed."""
        self.become(kept)
        self.complain(action, why)
        self.pause(RETRY, machine)

    def complain(self, action: Action | None, why: str) -> None:
        if action is None:
            return
        name, what = self.interlock.name, f"{action.target} {action.command}: {why}"
        self.owner.complain(
            f"the interlock {name} could not act: {what}", f"联动 {name} 未能执行：{what}"
        )


_ENDED = "timeout: the gantry was ended meanwhile"
_WAITED = "not done when the gantry was ended; sent again soon"


def _build() -> Callable[[WatchCore], WatchInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(WatchInputs, WatchCore)

    idle = builder.state("Idle")
    """The condition does not hold, and there is nothing to undo."""
    doing = builder.state("Doing")
    """The condition holds, and the command is under way."""
    do_failed = builder.state("DoFailed")
    """The condition holds, and nothing was done: the command is sent again after the pause."""
    held = builder.state("Held")
    """The condition holds, and the command was done, or its outcome is unknown."""
    doing_unwanted = builder.state("DoingUnwanted")
    """The condition ended while the command is under way: it will be undone."""
    doing_for_good = builder.state("DoingForGood")
    """The condition ended while the command is under way, and nothing undoes the command."""
    undo_limited = builder.state("UndoLimited")
    """The condition is over; too many undos came before, so the next one waits."""
    undoing = builder.state("Undoing")
    """The condition is over, and the undo is under way."""
    undo_failed = builder.state("UndoFailed")
    """The condition is over, and nothing was undone: the undo is sent again after the pause."""
    undoing_unwanted = builder.state("UndoingUnwanted")
    """The condition holds again while the undo is under way: it will be done again."""
    interrupted = builder.state("Interrupted")
    """The command may have been done by an earlier process: the condition decides anew."""
    stopped = builder.state("Stopped")
    """The process ends; nothing counts any more."""

    def resume_do(machine: WatchInputs, core: WatchCore) -> None:
        core.kept = Kept.DO
        core.complain(core.interlock.do, _WAITED)
        core.pause(RETRY, machine)

    def resume_undo(machine: WatchInputs, core: WatchCore) -> None:
        core.kept = Kept.UNDO
        core.complain(core.interlock.undo, _WAITED)
        core.pause(RETRY, machine)

    def resume_held(machine: WatchInputs, core: WatchCore) -> None:
        core.kept = Kept.HELD

    def resume_doing(machine: WatchInputs, core: WatchCore) -> None:
        core.kept = Kept.HELD
        core.complain(core.interlock.do, _ENDED)

    def resume_cut(machine: WatchInputs, core: WatchCore) -> None:
        core.kept = Kept.DOING

    def resume_undoing(machine: WatchInputs, core: WatchCore) -> None:
        core.complain(core.interlock.undo, _ENDED)

    def do(machine: WatchInputs, core: WatchCore, why: str = "") -> None:
        core.become(Kept.DOING)
        core.owner.send(core.interlock.do, machine)

    def undo(machine: WatchInputs, core: WatchCore) -> None:
        assert core.interlock.undo is not None
        core.become(Kept.UNDOING)
        core.owner.send(core.interlock.undo, machine)

    def undo_when_allowed(machine: WatchInputs, core: WatchCore, why: str = "") -> None:
        core.undo_when_allowed(machine)

    def undo_counted(machine: WatchInputs, core: WatchCore) -> None:
        core.undone.append(core.clock.seconds())  # an undo that is sent again counts once
        undo(machine, core)

    def retry_do(machine: WatchInputs, core: WatchCore, why: str) -> None:
        core.retry(Kept.DO, core.interlock.do, why, machine)

    def retry_undo(machine: WatchInputs, core: WatchCore, why: str) -> None:
        core.retry(Kept.UNDO, core.interlock.undo, why, machine)

    def want(machine: WatchInputs, core: WatchCore) -> None:
        core.become(Kept.DOING)

    def want_undo(machine: WatchInputs, core: WatchCore) -> None:
        core.become(Kept.UNDOING)

    def do_later(machine: WatchInputs, core: WatchCore) -> None:
        core.become(Kept.DO)

    def undo_later(machine: WatchInputs, core: WatchCore) -> None:
        core.become(Kept.UNDO)

    def leave(machine: WatchInputs, core: WatchCore) -> None:
        core.become(Kept.IDLE)

    def hold(machine: WatchInputs, core: WatchCore, why: str = "") -> None:
        core.rest(Kept.HELD)

    def hold_unknown(machine: WatchInputs, core: WatchCore, why: str) -> None:
        core.rest(Kept.HELD)
        core.complain(core.interlock.do, why)

    def rest(machine: WatchInputs, core: WatchCore, why: str = "") -> None:
        core.rest(Kept.IDLE)

    def rest_unknown(machine: WatchInputs, core: WatchCore, why: str) -> None:
        core.rest(Kept.IDLE)
        core.complain(core.interlock.undo, why)

    def stop(machine: WatchInputs, core: WatchCore) -> None:
        core.end_pause()

    idle.upon(WatchInputs.was_to_do).to(do_failed)(resume_do)
    idle.upon(WatchInputs.was_doing).to(held)(resume_doing)
    idle.upon(WatchInputs.was_cut).to(interrupted)(resume_cut)
    interrupted.upon(WatchInputs.engage).to(doing)(do)
    interrupted.upon(WatchInputs.over).to(undo_limited)(undo_when_allowed)
    interrupted.upon(WatchInputs.over_for_good).to(idle)(rest)
    idle.upon(WatchInputs.was_held).to(held)(resume_held)
    idle.upon(WatchInputs.was_to_undo).to(undo_failed)(resume_undo)
    idle.upon(WatchInputs.was_undoing).to(idle)(resume_undoing)
    idle.upon(WatchInputs.engage).to(doing)(do)
    doing.upon(WatchInputs.over).to(doing_unwanted)(undo_later)
    doing.upon(WatchInputs.over_for_good).to(doing_for_good)(leave)
    doing.upon(WatchInputs.done).to(held)(hold)
    doing.upon(WatchInputs.unknown).to(held)(hold_unknown)
    doing.upon(WatchInputs.failed).to(do_failed)(retry_do)
    do_failed.upon(WatchInputs.over).to(idle)(rest)
    do_failed.upon(WatchInputs.over_for_good).to(idle)(rest)
    do_failed.upon(WatchInputs.due).to(doing)(do)
    held.upon(WatchInputs.over).to(undo_limited)(undo_when_allowed)
    held.upon(WatchInputs.over_for_good).to(idle)(rest)
    doing_unwanted.upon(WatchInputs.engage).to(doing)(want)
    doing_unwanted.upon(WatchInputs.done).to(undo_limited)(undo_when_allowed)
    doing_unwanted.upon(WatchInputs.unknown).to(undo_limited)(undo_when_allowed)
    doing_unwanted.upon(WatchInputs.failed).to(idle)(rest)
    doing_for_good.upon(WatchInputs.engage).to(doing)(want)
    doing_for_good.upon(WatchInputs.done).to(idle)(rest)
    doing_for_good.upon(WatchInputs.unknown).to(idle)(rest)
    doing_for_good.upon(WatchInputs.failed).to(idle)(rest)
    undo_limited.upon(WatchInputs.engage).to(held)(hold)
    undo_limited.upon(WatchInputs.due).to(undoing)(undo_counted)
    undoing.upon(WatchInputs.engage).to(undoing_unwanted)(do_later)
    undoing.upon(WatchInputs.done).to(idle)(rest)
    undoing.upon(WatchInputs.unknown).to(idle)(rest_unknown)
    undoing.upon(WatchInputs.failed).to(undo_failed)(retry_undo)
    undo_failed.upon(WatchInputs.engage).to(held)(hold)
    undo_failed.upon(WatchInputs.due).to(undoing)(undo)
    undoing_unwanted.upon(WatchInputs.over).to(undoing)(want_undo)
    undoing_unwanted.upon(WatchInputs.done).to(doing)(do)
    undoing_unwanted.upon(WatchInputs.unknown).to(doing)(do)
    undoing_unwanted.upon(WatchInputs.failed).to(held)(hold)
    running = (idle, doing, do_failed, held, doing_unwanted, doing_for_good, interrupted)
    for state in (*running, undo_limited, undoing, undo_failed, undoing_unwanted, stopped):
        state.upon(WatchInputs.stop).to(stopped)(stop)
    signals = (WatchInputs.engage, WatchInputs.over, WatchInputs.over_for_good, WatchInputs.due)
    for signal in (*signals, WatchInputs.done):
        stopped.upon(signal).loop().returns(None)
    stopped.upon(WatchInputs.unknown).loop().returns(None)
    stopped.upon(WatchInputs.failed).loop().returns(None)

    return builder.build()


watch_machine = _build()  # makes the machine of one interlock, from its core
