"""Alarms and incidents by the API, and what people do about them."""

from typing import Any

import pytest

from tests.centre.store.samples import report
from tests.centre.web.rig import WebRig
from twisted_gantry.centre.store import incidents
from twisted_gantry.centre.web.gantries import PAGE_BYTES
from twisted_gantry.testing.clock import START

MAINS = "cabinet-1.mains-abnormal"
INCIDENT = {"id", "cause", "severity", "road", "section", "since", "gantries", "alarms"}


@pytest.fixture
def mains_off(rig: WebRig) -> WebRig:
    """Three gantries of a section without mains, and one with smoke."""
    for number in range(1, 5):
        rig.put(f"G{number}", road="G2", section="A")
    rig.store.put_all([report(f"G{number}", raised="mains-abnormal") for number in range(1, 4)])
    rig.store.put_all([report("G4", raised="smoke")])
    rig.desk.write(incidents.refresh)
    return rig


def test_incidents(mains_off: WebRig) -> None:
    """One line for a cause, with the shape that programs rely on; one can be asked for alone."""
    found = mains_off.get("/incidents?active=1")
    assert found["after"] is None
    by_cause = {each["cause"]: each for each in found["incidents"]}
    mains = by_cause["mains-abnormal"]
    assert set(mains) >= INCIDENT
    assert (mains["gantries"], mains["road"], mains["section"]) == (3, "G2", "A")
    assert (mains["severity"], mains["messageZh"]) == ("critical", "市电异常")
    assert mains["alarms"] == [MAINS]
    assert mains_off.get(f"/incidents/{mains['id']}") == mains
    assert mains_off.ask("GET", "/incidents/77").error == "no-such-incident"
    assert mains_off.ask("GET", "/incidents/x").error == "no-such-incident"
    children = mains_off.get(f"/alarms?incident={mains['id']}&active=1")["alarms"]
    assert {each["gantry"] for each in children} == {"G1", "G2", "G3"}


def test_overview_and_gantry(mains_off: WebRig) -> None:
    """Counts by state, incidents, and the ledger: what came is stored."""
    overview = mains_off.get("/overview")
    assert overview["gantries"] | {"total": 4, "critical": 4, "well": 0} == overview["gantries"]
    assert (overview["incidents"], overview["alarms"], overview["name"]) == (2, 4, "Shandong")
    assert overview["ledger"] == {
        "received": 4,
        "stored": 4,
        "duplicate": 0,
        "late": 0,
        "refused": 0,
    }
    gantry = mains_off.get("/gantries/G1")
    assert (gantry["state"], gantry["alarms"], gantry["mainsOff"]) == ("critical", [MAINS], True)
    assert [e["id"] for e in mains_off.get("/gantries?state=critical&q=G4")["gantries"]] == ["G4"]


def test_pages_of_gantries(mains_off: WebRig) -> None:
    """A cursor leads on, in each order, through all of them once; it holds for its own order."""
    for sort in ("id", "batteryMinutes", "since"):
        seen: list[str] = []
        after = ""
        while True:
            page = mains_off.get(f"/gantries?sort={sort}&limit=3&after={after}")
            seen += [each["id"] for each in page["gantries"]]
            assert page["total"] == 4
            after = page["after"]
            if after is None:
                break
            assert after.isascii()
            assert after.replace("-", "").replace("_", "").isalnum()
        assert sorted(seen) == ["G1", "G2", "G3", "G4"], sort
    cursor = mains_off.get("/gantries?limit=1")["after"]
    assert mains_off.ask("GET", f"/gantries?sort=since&after={cursor}").error == "bad-cursor"
    assert mains_off.ask("GET", f"/alarms?after={cursor}").error == "bad-cursor"


def test_acknowledge_and_shelve(mains_off: WebRig) -> None:
    """One alarm, or all of an incident; each step is in the audit with its note."""
    rig = mains_off
    one = {"gantry": "G1", "alarm": MAINS}

    def post(what: str, **more: Any) -> Any:
        answer = rig.ask("POST", f"/alarms/{what}", {**one, **more})
        assert answer.status == 200, answer.body
        [alarm] = answer.json["alarms"]
        return alarm

    assert post("ack", note="on my way")["ackedBy"] == "local"
    assert rig.get("/alarms?gantry=G1")["alarms"][0]["note"] == "on my way"
    assert (post("unack")["ackedBy"], post("unack")["state"]) == (None, "raised")
    shelved = post("shelve", **{"for": 60})
    assert (shelved["state"], shelved["muted"]) == ("shelved", True)
    assert shelved["shelvedUntil"] is not None
    assert post("unshelve")["state"] == "raised"
    [mains] = [e for e in rig.get("/incidents")["incidents"] if e["cause"] == "mains-abnormal"]
    answer = rig.ask("POST", "/alarms/ack", {"incident": mains["id"]}).json
    assert len(answer["alarms"]) == 3
    assert rig.get(f"/incidents/{mains['id']}")["ackedBy"] == "local"
    actions = [each["action"] for each in rig.get("/audit?limit=6")["entries"]]
    assert actions[:5] == [
        *("acknowledgeAlarm", "unshelveAlarm", "shelveAlarm", "unacknowledgeAlarm"),
        "unacknowledgeAlarm",
    ]


IMPOSSIBLE: list[tuple[str, Any, int, str]] = [
    ("ack", {"gantry": "G1", "alarm": "cabinet-1.nothing"}, 404, "no-such-alarm"),
    ("ack", {"gantry": "G9", "alarm": MAINS}, 404, "no-such-gantry"),
    ("ack", {"incident": "99"}, 404, "no-such-incident"),
    ("ack", {"incident": "1", "gantry": "G1", "alarm": MAINS}, 400, "bad-request"),
    ("ack", {"gantry": "G1"}, 400, "bad-request"),
    ("shelve", {"gantry": "G4", "alarm": "cabinet-1.smoke", "for": 60}, 409, "never-muted"),
    ("shelve", {"gantry": "G1", "alarm": MAINS, "for": 7 * 86_400 + 1}, 400, "bad-request"),
    ("shelve", {"gantry": "G1", "alarm": MAINS}, 400, "bad-request"),
]


def test_what_cannot_be_done(mains_off: WebRig) -> None:
    """It is told why, in the one shape of errors."""
    for path, body, status, code in IMPOSSIBLE:
        answer = mains_off.ask("POST", f"/alarms/{path}", body)
        assert (answer.status, answer.error_code) == (status, code)


def test_an_alarm_that_is_over(mains_off: WebRig) -> None:
    """It stays in the history, and cannot be acknowledged any more."""
    mains_off.store.put_all([report("G1", START + 300)])
    [alarm] = mains_off.get("/alarms?gantry=G1")["alarms"]
    assert alarm["state"] == "cleared"
    assert alarm["clearedAt"] > alarm["raisedAt"]
    assert mains_off.get("/alarms?gantry=G1&active=1")["alarms"] == []
    answer = mains_off.ask("POST", "/alarms/ack", {"gantry": "G1", "alarm": MAINS})
    assert (answer.status, answer.error) == (409, "not-active")


def test_maintenance(mains_off: WebRig) -> None:
    """Of a gantry, a road or a section: nobody is called there, but for smoke."""
    rig = mains_off
    made = rig.ask("POST", "/maintenance", {"road": "G2", "section": "A", "for": 60, "note": "x"})
    assert made.json == {
        "gantry": "",
        "road": "G2",
        "section": "A",
        "note": "x",
        "by": "local",
        "since": made.json["since"],
        "until": made.json["until"],
    }
    assert rig.get("/maintenance")["maintenance"] == [made.json]
    states = {each["gantry"]: each["state"] for each in rig.get("/alarms")["alarms"]}
    assert (states["G1"], states["G4"]) == ("maintenance", "raised")
    assert rig.ask("POST", "/maintenance", {"section": "A", "for": 6}).error == "bad-request"
    assert rig.ask("DELETE", "/maintenance?road=G2&section=A").status == 200
    assert rig.ask("DELETE", "/maintenance?road=G2&section=A").error == "no-maintenance"
    assert rig.ask("DELETE", "/maintenance").error == "bad-request"
    assert rig.get("/maintenance")["maintenance"] == []


def test_reports_of_a_gantry(mains_off: WebRig) -> None:
    """Newest first, over the end of a day, page by page; the body is its JSON."""
    rig = mains_off
    stamps = [START + hours * 3600 for hours in (-30, -20, -10, -5)]
    rig.store.put_all([report("G3", at, body=b'{"n": %d}' % at, raised="") for at in stamps])
    seen: list[Any] = []
    after: str | None = ""
    while after is not None:
        page = rig.get(f"/gantries/G3/reports?limit=2&until={START - 1}&after={after}")
        seen += page["reports"]
        after = page["after"]
    assert [each["body"]["n"] for each in seen] == [int(at) for at in reversed(stamps)]
    assert all(each["late"] for each in seen)
    assert set(seen[0]) == {"method", "timeStamp", "receivedAt", "late", "body"}
    assert rig.get("/gantries/G3/reports?method=other")["reports"] == []
    since = f"/gantries/G3/reports?since={stamps[2]}&until={stamps[3]}"
    assert [each["body"]["n"] for each in rig.get(since)["reports"]] == [int(stamps[2])]


def test_a_page_of_long_reports_is_shorter(mains_off: WebRig) -> None:
    """A page ends after PAGE_BYTES of reports, with a cursor. A number past all makes its report a
    text, and one with a great exponent is a number.
    """
    rig = mains_off
    long = b'{"n":"%s"}' % (b"x" * PAGE_BYTES)
    bodies = [long, long, b'{"n":1e999}', b'{"n":1e-323}']
    rig.store.put_all(
        [report("G3", START - 5000 + number, body=body) for number, body in enumerate(bodies)]
    )
    first = rig.get(f"/gantries/G3/reports?until={START - 1}")
    shown = [each["body"] for each in first["reports"]]
    assert shown[:2] == [{"n": 1e-323}, '{"n":1e999}']
    assert len(shown) == 3
    rest = rig.get(f"/gantries/G3/reports?until={START - 1}&after={first['after']}")
    assert (len(rest["reports"]), rest["after"]) == (1, None)


def test_the_ledger(mains_off: WebRig) -> None:
    """Received = stored + duplicate + refused, by code; a late report makes a backlog."""
    rig = mains_off
    rig.store.put_all([report("G3", START - 3600, body=b"late"), report("G4", raised="smoke")])
    rig.store.refused("1001")
    found = rig.get("/ledger")
    assert (found["received"], found["stored"], found["duplicate"]) == (7, 5, 1)
    assert (found["refused"], found["refusedBy"], found["late"]) == (1, {"1001": 1}, 1)
    assert found["oldestBacklog"] is not None
    assert rig.get(f"/ledger?since={START + 86_400}")["received"] == 0
    rig.clock.advance(601)
    assert rig.get("/ledger")["oldestBacklog"] is None
