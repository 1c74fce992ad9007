"""What the platform commands: read, checked, written; pictures and their times."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, document, json_with, outcome
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import (
    ALL_AIR_CONDITIONERS,
    SET_POINTS,
    Cmd,
    EtcCommand,
    EtcControl,
    check_set_points,
    decode_control,
    decode_picture_request,
    encode_control,
    file_time,
    parse_local_time,
    server_url,
)
from twisted_gantry.wire.etc.envelope import (
    AUTH_HEADER,
    MD5_HEADER,
    REMOTE_CONTROL,
    Method,
    check_request,
    digest,
    local_time,
)
from twisted_gantry.wire.json import dumps, loads_text

CHINA = ZoneInfo("Asia/Shanghai")
EXAMPLE_TIME = 1_564_734_526.0

# One of each cmd, as it is sent.
COMMANDS: dict[Cmd, dict[str, Any]] = {
    Cmd.POWER_CYCLE: {"cmd": "1", "rebootIp": "192.168.1.9", "rebootPort": "8080"},
    Cmd.UNLOCK_DOOR: {"cmd": "2", "cabinetId": "2", "unlockDoorId": "1"},
    Cmd.AIR_CONDITIONER: {"cmd": "3", "cabinetId": "1", "airId": "0", "airOperate": "2"},
    Cmd.AIR_CONDITIONER_TEMPERATURE: {
        "cmd": "4",
        "cabinetId": "1",
        "airId": "2",
        "autoRefrigerationTemp": "28.5",
        "autoHeatingTemp": "5",
    },
    Cmd.POWER_MODE: {"cmd": "5", "mode": "1"},
    Cmd.DOOR_GUARD: {"cmd": "6", "isDoorDefend": "1"},
    Cmd.RECTIFIER: {"cmd": "8", "cabinetId": "1", "onOff": "1"},
    Cmd.BATTERY_TEST: {"cmd": "9", "cabinetId": "1", "testStartStop": "1"},
    Cmd.BATTERY_TEST_RESULT: {"cmd": "10", "cabinetId": "1"},
}


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [
        ("etc-2.2.3", Method.COMPUTER_CONTROL, EtcControl(update_now=True)),
        ("etc-3.2.4-update", Method.CABINET_CONTROL, EtcControl(update_now=True)),
        (
            "etc-3.2.4-power-mode",
            Method.CABINET_CONTROL,
            EtcControl(command=EtcCommand(Cmd.POWER_MODE, None, {"mode": "1"})),
        ),
    ],
)
def test_the_examples_of_the_document_are_accepted(
    name: str, method: Method, expected: EtcControl
) -> None:
    """Each request that the document prints is accepted at its own time, as it is printed."""
    body = document(name)
    request = check_request(
        body,
        {AUTH_HEADER: "123456", MD5_HEADER: digest(body)},
        auth="123456",
        methods=REMOTE_CONTROL,
        gantry_id="G000211001002110010",
        now=EXAMPLE_TIME,
        skew=0,
    )
    assert request.method is method
    is_cabinet = method is Method.CABINET_CONTROL
    assert decode_control(request.fields, cabinet=is_cabinet) == expected


@pytest.mark.parametrize("cmd", Cmd)
def test_each_command_comes_out_as_it_went_in(cmd: Cmd) -> None:
    """What is read of a command is written again as the same fields."""
    control = decode_control(COMMANDS[cmd], cabinet=True)
    assert control.command is not None
    assert control.command.cmd is cmd
    assert encode_control(control) == COMMANDS[cmd]


def test_numbers_blanks_and_more_fields_are_taken() -> None:
    """Numbers for texts, blanks around keys and values, and unknown fields do no harm."""
    body = b'{" cmd": 3, "airId ": 0, "airOperate": " 1 ", "new": [1], "unlockDoorId": ""}'
    control = decode_control(loads_text(body), cabinet=True)
    assert control.command == EtcCommand(
        Cmd.AIR_CONDITIONER, "1", {"airId": "0", "airOperate": "1"}
    )


def test_everything_may_be_asked_at_once() -> None:
    """Several fields in one request are all read."""
    control = decode_control(
        {
            "updateNow": "1",
            "setServer": "192.168.1.1/monitor.do",
            "setFrequency": "300",
            **COMMANDS[Cmd.DOOR_GUARD],
        },
        cabinet=True,
    )
    assert control == EtcControl(
        "192.168.1.1/monitor.do", 300, EtcCommand(Cmd.DOOR_GUARD, None, {"isDoorDefend": "1"}), True
    )
    assert decode_control(encode_control(control), cabinet=True) == control


@pytest.mark.parametrize(
    ("cmd", "default"),
    [
        (Cmd.UNLOCK_DOOR, "1"),
        (Cmd.AIR_CONDITIONER, "1"),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, "1"),
        (Cmd.RECTIFIER, "1"),
        (Cmd.BATTERY_TEST, "1"),
        (Cmd.BATTERY_TEST_RESULT, "1"),
        (Cmd.POWER_MODE, None),
        (Cmd.DOOR_GUARD, None),
        (Cmd.POWER_CYCLE, None),
    ],
)
def test_the_cabinet_that_is_meant(cmd: Cmd, default: str | None) -> None:
    """Without a `cabinetId` the first is meant, or all; a given one counts where there is one."""
    fields = {k: v for k, v in COMMANDS[cmd].items() if k != "cabinetId"}
    command = decode_control(fields, cabinet=True).command
    assert command is not None
    assert command.cabinet_id == default
    command = decode_control({**fields, "cabinetId": "7"}, cabinet=True).command
    assert command is not None
    assert command.cabinet_id == (None if cmd is Cmd.POWER_CYCLE else "7")


def _without(cmd: Cmd, name: str) -> dict[str, Any]:
    return {key: value for key, value in COMMANDS[cmd].items() if key != name}


@pytest.mark.parametrize(
    ("cmd", "name"),
    [
        (cmd, name)
        for cmd, fields in COMMANDS.items()
        for name in fields
        if name not in {"cmd", "cabinetId", "airId", *SET_POINTS}
    ],
)
def test_a_field_that_is_missing_is_named(cmd: Cmd, name: str) -> None:
    """A command without one of its fields, or with an empty one, is no command."""
    for fields in (_without(cmd, name), {**COMMANDS[cmd], name: " "}):
        with pytest.raises(BadMessage, match=name):
            decode_control(fields, cabinet=True)


@pytest.mark.parametrize("cmd", [Cmd.AIR_CONDITIONER, Cmd.AIR_CONDITIONER_TEMPERATURE])
def test_without_an_air_conditioner_all_are_meant(cmd: Cmd) -> None:
    """`airId` 0 stands for all, and so does a missing one."""
    command = decode_control(_without(cmd, "airId"), cabinet=True).command
    assert command is not None
    assert command.fields["airId"] == ALL_AIR_CONDITIONERS


@pytest.mark.parametrize("name", SET_POINTS)
def test_one_set_point_is_enough(name: str) -> None:
    """Cmd 4 sets one temperature or both, and needs one."""
    cmd = Cmd.AIR_CONDITIONER_TEMPERATURE
    command = decode_control(_without(cmd, name), cabinet=True).command
    assert command is not None
    assert name not in command.fields
    bare = {key: value for key, value in COMMANDS[cmd].items() if key not in SET_POINTS}
    with pytest.raises(BadMessage, match=name):
        decode_control(bare, cabinet=True)


@pytest.mark.parametrize(
    ("fields", "control"),
    [
        ({"cmd": 2, "unlockDoorId": 1.0}, ("2", {"unlockDoorId": "1"})),
        ({"cmd": "02", "unlockDoorId": " 2 "}, ("2", {"unlockDoorId": "2"})),
        ({"cmd": "2.0", "unlockDoorId": "1.0"}, ("2", {"unlockDoorId": "1"})),
        ({"cmd": 6, "isDoorDefend": True}, ("6", {"isDoorDefend": "1"})),
        ({"cmd": 6, "isDoorDefend": "false"}, ("6", {"isDoorDefend": "0"})),
        ({"cmd": 3, "airId": "00", "airOperate": "01"}, ("3", {"airId": "0", "airOperate": "1"})),
        (
            {"cmd": 4, "airId": 2, "autoRefrigerationTemp": 28.50, "autoHeatingTemp": "5.0"},
            ("4", {"airId": "2", "autoRefrigerationTemp": "28.5", "autoHeatingTemp": "5"}),
        ),
        (
            {"cmd": 1, "rebootIp": "h", "rebootPort": 8080.0},
            ("1", {"rebootIp": "h", "rebootPort": "8080"}),
        ),
        ({"cmd": 5, "mode": "01"}, ("5", {"mode": "1"})),
    ],
)
def test_numbers_in_every_spelling(fields: Any, control: tuple[str, dict[str, str]]) -> None:
    """A number is its value, as text, with a fraction of zero, with leading zeros or blanks."""
    for given_fields in (fields, loads_text(dumps(fields))):
        command = decode_control(given_fields, cabinet=True).command
        assert command is not None
        assert (str(command.cmd.value), command.fields) == control


@pytest.mark.parametrize("update", ["1", 1, 1.0, "1.0", "01", True, "true"])
def test_update_now_in_every_spelling(update: Any) -> None:
    """`true` is 1 where a flag is expected; a cabinet in another spelling is the same cabinet."""
    fields = {"updateNow": update, "setFrequency": 300.0, "cmd": "10", "cabinetId": "02.0"}
    command = EtcCommand(Cmd.BATTERY_TEST_RESULT, "2", {})
    assert decode_control(fields, cabinet=True) == EtcControl(None, 300, command, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"cmd": True, "rebootIp": "h", "rebootPort": "1"},
        {"cmd": "5", "mode": True},
        {"cmd": "6", "isDoorDefend": "0", "cabinetId": ""},
        {"cmd": "6", "isDoorDefend": "0", "cabinetId": []},
        {"cmd": "6", "isDoorDefend": "0", "cabinetID": "2"},
        {"cmd": "6", "isDoorDefend": "0", "cabinetI": "2"},
        {"cmd": "6", "isDoorDefend": "0", "cabinetIId": "2"},
        {"cmd": "6", "isDoorDefend": "0", "cabinetIe": "2"},
        {"cmd": "3", "airOperate": "1", "airId": " "},
        {"cmd": "3", "airOperate": "1", "arId": "1"},
        {"updateNow": "1", "setFrequenc": "300"},
    ],
)
def test_a_half_read_command_is_refused(fields: Any) -> None:
    """A member that narrows a command is never read as missing because of one odd letter."""
    with pytest.raises(BadMessage):
        decode_control(fields, cabinet=True)


@pytest.mark.parametrize(
    ("cmd", "change"),
    [
        (Cmd.POWER_CYCLE, {"rebootPort": "0"}),
        (Cmd.POWER_CYCLE, {"rebootPort": "65536"}),
        (Cmd.POWER_CYCLE, {"rebootPort": "http"}),
        (Cmd.POWER_CYCLE, {"rebootIp": "a b"}),
        (Cmd.POWER_CYCLE, {"rebootIp": "x" * 65}),
        (Cmd.UNLOCK_DOOR, {"unlockDoorId": "3"}),
        (Cmd.UNLOCK_DOOR, {"unlockDoorId": "0"}),
        (Cmd.UNLOCK_DOOR, {"unlockDoorId": "１"}),
        (Cmd.UNLOCK_DOOR, {"cabinetId": "1" * 21}),
        (Cmd.AIR_CONDITIONER, {"airId": "-1"}),
        (Cmd.AIR_CONDITIONER, {"airId": "100"}),
        (Cmd.AIR_CONDITIONER, {"airId": "1.5"}),
        (Cmd.AIR_CONDITIONER, {"airOperate": "0"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoHeatingTemp": "28.5"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoHeatingTemp": "30"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoHeatingTemp": "-0.1"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoRefrigerationTemp": "45.1"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoRefrigerationTemp": "nan"}),
        (Cmd.AIR_CONDITIONER_TEMPERATURE, {"autoRefrigerationTemp": "1e2"}),
        (Cmd.POWER_MODE, {"mode": "4"}),
        (Cmd.POWER_MODE, {"mode": "1.5"}),
        (Cmd.DOOR_GUARD, {"isDoorDefend": "2"}),
        (Cmd.RECTIFIER, {"onOff": "on"}),
        (Cmd.BATTERY_TEST, {"testStartStop": "2"}),
        (Cmd.BATTERY_TEST, {"testStartStop": "yes"}),
        (Cmd.BATTERY_TEST, {"testStartStop": ["1"]}),
        (Cmd.BATTERY_TEST_RESULT, {"cmd": "7"}),
        (Cmd.BATTERY_TEST_RESULT, {"cmd": "11"}),
        (Cmd.BATTERY_TEST_RESULT, {"cmd": "0"}),
        (Cmd.BATTERY_TEST_RESULT, {"cmd": "1.0"}),
        (Cmd.BATTERY_TEST_RESULT, {"updateNow": "0"}),
        (Cmd.BATTERY_TEST_RESULT, {"setFrequency": "4"}),
        (Cmd.BATTERY_TEST_RESULT, {"setFrequency": "86401"}),
        (Cmd.BATTERY_TEST_RESULT, {"setFrequency": "300.5"}),
        (Cmd.BATTERY_TEST_RESULT, {"setServer": "ftp://a/b"}),
    ],
)
def test_what_is_out_of_range_is_refused(cmd: Cmd, change: dict[str, Any]) -> None:
    """One bad field makes the whole request bad."""
    decode_control(COMMANDS[cmd], cabinet=True)
    with pytest.raises(BadMessage):
        decode_control({**COMMANDS[cmd], **change}, cabinet=True)


@pytest.mark.parametrize("fields", [{}, {"other": "1"}, {"cmd": ""}, [], "1", None, {"cmd": None}])
def test_a_control_that_asks_for_nothing(fields: Any) -> None:
    """A control without a field that is known is refused."""
    with pytest.raises(BadMessage):
        decode_control(fields, cabinet=True)


def test_a_computer_has_no_commands() -> None:
    """In a `computerControl`, `cmd` is a field like any unknown one."""
    fields = {**COMMANDS[Cmd.UNLOCK_DOOR], "setFrequency": "5"}
    assert decode_control(fields, cabinet=False) == EtcControl(set_frequency=5)
    with pytest.raises(BadMessage):
        decode_control(COMMANDS[Cmd.UNLOCK_DOOR], cabinet=False)


@given(json_with("cmd", "mode", "airId", "setServer", "setFrequency", "updateNow", "cabinetId"))
@checked
def test_whatever_comes_is_read_or_refused(fields: Any) -> None:
    """Of anything, a control is made that can be written, or BadMessage is raised."""
    for control in (
        outcome(lambda: decode_control(fields, cabinet=True), BadMessage),
        outcome(lambda: decode_control(fields, cabinet=False), BadMessage),
    ):
        if isinstance(control, EtcControl):
            dumps(encode_control(control))
    outcome(lambda: decode_picture_request(fields, CHINA), BadMessage)


# -- setServer


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("192.168.1.1/monitor.do", "https://192.168.1.1/monitor.do"),
        ("platform.example:8443/a/b.do", "https://platform.example:8443/a/b.do"),
        ("http://platform.example/monitor.do", "http://platform.example/monitor.do"),
        ("HTTP://platform.example/monitor.do", "HTTP://platform.example/monitor.do"),
        ("[2001:db8::1]:88/monitor.do", "https://[2001:db8::1]:88/monitor.do"),
    ],
)
def test_a_server_keeps_the_scheme(text: str, url: str) -> None:
    """Without a scheme, the one in use is kept."""
    assert server_url(text, "https") == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/monitor.do",
        "host",
        "host/",
        "host:0/monitor.do",
        "host:65536/monitor.do",
        "host:/monitor.do",
        "ftp://host/monitor.do",
        "file:///etc/passwd",
        "http:///monitor.do",
        "user@host/monitor.do",
        "user:word@host/monitor.do",
        "http://@host/monitor.do",
        "http://good.example\\@evil.example/monitor.do",
        "host/monitor.do?a=1",
        "host/monitor.do?",
        "host/monitor.do#a",
        "host/moni tor.do",
        "host/monitor.do\r\nX: 1",
        "hòst/monitor.do",
        "http\u017f://host/monitor.do",
        "\u212aelvin.example/monitor.do",
        "[::1/monitor.do",
        "[:::]/monitor.do",
        "-host/monitor.do",
        "host/" + "x" * 201,
    ],
)
def test_what_is_no_server(text: str) -> None:
    """A server is `[scheme://]host[:port]/path`, and nothing else."""
    with pytest.raises(BadMessage):
        server_url(text, "http")


def test_set_points() -> None:
    """Heating begins below cooling, both from 0 to 45 °C."""
    check_set_points(45, 0)
    for cool, heat in ((45.5, 0), (45, -1), (20, 20), (20, 21)):
        with pytest.raises(BadMessage):
            check_set_points(cool, heat)


# -- pictures and their times


def test_a_picture_request() -> None:
    """The time is that of the gantry; the cabinet is the first unless one is named."""
    fields = {"doorOpenTime": "2019-08-28 14:11:01.321"}
    wanted = decode_picture_request(fields, CHINA)
    assert wanted.cabinet_id == "1"
    moment = datetime(2019, 8, 28, 14, 11, 1, 321000, timezone(timedelta(hours=8)))
    assert wanted.door_open_time == pytest.approx(moment.timestamp(), abs=1e-6)
    assert decode_picture_request({**fields, "cabinetId": "2"}, CHINA).cabinet_id == "2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2019-08-28",
        "2019-08-28T14:11:01.321",
        "2019-13-28 14:11:01.321",
        "2019-02-30 14:11:01",
        "2019-08-28 24:11:01.321",
        "2019-08-28 14:11:60",
        "2019-08-28 14:11:01.3214",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59.999",
        "２０19-08-28 14:11:01",
        "2019-08-28 14:11:01.321/../x",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """A time that is not `yyyy-MM-dd hh:mm:ss[.zzz]` is refused."""
    with pytest.raises(BadMessage):
        decode_picture_request({"doorOpenTime": text}, CHINA)


@pytest.mark.parametrize("fields", [None, [], "x", {"doorOpenTime": 5}, {"doorOpenTime": ["a"]}])
def test_what_is_no_picture_request(fields: Any) -> None:
    """Anything else than an object with a time is refused."""
    with pytest.raises(BadMessage):
        decode_picture_request(fields, CHINA)


@given(st.integers(min_value=0, max_value=32_000_000_000_000))
@checked
def test_a_time_is_the_same_in_a_name(milliseconds: int) -> None:
    """To the millisecond, a time that is written and read is the one in the file's name."""
    text = local_time(milliseconds / 1000, UTC)
    moment = parse_local_time(text, UTC)
    digits = "".join(c for c in text if c.isdigit())
    assert file_time(moment, UTC) == digits
    assert file_time(milliseconds / 1000, UTC) == digits
