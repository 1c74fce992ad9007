"""A card that sends more than it is asked for is cut, and not trusted at once again."""

import pytest

from tests.devices.upscard.rigs import TCP, ScriptFactory, ScriptRig
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard.tcp import UNASKED_BURST


@pytest.fixture
def way() -> str:
    return TCP


@pytest.mark.parametrize(
    ("piece", "times"),
    [(b'{"uid":"1"}', 1000), (b"{}", 20_000), (b"garbage ", 40_000)],
    ids=["objects", "empty", "garbage"],
)
def test_a_flood_is_cut(
    scripted: tuple[ScriptRig, ScriptFactory], piece: bytes, times: int
) -> None:
    """Objects that no command asked for, and bytes that are none, end the connection."""
    rig, factory = scripted
    factory.sessions[-1].send(piece * times)
    rig.clock.run(0.2)
    assert rig.card.counts["flooded"] == 1
    assert rig.card.counts["malformed"] + rig.card.counts["unknown"] <= UNASKED_BURST + 4
    rig.clock.run(1.5)
    assert rig.state() is State.ONLINE


def test_a_card_that_floods_again_and_again_is_backed_off(
    scripted: tuple[ScriptRig, ScriptFactory],
) -> None:
    """A good reading between two floods does not shorten the pauses."""
    rig, factory = scripted
    for _ in range(60):
        if factory.sessions:
            factory.sessions[-1].send(b"{}" * 1000)
        rig.clock.run(2.0)
    assert rig.card.counts["connections"] <= 10
    rig.clock.run(120.0)
    assert rig.state() is State.ONLINE
