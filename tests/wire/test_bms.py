"""The BMS control of an EMS: bodies, queries, replies, and what an error may say."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import NASTY, SECRET, checked, json_with, likely_bytes, outcome, texts
from twisted_gantry.wire.bms import (
    CONTROL_DONE,
    FORMAT_WRONG,
    MAX_ALARMS,
    MOST_QUOTED,
    SYNC_DONE,
    BmsCode,
    BmsCommand,
    BmsControl,
    BmsRefused,
    OperatingStatus,
    Reply,
    Status,
    decode_control,
    decode_reply,
    decode_status,
    expect_success,
    query,
)
from twisted_gantry.wire.errors import BadMessage, NotJson, WireError

_DATA = {"device_uid": "xxxxx", "alarm_status": 0, "operating_status": 1}


def refusal(status: int, body: bytes, *hidden: str) -> str:
    with pytest.raises(BmsRefused) as caught:
        decode_reply(status, body, hidden)
    return str(caught.value)


def test_a_command_is_the_flat_object() -> None:
    """The body has the two fields of the table, the command as a number."""
    body = BmsControl("xxxxx", BmsCommand.OPEN_CONTACTOR).encode()
    assert body == b'{"device_uid":"xxxxx","command":3}'
    assert [command.value for command in BmsCommand] == [1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        b'{"device_uid":"7","command":2}',
        b'{"device_uid":7,"command":"2"}',
        b'{"bmsControl":{"device_uid":"7","command":2}}',
        b"{' bmsControl ':{device_uid:7,command:'2',},}",
        b'{" device_uid ":"7","command":2,"more":1}',
    ],
)
def test_a_command_is_read_in_every_shape(body: bytes) -> None:
    """Numbers as text and the reverse, the wrapper, loose spelling, spaces around keys."""
    assert decode_control(body) == BmsControl("7", BmsCommand.CLOSE_CONTACTOR)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"device_uid":"7"}',
        b'{"command":2}',
        b'{"device_uid":"7","command":0}',
        b'{"device_uid":"7","command":4}',
        b'{"device_uid":"7","command":true}',
        b'{"device_uid":"7","command":2.5}',
        b'{"device_uid":null,"command":2}',
        b'{"bmsControl":[],"command":2}',
        *NASTY.values(),
    ],
)
def test_a_wrong_command_is_said_to_be_wrong(body: bytes) -> None:
    """Whatever is no command ends in one kind of error."""
    with pytest.raises(WireError):
        decode_control(body)


def test_the_names_of_the_statuses() -> None:
    """Each of the four has a text, and the contactor is open in the first alone."""
    shown = [(status.value, status.text, status.contactor_closed) for status in OperatingStatus]
    assert shown == [
        (1, "powered-down", False),
        (2, "idle", True),
        (3, "charging", True),
        (4, "discharging", True),
    ]


@checked
@given(texts)
def test_a_query_carries_any_text(device_uid: str) -> None:
    """What is asked for is one argument, whatever is in it."""
    text = query(device_uid)
    assert text.startswith("device_uid=")
    assert not set(text) & set(" &#?/+\r\n")
    assert text.count("=") == 1


@checked
@given(st.integers(0, MAX_ALARMS), st.sampled_from(OperatingStatus), texts)
def test_a_status_goes_there_and_back(alarms: int, operating: OperatingStatus, uid: str) -> None:
    """What one side writes, the other reads."""
    status = Status(uid, alarms, operating)
    body = Reply(BmsCode.SUCCESS, SYNC_DONE, status).encode()
    assert json.loads(body)["data"]["operating_status"] == operating.value
    assert decode_status(decode_reply(200, body), uid) == status


@pytest.mark.parametrize(
    "body",
    [
        {"code": "0", "message": 5, "data": {**_DATA, "alarm_status": "0"}},
        {"code": 0, "data": {**_DATA, "operating_status": "1"}},
        {" code ": 0, "message": "", "data": {**_DATA, "more": []}, "more": 1},
    ],
)
def test_a_reply_is_read_leniently(body: dict[str, Any]) -> None:
    """Numbers as text, a missing message, unknown fields."""
    reply = decode_reply(200, json.dumps(body).encode())
    assert decode_status(reply, "xxxxx") == Status("xxxxx", 0, OperatingStatus.POWERED_DOWN)
    assert str(decode_status(reply, "xxxxx")) == "powered-down, 0 alarms"


def test_the_status_of_one_device_among_several() -> None:
    """In a list of devices the one that was asked for counts, if there is just one."""
    own, other = {**_DATA, "alarm_status": 2}, {**_DATA, "device_uid": "yyyyy"}
    several: list[list[Any]] = [[other, own], [own, None, other, {"device_uid": {}}]]
    for data in several:
        assert decode_status(Reply(0, "", data), "XXXXX").alarm_status == 2
    unclear: list[list[Any]] = [[own, own], [other, other], [None, None]]
    for data in unclear:
        with pytest.raises(BadMessage):
            decode_status(Reply(0, "", data), "xxxxx")


@pytest.mark.parametrize(
    "data",
    [
        None,
        "",
        [],
        {},
        {**_DATA, "device_uid": "yyyyy"},
        {"device_uid": "xxxxx"},
        {"alarm_status": "two", "operating_status": None},
    ],
)
def test_data_that_is_no_status_of_this_device(data: Any) -> None:
    """Another device's status, no object, or nothing that can be read: BadMessage."""
    with pytest.raises(BadMessage):
        decode_status(Reply(0, "", data), "xxxxx")
    body = json.dumps({"code": 0, "message": "", "data": data}).encode()
    with pytest.raises(WireError):
        decode_status(decode_reply(200, body), "xxxxx")


_BAD: tuple[Any, ...] = (-1, MAX_ALARMS + 1, 10**4000, 0.5, None, "two", {}, [None])
_TWO: tuple[Any, ...] = (2, 2.0, "2", "2.0", "02", " 2 ", "2\0", [1, 1], [{}, {}], [None, 2])


@pytest.mark.parametrize(
    ("given", "alarms"),
    [
        *((bad, None) for bad in _BAD),
        *((two, 2) for two in _TWO),
        (True, 1),
        ("true", 1),
        (" TRUE ", 1),
        ("false", 0),
        (False, 0),
        ([], 0),
        ([0, "0"], 0),
        ([0, None], None),
    ],
)
def test_alarms_in_any_spelling(given: Any, alarms: int | None) -> None:
    """A number, a flag, or a list of alarms; what is none costs the number of alarms alone."""
    data = {**_DATA, "alarm_status": given, "operating_status": 2}
    status = decode_status(Reply(0, "", data), "xxxxx")
    assert (status.alarm_status, status.operating_status) == (alarms, OperatingStatus.IDLE)
    assert [text.split(" is ")[0] for text in status.wrong] == ["alarm_status"] * (alarms is None)
    assert str(status).startswith("idle, ")


@pytest.mark.parametrize("odd", [0, 5, None, "charging", True, [], {}, 2.5, -1, 2**40])
def test_an_odd_state_hides_no_alarm(odd: Any) -> None:
    """An operating status that the document does not list costs itself."""
    status = decode_status(
        Reply(0, "", {**_DATA, "alarm_status": 2, "operating_status": odd}), "xxxxx"
    )
    assert (status.alarm_status, status.operating_status) == (2, None)
    assert len(status.wrong) == 1
    assert str(status) == "in an unknown state, 2 alarms"


@pytest.mark.parametrize(
    ("sent", "ours"),
    [
        ("B", "b"),
        (None, "b"),
        ("", "b"),
        ([], "b"),
        (12, "12"),
        (12.0, "12"),
        ("012", "12"),
        (" b", "b"),
    ],
)
def test_an_odd_device_uid_hides_nothing(sent: Any, ours: str) -> None:
    """In other letters, as a number, or not there: it is this device's status all the same."""
    data = {"device_uid": sent, "alarm_status": 2, "operating_status": 2}
    expected = Status(ours, 2, OperatingStatus.IDLE)
    assert decode_status(Reply(0, "", data), ours) == expected
    assert decode_status(Reply(0, "", [data]), ours) == expected
    del data["device_uid"]
    assert decode_status(Reply(0, "", data), ours) == expected


_PRINTED = (
    b'{"code":0,"message":"ok","data":{"device_uid":"b","alarm_status":2,"operating_status":2}}'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"ok"', b"null"),
        (b'"ok"', b"5"),
        (b'"ok"', b"[]"),
        (b'"ok"', b'"\xb3\xc9\xb9\xa6"'),
        (b'"ok"', b'"a\r\n\x00b"'),
        (b'"ok"', b"nan"),
        (b'"message":"ok",', b""),
        (b"{", b"[{"),
        (b"}}", b"}}\x00\r\n"),
        (b"}}", b"}"),
        (b'"code":0', b'"code":"00"'),
        (b'"code":0', b'"code":0.0'),
        (b'"code":0', b'"code":nan'),
        (b'"code":0,', b""),
        (b'"data":{', b'"Data":1,"data":{'),
        (b'"data":{"device_uid":"b",', b'"device_uid":"b",'),
        (
            b'{"device_uid":"b","alarm_status":2,"operating_status":2}',
            b'"{\\"device_uid\\":\\"b\\",\\"alarm_status\\":2,\\"operating_status\\":2}"',
        ),
    ],
)
def test_one_odd_member_of_a_reply_hides_no_alarm(old: bytes, new: bytes) -> None:
    """The two alarms count, whatever else is odd."""
    reply = decode_reply(200, _PRINTED.replace(old, new, 1))
    assert decode_status(reply, "b") == Status("b", 2, OperatingStatus.IDLE)


def test_one_odd_byte_costs_one_value() -> None:
    """Whichever byte of a reply is lost, doubled or another: each value is right, none, or its own
    misreading; nothing else is raised.
    """
    right = Status("b", 2, OperatingStatus.IDLE)
    alarms = range(_PRINTED.index(b'"alarm') - 1, _PRINTED.index(b'"oper') + 1)
    state = range(_PRINTED.index(b'"oper') - 1, len(_PRINTED))
    for at in range(len(_PRINTED)):
        for odd in (
            b"",
            _PRINTED[at : at + 1] * 2,
            b"\x00",
            b"\r",
            b"9",
            b'"',
            b",",
            b"}",
            b"\xff",
        ):
            body = _PRINTED[:at] + odd + _PRINTED[at + 1 :]
            read = outcome(partial(decode_reply, 200, body), BmsRefused, WireError)
            if isinstance(read, Exception):
                continue
            status = outcome(partial(decode_status, read, "b"), WireError)
            if isinstance(status, Status):
                assert at in alarms or status.alarm_status in (2, None)
                assert at in state or status.operating_status in (right.operating_status, None)


def test_a_command_needs_the_code_of_its_reply() -> None:
    """Without one nobody knows whether it was taken."""
    expect_success(Reply(0))
    with pytest.raises(BadMessage, match="without a code"):
        expect_success(decode_reply(200, b'{"data":{}}'))


@pytest.mark.parametrize("command", [2, 2.0, "2", "2.0", "02", " 2 "])
def test_a_command_in_any_spelling_of_its_number(command: Any) -> None:
    """What commands may be spelt loosely; it is not repaired."""
    body = json.dumps({"device_uid": "b", "command": command}).encode()
    assert decode_control(body) == BmsControl("b", BmsCommand.CLOSE_CONTACTOR)
    for damaged in (body[:-1], body.replace(b"b", b"\xff"), body + b"\x00", body + b"}"):
        with pytest.raises(WireError):
            decode_control(damaged)


def test_the_documented_error_is_a_refusal() -> None:
    """400 with 100001 says its status, its code and the document's words."""
    body = Reply(BmsCode.PARAMETER_FORMAT, FORMAT_WRONG, "").encode()
    assert refusal(400, body) == "HTTP 400, code 100001: 参数格式错误"


@pytest.mark.parametrize("status", [200, 201, 400, 404])
def test_another_code_than_0_is_a_refusal_whatever_the_status(status: int) -> None:
    """An unknown code is kept as it came, also at HTTP 200."""
    body = Reply(-7, "no", "").encode()
    assert refusal(status, body) == f"HTTP {status}, code -7: no"


@pytest.mark.parametrize("status", [401, 404, 429])
def test_a_client_error_is_a_refusal_even_without_json(status: int) -> None:
    """What the EMS, or what stands before it, refuses was not done."""
    assert refusal(status, b"<h1>no</h1>") == f"HTTP {status}: <h1>no</h1>"
    assert refusal(status, b"") == f"HTTP {status}: an empty body"
    assert refusal(status, Reply(0, CONTROL_DONE).encode()).startswith(f"HTTP {status}, code 0")


@pytest.mark.parametrize("status", [302, 307, 500, 502, 503])
def test_any_other_status_tells_nothing(status: int) -> None:
    """A gateway that gives up does not know what became of the call, whatever it sends along."""
    for body in (b"", b"<h1>bad gateway</h1>", Reply(0).encode(), Reply(9).encode()):
        with pytest.raises(WireError, match=f"HTTP {status}"):
            decode_reply(status, body)


@pytest.mark.parametrize("body", [b"<h1>welcome</h1>", b"\xff\xfe", b"[]", b'{"message":"x"}'])
def test_a_200_that_is_no_reply_tells_nothing(body: bytes) -> None:
    """A captive portal's page is no success, and no refusal."""
    with pytest.raises(WireError, match="HTTP 200: "):
        decode_reply(200, body)
    with pytest.raises(NotJson):
        decode_reply(200, b"<h1>welcome</h1>")


def test_an_error_quotes_200_printable_characters_on_one_line() -> None:
    """A page of many lines, with control characters, is cut and made harmless."""
    text = refusal(404, b"a\r\n\x1b[31m\tb\x00" + "行".encode() * 9999)
    assert text.endswith("行…")
    assert text.startswith("HTTP 404: a \ufffd[31m b\ufffd行行")
    assert len(text) == len("HTTP 404: ") + MOST_QUOTED
    assert text.isprintable()
    message = Reply(1, "x\n" * 9999).encode()
    assert len(refusal(200, message)) == len("HTTP 200, code 1: ") + MOST_QUOTED


def test_an_error_does_not_quote_what_is_hidden() -> None:
    """An echo of our headers is masked, whole or cut at the end of the quote."""
    echo = f"Authorization: Bearer {SECRET} ".encode()
    for body in (echo, b"x" * 190 + echo, Reply(1, echo.decode()).encode()):
        text = refusal(404, body, SECRET, f"Bearer {SECRET}", "")
        assert "hunter" not in text
    with pytest.raises(WireError) as caught:
        decode_reply(500, echo, [SECRET])
    assert "hunter" not in str(caught.value)
    assert "Authorization: Bearer ***" in str(caught.value)


@checked
@given(st.sampled_from([200, 204, 302, 400, 404, 500]), likely_bytes)
def test_any_bytes_are_a_reply_or_an_error(status: int, body: bytes) -> None:
    """No other exception, and no text that a log or JSON could not carry."""
    read = outcome(lambda: decode_reply(status, body), BmsRefused, WireError)
    if isinstance(read, Exception):
        assert str(read).isprintable()
        assert len(str(read)) < 300
    else:
        assert read.code in (0, None)
        assert status // 100 == 2


@checked
@given(
    json_with(
        "code", "message", "data", "device_uid", "alarm_status", "operating_status", "command"
    )
)
def test_any_json_is_read_or_an_error(content: Any) -> None:
    """Whatever stands where, a decoder raises its own errors alone."""
    try:
        body = json.dumps(content).encode("utf-8", "surrogatepass")
    except ValueError:  # digits past what Python writes
        return
    status = outcome(lambda: decode_status(decode_reply(200, body), "1"), BmsRefused, WireError)
    assert isinstance(status, Status | BmsRefused | WireError)
    control = outcome(lambda: decode_control(body), WireError)
    assert isinstance(control, BmsControl | WireError)


@pytest.mark.parametrize("name", list(NASTY))
def test_nasty_bytes_are_an_error(name: str) -> None:
    """Each of the nasty bodies is refused at 400, and tells nothing at 200."""
    with pytest.raises((BmsRefused, WireError)):
        decode_reply(200, NASTY[name])
    with pytest.raises(BmsRefused):
        decode_reply(400, NASTY[name])
