"""The platform: its codes in their order, what it keeps, the white list, its faults."""

import random
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.twin.helpers import AUTH, GANTRY_ID, NOW, Http, http, mistake, report, sentinel_cabinet
from tests.wire.etc.lists import read_whole
from twisted_gantry.twin.faces.etc import platform as twin_etc
from twisted_gantry.twin.faces.etc.platform import KEPT_REQUESTS, Platform
from twisted_gantry.twin.faults.settings import ETC, Faults
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.envelope import Card, CardList, EtcCode, Method


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.now = NOW
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.platform = Platform(
            self.faults, self.clock, lambda: self.now, gantry_id=GANTRY_ID, auth=AUTH, **settings
        )
        self.site = self.platform.site()

    def post(self, body: bytes, auth: str = AUTH, **headers: str) -> Http:
        signed = etc.signed_headers(body, auth) | headers
        return http(self.site, "POST", "/monitor.do", body, signed)

    def code(self, body: bytes, auth: str = AUTH, **headers: str) -> int:
        """Send a signed request and return the code of its answer."""
        exchange = self.post(body, auth, **headers)
        assert exchange.status == 200
        return int(exchange.json["code"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("method", sorted(etc.MONITOR))
def test_a_good_request_is_taken(bench: Bench, method: Method) -> None:
    """Each of the three calls is answered 1000 in the document's words."""
    answer = bench.post(report(method)).json
    assert (answer["code"], answer["msg"]) == ("1000", "成功")
    assert bench.platform.counts[method.value] == 1


def test_1001_comes_before_all_else(bench: Bench) -> None:
    """A wrong code is refused whatever the body is; so is a missing one."""
    assert bench.code(b"no json", "654321") == EtcCode.NOT_ALLOWED
    exchange = http(bench.site, "POST", "/monitor.do", report())
    assert exchange.json["code"] == "1001"


def test_1004_comes_before_the_body_is_read(bench: Bench) -> None:
    """A digest of other bytes is refused, even of bytes that are no JSON."""
    assert bench.code(b"no json", **{etc.MD5_HEADER: "0" * 32}) == EtcCode.INVALID_SIGNATURE
    assert bench.code(report(), **{etc.MD5_HEADER: ""}) == EtcCode.INVALID_SIGNATURE


def test_1002_for_no_json_comes_before_1006(bench: Bench) -> None:
    """What is no JSON object has no version to be wrong."""
    assert bench.code(b"no json") == EtcCode.BAD_PARAMETERS
    assert bench.code(b"[]") == EtcCode.BAD_PARAMETERS


def test_1006_comes_before_the_fields(bench: Bench) -> None:
    """Another version is unknown, whatever else is wrong with the request."""
    assert bench.code(b'{"version": "1002", "gantryId": 5}') == EtcCode.UNKNOWN_VERSION


@pytest.mark.parametrize(
    "body",
    [
        report(gantry_id="G1", time_stamp=NOW - 9999),
        report().replace(b"computerStatusUpdate", b"computerStatusUpdat"),
        report().replace(b'"computerStatus"', b'"computerState"'),
        report().replace(b'"timeStamp"', b'"time"'),
        report().replace(b'"cpuUsage"', b'"cpu"'),
        report(fields={"id": "1"}),
        report(Method.CABINET_STATUS, fields=[]),
        report(Method.CABINET_STATUS).replace(b'"thunderSpd"', b'"spd"'),
        report(Method.CARDS, fields={"curVersion": "1"}),
        report(Method.CARDS, fields={}),
        report(Method.CARDS, fields=[]),
    ],
)
def test_1002_for_fields(bench: Bench, body: bytes) -> None:
    """A wrong gantry, an unknown method, a missing or ill-shaped field: 1002."""
    assert bench.code(body) == EtcCode.BAD_PARAMETERS


@pytest.mark.parametrize(
    ("skew", "code"), [(300, 1000), (-300, 1000), (301, 1003), (-301, 1003), (86400, 1003)]
)
def test_1003_for_a_clock_off_by_more_than_300_s(bench: Bench, skew: float, code: int) -> None:
    """The clock of a gantry may be off by five minutes, either way."""
    assert bench.code(report(time_stamp=NOW + skew)) == code


def test_1008_for_a_mistake_of_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """An exception is logged and answered 1008, without its text."""
    with mistake(twin_etc, "decode_report", monkeypatch, logged_failures):
        exchange = bench.post(report())
    assert (exchange.status, exchange.json["code"]) == (200, "1008")
    assert b"secret" not in exchange.raw


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 404), ("POST", "/monitor", 404), ("GET", "/monitor.do", 405)],
)
def test_other_paths_and_verbs_are_plain_http(
    bench: Bench, method: str, path: str, status: int
) -> None:
    """There is one entry point, and it is POSTed to."""
    assert http(bench.site, method, path).status == status
    assert bench.platform.requests() == []


def test_a_body_over_1_mib_is_413(bench: Bench) -> None:
    """A body of 1 MiB is read (and found wanting), one more byte is not."""
    assert bench.code(b"x" * etc.MAX_BODY) == EtcCode.BAD_PARAMETERS
    assert bench.post(b"x" * (etc.MAX_BODY + 1)).status == 413


def test_requests_are_kept_newest_first(bench: Bench) -> None:
    """Each is kept with its time, its body decoded and its answer; the filter and limit hold."""
    bench.post(report(Method.CABINET_STATUS))
    bench.now += 1.5
    bench.post(report())
    bench.now += 1
    bench.post(b"{not json")
    kept = bench.platform.requests()
    assert [entry["answer"]["code"] for entry in kept] == ["1002", "1000", "1000"]
    assert kept[0]["body"] == "{not json"
    assert kept[1]["body"]["method"] == "computerStatusUpdate"
    assert kept[1]["at"] == "2026-09-21T22:13:21.500+08:00"
    assert kept[2]["body"]["cabinetStatus"]["doors"]["status"] == "NotSupport"
    assert len(bench.platform.requests(limit=1)) == 1
    (only,) = bench.platform.requests("cabinetStatusUpdate")
    assert only == kept[2]
    assert bench.platform.requests("cardInfo") == []


def test_keys_are_shown_as_they_came(bench: Bench) -> None:
    """A stray space in a key is taken, and can be seen in what was received."""
    body = report().replace(b'"method"', b'" method"')
    assert bench.code(body) == 1000
    (kept,) = bench.platform.requests("computerStatusUpdate")
    assert " method" in kept["body"]


def test_json5_is_taken_and_shown(bench: Bench) -> None:
    """A trailing comma is taken, and the body is shown decoded all the same."""
    assert bench.code(report()[:-1] + b",}") == 1000
    assert bench.platform.requests()[0]["body"]["gantryId"] == GANTRY_ID


def test_the_code_is_never_shown(bench: Bench) -> None:
    """The authentication code is masked in the kept headers, right or wrong."""
    bench.post(report())
    bench.post(report(), "wrong-code")
    for kept in bench.platform.requests():
        assert kept["headers"]["binfile-auth"] == "***"
        assert AUTH not in str(kept["headers"])
        assert "wrong-code" not in str(kept)
        assert kept["headers"]["binfile-md5"] == etc.digest(report())


def test_old_requests_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound in number, and in bytes, the oldest are forgotten."""
    assert KEPT_REQUESTS == 10_000
    monkeypatch.setattr(twin_etc, "KEPT_REQUESTS", 3)
    for at in range(5):
        bench.post(report(time_stamp=NOW + at))
    stamps = [int(kept["body"]["timeStamp"]) - NOW for kept in bench.platform.requests()]
    assert stamps == [4, 3, 2]
    monkeypatch.setattr(twin_etc, "KEPT_BYTES", 2 * len(report()))
    bench.post(report(time_stamp=NOW + 5))
    assert len(bench.platform.requests()) == 2


def test_the_white_list_is_offered_to_who_has_less(bench: Bench) -> None:
    """A newer list is answered whole; to who has it, there is nothing newer."""
    card = Card("1", "2026-01-01 00:00:00", "2027-01-01 00:00:00")
    ask = report(Method.CARDS)
    assert bench.post(ask).json["data"] == {"isExistLatestVersion": "0"}
    bench.platform.cards = CardList("20260101000000", (card,))
    assert read_whole(decode_answer(bench.post(ask).body)).cards == bench.platform.cards
    same = report(Method.CARDS, fields={"curVersion": "20260101000000"})
    assert bench.post(same).json["data"] == {"isExistLatestVersion": "0"}
    (kept, *_) = bench.platform.requests(Method.CARDS.value)
    assert kept["answer"]["data"] == {"isExistLatestVersion": "0"}


def test_a_platform_may_know_every_gantry() -> None:
    """Any id is taken then, under the same code and no other."""
    strict, open_ = Bench(), Bench(any_gantry=True)
    other = report(gantry_id="G000211001002110099")
    assert strict.post(other).json["code"] == "1002"
    assert open_.post(other).json["code"] == open_.post(report()).json["code"] == "1000"
    assert open_.post(other, auth="wrong").json["code"] == "1001"


def kept_codes(bench: Bench) -> list[Any]:
    return [kept["answer"] and kept["answer"]["code"] for kept in bench.platform.requests()]


def test_delay_holds_the_answer_back(bench: Bench) -> None:
    """The request is taken at once, the answer comes later."""
    bench.faults.put(ETC, {"delay": 2})
    exchange = bench.post(report())
    assert kept_codes(bench) == ["1000"]
    bench.clock.advance(1.9)
    assert exchange.raw == b""
    bench.clock.advance(0.1)
    assert exchange.json["code"] == "1000"


def test_drop_loses_the_acknowledgement_after_the_commit(bench: Bench) -> None:
    """The report is kept as taken, and the connection is cut."""
    bench.faults.put(ETC, {"drop": 1})
    exchange = bench.post(report())
    assert exchange.raw == b""
    assert exchange.transport.disconnecting
    assert kept_codes(bench) == ["1000"]


def test_refuse_cuts_before_anything_is_taken(bench: Bench) -> None:
    """Nothing is kept of a refused connection."""
    bench.faults.put(ETC, {"refuse": True})
    exchange = bench.post(report())
    assert exchange.raw == b""
    assert exchange.transport.disconnecting
    assert kept_codes(bench) == []
    assert bench.platform.counts["cut"] == 1


def test_garbage_is_a_200_that_is_no_json(bench: Bench) -> None:
    """The report is taken, and the answer cannot be read."""
    bench.faults.put(ETC, {"garbage": 1})
    exchange = bench.post(report())
    assert exchange.status == 200
    with pytest.raises(ValueError):
        decode_answer(exchange.body)
    assert kept_codes(bench) == ["1000"]


def test_half_an_answer_is_cut_short(bench: Bench) -> None:
    """The report is taken; the answer ends short of its length, and the connection with it."""
    whole = len(bench.post(report()).body)
    bench.faults.put(ETC, {"half": 1})
    exchange = bench.post(report(time_stamp=NOW + 1))
    assert exchange.status == 200
    assert f"Content-Length: {whole}".encode() in exchange.raw
    assert len(exchange.body) == whole // 2
    assert exchange.transport.disconnecting
    assert kept_codes(bench) == ["1000", "1000"]
    assert not bench.clock.getDelayedCalls()


def test_half_an_answer_that_is_not_read_is_cut_off(bench: Bench) -> None:
    """A client that does not let go is not waited for."""
    cut: list[object] = []
    bench.faults.put(ETC, {"half": 1, "delay": 1})
    exchange = bench.post(report())
    transport: Any = exchange.transport
    transport.abortConnection = lambda: cut.append(transport)
    bench.clock.advance(1)
    assert exchange.transport.disconnecting
    assert cut == []
    bench.clock.advance(3)
    assert cut == [transport]
    exchange.close()


def test_a_slow_drip_comes_whole_in_the_end(bench: Bench) -> None:
    """So many bytes a second; an answer of no bytes comes at once."""
    bench.faults.put(ETC, {"drip": 10})
    exchange = bench.post(report())
    assert len(exchange.body) == 1
    bench.clock.pump([0.1] * 9)
    assert len(exchange.body) == 10
    bench.clock.pump([0.1] * 100)
    assert exchange.json["code"] == "1000"
    bench.faults.put(ETC, {"drip": 10, "http_status": 503})
    assert bench.post(report()).status == 503


def test_a_frozen_platform_takes_it_when_it_is_over(bench: Bench) -> None:
    """Nothing is taken and nothing answered until then; who left is forgotten."""
    bench.faults.put(ETC, {"frozen": True})
    waiting, gone = bench.post(report()), bench.post(report(time_stamp=NOW + 1))
    gone.close()
    bench.clock.pump([0.1] * 100)
    assert waiting.raw == b""
    assert kept_codes(bench) == []
    bench.faults.clear(ETC)
    bench.clock.advance(0.1)
    assert waiting.json["code"] == "1000"
    assert kept_codes(bench) == ["1000"]
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize("fault", ["frozen", "refuse"])
def test_a_wrong_path_is_answered_no_more_than_a_right_one(bench: Bench, fault: str) -> None:
    """A face that is frozen or refuses does not look at paths."""
    bench.faults.put(ETC, {fault: True})
    exchange = http(bench.site, "GET", "/nothing/here")
    assert exchange.raw == b""
    bench.faults.clear(ETC)
    bench.clock.advance(0.1)
    assert exchange.transport.disconnecting
    assert exchange.raw[9:12] == (b"404" if fault == "frozen" else b"")


def test_a_drip_that_freezes(bench: Bench) -> None:
    """It stops in the midst, and goes on when it is over."""
    bench.faults.put(ETC, {"drip": 10})
    exchange = bench.post(report())
    bench.clock.pump([0.1] * 5)
    bench.faults.put(ETC, {"frozen": True, "for": 5})
    got = len(exchange.body)
    bench.clock.pump([0.1] * 45)
    assert len(exchange.body) == got
    bench.clock.pump([0.1] * 100)
    assert exchange.json["code"] == "1000"


def test_a_platform_that_freezes_before_its_answer(bench: Bench) -> None:
    """What was taken is answered when it is over."""
    bench.faults.put(ETC, {"delay": 1})
    exchange = bench.post(report())
    bench.faults.put(ETC, {"frozen": True, "for": 5})
    bench.clock.pump([0.1] * 45)
    assert exchange.raw == b""
    bench.clock.pump([0.1] * 10)
    assert exchange.json["code"] == "1000"


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"busy": True}, "1005"), ({"code": "1008"}, "1008"), ({"code": "4711"}, "4711")],
)
def test_busy_and_code_are_answered_and_nothing_is_taken(
    bench: Bench, fault: dict[str, Any], code: str
) -> None:
    """Even a good request gets that code, and counts as no report."""
    bench.faults.put(ETC, fault)
    assert bench.post(report()).json["code"] == code
    assert kept_codes(bench) == [code]
    assert bench.platform.counts["computerStatusUpdate"] == 0


def test_http_status_is_answered_without_a_body(bench: Bench) -> None:
    """An HTTP error is no answer of the interface."""
    bench.faults.put(ETC, {"http_status": 503})
    exchange = bench.post(report())
    assert (exchange.status, exchange.body) == (503, b"")
    assert kept_codes(bench) == [None]


def test_a_client_that_goes_during_a_delay_leaves_nothing(bench: Bench) -> None:
    """The answer that waits is forgotten with its connection."""
    bench.faults.put(ETC, {"delay": 2})
    bench.post(report(Method.CABINET_STATUS, fields=sentinel_cabinet())).close()
    assert not bench.clock.getDelayedCalls()
