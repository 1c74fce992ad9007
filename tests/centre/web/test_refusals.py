"""Who was refused at `monitor.do`, as people see it."""

from tests.centre.web.rig import WebRig
from twisted_gantry.centre.store.refusals import Refusal, note


def test_who_was_refused(rig: WebRig) -> None:
    """The last one first, with the code, the reason, and how often."""
    refusals = [
        Refusal("G1", "192.0.2.1", "1001", "wrong or missing binfile-auth", 3, 1.0, 20.0),
        Refusal("", "192.0.2.2", "1002", "the body is no object", 1, 10.0, 10.0),
    ]
    rig.store.write(lambda session: note(session, refusals))
    first, second = rig.get("/refusals")["refusals"]
    assert first["reason"] == "wrong or missing binfile-auth"
    assert (first["gantry"], first["address"], first["code"]) == ("G1", "192.0.2.1", "1001")
    assert (first["times"], first["lastAt"]) == (3, "1970-01-01T08:00:20.000+08:00")
    assert second["gantry"] == ""
    assert rig.get("/refusals?gantry=G1")["refusals"] == [first]
    assert len(rig.get("/refusals?limit=1")["refusals"]) == 1
