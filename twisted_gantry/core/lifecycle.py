"""The life cycle of an alarm: raised, what people and time do about it, cleared.

The order of events is the table in `_build`; the sentences beside the states say what holds there.
Whether the condition of a rule holds is the matter of `core/conditions.py`. What is known of the
alarm is in its record (`core/alarm.py`), which is changed before an input is told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from automat import TypeMachineBuilder

from twisted_gantry.core.alarm import Alarm, Stage


class LifeInputs(Protocol):
    def rises(self) -> None:
        """The condition holds."""

    def falls(self) -> None:
        """The condition is gone."""

    def restored(self) -> None:
        """The alarm was active when the program ended."""

    def too_often(self) -> None:
        """The condition rose more than `flap_limit` times within `flap_window`, now included."""

    def steady(self) -> None:
        """For `flap_window` the condition has not risen, and has not gone."""

    def quiet(self) -> None:
        """For `flap_window` the condition has not risen; the condition is gone."""

    def acknowledge(self) -> None:
        """A person has seen the alarm."""

    def unacknowledge(self) -> None:
        """A person takes the acknowledgement back."""

    def shelve(self) -> None:
        """A person wants no call for some time."""

    def unshelve(self) -> None:
        """The time is over, or a person ends it."""

    def maintain(self) -> None:
        """People work at the device."""

    def maintained(self) -> None:
        """The work has ended."""

    def give_up(self) -> None:
        """Nothing watches the condition any more."""


@dataclass(eq=False)
class LifeCore:
    """One alarm, and what becomes of it: `begin` tells that the alarm is raised, `end` that it is
    cleared, `hold` starts to wait for quiet.
    """

    alarm: Alarm
    begin: Callable[[], object]
    end: Callable[[], object]
    hold: Callable[[], object]


def _build() -> Callable[[LifeCore], LifeInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(LifeInputs, LifeCore)
    cleared = builder.state("Cleared")
    """The condition does not hold, or nothing was ever known of it."""
    raised = builder.state("Raised")
    """The alarm is active, and no person has done anything about it."""
    acknowledged = builder.state("Acknowledged")
    """A person has seen the alarm: nobody is called again."""
    shelved = builder.state("Shelved")
    """Nobody is called until a time that a person has set."""
    maintenance = builder.state("Maintenance")
    """People work at the device: nobody is called."""
    flapping = builder.state("Flapping")
    """The alarm was raised too often, and is held until quiet. What people do is noted."""

    def begin(machine: LifeInputs, core: LifeCore) -> None:
        core.begin()
        go_on(machine, core)

    def end(machine: LifeInputs, core: LifeCore) -> None:
        core.end()

    def hold(machine: LifeInputs, core: LifeCore) -> None:
        core.hold()

    def go_on(machine: LifeInputs, core: LifeCore) -> None:
        """Go to the state that the record tells."""
        following = {
            Stage.ACKNOWLEDGED: machine.acknowledge,
            Stage.SHELVED: machine.shelve,
            Stage.MAINTENANCE: machine.maintain,
            Stage.FLAPPING: machine.too_often,
        }.get(core.alarm.stage)
        if following is not None:
            following()

    cleared.upon(LifeInputs.rises).to(raised)(begin)
    cleared.upon(LifeInputs.restored).to(raised)(go_on)

    raised.upon(LifeInputs.acknowledge).to(acknowledged).returns(None)
    acknowledged.upon(LifeInputs.unacknowledge).to(raised).returns(None)
    for state in (raised, acknowledged):
        state.upon(LifeInputs.shelve).to(shelved).returns(None)
    shelved.upon(LifeInputs.unshelve).to(raised)(go_on)
    for state in (raised, acknowledged, shelved):
        state.upon(LifeInputs.maintain).to(maintenance).returns(None)
    maintenance.upon(LifeInputs.maintained).to(raised)(go_on)

    for state in (raised, acknowledged, shelved, maintenance):
        state.upon(LifeInputs.falls).to(cleared)(end)
    raised.upon(LifeInputs.too_often).to(flapping)(hold)
    flapping.upon(LifeInputs.rises).loop()(hold)
    flapping.upon(LifeInputs.steady).to(raised)(go_on)
    flapping.upon(LifeInputs.quiet).to(cleared)(end)
    for state in (raised, acknowledged, shelved, maintenance, flapping):
        state.upon(LifeInputs.give_up).to(cleared)(end)

    # What a state covers is noted in the record, and counts when the state is left.
    for state in (acknowledged, shelved, maintenance, flapping):
        state.upon(LifeInputs.acknowledge).loop().returns(None)
    for state in (raised, shelved, maintenance, flapping):
        state.upon(LifeInputs.unacknowledge).loop().returns(None)
    for state in (shelved, maintenance, flapping):
        state.upon(LifeInputs.shelve).loop().returns(None)
    for state in (raised, acknowledged, maintenance, flapping):
        state.upon(LifeInputs.unshelve).loop().returns(None)
    for state in (maintenance, flapping):
        state.upon(LifeInputs.maintain).loop().returns(None)
    for state in (raised, acknowledged, shelved, flapping):
        state.upon(LifeInputs.maintained).loop().returns(None)
    flapping.upon(LifeInputs.falls).loop().returns(None)
    for state in (raised, acknowledged, shelved, maintenance):
        state.upon(LifeInputs.rises).loop().returns(None)
    cleared.upon(LifeInputs.falls).loop().returns(None)
    cleared.upon(LifeInputs.give_up).loop().returns(None)

    return builder.build()


alarm_life = _build()  # makes the life cycle of one alarm, from its core
