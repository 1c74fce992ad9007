"""The registers of the Power Brain: the document's table, and one state seen from two sides."""

from typing import Any

import pytest

from tests.twin.faces.cfos.bench import Bench, basic
from twisted_gantry.wire.cfos.registers import EVSE, METER, Access


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ask(bench: Bench, query: str) -> Any:
    """Send one of the document's queries, as it is printed but for what no URL can hold."""
    printed = query.replace('"', "%22").replace(" ", "%20")
    return bench.request(printed, headers=basic(bench.password)).json


def test_the_meter_that_measures_one_watt_out(bench: Bench) -> None:
    """Without a car, and with the sun one watt ahead, meter1 reads as the document prints it."""
    bench.put("E1.car", "none")
    bench.put("other_w", -1)
    assert ask(bench, "cmd=modbus&device=meter1&read=8002") == 1
    assert ask(bench, "cmd=modbus&device=meter1&read=8062d") == -1
    assert ask(bench, "cmd=modbus&device=meter1&read=8016s") == "cFos Power Brain"
    assert ask(bench, "cmd=modbus&device=meter1&read=8002&count=10") == [
        1,
        257,
        256,
        0,
        256,
        0,
        26211,
        26165,
        11619,
        13366,
    ]


DOCUMENTED = {
    "8000d": -821755904,
    "8002": 1,
    "8003": 257,
    "8004": 16777216,
    "8006": 256,
    "8007": 0,
    "8008s": "fcf5-c46d-310c",
    "8016s": "cFos Power Brain",
    "8040": 41,
    "8041": 1,
    "8042d": 1000,
    "8044": 1,
    "8045": 230,
    "8046": 230,
    "8047": 230,
    "8050q": 0,
    "8054d": 0,
    "8056": 0,
    "8057": 0,
    "8058q": 0,
    "8062d": -1,
    "8064d": 0,
    "8066d": 0,
    "8068d": 0,
    "8070": 0,
    "8071": 0,
    "8120d": 0,
}


def test_all_of_a_meter_without_pulses(bench: Bench) -> None:
    """A pulse counter of one phase that never had a pulse reads as the document prints it."""
    bench.put("E1.car", "none")
    bench.run(10)
    assert bench.write("8044", 1, "meter2") == "ok"
    answer = ask(bench, "cmd=modbus&device=meter2&read=all")
    assert answer == DOCUMENTED
    assert list(answer) == list(DOCUMENTED)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("write=8044&value=7", "ok"),
        ('write=8050q&value=1"', "ok"),
        ('write=8044d&value=1"', "bad modbus register size"),
        ("write=8044&values=[7,230,230,230 ]", "ok"),
    ],
)
def test_the_writes_of_the_document(bench: Bench, query: str, answer: str) -> None:
    """Each example is answered as printed, also with its stray quotation mark."""
    assert ask(bench, f"cmd=modbus&device=evse&{query}") == answer


def test_the_writes_of_the_document_act(bench: Bench) -> None:
    """What was written is read, and a write that was refused changed nothing."""
    ask(bench, 'cmd=modbus&device=evse&write=8050q&value=1"')
    ask(bench, "cmd=modbus&device=evse&write=8044&values=[3,231,232,233 ]")
    ask(bench, 'cmd=modbus&device=evse&write=8044d&value=1"')
    assert bench.register("8050q") == 1
    answer = bench.open("modbus", device="evse", read="8044", count=4).json
    assert answer == [3, 231, 232, 233]


def test_an_address_outside_the_map_is_named(bench: Bench) -> None:
    """The document's own 35154 is in no map; HTTP says 200 all the same."""
    exchange = bench.open("modbus", device="meter1", read="35154")
    assert exchange.status == 200
    assert "35154" in exchange.json


@pytest.mark.parametrize("device", ["", "meter3", "M1", "evse2", "x" * 500])
def test_an_unknown_device_is_named(bench: Bench, device: str) -> None:
    """A device that is none is told by its name, cut short."""
    exchange = bench.open("modbus", device=device, read="8002")
    assert exchange.status == 200
    assert device[:40] in exchange.json
    assert len(exchange.json) < 100


def test_neither_read_nor_write(bench: Bench) -> None:
    """A call without either is told so."""
    assert "read or write" in bench.open("modbus", device="evse").json


def test_every_readable_register_is_read_by_its_suffix(bench: Bench) -> None:
    """All of both maps can be read one by one, and say what `read=all` says."""
    bench.run(60)
    for device, registers in (("evse", EVSE), ("meter1", METER), ("meter2", METER)):
        everything = bench.register("all", device)
        for register in registers.values():
            if register.printed:
                single = bench.register(f"{register.address}{register.suffix}", device)
                assert single == everything[register.printed], register


def test_a_read_only_register_is_not_written(bench: Bench) -> None:
    """Measurements and constants refuse a write."""
    for device, registers in (("evse", EVSE), ("meter2", METER)):
        for register in registers.values():
            if register.access is Access.READ and not register.is_text:
                answer = bench.write(f"{register.address}{register.suffix}", 1, device)
                assert answer == "modbus register is read only"


def test_every_writable_register_keeps_what_it_is_told(bench: Bench) -> None:
    """A value within its range is read as it was written; a mad one changes nothing."""
    good = {"current_limit": 100, "default_current_limit": 100, "slave_id": 9, "disconnect_cp": 0}
    bench.put("E1.car", "none")
    for device, registers in (("evse", EVSE), ("meter2", METER)):
        for register in registers.values():
            if register.access is not Access.READ_WRITE:
                continue
            address = f"{register.address}{register.suffix}"
            value = good.get(register.name, 1)
            assert bench.write(address, value, device) == "ok", register
            assert bench.register(address, device) == value, register
            assert bench.write(address, -7, device) == "bad modbus register value"
            assert bench.register(address, device) == value, register


@pytest.mark.parametrize("value", [0, 59, 631, 65_535, -1, 10**30])
def test_a_current_limit_outside_6_to_63_a_is_refused(bench: Bench, value: int) -> None:
    """What no pilot can say is not taken."""
    assert bench.write("8093", value) == "bad modbus register value"
    assert bench.register("8093") == 160


def test_several_values_are_written_all_or_none(bench: Bench) -> None:
    """One value that is out of range leaves all registers as they were."""
    bench.write("8093", 200)
    answer = bench.call("modbus", device="evse", write="8093", values="[100,7]")
    assert answer == "bad modbus register value"
    assert bench.register("8093") == 200
    assert bench.call("modbus", device="evse", write="8093", values="[100,0]") == "ok"
    assert (bench.register("8093"), bench.register("8094")) == (100, 0)


def test_the_current_limit_is_seen_in_the_json_and_in_the_world(bench: Bench) -> None:
    """8093 is `max_charging_cur`, in both directions, and the car follows."""
    bench.run(30)
    assert bench.write("8093", 100) == "ok"
    assert bench.device("E1")["max_charging_cur"] == 10_000
    assert bench.device("E1")["evse"]["current"] == 10_000
    bench.run(10)
    assert bench.device("E1")["current_l1"] == 10_000
    assert bench.register("8095") == 100
    assert bench.call("set_params", {"devices": [{"dev_id": "E1", "max_charging_cur": 8000}]})
    assert bench.register("8093") == 80


def test_enabling_is_seen_in_the_json_and_in_the_world(bench: Bench) -> None:
    """8094 opens the contactor, and `charging_enabled` says so; 1 closes it again."""
    bench.run(30)
    assert bench.write("8094", 0) == "ok"
    shown = bench.device("E1")
    assert (shown["charging_enabled"], shown["state"], shown["cur_charging_power"]) == (False, 2, 0)
    assert bench.register("8092") == 1
    assert bench.write("8094", 1) == "ok"
    bench.run(30)
    assert bench.device("E1")["state"] == 3
    assert bench.register("8092") == 2


def test_a_write_of_1_ends_an_overriding_off(bench: Bench) -> None:
    """`override_device` is seen in 8094, and the register that is written last wins."""
    assert bench.call("override_device", dev_id="E1", flags="C") == "ok"
    assert bench.register("8094") == 0
    assert bench.write("8094", 1) == "ok"
    assert bench.device("E1")["overrides"] == 0
    assert bench.register("8094") == 1


def test_phases_and_ids_are_one_state(bench: Bench) -> None:
    """8044 is `used_phases`, 8040 the Modbus `id`, for the wallbox and the meters."""
    for device, dev_id in (("evse", "E1"), ("meter1", "M1"), ("meter2", "M2")):
        bench.write("8044", 1, device)
        bench.write("8040", 77, device)
        shown = bench.device(dev_id)
        assert (shown["used_phases"], shown["id"]) == (1, 77)
    bench.run(30)
    assert bench.device("E1")["phases"] == 1
    assert bench.charging.evses["E1"].phase_currents_a["s"] == 0
    bench.call("set_device", {"dev_id": "M1", "used_phases": 7})
    assert bench.register("8044", "meter1") == 7


@pytest.mark.parametrize(
    ("register", "key", "values"),
    [("8087", "phases", {1: 1, 0: 7}), ("8091", "current_l1", {70: 7000, 0: 16_000})],
)
def test_a_register_limits_the_wallbox(
    bench: Bench, register: str, key: str, values: dict[int, int]
) -> None:
    """8087 = 1 is one phase, 0 all three; 8091, unless 0, is the highest offer."""
    for value, shown in values.items():
        bench.write(register, value)
        bench.run(30)
        assert bench.device("E1")[key] == shown


def test_the_pilot_is_taken_away_for_some_seconds(bench: Bench) -> None:
    """8086 stops charging for as many seconds as were written, and counts them down."""
    bench.run(30)
    bench.write("8086", 20)
    assert bench.device("E1")["cur_charging_power"] == 0
    bench.run(10)
    assert bench.register("8086") == 10
    assert bench.device("E1")["state"] == 2
    bench.run(20)
    assert bench.register("8086") == 0
    assert bench.device("E1")["state"] == 3


def test_the_attached_meter_is_seen_at_the_wallbox(bench: Bench) -> None:
    """8058 to 8068 of `evse` are those of the meter that is attached, and nothing without one."""
    bench.run(60)
    everything = bench.register("all")
    attached = bench.register("all", "meter2")
    for key in ("8058q", "8062d", "8064d", "8066d", "8068d"):
        assert everything[key] == attached[key]
    assert everything["8062d"] == 16 * 220 * 3
    assert everything["8112"] == 1
    bench.call("set_device", {"dev_id": "E1", "attach": ""})
    everything = bench.register("all")
    assert (everything["8112"], everything["8062d"]) == (0, 0)


def test_counters_are_set_and_reset(bench: Bench) -> None:
    """8058 and 8050 can be set, 8071 and 8070 take them to 0, and both go on from there."""
    bench.run(60)
    bench.write("8058q", 5000, "meter2")
    assert bench.device("M2")["import"] == 5000
    bench.write("8050q", 10**15, "meter2")
    bench.run(60)
    assert bench.register("8050q", "meter2") > 10**15
    assert bench.device("M2")["import"] > 5000
    for address in ("8070", "8071"):
        assert bench.write(address, 1, "meter2") == "ok"
    assert bench.register("8050q", "meter2") == 0
    assert bench.device("M2")["import"] == 0


def test_pulses_follow_the_rate(bench: Bench) -> None:
    """At 2,000 pulses per kWh the time from pulse to pulse is half as long."""
    bench.run(60)
    at_1000 = bench.register("8054d", "meter2")
    assert at_1000 == round(3_600_000 / (16 * 220 * 3))
    bench.write("8042d", 2000, "meter2")
    assert bench.register("8054d", "meter2") == pytest.approx(at_1000 / 2, abs=1)
