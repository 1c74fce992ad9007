"""The card over TCP: every code for its reason, passwords, framing, faults, bounds."""

import json
import random
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.wire.upscard.readings import decode_live, decode_ratings
from twisted_gantry.twin.faces.upscard import card as upscard
from twisted_gantry.twin.faults.flow import MOST_UNREAD, PAUSE_ABOVE
from twisted_gantry.twin.faults.settings import UPS_TCP, Faults
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.frames import MAX_OBJECT, ObjectFramer
from twisted_gantry.wire.upscard.messages import CardRefusal, Result, decode_reply


class Bench:
    """A card on a clock that stands, and sessions in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.world = World(random.Random(1))
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.card = upscard.Card(self.world.ups["ups1"])
        self.factory = upscard.UpsCardFactory(self.card, self.faults, self.clock)
        self.counts = self.factory.counts

    def session(self) -> "Peer":
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        return Peer(protocol)


class Peer:
    def __init__(self, protocol: Any) -> None:
        self.protocol, self.transport = protocol, StringTransport()
        protocol.makeConnection(self.transport)

    def send(self, *commands: bytes | dict[str, Any]) -> None:
        """Send bytes as they are, and dicts as JSON, in one lump."""
        parts = [c if isinstance(c, bytes) else json.dumps(c).encode() for c in commands]
        self.protocol.dataReceived(b"".join(parts))

    def raw(self) -> bytes:
        written = self.transport.value()
        self.transport.clear()
        return bytes(written)

    def replies(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in ObjectFramer().feed(self.raw())]

    def ask(self, cmd: str, **fields: str) -> dict[str, Any]:
        self.send({"session": "7", "cmd": cmd, **fields})
        (reply,) = self.replies()
        return reply

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_query_is_answered_with_uid_session_and_cmd(bench: Bench) -> None:
    """QAD and RTD carry back what the command brought, and values that can be read."""
    peer = bench.session()
    reply = peer.ask("QAD")
    assert {**reply, "value": ""} == {"uid": upscard.UID, "session": "7", "cmd": "QAD", "value": ""}
    assert decode_live(reply["value"])["state"].value == "line"
    ratings = decode_ratings(peer.ask("RTD")["value"])
    assert (ratings["manufacturer"].value, ratings["phases"].value) == ("Sunshine", "3/3")


@pytest.mark.parametrize("form", ["{}", "{}()"])
def test_controls_act_on_the_world(bench: Bench, form: str) -> None:
    """Each control answers (OK and is seen in the next QAD, with or without parentheses."""
    peer = bench.session()

    def shown(name: str) -> Any:
        return decode_live(peer.ask("QAD")["value"])[name].value

    for cmd, name, value in (
        ("SOFF", "state", "standby"),
        ("SON", "state", "line"),
        ("BZOFF", "buzzer_muted", True),
        ("BZON", "buzzer_muted", False),
        ("T", "state", "test"),
    ):
        assert peer.ask(form.format(cmd))["value"] == "(OK"
        assert shown(name) == value


def test_a_control_that_cannot_be_done_fails(bench: Bench) -> None:
    """A test on battery is answered (FAILED, and changes nothing."""
    bench.world.change({"mains.voltage": 0})
    assert bench.session().ask("T")["value"] == "(FAILED"
    assert bench.world.snapshot()["ups1.state"] == "battery"
    assert bench.counts["failed"] == 1


@pytest.mark.parametrize("cmd", ["qad", "Q1", "T(10)", "SON ", "()", "操作"])
def test_what_the_card_does_not_know_fails(bench: Bench, cmd: str) -> None:
    """Commands are upper case and exact; any other is answered (FAILED."""
    reply = bench.session().ask(cmd)
    assert (reply["cmd"], reply["value"]) == (cmd, "(FAILED")


def test_101_echoes_what_is_not_json(bench: Bench) -> None:
    """Broken JSON comes back without its braces behind 101; its session can be read."""
    peer = bench.session()
    peer.send(b'{"session": "1" "cmd": QAD}')
    raw = peer.raw()
    assert raw == b'{"result":"101","session": "1" "cmd": QAD}'
    assert decode_reply(raw) == CardRefusal(result=101, session="1")


def test_102_echoes_a_command_without_session(bench: Bench) -> None:
    """No session: 102, then the command."""
    peer = bench.session()
    peer.send({"cmd": "QAD"})
    assert peer.replies() == [{"result": "102", "cmd": "QAD"}]


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        (
            {"session": "1", "cmd": "QAD", "pass": "wrong"},
            {"result": "103", "uid": upscard.UID, "session": "1", "cmd": "QAD"},
        ),
        (
            {"session": "1", "cmd": "QAD"},
            {"result": "103", "uid": upscard.UID, "session": "1", "cmd": "QAD"},
        ),
        ({"session": "1", "pass": "secret"}, {"result": "105", "uid": upscard.UID, "session": "1"}),
        (
            {"session": "1", "cmd": "QAD", "pass": "x" * 16},
            {"result": "106", "uid": upscard.UID, "session": "1", "cmd": "QAD"},
        ),
        (
            {"session": "1", "cmd": "SOFF", "pass": "secret", "new_pass": "x" * 16},
            {"result": "106", "uid": upscard.UID, "session": "1", "cmd": "SOFF"},
        ),
    ],
)
def test_the_other_codes_carry_uid_session_and_cmd(
    bench: Bench, fields: dict[str, str], reply: dict[str, str]
) -> None:
    """103, 105 and 106 each have their reason, their shape, and do nothing."""
    bench.card.password = "secret"
    peer = bench.session()
    peer.send(fields)
    assert peer.replies() == [reply]
    assert bench.counts[f"error-{reply['result']}"] == 1
    assert bench.card.password == "secret"
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_without_a_password_any_is_taken(bench: Bench) -> None:
    """From the factory the password is empty, and `pass` does not matter."""
    assert "value" in bench.session().ask("QAD", **{"pass": "whatever"})


def test_a_new_password_counts_after_the_reply(bench: Bench) -> None:
    """`new_pass` rides on any command, is answered under the old one, and then rules everywhere."""
    peer, other = bench.session(), bench.session()
    peer.send(
        {"session": "1", "cmd": "BZOFF", "new_pass": "one"},
        {"session": "2", "cmd": "QAD"},
        {"session": "3", "cmd": "QAD", "pass": "one"},
    )
    first, second, third = peer.replies()
    assert (first["value"], second["result"]) == ("(OK", "103")
    assert third["value"].startswith("(")
    assert other.ask("QAD")["result"] == "103"
    assert other.ask("QAD", **{"pass": "one"})["cmd"] == "QAD"


def test_a_late_reply_holds_the_old_password(bench: Bench) -> None:
    """While the reply waits, the old password rules; once it is sent, the new one does."""
    bench.faults.put(UPS_TCP, {"delay": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "QAD", "new_pass": "one"})
    peer.send({"session": "2", "cmd": "QAD"})
    assert bench.card.password == ""
    bench.clock.advance(1)
    assert bench.card.password == "one"
    assert ["value" in reply for reply in peer.replies()] == [True, True]


def test_a_password_whose_reply_is_never_heard_counts_all_the_same(bench: Bench) -> None:
    """A connection that goes before the reply does not undo the command."""
    bench.faults.put(UPS_TCP, {"delay": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "QAD", "new_pass": "one"})
    peer.lose()
    assert bench.card.password == "one"
    assert not bench.clock.getDelayedCalls()


def test_clear_empties_the_password_and_an_empty_one_is_none(bench: Bench) -> None:
    """The word `clear` empties it; an empty `new_pass` changes nothing."""
    bench.card.password = "one"
    peer = bench.session()
    assert "value" in peer.ask("QAD", **{"pass": "one", "new_pass": ""})
    assert bench.card.password == "one"
    assert "value" in peer.ask("QAD", **{"pass": "one", "new_pass": "clear"})
    assert bench.card.password == ""


def test_a_refused_command_sets_no_password(bench: Bench) -> None:
    """A wrong password cannot set a new one."""
    bench.card.password = "one"
    assert bench.session().ask("QAD", **{"pass": "two", "new_pass": "two"})["result"] == "103"
    assert bench.card.password == "one"


COMMANDS = (
    b'{"session":"1","cmd":"QAD"}\r\n{"session":"}2{\\"","cmd":"RTD"}{"session":"3","cmd":"X"}'
)


@pytest.mark.parametrize("size", [1, 2, 7, 30, len(COMMANDS)])
def test_split_and_joined_commands_are_answered_in_order(bench: Bench, size: int) -> None:
    """However the bytes are cut, each object is answered once, in turn."""
    peer = bench.session()
    for at in range(0, len(COMMANDS), size):
        peer.send(COMMANDS[at : at + size])
    assert [(r["session"], r["cmd"]) for r in peer.replies()] == [
        ("1", "QAD"),
        ('}2{"', "RTD"),
        ("3", "X"),
    ]
    assert bench.counts["skipped-bytes"] == 0


def test_json5_of_the_documents_is_taken(bench: Bench) -> None:
    """Trailing commas, as the document prints them, and a number for the session are no error."""
    peer = bench.session()
    peer.send(b'{"session": 1234, "cmd": "QAD",}')
    assert peer.replies()[0]["session"] == "1234"


def test_junk_between_objects_is_ignored_and_counted(bench: Bench) -> None:
    """Bytes outside an object, but for white space and NUL, are counted and skipped."""
    peer = bench.session()
    peer.send(b'hello \x00\r\n"}', {"session": "1", "cmd": "QAD"}, b"\xff\xfe")
    assert len(peer.replies()) == 1
    assert bench.counts["skipped-bytes"] == 9


def test_an_object_that_does_not_end_is_given_up(bench: Bench) -> None:
    """Half an object is dropped after its time, and the session is good again."""
    peer = bench.session()
    peer.send(b'{"session": "1')
    bench.clock.advance(upscard.UNFINISHED_S - 1)
    peer.send(b"1")
    bench.clock.advance(1)
    assert bench.counts["unfinished"] == 1
    assert peer.ask("QAD")["session"] == "7"
    assert not bench.clock.getDelayedCalls()


def test_an_object_over_the_bound_drops_the_connection(bench: Bench) -> None:
    """Past 64 KiB there is no answer but the end; others are served on."""
    peer, other = bench.session(), bench.session()
    peer.send(b'{"session":"' + b"x" * MAX_OBJECT)
    assert peer.transport.disconnecting
    assert bench.counts["too-long"] == 1
    peer.send({"session": "1", "cmd": "SOFF"})
    assert peer.raw() == b""
    assert "value" in other.ask("QAD")
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_a_megabyte_of_noise_is_survived(bench: Bench) -> None:
    """Random bytes end at worst their own session, and leave nothing behind."""
    noise = random.Random(3)
    for _ in range(16):
        peer = bench.session()
        for _ in range(16):
            peer.send(noise.randbytes(4096))
        peer.lose()
    assert bench.counts["skipped-bytes"] + bench.counts["objects"] > 0
    assert not bench.factory.sessions
    assert not bench.clock.getDelayedCalls()
    assert "value" in bench.session().ask("QAD")
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_delay_keeps_the_order(bench: Bench) -> None:
    """A reply without delay waits for an earlier one that has it; the commands act at once."""
    peer = bench.session()
    bench.faults.put(UPS_TCP, {"delay": 2})
    peer.send({"session": "1", "cmd": "SOFF"})
    bench.faults.clear(UPS_TCP)
    peer.send({"session": "2", "cmd": "QAD"})
    assert bench.world.snapshot()["ups1.state"] == "standby"
    bench.clock.advance(1.9)
    assert peer.raw() == b""
    bench.clock.advance(0.1)
    assert [reply["session"] for reply in peer.replies()] == ["1", "2"]


def test_busy_answers_201_and_does_nothing(bench: Bench) -> None:
    """A busy card does no command; a malformed one still is 101."""
    bench.faults.put(UPS_TCP, {"busy": True})
    peer = bench.session()
    assert peer.ask("SOFF") == {"result": "201", "uid": upscard.UID, "session": "7", "cmd": "SOFF"}
    peer.send(b"{oh}")
    assert decode_reply(peer.raw()) == CardRefusal(result=101)
    assert bench.world.snapshot()["ups1.state"] == "line"
    bench.faults.clear(UPS_TCP)
    assert "value" in peer.ask("QAD")


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("201", {"result": "201", "uid": upscard.UID, "session": "7", "cmd": "SOFF"}),
        ("999", {"result": "999", "uid": upscard.UID, "session": "7", "cmd": "SOFF"}),
        ("102", {"result": "102", "session": "7", "cmd": "SOFF"}),
    ],
)
def test_a_code_is_answered_in_its_shape(bench: Bench, code: str, reply: dict[str, str]) -> None:
    """The code that is set answers every command, which does not act."""
    bench.faults.put(UPS_TCP, {"code": code})
    assert bench.session().ask("SOFF") == reply
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_drop_loses_the_reply_of_a_command_that_acts(bench: Bench) -> None:
    """Nothing is answered, and yet the UPS is off."""
    bench.faults.put(UPS_TCP, {"drop": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "SOFF"})
    assert peer.raw() == b""
    assert bench.world.snapshot()["ups1.state"] == "standby"
    assert bench.counts["dropped"] == 1


def test_drop_is_a_probability(bench: Bench) -> None:
    """At a half, about half of the replies come."""
    bench.faults.put(UPS_TCP, {"drop": 0.5})
    peer = bench.session()
    peer.send(*[{"session": str(n), "cmd": "BZON"} for n in range(400)])
    assert 150 < len(peer.replies()) < 250


def test_garbage_comes_for_a_reply(bench: Bench) -> None:
    """Bytes come that hold no reply."""
    bench.faults.put(UPS_TCP, {"garbage": 1})
    peer = bench.session()
    peer.send({"session": "12345678", "cmd": "BZOFF"})
    raw = peer.raw()
    assert raw
    assert b"12345678" not in raw
    assert bench.world.snapshot()["ups1.buzzer_muted"] is True


def test_half_a_reply_is_followed_by_the_next(bench: Bench) -> None:
    """The command acts; the rest of its reply never comes, and the session stays."""
    bench.faults.put(UPS_TCP, {"half": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "BZOFF"})
    half = peer.raw()
    assert half.startswith(b'{"uid"')
    assert not half.endswith(b"}")
    assert bench.world.snapshot()["ups1.buzzer_muted"] is True
    bench.faults.clear(UPS_TCP)
    assert peer.ask("BZON")["value"] == "(OK"
    assert bench.counts["half"] == 1


def test_a_reply_may_come_twice(bench: Bench) -> None:
    """The command acts once."""
    bench.faults.put(UPS_TCP, {"duplicate": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "QAD"})
    first, second = peer.replies()
    assert first == second
    assert (bench.counts["answered"], bench.counts["doubled"]) == (1, 1)


def test_a_slow_drip_comes_whole_in_the_end(bench: Bench) -> None:
    """Ten bytes a second, one at a time; a password counts when its reply is out."""
    bench.faults.put(UPS_TCP, {"drip": 10})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "BZON", "new_pass": "one"})
    lengths = []
    while bench.card.password == "":
        lengths.append(len(peer.transport.value()))
        bench.clock.advance(0.1)
    assert lengths == list(range(1, len(lengths) + 1))
    assert [reply["value"] for reply in peer.replies()] == ["(OK"]


def test_a_frozen_card_goes_on_when_it_is_over(bench: Bench) -> None:
    """It accepts, and neither reads nor answers nor acts; not even an answer that was due."""
    bench.faults.put(UPS_TCP, {"delay": 1})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "BZOFF"})
    bench.faults.put(UPS_TCP, {"frozen": True})
    peer.send({"session": "2", "cmd": "QAD"})
    late = bench.session()
    late.send({"session": "3", "cmd": "SOFF"})
    bench.clock.pump([0.1] * 100)
    assert peer.raw() == late.raw() == b""
    assert bench.world.snapshot()["ups1.state"] == "line"
    bench.faults.clear(UPS_TCP)
    bench.clock.advance(0.1)
    assert [reply["session"] for reply in peer.replies()] == ["1", "2"]
    assert [reply["session"] for reply in late.replies()] == ["3"]
    assert bench.world.snapshot()["ups1.state"] == "standby"
    assert not bench.clock.getDelayedCalls()


def test_a_frozen_card_takes_in_so_much_and_no_more(bench: Bench) -> None:
    """What a kernel would hold; of that nothing is lost."""
    bench.faults.put(UPS_TCP, {"frozen": True})
    peer = bench.session()
    peer.send(b" " * (MOST_UNREAD - 1))
    assert peer.transport.producerState == "producing"
    peer.send({"session": "1", "cmd": "QAD"})
    assert peer.transport.producerState == "paused"
    bench.faults.clear(UPS_TCP)
    bench.clock.advance(0.1)
    assert [reply["session"] for reply in peer.replies()] == ["1"]
    assert peer.transport.producerState == "producing"


def test_frozen_and_refusing_is_frozen(bench: Bench) -> None:
    """A frozen card refuses no connection."""
    bench.faults.put(UPS_TCP, {"frozen": True, "refuse": True})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "SOFF"})
    closed = [peer.transport.disconnecting]
    bench.faults.put(UPS_TCP, {"refuse": True})
    bench.clock.advance(0.1)
    closed.append(peer.transport.disconnecting)
    assert closed == [False, True]
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_what_was_refused_is_told_whole(bench: Bench) -> None:
    """`busy` decides before `drop`: nothing was done, so no reply can be lost."""
    bench.faults.put(UPS_TCP, {"busy": True, "drop": 1})
    assert bench.session().ask("SOFF")["result"] == "201"


def test_a_session_that_goes_while_frozen_leaves_nothing(bench: Bench) -> None:
    """No timer, and what it had sent is never done."""
    bench.faults.put(UPS_TCP, {"frozen": True})
    peer = bench.session()
    peer.send({"session": "1", "cmd": "SOFF"})
    peer.lose()
    assert not bench.clock.getDelayedCalls()
    assert bench.world.snapshot()["ups1.state"] == "line"


def test_refuse_closes_new_and_open_connections(bench: Bench) -> None:
    """No session is built; an open one ends at its next byte, unheard."""
    peer = bench.session()
    bench.faults.put(UPS_TCP, {"refuse": True})
    assert bench.factory.buildProtocol(None) is None
    peer.send({"session": "1", "cmd": "SOFF"})
    assert peer.transport.disconnecting
    assert peer.raw() == b""
    assert bench.world.snapshot()["ups1.state"] == "line"
    assert bench.counts["refused"] == 2


def test_sessions_are_bounded_and_a_lost_one_makes_room(bench: Bench) -> None:
    """The 65th connection is closed at once; idle ones are kept for good."""
    peers = [bench.session() for _ in range(upscard.MAX_SESSIONS)]
    assert bench.factory.buildProtocol(None) is None
    bench.clock.advance(1e6)
    assert "value" in peers[0].ask("QAD")
    peers[0].lose()
    assert "value" in bench.session().ask("QAD")


def test_too_many_waiting_replies_make_the_card_busy_and_then_deaf(bench: Bench) -> None:
    """Beyond one bound commands are answered 201, in turn; beyond the next nothing is read."""
    bench.faults.put(UPS_TCP, {"delay": 1})
    peer = bench.session()
    peer.send(*[{"session": str(n), "cmd": "BZON"} for n in range(PAUSE_ABOVE + 1)])
    assert peer.transport.producerState == "paused"
    bench.clock.advance(1)
    assert peer.transport.producerState == "producing"
    replies = peer.replies()
    assert [reply["session"] for reply in replies] == [str(n) for n in range(PAUSE_ABOVE + 1)]
    assert ["value" in reply for reply in replies] == [
        n < upscard.BUSY_ABOVE for n in range(len(replies))
    ]


def test_a_peer_that_does_not_read_is_not_read(bench: Bench) -> None:
    """While the transport is full the card reads nothing more."""
    peer = bench.session()
    full: Any = peer.transport.producer
    full.pauseProducing()
    assert peer.transport.producerState == "paused"
    full.resumeProducing()
    assert peer.transport.producerState == "producing"


def test_replies_are_what_the_gantry_side_reads(bench: Bench) -> None:
    """A reply decodes to a Result; none of the counts is lost."""
    peer = bench.session()
    peer.send({"session": "1", "cmd": "RTD"})
    reply = decode_reply(peer.raw())
    assert isinstance(reply, Result)
    assert dict(bench.counts) == {
        "connections": 1, "objects": 1, "answered": 1, "skipped-bytes": 0,
    }  # fmt: skip
