"""A fleet of whole cabinets: each uploads on alarms, and executes the commands of the platform."""

from collections import Counter
from typing import Any

import pytest
from treq.testing import StubTreq

from tests.support import fired
from tests.twin.fleet.test_service import AUTH, Rig
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import Cmd
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.json import loads


def rig() -> Rig:
    return Rig(3, cloud="", worlds=3, remotecontrol="tcp:0", report_period=60.0)


def cabinets_taken(made: Rig) -> Counter[str]:
    return Counter(
        who for _, who, method, _ in made.monitor.taken if method is Method.CABINET_STATUS
    )


def test_each_uploads_by_itself() -> None:
    """Every gantry sends its computers and its cabinet; an alarm of one is sent at once."""
    made = rig()
    made.run(12)
    ids = [each.gantry_id for each in made.fleet.gantries]
    assert cabinets_taken(made) == Counter(ids)
    made.fleet.gantry(ids[1]).world.change({"mains.voltage": 0.0})
    made.run(2)
    assert cabinets_taken(made) == Counter([*ids, ids[1]])
    fields = made.monitor.taken[-1][3]
    assert fields["elec"][0]["status"] == "0"
    made.stop()


def test_a_command_acts_on_one_gantry() -> None:
    """The path names the gantry; its door opens, and no other door."""
    made = rig()
    made.run(12)
    assert made.fleet.cabinets is not None
    stub: Any = StubTreq(made.fleet.cabinets.resource())
    target = made.fleet.gantries[2]
    control = {"cabinetId": "1", "cmd": str(Cmd.UNLOCK_DOOR.value), "unlockDoorId": "1"}
    body = etc.encode_request(target.gantry_id, Method.CABINET_CONTROL, made.clock.now(), control)
    url = f"http://fleet.test/{target.gantry_id}/remotecontrol.do"
    answered = fired(stub.request("POST", url, data=body, headers=etc.signed_headers(body, AUTH)))
    stub.flush()
    code = loads(fired(answered[0].content())[0])["code"]
    locked = [each.world.variables()["cab1.front_door_locked"] for each in made.fleet.gantries]
    assert (code, locked) == ("1000", [True, True, False])
    made.stop()


def test_settings() -> None:
    """Commands need a world for each gantry."""
    with pytest.raises(ValueError, match="as many worlds"):
        FleetSettings(gantries=5, remotecontrol="tcp:0")
