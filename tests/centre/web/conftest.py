"""What the tests of the centre's web share."""

import pytest

from tests.centre.web.rig import USERS, WebRig
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock


@pytest.fixture
def rig(memory: InlineStore, clock: ManualClock) -> WebRig:
    """A centre without a password: everybody has all rights."""
    return WebRig(memory, clock)


@pytest.fixture
def guarded(memory: InlineStore, clock: ManualClock) -> WebRig:
    """A centre with the accounts of `USERS`."""
    return WebRig(memory, clock, USERS)
