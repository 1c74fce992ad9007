"""Late is never: what the platform asks for is not begun after its answer."""

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred

from tests.store.material import LateWriter, database
from tests.web.remotecontrol.rig import AUTH, RemoteRig
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.wire.etc.envelope import Method

UNLOCK = {"cmd": "2", "unlockDoorId": "1"}


@pytest.fixture
def late() -> Iterator[tuple[RemoteRig, LateWriter]]:
    """Return a site with a store that answers after 75 s, and its writer."""
    rig = RemoteRig()
    writer = LateWriter(database(), rig.clock, 75.0)
    rig.use(SqliteStore(writer, rig.clock.moment, last=0))
    yield rig, writer
    rig.stop()


@pytest.mark.parametrize(
    "fields",
    [UNLOCK, {"setFrequency": "60"}, {"setServer": "platform.example/x"}, {"updateNow": "1"}],
)
def test_a_frozen_disk_has_nothing_done_late(
    late: tuple[RemoteRig, LateWriter], fields: dict[str, str]
) -> None:
    """A disk that is frozen for 75 s: the platform is told 1007, and nothing is done after it."""
    rig, writer = late
    body = rig.body(Method.CABINET_CONTROL, fields)
    exchange = rig.send(body)
    rig.clock.run(30, step=0.5)
    assert exchange.ended().code == "1007"
    rig.clock.run(200, step=0.5)
    assert rig.untouched()
    writer.seconds = 0.0
    again = rig.send(body)
    rig.clock.run(1, step=0.5)
    assert again.ended().json == {"code": "1007", "msg": "已过期，未执行"}
    assert rig.untouched()


def test_a_slow_disk_leaves_the_device_the_rest(late: tuple[RemoteRig, LateWriter]) -> None:
    """Two entries in the audit, 8 s each, leave time enough: the command is sent."""
    rig, writer = late
    writer.seconds = 8.0
    exchange = rig.send(rig.body(Method.CABINET_CONTROL, UNLOCK))
    rig.clock.run(16.5, step=0.5)
    assert [command for command, _ in rig.cab.told] == ["unlock-door"]
    rig.clock.run(30, step=0.5)
    assert exchange.ended().code == "1007"  # the outcome was kept after 25 s


def test_nothing_is_sent_after_the_answer() -> None:
    """A device that is busy until after the answer is not told then, though 30 s are not over."""
    rig = RemoteRig()
    busy: Deferred[CommandResult] = Deferred()
    rig.cab.answer = lambda: busy
    first = rig.send(rig.body(Method.CABINET_CONTROL, {"cmd": "6", "isDoorDefend": "1"}))
    rig.clock.run(4, step=0.5)
    second = rig.send(rig.body(Method.CABINET_CONTROL, UNLOCK))
    rig.clock.run(25.5, step=0.5)
    assert [each.ended().code for each in (first, second)] == ["1007", "1007"]
    rig.clock.run(10, step=0.5)
    assert [command for command, _ in rig.cab.told] == ["door-guard"]
    rig.stop()


def test_of_two_steps_the_second_is_not_late(late: tuple[RemoteRig, LateWriter]) -> None:
    """A server that takes long to be set leaves no time for the period."""
    rig, writer = late
    writer.seconds = 0.0
    waiting: Deferred[None] = Deferred()
    rig.uplink.set_server = lambda *_: waiting  # type: ignore[method-assign]
    fields = {"setServer": "platform.example/x", "setFrequency": "60"}
    exchange = rig.send(rig.body(Method.CABINET_CONTROL, fields))
    rig.clock.run(26, step=0.5)
    waiting.callback(None)
    rig.clock.run(1, step=0.5)
    assert exchange.ended().code == "1007"
    assert ("period", Subject.CABINETS, 60.0) not in rig.uplink.steered
    assert AUTH not in str(rig.control.counts)
