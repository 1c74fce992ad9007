"""The event stream of a small site."""

from collections.abc import Iterator

import pytest

from tests.web.api.stream_rig import Rig
from tests.web.small_site import SmallSite


@pytest.fixture
def rig(small: SmallSite) -> Iterator[Rig]:
    rig = Rig(small)
    yield rig
    rig.stream.stopService()
    assert small.clock.getDelayedCalls() == []
