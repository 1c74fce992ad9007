"""Every operation that reads, over both engines: the same answers of the same statements."""

from tests.centre.store.samples import report
from tests.centre.web.rig import USERS, WebRig
from twisted_gantry.centre.store import incidents
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.centre_operations import OPERATIONS

QUERIES = {
    "listGantries": "?road=G2&section=A&q=G&sort=batteryMinutes&limit=1&state=critical",
    "listReports": "?method=baseInfoUpload&since=1&until=4000000000&limit=1",
    "listAlarms": "?gantry=G1&road=G2&section=A&since=1&until=4000000000&limit=1",
    "listIncidents": "?road=G2&section=A&since=1&limit=1",
    "listAudit": "?since=1&until=4000000000&limit=1",
    "getLedger": "?since=1",
    "listChannels": "?road=G2",
    "listCards": "?road=G2",
    "exportReports": "?gantry=G1",
    "getPicture": "",
}


def test_every_question(store: InlineStore, clock: ManualClock) -> None:
    """Each operation that reads is answered, also for a person who is kept to roads."""
    rig = WebRig(store, clock, USERS)
    for number in (1, 2):
        rig.put(f"G{number}", "root", road="G2", section="A", eqSN=f"S{number}", auth="c")
        store.put_all([report(f"G{number}", raised="mains-abnormal")])
        store.put_all([report(f"G{number}", body=b"2", raised="mains-abnormal")])
    rig.desk.write(incidents.refresh)
    order = {"gantries": {"all": True}, "method": "cabinetControl", "updateNow": "1"}
    taken = rig.ask("POST", "/commands", order, "gao").json["id"]
    [incident] = rig.get("/incidents", "root")["incidents"]
    for who in ("root", "gao"):
        for each in OPERATIONS:
            if each.method != "get" or each.id == "readStream":
                continue
            part = {"getCommand": taken, "getIncident": incident["id"]}.get(each.id, "G1")
            path = each.path.replace("{id}", part).replace("{gantry}", "G1")
            path += QUERIES.get(each.id, "")
            answer = rig.send("GET", path, b"", who).ended()
            refused = who == "gao" and each.id in ("getMetrics", "listUsers")
            assert answer.status == (403 if refused else 200), (who, each.id, answer.body)
            after = each.id.startswith("list") and not refused and answer.json.get("after")
            if after:
                more = f"{path}&after={after}" if "?" in path else f"{path}?after={after}"
                assert rig.send("GET", more, b"", who).ended().status == 200, each.id
    assert rig.get("/gantries?sort=since&limit=1", "gao")["total"] == 2
    assert rig.ask("DELETE", "/gantries/G2", who="gao").status == 200
