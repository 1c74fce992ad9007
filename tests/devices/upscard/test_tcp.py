"""What holds for a UPS card over TCP alone: the connection, and how objects are cut out of it."""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.devices.upscard.rigs import (
    LIVE,
    RATINGS,
    TCP,
    Rig,
    Script,
    ScriptFactory,
    ScriptRig,
    TwinRig,
    outcome,
)
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.status import State
from twisted_gantry.wire.upscard.messages import Result


@pytest.fixture
def way() -> str:
    return TCP


def test_three_misses_drop_the_connection(rig: TwinRig) -> None:
    """After three misses in a row the connection is cut, and another made after a pause."""
    rig.faults.put(rig.face, {"drop": 1})
    rig.clock.run(12.0)
    assert rig.state() is State.OFFLINE
    assert "3 times in a row" in str(rig.card.status.last_error)
    rig.faults.clear(rig.face)
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE
    assert len(rig.network.pumps) == 2


def test_only_a_good_session_resets_the_back_off() -> None:
    """A card that accepts and closes at once is tried after 1, 2, 4 … 60 seconds, not every one."""
    rig = TwinRig()
    rig.faults.put(rig.face, {"refuse": True})
    rig.card.startService()
    rig.clock.run(200.0, step=0.5)
    gaps = [b - a for a, b in pairwise(rig.network.attempts)]
    assert gaps[:7] == pytest.approx([1, 2, 4, 8, 16, 32, 60], abs=0.6)
    rig.stop()


def test_a_connection_that_never_answers_backs_off_too() -> None:
    """TCP that connects to a card that says nothing does not reset the back-off."""
    rig = ScriptRig()
    factory = rig.script
    factory.answers = {}
    rig.card.startService()
    rig.clock.run(150.0, step=0.5)
    ended = [b - a for a, b in pairwise(rig.network.attempts)]
    assert ended == sorted(ended)
    assert ended[-1] > ended[0] + 5
    rig.stop()


@pytest.mark.parametrize("split", range(1, 400, 7))
def test_replies_may_come_in_pieces(split: int) -> None:
    """A reply in two reads, cut anywhere, is one reply."""
    rig = ScriptRig()
    factory = rig.script

    def in_pieces(command: dict[str, Any]) -> None:
        data = Result(uid="1", session=command["session"], cmd="QAD", value=LIVE).encode()
        factory.sessions[-1].send(data[:split])
        rig.clock.callLater(0.2, factory.sessions[-1].send, data[split:])

    factory.answers["QAD"] = in_pieces
    rig.start(1.5)
    assert rig.bench.good("ups1.battery_charge") == 90.0
    rig.stop()


def test_half_an_object_does_not_spoil_the_next(scripted: tuple[Rig, ScriptFactory]) -> None:
    """When the deadline passes inside an object, its beginning is dropped and the next is read."""
    rig, factory = scripted
    factory.answers["QAD"] = b'{"uid": "1", "session": "'
    rig.clock.run(2.1)
    factory.answers["QAD"] = LIVE
    rig.clock.run(6.0)
    assert rig.bench.good("ups1.battery_charge") == 90.0
    assert rig.card.counts["half-objects"] == 1
    assert len(rig.network.pumps) == 1


def test_late_duplicate_and_foreign_replies_are_counted(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """Stray replies change nothing, and each kind is counted."""
    rig, factory = scripted
    session = factory.sessions[-1]
    last = factory.received[-1]["session"]
    spoofed = LIVE.replace("220.1", "111.1")
    for number in (last, "99", last):
        session.send(Result(uid="1", session=number, cmd="QAD", value=spoofed).encode())
    session.send(b"garbage {broken} \x00\xff")
    rig.clock.run(0.2)
    assert rig.card.counts["duplicate"] == 2
    assert rig.card.counts["unknown"] == 1
    assert rig.card.counts["malformed"] == 1
    assert rig.card.counts["skipped-bytes"] == 8
    assert rig.bench.good("ups1.input_voltage_r") == 220.1


def test_an_endless_object_cuts_the_connection(scripted: tuple[Rig, ScriptFactory]) -> None:
    """Past 64 KiB the connection is dropped and counted; the next one works."""
    rig, factory = scripted
    factory.sessions[-1].send(b"{" + b'"a": "' + b"x" * 70_000)
    rig.clock.run(0.2)
    assert rig.card.counts["too-long"] == 1
    assert rig.state() is State.OFFLINE
    rig.clock.run(5.0)
    assert rig.state() is State.ONLINE


def test_a_megabyte_of_noise_is_survived(scripted: tuple[Rig, ScriptFactory]) -> None:
    """Random bytes end the connection or are skipped; the driver goes on."""
    rig, factory = scripted
    noise = random.Random(7).randbytes(1024 * 1024)
    for at in range(0, len(noise), 4096):
        factory.sessions[-1].send(noise[at : at + 4096])
        rig.clock.settle()
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE
    assert rig.card.counts["skipped-bytes"] + rig.card.counts["too-long"] > 0


def test_a_control_whose_reply_is_lost_is_never_repeated(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """No reply is a timeout, and the control was sent once, also after a reconnection."""
    rig, factory = scripted
    results = rig.command("T")
    rig.clock.run(1.0)
    rig.network.cut()
    rig.clock.run(20.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert len(factory.commands("T")) == 1


def test_half_a_reply_to_a_command_spoils_no_later_one() -> None:
    """After a command whose reply broke off, the next reply is read whole."""
    rig = ScriptRig(poll=20.0)
    factory = rig.script
    rig.start()
    factory.answers["T"] = b'{"uid": "1", "session": "12'
    rig.command("T")
    rig.clock.run(6.0)
    factory.answers["T"] = "(OK"
    results = rig.command("T")
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.DONE
    rig.stop()


class Curt(ScriptFactory):
    """A card that closes its connection after each reply; `open` says when it listens."""

    open = True

    def buildProtocol(self, addr: Any) -> Any:
        return super().buildProtocol(addr) if self.open else None

    def take(self, session: Any, command: dict[str, Any]) -> None:
        """Answer and close."""
        super().take(session, command)
        session.transport.loseConnection()


@pytest.fixture
def curt() -> Iterator[ScriptRig]:
    made = ScriptRig(script=Curt())
    made.start(3.0)
    assert made.state() is State.ONLINE
    yield made
    made.stop()


def test_a_card_that_closes_after_each_reply_is_normal(curt: ScriptRig) -> None:
    """It is online without a break, and asked at its period."""
    curt.clock.run(60.0, step=0.5)
    assert curt.card.status.transitions == {State.ONLINE: 1}
    assert curt.card.status.last_error is None
    assert len(curt.script.commands("QAD")) == pytest.approx(32, abs=3)
    assert len(curt.script.commands("RTD")) == 1
    # The second command was on its way when the card was seen to close for the first time.
    assert len(curt.script.sessions) == len(curt.script.received) - 1


def test_a_curt_card_is_asked_for_its_ratings_once_an_hour() -> None:
    """Its many connections are no reason to ask for what does not change."""
    rig = ScriptRig(script=Curt(), poll=30.0)
    rig.start(3.0)
    for ratings in (1, 2):
        assert len(rig.script.commands("RTD")) == ratings
        rig.clock.run(3600.0, step=2.0)
    rig.stop()


@pytest.mark.parametrize("seconds", [0.0, 0.9, 1.1])
def test_a_curt_card_is_commanded(curt: ScriptRig, seconds: float) -> None:
    """A control has a connection of its own, between two polls and beside one; it is sent once."""
    curt.clock.run(seconds)
    curt.script.answers["T"] = "(OK"
    results = curt.command("T")
    curt.clock.run(1.0)
    assert outcome(results).result is Outcome.DONE
    assert len(curt.script.commands("T")) == 1


def test_a_curt_card_that_is_busy_is_asked_again(curt: ScriptRig) -> None:
    """201 is a reply, too: the repetition goes over another connection."""
    answers = iter([201, 201, "(OK"])
    curt.script.answers["BZON"] = lambda _: next(answers)
    results = curt.command("BZON")
    curt.clock.run(2.0)
    assert outcome(results).result is Outcome.DONE
    assert curt.card.status.transitions == {State.ONLINE: 1}


def test_a_curt_card_may_refuse_a_connection(curt: ScriptRig) -> None:
    """It counts as a miss, as silence would; the third makes it offline, and then pauses grow."""
    script = curt.script
    assert isinstance(script, Curt)
    script.open = False
    curt.clock.run(3.0)
    script.open = True
    curt.clock.run(3.0)
    assert curt.card.status.transitions == {State.ONLINE: 1}
    script.open = False
    curt.clock.run(60.0)
    assert curt.state() is State.OFFLINE
    attempts = len(curt.network.attempts)
    curt.clock.run(100.0, step=0.5)
    assert len(curt.network.attempts) - attempts < 6
    script.open = True
    curt.clock.run(61.0)
    assert curt.state() is State.ONLINE
    assert len(script.commands("RTD")) == 2


def test_a_control_that_cannot_be_delivered_to_a_curt_card_is_not_sent(curt: ScriptRig) -> None:
    """It fails, rather than have an unknown outcome, and does not go out later."""
    script = curt.script
    assert isinstance(script, Curt)
    script.open = False
    results = curt.command("T")
    curt.clock.run(0.5)
    assert outcome(results).result is Outcome.FAILED
    assert outcome(results).detail.startswith("not sent: ")
    script.open = True
    curt.clock.run(10.0)
    assert script.commands("T") == []
    assert curt.state() is State.ONLINE


def test_a_command_that_expires_while_a_curt_card_is_connected_is_not_sent(
    curt: ScriptRig,
) -> None:
    """The connection may take longer than the command has."""
    waiting: Deferred[Any] = Deferred()
    connect = curt.network.connect
    slow: Any = lambda factory: waiting.addCallback(lambda _: connect(factory))  # noqa: E731
    curt.network.connect = slow  # type: ignore[method-assign]
    curt.clock.run(0.3)
    results = curt.command("T", expiry=0.5)
    curt.clock.run(1.0)
    curt.network.connect = connect  # type: ignore[method-assign]
    waiting.callback(None)
    curt.clock.run(5.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert curt.script.commands("T") == []
    assert curt.state() is State.ONLINE


def test_a_connection_that_hangs_is_given_up(curt: ScriptRig) -> None:
    """Three misses end the attempt with the link; one other follows it, and no two at a time."""
    connect, given_up = curt.network.connect, list[Any]()
    hanging: Any = lambda factory: Deferred(given_up.append)  # noqa: E731
    curt.network.connect = hanging  # type: ignore[method-assign]
    curt.clock.run(14.0)
    assert curt.state() is State.OFFLINE
    assert len(given_up) >= 1
    curt.network.connect = connect  # type: ignore[method-assign]
    before = len(given_up)
    curt.card._link.drop()
    curt.clock.run(1.0)
    assert len(given_up) == before
    curt.card.stopService()
    curt.clock.run(1.0)
    assert len(given_up) == before + 1
    curt.card.startService()
    curt.clock.run(3.0)
    assert curt.state() is State.ONLINE


def test_a_control_is_not_repeated_when_its_connection_closes(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """A card that closes upon a control may have executed it."""
    rig, factory = scripted

    def close(command: dict[str, Any]) -> None:
        factory.sessions[-1].transport.loseConnection()

    factory.answers["T"] = close
    results = rig.command("T")
    rig.clock.run(10.0)
    assert outcome(results).result is Outcome.TIMEOUT
    assert len(factory.commands("T")) == 1


def test_a_connection_that_ends_between_two_polls_is_made_again(
    scripted: tuple[Rig, ScriptFactory],
) -> None:
    """A card that closes an idle connection stays online; one that is gone is offline then."""
    rig, factory = scripted
    rig.clock.run(20.0)
    factory.sessions[-1].transport.loseConnection()
    rig.clock.run(5.0)
    assert rig.card.status.transitions == {State.ONLINE: 1}
    assert len(rig.network.pumps) == 2
    rig.network.reachable = False
    factory.sessions[-1].transport.loseConnection()
    rig.clock.run(2.5)
    assert rig.state() is State.OFFLINE
    assert "nothing listens at this port" in str(rig.card.status.last_error)
    rig.network.reachable = True


@pytest.mark.parametrize("patience", [1.0, 20.0])
def test_patience_is_a_setting(patience: float) -> None:
    """A slow card is given the seconds of `patience` for a reply, a control too."""
    rig = ScriptRig(patience=patience)
    factory = rig.script

    def slow(value: str) -> Any:
        def answer(command: dict[str, Any]) -> None:
            data = Result(session=command["session"], cmd=command["cmd"], value=value).encode()
            rig.clock.callLater(0.9 * patience, factory.sessions[-1].send, data)

        return answer

    factory.answers = {"QAD": slow(LIVE), "RTD": slow(RATINGS), "T": slow("(OK")}
    rig.start(4 * patience)
    assert rig.state() is State.ONLINE
    results = rig.command("T", expiry=100.0)
    rig.clock.run(4 * patience)
    assert outcome(results).result is Outcome.DONE
    assert rig.card.counts["missed"] == 0
    factory.answers["QAD"] = None
    rig.clock.run(5 * patience + 5)
    assert rig.card.counts["missed"] > 0
    rig.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [("RTD", b'{"session":"%s","cmd":"RTD","value":["odd"]}'), ("QAD", b"{odd}")],
)
def test_an_odd_reply_costs_no_three_seconds(name: str, value: bytes) -> None:
    """A reply that cannot be read ends the reading at once, and the error quotes it."""
    rig = ScriptRig()

    def odd(command: dict[str, Any]) -> bytes:
        return value.replace(b"%s", command["session"].encode())

    rig.script.answers[name] = odd
    rig.start(0.9)
    assert len(rig.script.commands("QAD")) == 1
    rig.clock.run(9.0)
    told = str(rig.card.status.last_error)
    assert "the reply cannot be read" in told
    assert "odd" in told
    assert "no reply in time" not in told
    assert len(rig.network.pumps) == 1
    assert rig.state() is (State.ONLINE if name == "RTD" else State.OFFLINE)
    rig.stop()


_CR_REPLY = (
    b'{"uid":"1","session":"@SESSION@","cmd":"QAD","value":"(220.1 220.2 220.3 50.1 ---.- ---.- '
    b'---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90 37.5 0000100000000011\r"}'
)
_GBK_RATINGS = (
    b'{"uid":"1","session":"@SESSION@","cmd":"RTD","value":"(\xc9\xbd\xcc\xd8 V1.0 C10KS 220 220 '
    b'20 50.0 192 1/1 10000"}'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r", b"\r"),
        (b"\r", b"\x00"),
        (b"\r", b"\r\x00\n"),
        (b"\r", b"\\u0000"),
        (b'"uid":"1",', b""),
        (b'"uid":"1"', b'"uid":null'),
        (b'"uid":"1"', b'"uid":1.0'),
        (b'"uid":"1"', b'"uid":nan'),
        (b'"cmd":"QAD",', b""),
        (b'"cmd":"QAD"', b'"cmd":" qad\x00"'),
        (b'"session":"@SESSION@"', b'"session":@SESSION@'),
        (b'"session":"@SESSION@"', b'"session":@SESSION@.0'),
        (b'"session":"@SESSION@"', b'"session":" 0@SESSION@"'),
        (b'"session":"@SESSION@",', b""),
        (b'"session":"@SESSION@",', b'"session":"@SESSION@\\u0000" '),
        (b'"cmd":"QAD",', b'"cmd":"QAD" '),
        (b"{", b"\x00[{"),
        (b"}", b"}]\x00\r\n"),
        (b"220.1 ", "（220.1\u3000".encode()),
    ],
)
def test_replies_as_real_cards_spell_them(old: bytes, new: bytes) -> None:
    """Control characters in a value, missing and loosely spelt members cost nothing."""
    rig = ScriptRig()

    def answer(data: bytes) -> Any:
        return lambda command: data.replace(b"@SESSION@", command["session"].encode())

    rig.script.answers["QAD"] = answer(_CR_REPLY.replace(old, new, 1))
    rig.script.answers["RTD"] = answer(_GBK_RATINGS)
    rig.start(5.0)
    assert rig.bench.good("ups1.input_voltage_r") == 220.1
    assert rig.bench.good("ups1.state") == "line"
    assert rig.bench.good("ups1.manufacturer") == "山特"
    assert rig.bench.good("ups1.rated_power") == 10000
    assert rig.card.status.last_error is None
    assert rig.card.counts["repaired"] >= 1
    rig.stop()


def test_a_reply_without_an_object_is_quoted() -> None:
    """Text that holds no object is no reply, and the error does not say that nothing came."""
    rig = ScriptRig()
    rig.script.answers = {"QAD": b"(NAK\r", "RTD": b"<html>404</html>"}
    rig.start(12.0)
    assert rig.state() is State.CONNECTING
    told = str(rig.card.status.last_error)
    assert told.startswith("what came is no JSON object; it is (NAK")
    assert "no reply in time" not in told
    rig.stop()


def test_the_terminator_is_sent() -> None:
    """The setting `terminator` ends each command, for a card that wants one."""
    rig = ScriptRig(terminator="\r\n")
    factory = rig.script
    seen: list[bytes] = []
    build = factory.buildProtocol

    def watched(addr: Any) -> Script:
        session: Script = build(addr)
        take = session.dataReceived

        def note(data: bytes) -> None:
            seen.append(data)
            take(data)

        session.dataReceived = note  # type: ignore[method-assign]
        return session

    factory.buildProtocol = watched  # type: ignore[method-assign]
    rig.start()
    assert seen
    assert all(data.endswith(b"}\r\n") for data in seen)
    rig.stop()


def test_a_quote_in_the_name_of_the_model_costs_nothing() -> None:
    """The object seems not to end, so it is read after the patience; then not again for an hour."""
    rig = ScriptRig()
    odd = RATINGS.replace("C10KS", '19"rack')

    def answer(command: dict[str, Any]) -> bytes:
        head = b'{"uid":"1","session":"%b","cmd":"RTD"' % command["session"].encode()
        return head + b',"value":"%b"}' % odd.encode()

    rig.script.answers["RTD"] = answer
    rig.start(130.0)
    assert rig.bench.good("ups1.model") == '19"rack'
    assert rig.bench.good("ups1.rated_power") == 10000
    assert rig.bench.good("ups1.state") == "line"
    assert len(rig.script.commands("RTD")) == 1
    rig.stop()
