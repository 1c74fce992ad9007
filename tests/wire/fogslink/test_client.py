"""The device's side of a Fogslink session, on a clock that the tests move."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from twisted_gantry.wire.fogslink.client import ClientSession, Ending, LoginRefusal, Parcel
from twisted_gantry.wire.fogslink.messages import Configure, Configured
from twisted_gantry.wire.json import loads

KNOWN = b'{"res001":{"eqSN":"1","code":"0","tKey":"key"}}'
LET_IN = b'{"res002":{"eqSN":"eqKey","code":"0"}}'
BEATEN = b'{"res100":{"eqSN":"1","code":"0"}}'


class Cloud:
    """The other end, and the owner: one list of what was sent and told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.told = ""
        self.session = ClientSession(self, self.clock, "1", lambda: "secret")

    def transmit(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        self.events.append(next(iter(loads(line))))

    def drop(self, reason: str) -> None:
        self.events.append(f"drop: {reason}")

    def online(self) -> None:
        self.events.append("online")

    def refused(self, refusal: LoginRefusal) -> None:
        self.events.append(refusal)

    def configure(self, message: Configure) -> None:
        self.events.append(message)

    def malformed(self, reason: str) -> None:
        self.told = reason

    def ended(self, ending: Ending) -> None:
        self.events.append(ending)

    def is_online(self) -> bool:
        return self.session.online

    def open(self) -> None:
        self.session.opened()

    def let_in(self) -> None:
        self.open()
        self.session.received(KNOWN)
        self.session.received(LET_IN)

    def pack(self, number: str = "7") -> None:
        """Submit a pack; its ending goes into the list."""
        self.session.submit(Parcel(b'{"req200":{}}\n', number, False, self.ended))

    def value(self, channel: str = "P0-C1") -> None:
        self.session.submit(Parcel(b'{"req201":{}}\n', channel, True, self.ended))

    def taken(self) -> list[Any]:
        """Return the events so far, and forget them."""
        events, self.events = self.events, []
        return events


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_a_cloud_that_sends_only_rubbish_is_left(cloud: Cloud) -> None:
    """A hundred lines that are no message are counted; one more is too much."""
    cloud.let_in()
    cloud.taken()
    for _ in range(100):
        cloud.session.received(b"x")
    assert cloud.taken() == []
    cloud.session.received(b"x")
    assert cloud.taken() == ["drop: too much that is no message"]
    cloud.session.closed()
    cloud.open()
    cloud.taken()
    cloud.session.received(b"x")
    assert cloud.taken() == []


def test_the_way_in(cloud: Cloud) -> None:
    """Identify, authenticate, then a heartbeat at once and every three seconds."""
    cloud.open()
    assert cloud.taken() == ["req001"]
    assert not cloud.is_online()
    cloud.session.received(KNOWN)
    assert cloud.taken() == ["req002"]
    cloud.session.received(LET_IN)
    assert cloud.taken() == ["req100", "online"]
    assert cloud.is_online()
    assert cloud.session.ready
    cloud.clock.advance(2.9)
    assert cloud.taken() == []
    cloud.clock.advance(0.2)
    assert cloud.taken() == ["req100"]
    cloud.session.closed()
    assert not cloud.is_online()
    assert cloud.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ([b'{"res001":{"eqSN":"1","code":"2"}}'], LoginRefusal("2", "eq_sn")),
        ([b'{"res001":{"eqSN":"1","code":"7"}}'], LoginRefusal("7", "eq_sn")),
        ([KNOWN, b'{"res002":{"eqSN":"eqKey","code":"3"}}'], LoginRefusal("3", "api_key")),
        ([KNOWN, b'{"res002":{"eqSN":"eqKey","code":"2"}}'], LoginRefusal("2", "eq_sn")),
        ([KNOWN, b'{"res002":{"eqSN":"eqKey","code":"9"}}'], LoginRefusal("9", "api_key")),
    ],
)
def test_a_refusal_names_the_credential(
    cloud: Cloud, answers: list[bytes], refusal: LoginRefusal
) -> None:
    """The code says which is wrong, or else the step does; the connection is dropped."""
    cloud.open()
    for answer in answers:
        cloud.session.received(answer)
    assert cloud.taken()[-2:] == [refusal, f"drop: refused with code {refusal.code}"]
    cloud.session.received(LET_IN)
    assert cloud.taken() == []
    assert cloud.session.counts["unexpected"] == 1
    assert cloud.clock.getDelayedCalls() == []


def test_a_cloud_that_does_not_authenticate_us_in_time_is_left(cloud: Cloud) -> None:
    """Ten seconds are enough for both steps."""
    cloud.open()
    cloud.clock.advance(6)
    cloud.session.received(KNOWN)
    cloud.clock.advance(4)
    assert cloud.taken()[-1] == "drop: the cloud does not answer the authentication"
    assert cloud.session.counts["no-authentication"] == 1


@pytest.mark.parametrize("answer", [b"{}", b"null", b'""', b'{"code":"0\\u0000"}', b'[{"code":0}]'])
def test_an_empty_answer_to_a_heartbeat_counts(cloud: Cloud, answer: bytes) -> None:
    """`res100` says by its name alone that the cloud is there."""
    cloud.let_in()
    for _ in range(12):
        cloud.clock.advance(1)
        cloud.session.received(b'{"res100":%b}' % answer)
    assert cloud.is_online()


def test_nuls_behind_a_code_are_no_refusal(cloud: Cloud) -> None:
    """A cloud that sends its whole buffer lets us in."""
    cloud.open()
    cloud.session.received(b'{"res001":{"code":"0\\u0000","tKey":"key"}}')
    cloud.session.received(b'{"res002":{"code":"0\\u0000\\u0000"}}')
    assert cloud.is_online()


def test_heartbeats_that_are_not_answered_end_the_session(cloud: Cloud) -> None:
    """Ten seconds without a `res100`, wherever else the cloud talks of."""
    cloud.let_in()
    for _ in range(8):
        cloud.clock.advance(1)
    cloud.session.received(BEATEN)
    for _ in range(9):
        cloud.clock.advance(1)
        cloud.session.received(b'{"res100":{"eqSN":"1","code":"3"}}')
    assert cloud.is_online()
    cloud.clock.advance(1)
    assert cloud.taken()[-1] == "drop: the cloud does not answer the heartbeat; its code was '3'"
    assert not cloud.is_online()
    assert cloud.session.counts["unknown-code"] == 9


def test_a_pack_ends_by_its_answer(cloud: Cloud) -> None:
    """8 is taken, 9 is failed; the answer to another pack is counted as late."""
    cloud.let_in()
    cloud.taken()
    cloud.pack("7")
    assert not cloud.session.ready
    cloud.session.received(b'{"res200":{"packID":"6","code":"8"}}')
    cloud.session.received(b'{"res201":{"eChan":"7","code":"8"}}')
    cloud.session.received(b'{"res200":{"packID":"7","code":"4"}}')
    assert cloud.taken() == ["req200"]
    cloud.session.received(b'{"res200":{"eqSN":"x","packID":"7","code":"8"}}')
    assert cloud.taken() == [Ending.TAKEN]
    cloud.session.received(b'{"res200":{"packID":"7","code":"8"}}')
    cloud.pack("8")
    cloud.session.received(b'{"res200":{"packID":8,"code":9}}')
    assert cloud.taken() == ["req200", Ending.FAILED]
    assert cloud.session.counts == {"late": 3, "unknown-code": 1}


def test_a_single_value_ends_by_the_answer_to_its_channel(cloud: Cloud) -> None:
    """`res201` names the channel, no more."""
    cloud.let_in()
    cloud.taken()
    cloud.value("P0-C1")
    cloud.session.received(b'{"res201":{"eqSN":"1","eChan":"P0-C2","code":"8"}}')
    cloud.session.received(b'{"res201":{"eqSN":"1","eChan":"P0-C1","code":"8"}}')
    assert cloud.taken() == ["req201", Ending.TAKEN]


def test_silence_ends_a_message_after_five_seconds(cloud: Cloud) -> None:
    """Then it may be submitted again, and the late answer counts for it."""
    cloud.let_in()
    cloud.taken()
    cloud.pack("7")
    for _ in range(10):
        cloud.clock.advance(0.5)
    assert cloud.taken() == ["req200", "req100", Ending.SILENT]
    cloud.pack("7")
    cloud.session.received(b'{"res200":{"packID":"7","code":"8"}}')
    assert cloud.taken() == ["req200", Ending.TAKEN]


def test_a_lost_link_ends_what_is_in_flight(cloud: Cloud) -> None:
    """Nobody waits for ever; the next session begins from the start."""
    cloud.let_in()
    cloud.pack()
    cloud.taken()
    cloud.session.closed()
    assert cloud.taken() == [Ending.LOST]
    cloud.open()
    assert cloud.taken() == ["req001"]


def test_a_configuration_goes_to_the_owner_once_online(cloud: Cloud) -> None:
    """Before that it is counted; acknowledgements go while there is a session."""
    line = b'{"res300":{"eqSN":"1","eChan":"P0-C1","sType":"1"}}'
    cloud.open()
    cloud.session.received(line)
    assert cloud.session.counts["unexpected"] == 1
    cloud.session.received(KNOWN)
    cloud.session.received(LET_IN)
    cloud.taken()
    cloud.session.received(line)
    cloud.session.say(Configured(eq_sn="1", e_chan="P0-C1", code="11"))
    assert cloud.taken() == [Configure(eq_sn="1", e_chan="P0-C1", s_type="1"), "req300"]
    cloud.pack()
    cloud.session.say(Configured(eq_sn="1", e_chan="P0-C1", code="11"))
    cloud.session.closed()
    cloud.taken()
    cloud.session.say(Configured(eq_sn="1", e_chan="P0-C1", code="11"))
    assert cloud.taken() == []


LINES = [
    KNOWN,
    LET_IN,
    BEATEN,
    b'{"res001":{"code":"2"}}',
    b'{"res002":{"code":"3"}}',
    b'{"res200":{"packID":"7","code":"8"}}',
    b'{"res200":{"packID":"7","code":"9"}}',
    b'{"res201":{"eChan":"P0-C1","code":"8"}}',
    b'{"res300":{"eqSN":"1","eChan":"P0-C1"}}',
    b"nonsense",
]
ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(LINES),
        st.sampled_from(["closed", "pack", "value", "say"]),
        st.floats(0, 11),
    ),
    max_size=40,
)


@given(ACTIONS)
def test_nothing_out_of_turn_raises(actions: list[Any]) -> None:
    """Whatever comes when, the session stays in its table, and every message ends once."""
    cloud = Cloud()
    submitted = 0
    cloud.open()
    for action in actions:
        if isinstance(action, bytes):
            cloud.session.received(action)
        elif isinstance(action, float):
            cloud.clock.advance(action)
        elif action == "closed":
            cloud.session.closed()
            cloud.open()
        elif action == "say":
            cloud.session.say(Configured(eq_sn="1", e_chan="P0-C1", code="12"))
        elif cloud.session.ready:
            submitted += 1
            cloud.pack() if action == "pack" else cloud.value()
    cloud.session.closed()
    assert sum(isinstance(event, Ending) for event in cloud.events) == submitted
    assert cloud.clock.getDelayedCalls() == []


def test_glued_answers_all_count(cloud: Cloud) -> None:
    """The answer to data and a heartbeat in one line: the pack is taken, the link stays."""
    cloud.let_in()
    cloud.pack()
    cloud.taken()
    cloud.session.received(b'{"res200":{"packID":"7","code":"8"}}{"res100":{"code":"0"}}\x00\r')
    assert cloud.taken() == [Ending.TAKEN]
    cloud.clock.advance(9)
    assert [event for event in cloud.taken() if event != "req100"] == []
    assert not cloud.session.counts["malformed"]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"res200":{"packID":7,"code":8}}',
        b'{"res200":{"packID":"7.0","code":"08"}}',
        b'{"res200":{"packID":" 07","code":8.0}}',
        b'{"res200":{"eqSN":nan,"packID":"7","code":"8"}}',
        b'{"res200":{"eqSN":"\xff\xfe","packID":"7","code":"8",}}',
        b'{"res200":{"code":"8"}}',
        b'[{"res200":{"packID":"7","code":"8"}}]',
        b'{"res200":{"packID":"7" "code":"8"}}',
    ],
)
def test_an_answer_in_any_spelling_counts(cloud: Cloud, answer: bytes) -> None:
    """The number and the code as numbers, doubles or with zeros; other members may be odd."""
    cloud.let_in()
    cloud.pack()
    cloud.taken()
    cloud.session.received(answer)
    assert cloud.taken() == [Ending.TAKEN]


def test_an_answer_without_a_number_may_not_be_late(cloud: Cloud) -> None:
    """After a silence it could be the answer to the message before: it is not taken."""
    cloud.let_in()
    cloud.pack()
    cloud.clock.advance(5)
    cloud.pack("8")
    cloud.taken()
    cloud.session.received(b'{"res200":{"code":"8"}}')
    assert cloud.taken() == []
    assert cloud.session.counts["late"] == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"res200":{"packID":"7";"code":"8"}}', "no comma"),
        (b'{"res200":{"packID":"7","code":"x"}}', "the code 'x'"),
        (b'{"res200":{"packID":"9","code":"8"}}', "answered '9', not '7'"),
        (b"<html>", "<html>"),
    ],
)
def test_what_came_in_place_of_an_answer_is_told(cloud: Cloud, line: bytes, told: str) -> None:
    """Nobody says that no answer came; the next message of data forgets it."""
    cloud.let_in()
    cloud.pack()
    cloud.session.received(line)
    assert told in cloud.session.odd
    assert ("cannot be read" in cloud.session.odd) == (cloud.told != "")
    cloud.clock.advance(5)
    cloud.pack()
    assert cloud.session.odd == ""


def test_the_way_in_says_what_came(cloud: Cloud) -> None:
    """A login whose answer cannot be read ends with that answer in the reason."""
    cloud.open()
    cloud.session.received(b'{"res001":{"code":"0"}}')
    cloud.clock.advance(10)
    [*_, dropped] = cloud.taken()
    assert dropped == "drop: the cloud does not answer the authentication; the cloud sent no tKey"


def test_a_key_without_a_readable_code_lets_on(cloud: Cloud) -> None:
    """Only a device that is known gets a `tKey`."""
    cloud.open()
    cloud.session.received(b'{"res001":{"eqSN":"1","code":nan,"tKey":"key"}}')
    assert cloud.taken() == ["req001", "req002"]
    assert cloud.session.counts["repaired"] == 1
