"""The platform as it commands: a signed request to a gantry, and the answer as it came."""

from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource

from tests.devices.upscard.rigs import client_to
from tests.support import MemoryNetwork, TestClock, fired
from tests.twin.faces.cabinet.bench import Bench, Wire
from tests.twin.helpers import AUTH, GANTRY_ID, Http, http, report
from twisted_gantry.net.http.server import bounded_site
from twisted_gantry.twin.faces.etc.control import EtcControl
from twisted_gantry.twin.faces.etc.entry import LIMITS
from twisted_gantry.twin.faces.etc.platform import REMOTE_URL, NotReached, Platform
from twisted_gantry.twin.faults.settings import ETC, Faults
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import Card, CardList, Method

PICTURE = b"\xff\xd8 a picture"
STRICT: Any = {"auth": AUTH, "methods": etc.REMOTE_CONTROL, "gantry_id": GANTRY_ID, "skew": 300}


class Gantry(Resource):
    """A `remotecontrol.do` that answers what the test says."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.status, self.answer = 200, b'{"code": "1000", "msg": "ok"}'
        self.headers = {"Content-Type": "application/json"}
        self.got: list[tuple[dict[str, str], bytes]] = []

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        given = request.requestHeaders.getAllRawHeaders()
        headers = {name.decode().lower(): values[-1].decode() for name, values in given}
        self.got.append((headers, request.content.read()))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name.encode(), value.encode())
        return self.answer


class Rig:
    """A platform with a way to a gantry, and the control API over it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = TestClock()
        self.gantry = Gantry()
        self.wire = Wire(self.gantry)
        self.clock.network = self.wire
        self.faults = Faults(self.clock.seconds, Random(1))
        self.platform = Platform(
            self.faults,
            self.clock,
            self.clock.now,
            gantry_id=GANTRY_ID,
            auth=AUTH,
            client=self.wire.client(self.clock),
            **settings,
        )
        control = EtcControl(self.platform)
        self.site = bounded_site(control.app.resource(), self.clock, LIMITS, self.platform.counts)

    def command(self, method: Method, fields: Any) -> Any:
        """Send a command, and return the answer, or the failure's exception."""
        sent: Deferred[Any] = ensureDeferred(self.platform.command(method, fields))
        results = fired(sent)
        self.clock.run(11, 1.0)
        (result,) = results
        return result.value if isinstance(result, Failure) else result

    def call(self, method: str, path: str, body: bytes | dict[str, Any] = b"", **h: str) -> Http:
        exchange = http(self.site, method, path, body, h)
        self.clock.run(11, 1.0)
        return exchange


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_command_is_signed_and_stamped(rig: Rig) -> None:
    """What arrives passes the checks of a strict receiver."""
    answer = rig.command(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    assert answer == {"code": "1000", "msg": "ok"}
    ((headers, body),) = rig.gantry.got
    request = etc.check_request(body, headers, **STRICT, now=rig.clock.now())
    assert request.fields == {"cmd": "2", "unlockDoorId": "1"}
    assert rig.wire.urls == [REMOTE_URL]
    assert rig.platform.counts["commands"] == 1


def checked(rig: Rig, number: int = 0) -> etc.EtcCode:
    """Return the code of a strict gantry for a request that came."""
    headers, body = rig.gantry.got[number]
    try:
        etc.check_request(body, headers, **STRICT, now=rig.clock.now())
    except etc.EtcRefused as refused:
        return refused.code
    return etc.EtcCode.SUCCESS


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"wrong_digest": 1}, etc.EtcCode.INVALID_SIGNATURE),
        ({"stale": 1}, etc.EtcCode.CLOCK_SKEW),
        ({"wrong_digest": 1, "stale": 1}, etc.EtcCode.INVALID_SIGNATURE),
    ],
)
def test_a_command_may_be_signed_wrong_or_old(
    rig: Rig, fault: dict[str, float], code: etc.EtcCode
) -> None:
    """A gantry must be seen to refuse it."""
    rig.faults.put(ETC, fault)
    assert rig.command(Method.COMPUTER_CONTROL, {"updateNow": "1"})["code"] == "1000"
    assert [checked(rig, number) for number in range(len(rig.gantry.got))] == [code]
    spoilt = {"wrong-digest", "stale"} & rig.platform.counts.keys()
    assert spoilt == {name.replace("_", "-") for name in fault}


def test_a_command_may_drip() -> None:
    """It arrives whole, after as long as it takes."""
    rig = Rig()
    network = MemoryNetwork(rig.clock, bounded_site(rig.gantry, rig.clock, LIMITS, Counter()))
    client, _ = client_to(network, rig.clock)
    platform = Platform(
        rig.faults, rig.clock, rig.clock.now, gantry_id=GANTRY_ID, auth=AUTH, client=client
    )
    rig.faults.put(ETC, {"drip": 100})
    answers = fired(ensureDeferred(platform.command(Method.COMPUTER_CONTROL, {"updateNow": "1"})))
    rig.clock.run(1.0, 0.1)
    assert rig.gantry.got == []
    rig.clock.run(1.0, 0.1)
    assert checked(rig) is etc.EtcCode.SUCCESS
    assert answers == [{"code": "1000", "msg": "ok"}]


def test_a_command_may_come_twice(rig: Rig) -> None:
    """The same bytes again, once the first were answered; that answer is the one that is shown."""
    rig.faults.put(ETC, {"duplicate": 1})
    rig.command(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    first, second = rig.gantry.got
    assert first == second
    assert (rig.platform.counts["commands"], rig.platform.counts["doubled"]) == (1, 1)


def test_a_frozen_platform_commands_nothing(rig: Rig) -> None:
    """A command without a way to the gantry is an error."""
    rig.faults.put(ETC, {"frozen": True})
    error = rig.command(Method.COMPUTER_CONTROL, {"updateNow": "1"})
    assert isinstance(error, NotReached)
    assert "frozen" in str(error)
    assert rig.gantry.got == []


def test_the_answer_is_shown_as_it_came(rig: Rig) -> None:
    """Odd keys, numbers and unknown codes are not mended."""
    rig.gantry.answer = b'{" code": 4711, "more": [1, null]}'
    answer = rig.command(Method.COMPUTER_CONTROL, {"updateNow": "1"})
    assert answer == {" code": 4711, "more": [1, None]}


def test_of_a_picture_the_description_is_returned(rig: Rig) -> None:
    """Its type, name and size, and whether its digest is right."""
    rig.gantry.answer = PICTURE
    rig.gantry.headers = {
        "Content-Type": "image/jpeg",
        "Content-Disposition": f"attachment;filename={GANTRY_ID}_20231115061320000.jpg",
        etc.MD5_HEADER: etc.digest(PICTURE).upper(),
    }
    fields = {"cabinetId": "1", "doorOpenTime": "2023-11-15 06:13:20.000"}
    shown = {
        "contentType": "image/jpeg",
        "filename": f"{GANTRY_ID}_20231115061320000.jpg",
        "size": len(PICTURE),
        "md5": etc.digest(PICTURE).upper(),
        "md5Good": True,
    }
    assert rig.command(Method.PICTURE, fields) == shown
    rig.gantry.answer += b"!"
    spoilt = rig.command(Method.PICTURE, fields)
    assert (spoilt["size"], spoilt["md5Good"]) == (len(PICTURE) + 1, False)


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (503, b"", "HTTP 503"),
        (404, b"{}", "HTTP 404"),
        (200, b"<html>", "no JSON object"),
        (200, b"[]", "no JSON object"),
        (200, b"", "no JSON object"),
        (200, b"[" * 100_000, "no JSON object"),
    ],
)
def test_what_is_no_answer_is_told(rig: Rig, status: int, answer: bytes, why: str) -> None:
    """The reason names what came instead."""
    rig.gantry.status, rig.gantry.answer = status, answer
    error = rig.command(Method.CABINET_CONTROL, {})
    assert isinstance(error, NotReached)
    assert why in str(error)


def test_a_gantry_that_is_not_there_is_told(rig: Rig) -> None:
    """No connection, and no way at all: the reason says so, without the code."""
    rig.wire.reachable = False
    error = rig.command(Method.CABINET_CONTROL, {})
    assert isinstance(error, NotReached)
    assert "no connection" in str(error)
    assert AUTH not in str(error)
    assert rig.platform.counts["commands-lost"] == 1
    lonely = Bench(started=False).gantry
    results = fired(ensureDeferred(lonely.command(Method.CABINET_CONTROL, {})))
    assert isinstance(results[0].value, NotReached)


def test_the_platform_commands_a_cabinet() -> None:
    """Two faces of the twin, over the wire that they share: the door unlocks."""
    bench = Bench(started=False)
    wire = Wire(bench.twin.resource())
    platform = Platform(
        bench.faults,
        bench.clock,
        bench.clock.now,
        gantry_id=GANTRY_ID,
        auth=AUTH,
        client=wire.client(bench.clock),
    )
    fields = {"cmd": "2", "unlockDoorId": "1"}
    results = fired(ensureDeferred(platform.command(Method.CABINET_CONTROL, fields)))
    assert results == [{"code": "1000", "msg": "成功"}]
    assert not bench.cabinet.doors.front.locked
    bench.stop()


# -- the rate of a platform


def test_a_platform_takes_no_more_than_its_rate() -> None:
    """Beyond the burst it answers 1005, before it looks at anything; time makes room again."""
    rig = Rig(rate=1.0)
    site = rig.platform.site()

    def post(body: bytes, auth: str = AUTH) -> str:
        headers = etc.signed_headers(body, auth)
        return str(http(site, "POST", "/monitor.do", body, headers).json["code"])

    assert [post(report(time_stamp=rig.clock.now())) for _ in range(6)] == ["1000"] * 5 + ["1005"]
    assert post(b"no json", "wrong") == "1005"
    rig.clock.advance(1.0)
    assert post(b"no json", "wrong") == "1001"
    kept = [each["answer"]["code"] for each in rig.platform.requests()]
    assert kept == ["1001", "1005", "1005"] + ["1000"] * 5


def test_a_rate_of_0_is_no_bound() -> None:
    """Any number is taken at once."""
    rig = Rig(rate=0.0)
    site = rig.platform.site()
    body = report(time_stamp=rig.clock.now())
    for _ in range(1000):
        http(site, "POST", "/monitor.do", body, etc.signed_headers(body, AUTH))
    assert rig.platform.counts["code-1000"] == 1000


# -- the control API


def test_a_command_through_the_api(rig: Rig) -> None:
    """Method and fields go out, the answer comes back."""
    fields = {"cmd": "5", "mode": "1"}
    exchange = rig.call("POST", "/command", {"method": "cabinetControl", "cabinetControl": fields})
    assert (exchange.status, exchange.json) == (200, {"code": "1000", "msg": "ok"})
    assert msgspec.json.decode(rig.gantry.got[0][1])["cabinetControl"] == fields


@pytest.mark.parametrize("fields", [[], "x", None, {"cmd": 7}])
def test_odd_fields_are_sent(rig: Rig, fields: Any) -> None:
    """A gantry must be seen to refuse them."""
    content = {"method": "computerControl", "computerControl": fields}
    assert rig.call("POST", "/command", content).status == 200
    assert msgspec.json.decode(rig.gantry.got[0][1])["computerControl"] == fields


@pytest.mark.parametrize("url", ["http://127.0.0.1:3700/remotecontrol.do", "http://localhost/r.do"])
def test_another_port_of_this_computer_may_be_named(rig: Rig, url: str) -> None:
    """The cabinet itself, say."""
    content = {"method": "cabinetControl", "cabinetControl": {}, "url": url}
    assert rig.call("POST", "/command", content).status == 200
    assert rig.wire.urls == [url]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"method": "cabinetControl"}, "bad-command"),
        ({"method": "cabinetStatusUpdate", "cabinetStatus": {}}, "bad-command"),
        ({"method": 5, "cabinetControl": {}}, "bad-command"),
        ({"cabinetControl": {}}, "bad-command"),
        ({"method": "cabinetControl", "cabinetControl": {}, "extra": 1}, "bad-command"),
        (
            {"method": "cabinetControl", "cabinetControl": {}, "url": "http://a.example/r"},
            "bad-url",
        ),
        ({"method": "cabinetControl", "cabinetControl": {}, "url": "ftp://127.0.0.1/r"}, "bad-url"),
        ({"method": "cabinetControl", "cabinetControl": {}, "url": 7}, "bad-url"),
        (
            {"method": "cabinetControl", "cabinetControl": {}, "url": "http://127.0.0.1@a.b/r"},
            "bad-url",
        ),
        ({}, "empty"),
    ],
)
def test_a_bad_command_is_400_and_is_not_sent(rig: Rig, content: dict[str, Any], code: str) -> None:
    """The error has the shape of every error; nothing goes out."""
    exchange = rig.call("POST", "/command", content)
    assert (exchange.status, exchange.json["error"]["code"]) == (400, code)
    assert rig.wire.urls == []


def test_a_gantry_that_is_not_reached_is_502(rig: Rig) -> None:
    """With the reason."""
    rig.wire.reachable = False
    exchange = rig.call("POST", "/command", {"method": "cabinetControl", "cabinetControl": {}})
    assert exchange.status == 502
    assert exchange.json["error"]["code"] == "gantry-not-reached"
    assert "no connection" in exchange.json["error"]["message"]


def test_requests_and_cards_are_served_where_it_is_mounted(rig: Rig) -> None:
    """What the platform received, and its white list, which is version 0 at first."""
    assert rig.call("GET", "/cards").json == {"version": "0", "cards": []}
    card = {
        "cardId": "A1",
        "validTime": "2026-01-01 00:00:00",
        "invalidTime": "2027-01-01 00:00:00",
    }
    content = {"version": "20260101000000", "cards": [card]}
    assert rig.call("PUT", "/cards", content).json == content
    assert rig.call("GET", "/cards").json == content
    expected = Card("A1", card["validTime"], card["invalidTime"])
    assert rig.platform.cards == CardList("20260101000000", (expected,))
    body = report(time_stamp=rig.clock.now())
    http(rig.platform.site(), "POST", "/monitor.do", body, etc.signed_headers(body, AUTH))
    (kept,) = rig.call("GET", "/requests?limit=5").json["requests"]
    assert kept["answer"] == {"code": "1000", "msg": "成功"}
    assert rig.call("GET", "/requests?limit=0").status == 400
    assert rig.call("PUT", "/cards", {"version": "1", "cards": []}).status == 400
    assert rig.call("GET", "/nothing").status == 404
    foreign = {"Origin": "http://evil.example"}
    assert rig.call("PUT", "/cards", content, **foreign).status == 403
    assert rig.call("POST", "/command", content, **foreign).status == 403
