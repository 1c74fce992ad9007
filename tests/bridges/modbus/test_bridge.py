"""The Modbus server: its map, its values, its exceptions, its writes, and its bounds."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import pytest
from pymodbus.client import ModbusTcpClient
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from zope.interface.verify import verifyObject

from tests.support import Bench, in_no_thread
from twisted_gantry.bridges.modbus.bridge import SETTING, ModbusBridge
from twisted_gantry.bridges.modbus.settings import MapFile, ModbusTable
from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.bounds import VOLTS, Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import IRegisterMap
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.conditions import equals
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.reading import Quality

POINTS = (
    PointType("u", "V", "Voltage", "电压", VOLTS),
    PointType("low", "", "Battery low", "电池电压低"),
    PointType("state", "", "State", "状态"),
    PointType("w", "W", "Power", "功率", Bounds(-1e6, 1e6)),
)
COMMANDS = {
    "BZOFF": CommandType({}, "mute", "静音"),
    "query": CommandType({"cmd": Argument()}, "ask", "查询"),
    "feed": CommandType({"amps": Argument(float)}, "feed", "馈入"),
    "SOFF": CommandType(
        {}, "off", "关", danger="darkens", danger_zh="断电", endangers=Endangers.POWER
    ),
}


@dataclass
class Device:
    """A device with commands, which notes what it is told."""

    name: str
    status: Status
    done: list[tuple[str, Any]] = field(default_factory=list)
    result: Any = None
    kind = "test"
    rules = (Rule("low", Severity.WARNING, "low", "低", equals("low", True)),)
    commands = COMMANDS

    def execute(self, command: str, args: Any) -> Deferred[CommandResult]:
        self.done.append((command, dict(args)))
        return self.result or succeed(CommandResult(Outcome.DONE))


class Rig:
    """The bridge of a site with `ups1`; `ask` is a client."""

    def __init__(self, bench: Bench | None = None, **settings: Any) -> None:
        self.bench = bench or Bench()
        if bench is None:
            self.device = self.add("ups1")
        self.bridge = bridge_of(self.bench, self.bench.clock, **settings)
        network: Any = self.bridge.listening
        network.start, network.stop = self.bridge.status.online, lambda: None
        self.bridge.startService()
        self.bench.clock.advance(0)

    def add(self, name: str) -> Device:
        device = Device(name, Status(name, self.bench.clock.now))
        self.bench.points.declare(name, POINTS)
        self.bench.add(device)
        return device

    def update(self, **values: Any) -> None:
        given = {name: (value, Quality.GOOD) for name, value in values.items()}
        self.bench.points.update("ups1", given)

    def connect(self, host: str = "127.0.0.1") -> Any:
        address: Any = type("Address", (), {"host": host})
        made: Any = self.bridge._factory.buildProtocol(address)
        if made is not None:
            made.makeConnection(StringTransport())
        return made

    def ask(self, pdu: Any, unit: int = 1) -> Any:
        """Return the reply to a request over a connection of its own."""
        connection, codec = self.connect(), wire.ClientCodec("tcp", unit)
        connection.dataReceived(codec.request(pdu))
        reply = codec.take(connection.transport.value())
        connection.connectionLost()
        return reply

    def words(self, address: int, count: int) -> list[int]:
        return list(wire.values_read(self.ask(wire.read(3, address, count)), 3, count))

    def rows(self) -> dict[str, Any]:
        return {row.point: row for row in self.bridge.registers().registers}

    def value(self, name: str) -> float | None:
        """Return the float32 of a point, None for NaN."""
        return wire.value_of(self.words(self.rows()[name].register, 2), "f32")

    def stop(self) -> None:
        self.bench.alarms.stop()
        self.bench.clock.advance(600)
        assert self.bench.clock.getDelayedCalls() == []


def bridge_of(bench: Bench, clock: Any, **settings: Any) -> ModbusBridge:
    means = (bench.site, clock, bench.clock.now, Random(1), in_no_thread)
    return ModbusBridge(ModbusTable(**settings), BridgeContext(*means))


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*args: Any, **settings: Any) -> Rig:
        made.append(Rig(*args, **settings))
        return made[-1]

    yield make
    for rig in made:
        rig.bridge.stopService()
    for rig in made:
        rig.stop()


def test_a_point_has_its_value_quality_and_age(rigs: Any) -> None:
    """float32, scaled int16, quality and age of a good, an old, a failed and an unknown value."""
    rig = rigs()
    assert verifyObject(IRegisterMap, rig.bridge)
    rig.update(u=231.57, low=True, state="line", w=-123456.0)
    rows = rig.rows()
    u, w, text = rows["ups1.u"], rows["ups1.w"], rows["ups1.state"]
    rig.bench.clock.advance(7)
    assert rig.value("ups1.u") == pytest.approx(231.57, 1e-6)
    assert (u.type, u.scale, w.scale) == ("f32", 10, 0.01)
    assert rig.words(u.scaled, 3) == [2316, 1, 7]
    assert rig.words(w.scaled, 1) == [(-1235) & 0xFFFF]
    assert rig.value("ups1.low") == 1
    rig.bench.clock.advance(2)
    text = rig.rows()["ups1.state"]
    assert struct.pack(">16H", *rig.words(text.text, 16)).rstrip(b"\0") == b"line"
    bits = rig.ask(wire.read(2, rows["ups1.low"].bit, 1)).bits
    assert bits[0] is True
    rig.bench.points.fail("ups1", ["u"])
    assert rig.value("ups1.u") is None
    assert rig.words(u.scaled, 3) == [0x8000, 2, 9]


def test_a_point_that_was_never_read(rigs: Any) -> None:
    """No data: NaN, 0x8000, quality 0, and an age that says never."""
    rig = rigs()
    u = rig.rows()["ups1.u"]
    assert rig.value("ups1.u") is None
    assert rig.words(u.scaled, 3) == [0x8000, 0, 0xFFFF]


def test_alarms_are_bits(rigs: Any) -> None:
    """Each alarm that a device can have has a bit from the start: on while it is raised."""
    rig = rigs()
    bits = {row.alarm: row.bit for row in rig.bridge.registers().alarms}
    assert set(bits) == {"ups1.offline", "ups1.low"}
    rig.update(low=True)
    assert rig.ask(wire.read(2, bits["ups1.low"], 1)).bits[0] is True
    rig.update(low=False)
    assert rig.ask(wire.read(1, bits["ups1.low"], 1)).bits[0] is False
    rig.bench.alarms.set("store.failed", Severity.CRITICAL, "the disk fails", "磁盘故障")
    rig.bench.clock.advance(3)
    bits = {row.alarm: row.bit for row in rig.bridge.registers().alarms}
    assert rig.ask(wire.read(2, bits["store.failed"], 1)).bits[0] is True
    own = {"bit": [{"alarm": "store.failed", "bit": 3}]}
    mine = rigs(rig.bench, own=msgspec.convert(own, MapFile))
    assert mine.ask(wire.read(2, 3, 1)).bits[0] is True


def test_holding_and_input_registers_are_alike(rigs: Any) -> None:
    """Functions 3 and 4, and 1 and 2, read the same."""
    rig = rigs()
    rig.update(u=1.0, low=True)
    assert rig.ask(wire.read(3, 0, 20)).registers == rig.ask(wire.read(4, 0, 20)).registers
    assert rig.ask(wire.read(1, 0, 4)).bits == rig.ask(wire.read(2, 0, 4)).bits
    assert rig.words(1, 3) == rig.words(0, 5)[1:4]


def test_no_place_moves(rigs: Any) -> None:
    """What was given once stays: when devices come and go, and after a restart."""
    rig = rigs()
    first = {name: row.register for name, row in rig.rows().items()}
    rig.add("aaa")
    rig.bench.clock.advance(3)
    more = {name: row.register for name, row in rig.rows().items()}
    assert first.items() < more.items()
    again = rigs(rig.bench)
    assert {name: row.register for name, row in again.rows().items()} == more
    rig.bench.points.retract("ups1", ["u"])
    assert "ups1.u" not in again.rows()
    assert again.words(first["ups1.u"] + 3, 1) == [0]
    assert {n: r.register for n, r in again.rows().items()}.items() < more.items()


def test_a_place_is_kept_before_it_is_served(rigs: Any) -> None:
    """While the store has not kept a place, its registers are unknown."""
    rig = rigs()
    kept: Deferred[None] = Deferred()
    put = rig.bench.store.put_setting
    rig.bench.store.put_setting = lambda name, value: kept
    rig.add("ups2")
    rig.bench.clock.advance(3)
    with pytest.raises(wire.ModbusRefused):
        rig.words(20, 1)
    rig.bench.store.put_setting = put
    kept.callback(None)
    assert rig.words(20, 1)
    assert SETTING == "bridge.modbus.map"


@pytest.mark.parametrize(
    ("pdu", "unit", "code"),
    [
        (wire.read(3, 20, 1), 1, 2),
        (wire.read(3, 18, 5), 1, 2),
        (wire.read(2, 4, 1), 1, 2),
        (wire.read(3, 0, 1), 9, 11),
        (wire.write(5, 20_000, [1]), 1, 1),
        (wire.write(6, 0, [1]), 1, 1),
        (wire.write(16, 0, [1, 2]), 1, 1),
    ],
)
def test_exceptions(rigs: Any, pdu: Any, unit: int, code: int) -> None:
    """Illegal address, another unit, and writes that are off."""
    reply = rigs().ask(pdu, unit)
    assert (reply.function_code, reply.exception_code) == (pdu.function_code | 0x80, code)


def places(rig: Rig) -> dict[str, Any]:
    """Return the coils, and the registers as f32 and s16, of the commands."""
    found: dict[str, Any] = {}
    for each in rig.bridge.registers().commands:
        found |= {f"{each.command} f32": each.register, f"{each.command} s16": each.scaled}
        found |= {} if each.coil is None else {each.command: each.coil}
    return found


def test_writes_go_through_the_door(rigs: Any) -> None:
    """Commands that do not ask: a coil does one, registers give an argument, all in the audit."""
    rig = rigs(writes=True)
    at = places(rig)
    assert set(at) == {"BZOFF", "BZOFF f32", "BZOFF s16", "feed f32", "feed s16"}
    assert rig.ask(wire.write(5, at["BZOFF"], [1])).function_code == 5
    assert rig.ask(wire.write(5, at["BZOFF"], [0])).function_code == 5
    words = wire.registers_of(12.5, "f32")
    assert rig.ask(wire.write(16, at["feed f32"], words)).function_code == 16
    assert rig.ask(wire.write(6, at["feed s16"], [16])).function_code == 6
    assert rig.device.done == [("BZOFF", {}), ("feed", {"amps": 12.5}), ("feed", {"amps": 16})]
    assert rig.ask(wire.write(6, at["BZOFF s16"], [0])).function_code == 6
    assert rig.ask(wire.write(6, at["BZOFF s16"], [1])).function_code == 6
    assert rig.device.done[3:] == [("BZOFF", {})]
    [newest, *_] = rig.bench.store.audit(1).result
    assert (newest.who, newest.command) == ("modbus 127.0.0.1", "BZOFF")
    for wrong in (wire.write(6, at["feed f32"], [1]), wire.write(5, 20_001, [1])):
        assert rig.ask(wrong).exception_code == 2
    nan = wire.write(16, at["feed f32"], [0x7FC0, 0])
    assert rig.ask(nan).exception_code == 3


def test_a_command_that_asks_cannot_be_reached(rigs: Any) -> None:
    """Not by the default map, nor by a map of one's own, nor by the door."""
    own = {"command": [{"target": "ups1", "command": "SOFF", "coil": 0}]}
    rig = rigs(writes=True, own=msgspec.convert(own, MapFile))
    assert rig.ask(wire.write(5, 0, [1])).exception_code == 2
    assert rig.device.done == []


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.FAILED, 4), (Outcome.REFUSED, 4), (Outcome.TIMEOUT, 11)]
)
def test_how_writes_end(rigs: Any, outcome: Outcome, code: int) -> None:
    """A command that fails is a device failure, an unknown outcome a target without an answer."""
    rig = rigs(writes=True)
    rig.device.result = succeed(CommandResult(outcome))
    assert rig.ask(wire.write(5, places(rig)["BZOFF"], [1])).exception_code == code


def test_a_slow_command_is_acknowledged(rigs: Any) -> None:
    """After 3 s the client is told that the command goes on; its outcome is in the audit."""
    rig = rigs(writes=True)
    rig.device.result = Deferred()
    connection, codec = rig.connect(), wire.ClientCodec("tcp", 1)
    connection.dataReceived(codec.request(wire.write(5, places(rig)["BZOFF"], [1])))
    rig.bench.clock.advance(3)
    reply: Any = codec.take(connection.transport.value())
    assert reply.exception_code == 5
    rig.device.result.callback(CommandResult(Outcome.DONE))
    connection.connectionLost()
    assert rig.bridge.queues["writes"].length == 0


def test_writes_are_bounded(rigs: Any) -> None:
    """Of a flood of writes the first are done; the others are answered busy."""
    rig = rigs(writes=True)
    coil = places(rig)["BZOFF"]
    codes = [rig.ask(wire.write(5, coil, [1])).exception_code for _ in range(30)]
    assert codes[:20] == [0] * 20
    assert set(codes[20:]) == {6}
    assert rig.bridge.counts["dropped"] == 10


OWN = {
    "point": [
        {"point": "ups1.u", "register": 100, "type": "f32", "order": "CDAB"},
        {"point": "ups1.u", "register": 102, "type": "u16", "scale": 100},
        {"point": "ups1.u", "register": 103, "type": "quality"},
        {"point": "ups1.u", "register": 104, "type": "age"},
        {"point": "ups1.w", "register": 105, "type": "s32", "order": "DCBA"},
        {"point": "ups1.state", "register": 200, "type": "text"},
    ],
    "bit": [{"point": "ups1.low", "bit": 7}, {"point": "ups1.low", "bit": 8, "good": True}],
    "command": [{"target": "ups1", "command": "feed", "register": 300, "type": "s16"}],
}
LISTED = {"target": "ups1", "command": "feed", "register": 0}


def test_an_own_map(rigs: Any) -> None:
    """Registers, orders, bits and commands stand where their author put them, and nothing else."""
    rig = rigs(writes=True, own=msgspec.convert(OWN, MapFile))
    rig.update(u=230.5, w=-2.0, state="市电", low=False)
    found = rig.words(100, 7)
    assert wire.value_of(found[:2], "f32", "CDAB") == 230.5
    assert found[2:5] == [23050, 1, 0]
    assert wire.value_of(found[5:7], "s32", "DCBA") == -2
    assert struct.pack(">16H", *rig.words(200, 16)).rstrip(b"\0").decode() == "市电"
    assert rig.ask(wire.read(1, 7, 2)).bits[:2] == [False, True]
    assert rig.ask(wire.write(6, 300, [0xFFFF])).function_code == 6
    assert rig.device.done == [("feed", {"amps": -1})]
    assert rig.ask(wire.read(3, 0, 1)).exception_code == 2
    assert [row.register for row in rig.bridge.registers().registers[:2]] == [100, 102]


def test_a_command_at_register_0_is_listed_with_its_type(rigs: Any) -> None:
    rig = rigs(writes=True, own=msgspec.convert({"command": [LISTED]}, MapFile))
    [row] = rig.bridge.registers().commands
    assert (row.register, row.type) == (0, "f32")


def test_pipelined_requests_are_answered_in_turns(rigs: Any) -> None:
    """A burst is answered in its order, a few in each turn of the reactor; reading pauses."""
    rig = rigs()
    connection = rig.connect()
    connection.dataReceived(b"".join(frame(n) for n in range(100)))
    at_once = len(connection.transport.value()) // 11
    assert at_once < 100
    for _ in range(100):
        rig.bench.clock.advance(0.05)
    numbers = [
        int.from_bytes(connection.transport.value()[at : at + 2], "big")
        for at in range(0, len(connection.transport.value()), 11)
    ]
    assert numbers == list(range(100))
    connection.connectionLost()


def frame(number: int) -> bytes:
    """Return a request for one register."""
    return struct.pack(">HHHBBHH", number, 0, 6, 1, 3, 0, 1)


def test_a_client_that_does_not_read_is_not_read(rigs: Any) -> None:
    """While the transport is full, nothing more is answered."""
    rig = rigs()
    connection = rig.connect()
    connection.pauseProducing()
    connection.dataReceived(frame(1))
    before = len(connection.transport.value())
    connection.dataReceived(frame(2) * 10)
    assert len(connection.transport.value()) - before <= 11
    connection.resumeProducing()
    rig.bench.clock.pump([0.1] * 5)
    assert len(connection.transport.value()) == 11 * 11
    connection.connectionLost()


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 8]
)
def test_another_protocol_is_cut(rigs: Any, data: bytes) -> None:
    """What is no Modbus ends the connection, and is counted."""
    rig = rigs()
    connection = rig.connect()
    connection.dataReceived(data)
    assert connection.transport.disconnecting
    assert rig.bridge.counts["not-modbus"] == 1
    connection.connectionLost()


def test_connections_are_bounded(rigs: Any) -> None:
    """One address has eight at most; a silent one goes; others are not let in."""
    rig = rigs(allowed_clients=("10.0.0.0/8",))
    assert rig.connect("192.168.1.9") is None
    made = [rig.connect("10.0.0.1") for _ in range(9)]
    assert made[0].transport.disconnecting
    assert rig.bridge.counts["not-allowed"] == 1
    rig.bench.clock.advance(301)
    assert all(each.transport.disconnecting for each in made)
    for each in made:
        each.connectionLost()
    assert rig.bridge.peers == 0


async def test_a_foreign_client_reads_and_writes(tmp_path: Any) -> None:
    """The client of pymodbus, over a socket: every function, and the exceptions."""
    reactor = IReactorTCP(installed)
    bench = Bench()
    rig = object.__new__(Rig)
    rig.bench = bench
    device = rig.add("ups1")
    rig.update(u=230.5, low=True)
    bridge = bridge_of(bench, reactor, listen="tcp:0", writes=True)
    bridge.startService()
    assert bridge.status.state is State.ONLINE
    coil = next(c.coil for c in bridge.registers().commands if c.coil is not None)

    def talk() -> list[Any]:
        client = ModbusTcpClient("127.0.0.1", port=bridge.listening.port, timeout=30, retries=0)
        assert client.connect()  # type: ignore[no-untyped-call]
        with client:
            first = client.read_holding_registers(0, count=2, device_id=1)
            kind = client.DATATYPE.FLOAT32
            return [
                client.convert_from_registers(first.registers, kind),
                client.read_input_registers(2, count=3, device_id=1).registers[:2],
                client.read_coils(1, count=1, device_id=1).bits[0],
                client.read_discrete_inputs(1, count=1, device_id=1).bits[0],
                client.write_coil(coil, True, device_id=1).isError(),
                client.read_holding_registers(3000, count=1, device_id=1).exception_code,
                client.write_registers(0, [1, 2], device_id=1).exception_code,
                client.write_coils(0, [True], device_id=1).exception_code,
            ]

    try:
        found = await deferToThread(talk)
    finally:
        await bridge.stopService()
        bench.alarms.stop()
    assert found == [230.5, [2305, 1], True, True, False, 2, 2, 1]
    assert device.done == [("BZOFF", {})]
