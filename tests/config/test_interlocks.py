"""Interlocks of a configuration, checked against its devices and against each other."""

import pytest

from tests.config.test_full import FULL
from twisted_gantry.config.load import load
from twisted_gantry.settings.tables import ConfigError


def problems(*actions: str) -> dict[str, str]:
    """Return what is wrong with interlocks that do these, by its place."""
    locks = "".join(
        f'[[interlock]]\nwhen = "ups1.battery_charge < {n}"\n{action}\n'
        for n, action in enumerate(actions, 1)
    )
    try:
        load(FULL + locks)
    except ConfigError as error:
        return {each.key: each.message for each in error.problems}
    return {}


def register(write: str, value: int) -> str:
    args = f'{{ device = "evse", write = "{write}", value = {value} }}'
    return f'do = "cfos.write-register"\nargs = {args}'


def override(args: str) -> str:
    return f'do = "cfos.override"\nargs = {{ {args} }}'


OFF = override('dev_id = "E1", flags = "C"')


@pytest.mark.parametrize(
    "other",
    [
        override('dev_id = "E1", flags = "c"'),
        override('dev_id = "E1", mamps = 6000'),
        register("8094", 1),
        'do = "cfos.enter-rfid"\nargs = { rfid = "4711" }',
        'do = "cfos.enter-rfid"\nargs = { rfid = "4711", dev_id = "E1" }',
        'do = "cfos.set-params"\nargs = { params = { lb_enabled = true } }',
        'do = "cfos.reset-device"\nargs = { dev_id = "E1", force = true }',
    ],
)
def test_two_ways_to_set_the_charging_of_one_evse_fight(other: str) -> None:
    """By whatever command: an override, a register, a PIN, a setting."""
    assert list(problems(OFF, other)) == ["interlock[2].do"]
    assert list(problems(other, OFF)) == ["interlock[2].do"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OFF, override('dev_id = "E2", flags = "c"')),
        (OFF, OFF),
        (OFF, 'do = "cfos.enter-rfid"\nargs = { rfid = "4711", dev_id = "E2" }'),
        (OFF, 'do = "cfos.set-diag-logging"\nargs = { enable = true }'),
        (register("8094", 1), register("8093", 160)),
        (OFF, 'do = "bms1.open-contactor"'),
    ],
)
def test_what_sets_something_else_or_the_same_does_not_fight(one: str, other: str) -> None:
    """Another EVSE, another register, another device; the same twice."""
    assert not problems(one, other)


def test_a_fight_of_three_is_told_of_each() -> None:
    """The third is told against both that it fights."""
    off, on = OFF, override('dev_id = "E1", flags = "c"')
    try:
        locks = "".join(
            f'[[interlock]]\nname = "{name}"\nwhen = "ups1.overload"\n{action}\n'
            for name, action in (("a", off), ("b", off), ("c", on))
        )
        load(FULL + locks)
    except ConfigError as error:
        told = [(each.key, each.message) for each in error.problems]
    else:
        told = []
    assert [key for key, _ in told] == ["interlock[3].do"] * 2
    assert ["'a'" in told[0][1], "'b'" in told[1][1]] == [True, True]


def test_an_undo_that_does_the_same_again_is_refused() -> None:
    """It would undo nothing."""
    undo = 'undo = { do = "cfos.override", args = { dev_id = "E1", flags = "C" } }'
    assert list(problems(f"{OFF}\n{undo}")) == ["interlock[1].undo"]
