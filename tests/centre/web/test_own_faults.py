"""Faults of the process itself, as people see them on the page."""

from dataclasses import replace

from tests.centre.web.rig import WebRig
from twisted_gantry.centre.own_troubles import STORE
from twisted_gantry.centre.store import troubles
from twisted_gantry.centre.store.news import NewsReader
from twisted_gantry.centre.store.troubles import Found, Trouble
from twisted_gantry.notify.notice import CRITICAL, WARNING, Notice
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START, ManualClock


def test_a_full_disk_is_in_the_overview(memory: InlineStore, clock: ManualClock) -> None:
    """A worker does not tell the database that its store refuses reports: the overview does."""
    full = Trouble(0, "host", STORE, "critical", "the disk is full", "磁盘已满", START, None)
    rig = WebRig(memory, clock, own=lambda: [full])
    [told] = rig.get("/overview")["troubles"]
    assert (told["alarm"], told["message"], told["process"]) == (STORE, "the disk is full", "host")
    assert WebRig(memory, clock).get("/overview")["troubles"] == []


def test_a_fault_of_the_centre_is_acknowledged(rig: WebRig) -> None:
    """An alarm without a gantry is a fault of the centre: the acknowledgement is shown, told to the
    targets and in the audit, and can be taken back. One that grows worse is news.
    """
    clock = Found("centre.clock", WARNING, "the clock is wrong", "时钟偏差")

    def told() -> Notice:
        [notice] = rig.store.writing(NewsReader().read).notices
        return notice

    rig.store.writing(lambda session: troubles.note(session, "one", [clock]))
    body = {"alarm": "centre.clock"}
    assert not told().acknowledged
    [acked] = rig.ask("POST", "/alarms/ack", {**body, "note": "on my way"}).json["alarms"]
    assert (acked["gantry"], acked["state"], acked["ackedBy"]) == ("", "acknowledged", "local")
    assert rig.get("/overview")["troubles"][0]["ackedBy"] == "local"
    assert told().acknowledged
    [entry] = rig.get("/audit")["entries"]
    assert (entry["action"], entry["target"]) == ("acknowledgeAlarm", "centre.clock")
    rig.store.writing(lambda session: troubles.note(session, "one", [clock]))
    assert told().acknowledged
    [raised] = rig.ask("POST", "/alarms/unack", body).json["alarms"]
    assert (raised["state"], raised["ackedBy"]) == ("raised", None)
    assert not told().acknowledged
    rig.ask("POST", "/alarms/ack", {"alarm": "centre.clock@one"})
    assert told().acknowledged
    worse = replace(clock, severity=CRITICAL)
    rig.store.writing(lambda session: troubles.note(session, "one", [worse]))
    assert not told().acknowledged
    assert rig.get("/overview")["troubles"][0]["ackedBy"] is None


def test_what_is_no_fault_of_the_centre(rig: WebRig) -> None:
    """A fault that is over or unknown is 404; none is shelved."""
    assert rig.ask("POST", "/alarms/ack", {"alarm": "centre.clock"}).error == "no-such-alarm"
    assert rig.ask("POST", "/alarms/unack", {"alarm": "centre.clock"}).error == "no-such-alarm"
    answer = rig.ask("POST", "/alarms/shelve", {"alarm": "centre.clock", "for": 60})
    assert (answer.status, answer.error) == (409, "never-muted")
    assert rig.get("/audit")["entries"] == []
