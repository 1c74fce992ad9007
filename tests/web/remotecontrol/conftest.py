"""What the tests of `remotecontrol.do` share."""

from collections.abc import Iterator

import pytest

from tests.web.remotecontrol.rig import RemoteRig


@pytest.fixture
def rig() -> Iterator[RemoteRig]:
    """Return a site with one cabinet that can do everything."""
    rig = RemoteRig()
    yield rig
    rig.stop()
