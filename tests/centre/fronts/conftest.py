"""A Fogslink front for tests."""

from collections.abc import Iterator

import pytest

from tests.centre.fronts.cloud_rig import Rig
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock


@pytest.fixture
def rig(memory: InlineStore, clock: ManualClock) -> Iterator[Rig]:
    made = Rig(memory, clock)
    yield made
    made.stop()
