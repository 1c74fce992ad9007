"""The Fogslink cloud of the twin: real lines in memory, on a Clock."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klein import Klein
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from tests.support import fired
from tests.twin.helpers import NOW, Http, http
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.faces.fogslink.cloud import MAX_SESSIONS, Cloud, CloudFactory, NotConnected
from twisted_gantry.twin.faces.fogslink.control import FogslinkControl
from twisted_gantry.twin.faces.fogslink.records import (
    FEWEST_PACKS,
    KEPT_DEVICES,
    KEPT_PACKS_OF_ALL,
    KEPT_RECORDS,
    KEPT_RUNS,
    Came,
    Records,
    Runs,
)
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults
from twisted_gantry.wire.fogslink import messages as wire
from twisted_gantry.wire.json import loads

EQ_SN, API_KEY = "12345678", "1234567890123456"


class Transport(StringTransport):
    """A transport that notes when its peer is cut."""

    def abortConnection(self) -> None:
        self.disconnected = True


class Device:
    """One device: sends lines, reads messages."""

    def __init__(self, factory: CloudFactory) -> None:
        self.transport: Any = Transport()  # type: ignore[no-untyped-call]
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def say(self, *lines: bytes) -> list[Any]:
        """Send lines; returns the messages that came."""
        self.protocol.dataReceived(b"".join(line + b"\n" for line in lines))
        return self.read()

    def read(self) -> list[Any]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [loads(line) for line in lines]

    def authenticate(self, eq_sn: str = EQ_SN) -> str:
        """Get in; returns the key of the session."""
        known, _ = self.say(
            b'{"req001":{"eqSN":"%s","eqType":"128"}}' % eq_sn.encode(),
            b'{"req002":{"eqSN":"%s","apiKey":"%s"}}' % (eq_sn.encode(), API_KEY.encode()),
        )
        return str(known["res001"]["tKey"])

    def pack(self, number: int | str, *values: str, size: int | None = None) -> list[Any]:
        """Send a pack; returns what came."""
        return self.say(pack(number, *values, size=size))

    @property
    def cut(self) -> bool:
        return bool(self.transport.disconnected or self.transport.disconnecting)


def pack(number: int | str, *values: str, size: int | None = None, eq_sn: str = EQ_SN) -> bytes:
    items = tuple(wire.Item(e_chan=f"P0-C{at}", e_val=value) for at, value in enumerate(values))
    return wire.encode(
        wire.Pack(
            eq_sn=eq_sn,
            pack_id=str(number),
            total_size=len(items) if size is None else size,
            eq_data=items,
        )
    ).rstrip()


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.cloud = Cloud(
            self.faults,
            self.clock,
            lambda: NOW + self.clock.seconds(),
            {EQ_SN: API_KEY, "2": API_KEY},
        )
        self.factory = CloudFactory(self.cloud)
        self.devices: list[Device] = []

    def device(self) -> Device:
        self.devices.append(Device(self.factory))
        return self.devices[-1]

    def online(self) -> Device:
        device = self.device()
        device.authenticate()
        return device

    def fault(self, **settings: Any) -> None:
        self.faults.put(FOGSLINK, settings)

    def values(self) -> list[str | None]:
        return [each["eVal"] for each in self.cloud.records.shown(KEPT_RECORDS)]


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    for device in made.devices:
        device.protocol.connectionLost()
    made.clock.advance(10)
    assert not made.cloud.sessions
    assert made.clock.getDelayedCalls() == []


def test_a_pack_becomes_records(rig: Rig) -> None:
    """Every value is a record, with the pack's number and the time in China."""
    device = rig.online()
    assert device.pack(7, "220", "1") == [{"res200": {"eqSN": EQ_SN, "packID": "7", "code": "8"}}]
    assert rig.cloud.records.shown(1) == [
        {
            "eqSN": EQ_SN,
            "eChan": "P0-C1",
            "eChanSta": "1",
            "eVal": "1",
            "packID": "7",
            "at": "2026-09-21T22:13:20.000+08:00",
        }
    ]


def test_a_single_value_becomes_a_record(rig: Rig) -> None:
    """It has no number; an abnormal one has no value."""
    device = rig.online()
    [answer] = device.say(b'{"req201":{"eqSN":"12345678","eChan":"P0-C1","eChanSta":"0"}}')
    assert answer == {"res201": {"eqSN": EQ_SN, "eChan": "P0-C1", "code": "8"}}
    [record] = rig.cloud.records.shown(9)
    assert (record["eVal"], record["packID"], record["eChanSta"]) == (None, None, "0")


def test_a_duplicate_is_answered_and_kept_once(rig: Rig) -> None:
    """The same pack again is 8 and no record; other content under its number is kept."""
    device = rig.online()
    for values in (("1",), ("1",), ("2",)):
        [answer] = device.pack(7, *values)
        assert answer["res200"]["code"] == "8"
    other = rig.device()
    other.authenticate("2")
    other.say(pack(7, "1", eq_sn="2"))
    assert rig.values() == ["1", "2", "1"]
    assert rig.cloud.records.duplicates == 1
    assert (rig.cloud.counts["duplicate"], rig.cloud.counts["conflict"]) == (1, 1)


def test_a_pack_that_is_not_whole_is_not_kept(rig: Rig) -> None:
    """9, and then the whole one is taken under its number."""
    device = rig.online()
    [answer] = device.pack(7, "1", size=2)
    assert answer["res200"]["code"] == "9"
    assert rig.values() == []
    device.pack(7, "1", "2")
    assert rig.values() == ["1", "2"]


def test_gaps_are_counted_and_may_close(rig: Rig) -> None:
    """A number left out is a gap, until it comes; it then is out of order."""
    device = rig.online()
    for number in (10, 11, 13, 17):
        device.pack(number, "1")
    assert rig.cloud.records.gaps == 2
    device.pack(12, "1")
    assert rig.cloud.records.gaps == 1
    assert rig.cloud.counts["out-of-order"] == 1
    device.pack("first", "1")
    assert rig.cloud.records.gaps == 1


def test_the_records_are_bounded(rig: Rig) -> None:
    """The oldest go, by their number and by their size."""
    records = Records()
    for number in range(KEPT_RECORDS // 100 + 1):
        items = tuple(wire.Item(e_chan="P0-C1", e_val=str(number)) for _ in range(100))
        records.add_pack(
            wire.Pack(eq_sn="1", pack_id=str(number), total_size=100, eq_data=items), NOW
        )
    assert len(records.shown(10**6)) == KEPT_RECORDS
    assert records.shown(10**6)[0]["eVal"] == "1"
    for _ in range(300):
        records.add_single(wire.Single(eq_sn="1", e_chan="P0-C1", e_val="x" * 60_000), NOW)
    assert len(records.shown(10**6)) < 150


@given(st.lists(st.integers(0, 40)))
def test_runs_are_what_a_set_would_be(numbers: list[int]) -> None:
    """New numbers, the highest and the holes, in whatever order they come."""
    runs, seen = Runs(), set[int]()
    for number in numbers:
        assert runs.add(number) == (number not in seen)
        seen.add(number)
    holes = sum(1 for each in seen if each + 1 not in seen) - 1 if seen else 0
    assert runs.gaps == holes
    assert runs.last == max(seen, default=None)


def test_runs_are_bounded() -> None:
    """A device that counts by twos costs no more than so many runs."""
    runs = Runs()
    for number in range(0, 4 * KEPT_RUNS, 2):
        runs.add(number)
    assert runs.gaps == KEPT_RUNS - 1


def test_an_old_duplicate_is_known_by_its_number() -> None:
    """Also when the content is long forgotten."""
    records = Records()

    def add(number: int) -> Came:
        return records.add_pack(
            wire.Pack(eq_sn="1", pack_id=str(number), total_size=0, eq_data=()), NOW
        )

    assert all(add(number) is Came.NEW for number in range(20_000))
    assert add(5) is Came.DUPLICATE


# -- faults


def test_a_dropped_answer_leaves_the_data(rig: Rig) -> None:
    """`drop`: taken, the acknowledgement is lost; heartbeats are answered."""
    device = rig.device()
    key = device.authenticate()
    rig.fault(drop=1.0)
    assert device.pack(1, "5") == []
    assert rig.values() == ["5"]
    beat = b'{"req100":{"eqSN":"12345678","tKey":"%s"}}' % key.encode()
    assert device.say(beat) == [{"res100": {"eqSN": EQ_SN, "code": "0"}}]


def test_garbage_is_a_line_of_its_own(rig: Rig) -> None:
    """`garbage`: taken, what comes is no JSON, and what follows is whole again."""
    device = rig.online()
    rig.fault(garbage=1.0)
    device.protocol.dataReceived(pack(1, "5") + b"\n")
    assert device.transport.value().startswith(b"\xff")
    assert device.transport.value().endswith(b"\n")
    device.transport.clear()
    rig.faults.clear(FOGSLINK)
    assert device.pack(2, "6")[0]["res200"]["code"] == "8"
    assert rig.values() == ["5", "6"]


def test_busy_takes_nothing_and_says_nothing(rig: Rig) -> None:
    """`busy`: silence."""
    device = rig.online()
    rig.fault(busy=True)
    single = b'{"req201":{"eqSN":"12345678","eChan":"P0-C1","eVal":"1"}}'
    assert device.pack(1, "5") + device.say(single) == []
    assert rig.values() == []
    assert rig.cloud.counts["silent"] == 2


def test_a_code_takes_nothing(rig: Rig) -> None:
    """`code` 9: every pack is asked for again; a single value gets no answer."""
    device = rig.online()
    rig.fault(code="9")
    single = b'{"req201":{"eqSN":"12345678","eChan":"P0-C1","eVal":"1"}}'
    assert [each["res200"]["code"] for each in device.pack(1, "5")] == ["9"]
    assert device.say(single) == []
    assert rig.values() == []


@pytest.mark.parametrize(("code", "name"), [("2", "res001"), ("3", "res002")])
def test_the_codes_of_a_refusal_refuse(rig: Rig, code: str, name: str) -> None:
    """`code` 2 and 3 refuse every device, each at its own step."""
    rig.fault(code=code)
    device = rig.device()
    answers = device.say(
        b'{"req001":{"eqSN":"12345678","eqType":"128"}}',
        b'{"req002":{"eqSN":"12345678","apiKey":"1234567890123456"}}',
    )
    assert answers[-1][name]["code"] == code
    assert device.cut


def test_delayed_answers_keep_their_order(rig: Rig) -> None:
    """`delay`: a later answer does not overtake, though its own delay is shorter."""
    device = rig.online()
    rig.fault(delay=2.0)
    assert device.pack(1, "5") == []
    rig.fault(delay=0.5)
    rig.clock.advance(0.1)
    assert device.pack(2, "6") == []
    rig.clock.advance(1.8)
    assert device.read() == []
    rig.clock.advance(0.2)
    assert [each["res200"]["packID"] for each in device.read()] == ["1", "2"]


def test_half_an_answer_spoils_the_next(rig: Rig) -> None:
    """`half`: taken; what is missing never comes, and the next answer follows on the same line."""
    device = rig.online()
    rig.fault(half=1.0)
    device.protocol.dataReceived(pack(1, "5") + b"\n")
    half = device.transport.value()
    assert half.startswith(b'{"res200":')
    assert b"\n" not in half
    rig.faults.clear(FOGSLINK)
    device.protocol.dataReceived(pack(2, "6") + b"\n" + pack(3, "7") + b"\n")
    joined, whole = device.transport.value().splitlines()
    assert joined.startswith(half + b'{"res200":')
    assert loads(whole)["res200"]["packID"] == "3"
    assert rig.values() == ["5", "6", "7"]


def test_an_answer_may_come_twice(rig: Rig) -> None:
    """`duplicate`: of data alone."""
    rig.fault(duplicate=1.0)
    device = rig.online()
    assert [each["res200"]["packID"] for each in device.pack(1, "5")] == ["1", "1"]
    assert rig.values() == ["5"]


def test_a_slow_drip_holds_up_what_follows(rig: Rig) -> None:
    """`drip`: so many bytes a second, in order, and nothing is missing at the end."""
    device = rig.online()
    rig.fault(drip=20.0)
    device.protocol.dataReceived(pack(1, "5") + b"\n")
    rig.faults.clear(FOGSLINK)
    device.protocol.dataReceived(pack(2, "6") + b"\n")
    for tenths in range(1, 11):
        assert len(device.transport.value()) == 2 * tenths
        rig.clock.advance(0.1)
    rig.clock.pump([0.1] * 50)
    assert [each["res200"]["packID"] for each in device.read()] == ["1", "2"]


def test_a_frozen_cloud_accepts_and_goes_on_afterwards(rig: Rig) -> None:
    """`frozen`: nothing is read, answered or sent; then all of it is."""
    device = rig.online()
    rig.fault(frozen=True, **{"for": 5.0})
    assert device.pack(1, "5") == []
    asked = fired(
        rig.cloud.configure(wire.Configure(eq_sn=EQ_SN, e_chan="P0-C1", s_period="60", s_type="0"))
    )
    late = rig.device()
    assert late.say(b'{"req001":{"eqSN":"2","eqType":"128"}}') == []
    rig.clock.pump([0.1] * 49)
    assert (device.read(), late.read(), rig.values(), device.cut) == ([], [], [], False)
    rig.clock.pump([0.1] * 3)
    assert [next(iter(each)) for each in device.read()] == ["res300", "res200"]
    assert [next(iter(each)) for each in late.read()] == ["res001"]
    assert rig.values() == ["5"]
    assert asked == [None]  # no answer in time


def test_frozen_and_refusing_is_frozen(rig: Rig) -> None:
    """A frozen face refuses no connection."""
    rig.fault(frozen=True, refuse=True)
    device = rig.device()
    assert device.say(b'{"req001":{"eqSN":"2","eqType":"128"}}') == []
    assert not device.cut


def test_a_code_is_never_lost(rig: Rig) -> None:
    """`code` decides before `drop`: nothing was taken, so no acknowledgement can be lost."""
    device = rig.online()
    rig.fault(code="9", drop=1.0)
    assert device.pack(1, "5")[0]["res200"]["code"] == "9"


def test_a_frozen_cloud_that_thaws_closes_who_was_silent(rig: Rig) -> None:
    """The ten seconds went by unseen; what came meanwhile is too late."""
    device = rig.online()
    rig.fault(frozen=True, **{"for": 11.0})
    rig.clock.pump([0.1] * 105)
    assert not device.cut
    rig.clock.pump([0.1] * 10)
    assert device.cut


def test_refused_connections_are_closed(rig: Rig) -> None:
    """`refuse`: new ones at once, open ones at their next line."""
    device = rig.online()
    rig.fault(refuse=True)
    assert rig.factory.buildProtocol(None) is None
    assert device.pack(1, "5") == []
    assert device.cut
    assert rig.values() == []


# -- faulty peers


def test_a_line_without_end_is_cut(rig: Rig) -> None:
    """More than 64 KiB without an LF, or with one."""
    for ending in (b"", b"\n"):
        device = rig.online()
        device.protocol.dataReceived(b"x" * (64 * 1024 + 1) + ending)
        assert device.cut
    assert rig.cloud.counts["too-long"] == 2


def test_who_sends_no_heartbeat_is_closed(rig: Rig) -> None:
    """Ten seconds after the connection, whatever else it sent."""
    device = rig.online()
    rig.clock.advance(9.9)
    device.pack(1, "5")
    assert not device.cut
    rig.clock.advance(0.1)
    assert device.cut


def test_who_is_silent_is_closed_though_answers_wait(rig: Rig) -> None:
    """A silent peer is not waited for, however long the answer to it is delayed."""
    device = rig.online()
    rig.fault(delay=3600.0)
    device.pack(1, "5")
    rig.clock.advance(9.9)
    assert not device.cut
    rig.clock.advance(0.1)
    assert device.cut


def test_a_closing_peer_that_reads_nothing_is_cut(rig: Rig) -> None:
    """A connection that is to close does not wait for ever for its answer to be read."""
    device = rig.device()
    device.say(b'{"req001":{"eqSN":"nobody","eqType":"128"}}')
    assert device.transport.disconnecting
    assert not device.transport.disconnected
    rig.clock.advance(3)
    assert device.transport.disconnected


def test_a_peer_that_does_not_read_is_not_read(rig: Rig) -> None:
    """While its answers are not taken, or wait for a `delay`, no more is taken from it."""
    device = rig.online()
    device.transport.producer.pauseProducing()
    assert device.transport.producerState == "paused"
    device.transport.producer.resumeProducing()
    assert device.transport.producerState == "producing"
    rig.fault(delay=1.0)
    device.say(*[pack(number, "1") for number in range(70)])
    assert device.transport.producerState == "paused"
    rig.clock.advance(1)
    assert device.transport.producerState == "producing"


def test_a_cloud_may_know_everybody(rig: Rig) -> None:
    """With one key for all, any device gets in; no more than so many, and none without the key."""
    rig.cloud.any_key, rig.factory.most = API_KEY, 3
    devices = [rig.device() for _ in range(3)]
    for number, device in enumerate(devices[:2]):
        device.authenticate(str(700 + number))
        assert device.say(pack(1, "5", eq_sn=str(700 + number)))[0]["res200"]["code"] == "8"
    assert rig.factory.buildProtocol(None) is None
    answers = devices[2].say(
        b'{"req001":{"eqSN":"702","eqType":"128"}}', b'{"req002":{"eqSN":"702","apiKey":""}}'
    )
    assert answers[-1]["res002"]["code"] == "3"


def test_of_too_many_devices_the_quietest_is_forgotten() -> None:
    """A cloud that knows every device has bounded records."""
    records = Records()
    for number in range(KEPT_DEVICES):
        assert records.add_pack(made(5, number), 0.0) is Came.NEW
    assert records.add_pack(made(5, 0), 0.0) is Came.DUPLICATE  # the first is heard again
    records.add_pack(made(5, KEPT_DEVICES), 0.0)
    assert len(records._devices) == KEPT_DEVICES
    assert "0" in records._devices
    assert "1" not in records._devices


def test_the_more_devices_the_less_is_remembered_of_each() -> None:
    """Of all together so many contents, of each at least the last few; gaps are known still."""
    records = Records()
    crowd = KEPT_PACKS_OF_ALL // FEWEST_PACKS + 1
    for number in range(crowd):
        records.add_pack(made(5, number), 0.0)
    for number in range(100, 100 + FEWEST_PACKS + 5):
        assert records.add_pack(made(number, 0), 0.0) is Came.NEW
    assert len(records._devices["0"]._contents) == FEWEST_PACKS
    assert records.add_pack(made(100, 0), 0.0) is Came.DUPLICATE
    assert records.gaps == 1


def made(number: int, eq_sn: int) -> wire.Pack:
    message = wire.decode_request(pack(number, "1", eq_sn=str(eq_sn)))
    assert isinstance(message, wire.Pack)
    return message


def test_sessions_are_bounded_and_apart(rig: Rig) -> None:
    """So many and no more; what one sends reaches no other."""
    first = rig.online()
    for _ in range(MAX_SESSIONS - 1):
        rig.device()
    assert rig.factory.buildProtocol(None) is None
    rig.devices[5].protocol.dataReceived(b"\xff" * 70_000)
    assert first.pack(1, "1")[0]["res200"]["code"] == "8"


def test_a_lone_surrogate_is_no_failure(rig: Rig) -> None:
    """What cannot be written back is counted, not answered."""
    device = rig.device()
    assert device.say(b'{"req001":{"eqSN":"\\ud800","eqType":"128"}}') == []
    device = rig.online()
    device.say(b'{"req200":{"eqSN":"12345678","packID":"\\ud800","totalSize":0,"eqData":[]}}')
    assert rig.online().pack(1, "1")[0]["res200"]["code"] == "8"


# -- configurations, and the control API


def test_a_configuration_gets_its_answer(rig: Rig) -> None:
    """The newest session of the device is asked; another channel's answer is another's."""
    rig.online()
    device = rig.online()
    answer = fired(rig.cloud.configure(wire.Configure(eq_sn=EQ_SN, e_chan="P0-C1", s_period="5")))
    assert device.read() == [{"res300": {"eqSN": EQ_SN, "eChan": "P0-C1", "sPeriod": "5"}}]
    device.say(b'{"req300":{"eqSN":"12345678","eChan":"P0-C2","code":"10"}}')
    assert answer == []
    device.say(b'{"req300":{"eqSN":"12345678","eChan":"P0-C1","code":"10"}}')
    assert answer[0].code == "10"
    assert rig.cloud.counts["unasked"] == 1


def test_a_configuration_without_an_answer_ends(rig: Rig) -> None:
    """After a few seconds; and no absent device is asked."""
    rig.online()
    answer = fired(rig.cloud.configure(wire.Configure(eq_sn=EQ_SN, e_chan="P0-C1")))
    rig.clock.advance(3)
    assert answer == [None]
    with pytest.raises(NotConnected):
        rig.cloud.configure(wire.Configure(eq_sn="2", e_chan="P0-C1"))


class Mounted:
    """An API that has the control API of the cloud below a path, as the twin's own has."""

    app = Klein()

    def __init__(self, control: FogslinkControl) -> None:
        self._control = control

    @app.route("/twin/v1/fogslink/", branch=True)
    def fogslink(self, request: Request) -> IResource:
        return self._control.app.resource()


def ask(rig: Rig, method: str, path: str, **more: Any) -> Http:
    mounted = Mounted(FogslinkControl(rig.cloud))
    site = bounded_site(mounted.app.resource(), rig.clock, Limits(), rig.cloud.counts)
    return http(site, method, f"/twin/v1/fogslink/{path}", **more)


def test_the_records_are_shown(rig: Rig) -> None:
    """Oldest first, the last of them if there is a limit."""
    device = rig.online()
    for number in (1, 2, 4, 4):
        device.pack(number, str(number))
    shown = ask(rig, "GET", "records").json
    assert [each["eVal"] for each in shown["records"]] == ["1", "2", "4"]
    assert (shown["gaps"], shown["duplicates"]) == (1, 1)
    assert [each["eVal"] for each in ask(rig, "GET", "records?limit=2").json["records"]] == [
        "2",
        "4",
    ]
    for limit in ("0", "x", "99999", "-1"):
        assert ask(rig, "GET", f"records?limit={limit}").status == 400


def test_a_configuration_is_sent_from_the_api(rig: Rig) -> None:
    """The answer is shown when it comes in time, else null."""
    device = rig.online()
    body = {"eqSN": EQ_SN, "eChan": "P0-C1", "sPeriod": 5, "sType": "1"}
    exchange = ask(rig, "POST", "configure", body=body)
    assert device.read() == [
        {"res300": {"eqSN": EQ_SN, "eChan": "P0-C1", "sPeriod": "5", "sType": "1"}}
    ]
    assert exchange.raw == b""
    device.say(b'{"req300":{"eqSN":"12345678","eChan":"P0-C1","code":"12"}}')
    assert exchange.json == {
        "sent": True,
        "answer": {"eqSN": EQ_SN, "eChan": "P0-C1", "code": "12"},
    }
    silent = ask(rig, "POST", "configure", body=body)
    rig.clock.advance(3)
    assert silent.json == {"sent": True, "answer": None}
    gone = ask(rig, "POST", "configure", body=body)
    gone.close()
    rig.clock.advance(3)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"eqSN": "2", "eChan": "P0-C1"}, 404),
        ({"eqSN": EQ_SN}, 400),
        ({}, 400),
        ({"eqSN": EQ_SN, "eChan": "P0-C1", "more": 1}, 400),
        ({"eqSN": EQ_SN, "eChan": "x" * 200}, 400),
        ("[]", 400),
        ("{", 400),
    ],
)
def test_what_cannot_be_sent_is_refused(rig: Rig, body: Any, status: int) -> None:
    """404 for a device that is not there, 400 for what is no configuration."""
    rig.online()
    assert ask(rig, "POST", "configure", body=body).status == status
    foreign = ask(rig, "POST", "configure", body=body, headers={"Origin": "http://evil"})
    assert foreign.status == 403


def test_messages_in_any_line_count() -> None:
    """Two objects in one line, NULs, no line end, and numbers in any spelling."""
    rig = Rig()
    device = rig.device()
    known, let_in = device.say(
        b'{"req001":{"eqSN":12345678.0,"eqType":128}}\x00'
        b'{"req002":{"eqSN":" 12345678","apiKey":"%s"}}\x00' % API_KEY.encode()
    )
    assert (known["res001"]["code"], let_in["res002"]["code"]) == ("0", "0")
    device.protocol.dataReceived(pack("7", "1"))
    assert device.read() == []
    rig.clock.advance(1)
    [answer] = device.read()
    assert (answer["res200"]["packID"], answer["res200"]["code"]) == ("7", "8")
    assert device.say(b"") == []
    assert rig.values() == ["1"]
    assert not rig.cloud.counts["malformed"]
    device.protocol.connectionLost(Failure(ConnectionDone()))
    assert rig.clock.getDelayedCalls() == []


def test_a_pack_with_an_item_that_cannot_be_read_is_asked_for_again() -> None:
    """The item is missing, so the size is not right: 9."""
    rig = Rig()
    device = rig.online()
    line = pack("7", "1", "2").replace(b'{"eChan":"P0-C1","eChanSta":"1","eVal":"2"}', b"nan")
    [answer] = device.say(line)
    assert answer["res200"]["code"] == "9"
    assert rig.values() == []
