"""What holds for a UPS card over TCP alone: the connection, and how objects are cut out of it."""

import random
from itertools import pairwise
from typing import Any

import pytest

from tests.devices.upscard.rigs import (
    LIVE,
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
