"""The rules of interlocks: what is a condition, and which two interlocks would fight."""

import pytest

from twisted_gantry.core.commands.types import Argument, CommandType
from twisted_gantry.core.interlocks.rules import Action, Condition, Interlock, fight
from twisted_gantry.wire.reading import Value

OVERRIDE = CommandType(
    {"dev_id": Argument(subject=True), "flags": Argument(required=False)}, "override", "覆盖"
)
OFF = Action("cfos", "override", {"dev_id": "E1", "flags": "C"})
ON = Action("cfos", "override", {"dev_id": "E1", "flags": "c"})
E2_OFF = Action("cfos", "override", {"dev_id": "E2", "flags": "C"})


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("ups1.battery_charge < 30", 29.5, True),
        ("ups1.battery_charge<30", 30.0, False),
        ("ups1.battery_charge >= 30", 30, True),
        ("ups1.state == battery", "battery", True),
        ('ups1.state != "line"', "line", False),
        ("ups1.mains_abnormal == false", False, True),
        ("ups1.mains_abnormal", True, True),
        ("ups1.mains_abnormal", 1, None),
        ("ups1.battery_charge < 30", True, None),
        ("ups1.battery_charge < 30", "low", None),
        ("ups1.battery_charge < 30", None, None),
    ],
)
def test_conditions(text: str, value: Value, holds: bool | None) -> None:
    """A condition compares values of one type; for any other value the result is unknown."""
    condition = Condition.parse(text)
    assert condition.point.startswith("ups1.")
    assert condition.holds(value) is holds


@pytest.mark.parametrize(
    "text",
    ["", "ups1.x <", "< 3", "ups1.x = 3", "ups1.x < low", "ups1.x < true", "a b", "x < 1 < 2"],
)
def test_what_is_no_condition(text: str) -> None:
    """A text that is none is refused."""
    with pytest.raises(ValueError, match=r"condition|compares"):
        Condition.parse(text)


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
