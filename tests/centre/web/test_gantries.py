"""The registry by the API: entries are made, changed and removed; secrets never come back."""

from functools import partial

from tests.centre.web.rig import WebRig
from twisted_gantry.centre.store import registry
from twisted_gantry.wire.secret import Secret

ENTRY = {
    "name": "North",
    "road": "G2",
    "section": "A",
    "stake": "K123+456",
    "direction": "up",
    "remoteControl": "http://192.0.2.9:3699/remotecontrol.do",
    "eqSN": "SN1",
    "auth": "code-1",
    "apiKey": "key-1",
}
SHAPE = {
    *("id", "name", "road", "section", "stake", "direction", "remoteControl", "eqSN", "state"),
    *("since", "lastReport", "batteryMinutes", "alarms"),
}


def secrets_of(rig: WebRig, gantry: str) -> list[str | None]:
    found = rig.desk.write(lambda session: registry.gantry(session, gantry, rig.desk.sealing))
    return [None if each is None else each.reveal() for each in (found.auth, found.api_key)]


def test_put_and_get(rig: WebRig) -> None:
    """A new gantry is there at once; the answer is its entry, without the secrets."""
    answer = rig.ask("PUT", "/gantries/G1", ENTRY)
    assert answer.status == 200
    made = answer.json
    assert set(made) >= SHAPE
    assert {name: made[name] for name in ENTRY if name not in ("auth", "apiKey")} == {
        name: value for name, value in ENTRY.items() if name not in ("auth", "apiKey")
    }
    assert (made["state"], made["lastReport"], made["alarms"]) == ("never", None, [])
    assert (made["hasAuth"], made["hasApiKey"]) == (True, True)
    assert rig.get("/gantries/G1") == made
    assert b"code-1" not in answer.body
    assert secrets_of(rig, "G1") == ["code-1", "key-1"]


def test_what_is_left_out_stays(rig: WebRig) -> None:
    """Also the secrets; an empty one takes it away. What GET gave may be sent back as it is."""
    rig.put("G1", **ENTRY)
    shown = rig.get("/gantries/G1")
    assert rig.put("G1", **{**shown, "name": "South"}) == {**shown, "name": "South"}
    assert secrets_of(rig, "G1") == ["code-1", "key-1"]
    assert rig.put("G1", apiKey="")["hasApiKey"] is False
    assert secrets_of(rig, "G1") == ["code-1", None]


BAD_ENTRIES: list[tuple[str, object, int, str]] = [
    ("G1", {"stake": "123"}, 400, "bad-entry"),
    ("G1", {"remoteControl": "ftp://x"}, 400, "bad-entry"),
    ("G1", {"remoteControl": "http://me:pw@x/"}, 400, "bad-entry"),
    ("G1", {"name": "a\u0000b"}, 400, "bad-entry"),
    ("G" + "1" * 20, {}, 400, "bad-entry"),
    ("..", {}, 400, "bad-entry"),
    ("G1", {"nme": "x"}, 400, "bad-request"),
    ("G1", {"id": "G2"}, 400, "other-id"),
    ("G1", {"eqSN": "SN7"}, 409, "taken"),
]


def test_bad_entries(rig: WebRig) -> None:
    """Nothing of a bad entry is stored."""
    for path, entry, status, code in BAD_ENTRIES:
        rig.put("G7", eqSN="SN7")
        answer = rig.ask("PUT", f"/gantries/{path}", entry)
        assert (answer.status, answer.json["error"]["code"]) == (status, code)
        assert rig.ask("GET", f"/gantries/{path}").status == 404


def test_delete(rig: WebRig) -> None:
    """What is gone answers 404; the answer shows what was removed."""
    rig.put("G1", **ENTRY)
    assert rig.ask("DELETE", "/gantries/G1").json["name"] == "North"
    assert rig.ask("DELETE", "/gantries/G1").error == "no-such-gantry"
    assert rig.get("/gantries")["gantries"] == []


def test_approve(rig: WebRig) -> None:
    """Gantries that registered themselves are listed apart, and count nowhere until a person lets
    them in; if one of several is unknown none is let in.
    """
    sealing = rig.desk.sealing
    for name in ("G8", "G9"):
        rig.desk.write(
            partial(registry.register, gantry_id=name, code=Secret("c"), sealing=sealing)
        )
    pending = rig.get("/gantries?state=pending")
    assert [each["id"] for each in pending["gantries"]] == ["G8", "G9"]
    assert [each["hasAuth"] for each in pending["gantries"]] == [True, True]
    first = rig.get("/gantries?state=pending&limit=1")
    assert ([each["id"] for each in first["gantries"]], first["total"]) == (["G8"], 2)
    rest = rig.get(f"/gantries?state=pending&limit=1&after={first['after']}")
    assert ([each["id"] for each in rest["gantries"]], rest["after"]) == (["G9"], None)
    assert rig.get("/gantries?state=pending&q=9")["total"] == 1
    assert rig.get("/gantries")["total"] == 0
    assert rig.get("/overview")["gantries"]["pending"] == 2
    answer = rig.ask("POST", "/gantries/approve", {"gantries": ["G8", "G5"]})
    assert answer.status == 404
    assert rig.get("/overview")["gantries"]["pending"] == 2
    both = {"gantries": ["G8", "G9", "G8"]}
    assert rig.ask("POST", "/gantries/approve", both).json == {"approved": 2}
    assert rig.ask("POST", "/gantries/approve", both).json == {"approved": 0}
    assert rig.get("/overview")["gantries"] | {"total": 2} == rig.get("/overview")["gantries"]
    assert secrets_of(rig, "G8") == ["c", None]


def test_the_audit_names_who_did_what(guarded: WebRig) -> None:
    """Each change stands there with the person and what is new, newest first, and without secrets;
    pages follow each other.
    """
    guarded.put("G1", "root", **ENTRY)
    guarded.put("G1", "gao", name="South")
    guarded.ask("DELETE", "/gantries/G1", who="root")
    first = guarded.get("/audit?limit=2", "vera")
    second = guarded.get(f"/audit?limit=2&after={first['after']}", "vera")
    entries = [*first["entries"], *second["entries"]]
    assert [(each["who"], each["action"], each["target"]) for each in entries] == [
        ("root", "deleteGantry", "G1"),
        ("gao", "putGantry", "G1"),
        ("root", "putGantry", "G1"),
    ]
    assert entries[1]["details"] == {"name": "South"}
    assert entries[2]["details"]["auth"] == "***"
    assert second["after"] is None
