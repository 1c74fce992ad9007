"""The UPS card: commands, replies and error codes, from the card's side and from ours."""

import json
import logging
import time
import traceback
from functools import partial
from io import StringIO

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from tests.wire.material import (
    NASTY,
    SECRET,
    checked,
    cuts,
    document,
    json_with,
    likely_bytes,
    outcome,
    some_texts,
)
from twisted_gantry.wire.errors import BadMessage, CannotEncode, NotJson, WireError
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard.messages import (
    CLEAR_PASSWORD,
    CONTROLS,
    MAX_PASSWORD,
    MAX_URL,
    CardCommand,
    CardRefusal,
    CommandError,
    ErrorCode,
    Place,
    Result,
    decode_command,
    decode_reply,
    encode_echo,
    place_of,
)

_KEYS = ("session", "cmd", "pass", "new_pass", "host", "result", "uid", "value")

passwords = st.text(min_size=1, max_size=MAX_PASSWORD)
commands = st.builds(
    CardCommand,
    session=some_texts,
    password=st.none() | passwords,
    new_password=st.none() | passwords,
    host=st.none() | some_texts,
    cmd=some_texts,
)
_stripped = some_texts.map(str.strip).filter(bool)
results = st.builds(
    Result,
    uid=st.none() | _stripped,
    session=_stripped,
    cmd=st.none() | _stripped,
    value=some_texts,
)
refusals = st.builds(
    CardRefusal,
    result=st.integers(1, 999),
    uid=st.none() | _stripped,
    session=st.none() | _stripped,
    cmd=st.none() | _stripped,
)


def test_the_sample_command() -> None:
    """The document's command, trailing comma and all, is read with every field of it."""
    command = decode_command(document("ups-command"), over_http=True)
    assert command.session == "1234"
    assert command.password == "123456"
    assert command.new_password == "AYI9 123456"
    assert command.host == "http://192.168.0.100:9000/post"
    assert command.cmd == "QAD"


def test_the_sample_result() -> None:
    """The document's reply to a command that was understood is read, trailing comma and all."""
    assert decode_reply(document("ups-result")) == Result(
        uid="201701013805", session="1234", cmd="QAD", value="xxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    )


@pytest.mark.parametrize("code", ErrorCode)
def test_the_sample_refusal(code: ErrorCode) -> None:
    """The document's error with uid, session and cmd is read, whichever code stands for `xxx`."""
    data = document("ups-error").replace(b"xxx", b"%d" % code)
    refusal = decode_reply(data)
    assert refusal == CardRefusal(result=code, uid="201701013805", session="1234", cmd="QAD")
    assert isinstance(refusal, CardRefusal)
    assert refusal.name == f"{code.value} {code.name}"


@pytest.mark.parametrize("code", ErrorCode)
def test_the_sample_echo(code: ErrorCode) -> None:
    """The document's other shape of an error, the code and the command's text, is read."""
    inside = document("ups-command").strip().removeprefix(b"{").removesuffix(b"}")
    data = document("ups-error-echo").replace(b"xxx", b"%d" % code)
    data = data.replace("原指令，不包括{}号".encode(), inside)
    assert decode_reply(data) == CardRefusal(result=code, session="1234", cmd="QAD")


@pytest.mark.parametrize("name", ["ups-error", "ups-error-echo"])
def test_the_placeholder_is_no_code(name: str) -> None:
    """`"result": "xxx"`, as printed, is no code of three digits."""
    with pytest.raises(WireError):
        decode_reply(document(name))


def test_the_codes_are_those_of_the_document() -> None:
    """Each error has the number and the name of section 3 (b) 1."""
    assert {code.value: code.name for code in ErrorCode} == {
        101: "JSON_FORMAT",
        102: "SESSION_LOSS",
        103: "PASSWORD_ERROR",
        104: "HOST_NO",
        105: "COMMAND_NO",
        106: "PASSTOOLENGTH",
        201: "BUSY",
    }
    assert {"SON", "SOFF", "BZON", "BZOFF", "T"} == CONTROLS


def test_a_code_of_its_own_is_kept() -> None:
    """A code that the document does not list is kept, and named by its number."""
    refusal = decode_reply(b'{"result":"777"}')
    assert refusal == CardRefusal(result=777)
    assert isinstance(refusal, CardRefusal)
    assert refusal.name == "777"


def test_a_command_is_sent_canonically() -> None:
    """A command has exact key names, no white space, no terminator, and only what is set."""
    assert (
        CardCommand(session="12345678", cmd="QAD").encode() == b'{"session":"12345678","cmd":"QAD"}'
    )
    command = CardCommand(
        session="1", password="p", new_password=CLEAR_PASSWORD, host="http://a/post", cmd="QAD"
    )
    assert json.loads(command.encode()) == {
        "session": "1",
        "pass": "p",
        "new_pass": "clear",
        "host": "http://a/post",
        "cmd": "QAD",
    }


def test_a_refusal_is_sent_canonically() -> None:
    """The code of a refusal is sent as text of three digits, beside what is known."""
    assert CardRefusal(result=201).encode() == b'{"result":"201"}'
    assert CardRefusal(result=7).encode() == b'{"result":"007"}'
    whole = CardRefusal(result=103, uid="u", session="s", cmd="c")
    assert whole.encode() == b'{"result":"103","uid":"u","session":"s","cmd":"c"}'


@given(commands, st.booleans())
@checked
def test_a_command_is_read_as_it_was_sent(command: CardCommand, over_http: bool) -> None:
    """Decoding undoes encoding of a command, passwords and host included."""
    assume(command.host is not None or not over_http)
    assert decode_command(command.encode(), over_http=over_http) == command


@given(results | refusals)
@checked
def test_a_reply_is_read_as_it_was_sent(reply: Result | CardRefusal) -> None:
    """Decoding undoes encoding of a result and of a refusal."""
    assert decode_reply(reply.encode()) == reply


@given(st.sampled_from(ErrorCode), commands)
@checked
def test_an_echo_is_read_as_it_was_sent(code: ErrorCode, command: CardCommand) -> None:
    """The echo of a good command yields the code, its session and its instruction."""
    session, cmd = command.session.strip() or None, command.cmd.strip() or None
    assert decode_reply(encode_echo(code, command.encode())) == CardRefusal(
        result=code, session=session, cmd=cmd
    )


@given(st.sampled_from(ErrorCode), likely_bytes)
@checked
def test_an_echo_of_anything_yields_the_code(code: ErrorCode, original: bytes) -> None:
    """Whatever the card was sent, its echo still tells a code, or is a BadMessage."""
    reply = outcome(lambda: decode_reply(encode_echo(code, original)), BadMessage)
    if b"result" not in original:
        assert isinstance(reply, CardRefusal)
        assert reply.result == code


@pytest.mark.parametrize("original", [b"{}", b"", b"  {\n}\r\n"])
def test_an_echo_of_nothing_is_the_code_alone(original: bytes) -> None:
    """The echo of an empty command has no comma left over."""
    assert encode_echo(ErrorCode.SESSION_LOSS, original) == b'{"result":"102"}'


@given(st.lists(results | refusals, min_size=1, max_size=5), st.lists(st.integers(0, 800)))
@checked
def test_replies_survive_the_stream(replies: list[Result | CardRefusal], places: list[int]) -> None:
    """Replies that are joined and split in any manner are read as they were sent."""
    framer = ObjectFramer()
    stream = b"".join(reply.encode() for reply in replies)
    frames = [frame for piece in cuts(stream, places) for frame in framer.feed(piece)]
    assert [decode_reply(frame) for frame in frames] == replies


def test_samples_survive_every_cut() -> None:
    """The documents' command and replies, in one stream, mean the same wherever it is cut."""
    error = document("ups-error").replace(b"xxx", b"201")
    stream = document("ups-result") + error + document("ups-result")
    expected = [decode_reply(document("ups-result")), decode_reply(error)]
    for place in range(len(stream)):
        framer = ObjectFramer()
        frames = [frame for piece in cuts(stream, [place]) for frame in framer.feed(piece)]
        assert [decode_reply(frame) for frame in frames] == [*expected, expected[0]]


@pytest.mark.parametrize(
    "data",
    [
        b'{"result": "101", {"session": 1234 "cmd": QAD}}',
        b'{"result":"101","session": }',
        b'{\n " result " : 101 , hello',
        b'{"result":"101",\xff\xfe}',
        b'{"result":"101","a":' + b"[" * 1000,
    ],
)
def test_broken_json_may_still_hold_a_code(data: bytes) -> None:
    """The echo of broken JSON is broken JSON: its code is found all the same."""
    assert decode_reply(data) == CardRefusal(result=101)


@pytest.mark.parametrize("data", [b"", b"101", b'"result":"1011"', b'{"result":"10', b"{", b"\xff"])
def test_broken_json_without_a_code_is_refused(data: bytes) -> None:
    """Bytes without a whole code are no reply."""
    with pytest.raises(WireError):
        decode_reply(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"{}",
        b'{"uid":"1","session":"1","cmd":"QAD"}',
        b'{"uid":"1","value":"(OK"}',
        b'{"uid":"1","session":["1"],"cmd":true,"value":"("}',
        b'{"uid":"1","session":"1","cmd":"QAD","value":["("]}',
        b'{"uid":"1","session":"1","cmd":"QAD","value":null,"result":"ok"}',
        b'{"result":""}',
        b'{"result":null}',
        b'{"result":[101]}',
        b'{"result":"1011"}',
        b'{"result":"-10"}',
        b'{"result":10.5}',
        '{"result":"١٠١"}'.encode(),
    ],
)
def test_other_json_is_a_bad_message(data: bytes) -> None:
    """JSON that is neither a result nor an error is BadMessage."""
    with pytest.raises(BadMessage):
        decode_reply(data)


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b'{"session":"1","value":"(OK"}', Result(session="1", value="(OK")),
        (b'{"cmd":"QAD","value":"(1"}', Result(cmd="QAD", value="(1")),
        (b'{"uid":null,"session":"1","cmd":[],"value":"("}', Result(session="1", value="(")),
        (b'[{"session":"1","value":"(OK"}]', Result(session="1", value="(OK")),
        (b'{"session":12345678.0,"value":"(1"}', Result(session="12345678", value="(1")),
        (b'{"session":" 1 ","value":"(1"}', Result(session="1", value="(1")),
        (b'{"session":"1","result":"000","value":"(OK"}', Result(session="1", value="(OK")),
        (b'{"session":"1","result":"ok","value":"(OK"}', Result(session="1", value="(OK")),
        (b'{"session":"1","value":"(OK\x00\r"}\x00', Result(session="1", value="(OK  ")),
        (b'{"session":"1","value":"(OK",}\x00}', Result(session="1", value="(OK")),
        (b'{"session":"1","value":"(OK"', Result(session="1", value="(OK")),
        (b'{"uid":nan,"session":"1","value":"(OK"}', Result(session="1", value="(OK")),
        (b'{"uid":,"session":"1","value":"(OK"}', Result(session="1", value="(OK")),
        ('{"session":"1","value":"(山特"}'.encode("gbk"), Result(session="1", value="(山特")),
        (b'{"session":"1","value":"(\xfa 1"}', Result(session="1", value="(ú 1")),
        (b'{"result":201.0,"session":"1"}', CardRefusal(result=201, session="1")),
        (b'{"result":"0201","uid":null}', CardRefusal(result=201)),
        (b'{"result":" 103\x00","cmd":[]}', CardRefusal(result=103)),
        (b'{"result":"103","value":"(OK"}', CardRefusal(result=103)),
    ],
)
def test_one_odd_member_costs_itself(data: bytes, reply: Result | CardRefusal) -> None:
    """A member that is missing, null, cut or in another encoding hides none of the others."""
    assert decode_reply(data) == reply


def test_one_odd_byte_costs_one_member() -> None:
    """Whichever byte of a reply is lost, doubled or another: every other member is right or none,
    and nothing but a WireError is raised.
    """
    reply = Result(uid="2017", session="12345678", cmd="QAD", value="(220.1 50.1 0000100000000011")
    line, right = reply.encode(), msgspec.to_builtins(reply)
    for at in range(len(line)):
        for odd in (b"", line[at : at + 1] * 2, b"\x00", b"\r", b"9", b'"', b",", b"}", b"\xff"):
            read = outcome(partial(decode_reply, line[:at] + odd + line[at + 1 :]), WireError)
            if isinstance(read, Result):
                given = msgspec.to_builtins(read)
                assert sum(given[key] != right[key] for key in given) <= 1
            else:
                assert isinstance(read, WireError)


def test_numbers_are_taken_for_text() -> None:
    """A number where the document promises text is taken, in commands and in replies."""
    assert decode_reply(b'{"uid":201701013805,"session":1234,"cmd":"T","value":"(OK"}') == Result(
        uid="201701013805", session="1234", cmd="T", value="(OK"
    )
    assert decode_reply(b'{"result":201,"session":1234}') == CardRefusal(result=201, session="1234")
    assert decode_command(b'{"session":1234,"pass":123456,"cmd":"T"}') == CardCommand(
        session="1234", password="123456", cmd="T"
    )


def test_keys_with_spaces_are_taken() -> None:
    """White space around a key is no part of it."""
    assert decode_command(b'{" session ":"1","cmd\t":"T"}') == CardCommand(session="1", cmd="T")
    assert decode_reply(b'{" result ":" 201 "}') == CardRefusal(result=201)


@pytest.mark.parametrize(
    ("data", "code", "session", "cmd"),
    [
        (b"", 101, None, None),
        (b"session=1", 101, None, None),
        (b"[]", 101, None, None),
        (b'{"session":"1","cmd":"QAD"', 101, None, None),
        (b"{}", 102, None, None),
        (b'{"cmd":"QAD","pass":"%s"}' % (b"x" * 16), 102, None, "QAD"),
        (b'{"session":"","cmd":"QAD"}', 102, None, "QAD"),
        (b'{"session":null,"cmd":"QAD"}', 102, None, "QAD"),
        (b'{"session":"1","pass":"%s"}' % (b"x" * 16), 106, "1", None),
        (b'{"session":"1","new_pass":"%s","cmd":"T"}' % (b"x" * 16), 106, "1", "T"),
        (b'{"session":"1"}', 104, "1", None),
        (b'{"session":"1","cmd":"QAD"}', 104, "1", "QAD"),
        (b'{"session":"1","host":"","cmd":"QAD"}', 104, "1", "QAD"),
        (b'{"session":"1","host":"http://a/"}', 105, "1", None),
        (b'{"session":"1","host":"http://a/","cmd":""}', 105, "1", None),
    ],
)
def test_what_the_card_refuses(
    data: bytes, code: int, session: str | None, cmd: str | None
) -> None:
    """A command is refused with the first code that applies, and with what could be read of it."""
    with pytest.raises(CommandError) as caught:
        decode_command(data, over_http=True)
    assert (caught.value.code, caught.value.session, caught.value.cmd) == (code, session, cmd)


def test_a_host_is_for_http_alone() -> None:
    """Over TCP a command needs no host; over HTTP it does."""
    command = b'{"session":"1","cmd":"QAD"}'
    assert decode_command(command) == CardCommand(session="1", cmd="QAD")
    with pytest.raises(CommandError, match="104 HOST_NO"):
        decode_command(command, over_http=True)


@pytest.mark.parametrize(
    "data",
    [
        b'{"result":' + b" " * 65_000 + b"x",
        b'{"result":"' + b" " * 65_000 + b"x",
        b'{"' + b" " * 65_000 + b"result",
        b'{"result":' * 6_500,
        b'{"' + b'" ' * 32_000,
    ],
)
def test_blanks_cost_no_time(data: bytes) -> None:
    """64 KiB that nearly hold a code are judged at once: anybody may send them over HTTP."""
    began = time.process_time()
    with pytest.raises(WireError):
        decode_reply(data)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (b'"cmd":"T","pass":"xxxxxxxxxxxxxxxx","host":"http://a/"', "http://a/"),
        (b'"host":"http://a/"', "http://a/"),
        (b'"cmd":"T","pass":"xxxxxxxxxxxxxxxx"', None),
        (b'"cmd":"T"', None),
    ],
)
def test_an_error_knows_where_its_answer_goes(fields: bytes, host: str | None) -> None:
    """106 and 105 carry the `host` of the command, which 104 has not."""
    with pytest.raises(CommandError) as raised:
        decode_command(b'{"session":"1",' + fields + b"}", over_http=True)
    assert raised.value.host == host


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://192.168.0.100:9000/post", Place("192.168.0.100", 9000, "/post")),
        ("http://192.168.1.21", Place("192.168.1.21", 80, "/")),
        ("HTTP://Card.LAN/a/b%20c", Place("card.lan", 80, "/a/b%20c")),
        ("http://[FE80::1]:81/", Place("fe80::1", 81, "/")),
    ],
)
def test_a_url_leads_to_a_place(url: str, place: Place) -> None:
    """Host, port and path; the port is 80 and the path / if none is given."""
    assert place_of(url) == place


@pytest.mark.parametrize(
    "url",
    [
        *("", "a", "/post", "//a/", "https://a/", "ftp://a/", "http:///", "http://:80/"),
        *("http://a:0/", "http://a:65536/", "http://a:x/", "http://[::1/", "http://u:pw@a/"),
        *("http://a/?q=1", "http://a/#f", "http://a b/", "http://a/\r\nX: y", "http://a\\b/"),
        *("http://\u00e9/", "http://a/" + "x" * MAX_URL, "http://a/\x00"),
    ],
)
def test_what_is_no_plain_http_url(url: str) -> None:
    """ValueError, whose text is short and shows no password."""
    with pytest.raises(ValueError, match="must") as raised:
        place_of(url)
    assert "pw" not in str(raised.value)
    assert len(str(raised.value)) < MAX_URL + 100


@given(st.text(max_size=50) | st.builds("http://{}".format, st.text(max_size=50)))
@checked
def test_any_text_is_a_place_or_none(url: str) -> None:
    """Nothing but ValueError; what is taken can stand in a request line."""
    try:
        place = place_of(url)
    except ValueError:
        return
    assert place.path.startswith("/")
    assert place.path.isascii()
    assert 0 < place.port < 65536


def test_a_password_has_at_most_15_characters() -> None:
    """Fifteen characters are a password, and they are counted as characters, not as bytes."""
    for password in ("x" * 15, "密" * 15):
        command = CardCommand(session="1", password=password, new_password=password, cmd="QAD")
        assert decode_command(command.encode()) == command
        longer = json.dumps({"session": "1", "pass": password + "x", "cmd": "QAD"}).encode()
        with pytest.raises(CommandError, match="106"):
            decode_command(longer)


@pytest.mark.parametrize("bad", ["", "x" * 16, SECRET * 3])
def test_a_password_that_the_card_would_refuse_is_not_sent(bad: str) -> None:
    """An empty password and one past 15 characters are CannotEncode, as old one and as new one."""
    for command in (
        CardCommand(session="1", password=bad, cmd="QAD"),
        CardCommand(session="1", password="x", new_password=bad, cmd="QAD"),
    ):
        with pytest.raises(CannotEncode) as caught:
            command.encode()
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_text_that_is_no_text_is_not_sent() -> None:
    """A lone surrogate, as a file or the environment may hold, is CannotEncode, and not shown."""
    password = SECRET[:7] + "\udcff"
    for command in (
        CardCommand(session="1", password=password, cmd="QAD"),
        CardCommand(session="1", cmd="\ud800"),
        CardCommand(session="1", host="http://\ud800/", cmd="QAD"),
    ):
        with pytest.raises(CannotEncode) as caught:
            command.encode()
        assert SECRET[:7] not in "".join(traceback.format_exception(caught.value))


def test_no_picture_of_a_command_shows_a_password() -> None:
    """A command never shows a password: not as repr or text, in a log, a list, or with rich."""
    command = CardCommand(session="s-1", password=SECRET[:15], new_password=SECRET[-15:], cmd="QAD")
    out = StringIO()
    Console(file=out).print(command, [command], {"a": command})
    record = logging.LogRecord("n", 20, "p", 1, "%s %r", (command, command), None)
    for shown in (
        repr(command),
        str(command),
        f"{command}",
        f"{command!r}",
        f"{[command]}",
        record.getMessage(),
        out.getvalue(),
    ):
        assert "s-1" in shown
        assert "hunter2" not in shown
        assert "secret" not in shown


@pytest.mark.parametrize("decode", [decode_command, decode_reply])
def test_no_error_shows_a_password(decode: object) -> None:
    """A message that is cut short or garbled yields an error without its password."""
    assert callable(decode)
    whole = b'{"session":"1","pass":"%s","new_pass":"%s","cmd":"QAD"}' % ((SECRET.encode(),) * 2)
    for place in range(1, len(whole)):
        for data in (whole[:place], whole[place:], whole[:place] + b'"' + whole[place:]):
            with pytest.raises(WireError) as caught:
                decode(data)
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
            assert "hunt" not in told
    with pytest.raises(WireError) as caught:
        decode(b'{"session":"1","pass":"%s","cmd":"QAD"}' % (SECRET * 2).encode())
    assert "hunt" not in repr(caught.value)
    assert "hunt" not in repr(vars(caught.value))


@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize("name", NASTY)
def test_nasty_commands(name: str, over_http: bool) -> None:
    """Nasty bytes are a command or CommandError, and a command that was read can be sent."""
    command = outcome(lambda: decode_command(NASTY[name], over_http=over_http), CommandError)
    if isinstance(command, CardCommand):
        assert decode_command(command.encode()) == command


@pytest.mark.parametrize("name", NASTY)
def test_nasty_replies(name: str) -> None:
    """Nasty bytes are a reply, NotJson or BadMessage."""
    reply = outcome(lambda: decode_reply(NASTY[name]), NotJson, BadMessage)
    if isinstance(reply, Result | CardRefusal):
        assert decode_reply(reply.encode()) == reply


@given(likely_bytes, st.booleans())
@checked
def test_any_command_bytes(data: bytes, over_http: bool) -> None:
    """No bytes raise anything but CommandError from the card's decoder."""
    got = outcome(lambda: decode_command(data, over_http=over_http), CommandError)
    assert isinstance(got, CardCommand | CommandError)


@given(likely_bytes)
@checked
def test_any_reply_bytes(data: bytes) -> None:
    """No bytes raise anything but NotJson and BadMessage from our decoder."""
    got = outcome(lambda: decode_reply(data), NotJson, BadMessage)
    assert isinstance(got, Result | CardRefusal | NotJson | BadMessage)


@given(json_with(*_KEYS), st.booleans())
@checked
def test_any_json(message: object, over_http: bool) -> None:
    """Any JSON, with the protocol's keys in the wrong places, is a message or our own error."""
    data = json.dumps(message, default=str).encode() if _fits(message) else b"{session:[}"
    outcome(lambda: decode_command(data, over_http=over_http), CommandError)
    got = outcome(lambda: decode_reply(data), NotJson, BadMessage)
    assert isinstance(got, Result | CardRefusal | NotJson | BadMessage)


def _fits(message: object) -> bool:
    """Tell whether the standard library can write this: it knows no integer of 4,301 digits."""
    return not isinstance(outcome(lambda: json.dumps(message), ValueError), ValueError)
