"""The Modbus face of the twin: units, functions, exceptions, and what is written."""

from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_gantry.twin.faces.modbus import CABINET, METER, ModbusFactory
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire import modbus as wire


class Bench:
    """A session with the face; `ask` returns the reply, an exception as ModbusRefused."""

    def __init__(self) -> None:
        clock = Clock()
        self.world, self.faults = World(Random(1)), Faults(clock.seconds, Random(1))
        self.session = ModbusFactory(self.world, self.faults, clock).buildProtocol(None)
        self.transport = StringTransport()
        self.session.makeConnection(self.transport)

    def ask(self, unit: int, pdu: Any) -> Any:
        codec = wire.ClientCodec("tcp", unit)
        self.transport.clear()
        self.session.dataReceived(codec.request(pdu))
        reply = codec.take(self.transport.value())
        wire.check_reply(reply, pdu.function_code)  # type: ignore[arg-type]
        return reply


def test_it_follows_the_world() -> None:
    """The meter and the cabinet show the one world."""
    bench = Bench()
    bench.world.change({"mains.voltage_r": 231.5, "cab1.smoke": True})
    words = bench.ask(METER, wire.read(4, 0, 2)).registers
    assert wire.value_of(words, "f32") == 231.5
    assert bench.ask(METER, wire.read(3, 20, 1)).registers == [2315]
    assert bench.ask(CABINET, wire.read(2, 0, 2)).bits[:2] == [True, False]


def test_what_is_written_changes_the_world() -> None:
    """A coil switches an air conditioner, a register sets its set point; others are refused."""
    bench = Bench()
    bench.ask(CABINET, wire.write(5, 4, [0]))
    bench.ask(CABINET, wire.write(6, 3, [260]))
    state = bench.world.snapshot()
    assert (state["cab1.air1_on"], state["cab1.air1_cool_above"]) == (False, 26)
    for refused, code in ((wire.write(6, 0, [1]), 2), (wire.write(6, 3, [32000]), 3)):
        with pytest.raises(wire.ModbusRefused) as caught:
            bench.ask(CABINET, refused)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("unit", "address", "code"), [(METER, 12, 2), (METER, 11, 2), (CABINET, 5, 2), (9, 0, 11)]
)
def test_what_is_not_there_is_refused(unit: int, address: int, code: int) -> None:
    """Unknown registers and units are answered with their exceptions."""
    with pytest.raises(wire.ModbusRefused) as caught:
        Bench().ask(unit, wire.read(3, address, 2))
    assert caught.value.code == code


def test_faults() -> None:
    """Busy and a code are exceptions, and nothing is executed."""
    bench = Bench()
    for faults, code in (({"busy": True}, 6), ({"code": "4"}, 4)):
        bench.faults.put("modbus", faults)
        with pytest.raises(wire.ModbusRefused) as caught:
            bench.ask(CABINET, wire.write(5, 4, [0]))
        assert caught.value.code == code
    assert bench.world.snapshot()["cab1.air1_on"] is True


def test_another_protocol_is_cut() -> None:
    """What is no Modbus ends the session."""
    bench = Bench()
    bench.session.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert bench.transport.disconnecting
