"""The API as a whole: every operation is routed, has its role, and errors have one shape."""

import pytest

from tests.centre.web.rig import API, WebRig
from twisted_gantry.centre.web.api import CentreApi
from twisted_gantry.centre.web.openapi import document
from twisted_gantry.wire.centre_operations import OPERATIONS


def test_every_operation_has_a_handler() -> None:
    """A centre without one of them does not start."""
    with pytest.raises(ValueError, match="no handler for"):
        CentreApi({}, None, {})  # type: ignore[arg-type]


def test_the_document_has_every_operation(rig: WebRig) -> None:
    """The document that is served names each operation, with its role; references lead on."""
    found = rig.send("GET", "/api/openapi.json").ended().json
    assert found == document("1.2.3")
    named = {
        (method, path, each.get("x-role", "viewer"))
        for path, methods in found["paths"].items()
        for method, each in methods.items()
    }
    assert named == {(each.method, each.path, each.role) for each in OPERATIONS}
    ids = [each.id for each in OPERATIONS]
    assert len(set(ids)) == len(ids)
    assert found["paths"]["/healthz"]["get"]["security"] == []
    taken = found["paths"]["/api/v1/commands"]["post"]["responses"]
    assert sorted(taken) == ["202", "default"]


def test_errors_have_one_shape(rig: WebRig) -> None:
    """As the gantry's: a code and a sentence; a path that is unknown, another method."""
    assert rig.ask("GET", "/nothing").error == "not-found"
    answer = rig.ask("POST", "/overview")
    assert (answer.status, answer.error) == (405, "method-not-allowed")
    for path, code in (
        ("/gantries?limit=0", "bad-limit"),
        ("/gantries?limit=1001", "bad-limit"),
        ("/gantries?state=unwell", "bad-state"),
        ("/gantries?sort=name", "bad-sort"),
        ("/gantries?after=abc", "bad-cursor"),
        ("/alarms?since=yesterday", "bad-time"),
        ("/alarms?since=20&until=10", "bad-time"),
    ):
        answer = rig.ask("GET", path)
        assert (answer.status, answer.error) == (400, code), path


def test_roles(guarded: WebRig) -> None:
    """Each operation lets in the role that it states, and none below."""
    order = ["viewer", "operator", "admin"]
    people = {"vera": "viewer", "otto": "operator", "root": "admin"}
    for each in OPERATIONS:
        path = each.path.replace("{id}", "G9").replace("{gantry}", "G9")
        if each.id == "readStream":
            continue
        for who, role in people.items():
            exchange = guarded.send(each.method.upper(), path, b"{}", who)
            status = exchange.ended().status
            allowed = order.index(role) >= order.index(each.role)
            assert (status == 403) is not allowed, (each.id, who, status)
        assert guarded.send(each.method.upper(), path).ended().status in (
            (200, 503) if path == "/healthz" else (401,)
        )


def test_whoami_and_users(guarded: WebRig) -> None:
    """People are named with their roads; no secret is shown."""
    assert guarded.get("/whoami", "gao") == {"name": "gao", "role": "admin", "roads": ["G2"]}
    users = guarded.get("/users", "root")["users"]
    assert [each["name"] for each in users] == ["root", "otto", "vera", "gao"]
    assert users[0] == {
        "name": "root",
        "role": "admin",
        "roads": None,
        "password": True,
        "token": False,
    }


def test_health(rig: WebRig, guarded: WebRig) -> None:
    """A store that takes nothing is 503; strangers learn the status alone."""
    assert rig.send("GET", "/healthz").ended().json["status"] == "ok"
    rig.store.trouble = "the disk is full"
    answer = rig.send("GET", "/healthz").ended()
    assert (answer.status, answer.json["reasons"]) == (503, ["the disk is full"])
    answer = guarded.send("GET", "/healthz").ended()
    assert (answer.status, answer.json) == (
        503,
        {"status": "failing", "reasons": [], "notes": [], "role": ""},
    )


def test_no_answer_without_a_database(rig: WebRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store cannot do is 503, in the shape of errors."""
    from twisted.internet.defer import fail

    from twisted_gantry.centre.interfaces import NotStored

    monkeypatch.setattr(rig.store, "write", lambda job: fail(NotStored("no standby")))
    answer = rig.ask("PUT", "/gantries/G1", {})
    assert (answer.status, answer.error) == (503, "store-failed")
    assert API not in answer.json["error"]["message"]
