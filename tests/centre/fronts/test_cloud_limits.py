"""What a Fogslink front takes from peers that are slow, many, or hostile."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from tests.centre.fronts.cloud_rig import (
    API_KEY,
    BEAT,
    EQ_SN,
    T_KEY,
    FakeTransport,
    Rig,
    codes,
    pack,
    single,
)
from twisted_gantry.centre.fronts.cloud_session import IN_FLIGHT
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.testing.centre_store import InlineStore, open_memory
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import MAX_LINE, HeartbeatAnswer, encode


def test_a_session_has_so_many_messages_in_flight(rig: Rig) -> None:
    """Beyond them nothing is read, and silence counts for nothing; the rest follows by itself."""
    device = rig.online()
    rig.store.held = deque()
    lines = [pack(str(number), "a") for number in range(1, 2 * IN_FLIGHT + 1)]
    assert device.says(*lines, BEAT) == []
    assert device.is_paused()
    assert len(rig.store.held) == IN_FLIGHT
    rig.passes(30)
    assert device.closed == ""
    rig.store.commit(IN_FLIGHT)
    assert len(rig.store.held) == IN_FLIGHT
    rig.store.commit()
    heard = device.hears()
    assert [each for each in heard if isinstance(each, HeartbeatAnswer)] != []
    packs = [each for each in heard if not isinstance(each, HeartbeatAnswer)]
    assert codes(packs) == [(str(number), "8") for number in range(1, 2 * IN_FLIGHT + 1)]
    assert not device.is_paused()
    rig.passes(10)
    assert device.closed == "aborted"


def test_failures_in_flight_let_the_rest_go_on(rig: Rig) -> None:
    """A store that gives up half of what waits leaves no session unread."""
    device = rig.online()
    rig.store.held = deque()
    device.says(*[pack(str(number), "a") for number in range(IN_FLIGHT)])
    assert device.is_paused()
    while rig.store.held:
        _, waiting = rig.store.held.popleft()
        waiting.errback(Failure(NotStored("no disk")))
    rig.clock.advance(0)
    assert not device.is_paused()
    assert device.hears() == []


def test_a_peer_that_does_not_read_is_not_read(rig: Rig) -> None:
    """Its answers stay within a buffer, and without heartbeats it is let go."""
    device = rig.online()
    device.transport.reading = False
    for _ in range(20):
        if not device.is_paused():
            device.session.dataReceived(BEAT * 500)
    assert device.is_paused()
    assert device.transport.io.tell() < 200_000
    rig.passes(10)
    assert device.closed == "aborted"


def test_a_peer_that_does_not_read_its_refusal_is_cut(rig: Rig) -> None:
    """A connection that waits for its last bytes to be read does not wait for ever."""
    device = rig.device()
    device.transport.reading = False
    device.identifies("unknown")
    assert device.closed == "closed"
    rig.passes(11)
    assert device.closed == "aborted"
    assert rig.front.connections == 0


def test_strangers_are_bounded_and_devices_are_not_driven_out(
    memory: InlineStore, clock: ManualClock
) -> None:
    """Of one address so many may be without a login: the oldest of them goes for the next."""
    rig = Rig(memory, clock, connections=10, per_address=3, reserved=2)
    device = rig.online()
    strangers = [rig.device("192.0.2.9") for _ in range(5)]
    assert [each.closed for each in strangers] == ["aborted", "aborted", "", "", ""]
    others = [rig.knocks(f"198.51.100.{number}") for number in range(20)]
    assert device.closed == ""
    assert rig.front.connections <= 10
    assert sum(each is not None and not each.closed for each in others) <= 8
    rig.stop()


@pytest.mark.parametrize("ended", [b"", b"\n"])
def test_a_long_line_ends_the_session(rig: Rig, ended: bytes) -> None:
    """In one read or in many, with its end or without."""
    device = rig.online()
    for _ in range(MAX_LINE // 1000 + 1):
        if not device.closed:
            device.session.dataReceived(b"x" * 1000)
    assert device.closed == "closed"
    device = rig.online()
    device.session.dataReceived(b'"' + b"x" * MAX_LINE + ended)
    assert device.closed == "closed"
    assert rig.front.counts["too-long"] == 2


def test_too_much_rubbish_ends_the_session(rig: Rig) -> None:
    """A hundred lines that are no message, and one more; what is behind them counts for nothing."""
    device = rig.online()
    assert device.says(*[b"x"] * 101, pack("1", "a")) == []
    assert device.closed == "closed"
    assert rig.store.put_before == []


def test_a_line_without_an_end_is_taken_after_a_second(rig: Rig) -> None:
    """What is whole of it; its end may still come, and starts nothing anew."""
    device = rig.online()
    device.session.dataReceived(pack("1", "a")[:-1])
    assert device.hears() == []
    rig.passes(2)
    assert codes(device.hears()) == [("1", "8")]
    device.session.dataReceived(b"\n" + pack("2", "b")[:20])
    rig.passes(2)
    assert device.hears() == []
    device.session.dataReceived(pack("2", "b")[20:])
    assert codes(device.hears()) == [("2", "8")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"req100":{"eqSN":"12345678","tKey":"other"}}',
        b'{"req200":{"eqSN":"7","packID":"1","totalSize":0,"eqData":[]}}',
        b'{"req201":{"eqSN":"7","eChan":"P0-C1","eChanSta":"1","eVal":"1"}}',
    ],
)
def test_an_intruder_is_let_go(rig: Rig, line: bytes) -> None:
    """A wrong `tKey`, and data of another device."""
    device = rig.online()
    assert device.says(BEAT, line, pack("1", "a")) == [HeartbeatAnswer(eq_sn=EQ_SN)]
    assert device.closed == "closed"
    assert rig.store.put_before == []


@pytest.mark.parametrize("odd", [b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\\u0000"'])
def test_text_that_no_database_carries_is_stored_all_the_same(rig: Rig, odd: bytes) -> None:
    """A lone surrogate, bytes that are no text, a NUL: the value is repaired, and ends nothing."""
    device = rig.online()
    answers = device.says(pack("1", "a").replace(b'"a"', odd), single("a").replace(b'"a"', odd))
    assert codes(answers) == [("1", "8"), ("P0-C1", "8")]
    assert device.closed == ""


LINES = [
    encode(messages.Identify(eq_sn=EQ_SN)),
    encode(messages.Identify(eq_sn="7")),
    encode(messages.Authenticate(eq_sn=EQ_SN, api_key=API_KEY)),
    encode(messages.Authenticate(eq_sn=EQ_SN, api_key="x")),
    BEAT,
    BEAT.replace(b":", b": "),
    encode(messages.Heartbeat(eq_sn=EQ_SN, t_key=T_KEY + "x")),
    pack("1", "a"),
    pack("1", "b"),
    pack("2", "a", "").replace(b",", b", "),
    pack("3", "a", total=5),
    pack("4", "a", eq_sn="7"),
    single("a"),
    b"\n",
    b"nonsense\n",
    b'{"req200":{"packID":"5"}}\n',
    encode(messages.Configured(eq_sn=EQ_SN, e_chan="P0-C1", code="10")),
]
IN = [LINES[0], LINES[2]]


@given(st.lists(st.sampled_from(LINES), max_size=12), st.booleans(), st.data())
def test_reads_may_be_cut_anywhere(
    lines: list[bytes], logged_in: bool, data: st.DataObject
) -> None:
    """The answers, the reports and the end are the same for any cut of the same bytes, and the same
    with a machine that reads each message, plain or not.
    """
    stream = b"".join([*(IN if logged_in else []), *lines])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    whole = outcome([stream])
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert outcome(pieces) == whole
    # A blank before its end is an odd spelling of each line.
    assert outcome([stream.replace(b"}\n", b"} \n")]) == whole


def outcome(pieces: list[bytes]) -> tuple[bytes, str, list[bytes]]:
    """Return what a new connection hears, how it ends, and the bodies that were stored."""
    clock = ManualClock()
    memory = open_memory(clock.now)
    rig = Rig(memory, clock)
    device = rig.device()
    for each in pieces:
        if each and not device.closed:
            device.session.dataReceived(each)
    transport: FakeTransport = device.transport
    heard, closed = transport.io.getvalue(), device.closed
    rig.stop()
    memory.close()
    return heard, closed, [each.body for each in rig.store.put_before]
