"""The control API: the world, the faults, the platform's requests and cards, and its errors."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.twin.helpers import AUTH, GANTRY_ID, NOW, Http, http, report
from twisted_gantry.twin.control import Control
from twisted_gantry.twin.dialects.registry import Voices
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faces.fogslink.cloud import Cloud
from twisted_gantry.twin.faults.settings import ETC, FACES, Faults
from twisted_gantry.twin.notifications import NotificationReceiver
from twisted_gantry.twin.scenarios.runner import Runner
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import Card, CardList, Method


class Bench:
    """A control API over a world and a platform, in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.world = World(random.Random(1))
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.platform = Platform(
            self.faults, self.clock, lambda: NOW, gantry_id=GANTRY_ID, auth=AUTH
        )
        self.monitor = self.platform.site()
        counts = {"ups-tcp": Counter({"answered": 3}), ETC: self.platform.counts}
        cloud = Cloud(self.faults, self.clock, lambda: NOW, {"12345678": "key"})
        runner = Runner(self.world, self.faults, self.platform, lambda: NOW, 1.0)
        voices = Voices({ETC: self.platform.voice})
        receiver = NotificationReceiver("s3cret-key", lambda: NOW)
        parts = (self.world, self.faults, self.platform, cloud, counts, runner, voices, receiver)
        control = Control(*parts)
        self.site = control.site(self.clock)

    def call(
        self, method: str, path: str, body: bytes | dict[str, Any] = b"", **headers: str
    ) -> Http:
        return http(self.site, method, "/twin/v1" + path, body, headers)

    def error(self, method: str, path: str, body: bytes | dict[str, Any] = b"") -> tuple[int, str]:
        """Call the API, check the shape of the error, and return its status and code."""
        exchange = self.call(method, path, body)
        assert exchange.json.keys() == {"error"}
        assert exchange.json["error"].keys() == {"code", "message"}
        return exchange.status, exchange.json["error"]["code"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_world_is_shown_and_changed(bench: Bench) -> None:
    """GET shows the flat state; PATCH changes it and answers the state after it."""
    assert bench.call("GET", "/world").json == bench.world.snapshot()
    changed = bench.call("PATCH", "/world", {"mains.voltage": 0, "ups1.battery_charge": 50})
    assert changed.status == 200
    assert changed.json["ups1.state"] == "battery"
    assert bench.world.snapshot()["ups1.battery_charge"] == 50


def test_an_unknown_name_is_400_and_changes_nothing(bench: Bench) -> None:
    """The error names what is wrong; the good half of the change is not made."""
    exchange = bench.call("PATCH", "/world", {"mains.voltage": 0, "mains.volts": 1})
    assert exchange.status == 400
    assert "mains.volts: there is no such variable" in exchange.json["error"]["message"]
    assert bench.world.snapshot()["mains.voltage_r"] == 220


@pytest.mark.parametrize("path", ["/world", "/etc/cards", "/faults/etc"])
@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "empty"), (b"{}", "empty"), (b"[1]", "not-an-object"), (b"{oh", "not-json")],
)
def test_a_body_that_says_nothing_is_400(bench: Bench, path: str, body: bytes, code: str) -> None:
    """What is written must be a JSON object that sets something."""
    method = "PATCH" if path == "/world" else "PUT"
    assert bench.error(method, path, body) == (400, code)


def test_faults_are_put_shown_and_deleted(bench: Bench) -> None:
    """What is put is in force and shown, until it is deleted."""
    put = bench.call("PUT", "/faults/etc", {"delay": 2.0, "for": 30})
    assert put.json == {"face": "etc", "settings": {"delay": 2.0, "for": 30.0}}
    behaving: dict[str, Any] = {face: {} for face in FACES}
    shown = behaving | {"etc": {"delay": 2.0, "for": 30.0}}
    assert bench.call("GET", "/faults").json == {"faults": shown}
    assert bench.faults.of(ETC).delay == 2
    assert bench.call("DELETE", "/faults/etc").status == 200
    assert bench.faults.of(ETC).delay == 0


def test_an_unknown_face_is_404_and_tells_which_there_are(bench: Bench) -> None:
    """Both verbs name the faces."""
    for method, body in (("PUT", b'{"busy": true}'), ("DELETE", b"")):
        exchange = bench.call(method, "/faults/canbus", body)
        assert exchange.status == 404
        assert ", ".join(FACES) in exchange.json["error"]["message"]


def test_a_bad_fault_is_400(bench: Bench) -> None:
    """An unknown setting is named, and nothing is set."""
    assert bench.error("PUT", "/faults/etc", {"dealy": 1}) == (400, "bad-fault")
    assert bench.error("PUT", "/faults/ups-tcp", {"http_status": 503}) == (400, "bad-fault")
    assert bench.call("GET", "/faults").json == {"faults": {face: {} for face in FACES}}


def test_what_the_platform_received_is_shown(bench: Bench) -> None:
    """Requests are filtered by method, cut to the limit, newest first, 100 without one."""
    for at in range(102):
        body = report(Method.COMPUTER_STATUS if at else Method.CARDS, time_stamp=NOW + at)
        http(bench.monitor, "POST", "/monitor.do", body, etc.signed_headers(body, AUTH))
    newest = bench.call("GET", "/etc/requests?limit=2").json["requests"]
    assert [int(kept["body"]["timeStamp"]) - NOW for kept in newest] == [101, 100]
    assert newest[0].keys() == {"at", "headers", "body", "answer", "reason"}
    assert newest[0]["answer"] == {"code": "1000", "msg": "成功"}
    (cards,) = bench.call("GET", "/etc/requests?method=queryAndGetCardInfo").json["requests"]
    assert cards["body"]["data"] == {"curVersion": "0"}
    everything = bench.call("GET", "/etc/requests")
    assert len(everything.json["requests"]) == 100
    assert AUTH not in json.dumps([kept["headers"] for kept in everything.json["requests"]])


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "x", "1e3", "٣", "9999999999"])
def test_a_bad_limit_is_400(bench: Bench, limit: str) -> None:
    """A limit is 1 to 10,000."""
    path = "/etc/requests?limit=" + "".join(f"%{byte:02X}" for byte in limit.encode())
    assert bench.error("GET", path) == (400, "bad-limit")


CARD = {"cardId": "A1", "validTime": "2026-01-01 00:00:00", "invalidTime": "2027-01-01 00:00:00"}


def test_the_white_list_is_set(bench: Bench) -> None:
    """What is put is what the platform offers from then on; an empty list, too."""
    content = {"version": "20260101000000", "cards": [CARD]}
    assert bench.call("PUT", "/etc/cards", content).json == content
    assert bench.platform.cards == CardList(
        "20260101000000", (Card("A1", CARD["validTime"], CARD["invalidTime"]),)
    )
    assert bench.call("PUT", "/etc/cards", {**content, "cards": []}).status == 200


@pytest.mark.parametrize(
    "content",
    [
        {"version": "2026010100000", "cards": []},
        {"version": 20260101000000, "cards": []},
        {"version": "20260101000000\n", "cards": []},
        {"version": "20260101000000"},
        {"cards": []},
        {"version": "20260101000000", "cards": [], "card": []},
        {"version": "20260101000000", "cards": [{**CARD, "cardId": " "}]},
        {"version": "20260101000000", "cards": [{**CARD, "cardId": 7}]},
        {"version": "20260101000000", "cards": [{**CARD, "validTime": "2026-13-01 00:00:00"}]},
        {"version": "20260101000000", "cards": [{"cardId": "1"}]},
    ],
)
def test_a_bad_white_list_is_400(bench: Bench, content: dict[str, Any]) -> None:
    """A bad list is refused, and the one before it stays."""
    assert bench.error("PUT", "/etc/cards", content) == (400, "bad-cards")
    assert bench.platform.cards is None


def test_counts_are_shown_by_face(bench: Bench) -> None:
    """What each face counted can be read, and the API's own requests with it."""
    counts = bench.call("GET", "/counts").json
    assert counts["ups-tcp"] == {"answered": 3}
    assert counts["control"]["requests"] == 1


def test_an_unknown_path_or_verb_has_the_shape_of_an_error(bench: Bench) -> None:
    """404 and 405 are answered as every error is."""
    assert bench.error("GET", "/weather") == (404, "not-found")
    assert bench.error("DELETE", "/world") == (405, "method-not-allowed")


def test_a_page_from_elsewhere_may_not_write(bench: Bench) -> None:
    """A browser that shows another site's page cannot change the world."""
    origin = "http://evil.example"
    assert bench.call("PATCH", "/world", {"mains.voltage": 0}, Origin=origin).status == 403
    assert bench.call("DELETE", "/faults/etc", Origin=origin).status == 403
    assert bench.world.snapshot()["mains.voltage_r"] == 220
