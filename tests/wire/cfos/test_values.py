"""What `get_dev_info` tells: the document's sample, both generations of firmware, nonsense."""

import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import NASTY, checked, document, json_with, likely_bytes, outcome
from twisted_gantry.wire.cfos.calls import CfosRefused
from twisted_gantry.wire.cfos.values import (
    EVSE_UNITS,
    MAX_DEVICES,
    METER_UNITS,
    PARAM_UNITS,
    DevInfo,
    Readings,
    decode_dev_info,
)
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.reading import Quality

# The sample is no JSON. Lenient reading takes its comments and its trailing comma; the one thing
# that nothing can take is that the EVSE is never closed.
_UNCLOSED = b'"pause_min_time" : 300,   // min. secs before end of pause\n'
_CLOSED = b'"pause_min_time" : 300 },\n'


def sample() -> bytes:
    """Return the document's sample with the EVSE closed."""
    text = document("cfos-get-dev-info")
    assert text.count(_UNCLOSED) == 1
    return text.replace(_UNCLOSED, _CLOSED)


def good(readings: Readings) -> dict[str, Any]:
    return {name: r.value for name, r in readings.items() if r.quality is Quality.GOOD}


def poll(*devices: Any, **params: Any) -> bytes:
    return json.dumps({"params": params, "devices": devices}).encode()


def test_the_sample_as_printed_is_refused() -> None:
    """With the EVSE left open the sample cannot be read, and that is said."""
    with pytest.raises(WireError):
        decode_dev_info(document("cfos-get-dev-info"))


def test_the_samples_manager() -> None:
    """The sample's parameters are read into A, W and s."""
    info = decode_dev_info(sample())
    assert info.odd == ()
    assert good(info.params) == {
        "title": "cFos Power Brain",
        "version": "1.8.1095",
        "max_total_current": 32.0,
        "reserve_current": 0.0,
        "overdraft_current": 0.0,
        "max_evse_current": 0.0,
        "evse_power": 0.0,
        "available_evse_power": 32000.0,
        "load_balancing": False,
        "disable_policy": "minimum-current",
        "cycle_time": 3.009,
        "trial_version": False,
    }
    assert info.fields["vsn"] == {"vendorid": 52997}


def test_the_samples_parts() -> None:
    """The sample's EVSE and meter are told apart by their ids: `is_evse` is wrong in it."""
    parts = decode_dev_info(sample()).parts
    assert [(each.id, each.is_evse) for each in parts.values()] == [("E1", True), ("M1", False)]
    assert parts["M1"].fields["is_evse"] is True
    evse, meter = good(parts["E1"].readings), good(parts["M1"].readings)
    assert evse["state"] == "waiting"
    assert (evse["enabled"], evse["charging_enabled"], evse["paused"]) == (True, True, False)
    assert (evse["import_energy"], evse["power"], evse["max_charging_current"]) == (
        7120572.0,
        0.0,
        11.04,
    )
    assert (evse["phases"], evse["priority"], evse["pause_time"]) == ("none", 1, 300.0)
    assert (meter["import_energy"], meter["export_energy"], meter["role"]) == (15.0, 0.0, "display")
    assert [meter[f"voltage_l{n}"] for n in (1, 2, 3)] == [230.0] * 3
    assert meter["name"] == "S0 Zähler 1"


def test_the_older_firmware() -> None:
    """Firmware 1.6 has powers where the document has currents, and nested objects."""
    evse = {
        "dev_id": "E1",
        "device_enabled": 0,
        "max_power": 11040,
        "last_set_charging_cur": 15942,
        "state": 3,
        "phases": 7,
        "evse": {"cp_state": "Charging", "current": 15900},
        "ocpp": {"status": "disabled"},
        "attach": "M1",
    }
    other = {"dev_id": "E2", "evse": {"current": 6000}, "state": 6, "device_enabled": True}
    info = decode_dev_info(
        poll(
            evse,
            other,
            max_total_power=24000,
            power_reserve=5000,
            overdraft=10,
            max_total_evse_power=11000,
            consumed_evse_power=6555,
            remaining_evse_power=4445,
        )
    )
    assert good(info.params) == {
        "max_total_power": 24000.0,
        "reserve_power": 5000.0,
        "overdraft_power": 10.0,
        "max_evse_power": 11000.0,
        "evse_power": 6555.0,
        "available_evse_power": 4445.0,
    }
    assert info.params["max_total_current"].quality is Quality.NOT_SUPPORTED
    first, second = (good(each.readings) for each in info.parts.values())
    assert (first["max_charging_power"], first["charging_current"]) == (11040.0, 15.942)
    assert (first["enabled"], first["state"], first["phases"]) == (False, "charging", "L1 L2 L3")
    assert (second["charging_current"], second["state"]) == (6.0, "offline")
    assert info.parts["E1"].fields["attach"] == "M1"


def test_both_generations_at_once() -> None:
    """A manager that sends both sets of keys is read by the document's first."""
    info = decode_dev_info(poll(cons_evse_power=1, consumed_evse_power=2, max_total_power=3))
    assert good(info.params) == {"evse_power": 1.0, "max_total_power": 3.0}


@pytest.mark.parametrize(
    "bad", ["1,5", "", None, [], {}, True, 10**14, -(10**14), 10**200, 1e300, "NaN"]
)
def test_a_number_that_is_none_costs_itself_alone(bad: Any) -> None:
    """Text and nonsense where a number is due fail that value; the list is read all the same."""
    device = {"dev_id": "M1", "power_w": bad, "import": bad, "voltage_l1": bad, "current_l1": 9}
    info = decode_dev_info(poll(device, {"dev_id": "M2", "power_w": 7}, cycle_time=bad))
    readings = info.parts["M1"].readings
    for name in ("power", "import_energy", "voltage_l1"):
        assert (readings[name].value, readings[name].quality) == (None, Quality.GET_FAILED)
    assert readings["current_l1"].value == 0.009
    assert info.params["cycle_time"].quality is Quality.GET_FAILED
    assert info.parts["M2"].readings["power"].value == 7.0


def test_values_that_mean_nothing() -> None:
    """A state, role, policy, truth or phase set that is not defined is failed, not guessed."""
    evse = {"dev_id": "E1", "state": 7, "paused": 2, "phases": 8, "prio": 1.5, "device_enabled": ""}
    info = decode_dev_info(poll(evse, {"dev_id": "M1", "role": 6}, disable_policy=-2))
    read = info.parts["E1"].readings
    for name in ("state", "paused", "phases", "priority", "enabled"):
        assert read[name].quality is Quality.GET_FAILED
    assert info.parts["M1"].readings["role"].quality is Quality.GET_FAILED
    assert info.params["disable_policy"].quality is Quality.GET_FAILED


_ONE_BAD_BYTE = (
    b'{"params":{},"devices":[{"dev_id":"E1","name":"Gar\xe4ge","state":5},'
    b'{"dev_id":"M1","power_w":nan,"last_error":"timeout\r\nretry","import":7}]}'
)


def test_one_bad_byte_costs_one_value() -> None:
    """A name in another encoding, a raw line break and a nan: the other values and parts stay."""
    info = decode_dev_info(_ONE_BAD_BYTE)
    assert good(info.parts["E1"].readings)["state"] == "error"
    assert str(good(info.parts["E1"].readings)["name"]).startswith("Gar")
    meter = info.parts["M1"].readings
    assert good(meter)["last_error"] == "timeout  retry"
    assert good(meter)["import_energy"] == 7.0
    assert meter["power"].quality is Quality.GET_FAILED
    assert info.wrong == ("M1: power_w is null",)
    assert len(info.repairs) == 3


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("690", 690.0),
        (" 690.0 ", 690.0),
        ("0690", 690.0),
        (690, 690.0),
        ("-6.9e2", -690.0),
        ("690\0\0", 690.0),
    ],
)
def test_numbers_in_any_spelling(given: Any, value: float) -> None:
    """As text, with zeros, with blanks; flags and codes likewise."""
    device = {"dev_id": " m1 ", "power_w": given, "device_enabled": "1.0", "role": "3.0"}
    read = good(decode_dev_info(poll(device)).parts["M1"].readings)
    assert (read["power"], read["enabled"], read["role"]) == (value, True, "grid-demand")
    evse = {"dev_id": "E1", "state": "05", "paused": "true", "max_charging_cur": "16000"}
    read = good(decode_dev_info(poll(evse)).parts["E1"].readings)
    assert (read["state"], read["paused"], read["max_charging_current"]) == ("error", True, 16.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        *((bad, True) for bad in (1, 2, -1, True, "true", "timeout", "1.0", [1], {"a": 1})),
        *((none, False) for none in (0, 0.0, False, "0", "false", "")),
        (None, None),
    ],
)
def test_a_communication_error_in_any_spelling(given: Any, told: bool | None) -> None:
    """Anything but 0 and false is one; null says nothing."""
    part = decode_dev_info(poll({"dev_id": "M1", "com_err": given})).parts["M1"]
    assert part.readings["communication_error"].value is told


def test_what_firmware_2_keeps_in_evse() -> None:
    """Members of the object `evse` count where the device itself has none that can be read."""
    device = {
        "dev_id": "E1",
        "last_set_charging_cur": -1,
        "paused": None,
        "evse": {"current": 15900, "state": 3, "paused": True, "power_w": "11000"},
    }
    read = good(decode_dev_info(poll(device)).parts["E1"].readings)
    assert (read["charging_current"], read["state"]) == (15.9, "charging")
    assert (read["paused"], read["power"]) == (True, 11000.0)
    assert not decode_dev_info(poll(device)).wrong
    device["evse"] = [{"cp_state": "Standby"}]
    readings = decode_dev_info(poll(device)).parts["E1"].readings
    assert readings["charging_current"].quality is Quality.NOT_SUPPORTED
    assert readings["paused"].quality is Quality.GET_FAILED


def test_the_first_key_that_can_be_read_counts() -> None:
    """An unreadable value does not hide the same value under its other key."""
    device = {"dev_id": "E1", "power_w": "x", "cur_charging_power": 3000}
    info = decode_dev_info(poll(device, cons_evse_power=None, consumed_evse_power=5))
    assert good(info.parts["E1"].readings)["power"] == 3000.0
    assert good(info.params)["evse_power"] == 5.0
    assert not info.wrong


@pytest.mark.parametrize(
    "answer",
    [
        {"params": {"title": "t"}, "devices": {"dev_id": "M1", "power_w": 5}},
        {"params": [{"title": "t"}], "devices": {"M1": {"power_w": 5}}},
        [{"params": {"title": "t"}, "devices": [[{"dev_id": "M1", "power_w": 5}]]}],
    ],
)
def test_lists_and_objects_for_each_other(answer: Any) -> None:
    """One object for a list of one, a list of one for an object, devices by their ids."""
    info = decode_dev_info(json.dumps(answer).encode())
    assert good(info.params) == {"title": "t"}
    assert good(info.parts["M1"].readings) == {"power": 5.0}


def test_odd_params_hide_no_device() -> None:
    """Parameters that are no object fail alone."""
    info = decode_dev_info(b'{"params":[],"devices":[{"dev_id":"E1","state":5}]}')
    assert good(info.parts["E1"].readings) == {"state": "error"}
    assert {each.quality for each in info.params.values()} == {Quality.GET_FAILED}
    assert info.wrong[0] == "params is a list"


def test_a_list_that_is_cut_off_keeps_what_came() -> None:
    """Devices before the cut are read, and the list is not whole."""
    info = decode_dev_info(sample()[:-40])
    assert info.parts
    assert not info.is_whole


def test_one_odd_byte_costs_no_other_value() -> None:
    """Whichever byte is lost, doubled or another: every value of another member is right, or there
    is none.
    """
    line = (
        b'{"params":{"title":"t","cycle_time":5000},"devices":[{"dev_id":"E1","state":5,"paused"'
        b':false},{"dev_id":"M1","power_w":690,"voltage_l1":230,"last_error":"x y"}]}'
    )
    right = decode_dev_info(line)
    shown = {f"{w}.{n}": v for w, p in right.parts.items() for n, v in good(p.readings).items()}
    for at in range(len(line)):
        for odd in (b"", line[at : at + 1] * 2, b"\x00", b"\r", b"9", b'"', b",", b"}", b"\xff"):
            info = outcome(partial(decode_dev_info, line[:at] + odd + line[at + 1 :]), WireError)
            if isinstance(info, Exception):
                continue
            read = {
                f"{w}.{n}": v for w, p in info.parts.items() for n, v in good(p.readings).items()
            }
            changed = [n for n, value in read.items() if shown.get(n) != value]
            assert len(changed) <= 1 or not info.parts.keys() <= right.parts.keys(), (at, odd)


def test_a_limit_may_be_an_expression() -> None:
    """An expression as the largest current is no failure, but there is no number."""
    [part] = decode_dev_info(
        poll({"dev_id": "E1", "max_charging_cur": "M1.power / 2"})
    ).parts.values()
    assert part.readings["max_charging_current"].quality is Quality.NOT_SUPPORTED
    assert part.fields["max_charging_cur"] == "M1.power / 2"


def test_apparent_power() -> None:
    """A meter that shows VA has an apparent power, and no power."""
    [part] = decode_dev_info(poll({"dev_id": "M1", "power_w": 5, "is_va": True})).parts.values()
    assert good(part.readings)["apparent_power"] == 5.0
    assert part.readings["power"].quality is Quality.NOT_SUPPORTED


def test_the_free_policy_is_named() -> None:
    """`disable_policy` -1 is shown for what it is."""
    assert good(decode_dev_info(poll(disable_policy=-1)).params)["disable_policy"] == "unlimited"


def test_texts_are_bounded_and_printable() -> None:
    """A text is cut, and its control characters do not reach a terminal."""
    device = {"dev_id": "E1", "last_error": "\x1b[2J" + "x" * 10_000, "name": 5}
    readings = decode_dev_info(poll(device)).parts["E1"].readings
    assert readings["name"].value == "5"
    assert readings["last_error"].value == " [2J" + "x" * 196


def test_bad_devices_are_passed_over() -> None:
    """What has no device id is left out, and counted; so are two with one id."""
    devices = [None, 5, {}, {"dev_id": "X1"}, {"dev_id": "E1234"}, {"dev_id": ["E1"]}]
    twice = [{"dev_id": "M1", "power_w": 1}, {"dev_id": "M1", "power_w": 2}]
    info = decode_dev_info(poll(*devices, *twice))
    assert info.odd == ("bad-device",) * 6 + ("equal-device-ids",)
    assert "M1" not in info.parts
    assert not info.is_whole
    same = decode_dev_info(poll(twice[0], twice[0]))
    assert same.parts["M1"].readings["power"].value == 1.0
    assert same.is_whole


def test_too_many_devices() -> None:
    """A thousand devices are refused as a whole, with their number; as many as fit are not."""
    with pytest.raises(BadMessage, match="1000 devices"):
        decode_dev_info(poll(*[{"dev_id": "E1"}] * 1000))
    full = poll(*({"dev_id": f"M{n}"} for n in range(MAX_DEVICES)))
    assert len(decode_dev_info(full).parts) == MAX_DEVICES


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'"unknown command get_dev_info"', "unknown command"),
        (b"[]", "a list"),
        (b"7", "a number"),
        (b"null", "null"),
        (b"{}", "no list"),
        (b'{"devices":{}}', "no list"),
        (b'{"params":{}}', "no list"),
        (b'{"devices":nan}', "no list"),
        (b"<html><h1>502 Bad Gateway</h1>", "not JSON"),
        (b"", "not JSON"),
        (b'{"devices":[{"dev_id" "E1"}]}', "it is {.devices"),
    ],
)
def test_answers_that_are_none(data: bytes, says: str) -> None:
    """An error text, a page of a proxy, half an answer: an error that says what it was."""
    with pytest.raises(WireError, match=says):
        decode_dev_info(data)


def test_an_error_text_is_cut() -> None:
    """What the manager says is repeated, but not at any length."""
    with pytest.raises(CfosRefused) as caught:
        decode_dev_info(json.dumps("bad\n" + "x" * 10_000).encode())
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_bytes(name: str) -> None:
    """Nasty bytes are an answer or a WireError."""
    outcome(lambda: decode_dev_info(NASTY[name]), WireError)


@checked
@given(likely_bytes)
def test_likely_bytes(data: bytes) -> None:
    """So are bytes that look like JSON."""
    outcome(lambda: decode_dev_info(data), WireError)


_KEYS = ("dev_id", "state", "power_w", "import", "max_charging_cur", "evse", "current", "is_va")


@checked
@given(st.lists(json_with(*_KEYS), max_size=5), json_with("title", "cycle_time", "vsn"))
def test_any_json(devices: list[Any], params: Any) -> None:
    """Any JSON is read or refused; what is read has every reading, in its unit."""
    encoded = outcome(
        lambda: msgspec.json.encode({"params": params, "devices": devices}),
        ValueError,
        TypeError,
        OverflowError,
    )
    if isinstance(encoded, bytes):
        info = outcome(lambda: decode_dev_info(encoded), WireError)
        if isinstance(info, DevInfo):
            _check(info)


_finite = st.floats(allow_nan=False, allow_infinity=False)
_nested = st.dictionaries(st.sampled_from(["current", "x"]), st.integers(), max_size=2)
_values = st.none() | st.booleans() | st.integers() | _finite | st.text(max_size=5) | _nested
some_devices = st.fixed_dictionaries(
    {"dev_id": st.sampled_from(["E1", "M1"])}, optional=dict.fromkeys(_KEYS[1:], _values)
)


@checked
@given(some_devices)
def test_any_device(device: dict[str, Any]) -> None:
    """Whatever a device's values are, it is there with every reading, in its unit."""
    info = decode_dev_info(poll(device))
    assert len(info.parts) == 1
    _check(info)


def _check(info: DevInfo) -> None:
    assert {name: r.unit for name, r in info.params.items()} == PARAM_UNITS
    for part in info.parts.values():
        units = EVSE_UNITS if part.is_evse else METER_UNITS
        assert {name: r.unit for name, r in part.readings.items()} == units
        for reading in part.readings.values():
            assert (reading.value is None) == (reading.quality is not Quality.GOOD)


def test_what_is_wrong_is_said_with_its_place() -> None:
    """Which value of which part, and what it is; a peer's text is cut and made harmless."""
    info = decode_dev_info(
        poll(
            {"dev_id": "E1", "cur_charging_power": "abc", "state": 77, "max_charging_cur": "x+1"},
            {"dev_id": "M1", "power_w": 10**14, "role": None, "name": {"a": 1}},
            {"dev_id": "M1"},
            {"dev_id": "E2", "total_energy": "\x1b" * 99, "paused": 2, "prio": True},
            {"name": "nobody"},
            cycle_time=[3009],
        )
    )
    assert set(info.wrong) == {
        "E1: cur_charging_power is 'abc'",
        "E1: state is 77",
        "M1: power_w is a number out of range",
        "M1: role is null",
        "M1: name is an object",
        "two devices are M1",
        "E2: total_energy is '" + "\\x1b" * 40 + "'",
        "E2: paused is 2",
        "E2: prio is true or false",
        "a device without an id such as E1 or M1",
        "params: cycle_time is a list",
    }
    assert not decode_dev_info(poll({"dev_id": "E1", "state": 3})).wrong
