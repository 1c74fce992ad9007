"""The EMS face: the three calls, what it refuses, how stale a GET is, its faults."""

import random
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.twin.helpers import Http, http, mistake
from tests.wire.material import NASTY
from twisted_gantry.twin.faces.bms import BASE_PATH, LIMITS, REFRESH_S, Ems
from twisted_gantry.twin.faults.settings import EMS, Faults
from twisted_gantry.twin.world.storage import Storage
from twisted_gantry.wire import bms as wire_bms

UID = "bms-0001"
CONTROL, SYNC = f"{BASE_PATH}/bms-control", f"{BASE_PATH}/bms-control/sync"


class Bench:
    """An EMS with two stores, on a clock that moves with their world."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store, self.other = Storage(), Storage()
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.ems = Ems({UID: self.store, "7": self.other}, self.faults, self.clock)
        self.site = self.ems.site()

    def run(self, seconds: float) -> None:
        for store in (self.store, self.other):
            store.step(seconds)
        self.clock.advance(seconds)

    def post(self, body: bytes | str | dict[str, Any]) -> Http:
        return http(self.site, "POST", CONTROL, body)

    def status(self, *, sync: bool = False, uid: str = UID) -> tuple[str, int, int]:
        """Return the message and the two numbers of a good GET or PUT."""
        method, path = ("PUT", SYNC) if sync else ("GET", CONTROL)
        exchange = http(self.site, method, f"{path}?device_uid={uid}")
        reply = exchange.json
        assert (exchange.status, reply["code"], reply["data"]["device_uid"]) == (200, 0, uid)
        return reply["message"], reply["data"]["alarm_status"], reply["data"]["operating_status"]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_three_commands_act_on_the_world(bench: Bench) -> None:
    """Open, close and reset are done by the store, and answered in the document's words."""
    assert bench.post({"device_uid": UID, "command": 3}).json == {
        "code": 0,
        "message": "PCS控制下发成功",
        "data": "",
    }
    bench.run(1)
    assert not bench.store.contactor_closed
    assert bench.other.contactor_closed
    bench.store.temperature_c = 80.0
    bench.store.settle()
    bench.store.temperature_c = 20.0
    bench.store.settle()
    assert len(bench.store.alarms) == 1
    bench.post({"device_uid": UID, "command": 1})
    assert not bench.store.alarms
    bench.post({"device_uid": UID, "command": 2})
    bench.run(1)
    assert bench.store.contactor_closed


def test_the_contactor_opens_at_any_time(bench: Bench) -> None:
    """The EMS opens it while it charges: to refuse that is the other side's."""
    bench.store.demand_w = 50_000.0
    bench.store.settle()
    assert bench.status(sync=True) == ("PCS状态同步成功", 0, 3)
    assert bench.post({"device_uid": UID, "command": 3}).status == 200
    bench.run(1)
    assert bench.status(sync=True)[2] == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"device_uid": "7", "command": "3"}',
        '{"device_uid": 7, "command": 3}',
        '{"bmsControl": {"device_uid": "7", "command": 3}}',
        "{device_uid: '7', ' command ': 3,}",
    ],
)
def test_it_takes_what_the_document_leaves_open(bench: Bench, body: str) -> None:
    """Numeric text, the wrapper, loose spelling."""
    assert bench.post(body).status == 200
    bench.run(1)
    assert not bench.other.contactor_closed
    assert bench.store.contactor_closed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'{"command": 3}',
        b'{"device_uid": "bms-0001"}',
        b'{"device_uid": "bms-0002", "command": 3}',
        b'{"device_uid": "bms-0001", "command": 4}',
        b'{"device_uid": "bms-0001", "command": "open"}',
        b'{"device_uid": ["bms-0001"], "command": 3}',
    ],
)
def test_a_wrong_command_is_400_and_100001(bench: Bench, body: bytes) -> None:
    """An unknown device, a wrong type, a command out of range, no JSON: nothing is done."""
    exchange = bench.post(body)
    reply = exchange.json
    assert (exchange.status, reply["code"], reply["message"]) == (400, 100001, "参数格式错误")
    assert isinstance(reply["data"], str)
    bench.run(1)
    assert bench.store.contactor_closed
    assert bench.ems.counts["wrong"] == 1


def test_nasty_bodies_are_answered_and_survived(bench: Bench) -> None:
    """Bytes that no decoder takes are a wrong command; what is too long is cut off."""
    for body in NASTY.values():
        assert bench.post(body).status == (400 if len(body) <= LIMITS.body else 413)
    assert bench.status(sync=True)[2] == 2


@pytest.mark.parametrize("query", ["", "?device_uid=", "?device_uid=x", "?device=7", "?device_uid"])
@pytest.mark.parametrize(("method", "path"), [("GET", CONTROL), ("PUT", SYNC)])
def test_an_unknown_device_is_400_and_100001(
    bench: Bench, method: str, path: str, query: str
) -> None:
    """A GET and a PUT name a known device."""
    exchange = http(bench.site, method, path + query)
    assert (exchange.status, exchange.json["code"]) == (400, 100001)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", CONTROL, 405), ("GET", SYNC, 405), ("POST", "/bms-control", 404), ("GET", "/", 404)],
)
def test_another_path_or_verb_is_plain_http(
    bench: Bench, method: str, path: str, status: int
) -> None:
    """What the document does not have is 404 or 405."""
    assert http(bench.site, method, path).status == status


def test_a_get_is_stale_until_a_sync(bench: Bench) -> None:
    """A GET shows what the cloud last heard: at the last PUT, or half a minute ago."""
    bench.run(1)
    bench.store.demand_w = -20_000.0
    bench.store.settle()
    assert bench.status() == ("", 0, 2)
    assert bench.status(sync=True) == ("PCS状态同步成功", 0, 4)
    assert bench.status() == ("", 0, 4)
    bench.store.temperature_c = 90.0
    bench.store.settle()
    bench.run(REFRESH_S - 1)
    assert bench.status() == ("", 0, 4)
    bench.run(1)
    assert bench.status() == ("", 1, 1)
    assert bench.ems.counts["read"] == 4
    assert bench.ems.counts["sync"] == 1


def test_a_mistake_of_ours_is_a_500(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """It is logged, and told as plain HTTP."""
    with mistake(wire_bms, "decode_control", monkeypatch, logged_failures):
        assert bench.post({"device_uid": UID, "command": 3}).status == 500


OPEN = {"device_uid": UID, "command": 3}


def acted(bench: Bench) -> bool:
    bench.run(1)
    return not bench.store.contactor_closed


@pytest.mark.parametrize(
    ("faults", "status", "body"),
    [
        ({"busy": True}, 429, b""),
        ({"http_status": 503}, 503, b""),
        ({"http_status": 503, "code": "5", "busy": True}, 503, b""),
        ({"code": "-12", "busy": True}, 200, b'{"code":-12,"message":"","data":""}'),
    ],
)
def test_what_turns_away_does_nothing(
    bench: Bench, faults: dict[str, Any], status: int, body: bytes
) -> None:
    """Busy, a status and a code: the first of them decides, and the store stays as it is."""
    bench.faults.put(EMS, faults)
    exchange = bench.post(OPEN)
    assert (exchange.status, exchange.body) == (status, body)
    assert not acted(bench)


def test_refuse_cuts_before_and_drop_after_it_is_done(bench: Bench) -> None:
    """Both cut the connection without an answer; only the first leaves the world alone."""
    bench.faults.put(EMS, {"refuse": True})
    assert bench.post(OPEN).raw == b""
    assert not acted(bench)
    bench.faults.put(EMS, {"drop": 1.0})
    assert bench.post(OPEN).raw == b""
    assert acted(bench)
    assert bench.ems.counts["cut"] == 2


def test_garbage_is_a_200_that_is_no_json(bench: Bench) -> None:
    """It is done, and what comes back cannot be read."""
    bench.faults.put(EMS, {"garbage": 1.0})
    exchange = bench.post(OPEN)
    assert exchange.status == 200
    with pytest.raises(ValueError):
        exchange.body.decode()
    assert acted(bench)


def test_half_an_answer_is_of_something_done(bench: Bench) -> None:
    """It ends short of its length, and the connection with it; what drips is whole in the end."""
    bench.faults.put(EMS, {"drip": 10})
    slow = bench.post({**OPEN, "command": 1})
    bench.clock.pump([0.1] * 100)
    assert slow.json["code"] == 0
    bench.faults.put(EMS, {"half": 1.0})
    exchange = bench.post(OPEN)
    assert len(exchange.body) == len(slow.body) // 2
    assert exchange.transport.disconnecting
    assert acted(bench)


def test_a_frozen_ems_does_nothing_yet(bench: Bench) -> None:
    """It does it when it is over."""
    bench.faults.put(EMS, {"frozen": True})
    exchange = bench.post(OPEN)
    bench.clock.advance(60)
    assert not acted(bench)
    bench.faults.clear(EMS)
    bench.clock.advance(0.1)
    assert acted(bench)
    assert exchange.json["code"] == 0


def test_a_delayed_answer_is_of_something_done_at_once(bench: Bench) -> None:
    """The command acts when it comes; its answer takes its time."""
    bench.faults.put(EMS, {"delay": 5.0})
    exchange = bench.post(OPEN)
    assert acted(bench)
    assert exchange.raw == b""
    bench.clock.advance(4)
    assert exchange.status == 200


def test_a_client_that_leaves_before_its_answer_does_no_harm(bench: Bench) -> None:
    """Nothing is left behind, and the next is served."""
    bench.faults.put(EMS, {"delay": 5.0})
    bench.post(OPEN).close()
    bench.faults.clear(EMS)
    assert bench.status(sync=True)[2] == 2
    bench.clock.advance(10)
    assert bench.clock.getDelayedCalls() == []
