"""Commands through the API, and the audit that shows them."""

import json
from typing import Any

import pytest
from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from tests.http_client import Client, now_of
from tests.web.small_site import SmallSite
from twisted_gantry.core.commands.types import CommandResult, Outcome

PATH = "/api/v1/commands"


def wish(command: str = "BZOFF", **more: object) -> dict[str, object]:
    return {"target": "ups1", "command": command, **more}


class TestList:
    """`GET /api/v1/commands`."""

    def test_shape(self, client: Client) -> None:
        """Every device says what it can do, what it takes, and what is dangerous or locked."""
        devices = client.get(PATH).json["devices"]
        assert [each["target"] for each in devices] == ["ups1", "pc1"]
        assert devices[1]["commands"] == []
        commands = {each["command"]: each for each in devices[0]["commands"]}
        assert commands["SOFF"] == {
            "command": "SOFF",
            "en": "output off",
            "zh": "关闭输出",
            "arguments": [],
            "danger": "darkens the gantry",
            "dangerZh": "使门架断电",
            "locked": "",
            "lockedZh": "",
            "endangers": "power",
        }
        assert commands["BZOFF"]["endangers"] is None
        assert commands["locked"]["locked"] == "it is locked"
        assert commands["set-password"]["arguments"] == [
            {"name": "new", "type": "string", "required": True, "secret": True, "choices": []},
            {"name": "times", "type": "integer", "required": False, "secret": False, "choices": []},
        ]


class TestRun:
    """`POST /api/v1/commands`."""

    def test_done(self, small: SmallSite, client: Client) -> None:
        """A command is done by its device, and the answer has exactly the promised keys."""
        answer = client.post(PATH, wish("query", args={"cmd": "QMD"}))
        assert answer.status == 200
        assert answer.json == {"id": "id-1", "result": "done", "detail": "it did", "value": 1.5}
        assert small.ups.told == [("query", {"cmd": "QMD"})]

    def test_an_outcome_in_chinese(self, small: SmallSite, client: Client) -> None:
        """Who reads Chinese is told of an outcome in Chinese, too, at once and in the audit."""
        says = "there is no device 'ups9'"
        body = {"target": "ups9", "command": "BZOFF"}
        answer = client.post(PATH, body, **{"Accept-Language": "zh"}).json
        assert (answer["detail"], answer["detailZh"]) == (says, "没有设备 'ups9'")
        [entry] = client.get("/api/v1/audit", **{"Accept-Language": "zh"}).json["entries"]
        assert (entry["detail"], entry["detailZh"]) == (says, "没有设备 'ups9'")
        assert "detailZh" not in client.get("/api/v1/audit").json["entries"][0]

    def test_arguments_may_be_left_out(self, small: SmallSite, client: Client) -> None:
        """A command without arguments needs no `args`, and no Origin."""
        assert client.post(PATH, wish()).json["result"] == "done"
        assert small.ups.told == [("BZOFF", {})]

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"target": "ups9", "command": "BZOFF"}, "there is no device 'ups9'"),
            (wish("explode"), "cannot do 'explode'"),
            (wish("query"), "'cmd' is missing"),
            (wish("query", args={"cmd": [5]}), "must be of the type str"),
            (wish("query", args={"cmd": "x", "more": 1}), "unknown argument 'more'"),
            (wish("locked"), "it is locked"),
            (wish("locked", confirm=False), "it is locked"),
            (wish("SOFF", args={"x": 1}), "unknown argument 'x'"),
            (wish(expires=0), "an expiry is"),
            (wish(expires=301), "an expiry is"),
        ],
    )
    def test_refused(
        self, small: SmallSite, client: Client, body: dict[str, object], says: str
    ) -> None:
        """What the command door refuses is an outcome, 200, and no device hears of it."""
        answer = client.post(PATH, body)
        assert answer.status == 200
        assert answer.json["result"] == "refused"
        assert says in answer.json["detail"]
        assert small.ups.told == []

    @pytest.mark.parametrize("more", [{}, {"confirm": False}, {"id": "one"}])
    def test_asks(self, small: SmallSite, client: Client, more: dict[str, object]) -> None:
        """A command that asks is 409 with its consequence in both languages, and is not done."""
        answer = client.post(PATH, wish("SOFF", **more))
        assert answer.status == 409
        assert answer.json["error"] == {
            "code": "confirm-needed",
            "message": "SOFF on ups1 darkens the gantry; it needs confirm: true",
            "messageZh": "在 ups1 上执行 SOFF：使门架断电。确认执行须带 confirm: true",
        }
        assert small.ups.told == []
        assert client.get("/api/v1/audit").json["entries"] == []
        assert client.post(PATH, wish("SOFF", **{**more, "confirm": True})).status == 200

    def test_confirmed(self, small: SmallSite, client: Client) -> None:
        """A dangerous command with a yes is done."""
        assert client.post(PATH, wish("SOFF", confirm=True)).json["result"] == "done"
        assert small.ups.told == [("SOFF", {})]

    def test_driver_fails(
        self, small: SmallSite, client: Client, logged_failures: list[Failure]
    ) -> None:
        """A fault of a driver is the outcome `failed`, still 200."""

        def broken() -> Deferred[CommandResult]:
            raise OSError("boom")

        small.ups.answer = broken
        answer = client.post(PATH, wish())
        assert (answer.status, answer.json["result"]) == (200, "failed")
        assert [failure.type for failure in logged_failures] == [OSError]
        logged_failures.clear()

    def test_waits_for_the_outcome(self, small: SmallSite, client: Client) -> None:
        """The answer comes when the outcome is known, not before."""
        ended: Deferred[CommandResult] = Deferred()
        small.ups.answer = lambda: ended
        exchange = client.send("POST", PATH, wish())
        assert not exchange.answered
        ended.callback(CommandResult(Outcome.FAILED, "the card said no"))
        assert exchange.answer().json["detail"] == "the card said no"

    def test_expires(self, small: SmallSite, client: Client) -> None:
        """A command that has not ended when it expires is a `timeout`."""
        small.ups.answer = Deferred
        exchange = client.send("POST", PATH, wish(expires=2.5))
        small.clock.advance(2.4)
        assert not exchange.answered
        small.clock.advance(0.2)
        assert exchange.answer().json["result"] == "timeout"

    def test_same_id_is_one_command(self, small: SmallSite, client: Client) -> None:
        """A command that is sent twice with one id is done once, and answered alike."""
        answers = [client.post(PATH, wish(id="my-1.x_Y")).json for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0]["id"] == "my-1.x_Y"
        assert len(small.ups.told) == 1

    def test_client_goes_away(self, small: SmallSite, client: Client) -> None:
        """A command goes on when its client disconnects, and its outcome is in the audit."""
        ended: Deferred[CommandResult] = Deferred()
        small.ups.answer = lambda: ended
        exchange = client.send("POST", PATH, wish())
        exchange.hang_up()
        assert client.get("/api/v1/audit").json["entries"][0]["result"] == ""
        ended.callback(CommandResult(Outcome.DONE, "late"))
        [entry] = client.get("/api/v1/audit").json["entries"]
        assert (entry["result"], entry["detail"]) == ("done", "late")
        small.ups.answer = lambda: succeed(CommandResult(Outcome.DONE))
        assert client.post(PATH, wish()).json["result"] == "done"  # the device is free again

    @pytest.mark.parametrize("value", [float("nan"), None, True, "text", 7])
    def test_values(self, small: SmallSite, client: Client, value: Any) -> None:
        """Any value that a device answers is JSON; what is no number is null."""
        small.ups.answer = lambda: succeed(CommandResult(Outcome.DONE, "", value))
        expected = None if value != value else value
        assert client.post(PATH, wish()).json["value"] == expected


class TestHostile:
    """Bodies that no program of ours sends."""

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[1]",
            b'"text"',
            b"null",
            b"\xff\xfe",
            b'{"target": "\\ud800", "command": "BZOFF"}',
            b'{"target": "ups1", "command": "BZOFF", "expires": 1e999}',
            b"[" * 15_000,
            b'{"a":' * 10_000,
        ],
    )
    def test_no_object(self, small: SmallSite, client: Client, body: bytes) -> None:
        """What is no JSON object is refused with 400."""
        answer = client.post(PATH, body)
        assert (answer.status, answer.error in ("not-json", "not-an-object")) == (400, True)
        assert small.ups.told == []

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ({}, "target"),
            ({"target": "ups1"}, "command"),
            ({"command": "BZOFF"}, "target"),
            (wish(target=1), "$.target"),
            (wish(target=""), "$.target"),
            (wish(target="x" * 65), "$.target"),
            (wish("x" * 65), "$.command"),
            (wish(args=[]), "$.args"),
            (wish(args=None), "$.args"),
            (wish(args="x"), "$.args"),
            (wish(confirm="yes"), "$.confirm"),
            (wish(confirm=1), "$.confirm"),
            (wish(expires="5"), "$.expires"),
            (wish(expires=True), "$.expires"),
            (wish(id=5), "$.id"),
            (wish(id=""), "$.id"),
            (wish(id="a b"), "$.id"),
            (wish(id="a\n"), "$.id"),
            (wish(id="../x"), "$.id"),
            (wish(id="ü"), "$.id"),
            (wish(id="x" * 65), "$.id"),
            (wish(who="root"), "`who`"),
            (wish(args={"cmd": [[[[[[[[[[1]]]]]]]]]]}), "nested"),
            ({**wish(), "k" * 5000: 1}, "unknown field"),
        ],
    )
    def test_wrong(
        self, small: SmallSite, client: Client, body: dict[str, object], names: str
    ) -> None:
        """A key that is unknown, missing or of the wrong type is refused, and named, briefly."""
        answer = client.post(PATH, body)
        assert (answer.status, answer.error) == (400, "bad-request")
        assert names in answer.json["error"]["message"]
        assert len(answer.json["error"]["message"]) <= 200
        assert small.ups.told == []
        assert now_of(small.site.store.audit(10)) == []

    @pytest.mark.parametrize("path", [PATH, "/api/v1/outbox/retry"])
    def test_foreign_origin(self, small: SmallSite, client: Client, path: str) -> None:
        """A page of another site changes nothing."""
        for origin in (
            "http://evil.example",
            "null",
            "http://127.0.0.1:9999",
            "https://127.0.0.1",
            "x",
        ):
            answer = client.post(path, wish(), Origin=origin)
            assert (answer.status, answer.error) == (403, "foreign-origin"), origin
        assert (small.ups.told, small.etc.retries) == ([], 0)

    def test_own_origin(self, client: Client) -> None:
        """A page of our own may do things."""
        answer = client.post(PATH, wish(), Origin="http://127.0.0.1:8080")
        assert answer.json["result"] == "done"

    def test_too_large(self, small: SmallSite, client: Client) -> None:
        """A body over the bound is refused before anything looks at it."""
        assert client.post(PATH, b" " * 70_000).status == 413
        assert small.ups.told == []


class TestAudit:
    """`/api/v1/audit`."""

    def test_shape(self, small: SmallSite, client: Client) -> None:
        """Entries come newest first, each with exactly the keys that were promised."""
        client.post(PATH, wish("query", args={"cmd": "QMD"}))
        small.clock.advance(1)
        client.post(PATH, wish("SOFF", confirm=True))
        entries = client.get("/api/v1/audit").json["entries"]
        assert [each["command"] for each in entries] == ["SOFF", "query"]
        assert entries[1] == {
            "id": "id-1",
            "at": "2026-11-21T10:00:00.250+08:00",
            "who": "api 192.0.2.7 local",
            "target": "ups1",
            "command": "query",
            "args": {"cmd": "QMD"},
            "result": "done",
            "detail": "it did",
        }

    def test_secret_arguments(self, small: SmallSite, client: Client) -> None:
        """A secret argument reaches the device, and is shown nowhere."""
        answer = client.post(PATH, wish("set-password", args={"new": "hunter2"}))
        assert small.ups.told == [("set-password", {"new": "hunter2"})]
        assert b"hunter2" not in answer.body
        audit = client.get("/api/v1/audit")
        assert audit.json["entries"][0]["args"] == {"new": "***"}
        for path in ("/api/v1/audit", "/api/v1/commands", "/metrics", "/api/v1/site", "/healthz"):
            assert b"hunter2" not in client.get(path).body

    def test_wrong_command_hides_its_arguments(self, client: Client) -> None:
        """The arguments of an unknown command may hold a secret, and are masked."""
        client.post(PATH, wish("set-pasword", args={"new": "hunter2"}))
        assert b"hunter2" not in client.get("/api/v1/audit").body

    def test_limit(self, client: Client) -> None:
        """`limit` bounds how many there are, a hundred if it is not given."""
        for _ in range(105):
            client.post(PATH, wish())
        entries = client.get("/api/v1/audit?limit=3").json["entries"]
        assert [each["id"] for each in entries] == ["id-105", "id-104", "id-103"]
        assert len(client.get("/api/v1/audit").json["entries"]) == 100
        assert len(client.get("/api/v1/audit?limit=1000").json["entries"]) == 105

    def test_bad_limit(self, client: Client) -> None:
        """A limit that is no number from 1 to 1000 is refused."""
        for limit in ("0", "-1", "1001", "ten", "1.5", "10000", "%D9%A3", "9" * 5000):
            answer = client.get(f"/api/v1/audit?limit={limit}")
            assert (answer.status, answer.error) == (400, "bad-limit"), limit

    @pytest.mark.parametrize(
        ("peer", "user", "who"),
        [
            (None, "alice@x.y", "api 192.0.2.7 local (alice@x.y)"),
            (None, "a" * 41, "api 192.0.2.7 local"),
            (None, "two words", "api 192.0.2.7 local"),
            (None, "<script>", "api 192.0.2.7 local"),
            (IPv6Address("TCP", "2001:db8::1", 1), "bob", "api 2001:db8::1 local (bob)"),
            (UNIXAddress("/run/x"), "bob", "api unix local (bob)"),
            (UNIXAddress(None), "", "api unix local"),
        ],
    )
    def test_who(self, client: Client, peer: IAddress | None, user: str, who: str) -> None:
        """The audit says from where a command came, and a user only if the name is harmless."""
        client.peer = peer or client.peer
        client.post(PATH, wish(), X_Gantry_User=user)
        assert client.get("/api/v1/audit").json["entries"][0]["who"] == who

    def test_stored_masked(self, small: SmallSite, client: Client) -> None:
        """What is on the disk holds no secret argument either."""
        client.post(PATH, wish("set-password", args={"new": "hunter2"}))
        rows = small.db.execute("SELECT * FROM audit").fetchall()
        assert "hunter2" not in json.dumps(rows)
