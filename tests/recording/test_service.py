"""`[record]`: masking, the lines and files, and failures of the disk."""

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.support import TestClock, fired, in_no_thread
from twisted_gantry.devices.bms.driver import BmsSettings
from twisted_gantry.devices.cfos.driver import CfosSettings
from twisted_gantry.devices.upscard.driver import UpsCardSettings
from twisted_gantry.devices.upscard.http import UpsCardHttpSettings
from twisted_gantry.net.http.client import Answer
from twisted_gantry.net.record import Header, Line, read_recording
from twisted_gantry.recording.masks import MOST_LEARNED, Masks
from twisted_gantry.recording.pseudonyms import Pseudonyms
from twisted_gantry.recording.service import (
    Recording,
    RecordSettings,
    Tap,
    identifiers_of,
    secrets_of,
)
from twisted_gantry.recording.spool import GATHER, MOST_WAITING, PARTS, PAUSE, PartFiles, Spool
from twisted_gantry.wire.secret import Secret

KEY = b"k" * 32
MIB = 1024 * 1024
ODD_SECRET = 'pä"ss\\wo/rd 9'


def masks(kind: str = "ups-card", *secrets: str, identifiers: tuple[str, ...] = ()) -> Masks:
    """Return the masks of a device."""
    return Masks(Pseudonyms(KEY), kind, secrets, identifiers)


# -- pseudonyms


@given(st.text(max_size=60))
@example("192.168.1.20")
@example("G000211001002110010")
@example("fcf5-c46d-310c")
@example("门架01")
def test_a_pseudonym_has_the_same_shape(text: str) -> None:
    """A pseudonym has equal length, digits for digits, letters for letters, and is stable."""
    names = Pseudonyms(KEY)
    name = names.of(text)
    assert names.of(text) == name == Pseudonyms(KEY).of(text)
    assert len(name) == len(text)
    for was, now in zip(text, name, strict=True):
        assert (was.isascii() and was.isdigit()) == (now.isascii() and now.isdigit())
        assert was.isalnum() == now.isalnum()
        assert was.isalnum() or was == now
    if sum(character.isalnum() for character in text) >= 4:
        assert name != text


def test_another_key_gives_other_names() -> None:
    """The names of two recordings cannot be matched."""
    assert Pseudonyms(b"a" * 32).of("201701013805") != Pseudonyms(b"b" * 32).of("201701013805")


def test_no_two_get_the_same_name() -> None:
    """Two-digit numbers keep distinct names."""
    names = Pseudonyms(KEY)
    given_names = [names.of(str(number)) for number in range(10, 60)]
    assert len(set(given_names)) == 50


@given(st.ip_addresses(v=4).map(str))
def test_an_address_stays_one(address: str) -> None:
    """The name of an IPv4 address is one: numbers of equal length, at most 255."""
    parts = Pseudonyms(KEY).of(address).split(".")
    assert [len(part) for part in parts] == [len(part) for part in address.split(".")]
    assert all(0 <= int(part) <= 255 and str(int(part)) == part for part in parts)


# -- masking


def test_a_command_and_its_reply() -> None:
    """Password and card number are masked; all other characters stay."""
    hidden = masks("ups-card", "hunter22")
    ours = '{"session":"12345678", "pass" : "hunter22","new_pass":"n3w","cmd":"QAD",}'
    assert hidden.text(ours, ours=True) == ours.replace("hunter22", "***").replace("n3w", "***")
    reply = '{ uid: 201701013805, "session":"12345678","value":"(220.1 ---.- 201701013805",}\r\n'
    masked = hidden.text(reply, ours=False)
    name = Pseudonyms(KEY).of("201701013805")
    assert masked == reply.replace("201701013805", name)


def test_a_new_password_is_hidden_from_then_on() -> None:
    """A new password is masked in all later texts, except the word `clear`."""
    hidden = masks()
    hidden.text('{"new_pass":"s3cret99","cmd":"QAD"}', ours=True)
    hidden.text('{"new_pass":"clear","cmd":"QAD"}', ours=True)
    assert hidden.text("s3cret99 is clear", ours=False) == "*** is clear"


def test_a_device_cannot_choose_what_is_hidden() -> None:
    """A secret from a device is masked in its field only; learned identifiers are bounded."""
    hidden = masks()
    assert hidden.text('{"pass":"(220.1"}', ours=False) == '{"pass":"***"}'
    assert hidden.text('"(220.1 5"', ours=False) == '"(220.1 5"'
    cards = [f"card-{number:06d}" for number in range(MOST_LEARNED + 50)]
    masked = hidden.text(json.dumps([{"uid": card} for card in cards]), ours=False)
    assert [card for card in cards if card in masked] == []
    sought = hidden.text(" ".join(cards), ours=False)
    assert [card for card in cards if card in sought] == cards[MOST_LEARNED:]


def test_hosts_and_addresses() -> None:
    """Hosts are masked everywhere; loopback addresses and plain numbers stay."""
    hidden = masks("cfos", identifiers=("ems.example.net",))
    text = (
        '{"host":"http://192.168.0.100:9000/post","a":"http://u:pw@ems.example.net/x",'
        '"b":"http://[fe80::1]:80/","c":"http://127.0.0.1:9/","d":"(220.1 50.1","e":"1.2.3"}'
    )
    masked = hidden.text(text, ours=True)
    for gone in ("192.168.0.100", "u:pw", "example", "fe80"):
        assert gone not in masked
    for kept in (":9000/post", "http://127.0.0.1:9/", "(220.1 50.1", '"1.2.3"', "]:80/"):
        assert kept in masked
    again = hidden.text('"ems.example.net 192.168.0.100"', ours=False)
    assert all(name in masked for name in again.strip('"').split())


def test_cfos_users_pins_and_passwords() -> None:
    """PINs and passwords are masked; names and numbers of users get stable pseudonyms."""
    hidden = masks("cfos", "1234abcd")
    users = '[{"id":"2167520770","name":"Meier","rfids":[{"id":4711,"name":"card"}]}]'
    masked = json.loads(hidden.text(users, ours=False, root="get_users"))
    assert masked[0]["rfids"] == [{"id": "***", "name": "card"}]
    assert masked[0]["name"] != "Meier"
    info = hidden.text('{"users": ["2167520770"], "id": 7, "fixed_rfid":""}', ours=False)
    assert json.loads(info) == {"users": [masked[0]["id"]], "id": 7, "fixed_rfid": ""}
    change = "/cnf?cmd=change_admin_pwd&old_pwd=1234abcd&new_pwd=n%C3%A4u-9999"
    assert hidden.target(change) == "/cnf?cmd=change_admin_pwd&old_pwd=***&new_pwd=***"
    assert hidden.target("/cnf?cmd=enter_rfid&rfid=12&dev_id=E1") == (
        "/cnf?cmd=enter_rfid&rfid=***&dev_id=E1"
    )
    assert hidden.text("näu-9999", ours=False) == "***"


def test_cfos_registers() -> None:
    """A serial number is masked as text and as registers, the last card in both, too."""
    hidden = masks("cfos")
    serial = hidden.text('"fcf5-c46d-310c"', ours=False, root="8008s")
    assert re.fullmatch('"[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}"', serial)
    assert serial != '"fcf5-c46d-310c"'
    everything = '{"8007":0,"8008s":"fcf5-c46d-310c","8096s":"04AABB11","8095":160}'
    assert json.loads(hidden.text(everything, ours=False, root="all")) == {
        "8007": 0,
        "8008s": serial.strip('"'),
        "8096s": "***",
        "8095": 160,
    }
    listed = "[1,257,256,0,256,0,26211,26165,11619,13366]"
    masked = json.loads(hidden.registers(listed, 8002) or "")
    assert masked[:6] == [1, 257, 256, 0, 256, 0]
    assert all(was != now for was, now in zip(masked[6:], json.loads(listed)[6:], strict=True))
    assert all(0 <= each < 65536 for each in masked)
    assert hidden.registers("[160,12336,12337]", 8095) == "[160,0,0]"
    assert hidden.registers('"bad modbus register"', 8002) is None


def test_words_that_mean_nothing_stay() -> None:
    """Words for a missing value stay."""
    text = '{"frontDoorUnlockCardId":"NoData","uid":null,"cardId":"","pass":""}'
    assert masks("cabinet").text(text, ours=False) == text


def test_bytes_that_are_no_text() -> None:
    """Bytes that are not UTF-8 are kept as base64, masked, too."""
    text, packed = masks("relay", "hunter22").content(b"\xff\x00hunter22\x80", ours=False)
    assert text is None
    assert packed is not None
    assert (
        Line(t=0, at="", device="r", kind="relay", way="in", via="tcp", base64=packed).data
        == b"\xff\x00***\x80"
    )


@pytest.mark.parametrize("text", ["'" * 50_000, '"\\' * 50_000, "[" * 100_000, "{:" * 50_000])
def test_no_text_takes_long(text: str) -> None:
    """The time grows linearly with the length of any text."""
    masked = masks("cfos", "hunter22").text(text, ours=False)
    assert isinstance(masked, str)


_SECRET = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*"), min_size=5
).filter(lambda text: any(each.isalpha() for each in text) and not text.endswith("\\"))
_IDENTIFIER = st.from_regex(r"[A-Z]?[0-9]{7,16}", fullmatch=True)
_PLAIN = st.text(st.characters(max_codepoint=0x2FF, exclude_characters="*"), max_size=8)


@st.composite
def _messages(draw: Any) -> tuple[str, str, str, str]:
    """Return a secret, two identifiers, and a message that contains them many times."""
    secret, uid, host = draw(_SECRET), draw(_IDENTIFIER), draw(_IDENTIFIER)
    pieces = st.sampled_from([secret, uid, host, " ", "(220 ", "x"]) | _PLAIN
    value = st.lists(pieces, max_size=6).map("".join)
    leaf = value | st.sampled_from([secret, uid, host]) | st.integers() | st.none()
    node = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(value, inner, max_size=3)
    )
    message = {"session": "1", "uid": uid, "pass": secret, "value": draw(value), "n": draw(node)}
    encoded = json.dumps(message, ensure_ascii=draw(st.booleans()))
    how = draw(st.integers(0, 3))
    if how == 1:
        encoded = encoded[1:-1]  # as in the echo of an error
    elif how == 2:
        encoded = encoded.removesuffix("}") + ",}"
    elif how == 3:
        encoded = draw(value) + encoded
    return secret, uid, host, encoded


def _leaves(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [each for pair in node.items() for part in pair for each in _leaves(part)]
    if isinstance(node, list):
        return [each for part in node for each in _leaves(part)]
    return [str(node)]


@settings(max_examples=60)
@given(_messages())
def test_nothing_hidden_is_anywhere(given_message: tuple[str, str, str, str]) -> None:
    """No secret and no identifier is left in the text, nor in its decoded JSON."""
    secret, uid, host, message = given_message
    masked = masks("ups-card", secret, identifiers=(host,)).text(message, ours=True)
    shown = [masked]
    with contextlib.suppress(ValueError):
        shown += _leaves(json.loads(masked))
    for text in shown:
        assert secret not in text
        assert uid not in text
        assert host not in text


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(_SECRET, _PLAIN)
def test_nothing_hidden_is_in_a_query(secret: str, other: str) -> None:
    """No secret is left in a URL, in any encoding."""
    from urllib.parse import quote, unquote_plus, urlencode

    for write in (quote, lambda text: urlencode({"": text})[1:]):
        query = f"/cnf?cmd=x&a={write(other)}&b={write(other + secret)}&pass={write(secret)}"
        masked = masks("cfos", secret).target(query)
        assert secret not in unquote_plus(masked)
        assert masked.endswith("&pass=***")


def test_what_settings_hide() -> None:
    """Settings yield secrets (also the last word of a header), numbers, and foreign hosts."""
    bms = BmsSettings(
        url="https://ems.example.net/api",
        device_uid="bms-0001",
        headers={"Authorization": Secret("Bearer abcd1234")},
    )
    assert set(secrets_of(bms)) == {"Bearer abcd1234", "abcd1234"}
    assert {"bms-0001", "ems.example.net"} <= set(identifiers_of(bms))
    cfos = CfosSettings(url="http://10.0.0.2", user="admin", password=Secret("1234abcd"))
    assert set(secrets_of(cfos)) == {"1234abcd", "YWRtaW46MTIzNGFiY2Q="}
    tcp = UpsCardSettings(address="tcp:ups.example.net:2390", password=Secret("hunter22"))
    assert "ups.example.net" in set(identifiers_of(tcp))
    http = UpsCardHttpSettings(url="http://10.0.0.1/", callback="http://127.0.0.1:9000/post")
    assert set(identifiers_of(http)) == {"10.0.0.1"}


# -- the files


def names(folder: Path) -> list[str]:
    """Return the file names in a folder, the oldest first."""
    return sorted(path.name for path in folder.iterdir())


def part_files(folder: Path, max_size: int = 8000) -> PartFiles:
    """Return part files of an eighth of `max_size` each."""
    return PartFiles(folder, max_size, lambda: "20260101T000000", lambda part: b"head %d\n" % part)


def test_files_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    """All parts together stay below the bound at any time; other files are not touched."""
    (tmp_path / "notes.txt").write_bytes(b"x" * 20_000)
    files = part_files(tmp_path)
    for number in range(100):
        files.append(b"%03d" % number + b"x" * 396 + b"\n")
        ours = [path for path in tmp_path.iterdir() if path.suffix == ".jsonl"]
        assert sum(path.stat().st_size for path in ours) <= 8000
        assert all(path.stat().st_size <= 8000 // PARTS for path in ours)
    files.close()
    assert len(ours) >= PARTS - 1
    assert (tmp_path / "notes.txt").exists()
    newest = sorted(ours)[-1].read_bytes()
    assert newest.startswith(b"head 50\n")
    assert newest.splitlines()[-1].startswith(b"099")


def test_a_clock_that_is_set_back_does_not_make_new_files_the_oldest(tmp_path: Path) -> None:
    """What was recorded in 1970, after a year of recording, is not the first to go."""
    stamps = iter(["20260101T000000", *["19700101T000500"] * 100])
    files = PartFiles(tmp_path, 8000, lambda: next(stamps), lambda part: b"head %d\n" % part)
    for number in range(40):
        files.append(b"%03d" % number + b"x" * 396 + b"\n")
    files.close()
    kept = sorted(tmp_path.iterdir())
    assert kept[-1].read_bytes().splitlines()[-1].startswith(b"039")
    assert {path.name[:22] for path in kept} == {"gantry-20260101T000000"}


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """A file is 0600 and its folder 0700; an existing link is not followed."""
    folder = tmp_path / "new"
    folder.mkdir(0o700)
    target = tmp_path / "target"
    (folder / "gantry-20260101T000000-0001.jsonl").symlink_to(target)
    files = part_files(folder)
    files.append(b"x\n")
    files.close()
    assert names(folder) == [
        "gantry-20260101T000000-0001.jsonl",
        "gantry-20260101T000000-0002.jsonl",
    ]
    assert (folder / names(folder)[1]).stat().st_mode & 0o777 == 0o600
    assert not target.exists()
    inner = part_files(tmp_path / "a" / "b")
    inner.append(b"x\n")
    inner.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the disk take `after` more bytes, then fail."""
    room = [after]

    def write(descriptor: int, data: Any) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(descriptor, data[: room[0]])
        room[0] -= taken
        return taken

    real = os.write
    monkeypatch.setattr(os, "write", write)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partial write is undone; with space again, another file begins."""
    files = part_files(tmp_path)
    files.append(b"one\n")
    with monkeypatch.context() as patch:
        full_disk(patch, 2)
        with pytest.raises(OSError, match="No space"):
            files.append(b"two\n")
        with pytest.raises(OSError, match="No space"):
            files.append(b"three\n")
    [first] = tmp_path.iterdir()
    assert first.read_bytes() == b"head 1\none\n"
    files.append(b"four\n")
    files.close()
    assert (tmp_path / names(tmp_path)[1]).read_bytes().endswith(b"\nfour\n")


class Writing:
    """A spool on a clock; `failing` holds the reported reasons."""

    def __init__(
        self, folder: Path, in_thread: Any = in_no_thread, max_size: int = 4 * MIB
    ) -> None:
        self.clock = TestClock()
        self.failing: list[str | None] = []
        self.spool = Spool(part_files(folder, max_size), self.clock, in_thread, self.failing.append)

    def stop(self) -> None:
        """Stop, and check that no timer is left."""
        assert fired(self.spool.stop()) == [None]
        assert self.clock.getDelayedCalls() == []


def test_lines_are_written_in_batches(tmp_path: Path) -> None:
    """Lines wait a second, and are then written in order in one batch."""
    calls: list[Any] = []

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        calls.append(args)
        return in_no_thread(function, *args)

    writing = Writing(tmp_path, in_thread)
    for number in range(5):
        writing.spool.put(b"%d\n" % number)
    assert calls == []
    writing.clock.advance(GATHER)
    assert calls == [(b"0\n1\n2\n3\n4\n",)]
    assert writing.spool.counts == {"lines": 5}
    writing.spool.put(b"last\n")
    writing.stop()
    assert calls[1:] == [(b"last\n",), ()]
    writing.spool.put(b"too late\n")
    assert writing.spool.counts == {"lines": 6, "dropped": 1}


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost lines are counted; the failure is reported once, and its end once."""
    writing = Writing(tmp_path)
    with monkeypatch.context() as patch:
        full_disk(patch, 0)
        for _ in range(3):
            writing.spool.put(b"x\n")
            writing.clock.advance(PAUSE)
    assert writing.failing == ["No space left on device"]
    assert writing.spool.counts == {"write-failed": 3, "lost": 3}
    writing.spool.put(b"y\n")
    writing.clock.advance(PAUSE)
    assert writing.failing == ["No space left on device", None]
    assert writing.spool.counts["lines"] == 1
    writing.stop()


def test_a_slow_disk_bounds_what_waits(tmp_path: Path) -> None:
    """During a slow write the waiting lines are bounded; a stop waits for the write."""
    under_way: list[Deferred[None]] = []

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if len(under_way) > 1:
            return in_no_thread(function, *args)
        under_way.append(Deferred())
        return under_way[-1].addCallback(lambda _: function(*args))

    writing = Writing(tmp_path, in_thread, max_size=16 * MIB)
    writing.spool.put(b"first\n")
    writing.clock.advance(GATHER)
    for _ in range(100):
        writing.spool.put(b"x" * (MOST_WAITING // 50 - 1) + b"\n")
    assert writing.spool.counts == {"dropped": 50}
    stopped = fired(writing.spool.stop())
    assert stopped == []
    under_way[0].callback(None)
    assert len(under_way) == 2
    under_way[1].callback(None)
    assert stopped == [None]
    assert writing.spool.counts == {"dropped": 50, "lines": 51}


def test_a_line_too_long_is_dropped(tmp_path: Path) -> None:
    """A line that would push out all others is dropped."""
    writing = Writing(tmp_path, max_size=8000)
    writing.spool.put(b"x" * 600)
    assert writing.spool.counts == {"dropped": 1}
    writing.stop()


# -- a recording


class Rig:
    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock, self.folder = TestClock(), folder
        self.clock.advance(1000)
        self.recording = Recording(
            RecordSettings(folder="rec", **more),
            folder,
            "1.2.3",
            self.clock,
            self.clock.now,
            in_no_thread,
            KEY,
            lambda reason: None,
        )

    def tap(self, kind: str = "ups-card") -> Tap:
        given = UpsCardSettings(address="tcp:192.168.7.33:2390", password=Secret("hunter22"))
        found = self.recording.tap("dev", kind, given, "G0001234567")
        assert found is not None
        return found

    def stop(self) -> None:
        assert fired(self.recording.stopService()) == [None]

    def lines(self) -> list[Line]:
        """Stop, and return the written lines."""
        self.stop()
        [path] = (self.folder / "rec").iterdir()
        return list(read_recording(path))


def test_a_line_tells_when_and_what(tmp_path: Path) -> None:
    """The first line is the header; each other has its device, times and direction."""
    rig = Rig(tmp_path)
    tap = rig.tap()
    tap.passed(1, "out", b'{"pass":"hunter22","cmd":"QAD"}')
    rig.clock.advance(0.25)
    tap.passed(1, "in", b'{"value":"(1"}')
    told, heard = '{"pass":"***","cmd":"QAD"}', '{"value":"(1"}'
    begun, later = "2023-11-14T22:30:00.000+00:00", "2023-11-14T22:30:00.250+00:00"
    rest: Any = {"device": "dev", "kind": "ups-card", "via": "tcp"}
    assert rig.lines() == [
        Line(t=0.0, at=begun, way="out", text=told, **rest),
        Line(t=0.25, at=later, way="in", text=heard, **rest),
    ]
    [path] = (tmp_path / "rec").iterdir()
    assert path.name == "gantry-20231114T223000-0001.jsonl"
    header = msgspec.json.decode(path.read_bytes().splitlines()[0], type=Header)
    assert (header.version, header.part) == ("1.2.3", 1)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_however_the_bytes_come(tmp_path_factory: Any, cuts: list[int]) -> None:
    """A secret that the network splits is masked: a line is a whole object."""
    rig = Rig(tmp_path_factory.mktemp("cut"))
    tap = rig.tap()
    reply = b'{"uid":"201701013805","pass":"hunter22","value":"(hunter22 192.168.7.33"}'
    stream = (reply + b"\r\n") * 3
    at = 0
    for number in range(len(stream)):
        size = cuts[number % len(cuts)]
        tap.passed(1, "in", stream[at : at + size])
        at += size
    lines = rig.lines()
    assert len(lines) == 3
    assert len({line.text for line in lines}) == 1
    content = lines[0].text or ""
    for gone in ("hunter22", "201701013805", "192.168.7.33"):
        assert gone not in content


def test_junk_between_objects_is_counted_not_kept(tmp_path: Path) -> None:
    """Bytes between objects may hold half a secret: they are counted, not kept."""
    rig = Rig(tmp_path)
    tap = rig.tap()
    tap.passed(1, "in", b"junk!{}")
    tap.passed(1, "in", b'{"half":')  # the driver gives it up, and asks again
    tap.passed(1, "out", b'{"cmd":"QAD"}')
    tap.passed(1, "in", b'{"value":"(1"}')
    tap.passed(2, "in", b"{" * 70_000)
    tap.passed(2, "in", b'{"value":"(2"}')
    tap.link_lost(1)
    tap.link_lost(2)
    shown = [(line.way, line.text, line.skipped) for line in rig.lines()]
    assert shown == [
        ("in", "{}", 5),
        ("out", '{"cmd":"QAD"}', 0),
        ("in", '{"value":"(1"}', 8),
        ("in", '{"value":"(2"}', 70_000),
    ]


def test_an_exchange(tmp_path: Path) -> None:
    """A request has method and target, an answer status and type; other headers are not kept."""
    rig = Rig(tmp_path)
    tap = rig.tap("cfos")
    tap.asked(1, "GET", "http://192.168.7.33/cnf?cmd=get_users&pass=hunter22", b"")
    tap.asked(2, "GET", "http://192.168.7.33/cnf?cmd=modbus&read=8006&count=3", b"")
    headers = {"content-type": "application/json", "set-cookie": "sid=1", "server": "x"}
    tap.answered(1, Answer(200, headers, b'[{"id":"12345678","name":"Meier"}]'), "")
    tap.answered(2, Answer(200, {}, b"[256,0,26211]"), "")
    tap.asked(3, "GET", "http://192.168.7.33/cnf?cmd=get_users", b"")
    tap.answered(3, None, "no connection to 192.168.7.33")
    lines = rig.lines()
    assert [(line.exchange, line.way, line.target) for line in lines[:2]] == [
        (1, "out", "/cnf?cmd=get_users&pass=***"),
        (2, "out", "/cnf?cmd=modbus&read=8006&count=3"),
    ]
    assert lines[2].headers == {"content-type": "application/json"}
    assert lines[2].status == 200
    assert "Meier" not in (lines[2].text or "")
    assert "12345678" not in (lines[2].text or "")
    assert (lines[3].text or "").startswith("[256,0,")
    assert "26211" not in (lines[3].text or "")
    assert lines[5].error.startswith("no connection to ")
    assert "192.168.7.33" not in lines[5].error


def test_a_user_that_is_sent(tmp_path: Path) -> None:
    """The body of a request is masked by the subject of its call."""
    rig = Rig(tmp_path)
    body = b'{"id":"2167520770","name":"Meier","rfids":[{"id":"4711"}],"dev_ids":["E1"]}'
    rig.tap("cfos").asked(1, "POST", "http://192.168.7.33/cnf?cmd=set_user", body)
    [line] = rig.lines()
    shown = json.loads(line.text or "")
    assert shown["rfids"] == [{"id": "***"}]
    assert shown["dev_ids"] == ["E1"]
    assert (shown["id"], shown["name"]) != ("2167520770", "Meier")
    assert "2167520770" not in (line.text or "")
    assert "Meier" not in (line.text or "")


def test_callbacks_of_others_are_not_recorded(tmp_path: Path) -> None:
    """Only callbacks that the receiver took are recorded; its result is passed on."""
    rig = Rig(tmp_path)
    receive = rig.tap("ups-card-http").receiver("http://10.1.1.1:9000/post", lambda b: b == b"{}")
    assert [receive(b"{}"), receive(b"other")] == [True, False]
    [line] = rig.lines()
    assert (line.via, line.target, line.text) == ("callback", "/post", "{}")


def test_an_upload_is_recorded(tmp_path: Path) -> None:
    """An upload of a cabinet is recorded as JSON, masked."""
    rig = Rig(tmp_path)
    tap = rig.tap("cabinet")
    tap.uploaded({"id": "1", "doors": {"frontDoorUnlockCardId": "0012345678"}})
    [line] = rig.lines()
    content = json.loads(line.text or "")
    assert content["method"] == "cabinetStatusUpdate"
    assert content["cabinetStatus"]["doors"]["frontDoorUnlockCardId"] != "0012345678"


def test_what_cannot_be_recorded_harms_nobody(tmp_path: Path, logged_failures: list[Any]) -> None:
    """A failing tap logs one failure, and the device goes on."""
    rig = Rig(tmp_path)
    tap = rig.tap("cabinet")
    for _ in range(3):
        tap.uploaded({"id": object()})
    assert len(logged_failures) == 1
    logged_failures.clear()
    rig.stop()


def test_only_the_devices_that_are_named(tmp_path: Path) -> None:
    """`devices` names the recorded devices; others have no tap."""
    rig = Rig(tmp_path, devices=["dev"])
    assert rig.tap() is not None
    assert rig.recording.tap("other", "bms", None, "G1") is None
    rig.stop()


def test_nothing_happens_nothing_is_written(tmp_path: Path) -> None:
    """A recording without a line leaves no file."""
    Rig(tmp_path).stop()
    assert not (tmp_path / "rec").exists()
