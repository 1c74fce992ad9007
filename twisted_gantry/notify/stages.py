"""What a target knows of one alarm: the stages from the delay to the recovery.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from automat import TypeMachineBuilder


class Stage(StrEnum):
    WAITING = "waiting"
    DUE = "due"
    MISSED = "missed"
    TOLD = "told"
    OVER = "over"
    DONE = "done"


class CallInputs(Protocol):
    def lasted(self) -> None:
        """The delay is over: the alarm is to be told."""

    def gone(self) -> None:
        """The alarm is cleared."""

    def back(self) -> None:
        """The alarm is raised again."""

    def told(self) -> None:
        """A message about the alarm is in the outbox."""


@dataclass(eq=False)
class CallCore:
    """What the machine knows: its stage."""

    stage: Stage = Stage.WAITING


def _build() -> Callable[[CallCore], CallInputs]:
    builder = TypeMachineBuilder(CallInputs, CallCore)

    waiting = builder.state("Waiting")
    """The alarm is raised, and has not lasted long enough to be told."""
    due = builder.state("Due")
    """The alarm is raised, and is told with the next message."""
    missed = builder.state("Missed")
    """The alarm was due and is cleared: one message tells both."""
    told = builder.state("Told")
    """People were told of the alarm."""
    over = builder.state("Over")
    """People were told of the alarm, which is cleared: that is told with the next message."""
    done = builder.state("Done")
    """Nothing is left to tell."""

    def become(stage: Stage) -> Callable[[CallInputs, CallCore], None]:
        def action(_: CallInputs, core: CallCore) -> None:
            core.stage = stage

        action.__name__ = f"become_{stage}"
        return action

    waiting.upon(CallInputs.lasted).to(due)(become(Stage.DUE))
    waiting.upon(CallInputs.gone).to(done)(become(Stage.DONE))
    waiting.upon(CallInputs.back).loop().returns(None)
    waiting.upon(CallInputs.told).to(told)(become(Stage.TOLD))

    due.upon(CallInputs.lasted).loop().returns(None)
    due.upon(CallInputs.gone).to(missed)(become(Stage.MISSED))
    due.upon(CallInputs.back).loop().returns(None)
    due.upon(CallInputs.told).to(told)(become(Stage.TOLD))

    missed.upon(CallInputs.lasted).loop().returns(None)
    missed.upon(CallInputs.gone).loop().returns(None)
    missed.upon(CallInputs.back).to(due)(become(Stage.DUE))
    missed.upon(CallInputs.told).to(done)(become(Stage.DONE))

    told.upon(CallInputs.lasted).loop().returns(None)
    told.upon(CallInputs.gone).to(over)(become(Stage.OVER))
    told.upon(CallInputs.back).loop().returns(None)
    told.upon(CallInputs.told).loop().returns(None)

    over.upon(CallInputs.lasted).loop().returns(None)
    over.upon(CallInputs.gone).loop().returns(None)
    over.upon(CallInputs.back).to(told)(become(Stage.TOLD))
    over.upon(CallInputs.told).to(done)(become(Stage.DONE))

    for each in (CallInputs.lasted, CallInputs.gone, CallInputs.back, CallInputs.told):
        done.upon(each).loop().returns(None)

    return builder.build()


call_machine = _build()

_REPLAYED: dict[Stage, tuple[str, ...]] = {
    Stage.WAITING: (),
    Stage.DUE: ("lasted",),
    Stage.MISSED: ("lasted", "gone"),
    Stage.TOLD: ("told",),
    Stage.OVER: ("told", "gone"),
}


class Call:
    """The machine of one alarm at one target; `stage` is where it is."""

    def __init__(self, stage: Stage = Stage.WAITING) -> None:
        self._core = CallCore()
        machine = call_machine(self._core)
        self.lasted, self.gone = machine.lasted, machine.gone
        self.back, self.told = machine.back, machine.told
        for name in _REPLAYED[stage]:
            getattr(machine, name)()

    @property
    def stage(self) -> Stage:
        return self._core.stage
