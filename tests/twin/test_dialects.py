"""Dialects: what an endpoint says is written as a real peer writes it, and nothing else changes."""

import json
import re
from typing import Any

import pytest

from tests.twin.test_control import Bench
from twisted_gantry.twin.dialects.dialect import Dialect, Peer, UnknownDialect
from twisted_gantry.twin.dialects.registry import DIALECTS, listed, voice
from twisted_gantry.twin.tap import Options
from twisted_gantry.twin.world_file import read_world

QAD = (
    "(220.1 220.2 220.3 50 1 1 1 149.5 221 222 223 50 5 6 7 20 30 25 216.5 3168 90 37.5"
    " 0000000010000100"
)
RTD = "(Sunshine V1.0 C10KS 220 220 20 50 192 3/3 10000"
MESSAGES: dict[Peer, tuple[dict[str, Any], ...]] = {
    Peer.UPS: tuple(
        {"uid": "2017", "session": "12345678", "cmd": cmd, "value": value}
        for cmd, value in (("QAD", QAD), ("RTD", RTD), ("BZON", "(OK"))
    ),
    Peer.CFOS: (
        {
            "params": {"title": "x", "version": "1.8", "time": 5, "max_total_current": 32000},
            "devices": [
                {"dev_id": "E1", "name": "a", "total_energy": 9, "evse": {"cp_state": "A"}},
                {"dev_id": "M1", "name": "b", "import": 1000, "power_w": 5, "invert": False},
            ],
        },
    ),
    Peer.EMS: (
        {
            "code": 0,
            "message": "PCS状态同步成功",
            "data": {"device_uid": "bms-0001", "alarm_status": 2, "operating_status": 2},
        },
    ),
    Peer.CABINET: (
        {
            "gantryId": "G000211001002110010",
            "method": "cabinetStatusUpdate",
            "timeStamp": "1796000000",
            "version": "1001",
            "cabinetStatus": {
                "id": "1",
                "elec": [{"id": "1", "voltage": "220.5", "warningMsg": "输入欠压"}],
                "ups": [],
                "thermohygrometer": {"status": "1", "temperature": "25", "humidity": "40.00"},
                "smokeSensor": {"status": "1", "isWarning": "1"},
                "waterloggingSensor": {"status": "1", "isWarning": "1"},
            },
        },
    ),
    Peer.PLATFORM: ({"code": "1000", "msg": "成功", "data": {"isExistLatestVersion": "0"}},),
    Peer.CLOUD: ({"res200": {"eqSN": "12345678", "packID": "7", "code": "8"}},),
}
ALL = [(peer, each) for peer, dialects in DIALECTS.items() for each in dialects]


def said(peer: Peer, name: str, number: int = 1) -> list[bytes]:
    """Return the messages of a peer in a dialect, as those of its `number`-th exchange."""
    spoken = []
    for message in MESSAGES[peer]:
        mouth = voice(peer)
        mouth.speak(name)
        end = b"\n" if peer is Peer.CLOUD else b""
        plain = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + end
        spoken.append([mouth.say(plain) for _ in range(number)][-1])
    return spoken


@pytest.mark.parametrize(("peer", "dialect"), ALL, ids=lambda each: getattr(each, "name", each))
def test_each_dialect_says_something_else(peer: Peer, dialect: Dialect) -> None:
    """Each dialect changes some message, or how it is sent; and says so in two languages."""
    mouth = voice(peer)
    mouth.speak(dialect.name)
    plain = [
        json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        + (b"\n" if peer is Peer.CLOUD else b"")
        for message in MESSAGES[peer]
    ]
    sent_otherwise = mouth.delay or mouth.closes or mouth.in_chunks
    lengths = [mouth.length(each) for each in plain] != [len(each) for each in plain]
    changed = any(said(peer, dialect.name, number) != plain for number in (1, 7))
    assert sent_otherwise or lengths or changed
    assert re.search("[a-z]", dialect.en)
    assert re.search("[\u4e00-\u9fff]", dialect.zh)
    assert len(dialect.en.split()) <= 25


@pytest.mark.parametrize(
    ("peer", "name", "part"),
    [
        (Peer.UPS, "cr-terminated", b'0000000010000100\r"'),
        (Peer.UPS, "nul-terminated", b'0000000010000100\0"'),
        (Peer.UPS, "session-double", b'"session":12345678.0'),
        (Peer.UPS, "no-mains-bit", b" 0000000000000100"),
        (Peer.UPS, "sentinels", b" 65535 255 255.0 "),
        (Peer.EMS, "doubles", b'"alarm_status":2.0'),
        (Peer.EMS, "message-null", b'"message":null'),
        (Peer.CABINET, "nan", b'"temperature":nan,"humidity":1.#QNAN'),
        (Peer.CABINET, "empty-member", b'"temperature":,'),
        (Peer.CABINET, "ms-timestamps", b'"timeStamp":"1796000000000"'),
        (Peer.CABINET, "doubles", b'"version":1001.0'),
        (Peer.CABINET, "twice", b'"temperature":"25","temperature":"99",'),
        (Peer.CABINET, "padded", b'"id":"01","voltage":"220.5"'),
        (Peer.CABINET, "odd-numbers", b'"temperature":025,"humidity":inf'),
        (Peer.CABINET, "cut-letter", b'"warningMsg":"\xe8\xbe\x93\xe5\x85\xa5\xe6\xac"'),
        (Peer.CABINET, "raw-lf", b'\xe5\x8e\x8b\n"'),
        (Peer.CABINET, "sensor-arrays", b'"smokeSensor":[{"status":"1","isWarning":"0"'),
        (Peer.PLATFORM, "gbk", b"\xb3\xc9\xb9\xa6"),
        (Peer.PLATFORM, "code-number", b'"code":1000,'),
        (Peer.CLOUD, "nul", b"}}\0\n"),
        (Peer.CLOUD, "numbers", b'"packID":7,'),
        (Peer.CFOS, "latin-1", b"Z\xe4hler M1"),
        (Peer.CFOS, "nan", b'"power_w":nan'),
        (Peer.CFOS, "firmware-2", b'"evse":{"cp_state":"A","total_energy":9}'),
    ],
)
def test_what_is_on_the_wire(peer: Peer, name: str, part: bytes) -> None:
    """The bytes are those that such a peer writes."""
    assert part in said(peer, name)[0]


def test_several_dialects_at_once_and_none() -> None:
    """Dialects add up; a voice without any does not touch a byte, not even of broken JSON."""
    mouth = voice(Peer.UPS)
    message = b'{"uid":"1","session":"7","cmd":"QAD","value":"(OK"}'
    mouth.speak(["no-uid", "session-double", "cr-terminated", "closes-after-reply"])
    assert mouth.say(message) == b'{"session":7.0,"cmd":"QAD","value":"(OK\r"}'
    assert mouth.closes
    assert mouth.say(b'{"a": ') == b'{"a": '
    mouth.speak([])
    assert mouth.say(b'{ "a":1}') == b'{ "a":1}'


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A wrong name changes nothing, and the error names those that the peer has."""
    mouth = voice(Peer.EMS)
    mouth.speak("doubles")
    with pytest.raises(UnknownDialect, match=r"no dialect 'cr' of ems; known: doubles, texts, "):
        mouth.speak(["gbk", "cr"])
    with pytest.raises(UnknownDialect, match="a list of names"):
        mouth.speak(7)
    assert mouth.names == ["doubles"]


def test_the_control_api_lists_and_sets_them() -> None:
    """GET lists all; PUT sets, DELETE ends, and wrong names and endpoints are refused."""
    bench = Bench()
    assert bench.call("GET", "/dialects").json == {"dialects": listed(), "spoken": {"etc": []}}
    answer = bench.call("PUT", "/dialects/etc", {"dialects": ["gbk", "tail-nul"]})
    assert answer.json == {"endpoint": "etc", "dialects": ["gbk", "tail-nul"]}
    assert bench.error("PUT", "/dialects/etc", {"dialects": ["x"]}) == (400, "unknown-dialect")
    assert bench.error("PUT", "/dialects/ups9", {"dialects": []}) == (404, "unknown-endpoint")
    assert bench.error("PUT", "/dialects/etc", {"names": []}) == (400, "bad-dialects")
    assert bench.call("GET", "/dialects").json["spoken"] == {"etc": ["gbk", "tail-nul"]}
    assert bench.call("DELETE", "/dialects/etc").json == {"endpoint": "etc", "dialects": []}


def test_the_world_file_names_dialects() -> None:
    """`ups1.dialect` is a name or a list; the variables stay apart from it."""
    read = read_world('mains.voltage = 210\nups1.dialect = "no-uid"\n[cab1]\ndialect = ["gbk"]\n')
    assert read.world == {"mains.voltage": 210}
    assert read.dialects == {"ups1": "no-uid", "cab1": ["gbk"]}
    with pytest.raises(UnknownDialect, match=r"ups1\.dialect: no dialect 'gbk' of ups; known: cr-"):
        read_world('ups1.dialect = "gbk"')
    with pytest.raises(LookupError, match="no endpoint 'ups7'; there are cfos, bms1, etc"):
        read_world('ups7.dialect = "no-uid"')


def test_the_option_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    """`gantry-twin --dialects` prints a line for each."""
    options: Any = Options
    with pytest.raises(SystemExit) as ended:
        options().parseOptions(["--dialects"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ALL)
    assert lines[0].startswith("ups       cr-terminated ")
