"""A Fogslink front for tests."""

from collections.abc import Iterator

import pytest

from tests.centre.fronts.cloud_rig import Rig
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store.inline import InlineStore
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.clock import ManualClock


@pytest.fixture
def filing() -> Filing:
    """Reports change no states: how they are folded is tested with the store."""
    return Filing("front-1", fold=lambda session, fresh: [Verdict.STORED for _ in fresh])


@pytest.fixture
def rig(memory: InlineStore, clock: ManualClock) -> Iterator[Rig]:
    made = Rig(memory, clock)
    yield made
    made.stop()
