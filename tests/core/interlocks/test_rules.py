"""The rules of interlocks: which two interlocks would fight."""

import pytest

from twisted_gantry.core.commands.types import Argument, CommandType
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interlocks.rules import Action, Interlock, fight

OVERRIDE = CommandType(
    {"dev_id": Argument(subject=True), "flags": Argument(required=False)}, "override", "覆盖"
)
OFF = Action("cfos", "override", {"dev_id": "E1", "flags": "C"})
ON = Action("cfos", "override", {"dev_id": "E1", "flags": "c"})
E2_OFF = Action("cfos", "override", {"dev_id": "E2", "flags": "C"})


def write(register: int | str, value: int | str) -> Action:
    given = {"device": "evse", "write": str(register), "value": value}
    return Action("brain", "write-register", given)


BRAIN_OFF = Action("brain", "override", {"dev_id": "E1", "flags": "C"})


def lock(name: str, do: Action, undo: Action | None = None) -> Interlock:
    """Return an interlock on a condition of its own."""
    return Interlock(name, Condition(f"ups{name}.mains_abnormal"), 0.0, do, undo)


REGISTER = CommandType(
    {"device": Argument(subject=True), "write": Argument(subject=True), "value": Argument(int)},
    "",
    "",
    about="charging",
)
CHARGING = CommandType(OVERRIDE.arguments, "", "", about="charging")
OPEN, CLOSE = Action("bms1", "open-contactor"), Action("bms1", "close-contactor")
TYPES = {
    "cfos.override": OVERRIDE,
    "bms1.open-contactor": CommandType({}, "", "", about="contactor"),
    "bms1.close-contactor": CommandType({}, "", "", about="contactor"),
    "bms1.sync": CommandType({}, "", ""),
    "brain.override": CHARGING,
    "brain.write-register": REGISTER,
    "brain.get-users": CommandType({}, "", ""),
}


@pytest.mark.parametrize(
    ("first", "second", "fights"),
    [
        (lock("1", OFF), lock("2", ON), True),
        (lock("1", OFF, ON), lock("2", OFF, ON), True),
        (lock("1", OFF), lock("2", OFF), False),
        (lock("1", OFF, ON), lock("2", E2_OFF), False),
        (lock("1", OPEN), lock("2", CLOSE), True),
        (lock("1", OPEN), lock("2", Action("bms1", "sync")), False),
        (lock("1", OPEN), lock("2", Action("bms2", "close-contactor")), False),
        (lock("1", write(8094, 0)), lock("2", write(8094, 1)), True),
        (lock("1", write(8094, 0)), lock("2", write(8093, 160)), False),
        (lock("1", write(8094, 0)), lock("2", write(8094, "0")), False),
        (lock("1", BRAIN_OFF), lock("2", write(8094, 1)), True),
        (lock("1", BRAIN_OFF), lock("2", Action("brain", "get-users")), False),
    ],
)
def test_which_interlocks_fight(first: Interlock, second: Interlock, fights: bool) -> None:
    """Two that would set one thing differently fight, also by an undo of one under the other."""
    assert fight(first, second, TYPES) is fights
    assert fight(second, first, TYPES) is fights
