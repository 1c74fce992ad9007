"""A person who is kept to roads sees and commands these alone, by every operation."""

import json
import re
from typing import Any

import pytest

from tests.centre.store.samples import report
from tests.centre.web.rig import API, WebRig
from tests.http_client import Answer
from twisted_gantry.centre.store import incidents
from twisted_gantry.wire.centre_operations import OPERATIONS
from twisted_gantry.wire.operations import Operation

MINE, OTHER = "G2-north", "G9-far"
"""Gantries of the roads G2, which `gao` sees, and G9."""
SECRET = re.compile(r"G9|other-note")


@pytest.fixture
def world(guarded: WebRig) -> WebRig:
    """Two roads with a gantry each: an alarm, a report, a command, a list and maintenance."""
    rig = guarded
    for name, road in ((MINE, "G2"), (OTHER, "G9")):
        rig.put(name, "root", road=road, eqSN=f"SN-{road}", auth="c", name=f"name of {road}")
        rig.store.put_all([report(name, raised="mains-abnormal")])
        place = {"gantry": name, "for": 60, "note": f"note of {road}"}
        assert rig.ask("POST", "/maintenance", place, "root").status == 200
        assert rig.ask("POST", "/maintenance", {"road": road, "for": 60}, "root").status == 200
        times = {"validTime": "2026-01-01 00:00:00", "invalidTime": "2027-01-01 00:00:00"}
        lists = {"road": road, "cards": [{"cardId": "1" * 20, **times}]}
        assert rig.ask("PUT", "/cards", lists, "root").status == 200
    rig.desk.write(incidents.refresh)
    both = {"gantries": [MINE, OTHER], "method": "cabinetControl", "updateNow": "1"}
    assert rig.ask("POST", "/commands", both, "root").status == 202
    only = {"gantries": [OTHER], "method": "cabinetControl", "updateNow": "1"}
    assert rig.ask("POST", "/commands", only, "root").status == 202
    return rig


BODIES: dict[str, Any] = {
    "putGantry": {"name": "taken"},
    "approveGantries": {"gantries": [OTHER]},
    "acknowledgeAlarm": {"gantry": OTHER, "alarm": "cabinet-1.mains-abnormal"},
    "unacknowledgeAlarm": {"gantry": OTHER, "alarm": "cabinet-1.mains-abnormal"},
    "shelveAlarm": {"gantry": OTHER, "alarm": "cabinet-1.mains-abnormal", "for": 60},
    "unshelveAlarm": {"gantry": OTHER, "alarm": "cabinet-1.mains-abnormal"},
    "beginMaintenance": {"road": "G9", "for": 60},
    "previewCommand": {"gantries": [OTHER], "method": "cabinetControl", "updateNow": "1"},
    "runCommand": {"gantries": [OTHER], "method": "cabinetControl", "updateNow": "1"},
    "putCards": {"road": "G9", "cards": []},
    "setChannel": {"channel": "P1-C1", "period": 10},
    "testNotify": {"name": "anybody"},
}
QUERIES = {
    "endMaintenance": "?road=G9",
    "exportReports": f"?gantry={OTHER}",
    "getPicture": "?at=1700000000",
    "importCards": "?road=G9",
}
PATHS = {"getCommand": "2", "getIncident": "2"}
OPEN = {"getHealth", "getLedger", "getWhoAmI", "listMethods", "exportTemplate", "readStream"}
"""What shows nothing of any gantry, and the stream, which has a test of its own."""
WHOLE = ("getMetrics", "listUsers")
"""What is for those who see all roads."""


def ask(world: WebRig, each: Operation) -> Answer:
    """Ask as `gao` for what is of the other road."""
    part = PATHS.get(each.id, OTHER)
    path = re.sub(r"\{\w+\}", part, each.path) + QUERIES.get(each.id, "")
    content = BODIES.get(each.id, b"")
    if each.id == "importGantries":
        content = f"id,name,road\n{OTHER},x,G2\n".encode()
    if each.id == "importCards":
        content = b"cardId,validTime,invalidTime\nC1,2023-01-01 00:00:00,2033-01-01 00:00:00\n"
    return world.send(each.method.upper(), path, content, "gao").ended()


def test_nothing_of_another_road(world: WebRig) -> None:
    """Whatever is asked, no answer has a trace of another road, and nothing there is changed."""
    before = [world.get(path, "root") for path in (f"/gantries/{OTHER}", "/alarms", "/commands")]
    for each in OPERATIONS:
        if each.id in OPEN:
            continue
        answer = ask(world, each)
        is_named = "{" in each.path or each.id in BODIES or each.id in QUERIES
        is_refused = is_named or each.id in (*WHOLE, "importGantries")
        assert (answer.status >= 400) is is_refused, (each.id, answer.body)
        if not is_refused:
            assert not SECRET.search(answer.body.decode()), (each.id, answer.body)
    after = [world.get(path, "root") for path in (f"/gantries/{OTHER}", "/alarms", "/commands")]
    assert before == after


def test_own_road(world: WebRig) -> None:
    """What is of the own roads is shown and may be changed; counts are of these alone."""
    overview = world.get("/overview", "gao")
    assert overview["gantries"]["total"] == 1
    assert (overview["incidents"], overview["alarms"], overview["alarmRate"]) == (1, 1, 1)
    assert [each["id"] for each in world.get("/gantries", "gao")["gantries"]] == [MINE]
    assert world.get("/gantries", "gao")["total"] == 1
    alarm = {"gantry": MINE, "alarm": "cabinet-1.mains-abnormal", "note": "seen"}
    assert world.ask("POST", "/alarms/ack", alarm, "gao").json["alarms"][0]["ackedBy"] == "gao"
    assert world.ask("DELETE", "/maintenance?road=G2", who="gao").status == 200
    own_fault = world.ask("POST", "/alarms/ack", {"alarm": "centre.clock"}, "gao")
    assert (own_fault.status, own_fault.error) == (403, "other-road")
    order = {"gantries": [MINE], "method": "cabinetControl", "updateNow": "1"}
    taken = world.ask("POST", "/commands", order, "gao").json["id"]
    assert world.get(f"/commands/{taken}", "gao")["gantries"] == 1


def test_a_command_for_all_is_for_the_own_ones(world: WebRig) -> None:
    """Also the outcomes of a command that somebody gave for both roads."""
    order = {"gantries": {"all": True}, "method": "cabinetControl", "updateNow": "1"}
    assert world.ask("POST", "/commands/preview", order, "gao").json["gantries"] == 1
    listed = world.get("/commands", "gao")["commands"]
    assert [each["gantries"] for each in listed] == [1]
    seen = world.get(f"/commands/{listed[0]['id']}", "gao")
    assert [each["gantry"] for each in seen["outcomes"]] == [MINE]


def test_a_gantry_cannot_be_moved_away(world: WebRig) -> None:
    """Neither into another road, nor out of it."""
    assert world.ask("PUT", f"/gantries/{MINE}", {"road": "G9"}, "gao").error == "other-road"
    assert world.ask("PUT", f"/gantries/{OTHER}", {"road": "G2"}, "gao").error == "no-such-gantry"
    assert world.ask("PUT", "/gantries/G2-new", {}, "gao").error == "other-road"
    assert world.ask("PUT", "/gantries/G2-new", {"road": "G2"}, "gao").status == 200
    taken = world.ask("PUT", "/gantries/G2-new", {"eqSN": "SN-G9"}, "gao")
    assert (taken.status, taken.error) == (409, "taken")
    assert OTHER not in taken.body.decode()


def test_the_stream_is_of_the_own_roads(world: WebRig) -> None:
    """Its snapshot, its counts and its changes."""
    world.streams.startService()
    exchange = world.send("GET", f"{API}/stream", who="gao")
    world.clock.advance(0)
    world.put(OTHER, "root", name="changed")
    world.put(MINE, "root", name="changed too")
    world.clock.advance(1)
    text = exchange.transport.value().decode()
    assert "changed too" in text
    assert not SECRET.search(text)
    total = json.loads(text.partition("event: overview\ndata: ")[2].partition("\n")[0])
    assert total["gantries"]["total"] == 1
    world.streams.stopService()
