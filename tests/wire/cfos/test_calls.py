"""The calls of cFos, its plain answers, feeds and controls."""

import json
import traceback
from functools import partial
from io import StringIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.wire.material import NASTY, SECRET, checked, json_with, outcome
from twisted_gantry.wire.cfos.calls import (
    Call,
    CfosControl,
    CfosRefused,
    DisablePolicy,
    EvseFeed,
    EvseState,
    MeterFeed,
    PilotState,
    Role,
    bounded_number,
    call,
    decode_control,
    evse_feed,
    expect,
    expect_number,
    expect_ok,
    meter_feed,
    modbus,
)
from twisted_gantry.wire.cfos.modbus import Read, Write
from twisted_gantry.wire.errors import BadMessage, CannotEncode, WireError
from twisted_gantry.wire.json import dumps, loads

numbers = st.integers(-(10**9), 10**9).map(float)
phases = st.lists(numbers, min_size=1, max_size=3).map(tuple)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
meter_feeds = st.builds(
    MeterFeed,
    model=st.none() | words,
    import_wh=st.none() | numbers,
    export_wh=st.none() | numbers,
    voltage=st.none() | phases,
    current=st.none() | phases,
    power_w=st.none() | numbers,
    is_va=st.none() | st.booleans(),
)
evse_feeds = st.builds(
    EvseFeed,
    state=st.none() | st.integers(1, 5),
    max_charging_current=st.none() | numbers,
    current=st.none() | phases,
    total_energy=st.none() | numbers,
    model=st.none() | words,
    rfid=st.none() | words,
)


def query(asked: Call) -> list[tuple[str, str]]:
    """Return what a server reads in the query of a call."""
    parts = urlsplit(asked.target)
    assert parts.path == "/cnf"
    return parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)


def as_query(feed: MeterFeed | EvseFeed) -> dict[str, str]:
    """Return a feed as the document's GET examples write it."""
    fields = json.loads(dumps(feed))
    return {
        name: ",".join(map(str, value))
        if isinstance(value, list)
        else str(value).removesuffix(".0")
        for name, value in fields.items()
    }


def test_the_documents_calls() -> None:
    """Calls are written as the document writes them."""
    assert call("get_dev_info").target == "/cnf?cmd=get_dev_info"
    assert call("enter_rfid", {"rfid": "4711", "dev_id": None}).target == (
        "/cnf?cmd=enter_rfid&rfid=4711"
    )
    accept = call("accept_license", {"acc": 1, "allow_usage_stats": False})
    assert accept.target == "/cnf?cmd=accept_license&acc=1&allow_usage_stats=0"
    read = modbus("meter1", Read(8002, "", 10))
    assert read.target == "/cnf?cmd=modbus&device=meter1&read=8002&count=10"
    write = modbus("evse", Write(8044, (7, 230), several=True))
    assert query(write)[1:] == [("device", "evse"), ("write", "8044"), ("values", "[7,230]")]
    assert (read.method, call("set_params", body={}).method) == ("GET", "POST")


@checked
@given(st.dictionaries(st.text("abc_", min_size=1), st.text(max_size=20).filter(str.isprintable)))
def test_arguments_arrive(args: dict[str, str]) -> None:
    """Whatever an argument holds, the server reads it as it was, and nothing besides."""
    assert query(call("x", args)) == [("cmd", "x"), *args.items()]
    assert call("x", args).target.isascii()


def test_a_call_shows_no_secret() -> None:
    """Neither repr, nor rich, nor an exception's traceback shows what a call carries."""
    secret = call("change_admin_pwd", {"old_pwd": SECRET, "new_pwd": SECRET}, {"rfid": SECRET})
    feed = EvseFeed(rfid=SECRET)
    screen = StringIO()
    Console(file=screen).print(secret, feed, [secret])
    for shown in (repr(secret), str(secret), repr(feed), f"{[feed]}", screen.getvalue()):
        assert SECRET not in shown
    assert "change_admin_pwd" in repr(secret)


def test_a_body_that_json_cannot_carry() -> None:
    """A body with a lone surrogate is our mistake, and is said without the body."""
    with pytest.raises(CannotEncode) as caught:
        call("set_params", body={"title": SECRET + "\ud800"})
    assert SECRET not in "".join(traceback.format_exception(caught.value, chain=False)[-1:])


def test_states_count_from_one_or_from_zero() -> None:
    """The manager counts states from 1, the register from 0, with the same names."""
    assert [state.text for state in EvseState] == [
        "waiting",
        "vehicle-present",
        "charging",
        "charging-ventilated",
        "error",
        "offline",
    ]
    for pilot in list(PilotState)[:4]:
        assert EvseState(pilot + 1).text == pilot.text
    assert (PilotState(9).text, PilotState(4).text) == ("dc-sensor", "no-current")
    assert (Role(3).text, DisablePolicy(-1).text) == ("grid-demand", "unlimited")


@pytest.mark.parametrize(
    "data", [b'"ok"', b' "ok" \n', b"ok", b"'ok'", b"ok\r\n", b'"ok"\x00\r\n', b"ok\x00"]
)
def test_ok(data: bytes) -> None:
    """The document's "ok", and what a careless device may make of it."""
    expect_ok(data)


@pytest.mark.parametrize(
    "data", [b'"OK"', b'"not ok"', b"true", b"1", b"{}", b'["ok"]', b'"bad modbus register size"']
)
def test_not_ok(data: bytes) -> None:
    """Any other answer to a write is a failure."""
    with pytest.raises(CfosRefused):
        expect_ok(data)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_answers(name: str) -> None:
    """Nasty bytes are no "ok", and nothing but a WireError."""
    with pytest.raises(WireError):
        expect_ok(NASTY[name])


def test_what_is_expected() -> None:
    """An answer is of its kind, or is refused with its words."""
    assert (expect(dict, {"a": 1}), expect(list, [1]), expect_number(7)) == ({"a": 1}, [1], 7)
    assert [expect_number(each) for each in ("7", "7.0", " 07")] == [7, 7, 7]
    for check in (partial(expect, dict), partial(expect, list), expect_number):
        with pytest.raises(CfosRefused, match="no such device"):
            check("no such device")
        with pytest.raises(CfosRefused):
            check(True)


def test_numbers_are_bounded() -> None:
    """Only a number that can be a measurement is one."""
    assert [bounded_number(v) for v in (0, -5, 1.5)] == [0, -5, 1.5]
    for bad in (True, "5", None, 10**14, -(10**14), 10**5000, float("inf"), float("nan"), [5]):
        assert bounded_number(bad) is None


def test_the_documents_meter_feed() -> None:
    """The curl example, as a body and as a GET, with either name of its energy."""
    body = (
        b'{ "model": "TestModell", "import_wh": 12345, "export_wh": 23456, '
        b'"voltage": [231, 232, 233], "current": [10001, 10002, 10003] }'
    )
    feed = meter_feed(loads(body))
    assert feed == MeterFeed(
        model="TestModell",
        import_wh=12345.0,
        export_wh=23456.0,
        voltage=(231.0, 232.0, 233.0),
        current=(10001.0, 10002.0, 10003.0),
    )
    url = (
        "http://192.168.2.111/cnf?cmd=set_ajax_meter&dev_id=M3&model=TestModell&import_wh=12345"
        "&export_wh=23456&voltage=231,232,233&current=10001,10002,10003"
    )
    assert meter_feed(dict(parse_qsl(urlsplit(url).query))) == feed
    assert meter_feed({"import_vah": 5}) == MeterFeed(import_wh=5.0)
    assert meter_feed({"import_vah": 5, "import_wh": 6}) == MeterFeed(import_wh=6.0)


def test_numbers_as_rfid() -> None:
    """An RFID of digits may come as a number."""
    assert evse_feed({"rfid": 4711, "state": "3"}) == EvseFeed(rfid="4711", state=3)


@checked
@given(meter_feeds)
def test_meter_feeds_come_back(feed: MeterFeed) -> None:
    """A meter's feed is read as it was, by POST and by GET."""
    assert meter_feed(loads(dumps(feed))) == feed
    assert meter_feed(as_query(feed)) == feed


@checked
@given(evse_feeds)
def test_evse_feeds_come_back(feed: EvseFeed) -> None:
    """So is an EVSE's."""
    assert evse_feed(loads(dumps(feed))) == feed
    assert evse_feed(as_query(feed)) == feed


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {"voltage": []},
        {"voltage": [1, 2, 3, 4]},
        {"voltage": "x,y"},
        {"voltage": [1e14]},
        {"power_w": "much"},
        {"import_wh": {}},
        {"model": "x" * 101},
        {"current": ["\x00"]},
        {"state": 6, "current": 5},
    ],
)
def test_feeds_that_are_none(bad: Any) -> None:
    """What is no feed is refused by either reader that knows the key."""
    with pytest.raises(BadMessage):
        meter_feed(bad)


def test_evse_feeds_that_are_none() -> None:
    """An EVSE cannot be fed a state that is none, nor one that the manager alone can tell."""
    bad: list[Any] = [0, 6, -1, "x", []]
    for state in bad:
        with pytest.raises(BadMessage):
            evse_feed({"state": state})


@checked
@given(json_with("voltage", "current", "state", "rfid", "model", "power_w"))
def test_any_feed(node: Any) -> None:
    """Any JSON is a feed or a BadMessage."""
    outcome(lambda: meter_feed(node), BadMessage)
    outcome(lambda: evse_feed(node), BadMessage)


def test_the_documents_control() -> None:
    """The control object is read with the document's Korean keys, and written in English."""
    korean = {
        "device_enabled": True,
        "charging_enabled": False,
        "일시정지": True,
        "충전_전류": 16000,
    }
    control = decode_control(loads(json.dumps(korean, ensure_ascii=False).encode()))
    assert control == CfosControl(
        device_enabled=True, charging_enabled=False, paused=True, charging_current=16000.0
    )
    assert set(json.loads(dumps(control))) == {
        "device_enabled",
        "charging_enabled",
        "paused",
        "charging_current",
    }
    assert decode_control(loads(dumps(control))) == control


@pytest.mark.parametrize(
    "bad",
    [
        "unknown device M3",
        [],
        {},
        {"device_enabled": 2, "paused": None, "charging_current": -1},
        [[], {}],
    ],
)
def test_controls_that_are_none(bad: Any) -> None:
    """What holds no member of a control is an error."""
    with pytest.raises(WireError):
        decode_control(bad)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("device_enabled", 2),
        ("paused", None),
        ("charging_enabled", "yes"),
        ("charging_current", -1),
        ("charging_current", 1e9),
        ("charging_current", "much"),
        ("charging_current", []),
    ],
)
def test_an_odd_member_of_a_control_costs_itself(name: str, bad: Any) -> None:
    """The others are read, in any spelling."""
    members = {"device_enabled": "1", "charging_enabled": 1.0, "paused": "false"}
    given = {**members, "charging_current": " 16000.0", name: bad}
    right = CfosControl(
        device_enabled=True, charging_enabled=True, paused=False, charging_current=16000.0
    )
    expected = msgspec.structs.replace(right, **{name: None})
    assert decode_control(given) == expected
    assert decode_control([given]) == expected
