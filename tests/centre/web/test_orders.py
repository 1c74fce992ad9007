"""Commands, white lists, pictures and channels by the API."""

from typing import Any

import pytest

from tests.centre.control.rig import AUTH
from tests.centre.fronts.cloud_rig import pack
from tests.centre.store.samples import report
from tests.centre.web.rig import API, WebRig
from twisted_gantry.centre.store import cloud_sessions
from twisted_gantry.centre.store.cloud_sessions import Opened
from twisted_gantry.wire.centre_orders import MOST_GANTRIES
from twisted_gantry.wire.etc.cards import MOST_CARDS

VALID, INVALID = "2026-01-01 00:00:00", "2027-01-01 00:00:00"
UNLOCK = {"gantries": ["G1"], "method": "cabinetControl", "cmd": "2", "unlockDoorId": "1"}
ALL = {"gantries": {"all": True}, "method": "cabinetControl", "args": {"updateNow": "1"}}


@pytest.fixture
def gantries(rig: WebRig) -> WebRig:
    """Two gantries with a `remotecontrol.do`, and one without."""
    rig.desk.add("G1", "G2", section="A")
    rig.put("G3", road="G2")
    return rig


def ended(rig: WebRig, order: Any) -> Any:
    """Hand a command in, let the worker send it, and return what became of it."""
    sender = rig.desk.sender()
    taken = rig.ask("POST", "/commands", order)
    assert taken.status == 202, taken.body
    rig.clock.advance(1)
    rig.clock.advance(1)
    sender.stopService()
    return rig.get(f"/commands/{taken.json['id']}")


def test_methods_are_known_before(rig: WebRig) -> None:
    """What may be ordered, with its fields and what it endangers, in both languages."""
    methods = {each["name"]: each for each in rig.get("/commands/methods")["methods"]}
    unlock = methods["unlock-door"]
    assert (unlock["method"], unlock["given"]) == ("cabinetControl", {"cmd": "2"})
    assert unlock["fields"] == [{"name": "unlockDoorId", "required": True, "choices": ["1", "2"]}]
    assert (unlock["endangers"], bool(unlock["dangerZh"])) == ("access", True)
    assert methods["update-now"]["endangers"] is None


def test_a_preview_does_nothing(gantries: WebRig) -> None:
    """It counts who can get the command, says why others cannot, and what follows."""
    found = gantries.ask("POST", "/commands/preview", {**UNLOCK, "gantries": {"road": "G2"}}).json
    assert (found["gantries"], found["able"], found["does"]) == (3, 2, ["unlock-door"])
    [unable] = found["unable"]
    assert (unable["gantry"], bool(unable["reason"]), bool(unable["reasonZh"])) == (
        "G3",
        True,
        True,
    )
    assert found["endangers"] == "access"
    assert gantries.get("/commands")["commands"] == []


def test_consent(gantries: WebRig) -> None:
    """A command that can hurt is refused with a question, and runs with its yes; each gantry has
    an outcome of its own.
    """
    answer = gantries.ask("POST", "/commands", UNLOCK)
    assert (answer.status, answer.error_code) == (409, "confirm-needed")
    assert "1" in answer.json["error"]["messageZh"]
    seen = ended(gantries, {**UNLOCK, "gantries": ["G1", "G3"], "confirm": True})
    outcomes = {each["gantry"]: each for each in seen["outcomes"]}
    assert (outcomes["G1"]["outcome"], outcomes["G1"]["code"]) == ("done", "1000")
    assert outcomes["G3"]["outcome"] == "refused"
    assert (seen["over"], seen["counts"]) == (True, {"done": 1, "refused": 1})
    assert [each["cabinetControl"]["unlockDoorId"] for each in gantries.desk.peers["G1"].bodies]
    [entry] = gantries.get("/audit?limit=1")["entries"]
    assert entry["action"] == "runCommand"
    assert entry["details"]["does"] == ["unlock-door"]
    assert AUTH not in str(seen)


def test_the_same_request_is_one_command(gantries: WebRig) -> None:
    """Sent twice with an id, a command is there once; the id is not for another one."""
    first = gantries.ask("POST", "/commands", {**ALL, "id": "a1"}).json
    assert gantries.ask("POST", "/commands", {**ALL, "id": "a1"}).json == first
    other = gantries.ask("POST", "/commands", {**UNLOCK, "confirm": True, "id": "a1"})
    assert (other.status, other.error) == (409, "id-used")
    assert len(gantries.get("/commands")["commands"]) == 1


def test_pages_of_commands_and_outcomes(gantries: WebRig) -> None:
    """Both lists go on behind their cursors."""
    ids = [gantries.ask("POST", "/commands", ALL).json["id"] for _ in range(3)]
    first = gantries.get("/commands?limit=2")
    rest = gantries.get(f"/commands?limit=2&after={first['after']}")
    shown = [each["id"] for each in (*first["commands"], *rest["commands"])]
    assert (sorted(shown), rest["after"]) == (sorted(ids), None)
    page = gantries.get(f"/commands/{ids[0]}?limit=2")
    last = gantries.get(f"/commands/{ids[0]}?limit=2&after={page['after']}")
    assert [each["gantry"] for each in (*page["outcomes"], *last["outcomes"])] == ["G1", "G2", "G3"]
    assert gantries.ask("GET", f"/commands/{ids[1]}?after={page['after']}").error == "bad-cursor"
    assert gantries.ask("GET", "/commands/nothing").error == "no-such-command"


BAD_ORDERS: list[tuple[Any, int, str]] = [
    ({**UNLOCK, "method": "selfDestruct"}, 400, "bad-request"),
    ({**UNLOCK, "unlockDoorID": "1"}, 400, "bad-request"),
    ({**UNLOCK, "args": {"cmd": "2"}}, 400, "bad-request"),
    ({**UNLOCK, "gantries": []}, 400, "bad-request"),
    ({**UNLOCK, "gantries": {"section": "A"}}, 400, "bad-request"),
    ({**UNLOCK, "gantries": ["G9"], "confirm": True}, 404, "no-such-gantry"),
    ({**UNLOCK, "gantries": {"road": "G9"}, "confirm": True}, 404, "no-such-gantry"),
    ({**UNLOCK, "expires": 0}, 400, "bad-request"),
]


def test_bad_commands(gantries: WebRig) -> None:
    """Nothing is ordered of any gantry."""
    for order, status, code in BAD_ORDERS:
        answer = gantries.ask("POST", "/commands", order)
        assert (answer.status, answer.error_code) == (status, code), answer.body
        assert gantries.get("/commands")["commands"] == []


def test_white_lists(gantries: WebRig) -> None:
    """A list for all or for a road; which gantry has which; a list with a mistake changes none."""
    card = {"cardId": "1" * 20, "validTime": VALID, "invalidTime": INVALID}
    made = gantries.ask("PUT", "/cards", {"cards": [card], "version": "20260101000000"})
    assert made.status == 200, made.body
    assert (made.json["road"], made.json["cards"], made.json["never"]) == ("", 1, 3)
    found = gantries.get("/cards?limit=2")
    assert [each["version"] for each in found["lists"]] == ["20260101000000"]
    assert found["gantries"][0]["wanted"] == "20260101000000"
    rest = gantries.get(f"/cards?limit=2&after={found['after']}")
    names = [each["gantry"] for each in (*found["gantries"], *rest["gantries"])]
    assert names == ["G1", "G2", "G3"]
    old = gantries.ask("PUT", "/cards", {"cards": [card], "version": "20250101000000"})
    assert (old.status, old.error_code) == (409, "old-version")
    bad = gantries.ask("PUT", "/cards", {"cards": [card, {"cardId": "x"}]})
    assert (bad.status, bad.json["error"]["code"]) == (400, "bad-cards")
    assert [(each["row"], bool(each["messageZh"])) for each in bad.json["errors"]] == [(2, True)]


def test_a_white_list_may_have_all_the_cards_that_a_gantry_takes(gantries: WebRig) -> None:
    """A long list is set, though it has more values than other bodies may have."""
    times = {"validTime": VALID, "invalidTime": INVALID}
    some = [{"cardId": f"{number:020}", **times} for number in range(6000)]
    assert gantries.ask("PUT", "/cards", {"cards": some}).json["cards"] == 6000
    full = gantries.ask("PUT", "/cards", {"cards": [{}] * MOST_CARDS})
    assert (full.status, full.error_code) == (400, "bad-cards")
    many = gantries.ask("PUT", "/cards", {"cards": [0] * (5 * MOST_CARDS + 1)})
    assert (many.status, many.error_code) == (413, "too-large")


def test_a_command_may_name_all_its_gantries(gantries: WebRig) -> None:
    """A command for MOST_GANTRIES is read, and only then found to name unknown ones."""
    for more, status in ((0, 404), (2000, 413)):
        named = [f"G{number:020}" for number in range(MOST_GANTRIES + more)]
        answer = gantries.ask("POST", "/commands/preview", {**UNLOCK, "gantries": named})
        assert answer.status == status, answer.body


def test_pictures(gantries: WebRig) -> None:
    """What the gantry answers goes to the browser as the picture that it is, and is kept."""
    jpeg = b"\xff\xd8\xff\xe0picture"
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": 'attachment; filename="1.jpg"'}
    gantries.desk.peers["G1"].how = (200, jpeg, headers)
    exchange = gantries.send("GET", f"{API}/pictures/G1?at=1790000000")
    gantries.clock.advance(0)
    answer = exchange.answer()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.body == jpeg
    [kept] = gantries.get("/pictures/G1")["pictures"]
    assert (kept["gantry"], kept["cabinet"]) == ("G1", "1")
    assert gantries.get("/pictures/G2")["pictures"] == []
    assert gantries.ask("GET", "/pictures/G9?at=1790000000").error_code == "no-such-gantry"
    assert gantries.ask("GET", "/pictures/G3?at=1790000000").status == 409


def test_channels(gantries: WebRig) -> None:
    """The values of a device, whether it is connected, and the settings that were asked for."""
    rig = gantries
    rig.put("G1", eqSN="SN1")
    values = pack("1", "221.5", "x", eq_sn="SN1")
    rig.store.put_all([report("G1", None, body=values, method="req200", key="1")])
    rig.desk.write(lambda session: cloud_sessions.renew(session, "front-1"))
    opened = [Opened("G1", "SN1", 1, rig.clock.now())]
    rig.desk.write(lambda session: cloud_sessions.note(session, "front-1", opened, []))
    [device] = rig.get("/channels")["gantries"]
    assert (device["gantry"], device["connected"] is not None) == ("G1", True)
    taken = rig.ask("POST", "/channels/G1", {"channel": "P1-C2", "period": 60})
    assert taken.status == 202
    found = rig.get("/channels/G1")
    assert [(each["channel"], each["value"]) for each in found["channels"]] == [
        ("P0-C1", "221.5"),
        ("P0-C2", "x"),
    ]
    [wish] = found["wishes"]
    assert (wish["id"], wish["channel"], wish["period"], wish["outcome"]) == (
        *(taken.json["id"], "P1-C2", "60"),
        "waiting",
    )
    assert rig.ask("POST", "/channels/G1", {"channel": "P1-C2"}).error == "bad-request"
    assert rig.ask("POST", "/channels/G1", {"channel": "one", "type": 1}).error == "bad-request"
    assert rig.ask("POST", "/channels/G9", {"channel": "P1-C2", "type": 1}).status == 404
