"""The cloud's side of a Fogslink session, on a clock that the tests move."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.fogslink.cloud import SILENCE, CloudSession
from twisted_gantry.wire.fogslink.messages import (
    Authenticated,
    Configure,
    Configured,
    HeartbeatAnswer,
    Identified,
    Pack,
    PackAnswer,
    Response,
    Single,
    SingleAnswer,
)

IDENTIFY = b'{"req001":{"eqSN":"1","eqType":"128"}}'
AUTHENTICATE = b'{"req002":{"eqSN":"1","apiKey":"secret"}}'
BEAT = b'{"req100":{"eqSN":"1","tKey":"key"}}'
PACK = b'{"req200":{"eqSN":"1","packID":"7","totalSize":1,"eqData":[{"eChan":"P0-C1","eVal":"2"}]}}'
SINGLE = b'{"req201":{"eqSN":"1","eChan":"P0-C1","eChanSta":"1","eVal":"2"}}'


class World:
    """The owner: one list of what was sent and told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.code: str | None = "8"
        self.counts: Counter[str] = Counter()
        self.session = CloudSession(self, lambda: "key", self.counts)
        self.silence = Timer(self.clock, self.session.silent)
        self.session.opened()

    def transmit(self, answer: Response) -> None:
        self.events.append(answer)

    def heard(self) -> None:
        self.silence.start(SILENCE)

    def drop(self, reason: str) -> None:
        self.silence.cancel()
        self.events.append(f"drop: {reason}")

    def knows(self, eq_sn: str) -> bool:
        return eq_sn == "1"

    def accepts(self, eq_sn: str, api_key: str) -> bool:
        return api_key == "secret"

    def take_pack(self, pack: Pack) -> str | None:
        return self.code

    def take_single(self, single: Single) -> str | None:
        return self.code

    def configured(self, message: Configured) -> None:
        self.events.append(message)

    def online(self) -> bool:
        return self.session.online

    def say(self, *lines: bytes) -> list[Any]:
        """Let the device say something; returns what happened."""
        self.events.clear()
        for line in lines:
            self.session.received(line)
        return list(self.events)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def online() -> World:
    made = World()
    made.say(IDENTIFY, AUTHENTICATE)
    return made


def test_the_way_in(world: World) -> None:
    """The key of the session comes with the first answer, and the second lets the device in."""
    assert world.say(IDENTIFY) == [Identified(eq_sn="1", code="0", t_key="key")]
    assert not world.online()
    assert world.say(AUTHENTICATE) == [Authenticated(eq_sn="1", code="0")]
    assert world.online()
    assert world.session.eq_sn == "1"


@pytest.mark.parametrize(
    "line", [b'{"req001":{"eqSN":"2","eqType":"128"}}', b'{"req001":{"eqSN":"1","eqType":"127"}}']
)
def test_who_is_no_cs_device_is_told_and_let_go(world: World, line: bytes) -> None:
    """Code 2, and the connection is closed."""
    answer, drop = world.say(line)
    assert isinstance(answer, Identified)
    assert answer.code == "2"
    assert drop == "drop: unknown-device"


@pytest.mark.parametrize(
    "line",
    [b'{"req002":{"eqSN":"1","apiKey":"other"}}', b'{"req002":{"eqSN":"2","apiKey":"secret"}}'],
)
def test_a_wrong_key_is_told_and_let_go(world: World, line: bytes) -> None:
    """Code 3, and the connection is closed."""
    world.say(IDENTIFY)
    assert world.say(line) == [Authenticated(eq_sn="1", code="3"), "drop: denied"]


@pytest.mark.parametrize("line", [PACK, SINGLE, b'{"req200":{"packID":"7"}}'])
@pytest.mark.parametrize("before", [[], [IDENTIFY]])
def test_data_from_nobody_closes(world: World, line: bytes, before: list[bytes]) -> None:
    """Nothing is taken before the authentication."""
    world.say(*before)
    assert world.say(line) == ["drop: unauthenticated"]


def test_data_is_answered_as_it_was_taken(online: World) -> None:
    """8 or 9 for a pack, 8 or nothing for a value."""
    assert online.say(PACK) == [PackAnswer(eq_sn="1", pack_id="7", code="8")]
    assert online.say(SINGLE) == [SingleAnswer(eq_sn="1", e_chan="P0-C1", code="8")]
    online.code = None
    assert online.say(PACK, SINGLE) == []


@pytest.mark.parametrize(
    "line",
    [
        PACK.replace(b'"totalSize":1', b'"totalSize":2'),
        PACK.replace(b'"totalSize":1', b'"totalSize":"x"'),
        PACK.replace(b'"eChan":"P0-C1"', b'"a":1'),
    ],
)
def test_a_pack_that_is_not_whole_is_asked_for_again(online: World, line: bytes) -> None:
    """The number of items must be right, and each of them readable: else 9."""
    assert online.say(line) == [PackAnswer(eq_sn="1", pack_id="7", code="9")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"req100":{"eqSN":"1","tKey":"other"}}', "wrong-key"),
        (b'{"req100":{"eqSN":"1","tKey":""}}', "wrong-key"),
        (PACK.replace(b'"eqSN":"1"', b'"eqSN":"2"'), "foreign"),
        (SINGLE.replace(b'"eqSN":"1"', b'"eqSN":"2"'), "foreign"),
    ],
)
def test_an_intruder_is_let_go(online: World, line: bytes, why: str) -> None:
    """A wrong key, or data of another device, closes the connection."""
    assert online.say(line) == [f"drop: {why}"]
    assert not online.online()
    assert online.counts[why] == 1
    assert online.say(PACK, BEAT) == []
    assert online.counts["unexpected"] == 2


def test_ten_seconds_without_a_heartbeat_close(online: World) -> None:
    """The clock starts at the connection; only a heartbeat starts it anew."""
    online.clock.advance(9)
    assert online.say(BEAT) == [HeartbeatAnswer(eq_sn="1")]
    online.clock.advance(9)
    online.say(PACK)
    assert online.online()
    online.events.clear()
    online.clock.advance(1)
    assert online.events == ["drop: no-heartbeat"]


def test_who_never_speaks_is_let_go(world: World) -> None:
    """Ten seconds after the connection."""
    world.clock.advance(10)
    assert world.events == ["drop: no-heartbeat"]


def test_configurations_go_both_ways(online: World) -> None:
    """A `res300` goes out, any `req300` comes in, with the document's odd code, too."""
    message = Configure(eq_sn="1", e_chan="P0-C1", s_period="1")
    online.events.clear()
    online.session.configure(message)
    assert online.events == [message]
    assert online.say(b'{"req300":{"eqSN":"1","eChan":"P0-C1","code":"2"}}') == [
        Configured(eq_sn="1", e_chan="P0-C1", code="2")
    ]


def test_broken_json_is_counted_and_ignored(online: World) -> None:
    """It is not worth a connection."""
    assert online.say(b"{", b"", b"\xff", b'{"res200":{}}') == []
    assert online.counts["malformed"] == 3


def test_too_much_rubbish_closes(online: World) -> None:
    """A hundred lines that are no message, and one more."""
    assert online.say(*[b"x"] * 100) == []
    assert online.say(b"x") == ["drop: too-malformed"]


LINES = [
    IDENTIFY,
    AUTHENTICATE,
    BEAT,
    PACK,
    SINGLE,
    b'{"req001":{"eqSN":"9","eqType":"128"}}',
    b'{"req002":{"eqSN":"1","apiKey":"x"}}',
    b'{"req200":{"packID":"7"}}',
    b'{"req300":{"eqSN":"1","eChan":"P0-C1","code":"12"}}',
    b'{"req100":{"eqSN":"1","tKey":"x"}}',
    b"nonsense",
]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.floats(0, 11)), max_size=40))
def test_nothing_out_of_turn_raises(actions: list[Any]) -> None:
    """Whatever comes when, the session stays in its table, and drops the connection once."""
    world = World()
    for action in actions:
        if isinstance(action, bytes):
            world.session.received(action)
        else:
            world.clock.advance(action)
    world.session.closed()
    world.session.closed()
    assert sum(str(event).startswith("drop") for event in world.events) <= 1
    assert not world.online()
