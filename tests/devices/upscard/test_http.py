"""What holds for a UPS card over HTTP alone: POSTs, callbacks, and who may have sent them."""

import re
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import fail
from twisted.internet.error import DNSLookupError
from twisted.internet.testing import MemoryReactorClock

from tests.devices.upscard.rigs import (
    CALLBACK,
    HTTP,
    LIVE,
    RATINGS,
    URL,
    HttpScript,
    ScriptRig,
    TwinRig,
    outcome,
)
from tests.support import Bench
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import WrongSetting
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard.http import UpsCardHttpSettings, kind
from twisted_gantry.wire.secret import Secret
from twisted_gantry.wire.upscard.messages import CardRefusal, Result


@pytest.fixture
def way() -> str:
    return HTTP


def result_of(command: dict[str, Any], value: str = LIVE, **changes: str) -> bytes:
    """Return the good result of a command, or one with changes."""
    fields = {"uid": "1", "session": command["session"], "cmd": command["cmd"], "value": value}
    return Result(**(fields | changes)).encode()


def test_each_command_names_the_callback(scripted: tuple[ScriptRig, HttpScript]) -> None:
    """`host` is the callback URL, the session 32 hex digits that differ."""
    rig, script = scripted
    rig.clock.run(20.0)
    assert {command["host"] for command in script.received} == {CALLBACK}
    sessions = [command["session"] for command in script.received]
    assert len(set(sessions)) == len(sessions) >= 10
    assert [each for each in sessions if not re.fullmatch("[0-9a-f]{32}", each)] == []
    assert set(script.caller.statuses) == {200}


def test_a_result_in_the_body_counts(scripted: tuple[ScriptRig, HttpScript]) -> None:
    """A card that answers in the body of its 200 is read all the same; a callback is a second."""
    rig, script = scripted

    def in_body(command: dict[str, Any]) -> None:
        script.body = result_of(command, LIVE.replace("220.1", "111.1"))

    script.answers["QAD"] = in_body
    rig.clock.run(2.1)
    assert rig.bench.good("ups1.input_voltage_r") == 111.1
    script.caller.send(result_of(script.received[-1]))
    rig.clock.run(0.1)
    assert script.caller.statuses[-1] == 410
    assert rig.card.counts["duplicate"] == 1
    assert rig.bench.good("ups1.input_voltage_r") == 111.1


def test_an_error_in_the_body_counts(scripted: tuple[ScriptRig, HttpScript]) -> None:
    """101 in the body of the answer, without a session, is of the command that it answers."""
    rig, script = scripted
    script.answers["BZON"] = None
    script.body = b'{"result":"101","session": "1'
    results = rig.command("BZON")
    rig.clock.run(0.2)
    assert outcome(results).result is Outcome.FAILED
    assert "101 JSON_FORMAT" in outcome(results).detail


@pytest.mark.parametrize("body", [b"OK", b"{}", b"<html>", b'{"result":"0"}', b'{"result":200}'])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_accepts_a_command(
    scripted: tuple[ScriptRig, HttpScript], status: int, body: bytes
) -> None:
    """Whatever else stands in a 2xx, the callback is waited for."""
    rig, script = scripted
    script.status, script.body = status, b"" if status == 204 else body
    script.answers["BZON"] = lambda command: (
        rig.clock.callLater(4.0, script.caller.send, result_of(command, "(OK")) and None
    )
    results = rig.command("BZON")
    rig.clock.run(3.9)
    assert results == []
    rig.clock.run(0.5)
    assert outcome(results).result is Outcome.DONE
    assert (rig.card.counts["odd-body"] > 0) is (status != 204)


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (301, Outcome.FAILED),
        (400, Outcome.FAILED),
        (404, Outcome.FAILED),
        (500, Outcome.TIMEOUT),
        (503, Outcome.TIMEOUT),
    ],
)
def test_another_status_ends_a_command_at_once(
    scripted: tuple[ScriptRig, HttpScript], status: int, ending: Outcome
) -> None:
    """A card that refuses the POST has not acted; one that failed may have: never repeated."""
    rig, script = scripted
    script.answers["BZON"] = None
    script.status = status
    results = rig.command("BZON")
    rig.clock.run(0.2)
    assert outcome(results).result is ending
    assert f"HTTP {status}" in outcome(results).detail
    script.status = 200
    rig.clock.run(20.0)
    assert len(script.commands("BZON")) == 1
    assert rig.state() is State.ONLINE


def test_a_refused_connection_ends_a_command_at_once(rig: TwinRig) -> None:
    """Without a connection nothing left: the command failed, and the text says why."""
    rig.lose()
    results = rig.command("BZOFF")
    rig.clock.run(0.2)
    assert outcome(results).result is Outcome.FAILED
    assert outcome(results).detail.startswith("not sent: no connection")
    assert rig.world.snapshot()["ups1.buzzer_muted"] is False


def test_an_unknown_name_ends_a_command_at_once(
    rig: TwinRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor did anything leave when the card's name is not known."""
    rig.lose()
    monkeypatch.setattr(rig.network, "connect", lambda _: fail(DNSLookupError()))
    results = rig.command("BZOFF")
    rig.clock.run(0.2)
    assert outcome(results).result is Outcome.FAILED
    assert "DNS" in outcome(results).detail


def test_a_cut_post_is_a_timeout_and_is_never_repeated(rig: TwinRig) -> None:
    """A connection that breaks after a command: the outcome is unknown, and it is not repeated."""
    rig.fault(refuse=True)
    results = rig.command("T")
    rig.clock.run(0.2)
    assert outcome(results).result is Outcome.TIMEOUT
    rig.behave()
    rig.clock.run(20.0)
    assert rig.world.snapshot()["ups1.state"] == "line"
    assert rig.state() is State.ONLINE


def test_a_control_whose_result_is_lost_is_a_timeout(rig: TwinRig) -> None:
    """The control acted, no callback came: `timeout`, and the next reading shows what happened."""
    rig.fault(drop=1, **{"for": 4})
    results = rig.command("BZOFF")
    rig.clock.run(4.5)
    assert results == []
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.TIMEOUT
    rig.clock.run(4.0)
    assert rig.bench.good("ups1.buzzer_muted") is True
    assert rig.twin.counts["commands"] - rig.twin.counts["answered"] == 0


def test_a_late_callback_is_counted_and_dropped(rig: TwinRig) -> None:
    """A result past the deadline changes nothing, and the card learns that it was not awaited."""
    rig.fault(delay=3.5)
    rig.clock.run(6.0)
    rig.behave()
    rig.clock.run(8.0)
    assert rig.card.counts["late"] >= 1
    assert rig.counts["late"] == rig.card.counts["late"]
    assert rig.state() is State.ONLINE


def test_foreign_callbacks_are_counted_and_dropped(scripted: tuple[ScriptRig, HttpScript]) -> None:
    """Only a result with the session in flight, the known uid and the same command is taken."""
    rig, script = scripted
    spoofed = LIVE.replace("220.1", "111.1")
    script.answers["QAD"] = None
    rig.clock.run(1.5)
    [*_, command] = script.received
    other = f"{int(command['session'], 16) ^ 1:032x}"
    script.caller.statuses.clear()
    for body in (
        result_of(command, spoofed, session=other),
        result_of(command, spoofed, uid="2"),
        result_of(command, spoofed, cmd="RTD"),
        CardRefusal(result=103, uid="1", cmd="QAD").encode(),
        CardRefusal(result=103, uid="2", session=command["session"], cmd="QAD").encode(),
        b'{"result":"101"} trailing',
        b"garbage",
        b"{" + b'"a": "' + b"x" * 70_000,
    ):
        script.caller.send(body)
        rig.clock.run(0.05)
    assert script.caller.statuses == [410, 410, 410, 410, 410, 410, 400, 413]
    assert rig.card.counts["foreign"] == 3
    assert rig.bench.good("ups1.input_voltage_r") == 220.1
    script.caller.send(result_of(command))
    rig.clock.run(0.1)
    assert script.caller.statuses[-1] == 200
    assert rig.state() is State.ONLINE


def test_three_misses_put_it_offline_and_it_is_tried_after_pauses(rig: TwinRig) -> None:
    """After three misses one attempt follows each pause of 1, 2, 4 … 60 s, until it answers."""
    rig.lose()
    rig.clock.run(5.1)
    assert rig.state() is State.OFFLINE
    assert "3 times in a row" in str(rig.card.status.last_error)
    rig.clock.run(200.0, step=0.5)
    moments = sorted(set(rig.network.attempts))
    gaps = [b - a for a, b in pairwise(moments)]
    assert gaps[:4] == pytest.approx([2, 2, 2, 1], abs=0.1)
    assert gaps[4:10] == pytest.approx([2, 4, 8, 16, 32, 60], abs=0.6)
    rig.network.reachable = True
    rig.clock.run(61.0, step=0.5)
    assert rig.state() is State.ONLINE
    rig.lose()
    rig.clock.run(3.0)
    assert rig.state() is State.ONLINE  # it stands three misses again


def test_a_card_that_never_calls_back_is_tried_after_pauses() -> None:
    """A card that accepts and says nothing is offline, with a pause that grows."""
    rig = ScriptRig(HTTP)
    rig.script.answers = {}
    rig.start(15.0)
    assert rig.state() is State.OFFLINE
    rig.clock.run(150.0, step=0.5)
    assert len(rig.script.commands("QAD")) <= 12
    assert rig.card.counts["missed"] >= 6
    rig.stop()


@pytest.mark.parametrize("status", [404, 500])
def test_a_wrong_url_is_offline_and_says_so(status: int) -> None:
    """What answers no 2xx is no card."""
    rig = ScriptRig(HTTP)
    assert isinstance(rig.script, HttpScript)
    rig.script.answers = {}
    rig.script.status = status
    rig.start(10.0)
    assert rig.state() is State.OFFLINE
    assert f"HTTP {status}" in str(rig.card.status.last_error)
    rig.stop()


def test_a_card_that_came_back_may_be_another() -> None:
    """The uid is forgotten with the card: after it was offline another may answer there."""
    rig = ScriptRig(HTTP)
    rig.start()
    old = rig.script.answers
    rig.script.answers = {}
    rig.clock.run(20.0)
    assert rig.state() is State.OFFLINE
    rig.script.answers = {
        name: lambda command, value=value: result_of(command, value, uid="another")
        for name, value in old.items()
    }
    rig.clock.run(20.0)
    assert rig.state() is State.ONLINE
    rig.stop()


def test_garbage_is_refused_and_survived(rig: TwinRig) -> None:
    """Callbacks of random bytes are 400; the card is offline, and comes back."""
    rig.fault(garbage=1)
    rig.clock.run(20.0)
    assert rig.state() is State.OFFLINE
    assert rig.counts["malformed"] >= 3
    rig.behave()
    rig.clock.run(20.0)
    assert rig.state() is State.ONLINE


def test_an_endless_answer_is_bounded(scripted: tuple[ScriptRig, HttpScript]) -> None:
    """An answer of megabytes to a POST is cut off; without a result the command is a timeout."""
    rig, script = scripted
    script.answers["BZON"], script.body = None, b"x" * 2_000_000
    results = rig.command("BZON")
    rig.clock.run(6.0)
    assert outcome(results).result is Outcome.TIMEOUT
    script.body = b""
    rig.clock.run(10.0)
    assert rig.state() is State.ONLINE


def test_stopping_in_the_middle_leaves_nothing() -> None:
    """A stop while a POST hangs and callbacks are due leaves no timer and no state."""
    for at in (0.0, 0.1, 2.0, 2.3):
        rig = TwinRig(HTTP)
        rig.fault(delay=0.5)
        rig.start(at)
        rig.stop()
        rig = TwinRig(HTTP)
        rig.network.reachable = False
        rig.start(5.0 + at)
        assert rig.state() is State.OFFLINE
        rig.stop()


def test_two_cards_share_a_callback() -> None:
    """Each takes its own results, and neither counts the other's as odd."""
    one = TwinRig(HTTP)
    two = TwinRig(HTTP, beside=one, uid="201701013806", poll=0.7)
    two.world.change({"ups2.mode": "economy"})
    one.card.startService()
    two.start(20.0)
    assert (one.state(), two.state()) == (State.ONLINE, State.ONLINE)
    assert (one.bench.good("ups1.state"), one.bench.good("ups2.state")) == ("line", "he")
    assert (set(one.card.counts), set(two.card.counts)) == ({"posts"}, {"posts"})
    assert one.counts["taken"] == one.card.counts["posts"] + two.card.counts["posts"]
    two.card.stopService()
    two.close_server()
    one.stop()


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_whatever_is_posted_nothing_happens(bodies: list[bytes]) -> None:
    """Anybody may POST anything: the driver stays as it is."""
    rig = TwinRig(HTTP)
    rig.start(0.2)
    before = dict(rig.card.counts)
    for body in bodies:
        assert rig.link.session.offered(body) is False
    assert dict(rig.card.counts) == before
    assert rig.state() is State.ONLINE
    rig.stop()


SETTINGS = UpsCardHttpSettings(url=URL, callback=CALLBACK)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, text) for key in ("url", "callback") for text in (
            "", "x", "https:/a/", "http://", "http://:80/", "http://a:0/", "http://a:99999/",
            "http://u:p@a/", "http://a/?q", "http://a/#f", "http://a b/", "http://é/", "/post",
            "ftp://a/", "http://a\\b/", "http://[::1/", "http://a/" + "x" * 200,
        )),
        ("callback", "https://a/"),
        ("password", Secret("x" * 16)),
        ("password", Secret("")),
        ("test_stop", "SOFF"),
        ("test_stop", "son()"),
        ("test_stop", "S.3"),
        ("test_stop", "T"),
        ("test_stop", "C\r"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(key: str, value: Any) -> None:
    """What no card can do with is refused when the device is built, by the name of its key."""
    bench = Bench()
    context = replace(bench.context, reactor=MemoryReactorClock())
    with pytest.raises(WrongSetting) as raised:
        kind.build("ups2", msgspec.structs.replace(SETTINGS, **{key: value}), context)
    assert raised.value.key == key
    assert "u:p" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [URL, "http://[::1]:2380/a/b", "http://card.lan", "http://10.1.1.1", "https://card.lan/a"],
)
def test_a_good_device_is_built(url: str) -> None:
    """An http URL is all that it takes; the callback is registered at once."""
    bench = Bench()
    context = replace(bench.context, reactor=MemoryReactorClock())
    card = kind.build("ups2", msgspec.structs.replace(SETTINGS, url=url), context)
    assert list(bench.callbacks.receivers) == [CALLBACK]
    assert card.kind == "ups-card-http"
    assert "stop-test" not in card.commands


def test_sessions_are_those_of_the_random_generator_given() -> None:
    """Session numbers come from the context's generator: the wiring gives the system's."""

    class Watched(Random):
        asked = 0

        def getrandbits(self, *args: Any) -> int:
            Watched.asked += 1
            return super().getrandbits(*args)

    bench = Bench()
    bench.context = replace(bench.context, random=Watched(1))
    rig = TwinRig(HTTP, bench=bench)
    rig.start()
    assert Watched.asked >= 2
    rig.stop()


@pytest.mark.parametrize("back", [False, True])
def test_a_result_that_cannot_be_read_is_told(back: bool) -> None:
    """In the answer to a command or POSTed back: the error quotes it, rather than tell of none."""
    rig = ScriptRig(HTTP)
    rig.start()
    script = rig.script
    assert isinstance(script, HttpScript)
    if back:
        script.answers["QAD"] = b'{"session":"1";"value":"(odd"}'
    else:
        script.answers["QAD"], script.body = None, b'{"value":"(odd"}'
    rig.clock.run(6.0)
    assert "(odd" in str(rig.card.status.last_error)
    assert "no reply in time" not in str(rig.card.status.last_error)
    script.body = b""
    rig.stop()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"cmd":"QAD","value":"(1"}', "a result without a session came"),
        (b'{"session":"1","cmd":"QAD","value":"(1"}', "a result of another session came"),
    ],
)
def test_a_result_that_is_not_ours_is_told(answer: bytes, told: str) -> None:
    """It may be anybody's, so it is not taken; the error says that one came."""
    rig = ScriptRig(HTTP)
    rig.start()
    rig.script.answers["QAD"] = answer
    rig.clock.run(6.0)
    assert told in str(rig.card.status.last_error)
    rig.stop()


@pytest.mark.parametrize("more", [{"Connection": "close"}, {}])
def test_a_wrong_content_length_does_not_hide_that_the_command_is_taken(more: Any) -> None:
    """The answer to a POST ends too early: the result is awaited as after any 2xx."""
    rig = ScriptRig(HTTP, poll=10.0)
    script = rig.script
    assert isinstance(script, HttpScript)
    script.body, script.headers = b"ok", {"Content-Length": "9", **more}

    def later(command: dict[str, Any]) -> None:
        value = LIVE if command["cmd"] == "QAD" else RATINGS
        result = Result(session=command["session"], cmd=command["cmd"], value=value)
        rig.clock.callLater(0.5, script.caller.send, result.encode())

    script.answers = dict.fromkeys(("RTD", "QAD"), later)
    rig.start(15.0)
    assert rig.state() is State.ONLINE
    assert rig.bench.good("ups1.state") == "line"
    assert rig.bench.good("ups1.phases") == "1/1"
    assert rig.card.counts["late"] == 0
    rig.stop()
