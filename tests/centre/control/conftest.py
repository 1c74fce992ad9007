"""The rig of commands, on SQLite in memory."""

from collections.abc import Iterator

import pytest

from tests.centre.control.rig import CentreRig
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock


@pytest.fixture
def rig(memory: InlineStore, clock: ManualClock) -> Iterator[CentreRig]:
    """Return a centre with one gantry."""
    rig = CentreRig(memory, clock)
    yield rig
    rig.stop()
