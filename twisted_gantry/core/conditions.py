"""When the condition of a rule counts: delay, silence, clear delay.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
What becomes of the alarm then is the matter of `core/lifecycle.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.timers import Timer


class ConditionInputs(Protocol):
    def holds(self) -> None:
        """The last reading fulfils the condition."""

    def gone(self) -> None:
        """The last reading does not fulfil the condition."""

    def silent(self) -> None:
        """The last reading does not tell."""

    def delay_over(self) -> None:
        """The delay has passed."""

    def grace_over(self) -> None:
        """The point was silent for too long to count from the beginning."""

    def clear_delay_over(self) -> None:
        """The clear delay has passed."""

    def remembered(self) -> None:
        """The alarm is raised since before the rule was watched."""

    def stop(self) -> None:
        """The rule is not watched any more."""


@dataclass(eq=False)
class ConditionCore:
    """What a condition waits for; `tell(raised)` is called when the alarm is to be raised or
    cleared, and again with True when the condition holds before its clear delay is over.

    `delay`, `clear_delay` and `grace` are seconds.
    """

    clock: IReactorTime
    tell: Callable[[bool], object]
    delay: float
    clear_delay: float
    grace: float
    raised: bool = False
    _delay: Timer | None = field(default=None, init=False)
    _grace: Timer | None = field(default=None, init=False)

    @property
    def bad(self) -> bool:
        """Whether the condition held when it was last known: in every state but `Clear`."""
        return self.raised or self._delay is not None or self._grace is not None

    def start_delay(self, seconds: float, over: Callable[[], None]) -> None:
        """Call `over` after `seconds`; 0 is at once."""
        if seconds <= 0:
            over()
            return
        self._delay = Timer(self.clock, over)
        self._delay.start(seconds)

    def start_grace(self, over: Callable[[], None]) -> None:
        self._grace = Timer(self.clock, over)
        self._grace.start(self.grace)

    def end_delay(self) -> None:
        timer, self._delay = self._delay, None
        if timer is not None:
            timer.cancel()

    def end_grace(self) -> None:
        timer, self._grace = self._grace, None
        if timer is not None:
            timer.cancel()

    def forget(self) -> None:
        self.end_delay()
        self.end_grace()

    def remember(self) -> None:
        self.raised = True

    def become(self, *, raised: bool) -> None:
        self.forget()
        self.raised = raised
        self.tell(raised)


def _build() -> Callable[[ConditionCore], ConditionInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(ConditionInputs, ConditionCore)

    clear = builder.state("Clear")
    """No alarm: the condition does not hold, or nothing was ever known of it."""
    delayed = builder.state("Delayed")
    """The condition holds, and its delay runs."""
    delayed_in_silence = builder.state("DelayedInSilence")
    """The delay runs, the point is silent, and the grace for that runs too."""
    due_in_silence = builder.state("DueInSilence")
    """The delay has passed in silence: the next reading within the grace decides."""
    raised = builder.state("Raised")
    """The alarm is raised; the condition holds, or nothing is known of it."""
    remembered = builder.state("Remembered")
    """The alarm is raised since before a restart, and nothing was seen of the condition since."""
    clearing = builder.state("Clearing")
    """The alarm is raised, the condition is gone, and the clear delay runs."""
    ended = builder.state("Ended")
    """The rule is not watched any more; nothing counts."""

    def start_delay(machine: ConditionInputs, core: ConditionCore) -> None:
        core.start_delay(core.delay, machine.delay_over)

    def start_clear_delay(machine: ConditionInputs, core: ConditionCore) -> None:
        core.start_delay(core.clear_delay, machine.clear_delay_over)

    def end_delay(machine: ConditionInputs, core: ConditionCore) -> None:
        core.end_delay()

    def start_grace(machine: ConditionInputs, core: ConditionCore) -> None:
        core.start_grace(machine.grace_over)

    def end_grace(machine: ConditionInputs, core: ConditionCore) -> None:
        core.end_grace()

    def forget(machine: ConditionInputs, core: ConditionCore) -> None:
        core.forget()

    def remember(machine: ConditionInputs, core: ConditionCore) -> None:
        core.remember()

    def tell_raised(machine: ConditionInputs, core: ConditionCore) -> None:
        core.become(raised=True)

    def tell_cleared(machine: ConditionInputs, core: ConditionCore) -> None:
        core.become(raised=False)

    clear.upon(ConditionInputs.holds).to(delayed)(start_delay)
    clear.upon(ConditionInputs.remembered).to(remembered)(remember)
    remembered.upon(ConditionInputs.holds).to(raised)(tell_raised)
    remembered.upon(ConditionInputs.gone).to(clearing)(start_clear_delay)
    delayed.upon(ConditionInputs.gone).to(clear)(forget)
    delayed.upon(ConditionInputs.silent).to(delayed_in_silence)(start_grace)
    delayed.upon(ConditionInputs.delay_over).to(raised)(tell_raised)
    delayed_in_silence.upon(ConditionInputs.holds).to(delayed)(end_grace)
    delayed_in_silence.upon(ConditionInputs.gone).to(clear)(forget)
    delayed_in_silence.upon(ConditionInputs.delay_over).to(due_in_silence)(end_delay)
    delayed_in_silence.upon(ConditionInputs.grace_over).to(clear)(forget)
    due_in_silence.upon(ConditionInputs.holds).to(raised)(tell_raised)
    due_in_silence.upon(ConditionInputs.gone).to(clear)(forget)
    due_in_silence.upon(ConditionInputs.grace_over).to(clear)(forget)
    raised.upon(ConditionInputs.gone).to(clearing)(start_clear_delay)
    clearing.upon(ConditionInputs.holds).to(raised)(tell_raised)
    clearing.upon(ConditionInputs.silent).to(raised)(end_delay)
    clearing.upon(ConditionInputs.clear_delay_over).to(clear)(tell_cleared)
    for state in (
        *(clear, delayed, delayed_in_silence, due_in_silence),
        *(raised, remembered, clearing, ended),
    ):
        state.upon(ConditionInputs.stop).to(ended)(forget)
    for state in (clear, clearing, ended):
        state.upon(ConditionInputs.gone).loop().returns(None)
    for state in (delayed, raised, ended):
        state.upon(ConditionInputs.holds).loop().returns(None)
    for state in (clear, delayed_in_silence, due_in_silence, raised, remembered, ended):
        state.upon(ConditionInputs.silent).loop().returns(None)

    return builder.build()


condition_machine = _build()  # makes the condition of one rule, from its core
