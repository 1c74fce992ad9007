"""Faults of the process itself, as people see them on the page."""

from tests.centre.web.rig import WebRig
from twisted_gantry.centre.own_troubles import STORE
from twisted_gantry.centre.store.inline import InlineStore
from twisted_gantry.centre.store.troubles import Trouble
from twisted_gantry.testing.clock import START, ManualClock


def test_a_full_disk_is_in_the_overview(memory: InlineStore, clock: ManualClock) -> None:
    """A worker does not tell the database that its store refuses reports: the overview does."""
    full = Trouble(0, "host", STORE, "critical", "the disk is full", "磁盘已满", START, None)
    rig = WebRig(memory, clock, own=lambda: [full])
    [told] = rig.get("/overview")["troubles"]
    assert (told["alarm"], told["message"], told["process"]) == (STORE, "the disk is full", "host")
    assert WebRig(memory, clock).get("/overview")["troubles"] == []
