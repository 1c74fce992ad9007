"""The kind `modbus` against a table of registers, over TCP and RTU framing."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.devices.modbus.rig import Rig, Table, read
from tests.support import TestClock
from twisted_gantry.config.load import load_file
from twisted_gantry.core.commands.types import Endangers, Outcome
from twisted_gantry.core.site import Cabinet
from twisted_gantry.devices.modbus.plan import grouped
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.twin.faces.modbus import ModbusFactory
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.world.model import World
from twisted_gantry.uplinks.etc.rows import cabinet


def points(*rows: str) -> str:
    return "".join(f"[[device.point]]\n{row}\n" for row in rows)


@pytest.fixture
def rigs() -> Iterator[Any]:
    """Make rigs that are stopped at the end."""
    made: list[Rig] = []

    def make(toml: str, server: Any, **settings: Any) -> Rig:
        made.append(Rig(toml, server, **settings))
        return made[-1].start()  # type: ignore[no-any-return]

    yield make
    for rig in made:
        rig.stop()


TYPES = points(
    'name = "u"\nregister = 0\ntype = "f32"\nunit = "V"',
    'name = "i"\nregister = 2\ntype = "s16"\nscale = 0.1\nunit = "A"',
    'name = "e"\nregister = 3\ntype = "u32"\norder = "CDAB"\nscale = 10\nunit = "Wh"',
    'name = "k"\nregister = 5\ntype = "s32"',
    'name = "b"\nregister = 7\ntype = "bit"\nfunction = 3\nbit = 15',
    'name = "s"\nregister = 8\ntexts = { "1" = "line", "2" = "battery" }',
    'name = "c"\nregister = 9\ntype = "u16"\norder = "DCBA"',
)


@pytest.mark.parametrize("framing", ["tcp", "rtu-over-tcp"])
def test_values_of_every_type(rigs: Any, framing: str) -> None:
    """Each type, order and scale is read, all by one request; both framings carry the same."""
    words = [0x4366, 0x8000, 0xFFF6, 0x0002, 0x0001, 0xFFFF, 0xFFFD, 0x8000, 2, 0x0100]
    table = Table(dict(enumerate(words)), framing, unit=7)
    rig = rigs(TYPES, table, framing=framing, unit=7)
    found = {name: rig.good(name) for name in "uiekbsc"}
    expected = {"u": 230.5, "i": -1, "e": 655380, "k": -3, "b": True, "s": "battery", "c": 1}
    assert found == expected
    assert table.asked == [(3, 0, 10)]
    assert rig.state == "online"


def test_what_is_no_value_is_none(rigs: Any) -> None:
    """NaN, a mark, what is outside the bounds, and an unknown text are no values."""
    toml = points(
        'name = "nan"\nregister = 0\ntype = "f32"',
        'name = "mark"\nregister = 2\ntype = "s16"',
        'name = "high"\nregister = 3\nmin = 0\nmax = 600',
        'name = "text"\nregister = 4\ntexts = { "0" = "off" }',
        'name = "meant"\nregister = 5\nmin = 0\nmax = 65535',
        'name = "good"\nregister = 6',
    )
    words = [0x7FC0, 0, 0x8000, 6553, 9, 0xFFFF, 1]
    rig = rigs(toml, Table(dict(enumerate(words))))
    failed = {name: rig.good(name) for name in ("nan", "mark", "high", "text")}
    assert set(failed.values()) == {"get-failed"}
    assert (rig.good("meant"), rig.good("good"), rig.state) == (65535, 1, "online")


@pytest.mark.parametrize("code", [2, 3, 4])
def test_one_bad_register_costs_one_value(rigs: Any, code: int) -> None:
    """A refused request is taken apart until the bad point stands alone, and stays apart."""
    toml = points(*(f'name = "p{n}"\nregister = {n}' for n in range(100)))
    table = Table({n: n for n in range(100)})
    table.bad[42] = code
    rig = rigs(toml, table, poll=1.0)
    assert [n for n in range(100) if rig.good(f"p{n}") != n] == [42]
    assert rig.state == "online"
    assert "p42" in rig.device.status.last_error
    before = len(table.asked)
    rig.clock.run(1.0)
    assert len(table.asked) - before < 10


def test_a_device_that_is_busy_is_not_taken_apart(rigs: Any) -> None:
    """Busy says nothing about a register: the values are back with one request."""
    table = Table({n: n for n in range(10)})
    table.bad[3] = 6
    rig = rigs(points(*(f'name = "p{n}"\nregister = {n}' for n in range(10))), table, poll=1.0)
    assert rig.good("p1") == "no-data" or rig.good("p1") == "get-failed"
    table.bad.clear()
    rig.clock.run(3.0)
    assert rig.good("p9") == 9
    assert {count for _, _, count in table.asked} == {10}


def test_a_register_without_an_answer_is_left_out(rigs: Any) -> None:
    """A device that does not answer one request answers the others, and is asked for it seldom."""
    toml = points('name = "a"\nregister = 0', 'name = "b"\nregister = 100')
    table = Table({0: 1, 100: 2})
    table.silent.add(100)
    rig = rigs(toml, table, poll=1.0, patience=0.5)
    rig.clock.run(9.0)
    assert (rig.good("a"), rig.good("b"), rig.state) == (1, "get-failed", "online")
    assert sum(address == 100 for _, address, _ in table.asked) == 1
    table.silent.clear()
    rig.clock.run(6.0)
    assert rig.good("b") == 2


def test_requests_are_few_and_small() -> None:
    """Points are read together over small gaps, never over large ones nor beyond the bounds."""
    toml = points(
        *(f'name = "h{n}"\nregister = {n}\ntype = "f32"' for n in range(0, 300, 2)),
        'name = "far"\nregister = 400',
        'name = "near"\nregister = 405',
        'name = "i"\nregister = 0\nfunction = 4',
        'name = "c0"\nregister = 0\ntype = "bit"',
        'name = "c1"\nregister = 100\ntype = "bit"',
    )
    groups = [
        (each.function, each.address, each.count) for each in grouped(read(toml).point, 8, 125)
    ]
    assert groups == [(1, 0, 101), (3, 0, 124), (3, 124, 124), (3, 248, 52), (3, 400, 6), (4, 0, 1)]


@pytest.mark.parametrize("says", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_protocol_is_named(rigs: Any, says: bytes) -> None:
    """What answers and is not Modbus is shown by its first bytes."""
    table = Table({0: 1})
    table.says = says
    rig = rigs(points('name = "a"\nregister = 0'), table, poll=0.5)
    rig.clock.run(8.0)
    assert rig.state == "offline"
    assert says[:7].decode() in rig.device.status.last_error


@pytest.mark.parametrize(
    ("says", "en", "zh"),
    [
        ("00010000000502030200 05", "unit 2 replies instead of 1", "应答的单元号为2，应为1"),
        ("00070000000501030200 05", "a reply to another request", "应答的事务号与请求不符"),
        ("0001000000c80103020005", "a reply without its end: 00 01 00", "应答不完整"),
        ("0001000000030103 00", "0 values were answered instead of 1", "应答了0个值，应为1个"),
        ("00010000000501040200 05", "function 4 was answered", "应答的功能码为4，应为3"),
        ("0001000000020183", "a Modbus reply that cannot be read", "Modbus应答无法解析：00 01"),
        ("0001000000000103020005", "not Modbus TCP: 00 01 00 00 00 00 01", "对端使用的不是本协议"),
    ],
)
def test_a_reply_that_is_none_is_told(rigs: Any, says: str, en: str, zh: str) -> None:
    """Modbus that answers something else is not told as another protocol, nor in letters that no
    person can read.
    """
    table = Table({0: 1})
    table.says = bytes.fromhex(says)
    rig = rigs(points('name = "a"\nregister = 0'), table, poll=0.5, patience=0.5)
    rig.clock.run(8.0)
    assert rig.state == "offline"
    assert en in rig.device.status.last_error
    assert zh in rig.device.status.outage.zh
    assert "\ufffd" not in rig.device.status.last_error


def test_a_flood_of_replies_ends_the_connection(rigs: Any) -> None:
    """A device that answers one request with any number of others is cut after a few."""
    table = Table({0: 5})
    table.says = bytes.fromhex("ffff000000050103020005") * 5000
    rig = rigs(points('name = "a"\nregister = 0'), table, poll=1.0)
    assert "replies to one request" in rig.device.status.last_error
    table.says = None
    rig.clock.run(10.0)
    assert (rig.good("a"), rig.state) == (5, "online")


def test_a_flood_of_unasked_bytes_ends_the_connection(rigs: Any) -> None:
    """A device that sends without being asked is cut, and read again by a new connection."""
    table = Table({0: 5})
    rig = rigs(points('name = "a"\nregister = 0'), table, poll=1.0)
    rig.network.pumps[-1].server.transport.write(b"\0" * 4096)
    rig.clock.run(2.0)
    assert len(rig.network.attempts) == 2
    assert (rig.good("a"), rig.state) == (5, "online")


def test_it_reconnects(rigs: Any) -> None:
    """A device that is away goes offline with the reason, and comes back by itself."""
    table = Table({0: 5})
    rig = rigs(points('name = "a"\nregister = 0'), table, poll=1.0)
    rig.network.reachable = False
    rig.network.cut()
    rig.clock.run(10.0)
    assert (rig.state, rig.good("a")) == ("offline", "get-failed")
    assert "no connection" in rig.device.status.last_error
    rig.network.reachable = True
    rig.clock.run(10.0)
    assert (rig.state, rig.good("a")) == ("online", 5)


COMMANDS = """
[[device.command]]
name = "reset"
register = 1
value = 1
[[device.command]]
name = "setpoint"
register = 2
type = "s16"
scale = 0.1
min = 5
max = 40
endangers = "nothing"
[[device.command]]
name = "level"
register = 4
type = "f32"
endangers = "power"
[[device.command]]
name = "fan"
register = 6
type = "bit"
endangers = "nothing"
"""


def test_commands_write_registers(rigs: Any) -> None:
    """A write asks unless its author says that it endangers nothing; its effect is read at once."""
    table = Table(dict.fromkeys(range(10), 0))
    rig = rigs(COMMANDS + points('name = "a"\nregister = 2\ntype = "s16"\nscale = 0.1'), table)
    commands = rig.device.commands
    assert commands["reset"].endangers is Endangers.DEVICE
    assert commands["level"].endangers is Endangers.POWER
    assert not commands["setpoint"].asks
    assert rig.do("reset", 1.0, confirmed=False).result is Outcome.REFUSED
    assert rig.do("reset", 1.0, confirmed=True).result is Outcome.DONE
    assert rig.do("setpoint", 1.0, confirmed=False, value=21.5).result is Outcome.DONE
    assert rig.good("a") == 21.5
    assert rig.do("setpoint", 1.0, confirmed=False, value=90).result is Outcome.REFUSED
    assert rig.do("level", 1.0, value=0.5, confirmed=True).result is Outcome.DONE
    assert rig.do("fan", 1.0, confirmed=False, value=True).result is Outcome.DONE
    assert [table.values[n] for n in (1, 2, 4, 5, 6)] == [1, 215, 0x3F00, 0, 1]


def test_how_commands_end(rigs: Any) -> None:
    """Refused by the device: failed. No answer: timeout. No connection: failed, and not sent."""
    table = Table(dict.fromkeys(range(10), 0))
    rig = rigs(COMMANDS + points('name = "a"\nregister = 0'), table, patience=0.5, poll=600.0)
    table.bad[6] = 4
    assert rig.do("fan", 1.0, value=True).result is Outcome.FAILED
    table.bad.clear()
    table.silent.add(6)
    assert rig.do("fan", 1.0, value=True).result is Outcome.TIMEOUT
    rig.network.reachable = False
    assert "not sent" in rig.do("fan", 1.0, value=True).detail


ROLES = """
[[device.point]]
name = "u1"
register = 0
type = "f32"
unit = "V"
role = "elec.voltage"
[[device.point]]
name = "u2"
register = 2
type = "f32"
unit = "V"
role = "elec.voltage_l2"
[[device.point]]
name = "u3"
register = 4
type = "f32"
unit = "V"
role = "elec.voltage_l3"
[[device.point]]
name = "smoke"
register = 100
type = "bit"
function = 3
role = "smoke_sensor.is_warning"
[[device.point]]
name = "low"
register = 101
type = "bit"
function = 3
role = "ups.battery-low"
"""


def test_roles_make_the_rows_and_the_alarms(rigs: Any) -> None:
    """By their roles, points are judged and alarmed as those of a UPS, a meter or a cabinet."""
    table = Table({0: 0x435C, 1: 0, 2: 0x435C, 3: 0, 4: 0x435C, 5: 0, 100: 0, 101: 0})
    rig = rigs(ROLES, table, poll=1.0)
    assert rig.good("elec.1.voltage") == 220
    assert rig.good("elec.1.status") is True
    assert rig.good("ups.1.status") is True
    assert rig.good("elec.1.power") == "not-supported"
    assert rig.raised() == set()
    table.values |= {2: 0, 100: 1, 101: 1}
    rig.clock.run(5.0)
    power = {"elec.1.phase-l2-lost", "mains-abnormal", "ups.1.battery-low", "ups-fault"}
    assert rig.raised() == {*power, "smoke"}
    assert (rig.good("elec.1.status"), rig.good("ups.1.status")) == (False, False)
    table.values |= {2: 0x435C, 100: 0, 101: 0}
    rig.clock.run(5.0)
    assert rig.raised() == set()


def test_the_twin_speaks_it(rigs: Any) -> None:
    """The gateway of the twin is read as any device, and follows its world."""
    toml = points(
        'name = "u1"\nregister = 0\ntype = "f32"\nunit = "V"\nrole = "elec.voltage"',
        'name = "hz"\nregister = 6\ntype = "f32"\nunit = "Hz"\nrole = "elec.frequency"',
    )
    world, clock = World(Random(1)), Clock()
    faults = Faults(clock.seconds, Random(1))
    rig = rigs(toml, ModbusFactory(world, faults, clock), poll=1.0)
    assert rig.good("elec.1.voltage") == 220
    world.change({"mains.voltage": 0})
    rig.clock.run(3.0)
    assert "mains-abnormal" in rig.raised()
    faults.put("modbus", {"code": "4"})
    rig.clock.run(4.0)
    assert rig.state == "offline"


def test_the_example_is_in_order() -> None:
    """The example of the documentation passes the check."""
    example = Path(__file__).parents[3] / "docs" / "examples" / "modbus.toml"
    assert [entry.name for entry in load_file(example).devices] == ["meter", "room"]


def test_roles_are_in_the_report_of_the_cabinet(rigs: Any) -> None:
    """The platform gets the rows of such a device as those of a UPS, a meter or a cabinet."""
    table = Table({0: 0x435C, 1: 0, 2: 0x435C, 3: 0, 4: 0x435C, 5: 0, 100: 1, 101: 1})
    rig = rigs(ROLES, table, poll=1.0)
    rig.clock.run(3.0)
    sources = {"elec": ("m1",), "ups": ("m1",), "smoke_sensor": ("m1",), "doors": ()}
    report, _, _ = cabinet(rig.bench.site, Cabinet("1", sources), ())
    [elec], [ups] = report.elec, report.ups
    assert (elec.id, elec.status, elec.voltage, elec.current) == ("1", "1", "220", "NotSupport")
    assert (ups.status, ups.warning_msg) == ("0", "电池电压低")
    assert report.smoke_sensor.is_warning == "1"
    rig.network.reachable = False
    rig.network.cut()
    rig.clock.run(10.0)
    [elec] = cabinet(rig.bench.site, Cabinet("1", sources), ())[0].elec
    assert (elec.id, elec.voltage) == ("1", "GetFailed")


def test_a_strike_is_an_alarm(rigs: Any) -> None:
    """A counter of a surge arrester that rises is a strike, until the next reading."""
    toml = points('name = "n"\nregister = 0\nrole = "thunder_spd.lightning_count"')
    table = Table({0: 7})
    rig = rigs(toml, table, poll=1.0)
    rig.clock.run(2.0)
    assert rig.raised() == set()
    table.values[0] = 8
    rig.clock.run(1.0)
    assert rig.raised() == {"lightning"}
    rig.clock.run(1.0)
    assert rig.raised() == set()


def test_words_need_texts() -> None:
    """A role of words is refused for a number that has none: its alarm could never come."""
    with pytest.raises(ConfigError, match=r"point\[1\].role: running_state is a word"):
        read(points('name = "s"\nregister = 0\nrole = "ups.running_state"'))
    read(
        points(
            'name = "s"\nregister = 0\ntexts = { "2" = "discharging" }\nrole = "ups.running_state"'
        )
    )


@pytest.mark.parametrize(
    "faults",
    [
        {"drop": 1.0},
        {"garbage": 1.0},
        {"half": 1.0},
        {"duplicate": 1.0},
        {"drip": 40},
        {"delay": 20.0},
        {"frozen": True},
        {"refuse": True},
        {"busy": True},
    ],
    ids=lambda faults: next(iter(faults)),
)
def test_it_survives_every_fault_of_the_twin(rigs: Any, faults: dict[str, Any]) -> None:
    """Under each fault no wrong value is good; afterwards the device is back by itself."""
    toml = points('name = "u1"\nregister = 0\ntype = "f32"', 'name = "s1"\nregister = 20')
    world, clock = World(Random(1)), TestClock()
    given = Faults(clock.seconds, Random(1))
    rig = Rig(toml, ModbusFactory(world, given, clock), poll=1.0, patience=1.0)
    advance = rig.clock.advance

    def both(seconds: float) -> None:
        clock.advance(seconds)
        advance(seconds)

    rig.clock.advance = both  # type: ignore[method-assign, assignment]
    rig.start()
    given.put("modbus", faults)
    for _ in range(15):
        rig.clock.run(1.0)
        assert rig.good("u1") in {220.0, "get-failed"}
        assert rig.good("s1") in {2200, "get-failed"}
    given.clear("modbus")
    rig.clock.run(90.0, step=0.5)
    assert (rig.state, rig.good("u1"), rig.good("s1")) == ("online", 220.0, 2200)
    rig.stop()
