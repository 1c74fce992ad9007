"""The power mode of a cabinet: what was set, over restarts and lost answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.devices.cabinet.rig import Rig
from tests.support import fired
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.wire.etc.envelope import EtcCode

ALARMS = {"power-mode", "tolling-off"}

Start = Callable[..., Rig]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a driver, with the kept settings of an earlier one."""
    rigs: list[Rig] = []

    def begin(earlier: Rig | None = None) -> Rig:
        rig = Rig()
        if earlier is not None:
            [kept] = fired(earlier.bench.store.settings())
            for name, value in kept.items():
                rig.bench.store.put_setting(name, value)
        rigs.append(rig)
        rig.start()
        return rig

    yield begin
    for rig in rigs:
        rig.stop()


def raised(rig: Rig) -> set[str]:
    return rig.raised() & ALARMS


def test_a_mode_that_nobody_set_is_unknown(start: Start) -> None:
    """Uploads do not tell the mode: until it is set, nothing is claimed."""
    rig = start()
    assert rig.good("power_mode") == "no-data"
    assert raised(rig) == set()


@pytest.mark.parametrize(
    ("mode", "alarms"),
    [
        ("0", set()),
        ("1", {"power-mode"}),
        ("2", {"power-mode", "tolling-off"}),
        ("3", {"power-mode", "tolling-off"}),
    ],
)
def test_a_mode_that_was_set_is_shown(start: Start, mode: str, alarms: set[str]) -> None:
    """Any mode but 0 is an alarm, over a restart as well; mode 0 ends it."""
    rig = start()
    assert rig.do("power-mode", mode=mode).result is Outcome.DONE
    assert (rig.good("power_mode"), raised(rig)) == (int(mode), alarms)
    again = start(rig)
    assert (again.good("power_mode"), raised(again)) == (int(mode), alarms)
    again.do("power-mode", mode="0")
    assert (again.good("power_mode"), raised(again)) == (0, set())
    assert start(again).good("power_mode") == 0


@pytest.mark.parametrize(
    ("before", "mode", "answer", "shown"),
    [
        ("2", "0", EtcCode.CONTROL_FAILED, 2),
        ("2", "0", None, 2),
        ("0", "2", EtcCode.CONTROL_FAILED, 0),
        ("0", "2", None, 2),
        ("3", "1", None, 3),
        ("1", "3", None, 3),
    ],
)
def test_a_mode_that_may_be_is_shown(
    start: Start, before: str, mode: str, answer: Any, shown: int
) -> None:
    """Without an outcome the mode that switches more off counts, also after a restart."""
    rig = start()
    rig.do("power-mode", mode=before)
    rig.cabinet.answer = answer
    rig.do("power-mode", mode=mode)
    assert rig.good("power_mode") == shown
    assert start(rig).good("power_mode") == shown


def test_a_process_that_dies_while_it_tells_forgets_nothing(start: Start) -> None:
    """The mode is on disk before the cabinet is told."""
    rig = start()
    rig.cabinet.answer = None
    rig.ask("power-mode", mode="3")
    rig.clock.run(0.1)
    assert len(rig.cabinet.commands()) == 1
    assert start(rig).good("power_mode") == 3


def test_a_cabinet_that_is_lost_keeps_its_mode(start: Start) -> None:
    """The mode is our own knowledge: silence does not hide it."""
    rig = start()
    rig.do("power-mode", mode="2")
    rig.cabinet.updated = None
    rig.clock.run(3000.0, step=5.0)
    assert rig.state == "offline"
    assert rig.good("power_mode") == 2
