"""A driver on a card, online, over each way; a module for one way alone overrides `way`."""

from collections.abc import Iterator

import pytest

from tests.devices.upscard.rigs import WAYS, Rig, ScriptFactory, ScriptRig, TwinRig
from twisted_gantry.core.status import State


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each of the two ways to a card: what a test holds, holds over both."""
    return str(request.param)


@pytest.fixture
def rig(way: str) -> Iterator[TwinRig]:
    made = TwinRig(way)
    made.start()
    assert made.state() is State.ONLINE
    yield made
    made.stop()


@pytest.fixture
def scripted(way: str) -> Iterator[tuple[Rig, ScriptFactory]]:
    made = ScriptRig(way)
    made.start()
    assert made.state() is State.ONLINE
    yield made, made.script
    made.stop()
